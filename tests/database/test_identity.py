"""When two entities are the same one: by their domain class and their id, and nothing else."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import UUID

import pytest
from sqlmodel import Field

from domain import Entity, Person, Team, new_id
from infrastructure.database import BaseRepository, BaseUnitOfWork, Database, Model, Versioned
from infrastructure.database.models.person import PersonModel
from infrastructure.database.models.team import TeamModel
from infrastructure.database.unit_of_work import UnitOfWork


@dataclass(eq=False, kw_only=True)
class Parcel(Entity):
    """Its id is born with it."""

    address: str
    id: UUID = field(default_factory=new_id)


class ParcelModel(Parcel, Versioned, Model, table=True):
    __tablename__: ClassVar[str] = "identity_parcels"

    id: UUID = Field(primary_key=True)


class SeatModel(Model, table=True):
    """A composite key."""

    __tablename__: ClassVar[str] = "identity_seats"

    row: int = Field(primary_key=True)
    place: str = Field(primary_key=True, max_length=1)
    taken: bool = False


class ParcelRepository(BaseRepository[Parcel]):
    model = ParcelModel


class Units(UnitOfWork):
    parcels: ParcelRepository


@pytest.fixture
def tables() -> list[Any]:
    return [TeamModel, PersonModel, ParcelModel, SeatModel]


def person(kind: type[Person] = Person, **values: Any) -> Person:
    return kind(**{"name": "Ada", "email": "ada@example.com", **values})


def test_a_row_equals_its_domain_object_with_the_same_id() -> None:
    row, plain = person(PersonModel, id=1), person(id=1, name="Countess")

    assert row == plain
    assert plain == row
    assert not row != plain  # noqa: SIM202 -- both operators are asked
    assert hash(row) == hash(plain)


def test_another_id_is_another_entity() -> None:
    assert person(PersonModel, id=1) != person(id=2)
    assert person(PersonModel, id=1) != person(PersonModel, id=2)


def test_another_class_with_the_same_id_is_another_entity() -> None:
    assert PersonModel(id=1, name="Ada", email="ada@example.com") != TeamModel(id=1, name="Ada")
    assert person(id=1) != Team(id=1, name="Ada")
    assert person(PersonModel, id=1) != 1
    assert person(PersonModel, id=1) is not None


@pytest.mark.parametrize("kind", [Person, PersonModel])
def test_without_an_id_an_entity_equals_only_itself(kind: type[Person]) -> None:
    one, other = person(kind), person(kind)

    assert one == one
    assert one != other


@pytest.mark.parametrize("kind", [Person, PersonModel])
def test_without_an_id_there_is_no_hash(kind: type[Person]) -> None:
    with pytest.raises(TypeError, match="Person has no id yet"):
        hash(person(kind))
    with pytest.raises(TypeError):
        {person(kind)}


def test_rows_and_domain_objects_meet_in_sets_and_dicts() -> None:
    row, plain, other = person(PersonModel, id=1), person(id=1), person(PersonModel, id=2)

    assert len({row, plain, other}) == 2
    assert {row: "found"}[plain] == "found"
    rows = {row}
    assert plain in rows
    assert other not in rows
    assert [plain, other].index(row) == 0


def test_the_id_zero_is_an_id() -> None:
    assert person(PersonModel, id=0) == person(id=0)
    assert hash(person(PersonModel, id=0)) == hash(person(id=0))


def test_a_stored_row_is_found_among_those_of_other_units(database: Database) -> None:
    with UnitOfWork(database) as uow:
        plain = person()
        created = uow.people.create(plain)
        uow.commit()
    known = {created}

    with UnitOfWork(database) as uow:
        loaded = uow.people.require(created.id)
        assert loaded is not created
        assert loaded in known
        assert plain in known
    with UnitOfWork(database, read_only=True) as uow:
        detached = uow.people.require(created.id)
        assert type(detached) is Person
        assert detached in known


def test_the_hash_stays_through_changes_and_the_end_of_the_unit(database: Database) -> None:
    with UnitOfWork(database) as uow:
        created = uow.people.create(person())
        before = hash(created)
        created.name = "Countess"
        uow.commit()
        assert hash(created) == before
    assert hash(created) == before


def test_a_failed_unit_gives_back_the_id_and_so_the_hash(database: Database) -> None:
    with UnitOfWork(database) as uow:
        created = uow.people.create(person())
        hash(created)
        uow.rollback()

    with pytest.raises(TypeError):
        hash(created)


def test_composite_keys_identify_by_all_their_parts() -> None:
    seat = SeatModel(row=1, place="a")

    assert seat == SeatModel(row=1, place="a", taken=True)
    assert hash(seat) == hash(SeatModel(row=1, place="a", taken=True))
    assert seat != SeatModel(row=1, place="b")
    assert seat != SeatModel(row=2, place="a")


def test_composite_keys_in_the_database(database: Database) -> None:
    with BaseUnitOfWork(database) as uow:
        seats = uow.repository(SeatModel)
        created = seats.create_many([SeatModel(row=r, place=p) for r in (1, 2) for p in "ab"])
        assert seats.require((2, "a")) is created[2]
        uow.commit()
    with BaseUnitOfWork(database) as uow:
        loaded = uow.repository(SeatModel).get_all()
        assert set(loaded) == set(created)
        assert uow.repository(SeatModel).require((2, "a")) == created[2]


def test_an_id_may_be_born_in_the_domain() -> None:
    plain = Parcel(address="here")
    row: Any = ParcelModel(address="here")

    assert plain.id != Parcel(address="here").id
    assert plain != row
    assert row.id.version == 7
    assert len({plain, row}) == 2
    assert ParcelModel(address="there", id=plain.id) == plain


def test_the_id_of_the_domain_is_the_key_in_the_database(database: Database) -> None:
    plain = Parcel(address="here")
    born = plain.id
    with Units(database) as uow:
        created = uow.parcels.create(plain)
        assert created == plain
        assert created.id == plain.id == born
        uow.commit()
    with Units(database) as uow:
        loaded = uow.parcels.require(born)
        assert loaded == plain
        assert type(loaded.id) is UUID


def test_an_id_of_the_domain_outlives_a_rollback(database: Database) -> None:
    plain = Parcel(address="here")
    born = plain.id
    with Units(database) as uow:
        created = uow.parcels.create(plain)
        uow.rollback()
        assert (created.id, plain.id) == (born, born)
        uow.parcels.create(plain)
        uow.commit()
    with Units(database) as uow:
        assert uow.parcels.require(born) == created


def test_ids_of_the_domain_sort_by_the_time_of_their_making(database: Database) -> None:
    parcels = [Parcel(address=str(number)) for number in range(200)]
    with Units(database) as uow:
        uow.parcels.create_many(reversed(parcels))
        uow.commit()
    with Units(database, read_only=True) as uow:
        found = uow.parcels.get_all(order_by="id")
    made = [parcel.id.int >> 80 for parcel in found]

    assert made == sorted(made)
    assert abs(made[0] / 1000 - datetime.now(UTC).timestamp()) < 3600
    assert [parcel.id for parcel in found] == sorted(parcel.id for parcel in parcels)
