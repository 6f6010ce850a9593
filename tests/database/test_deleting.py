"""Deleting: by id, by entity, and what a rollback brings back."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
from sqlmodel import Field, SQLModel

from domain import ALL, Entity, where
from domain.errors import (
    ConcurrencyConflict,
    EntityNotFound,
    ForeignKeyViolation,
    ValidationError,
)
from infrastructure.database import BaseRepository, BaseUnitOfWork, Database, Model, Versioned


@dataclass(eq=False, kw_only=True)
class DropShip(Entity):
    name: str
    id: int | None = None


class DropShipModel(DropShip, Versioned, Model, table=True):
    __tablename__: ClassVar[str] = "drop_ships"

    id: int | None = Field(default=None, primary_key=True)


class DropCargo(Model, table=True):
    """Goods of a ship: natural key, no version."""

    code: str = Field(primary_key=True)
    ship_id: int | None = Field(default=None, foreign_key="drop_ships.id")


class DropLegacy(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    name: str


class Ships(BaseRepository[DropShip]):
    model = DropShipModel


class Cargo(BaseRepository[DropCargo]):
    pass


class Port(BaseUnitOfWork):
    ships: Ships
    cargo: Cargo


@pytest.fixture
def tables() -> list[Any]:
    return [DropShipModel, DropCargo, DropLegacy]


@pytest.fixture
def port(database: Database) -> Database:
    """Three ships, of which the first carries goods."""
    with Port(database) as uow:
        uow.ships.create_many([DropShip(name=name) for name in "abc"])
        uow.cargo.create(DropCargo(code="X", ship_id=1))
        uow.commit()
    return database


def ids(database: Database) -> list[Any]:
    with Port(database, read_only=True) as uow:
        return [ship.id for ship in uow.ships.get_all(order_by="id")]


@pytest.mark.parametrize("loaded", [False, True])
@pytest.mark.parametrize("by", ["id", "row", "plain", "row of before"])
def test_an_entity_is_deleted_by_id_or_by_itself(port: Database, by: str, loaded: bool) -> None:
    given: Any = 2
    if by in ("plain", "row of before"):
        with Port(port, read_only=by == "plain") as uow:
            given = uow.ships.require(2)
    with Port(port) as uow:
        row = uow.ships.require(2) if loaded or by == "row" else None
        uow.ships.delete(row if by == "row" else given)
        assert uow.ships.get_by_id(2) is None
        assert uow.ships.count() == 2
        assert not uow.ships.exists(where("id") == 2)
        uow.commit()
    assert ids(port) == [1, 3]
    if row is not None:
        assert row.name == "b"  # readable still


def test_a_missing_entity_cannot_be_deleted(port: Database) -> None:
    with Port(port) as uow:
        gone = uow.ships.require(3)
        uow.ships.delete(3)
        for given in (99, 3, gone):
            with pytest.raises(EntityNotFound) as caught:
                uow.ships.delete(given)
            assert caught.value.entity == "DropShip"
            assert caught.value.id == (99 if given == 99 else 3)
        with pytest.raises(EntityNotFound):
            uow.cargo.delete("nothing")
        uow.commit()
    assert ids(port) == [1, 2]


def test_what_was_never_stored_cannot_be_deleted(port: Database) -> None:
    with Port(port) as uow:
        with pytest.raises(ValidationError) as caught:
            uow.ships.delete(DropShip(name="new"))
        assert (caught.value.entity, set(caught.value.errors)) == ("DropShip", {"id"})
        for wrong in (None, "x", 1.5, [1], DropCargo(code="X")):
            with pytest.raises(ValidationError) as caught:
                uow.ships.delete(wrong)
            assert caught.value.entity == "DropShip"
        uow.commit()
    assert ids(port) == [1, 2, 3]


def test_a_deferred_entity_can_be_deleted_again(port: Database) -> None:
    with Port(port) as uow:
        row = uow.ships.create_deferred(DropShip(name="new"))
        uow.ships.delete(row)
        created = uow.ships.create(DropShip(name="other"))
        uow.ships.delete(created)
        uow.commit()
    assert ids(port) == [1, 2, 3]


def test_a_new_plain_entity_stands_for_its_row(port: Database) -> None:
    with Port(port) as uow:
        plain = DropShip(name="new")
        uow.ships.create(plain)
        uow.ships.delete(plain)
        uow.commit()
    assert ids(port) == [1, 2, 3]


def test_what_is_referred_to_cannot_be_deleted(port: Database) -> None:
    with Port(port) as uow:
        for given in (1, uow.ships.require(1)):
            with pytest.raises(ForeignKeyViolation) as caught, uow.savepoint():
                uow.ships.delete(given)
            assert (caught.value.entity, caught.value.fields) == ("DropCargo", ("ship_id",))
        assert uow.ships.require(1).name == "a"
        uow.cargo.delete("X")
        uow.ships.delete(1)
        uow.commit()
    assert ids(port) == [2, 3]


def test_an_old_version_is_not_deleted(port: Database) -> None:
    with Port(port) as uow:
        row = uow.ships.require(2)
    with Port(port, read_only=True) as uow:
        plain = uow.ships.require(2)
    with Port(port) as uow:
        uow.ships.update(2, name="changed")
        uow.commit()
    for old in (row, plain):
        with pytest.raises(ConcurrencyConflict) as caught, Port(port) as uow:
            uow.ships.delete(old)
        assert (caught.value.entity, caught.value.id) == ("DropShip", 2)
    assert ids(port) == [1, 2, 3]
    with Port(port) as uow:
        uow.ships.delete(2)  # an id has no version
        uow.commit()
    assert ids(port) == [1, 3]


def test_a_row_changed_under_a_loaded_entity_is_a_conflict(port: Database) -> None:
    with Port(port) as uow:
        ship = uow.ships.require(2)
        uow.session.connection().exec_driver_sql("UPDATE drop_ships SET version = 9")
        with pytest.raises(ConcurrencyConflict) as caught:
            uow.ships.delete(ship)
        uow.rollback()
    assert (caught.value.entity, caught.value.id) == ("DropShip", 2)
    assert ids(port) == [1, 2, 3]


def test_a_rollback_brings_it_back(port: Database) -> None:
    with Port(port) as uow:
        ship = uow.ships.require(2)
        uow.ships.delete(ship)
        uow.rollback()
        assert (ship.id, ship.name) == (2, "b")
        assert uow.ships.require(2) == ship
        with contextlib.suppress(RuntimeError), uow.savepoint():
            uow.ships.delete(2)
            raise RuntimeError
        assert uow.ships.require(2).name == "b"
        uow.ships.delete(2)
        uow.commit()
    assert ids(port) == [1, 3]


def test_it_can_be_created_again_under_the_same_key(port: Database) -> None:
    with Port(port) as uow:
        uow.cargo.delete("X")
        uow.cargo.create(DropCargo(code="X", ship_id=2))
        uow.commit()
    with Port(port) as uow:
        assert uow.cargo.require("X").ship_id == 2


def test_changes_of_the_deleted_entity_go_with_it(port: Database) -> None:
    with Port(port) as uow:
        ship = uow.ships.require(2)
        ship.name = "changed"
        uow.ships.delete(ship)
        uow.commit()
    assert ids(port) == [1, 3]


def test_a_plain_sqlmodel_row_is_deleted_by_itself(database: Database) -> None:
    with BaseUnitOfWork(database) as uow:
        legacy = uow.repository(DropLegacy)
        row = legacy.create(DropLegacy(name="x"))
        uow.commit()
    with BaseUnitOfWork(database) as uow:
        legacy = uow.repository(DropLegacy)
        legacy.delete(row)
        uow.commit()
        assert legacy.count(ALL) == 0
