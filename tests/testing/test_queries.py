"""How many statements a block sends."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import text

from domain import Team, where
from domain.errors import UniqueViolation
from infrastructure.database import Database
from infrastructure.database.unit_of_work import UnitOfWork
from infrastructure.testing.queries import assert_queries, count_queries
from infrastructure.testing.sandbox import SandboxDatabase
from tests.conftest import MakeDatabase
from tests.testing.clubs import Clubs, QueryClub, filled, places


@pytest.fixture
def tables() -> list[Any]:
    return [QueryClub]


@pytest.fixture
def database(url: str, make_database: MakeDatabase) -> Database:
    return filled(make_database(url))


@pytest.fixture
def memory(make_database: MakeDatabase) -> Database:
    return filled(make_database("sqlite://"))


# -- what is counted -----------------------------------------------------------------------


def test_a_block_within_its_limit_passes(database: Database) -> None:
    with assert_queries(database, max=2) as queries, Clubs(database) as uow:
        held = [uow.clubs.require(1), uow.clubs.require(2)]
        assert uow.clubs.require(2) is held[1]

    assert len(queries) == len(queries.statements) == 2


def test_one_more_fails(database: Database) -> None:
    with (
        pytest.raises(AssertionError, match=r"2 SQL statements were sent, at most 1 allowed"),
        assert_queries(database, max=1),
        Clubs(database, read_only=True) as uow,
    ):
        uow.clubs.require(1)
        uow.clubs.require(2)


def test_none_may_be_allowed(database: Database) -> None:
    with assert_queries(database, max=0), Clubs(database) as uow:
        uow.commit()

    with (
        pytest.raises(AssertionError, match="1 SQL statement was sent, at most 0 allowed"),
        assert_queries(database, max=0),
        Clubs(database) as uow,
    ):
        uow.clubs.count()


def _writes_everything(uow: Clubs) -> None:
    with uow.savepoint():
        uow.clubs.create(QueryClub(name="a"))
    with suppress(ZeroDivisionError), uow.savepoint():
        uow.clubs.update_where(where("name") == "a", name="b")
        1 / 0
    uow.clubs.create_many([QueryClub(name=f"many {n}") for n in range(20)])
    uow.clubs.bulk_create([{"name": f"bulk {n}"} for n in range(20)])
    uow.clubs.require(1).name = "changed"
    uow.commit()
    uow.rollback()


def test_the_number_is_the_same_on_each_database(database: Database) -> None:
    with count_queries(database) as queries, Clubs(database) as uow:
        _writes_everything(uow)

    assert [query.sql.split()[0] for query in queries.statements] == [
        *("INSERT", "UPDATE", "SELECT", "SELECT"),  # read again: after the update, and its undoing
        *("INSERT", "INSERT", "SELECT", "UPDATE"),
    ]


@pytest.mark.parametrize("options", [{}, {"isolation_level": "SERIALIZABLE"}])
def test_reading_units_count_the_same(database: Database, options: dict[str, Any]) -> None:
    with count_queries(database) as queries, Clubs(database, read_only=True, **options) as uow:
        uow.clubs.get_all()
        assert len(list(uow.clubs.stream(batch_size=2))) == 4
        uow.commit()

    assert len(queries) == 2


def test_timeouts_and_first_connections_do_not_count(url: str, make_database: MakeDatabase) -> None:
    database = filled(make_database(url, statement_timeout=20, lock_timeout=20))
    if not database.in_memory:
        database.close()
    for read_only in (False, True):
        with count_queries(database) as queries, Clubs(database, read_only=read_only) as uow:
            uow.clubs.get_all()
        assert len(queries) == 1


def test_what_is_written_by_hand_counts_unless_it_is_about_the_transaction(
    memory: Database,
) -> None:
    with count_queries(memory) as queries, Clubs(memory) as uow:
        for sql in ("  /* a */ -- b\n PRAGMA foreign_keys", "savepoint a", "RELEASE a"):
            uow.session.connection().exec_driver_sql(sql)
        uow.session.execute(text("SELECT 'BEGIN'"))
        uow.session.connection().exec_driver_sql("SELECT settled FROM (SELECT 1 AS settled)")

    assert len(queries) == 2


def test_a_failed_statement_was_sent(database: Database) -> None:
    with count_queries(database) as queries, suppress(UniqueViolation), Clubs(database) as uow:
        uow.clubs.create(QueryClub(name="1"))

    assert len(queries) == 1


def test_in_a_sandbox_it_is_as_in_production(shared_sandbox: SandboxDatabase) -> None:
    with shared_sandbox.opened(), assert_queries(shared_sandbox, max=3) as queries:
        with UnitOfWork(shared_sandbox) as uow:
            uow.teams.create(Team(name="a"))
            with uow.savepoint():
                uow.teams.create(Team(name="b"))
            uow.commit()
        with UnitOfWork(shared_sandbox, read_only=True) as uow:
            assert uow.teams.count() == 2

    assert len(queries) == 3


def test_other_threads_count(database: Database) -> None:
    def read() -> None:
        with Clubs(database) as uow:
            uow.clubs.count()

    with count_queries(database) as queries:
        threads = [threading.Thread(target=read) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert len(queries) == 3
    assert len(set(places(queries))) == 1
    assert places(queries)[0].endswith("in read")


def test_blocks_come_and_go_while_other_threads_send(memory: Database) -> None:
    failures: list[BaseException] = []
    stopped = threading.Event()

    def read() -> None:
        try:
            with memory.engine.connect() as connection:
                while not stopped.is_set():
                    connection.exec_driver_sql("SELECT 1").all()
        except BaseException as error:  # noqa: BLE001 -- it fails the test
            failures.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    heard = 0
    for _ in range(200):
        with count_queries(memory) as queries:
            stopped.wait(0.001)
        heard += len(queries)
    stopped.set()
    thread.join()

    assert failures == []
    assert heard > 0


def test_another_database_does_not_count(memory: Database, make_database: MakeDatabase) -> None:
    other = filled(make_database("sqlite://"))
    with assert_queries(memory, max=0), Clubs(other) as uow:
        uow.clubs.count()


def test_blocks_in_blocks(memory: Database) -> None:
    with count_queries(memory) as outer, Clubs(memory) as uow:
        uow.clubs.count()
        with assert_queries(memory, max=1) as inner:
            uow.clubs.count()
        uow.clubs.count()

    assert (len(outer), len(inner)) == (3, 1)


def test_after_the_block_nothing_is_heard(memory: Database) -> None:
    with (
        pytest.raises(ZeroDivisionError) as caught,
        assert_queries(memory, max=0) as queries,
        Clubs(memory) as uow,
    ):
        uow.clubs.count()
        1 / 0
    with Clubs(memory) as uow:
        uow.clubs.count()

    assert len(queries) == 1
    assert caught.value.__context__ is None


@pytest.mark.parametrize("wrong", [-1, -100])
def test_a_negative_limit_is_refused(memory: Database, wrong: int) -> None:
    with pytest.raises(ValueError, match="max must not be negative: -1"):
        assert_queries(memory, max=wrong)


@pytest.mark.parametrize("wrong", [1.0, "1", None, True])
def test_a_limit_that_is_no_number_is_refused(memory: Database, wrong: Any) -> None:
    with pytest.raises(TypeError, match="max must be a whole number, not"):
        assert_queries(memory, max=wrong)
