"""The tables that all contenders work on: filled, looked into, and put in order between calls."""

from __future__ import annotations

import os
import sqlite3
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from sqlalchemy import make_url

from benchmarks import data
from benchmarks.contenders.driver import driver

SERVER = os.environ.get(
    "KIT_TEST_POSTGRESQL", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"
)

_RESTORE = f"""UPDATE items
    SET name = 'Person ' || id, age = id % 90, score = id / 8.0
    WHERE id <= {data.READ} AND (age <> id % 90 OR name LIKE 'Changed%')"""  # noqa: S608
_ADDED = f"DELETE FROM items WHERE id > {data.READ}"  # noqa: S608


class Keeper:
    """A connection of its own to one database. Nothing that it does is measured."""

    def __init__(self, title: str, url: str) -> None:
        self.title = title
        self.url = url
        self.driver = driver(url)
        self.is_sqlite = make_url(url).get_backend_name() == "sqlite"

    def fill(self, *, big: bool) -> None:
        """Make the tables, and store what is read from them."""
        from benchmarks.contenders.kit import create_tables  # noqa: PLC0415 -- only here

        if self.is_sqlite:
            self._do("PRAGMA journal_mode=WAL")  # for all who come
        create_tables(self.url)
        for table, count in (("items", data.READ), ("big_items", data.BIG if big else 0)):
            with self.driver.transaction():
                self.driver.insert(table, (data.row(id) for id in range(1, count + 1)))
            if not self.is_sqlite:
                self._do(f"ALTER TABLE {table} SET (autovacuum_enabled = false)")
                self._do(f"SELECT setval('{table}_id_seq', {max(count, 1)})")
                self._do(f"VACUUM ANALYZE {table}")
        self.settle()

    def add_doomed(self) -> None:
        """Store the rows that are to be deleted."""
        with self.driver.transaction():
            rows = data.rows(data.DOOMED[0], data.DOOMED[-1])
            self.driver.insert("items", rows)
        self.settle()

    def restore(self, *, thoroughly: bool) -> None:
        """Leave only what there was in the beginning."""
        self._do(_ADDED)
        self._do(_RESTORE)
        if thoroughly:
            self.settle()

    def settle(self) -> None:
        """Leave no work of one contender to the next one."""
        self._do("PRAGMA wal_checkpoint(TRUNCATE)" if self.is_sqlite else "VACUUM items")

    def number(self, sql: str) -> int:
        """What a query counts."""
        return int(self.driver.fetch(sql)[0][0])

    def added(self) -> list[tuple[Any, ...]]:
        """The rows that were not there in the beginning, without their keys."""
        sql = "SELECT name, email, age, score, created_at FROM items WHERE id > "
        found: list[tuple[Any, ...]] = self.driver.fetch(sql + str(data.READ))
        return found

    def version(self) -> str:
        if self.is_sqlite:
            return f"SQLite {sqlite3.sqlite_version}"
        return f"PostgreSQL {self.driver.fetch('SHOW server_version')[0][0].split()[0]}"

    def _do(self, sql: str) -> None:
        done = self.driver.connection.execute(sql)
        if self.is_sqlite:
            done.fetchall()

    def close(self) -> None:
        self.driver.close()


@contextmanager
def sqlite() -> Iterator[str | None]:
    """A file, removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        yield f"sqlite:///{directory}/bench.db"


@contextmanager
def postgresql() -> Iterator[str | None]:
    """A database of our own, dropped afterwards; None where there is no server."""
    server = make_url(SERVER)
    plain = server.set(drivername="postgresql").render_as_string(hide_password=False)
    try:
        opened = psycopg.connect(plain, autocommit=True, connect_timeout=5)
    except psycopg.OperationalError as error:
        print(f"\nPostgreSQL: skipped, no server at {server!r}: {str(error).splitlines()[0]}")
        yield None
        return
    name = f"kit_bench_{uuid.uuid4().hex[:12]}"
    with opened as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
        try:
            yield server.set(database=name).render_as_string(hide_password=False)
        finally:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


PLACES = {"sqlite": ("SQLite, a file", sqlite), "postgresql": ("PostgreSQL", postgresql)}
