"""Read, change and write from many processes and threads at once: no change may be lost."""

from __future__ import annotations

import multiprocessing
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any, ClassVar, NamedTuple

import pytest
from sqlalchemy.exc import OperationalError
from sqlmodel import Field, Session, create_engine

from domain import where
from domain.errors import ConcurrencyConflict, UniqueViolation
from infrastructure.database import BaseUnitOfWork, Database, Model, Versioned

WORKERS = 8

pytestmark = pytest.mark.timeout(600)  # thousands of units in a soak


class RaceCounter(Model, table=True):
    __tablename__: ClassVar[str] = "race_counters"

    id: int | None = Field(default=None, primary_key=True)
    value: int = 0


class RaceDocument(Versioned, Model, table=True):
    __tablename__: ClassVar[str] = "race_documents"

    id: int | None = Field(default=None, primary_key=True)
    value: int = 0


class Outcome(NamedTuple):
    """What one worker was told."""

    stored: int
    refused: int


Work = Callable[[str, int], Outcome]
Race = Callable[[Work], Outcome]


# -- what a worker does; by name, because a spawned process imports it ---------------------


def increment_in_units(url: str, rounds: int) -> Outcome:
    with Database(url) as database:
        _increment_in_units(database, rounds)
    return Outcome(rounds, 0)


def _increment_in_units(database: Database, rounds: int) -> None:
    locked = needs_lock(database)
    for _ in range(rounds):
        with BaseUnitOfWork(database) as uow:
            uow.repository(RaceCounter).require(1, for_update=locked).value += 1
            uow.commit()


def increment_by_running(url: str, rounds: int) -> Outcome:
    """Without a lock at SERIALIZABLE: whoever comes in between is noticed, and runs again."""
    with Database(url) as database:
        for _ in range(rounds):
            BaseUnitOfWork(database, isolation_level="SERIALIZABLE").run(_increment)
    return Outcome(rounds, 0)


def _increment(uow: BaseUnitOfWork) -> None:
    uow.repository(RaceCounter).require(1).value += 1


def increment_in_one_unit(url: str, rounds: int) -> Outcome:
    with Database(url) as database, BaseUnitOfWork(database) as uow:
        locked = needs_lock(database)
        for _ in range(rounds):
            uow.repository(RaceCounter).require(1, for_update=locked).value += 1
            uow.commit()
    return Outcome(rounds, 0)


def increment_versioned(url: str, rounds: int) -> Outcome:
    """Without a lock: some are refused, and whoever is refused knows it."""
    stored = 0
    with Database(url) as database:
        for _ in range(rounds):
            try:
                with BaseUnitOfWork(database) as uow:
                    uow.repository(RaceDocument).require(1).value += 1
                    uow.commit()
                stored += 1
            except ConcurrencyConflict:
                pass
    return Outcome(stored, rounds - stored)


def increment_with_a_bare_session(url: str, rounds: int) -> Outcome:
    """What one writes without the kit: the engine as it comes."""
    engine, stored = create_engine(url), 0
    for _ in range(rounds):
        try:
            with Session(engine) as session:
                counter = session.get_one(RaceCounter, 1)
                counter.value += 1
                session.commit()
            stored += 1
        except OperationalError:  # refused, and said so: nothing is lost by that
            pass
    engine.dispose()
    return Outcome(stored, rounds - stored)


def needs_lock(database: Database) -> bool:
    """A writing unit on SQLite is alone from its first statement on; on PostgreSQL it asks."""
    return database.engine.dialect.name == "postgresql"


# -- real processes ------------------------------------------------------------------------

_start: Any = None


def _become_worker(start: Any) -> None:
    global _start  # noqa: PLW0603 -- a barrier can be inherited, but not sent
    _start = start
    warnings.simplefilter("error")


def _work_together(work: Work, url: str, rounds: int) -> Outcome:
    _start.wait(timeout=60)  # so that each process has one piece of work, and begins with the rest
    return work(url, rounds)


@pytest.fixture(scope="module")
def processes() -> Iterator[ProcessPoolExecutor]:
    spawning = multiprocessing.get_context("spawn")
    barrier = spawning.Barrier(WORKERS)
    with ProcessPoolExecutor(WORKERS, spawning, _become_worker, (barrier,)) as pool:
        yield pool


@pytest.fixture
def tables() -> list[Any]:
    return [RaceCounter, RaceDocument]


@pytest.fixture
def rounds(soak: bool) -> int:
    return 1000 if soak else 25


@pytest.fixture
def race(processes: ProcessPoolExecutor, shared_url: str, rounds: int) -> Race:
    """Runs the same work in each process at the same time; what they were told in sum."""

    def run(work: Work) -> Outcome:
        told = [processes.submit(_work_together, work, shared_url, rounds) for _ in range(WORKERS)]
        outcomes = [each.result() for each in told]
        return Outcome(sum(o.stored for o in outcomes), sum(o.refused for o in outcomes))

    return run


@pytest.fixture
def counters(shared_database: Database) -> Database:
    """A database that is shared with other processes; a counter and a document at zero."""
    return with_counters(shared_database)


def with_counters(database: Database) -> Database:
    with BaseUnitOfWork(database) as uow:
        uow.repository(RaceCounter).create_many([RaceCounter(), RaceCounter()])
        uow.repository(RaceDocument).create(RaceDocument())
        uow.commit()
    return database


def value_of(database: Database, model: Any, id: int = 1) -> int:
    with BaseUnitOfWork(database, read_only=True) as uow:
        value: int = uow.repository(model).require(id).value
        return value


def test_a_bare_engine_loses_updates_that_it_acknowledged(race: Race, counters: Database) -> None:
    """The control: otherwise the tests below might prove nothing."""
    told = race(increment_with_a_bare_session)

    assert value_of(counters, RaceCounter) < told.stored


def test_units_of_many_processes_lose_nothing(race: Race, counters: Database, rounds: int) -> None:
    told = race(increment_in_units)

    assert told == (WORKERS * rounds, 0)
    assert value_of(counters, RaceCounter) == WORKERS * rounds


def test_units_that_are_run_again_lose_nothing(race: Race, counters: Database, rounds: int) -> None:
    told = race(increment_by_running)

    assert told == (WORKERS * rounds, 0)
    assert value_of(counters, RaceCounter) == WORKERS * rounds


def test_one_unit_a_process_that_commits_again_and_again_loses_nothing(
    race: Race, counters: Database, rounds: int
) -> None:
    """After each commit nothing is loaded, so that the next round reads what others stored."""
    told = race(increment_in_one_unit)

    assert told == (WORKERS * rounds, 0)
    assert value_of(counters, RaceCounter) == WORKERS * rounds


def test_a_versioned_row_loses_nothing_without_a_lock(
    race: Race, counters: Database, rounds: int
) -> None:
    told = race(increment_versioned)

    assert told.stored + told.refused == WORKERS * rounds
    assert value_of(counters, RaceDocument) == told.stored
    if needs_lock(counters):
        assert told.refused > 0, "the processes did not meet: this proves nothing"
    else:
        assert told.refused == 0


# -- threads on one database object --------------------------------------------------------


def in_threads(work: Callable[[int], None]) -> None:
    """The same work in each thread at the same time; raises what any of them raised."""
    start = threading.Barrier(WORKERS)

    def together(number: int) -> None:
        start.wait(timeout=30)
        work(number)

    with ThreadPoolExecutor(WORKERS) as pool:
        for done in [pool.submit(together, number) for number in range(WORKERS)]:
            done.result()


def test_units_of_many_threads_on_one_database_lose_nothing(
    database: Database, rounds: int
) -> None:
    with_counters(database)

    in_threads(lambda _: _increment_in_units(database, rounds))

    assert value_of(database, RaceCounter) == WORKERS * rounds


def test_threads_that_read_never_see_half_of_a_unit(database: Database, rounds: int) -> None:
    with_counters(database)
    torn: list[list[int]] = []

    def write() -> None:
        for _ in range(rounds):
            with BaseUnitOfWork(database) as uow:
                counters = uow.repository(RaceCounter)
                for id in (1, 2):
                    counters.require(id, for_update=needs_lock(database)).value += 1
                uow.commit()

    def read() -> None:
        for _ in range(rounds):
            with BaseUnitOfWork(database, read_only=True) as uow:
                values = [counter.value for counter in uow.repository(RaceCounter).get_all()]
                if values[0] != values[1]:
                    torn.append(values)

    in_threads(lambda number: write() if number % 2 else read())

    assert torn == []
    writers = WORKERS // 2
    assert value_of(database, RaceCounter, 1) == writers * rounds
    assert value_of(database, RaceCounter, 2) == writers * rounds


def test_threads_that_roll_back_do_not_disturb_those_that_commit(
    database: Database, rounds: int
) -> None:
    """On one shared connection, the rollback of one thread would undo the work of another."""
    with_counters(database)

    def work(number: int) -> None:
        for _ in range(rounds):
            with BaseUnitOfWork(database) as uow:
                counter = uow.repository(RaceCounter).require(1, for_update=needs_lock(database))
                counter.value += 1
                uow.session.flush()
                if number % 2:
                    uow.commit()
                else:
                    uow.rollback()

    in_threads(work)

    assert value_of(database, RaceCounter) == WORKERS // 2 * rounds


def test_of_many_threads_that_create_the_same_exactly_one_succeeds(
    database: Database, rounds: int
) -> None:
    with_counters(database)
    created: list[int] = []
    taken: list[int] = []

    def work(number: int) -> None:
        for id in range(10, 10 + rounds):
            try:
                with BaseUnitOfWork(database) as uow:
                    uow.repository(RaceCounter).create(RaceCounter(id=id, value=number))
                    uow.commit()
                created.append(id)
            except UniqueViolation:
                taken.append(id)

    in_threads(work)

    assert sorted(created) == list(range(10, 10 + rounds))
    assert len(taken) == (WORKERS - 1) * rounds
    with BaseUnitOfWork(database, read_only=True) as uow:
        assert uow.repository(RaceCounter).count(where("id") >= 10) == rounds
