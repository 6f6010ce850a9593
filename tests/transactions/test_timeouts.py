"""How long a statement may take, and how long it may wait for a lock: alike on both databases."""

from __future__ import annotations

import time
from typing import Any

import pytest
from sqlalchemy import text

from domain.errors import LockTimeout, TransientError, UnitOfWorkError, ValidationError
from infrastructure.database import BaseUnitOfWork, Database
from tests.conftest import MakeDatabase
from tests.transactions.accounts import (
    TABLES,
    TxAccount,
    TxEntry,
    assert_whole,
    in_threads,
    names_in,
    open_accounts,
)

SLOW = """
    WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {most})
    SELECT count(*) FROM numbers
"""
ENDLESS = text(SLOW.format(most=10**9))


@pytest.fixture
def tables() -> list[Any]:
    return TABLES


@pytest.mark.parametrize("read_only", [False, True])
def test_a_statement_that_takes_too_long_is_ended(
    url: str, make_database: MakeDatabase, *, read_only: bool
) -> None:
    database = make_database(url, statement_timeout=0.2)
    began = time.monotonic()
    with (
        pytest.raises(TransientError, match="timeout") as caught,
        BaseUnitOfWork(database, read_only=read_only) as uow,
    ):
        uow.session.execute(ENDLESS)

    assert type(caught.value) is TransientError
    assert 0.2 <= time.monotonic() - began < 5
    assert_whole(database)


def test_the_limit_is_for_each_statement_alone(url: str, make_database: MakeDatabase) -> None:
    database = make_database(url, statement_timeout=0.3)
    with BaseUnitOfWork(database) as uow:
        for number in range(5):
            uow.repository(TxEntry).create(TxEntry(name=str(number)))
            time.sleep(0.1)
        uow.commit()

    assert len(names_in(database)) == 5


def test_run_does_not_repeat_what_took_too_long(url: str, make_database: MakeDatabase) -> None:
    database = make_database(url, statement_timeout=0.1)
    calls: list[int] = []

    def work(uow: BaseUnitOfWork) -> None:
        calls.append(1)
        uow.session.execute(ENDLESS)

    with pytest.raises(TransientError):
        BaseUnitOfWork(database).run(work)

    assert calls == [1]


def test_a_write_that_took_too_long_leaves_nothing_of_the_unit(
    url: str, make_database: MakeDatabase
) -> None:
    """In a savepoint too: SQLite undoes all of a transaction whose write is interrupted."""
    database = make_database(url, statement_timeout=0.2)
    write = f"INSERT INTO tx_accounts (balance) SELECT * FROM ({SLOW.format(most=10**9)}) AS n"
    with pytest.raises((TransientError, UnitOfWorkError)), BaseUnitOfWork(database) as uow:
        uow.repository(TxEntry).create(TxEntry(name="before"))
        with uow.savepoint():
            uow.session.execute(text(write))
        uow.commit()

    assert names_in(database) == []
    assert_whole(database)


def test_the_smallest_limit_is_a_limit(url: str, make_database: MakeDatabase) -> None:
    """PostgreSQL counts milliseconds, and takes none for no limit at all."""
    make_database(url)
    with (
        Database(url, statement_timeout=0.0001) as database,
        pytest.raises(TransientError),
        BaseUnitOfWork(database) as uow,
    ):
        uow.session.execute(ENDLESS)


def test_a_lock_that_is_not_granted_is_not_waited_for_any_longer(
    shared_url: str, make_database: MakeDatabase
) -> None:
    patient = make_database(shared_url)
    open_accounts(patient, 1)
    database = make_database(shared_url, lock_timeout=0.2)
    took: list[float] = []

    def wait_in_vain(_: int) -> None:
        began = time.monotonic()
        with pytest.raises(LockTimeout, match="lock"), BaseUnitOfWork(database) as uow:
            uow.repository(TxAccount).require(1, for_update=True)
        took.append(time.monotonic() - began)

    with BaseUnitOfWork(patient) as uow:
        uow.repository(TxAccount).require(1, for_update=True)
        in_threads(1, wait_in_vain)

    assert 0.2 <= took[0] < 5
    assert_whole(database)


@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
def test_timeouts_hold_at_each_isolation_level(
    url: str, make_database: MakeDatabase, level: str
) -> None:
    database = make_database(url, statement_timeout=0.1)
    for read_only in (False, True):
        unit = BaseUnitOfWork(database, read_only=read_only, isolation_level=level)
        with pytest.raises(TransientError), unit as uow:
            uow.session.execute(ENDLESS)
    assert_whole(database)


@pytest.mark.parametrize("level", ["serializable", "READ UNCOMMITTED", "AUTOCOMMIT", ""])
def test_a_level_that_is_none_is_refused(database: Database, level: str) -> None:
    with pytest.raises(ValidationError, match="REPEATABLE READ") as caught:
        BaseUnitOfWork(database, isolation_level=level)

    assert set(caught.value.errors) == {"isolation_level"}
