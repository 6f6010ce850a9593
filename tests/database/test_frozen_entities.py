"""Entities that never change, as their domain class says: stored, replaced, taken back."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest
from sqlmodel import Field

from domain import Entity
from infrastructure.database import (
    BaseRepository,
    BaseUnitOfWork,
    Database,
    Model,
    Timestamped,
    Versioned,
)


@dataclass(eq=False, kw_only=True, frozen=True)
class Coin(Entity):
    """Never changes."""

    face: str
    value: int = 1
    id: int | None = None


@dataclass(eq=False, kw_only=True, frozen=True)
class Medal(Entity):
    """With columns that do change."""

    motto: str
    id: int | None = None


class CoinModel(Coin, Model, table=True):
    __tablename__: ClassVar[str] = "frozen_coins"

    id: int | None = Field(default=None, primary_key=True)


class MedalModel(Medal, Timestamped, Versioned, Model, table=True):
    __tablename__: ClassVar[str] = "frozen_medals"

    id: int | None = Field(default=None, primary_key=True)


class CoinRepository(BaseRepository[Coin]):
    model = CoinModel


class MedalRepository(BaseRepository[Medal]):
    model = MedalModel


class Units(BaseUnitOfWork):
    coins: CoinRepository
    medals: MedalRepository


@pytest.fixture
def tables() -> list[Any]:
    return [CoinModel, MedalModel]


def test_a_frozen_entity_is_created_and_loaded(database: Database) -> None:
    plain = Coin(face="eagle", value=2)
    with Units(database) as uow:
        row = uow.coins.create(plain)
        uow.commit()
    assert plain.id == row.id is not None

    with Units(database) as uow:
        loaded = uow.coins.require(row.id)
        assert (loaded.face, loaded.value) == ("eagle", 2)
    with Units(database, read_only=True) as uow:
        found = uow.coins.require(row.id)
        assert type(found) is Coin
        assert found == plain


def test_many_frozen_entities_are_created(database: Database) -> None:
    with Units(database) as uow:
        coins = uow.coins.create_many([Coin(face="eagle"), Coin(face="lion", value="2")])  # type: ignore[arg-type]
        uow.commit()
    with Units(database) as uow:
        assert [coin.value for coin in uow.coins.get_many(coin.id for coin in coins)] == [1, 2]


def test_a_frozen_entity_is_taken_back_and_created_again(database: Database) -> None:
    plain = Coin(face="eagle")
    with Units(database) as uow:
        row = uow.coins.create(plain)
        uow.rollback()
        assert (plain.id, row.id) == (None, None)
        uow.coins.create(plain)
        uow.commit()

    with Units(database) as uow:
        assert uow.coins.count() == 1


def test_a_frozen_entity_is_replaced_by_update(database: Database) -> None:
    with Units(database) as uow:
        plain = Coin(face="eagle")
        uow.coins.create(plain)
        uow.commit()
    with Units(database) as uow:
        uow.coins.update(replace(plain, value=5))
        uow.commit()
    with Units(database) as uow:
        assert uow.coins.require(plain.id).value == 5
        uow.coins.update(plain.id, value=6)
        uow.commit()
    with Units(database) as uow:
        assert uow.coins.require(plain.id).value == 6


def test_a_frozen_row_is_frozen(database: Database) -> None:
    with Units(database) as uow:
        row: Any = uow.coins.create(Coin(face="eagle"))
        with pytest.raises(AttributeError):
            row.face = "lion"
        uow.commit()


def test_versions_and_times_of_frozen_rows_move(database: Database) -> None:
    with Units(database) as uow:
        row: Any = uow.medals.create(Medal(motto="first"))
        uow.commit()
        before = row.updated_at
    with Units(database) as uow:
        changed: Any = uow.medals.update(row.id, motto="second")
        uow.commit()

    assert (changed.motto, changed.version) == ("second", 2)
    assert changed.updated_at > before
    with Units(database, read_only=True) as uow:
        plain = uow.medals.require(row.id)
    with Units(database) as uow:
        assert uow.medals.update(replace_keeping_version(plain, motto="third")).motto == "third"
        uow.commit()


def replace_keeping_version(medal: Medal, **changes: Any) -> Medal:
    """``dataclasses.replace`` makes a new object, which bears no version of a row."""
    for name, value in changes.items():
        object.__setattr__(medal, name, value)
    return medal
