"""Set-based writes: any number of rows, all or none, the same on every database."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, ClassVar
from uuid import UUID

import pydantic
import pytest
from sqlmodel import Field, UniqueConstraint

from domain import Entity, where
from domain.entity import new_id
from domain.errors import ReadOnlyViolation, UniqueViolation, UnitOfWorkError, ValidationError
from infrastructure.database import (
    BaseRepository,
    BaseUnitOfWork,
    Children,
    Database,
    Embedded,
    Model,
    Timestamped,
    Versioned,
)
from tests.support import statements

pytestmark = pytest.mark.thorough


class Colour(Enum):
    RED = 1


@dataclass(frozen=True)
class Money:
    amount: Decimal


@dataclass(eq=False, kw_only=True)
class Label(Entity):
    text: str
    id: int | None = None


@dataclass(eq=False, kw_only=True)
class Good(Entity):
    sku: str
    price: Money = Money(Decimal(1))
    weight: Decimal | None = None
    tags: list[str] = field(default_factory=list)
    colour: Colour | None = None
    made: datetime | None = None
    key: UUID = field(default_factory=new_id)
    short: str = ""
    labels: list[Label] = field(default_factory=list)
    id: int | None = None

    def __post_init__(self) -> None:
        if self.sku == "bad":
            raise ValidationError("Good", {"sku": "is bad"})
        self.short = self.sku[:2]


class GoodModel(Good, Timestamped, Versioned, Model, table=True):
    __tablename__: ClassVar[str] = "bulk_goods"

    id: int | None = Field(default=None, primary_key=True)
    sku: str = Field(max_length=20, unique=True)
    key: UUID = Field(unique=True)
    price: Money = Field(sa_type=Embedded(Money))
    labels: list[Label] = Children("GoodLabel")


class GoodLabel(Label, Model, table=True):
    __tablename__: ClassVar[str] = "bulk_labels"

    id: int | None = Field(default=None, primary_key=True)
    good_id: int = Field(foreign_key="bulk_goods.id")


class Seat(Model, table=True):
    __tablename__: ClassVar[str] = "bulk_seats"
    __table_args__ = (UniqueConstraint("hall", "row"),)

    row: int = Field(primary_key=True)
    place: int = Field(primary_key=True)
    hall: str | None = None
    taken: bool = False


class GoodRepository(BaseRepository[Good]):
    model = GoodModel


class Units(BaseUnitOfWork):
    goods: GoodRepository


class Schema(pydantic.BaseModel):
    id: int | None = None
    sku: str = "from a schema"
    colour: Colour | None = None


@pytest.fixture
def tables() -> list[Any]:
    return [GoodModel, GoodLabel, Seat]


def some(count: int, start: int = 0) -> Iterator[dict[str, Any]]:
    return ({"sku": f"sku {n}"} for n in range(start, start + count))


def stored(database: Database) -> list[Good]:
    with Units(database, read_only=True) as uow:
        return uow.goods.get_all(order_by="id")


# -- bulk_create ---------------------------------------------------------------------------------


def test_rows_of_every_kind_are_stored(database: Database) -> None:
    full = Good(
        sku="full",
        price=Money(Decimal("2.50")),
        weight=Decimal("1.10"),
        tags=["a", "é"],
        colour=Colour.RED,
        made=datetime(2026, 1, 2, tzinfo=UTC),
        id=77,
    )
    row = GoodModel(sku="row")
    with Units(database) as uow:
        given = [{"sku": "mapping", "weight": "3.5"}, full, row, Schema(colour=Colour.RED)]
        assert uow.goods.bulk_create(given) == 4
        uow.commit()

    goods = {good.sku: good for good in stored(database)}
    assert set(goods) == {"mapping", "full", "row", "from a schema"}
    again = goods["full"]
    assert [again.id, again.price, again.weight] == [77, full.price, full.weight]
    assert [again.tags, again.colour, again.made] == [["a", "é"], Colour.RED, full.made]
    assert again.key == full.key
    assert goods["mapping"].weight == Decimal("3.5")
    assert goods["mapping"].short == "ma"  # what the domain's constructor sets is stored, too
    with Units(database) as uow:
        first = uow.repository(GoodModel).one(where("sku") == "mapping")
        assert first.version == 1
        assert first.created_at == first.updated_at
    assert row.id is None


@pytest.mark.parametrize("count", [0, 1, 999, 1000, 1001, 3000])
def test_any_number_is_stored(database: Database, count: int) -> None:
    with Units(database) as uow, statements(database) as sent:
        assert uow.goods.bulk_create(some(count)) == count
        assert len(sent) == -(-count // 1000)
        uow.commit()
    assert len(stored(database)) == count


@pytest.mark.parametrize("at", [0, 999, 1000, 2500])
@pytest.mark.parametrize(
    ("row", "field"),
    [
        ({"sku": "x", "nope": 1}, "nope"),
        ({}, "sku"),
        ({"sku": None}, "sku"),
        ({"sku": "x" * 21}, "sku"),
        ({"sku": "bad"}, "sku"),
        ({"sku": "x", "labels": [{"text": "a"}]}, "labels"),
        (3, "entity"),
    ],
    ids=str,
)
def test_a_wrong_row_is_named_and_nothing_is_stored(
    database: Database, at: int, row: Any, field: str
) -> None:
    with Units(database) as uow:
        with pytest.raises(ValidationError, match=rf"{field}: .*\(row {at}\)"):
            uow.goods.bulk_create([*some(at), row, *some(1200, at)])
        assert uow.goods.bulk_create(some(1)) == 1
        uow.commit()
    assert [good.sku for good in stored(database)] == ["sku 0"]


def test_an_iterable_that_raises_stores_nothing(database: Database) -> None:
    def rows() -> Iterator[Any]:
        yield from some(2500)
        raise KeyError("half-way")

    with Units(database) as uow:
        for write in (
            uow.goods.bulk_create,
            lambda given: uow.goods.bulk_upsert(given, on="sku"),
        ):
            with pytest.raises(KeyError, match="half-way"):
                write(rows())
        assert uow.goods.count() == 0
        uow.goods.bulk_create(some(1))
        uow.commit()
    assert len(stored(database)) == 1


def test_a_duplicate_at_the_end_leaves_nothing(database: Database, soak: bool) -> None:
    count = 100_000 if soak else 5_000
    with Units(database) as uow:
        uow.goods.create(Good(sku=f"sku {count - 1}"))
        uow.commit()
    with pytest.raises(UniqueViolation) as by_create, Units(database) as uow:
        uow.goods.create(Good(sku=f"sku {count - 1}"))
    with Units(database) as uow:
        with pytest.raises(UniqueViolation) as in_bulk:
            uow.goods.bulk_create(some(count))
        with pytest.raises(UnitOfWorkError, match="failed"):  # as after any failed statement
            uow.commit()

    error, same = in_bulk.value, by_create.value
    assert (error.entity, error.fields, error.constraint) == ("Good", ("sku",), same.constraint)
    assert error.fields == same.fields
    assert len(stored(database)) == 1


def test_a_savepoint_undoes_it(database: Database) -> None:
    with Units(database) as uow:
        with pytest.raises(KeyError), uow.savepoint():
            uow.goods.bulk_create(some(1500))
            raise KeyError
        with pytest.raises(UniqueViolation), uow.savepoint():
            uow.goods.bulk_create([*some(1500), *some(1)])
        assert uow.goods.count() == 0
        uow.goods.bulk_create(some(2))
        uow.commit()
    assert len(stored(database)) == 2


def test_a_read_only_unit_refuses_it(database: Database) -> None:
    with Units(database, read_only=True) as uow:
        for write in (
            lambda: uow.goods.bulk_create(some(1)),
            lambda: uow.goods.bulk_update([{"id": 1, "sku": "x"}]),
            lambda: uow.goods.bulk_upsert(some(1), on="sku"),
            lambda: uow.goods.upsert(Good(sku="x"), on="sku"),
            lambda: uow.goods.get_or_create(Good(sku="x"), on="sku"),
        ):
            with pytest.raises(ReadOnlyViolation):
                write()


@pytest.mark.parametrize("rows", [None, 3, "abc", b"abc", {"sku": "x"}, Schema()])
def test_rows_are_a_list(database: Database, rows: Any) -> None:
    with Units(database) as uow, pytest.raises(ValidationError, match="rows: must be a list"):
        uow.goods.bulk_create(rows)


# -- bulk_update ---------------------------------------------------------------------------------


def test_only_what_is_given_is_changed(database: Database) -> None:
    with Units(database) as uow:
        first, second, third = uow.goods.create_many([Good(sku=str(n)) for n in range(3)])
        uow.commit()
    with Units(database) as uow:
        loaded = uow.repository(GoodModel).require(first.id)
        changes: list[Any] = [
            {"id": first.id, "weight": "1.50", "tags": ["x"]},
            {"id": second.id, "price": Money(Decimal(9))},
            Schema(id=third.id, colour=Colour.RED),
            {"id": 10**6, "sku": "nobody"},
        ]
        assert uow.goods.bulk_update(changes) == 3
        assert (loaded.weight, loaded.tags, loaded.version) == (Decimal("1.50"), ["x"], 2)
        assert loaded.updated_at > loaded.created_at
        loaded.sku = "changed"  # it was read again, so that the version fits
        uow.commit()

    goods = stored(database)
    assert [good.sku for good in goods] == ["changed", "1", "2"]
    assert [good.price.amount for good in goods] == [1, 9, 1]
    assert [good.colour for good in goods] == [None, None, Colour.RED]


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ({"sku": "x"}, "id"),
        ({"id": None, "sku": "x"}, "id"),
        ({"id": 1}, "row"),
        ({"id": 1, "nope": 3}, "nope"),
        ({"id": 1, "version": 3}, "version"),
        ({"id": 1, "sku": None}, "sku"),
        ({"id": "x", "sku": "x"}, "id"),
        (None, "entity"),
    ],
    ids=str,
)
def test_a_wrong_change_is_named(database: Database, row: Any, field: str) -> None:
    with Units(database) as uow:
        uow.goods.create(Good(sku="a", id=1))
        with pytest.raises(ValidationError, match=rf"{field}: .*\(row 1\)"):
            uow.goods.bulk_update([{"id": 1, "sku": "changed"}, row])
        with pytest.raises(ValidationError, match="id: is in two rows"):
            uow.goods.bulk_update([{"id": 1, "sku": "x"}, {"id": 1, "sku": "y"}])
        uow.commit()
    assert [good.sku for good in stored(database)] == ["a"]


def test_composite_keys_are_keys(database: Database) -> None:
    with Units(database) as uow:
        seats = uow.repository(Seat)
        seats.bulk_create({"row": n // 10, "place": n % 10} for n in range(100))
        seats.bulk_update({"row": n, "place": 3, "taken": True} for n in range(10))
        assert seats.count(where("taken") == True) == 10  # noqa: E712
        rows = [{"row": n, "place": 3, "hall": "A"} for n in range(8, 12)]
        assert seats.bulk_upsert(rows, on=("place", "row")) == 4
        assert [s.taken for s in seats.get_all(where("hall") == "A", order_by="row")] == [
            *(True, True),
            *(False, False),
        ]
        with pytest.raises(ValidationError, match="hall: must have a value"):
            seats.bulk_upsert([{"row": 1, "place": 1}], on=("hall", "row"))
        uow.rollback()


# -- bulk_upsert ---------------------------------------------------------------------------------


def test_rows_are_created_or_written_over(database: Database) -> None:
    with Units(database) as uow:
        goods = uow.repository(GoodModel)
        old = goods.create(GoodModel(sku="sku 5", colour=Colour.RED, weight=Decimal(7)))
        uow.commit()
    with Units(database) as uow:
        loaded = uow.repository(GoodModel).require(old.id)
        rows = ({"sku": f"sku {n}", "weight": n} for n in range(2500))
        assert uow.goods.bulk_upsert(rows, on="sku") == 2500
        assert (loaded.weight, loaded.colour, loaded.version) == (5, Colour.RED, 2)
        assert loaded.created_at == old.created_at
        assert loaded.updated_at > old.updated_at
        assert loaded.key == old.key
        assert uow.goods.bulk_upsert([{"sku": "sku 5"}], on="sku") == 1
        uow.commit()
    goods_ = stored(database)
    assert len(goods_) == 2500
    assert goods_[0].id == old.id


@pytest.mark.parametrize(
    ("row", "on", "said"),
    [
        ({"sku": "x"}, "short", "on: must be a unique key"),
        ({"sku": "x"}, (), "on: must be a unique key"),
        ({"sku": "x"}, ("sku", "key"), "on: must be a unique key"),
        ({"sku": "x"}, ("sku", "sku"), "on: must be a unique key"),
        ({"sku": "x"}, "nope", "nope: is no field"),
        ({"sku": "x"}, "id", "id: must have a value"),
        ({"sku": "x", "nope": 1}, "sku", "nope: is no field"),
    ],
)
def test_a_wrong_key_is_named(database: Database, row: Any, on: Any, said: str) -> None:
    with Units(database) as uow:
        with pytest.raises(ValidationError, match=said):
            uow.goods.bulk_upsert([row], on=on)
        with pytest.raises(ValidationError, match="sku: is in two rows"):
            uow.goods.bulk_upsert([{"sku": "x"}, {"sku": "x"}], on="sku")
        uow.commit()
    assert stored(database) == []


def test_a_conflict_of_another_key_is_an_error(database: Database) -> None:
    key = new_id()
    with Units(database) as uow:
        uow.goods.create(Good(sku="a", key=key))
        uow.commit()
    with pytest.raises(UniqueViolation) as raised, Units(database) as uow:
        uow.goods.bulk_upsert([{"sku": "b", "key": key}], on="sku")
    assert raised.value.fields == ("key",)


def test_writers_of_the_same_rows_agree(shared_database: Database) -> None:
    """Four at once; PostgreSQL may call it a deadlock, and then that one has stored nothing."""
    errors: list[BaseException] = []

    def write(number: int) -> None:
        try:
            with Units(shared_database) as uow:
                rows = ({"sku": f"sku {n}", "weight": number} for n in range(200))
                uow.goods.bulk_upsert(rows, on="sku")
                uow.commit()
        except Exception as error:  # noqa: BLE001 -- whatever it is, the test fails
            errors.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    goods = stored(shared_database)
    assert errors == []
    assert len(goods) == 200
    assert len({good.weight for good in goods}) == 1
