"""Accounts with a balance, for tests of what must not get lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

from sqlmodel import Field

from infrastructure.database import BaseUnitOfWork, Database, Model, Versioned


class TxAccount(Model, table=True):
    __tablename__: ClassVar[str] = "tx_accounts"

    id: int | None = Field(default=None, primary_key=True)
    balance: int = 0


class TxSheet(Versioned, Model, table=True):
    __tablename__: ClassVar[str] = "tx_sheets"

    id: int | None = Field(default=None, primary_key=True)
    value: int = 0


class TxEntry(Model, table=True):
    __tablename__: ClassVar[str] = "tx_entries"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(max_length=40, unique=True)


TABLES: list[Any] = [TxAccount, TxSheet, TxEntry]


def open_accounts(database: Database, number: int, balance: int = 0) -> None:
    """Accounts 1 to ``number``, each with this balance; and a sheet."""
    with BaseUnitOfWork(database) as uow:
        uow.repository(TxAccount).create_many(
            [TxAccount(id=id, balance=balance) for id in range(1, number + 1)]
        )
        uow.repository(TxSheet).create(TxSheet(id=1))
        uow.commit()


def balance_of(database: Database, id: int = 1) -> int:
    with BaseUnitOfWork(database, read_only=True) as uow:
        return uow.repository(TxAccount).require(id).balance


def names_in(database: Database) -> list[str]:
    with BaseUnitOfWork(database, read_only=True) as uow:
        return [entry.name for entry in uow.repository(TxEntry).get_all(order_by="id")]


def assert_whole(database: Database) -> None:
    """No connection is missing, and the next unit can write."""
    assert database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    assert database.reader.pool.checkedout() == 0  # type: ignore[attr-defined]
    with BaseUnitOfWork(database) as uow:
        row = uow.repository(TxAccount).create(TxAccount(id=-1))
        uow.session.flush()
        uow.repository(TxAccount).delete(row)
        uow.commit()


def in_threads(number: int, work: Callable[[int], None]) -> None:
    """The same work in each thread at the same time; raises what any of them raised."""
    start = threading.Barrier(number)

    def together(which: int) -> None:
        start.wait(timeout=30)
        work(which)

    with ThreadPoolExecutor(number) as pool:
        for done in [pool.submit(together, which) for which in range(number)]:
            done.result()


class FailsAtFirst:
    """Work that stores a name, and fails a number of times with an error of its own."""

    def __init__(self, error: BaseException, times: int) -> None:
        self.error, self.times, self.calls = error, times, 0

    def __call__(self, uow: BaseUnitOfWork) -> int:
        self.calls += 1
        uow.repository(TxEntry).create(TxEntry(name=f"attempt {self.calls}"))
        if self.calls <= self.times:
            raise self.error
        return self.calls
