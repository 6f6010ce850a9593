"""A value that no row can hold finds none: nothing is cut off or rounded before it is compared."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Any, ClassVar

import pytest
from sqlalchemy import CHAR, Numeric, String, insert, text
from sqlmodel import Field, col, select

from domain import where
from domain.specification import Specification
from infrastructure.database import BaseRepository, BaseUnitOfWork, Database, Embedded, Model
from tests.conftest import MakeDatabase


class Mood(Enum):
    UP = 1
    DOWN = 2


@dataclass(frozen=True)
class Coin:
    worth: Decimal


class Parcel(Model, table=True):
    """Columns of the kit's types, and of those that somebody chose."""

    __tablename__: ClassVar[str] = "parcels"

    code: str = Field(primary_key=True, max_length=3)
    name: str = Field(max_length=3)
    worth: Decimal = Field(max_digits=6, decimal_places=2)
    text: str = Field(sa_type=String(3))  # type: ignore[call-overload]
    fixed: str = Field(sa_type=CHAR(3))  # type: ignore[call-overload]
    number: Decimal = Field(sa_type=Numeric(6, 2))  # type: ignore[call-overload]
    mood: Mood
    coin: Coin = Field(sa_type=Embedded(Coin))


class Weight(Model, table=True):
    """Found by a number."""

    __tablename__: ClassVar[str] = "weights"

    kilos: Decimal = Field(primary_key=True, max_digits=6, decimal_places=2)


class Post(BaseUnitOfWork):
    parcels: BaseRepository[Parcel]
    weights: BaseRepository[Weight]


@pytest.fixture
def tables() -> list[Any]:
    return [Parcel, Weight]


ROW: dict[str, Any] = {
    "code": "abc",
    "name": "abc",
    "worth": Decimal("1.00"),
    "text": "abc",
    "fixed": "abc",
    "number": Decimal("1.00"),
    "mood": Mood.UP,
    "coin": Coin(Decimal("1.00")),
}


@pytest.fixture
def post(database: Database) -> Database:
    """One parcel, and one weight."""
    with Post(database) as uow:
        uow.parcels.create(ROW)
        uow.weights.create({"kilos": Decimal("1.00")})
        uow.commit()
    return database


LONG = ["abcd", "abc" * 200, "ab", "ABC"]
FINE = [Decimal("1.001"), Decimal("0.999"), Decimal("1.0000000001"), Decimal(10) ** 30]
BEYOND: dict[str, list[Any]] = {
    "code": LONG,
    "name": LONG,
    "text": LONG,
    "fixed": LONG,
    "worth": FINE,
    "number": FINE,
    "mood": [Mood.DOWN],
    "coin": [Coin(Decimal("1.001"))],
}


def equal_to(field: str, value: Any) -> list[Specification]:
    return [where(field) == value, where(field).in_([value]), where(field).in_([value] * 600)]


@pytest.mark.parametrize("field", BEYOND)
def test_a_value_that_the_column_cannot_hold_is_equal_to_none_in_it(
    post: Database, field: str
) -> None:
    with Post(post, read_only=True) as uow:
        for value in BEYOND[field]:
            assert [uow.parcels.count(spec) for spec in equal_to(field, value)] == [0, 0, 0]
            assert [uow.parcels.count(~spec) for spec in equal_to(field, value)] == [1, 1, 1]
        assert uow.parcels.count(where(field).in_(BEYOND[field])) == 0


@pytest.mark.parametrize("field", BEYOND)
def test_what_the_column_holds_is_found_among_what_it_cannot_hold(
    post: Database, field: str
) -> None:
    with Post(post, read_only=True) as uow:
        assert uow.parcels.count(where(field) == ROW[field]) == 1
        assert uow.parcels.count(where(field).in_([*BEYOND[field], ROW[field]])) == 1


@pytest.mark.parametrize("field", BEYOND)
def test_nothing_is_deleted_or_changed_by_a_value_that_is_not_there(
    post: Database, field: str
) -> None:
    with Post(post) as uow:
        absent = where(field).in_(BEYOND[field])
        assert uow.parcels.delete_where(absent) == 0
        assert uow.parcels.update_where(absent, name="no") == 0
        for value in BEYOND[field]:
            assert uow.parcels.delete_where(where(field) == value) == 0
        assert uow.parcels.delete_where(where(field).in_([*BEYOND[field], ROW[field]])) == 1
        uow.rollback()


def test_no_key_that_is_too_long_or_too_fine_finds_a_row(post: Database) -> None:
    with Post(post) as uow:
        assert [parcel.code for parcel in uow.parcels.get_many(["abc"])] == ["abc"]
        assert [weight.kilos for weight in uow.weights.get_many([Decimal(1)])] == [1]
    with Post(post) as uow:
        assert uow.parcels.get_many(LONG) == []
        assert uow.parcels.get_by_id("abcd") is None
        for kilos in FINE[:3]:
            assert uow.weights.count(where("kilos").in_([kilos])) == 0


@pytest.mark.parametrize("operator", ["<", "<=", ">", ">="])
def test_what_is_a_little_more_or_less_is_so_in_every_database(
    post: Database, operator: str
) -> None:
    more, less = Decimal("1.001"), Decimal("0.999")
    for field in ("worth", "number"):
        with Post(post, read_only=True) as uow:
            specs = {
                "<": [where(field) < more, where(field) < less],
                "<=": [where(field) <= more, where(field) <= less],
                ">": [where(field) > less, where(field) > more],
                ">=": [where(field) >= less, where(field) >= more],
            }[operator]
            assert [uow.parcels.count(spec) for spec in specs] == [1, 0]


def test_a_column_expression_does_not_round_either(post: Database) -> None:
    with Post(post, read_only=True) as uow:
        for value, found in [(Decimal("1.001"), 0), (Decimal(1), 1), (1, 1), (1.0, 1)]:
            assert uow.parcels.count(col(Parcel.worth) == value) == found
            assert uow.parcels.count(col(Parcel.worth).in_([value])) == found


def test_what_sqlite_stores_has_the_places_of_its_column(make_database: MakeDatabase) -> None:
    """Padded, as PostgreSQL gives it back; a float by its digits, not by its bits."""
    database = make_database("sqlite://")
    with Post(database) as uow:
        # as Core stores them, which nobody validates
        for kilos in (Decimal(2), Decimal("2.100"), Decimal("2e1"), 2.2):
            uow.session.execute(insert(Weight), {"kilos": kilos})
        stored = uow.session.execute(text("SELECT kilos FROM weights ORDER BY kilos")).scalars()
        assert list(stored) == ["2.00", "2.10", "2.20", "20.00"]
        assert [str(kilos) for kilos in uow.session.exec(select(Weight.kilos))] == list(
            uow.session.execute(text("SELECT kilos FROM weights")).scalars()
        )
        uow.rollback()


@pytest.mark.postgresql
def test_an_enum_of_the_kit_leaves_no_type_in_the_database(
    postgresql_url: str, make_database: MakeDatabase
) -> None:
    """It is stored as text: a type would stay behind, unused."""
    database = make_database(postgresql_url)
    types = text("SELECT typname FROM pg_type WHERE typtype = 'e'")
    with database.engine.connect() as connection:
        assert connection.execute(types).scalars().all() == []
