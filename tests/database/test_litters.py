"""Many plain objects that were stored together: they are looked after like single ones."""

from __future__ import annotations

import gc
import weakref
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as some
from sqlmodel import Field

from domain import Entity
from domain.errors import UniqueViolation, UnitOfWorkError
from infrastructure.database import BaseRepository, BaseUnitOfWork, Database, Model
from infrastructure.database.dialects.moments import are_in_utc

MANY = 150


@dataclass(eq=False, kw_only=True)
class Kitten(Entity):
    name: str
    weight: float
    id: int | None = None


class KittenModel(Kitten, Model, table=True):
    __tablename__: ClassVar[str] = "litter_kittens"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(max_length=20, unique=True)


class Kittens(BaseRepository[Kitten]):
    model = KittenModel


class Units(BaseUnitOfWork):
    kittens: Kittens


@pytest.fixture
def tables() -> list[Any]:
    return [KittenModel]


def litter(prefix: str = "", count: int = MANY) -> list[Kitten]:
    return [Kitten(name=f"{prefix}{n}", weight=1.0) for n in range(count)]


def undo(uow: Units) -> None:
    """Leave a savepoint by an error."""
    raise RuntimeError


def test_originals_get_the_keys_of_their_rows(database: Database) -> None:
    originals = litter()
    with Units(database) as uow:
        rows = uow.kittens.create_many(originals)
        uow.commit()
    assert [one.id for one in originals] == [row.id for row in rows]
    assert [row.name for row in rows] == [str(n) for n in range(MANY)]


@pytest.mark.parametrize("at", [0, 70, MANY - 1])
def test_a_change_that_would_be_lost_is_refused(database: Database, at: int) -> None:
    originals = litter()
    with pytest.raises(UnitOfWorkError, match="was changed afterwards"), Units(database) as uow:
        uow.kittens.create_many(originals)
        originals[at].weight = 2.0
        uow.commit()


@pytest.mark.parametrize("at", [0, 70, MANY - 1])
def test_a_late_change_is_refused(database: Database, at: int) -> None:
    originals = litter()
    with pytest.raises(UnitOfWorkError, match="after its transaction"), Units(database) as uow:
        uow.kittens.create_many(originals)
        uow.commit()
        originals[at].weight = 2.0
        uow.commit()


def test_what_is_set_to_the_same_is_no_change(database: Database) -> None:
    originals = litter()
    with Units(database) as uow:
        uow.kittens.create_many(originals)
        originals[3].weight = float("1")
        del originals[50:]
        uow.commit()
        uow.commit()


def test_an_update_takes_an_original_over(database: Database) -> None:
    originals = litter()
    with Units(database) as uow:
        uow.kittens.create_many(originals)
        originals[5].weight = 5.0
        row = uow.kittens.update(originals[5])
        assert row.weight == 5.0
        uow.commit()
    with Units(database, read_only=True) as uow:
        found = uow.kittens.get_by_id(originals[5].id)
    assert found is not None
    assert found.weight == 5.0


def test_the_same_objects_again_are_refused(database: Database) -> None:
    originals = litter()
    with pytest.raises(UnitOfWorkError), Units(database) as uow:
        uow.kittens.create_many(originals)
        uow.kittens.create_many([*litter("other"), originals[7]])


def test_a_rollback_takes_the_keys_back(database: Database) -> None:
    originals = litter()
    with Units(database) as uow:
        rows = uow.kittens.create_many(originals)
        uow.rollback()
        assert {one.id for one in originals} == {row.id for row in rows} == {None}
        uow.kittens.create_many(originals)
        uow.commit()
    with Units(database, read_only=True) as uow:
        assert uow.kittens.count() == MANY


def test_a_savepoint_takes_back_its_own(database: Database) -> None:
    kept, gone = litter("kept"), litter("gone")
    with Units(database) as uow:
        uow.kittens.create_many(kept)
        with pytest.raises(RuntimeError), uow.savepoint():
            uow.kittens.create_many(gone)
            undo(uow)
        assert None not in {one.id for one in kept}
        assert {one.id for one in gone} == {None}
        gone[3].weight = 7.0
        uow.kittens.create_many(gone)
        uow.commit()
    with Units(database, read_only=True) as uow:
        assert uow.kittens.count() == 2 * MANY


def test_what_could_not_be_stored_has_no_keys(database: Database) -> None:
    originals = [*litter(), Kitten(name="7", weight=1.0)]
    with Units(database) as uow:
        with pytest.raises(UniqueViolation), uow.savepoint():
            uow.kittens.create_many(originals)
        assert {one.id for one in originals} == {None}
        assert uow.kittens.get_all() == []
        rows = uow.kittens.create_many(originals[:-1])
        assert uow.kittens.get_by_id(rows[3].id) is rows[3]
        uow.commit()


def test_objects_that_nobody_has_are_not_kept(database: Database) -> None:
    originals = litter()
    reference = weakref.ref(originals[0])
    with Units(database) as uow:
        rows = uow.kittens.create_many(originals)
        del originals
        gc.collect()
        assert reference() is None
        uow.commit()
    assert len(rows) == MANY


def test_a_key_may_be_in_two_batches_of_an_upsert(database: Database) -> None:
    rows = [{"name": str(n), "weight": 1.0} for n in range(1500)]
    rows += [{"name": str(n), "weight": 2.0} for n in range(500)]
    with Units(database) as uow:
        uow.kittens.bulk_upsert(rows, on="name")
        uow.commit()
    with Units(database, read_only=True) as uow:
        weights = {one.name: one.weight for one in uow.kittens.get_all()}
    assert [weights[str(n)] for n in range(1500)] == [2.0] * 500 + [1.0] * 1000


@given(some.lists(some.datetimes(timezones=some.timezones() | some.none()), max_size=5))
def test_moments_in_utc_are_aware(values: list[Any]) -> None:
    assert not are_in_utc(values) or all(value.tzinfo is not None for value in values)
