"""Private parts of SQLAlchemy: tried once, and never needed."""

from __future__ import annotations

import gc
import logging
import threading
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
from sqlalchemy import Engine, event
from sqlalchemy import inspect as state_of
from sqlalchemy.orm import ORMExecuteState, Session, with_loader_criteria
from sqlmodel import Field, select

from domain import Entity, where
from domain.errors import ConcurrencyConflict
from infrastructure.database import (
    BaseRepository,
    BaseUnitOfWork,
    Database,
    Model,
    Timestamped,
    Versioned,
    shortcuts,
)
from infrastructure.database.collecting import paused
from infrastructure.database.models.building import builder
from infrastructure.database.shortcuts import trial


@dataclass(eq=False, kw_only=True)
class Stone(Entity):
    name: str
    weight: int = 1
    id: int | None = None


class StoneModel(Stone, Model, table=True):
    __tablename__: ClassVar[str] = "quick_stones"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(max_length=20, unique=True)


@dataclass(eq=False, kw_only=True)
class Ledger(Entity):
    name: str
    pages: int | None = 9
    id: int | None = None


class LedgerModel(Ledger, Timestamped, Versioned, Model, table=True):
    __tablename__: ClassVar[str] = "quick_ledgers"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(max_length=20, unique=True)


class Ledgers(BaseRepository[Ledger]):
    model = LedgerModel


class Books(BaseUnitOfWork):
    ledgers: Ledgers


class Stones(BaseRepository[Stone]):
    model = StoneModel


class Quarry(BaseUnitOfWork):
    stones: Stones


@pytest.fixture
def tables() -> list[Any]:
    return [StoneModel, LedgerModel]


@pytest.fixture
def quarry(database: Database) -> Database:
    with Quarry(database) as uow:
        uow.stones.create_many([Stone(name=f"{number}") for number in range(3)])
        uow.commit()
    return database


# -- whether they are used -----------------------------------------------------------------------


def test_they_work_with_the_libraries_that_are_installed() -> None:
    ours, theirs = trial._tried()
    assert ours == theirs
    assert shortcuts.usable()


@pytest.mark.parametrize("wrong", [({"held": 1}, {"held": 2}), RuntimeError("no such part")])
def test_where_they_do_not_a_warning_says_so_once(
    monkeypatch: pytest.MonkeyPatch, wrong: Any
) -> None:
    def tried() -> Any:
        if isinstance(wrong, Exception):
            raise wrong
        return wrong

    monkeypatch.setattr(trial, "_tried", tried)
    with pytest.warns(RuntimeWarning, match="more slowly than it could"):
        assert not shortcuts.usable.__wrapped__()


def test_they_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(shortcuts.VARIABLE, "0")
    assert not shortcuts.usable.__wrapped__()


def test_without_them_statements_do_not_go_to_the_driver(
    monkeypatch: pytest.MonkeyPatch, make_database: Any, url: str
) -> None:
    monkeypatch.setattr(shortcuts, "usable", lambda: False)
    assert not make_database(url).direct


# -- nothing can be seen of them -----------------------------------------------------------------


def test_what_is_loaded_is_what_sqlalchemy_loads(quarry: Database) -> None:
    with Quarry(quarry) as uow:
        ours = uow.stones.get_all(order_by="name")[0]
    with Session(quarry.engine) as session:
        theirs = session.get(StoneModel, ours.id)
        assert theirs is not None
        values = [{n: v for n, v in vars(one).items() if n[0] != "_"} for one in (ours, theirs)]
        assert values[0] == values[1]
        assert state_of(ours).key == state_of(theirs).key
        assert repr(ours) == repr(theirs)


def test_what_is_created_is_what_a_flush_creates(
    quarry: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def created(name: str) -> Any:
        with Quarry(quarry) as uow:
            row: Any
            (row,) = uow.stones.create_many([Stone(name=name, weight=7)])
            seen = (row.model_dump(exclude={"id", "name"}), row.__pydantic_fields_set__)
            assert row in uow.session
            assert uow.stones.get_by_id(row.id) is row
            row.weight = 8
            uow.commit()
            return seen

    ours = created("ours")
    monkeypatch.setattr(shortcuts.Tracked, "is_watched_when_storing", lambda *_: True)
    assert created("theirs") == ours
    with Quarry(quarry, read_only=True) as uow:
        assert sorted(stone.weight for stone in uow.stones.get_all()) == [1, 1, 1, 8, 8]


@pytest.mark.parametrize("count", [1, 2, 300])
def test_plain_originals_bear_the_version_of_what_was_created(
    database: Database, count: int
) -> None:
    plain = [Ledger(name=f"{number}") for number in range(count)]
    with Books(database) as uow:
        uow.ledgers.create_many(plain)
        uow.rollback()
        assert [one.id for one in plain] == [None] * count
        rows = uow.ledgers.create_many(plain)
        assert [one.id for one in plain] == [one.id for one in rows]
        uow.commit()
    plain[-1].name = "changed"
    with Books(database) as uow:
        uow.ledgers.update(plain[-1])
        uow.commit()
    with Books(database) as uow:
        uow.ledgers.update(plain[-1].id, pages=1)
        uow.commit()
    with Books(database) as uow, pytest.raises(ConcurrencyConflict):
        uow.ledgers.update(plain[-1])


def test_none_for_a_field_with_a_default_is_what_a_flush_makes_of_it(database: Database) -> None:
    with Books(database) as uow:
        (one,) = uow.ledgers.create_many([{"name": "a", "pages": None}])
        (two,) = uow.ledgers.create_many([{"name": "b"}])
        assert [one.pages, two.pages] == [9, 9]
        uow.commit()


def test_listeners_hear_of_everything_as_ever(quarry: Database) -> None:
    heard: list[Any] = []

    def hear(*_: Any) -> None:
        heard.append("something")

    for name in ("load", "before_insert"):
        event.listen(StoneModel, name, hear)
    try:
        with Quarry(quarry) as uow:
            assert uow.stones.get_by_id(1) is not None
            assert len(heard) == 1
            uow.stones.create(Stone(name="heard"))
            uow.commit()
        assert len(heard) == 2
    finally:
        for name in ("load", "before_insert"):
            event.remove(StoneModel, name, hear)


def test_who_listened_before_the_database_was_made_hears_of_each_statement(
    make_database: Any, url: str
) -> None:
    """As what traces all engines of a process does."""
    heard: list[str] = []

    def hear(*arguments: Any) -> None:
        heard.append(arguments[2])

    event.listen(Engine, "before_cursor_execute", hear)
    try:
        database = make_database(url)
        with Quarry(database) as uow:
            uow.stones.create(Stone(name="one"))
            uow.commit()
        heard.clear()
        with Quarry(database, read_only=True) as uow:
            assert uow.stones.get_by_id(1) is not None
    finally:
        event.remove(Engine, "before_cursor_execute", hear)
    assert [sql for sql in heard if "quick_stones" in sql] != []


@pytest.mark.parametrize("read_only", [False, True], ids=["writing", "reading"])
def test_whoever_changes_all_statements_changes_these_too(
    quarry: Database, read_only: bool
) -> None:
    def hide(state: ORMExecuteState) -> None:
        hidden = with_loader_criteria(StoneModel, StoneModel.name != "1")
        state.statement = state.statement.options(hidden)

    event.listen(Session, "do_orm_execute", hide)
    try:
        with Quarry(quarry, read_only=read_only) as uow:
            seen = [stone.name for stone in uow.stones.get_all(order_by="name")]
            assert seen == [stone.name for stone in uow.stones.stream(order_by="name")]
            assert seen == ["0", "2"]
            assert uow.stones.count() == 2
            assert not uow.stones.exists(where("name") == "1")
            assert uow.stones.page().total == 2
            assert len(uow.stones.window(order_by="name").items) == 2
            assert [uow.stones.get_by_id(id) is None for id in (1, 2, 3)] == [False, True, False]
            assert len(uow.stones.get_many([1, 2, 3])) == 2
    finally:
        event.remove(Session, "do_orm_execute", hide)


def test_a_log_has_each_statement(quarry: Database, caplog: pytest.LogCaptureFixture) -> None:
    logged = caplog.at_level(logging.INFO, logger="sqlalchemy.engine")
    with logged, Quarry(quarry, read_only=True) as uow:
        uow.stones.get_by_id(2)
    assert "quick_stones" in caplog.text


def test_a_statement_timeout_counts_for_each_statement(make_database: Any, url: str) -> None:
    """On SQLite it is renewed by a listener, so that each statement must be heard of."""
    database = make_database(url, statement_timeout=5.0)
    with Quarry(database) as uow:
        uow.stones.create(Stone(name="one"))
        uow.commit()
    with Quarry(database, read_only=True) as uow:
        heard: list[str] = []

        def hear(*arguments: Any) -> None:
            heard.append(arguments[2])

        assert uow.stones.get_by_id(1) is not None
        engine = uow.session.source
        event.listen(engine, "before_cursor_execute", hear)
        assert uow.stones.get_by_id(2) is None
        event.remove(engine, "before_cursor_execute", hear)
    assert len(heard) == 1
    assert database.direct == (not url.startswith("sqlite"))


def test_the_session_sees_what_the_driver_saw(database: Database) -> None:
    """One connection, and one snapshot on SQLite, whichever way they read."""
    with Quarry(database) as uow:
        uow.stones.create(Stone(name="one"))
        uow.commit()
    with Quarry(database, read_only=True) as uow:
        assert uow.stones.get_by_id(1) is not None
        assert uow.session.exec(select(StoneModel)).one().name == "one"
        assert database.reader.pool.checkedout() == 1  # type: ignore[attr-defined]
        assert uow.stones.count() == 1
    assert database.reader.pool.checkedout() == 0  # type: ignore[attr-defined]


def test_an_id_of_another_type_is_not_taken_for_a_loaded_one(quarry: Database) -> None:
    with Quarry(quarry) as uow:
        one = uow.stones.require(1)
        assert uow.stones.get_by_id(1) is one
        assert uow.stones.get_by_id("1") is one
        uow.stones.delete(one)
        assert uow.stones.get_by_id(1) is None
        uow.rollback()
        assert uow.stones.require(1) is not one


# -- the collector -------------------------------------------------------------------------------


def test_the_collector_is_as_it_was_after_the_last_pause() -> None:
    assert gc.isenabled()
    with paused():
        with paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ValueError, match="inside"), paused():
        raise ValueError("inside")
    assert gc.isenabled()


def test_who_has_switched_it_off_finds_it_off() -> None:
    gc.disable()
    try:
        with paused():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_threads_pause_it_together() -> None:
    entered, leave = threading.Event(), threading.Event()

    def work() -> None:
        with paused():
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=work)
    thread.start()
    entered.wait(10)
    with paused():
        pass
    assert not gc.isenabled()
    leave.set()
    thread.join()
    assert gc.isenabled()


# -- making entities -----------------------------------------------------------------------------


def test_a_class_that_does_something_when_it_is_set_is_not_asked() -> None:
    class Shouting:
        def __setattr__(self, name: str, value: object) -> None:
            raise AssertionError(name)

        @property
        def read(self) -> int:
            return 7

    (one,) = builder(Shouting, ("name", "read"))([("a", 2)])
    assert vars(one) == {"name": "a", "read": 2}


def test_values_are_converted_where_they_have_to_be() -> None:
    (one,) = builder(Stone, ("name", "weight"), ((1, int),))([("a", "12")])
    assert vars(one) == {"name": "a", "weight": 12}
