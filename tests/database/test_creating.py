"""Creating: what is accepted, what comes back, and all or nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar

import pydantic
import pytest
from sqlmodel import Field

from domain import Entity, where
from domain.errors import UniqueViolation, UnitOfWorkError, ValidationError
from infrastructure.database import (
    BaseRepository,
    BaseUnitOfWork,
    Database,
    Model,
    Timestamped,
    Versioned,
)


@dataclass(eq=False, kw_only=True)
class MakeGuest(Entity):
    name: str
    age: int | None = None
    tags: list[str] = field(default_factory=list)
    id: int | None = None

    def __post_init__(self) -> None:
        if isinstance(self.name, str) and not self.name.strip():
            raise ValidationError("MakeGuest", {"name": "must not be blank"})


class MakeGuestModel(MakeGuest, Timestamped, Versioned, Model, table=True):
    __tablename__: ClassVar[str] = "make_guests"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(max_length=20, unique=True)


class MakeRoom(Model, table=True):
    house: str = Field(primary_key=True)
    number: int = Field(primary_key=True)


class Guests(BaseRepository[MakeGuest]):
    model = MakeGuestModel


class House(BaseUnitOfWork):
    guests: Guests


class GuestForm(pydantic.BaseModel):
    name: str
    age: int | None = None


@pytest.fixture
def tables() -> list[Any]:
    return [MakeGuestModel, MakeRoom]


def names(database: Database) -> list[str]:
    with House(database, read_only=True) as uow:
        return [guest.name for guest in uow.guests.get_all(order_by="name")]


def test_a_plain_entity_gets_its_id_and_the_row_is_returned(database: Database) -> None:
    plain = MakeGuest(name="Ada", age=36)
    with House(database) as uow:
        row = uow.guests.create(plain)
        assert isinstance(row, MakeGuestModel)
        assert row.id == plain.id == 1
        assert row == plain
        assert uow.guests.get_by_id(1) is row
        assert row.version == 1
        assert row.created_at.tzinfo is not None
        uow.commit()
    assert (row.name, row.age, row.tags) == ("Ada", 36, [])


@pytest.mark.parametrize(
    "given",
    [
        MakeGuest(name="Ada", age=3),
        {"name": "Ada", "age": 3},
        {"name": "Ada", "age": "3"},
        GuestForm(name="Ada", age=3),
    ],
    ids=["entity", "mapping", "convertible", "schema"],
)
def test_entities_mappings_and_schemas_are_accepted(database: Database, given: Any) -> None:
    for method in ("create", "create_deferred"):
        with House(database) as uow:
            row = getattr(uow.guests, method)(given)
            uow.commit()
            assert (row.name, row.age) == ("Ada", 3)
            uow.guests.delete(row.id)
            uow.commit()
        if isinstance(given, MakeGuest):
            given.id = None
    with House(database) as uow:
        assert uow.guests.create_many([given])[0].age == 3
        uow.rollback()


def test_a_row_made_by_hand_is_stored_itself(database: Database) -> None:
    row = MakeGuestModel(name="Ada")
    with House(database) as uow:
        assert uow.guests.create(row) is row
        assert row.id == 1
        with pytest.raises(UnitOfWorkError):
            uow.guests.create(row)
        uow.commit()
        with pytest.raises(UnitOfWorkError):
            uow.guests.create(row)
    assert names(database) == ["Ada"]


def test_the_same_object_cannot_be_created_twice(database: Database) -> None:
    plain = MakeGuest(name="Ada")
    with House(database) as uow:
        uow.guests.create(plain)
        with pytest.raises(UnitOfWorkError):
            uow.guests.create(plain)
        other = MakeGuest(name="Bob")
        with pytest.raises(UnitOfWorkError):
            uow.guests.create_many([other, other])
        uow.commit()
    assert names(database) == ["Ada"]


def test_a_given_id_is_kept_and_the_next_does_not_collide_with_it(database: Database) -> None:
    with House(database) as uow:
        uow.guests.create(MakeGuest(name="a"))
        uow.guests.create(MakeGuest(name="z", id=500))
        assert uow.guests.require(500).name == "z"
        uow.commit()
    with House(database) as uow:
        assert uow.guests.create(MakeGuest(name="b")).id not in (None, 1, 500)
        many = uow.guests.create_many([MakeGuest(name=name) for name in "cd"])
        assert len({guest.id for guest in many} - {1, 500}) == 2
        uow.commit()
    assert names(database) == ["a", "b", "c", "d", "z"]


def test_many_come_back_in_their_order_with_ids(database: Database) -> None:
    plain = [MakeGuest(name=f"guest {n}", age=n if n % 2 else None) for n in range(1200)]
    with House(database) as uow:
        rows = uow.guests.create_many(iter(plain))
        assert [row.name for row in rows] == [guest.name for guest in plain]
        assert [row.id for row in rows] == [guest.id for guest in plain]
        assert len({row.id for row in rows}) == 1200
        uow.commit()
    with House(database, read_only=True) as uow:
        stored = uow.guests.get_many([row.id for row in rows])
        assert [guest.name for guest in stored] == [guest.name for guest in plain]
        assert [guest.age for guest in stored] == [guest.age for guest in plain]


def test_many_of_mixed_making(database: Database) -> None:
    given: list[Any] = [
        MakeGuest(name="plain"),
        {"name": "mapping"},
        GuestForm(name="form"),
        MakeGuestModel(name="row"),
        MakeGuest(name="numbered", id=90),
    ]
    with House(database) as uow:
        rows = uow.guests.create_many(given)
        assert [row.name for row in rows] == ["plain", "mapping", "form", "row", "numbered"]
        assert rows[4].id == 90
        assert len({row.id for row in rows}) == 5
        uow.commit()


def test_nothing_to_create_is_nothing(database: Database) -> None:
    with House(database) as uow:
        assert uow.guests.create_many([]) == []
        assert uow.guests.create_many(iter(())) == []
        uow.commit()
    assert names(database) == []


def test_one_invalid_entity_among_many_stores_none_and_the_unit_goes_on(
    database: Database,
) -> None:
    with House(database) as uow:
        fine = MakeGuest(name="fine")
        for wrong in ({"name": "x" * 21}, {"name": " "}, {"nam": "x"}, {}, None, 5):
            with pytest.raises(ValidationError) as caught:
                uow.guests.create_many([fine, wrong, {"name": "late"}])
            assert caught.value.entity == "MakeGuest"
            assert fine.id is None
        assert uow.guests.create(fine).id is not None
        uow.commit()
    assert names(database) == ["fine"]


def test_one_duplicate_among_many_stores_none(database: Database) -> None:
    with House(database) as uow:
        uow.guests.create(MakeGuest(name="taken"))
        uow.commit()
        first = MakeGuest(name="first")
        with pytest.raises(UniqueViolation) as caught, uow.savepoint():
            uow.guests.create_many([first, MakeGuest(name="taken")])
        assert (caught.value.entity, caught.value.fields) == ("MakeGuest", ("name",))
        assert first.id is None
        assert uow.guests.count() == 1
        uow.commit()
    assert names(database) == ["taken"]


def test_deferred_entities_are_written_together_with_the_next_flush(database: Database) -> None:
    with House(database) as uow:
        plain = MakeGuest(name="later")
        row = uow.guests.create_deferred(plain)
        assert row.id is None
        uow.guests.create_deferred({"name": "later too"})
        uow.guests.create(MakeGuest(name="now"))
        assert row.id is not None
        assert plain.id == row.id
        uow.guests.create_deferred({"name": "at commit"})
        uow.commit()
    assert names(database) == ["at commit", "later", "later too", "now"]


def test_a_deferred_entity_is_validated_at_once_and_again_when_written(
    database: Database,
) -> None:
    with House(database) as uow:
        with pytest.raises(ValidationError):
            uow.guests.create_deferred({"name": "x" * 21})
        row = uow.guests.create_deferred({"name": "fine"})
        row.name = "x" * 21
        with pytest.raises(ValidationError) as caught:
            uow.commit()
        assert set(caught.value.errors) == {"name"}
        row.name = "mended"
        uow.commit()
    assert names(database) == ["mended"]


def test_a_changed_original_is_refused_at_the_flush(database: Database) -> None:
    with House(database) as uow:
        plain = MakeGuest(name="Ada")
        uow.guests.create(plain)
        plain.age = 40
        with pytest.raises(UnitOfWorkError, match="MakeGuest"):
            uow.commit()
        uow.rollback()
    assert names(database) == []


def test_lists_are_not_shared_with_what_was_given(database: Database) -> None:
    with House(database) as uow:
        plain = MakeGuest(name="Ada", tags=["a"])
        row = uow.guests.create(plain)
        row.tags.append("b")
        uow.commit()
    with House(database) as uow:
        assert uow.guests.require(row.id).tags == ["a", "b"]


def test_a_rollback_takes_the_ids_away_so_that_it_can_be_tried_again(database: Database) -> None:
    plain, many = MakeGuest(name="Ada"), [MakeGuest(name="b"), MakeGuest(name="c", id=70)]
    with House(database) as uow:
        row = uow.guests.create(plain)
        uow.guests.create_many(many)
        uow.rollback()
        assert (plain.id, row.id) == (None, None)
        assert [guest.id for guest in many] == [None, 70]
        uow.guests.create(plain)
        uow.guests.create_many(many)
        uow.commit()
    assert names(database) == ["Ada", "b", "c"]


def test_times_come_from_the_clock_of_the_database(database: Database) -> None:
    noon = datetime(2024, 1, 1, 12, tzinfo=UTC)
    database.clock = lambda: noon
    with House(database) as uow:
        row: Any = uow.guests.create(MakeGuest(name="Ada"))
        many: list[Any] = uow.guests.create_many([MakeGuest(name="b"), MakeGuest(name="c")])
        later: Any = uow.guests.create_deferred(MakeGuest(name="d"))
        uow.commit()
    for guest in (row, *many, later):
        assert (guest.created_at, guest.updated_at) == (noon, noon)


def test_composite_keys_come_from_the_caller(database: Database) -> None:
    with BaseUnitOfWork(database) as uow:
        rooms = uow.repository(MakeRoom)
        rooms.create_many([{"house": house, "number": n} for house in "ab" for n in range(3)])
        with pytest.raises(ValidationError) as caught:
            rooms.create({"house": "a"})
        assert set(caught.value.errors) == {"number"}
        uow.commit()
    with BaseUnitOfWork(database) as uow:
        assert uow.repository(MakeRoom).count(where("house") == "a") == 3


def test_nothing_is_stored_without_commit(database: Database) -> None:
    with House(database) as uow:
        uow.guests.create(MakeGuest(name="Ada"))
        uow.rollback()
    assert names(database) == []
