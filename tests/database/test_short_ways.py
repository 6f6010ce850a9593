"""Connections, sessions and cursors that are had with less ado: nobody can tell from outside."""

from __future__ import annotations

import gc
import logging
from dataclasses import dataclass
from typing import Any, ClassVar
from uuid import UUID, uuid4

import pytest
from sqlalchemy import event, text
from sqlalchemy import inspect as state_of
from sqlalchemy.exc import ProgrammingError
from sqlmodel import Field

from domain import Entity
from domain.errors import DatabaseUnavailable, ValidationError
from infrastructure.database import BaseRepository, BaseUnitOfWork, Database, Model
from infrastructure.database.shortcuts import taken
from infrastructure.testing.queries import count_queries


@dataclass(eq=False, kw_only=True)
class Shell(Entity):
    name: str
    size: int = 1
    id: int | None = None


class ShellModel(Shell, Model, table=True):
    __tablename__: ClassVar[str] = "short_shells"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(max_length=20, unique=True)


class Shells(BaseRepository[Shell]):
    model = ShellModel


@dataclass(eq=False, kw_only=True)
class Pearl(Entity):
    colour: str
    id: UUID


class PearlModel(Pearl, Model, table=True):
    __tablename__: ClassVar[str] = "short_pearls"

    id: UUID = Field(primary_key=True)
    colour: str = Field(max_length=20)


class Pearls(BaseRepository[Pearl]):
    model = PearlModel


class Beach(BaseUnitOfWork):
    shells: Shells
    pearls: Pearls


@pytest.fixture
def tables() -> list[Any]:
    return [ShellModel, PearlModel]


@pytest.fixture
def beach(database: Database) -> Database:
    return filled(database)


@pytest.fixture
def shared_beach(shared_database: Database) -> Database:
    return filled(shared_database)


def filled(database: Database) -> Database:
    with Beach(database) as uow:
        uow.shells.create_many([Shell(name=f"{number}") for number in range(300)])
        uow.commit()
    return database


def idle(database: Database) -> tuple[int, int]:
    """How many connections are in use, and how many rest."""
    pool: Any = database.engine.pool
    return pool.checkedout(), pool.checkedin()


# -- connections ---------------------------------------------------------------------------------


def test_a_connection_that_is_thrown_away_goes_back_without_its_transaction(
    beach: Database,
) -> None:
    pooled = taken(beach.engine)
    pooled.driver_connection.execute("BEGIN")
    pooled.driver_connection.execute("DELETE FROM short_shells")
    assert idle(beach)[0] == 1
    del pooled
    gc.collect()
    assert idle(beach)[0] == 0
    with Beach(beach, read_only=True) as uow:
        assert uow.shells.count() == 300


@pytest.mark.parametrize("name", ["checkout", "checkin", "reset"])
def test_whoever_listens_to_a_pool_hears_of_units(beach: Database, name: str) -> None:
    heard: list[str] = []

    def hear(*_: Any) -> None:
        heard.append(name)

    event.listen(beach.engine, name, hear)
    try:
        with Beach(beach) as uow:
            uow.shells.require(1).size = 5
            uow.commit()
    finally:
        event.remove(beach.engine, name, hear)
    assert heard == [name]


def test_the_log_of_a_pool_tells_of_units(
    beach: Database, caplog: pytest.LogCaptureFixture
) -> None:
    logger = logging.getLogger("sqlalchemy.pool.impl.QueuePool")
    with caplog.at_level(logging.DEBUG, logger=logger.name), Beach(beach) as uow:
        uow.shells.create(Shell(name="logged"))
        uow.commit()
    assert "checked out from pool" in caplog.text


def test_a_connection_that_was_invalidated_is_not_used_again(shared_beach: Database) -> None:
    beach = shared_beach
    with Beach(beach) as uow:
        uow.shells.create(Shell(name="first"))
        uow.commit()
    with beach.engine.connect() as connection:
        before = connection.connection.driver_connection
        connection.invalidate()
    with Beach(beach) as uow:
        uow.shells.create(Shell(name="second"))
        assert uow.session.connection().connection.driver_connection is not before
        uow.commit()


def test_what_was_asked_of_the_pool_is_what_is_there_afterwards(beach: Database) -> None:
    for _ in range(3):
        before = idle(beach)
        with Beach(beach) as uow:
            uow.shells.require(1)
            assert idle(beach)[0] == before[0] + 1
            uow.session.execute(text("SELECT 1"))  # now it is SQLAlchemy's
            assert idle(beach)[0] == before[0] + 1
            uow.commit()
            assert idle(beach) == before
            uow.shells.require(2)
        assert idle(beach) == before


def test_a_connection_that_somebody_has_closed_ends_the_unit_as_ever(
    shared_beach: Database,
) -> None:
    beach = shared_beach
    with Beach(beach) as uow:
        uow.shells.require(1)
        driver = uow.session.connection().connection.driver_connection
        assert driver is not None
        driver.close()
        with pytest.raises((DatabaseUnavailable, ProgrammingError)):
            uow.shells.create(Shell(name="lost"))
    assert idle(beach)[0] == 0
    with Beach(beach) as uow:
        assert uow.shells.require(2).size == 1


def test_a_large_result_is_not_kept_by_a_connection_that_rests(beach: Database) -> None:
    with Beach(beach, read_only=True) as uow:
        assert len(uow.shells.window(size=250).items) == 250
    with beach.reader.connect() as connection:
        kept = connection.info.get("kit_cursor")
        assert kept is None or kept.rowcount <= 100


# -- sessions ------------------------------------------------------------------------------------


def test_a_change_begins_no_transaction_beside_that_of_the_unit(beach: Database) -> None:
    with Beach(beach) as uow:
        uow.shells.require(1).size = 7
        uow.session.execute(text("UPDATE short_shells SET size = 8 WHERE id = 2"))
        uow.rollback()
    with Beach(beach) as uow:
        assert [uow.shells.require(id).size for id in (1, 2)] == [1, 1]
        uow.shells.require(1).size = 7
        with uow.savepoint():
            uow.shells.require(2).size = 8
        uow.shells.require(3).size = 9
        uow.shells.require(4).size = 10  # two at once: a flush of SQLAlchemy's
        uow.commit()
    with Beach(beach, read_only=True) as uow:
        assert [uow.shells.require(id).size for id in (1, 2, 3, 4)] == [7, 8, 9, 10]


def test_what_a_commit_lets_go_of_looks_detached(beach: Database) -> None:
    with Beach(beach) as uow:
        loaded, made = uow.shells.require(1), uow.shells.create(Shell(name="made"))
        loaded.size = 3
        uow.commit()
        for entity in (loaded, made):
            state: Any = state_of(entity)
            assert state.detached
            assert state.session is None
            assert not state.modified
        assert [*uow.session] == []
        assert uow.shells.require(1) is not loaded


def test_who_listens_to_one_session_hears_that_its_entities_leave(beach: Database) -> None:
    left: list[Any] = []
    with Beach(beach) as uow:
        event.listen(uow.session, "persistent_to_detached", lambda _, one: left.append(one))
        loaded = uow.shells.require(1)
        uow.commit()
        assert left == [loaded]


# -- one row -------------------------------------------------------------------------------------


def test_one_row_with_a_key_of_its_own_is_one_statement(beach: Database) -> None:
    given = Pearl(colour="white", id=uuid4())
    with Beach(beach) as uow:
        with count_queries(beach) as counted:
            row = uow.pearls.create(given)
        assert len(counted) == 1
        assert row.id == given.id
        uow.commit()
    with Beach(beach, read_only=True) as uow:
        assert uow.pearls.require(given.id).colour == "white"


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": "x" * 21}, "name"),
        ({"name": None}, "name"),
        ({"name": "x", "size": "many"}, "size"),
    ],
)
def test_one_wrong_row_is_refused_in_the_words_of_many(
    beach: Database, values: dict[str, Any], field: str
) -> None:
    with Beach(beach) as uow:
        with pytest.raises(ValidationError) as alone:
            uow.shells.create(values)
        with pytest.raises(ValidationError) as together:
            uow.shells.create_many([{"name": "right"}, values])
        assert alone.value.errors == together.value.errors
        assert [*alone.value.errors] == [field]


def test_a_repository_that_creates_many_in_its_own_way_creates_one_like_that(
    beach: Database,
) -> None:
    class Polished(Shells):
        def create_many(self, entities: Any, /) -> list[Shell]:
            return super().create_many([{**each, "size": 99} for each in entities])

    with Beach(beach) as uow:
        assert Polished(uow.session).create({"name": "polished"}).size == 99
        uow.commit()


def test_a_lost_server_is_told_of_before_the_first_statement(shared_beach: Database) -> None:
    """What cannot begin is no unit: the error is that of a connection."""
    beach, heard = shared_beach, []

    def refuse(*_: Any) -> None:
        heard.append("asked")
        raise DatabaseUnavailable("not today")

    beach.engine.dispose()
    event.listen(beach.engine, "do_connect", refuse)
    try:
        with pytest.raises(DatabaseUnavailable), Beach(beach) as uow:
            uow.shells.create(Shell(name="refused"))
    finally:
        event.remove(beach.engine, "do_connect", refuse)
    assert heard
    assert idle(beach)[0] == 0
