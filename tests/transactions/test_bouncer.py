"""PgBouncer in transaction mode: a connection is another one in each transaction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

from domain.errors import LockTimeout, ReadOnlyViolation, TransientError
from infrastructure.database import BaseUnitOfWork, Database
from tests.conftest import MakeDatabase
from tests.transactions.accounts import TABLES, TxAccount, TxEntry, in_threads, open_accounts

pytestmark = pytest.mark.postgresql

THREADS, UNITS, ACCOUNTS = 8, 60, 4


@pytest.fixture
def tables() -> list[Any]:
    return TABLES


@pytest.fixture
def database(postgresql_url: str, bouncer_url: str, make_database: MakeDatabase) -> Database:
    """Through PgBouncer; its tables were made without it."""
    made = make_database(postgresql_url)
    open_accounts(made, ACCOUNTS)
    return make_database(bouncer_url, pgbouncer=True)


def add(uow: BaseUnitOfWork, id: int) -> None:
    account = uow.repository(TxAccount).require(id, for_update=True)
    account.balance += 1
    uow.repository(TxAccount).count()


def test_480_of_480_units_succeed(database: Database) -> None:
    def work(number: int) -> None:
        for step in range(UNITS):
            id = 1 + (number + step) % ACCOUNTS
            if step % 3 == 0:
                BaseUnitOfWork(database).run(lambda uow, id=id: add(uow, id))  # type: ignore[misc]
                continue
            with BaseUnitOfWork(database) as uow:
                add(uow, id)
                uow.commit()

    in_threads(THREADS, work)

    with BaseUnitOfWork(database, read_only=True) as uow:
        balances = [account.balance for account in uow.repository(TxAccount).get_all()]
    assert sum(balances) == THREADS * UNITS == 480


def test_an_engine_that_does_not_know_of_it_fails(postgresql_url: str, bouncer_url: str) -> None:
    """The control: a statement that was prepared elsewhere is not there."""
    engine = create_engine(bouncer_url, pool_size=THREADS)
    refused: list[str] = []

    def work(number: int) -> None:
        for _ in range(UNITS):
            try:
                with Session(engine) as session:
                    for query in ("SELECT CAST(:n AS integer)", "SELECT 1 + CAST(:n AS integer)"):
                        session.scalar(text(query), {"n": number})
                    session.commit()  # after a ROLLBACK, the driver would prepare anew
            except DBAPIError as error:
                refused.append(str(error.orig))

    in_threads(THREADS, work)
    engine.dispose()

    assert refused
    assert all("prepared statement" in words for words in refused)


def cause_lock_timeout(database: Database) -> None:
    with BaseUnitOfWork(database) as uow:
        uow.repository(TxAccount).require(1, for_update=True)


def test_timeouts_hold_and_do_not_reach_others(
    database: Database, bouncer_url: str, make_database: MakeDatabase
) -> None:
    """SET LOCAL ends with the transaction; the connection goes to somebody else then."""
    impatient = make_database(bouncer_url, pgbouncer=True, statement_timeout=0.2, lock_timeout=0.05)
    with BaseUnitOfWork(database) as holder:
        holder.repository(TxAccount).require(1, for_update=True)
        for _ in range(3):
            with pytest.raises(LockTimeout):
                in_threads(1, lambda _: cause_lock_timeout(impatient))
    for _ in range(3):
        with pytest.raises(TransientError), BaseUnitOfWork(impatient, read_only=True) as uow:
            uow.session.execute(text("SELECT pg_sleep(5)"))

    shown = [setting(database, name) for name in ("statement_timeout", "lock_timeout")] * 8
    assert set(shown) == {"0"}


def setting(database: Database, name: str) -> str:
    with BaseUnitOfWork(database) as uow:
        return str(uow.session.scalar(text(f"SHOW {name}")))


@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
def test_isolation_levels_hold_and_do_not_reach_others(database: Database, level: str) -> None:
    with BaseUnitOfWork(database, isolation_level=level) as uow:
        shown = uow.session.scalar(text("SHOW transaction_isolation"))

    assert shown == level.lower()
    assert {setting(database, "transaction_isolation") for _ in range(8)} == {"read committed"}


def test_read_only_units_stay_read_only_and_others_do_not_become_so(database: Database) -> None:
    write: Callable[[BaseUnitOfWork], object] = lambda uow: uow.session.execute(  # noqa: E731
        text("INSERT INTO tx_entries (name) VALUES ('a')")
    )
    for _ in range(8):
        with pytest.raises(ReadOnlyViolation), BaseUnitOfWork(database, read_only=True) as uow:
            write(uow)
        with BaseUnitOfWork(database) as uow:
            write(uow)

            uow.rollback()


def test_streams_and_bulk_writes_work(database: Database) -> None:
    with BaseUnitOfWork(database) as uow:
        uow.repository(TxEntry).bulk_create({"name": f"{n}"} for n in range(2500))
        uow.commit()
    with BaseUnitOfWork(database, read_only=True) as uow:
        assert sum(1 for _ in uow.repository(TxEntry).stream(batch_size=100)) == 2500
