"""What a connection of SQLite is told: when it is new, when it begins, when it goes back."""

from __future__ import annotations

import sqlite3
import time
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from domain.errors import DatabaseUnavailable
from infrastructure.database.dialects.base import READ_ONLY

READS = "kit_reads"
"""In the record of a connection that only reads, for ever."""

BEGIN_READING = "BEGIN DEFERRED"
BEGIN_WRITING = "BEGIN IMMEDIATE"


class Connect:
    """What every new connection is told before anybody uses it."""

    def __init__(self, wait: float, *, wal: bool, reads: bool = False) -> None:
        self.wait = wait
        self.wal = wal
        self.reads = reads

    def __call__(self, connection: sqlite3.Connection, record: Any) -> None:
        connection.create_collation("DECIMAL", _compare_decimals)
        connection.execute("PRAGMA foreign_keys=ON")
        if connection.execute("PRAGMA foreign_keys").fetchone() != (1,):
            raise DatabaseUnavailable(
                "this SQLite was built without foreign keys; use a build that has them"
            )
        if self.wal:
            self._use_wal(connection)
        if self.reads:
            record.info[READS] = True
            connection.execute("PRAGMA query_only=ON")

    def _use_wal(self, connection: sqlite3.Connection) -> None:
        # The busy timeout does not cover this change of mode.
        deadline = time.monotonic() + self.wait
        while connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
            try:
                connection.execute("PRAGMA journal_mode=WAL")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorname == "SQLITE_READONLY":
                    return
                if error.sqlite_errorname != "SQLITE_BUSY" or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)


def begin(connection: Connection) -> None:
    """Begin, as the unit needs it."""
    raw: Any = connection.connection.driver_connection  # to begin to read, nobody has to wait
    if raw.in_transaction:  # a statement of the driver has begun it
        return
    if READS in connection.info:
        raw.execute(BEGIN_READING)
    elif connection.get_execution_options().get(READ_ONLY):
        connection.info[READ_ONLY] = True
        raw.execute("PRAGMA query_only=ON")
        raw.execute(BEGIN_READING)
    else:
        connection.exec_driver_sql(BEGIN_WRITING)


def reset(
    connection: sqlite3.Connection,
    record: Any,
    state: Any,  # noqa: ARG001 -- SQLAlchemy counts the parameters
) -> None:
    if record.info.pop(READ_ONLY, False):
        connection.execute("PRAGMA query_only=OFF")


def _compare_decimals(left: str, right: str) -> int:
    a, b = Decimal(left), Decimal(right)
    return (a > b) - (a < b)
