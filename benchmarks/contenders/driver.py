"""The driver alone, by the fastest route that is known: what the others are held to."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import psycopg
from sqlalchemy import make_url

from benchmarks import data
from benchmarks.contenders.base import Contender

Tuple = tuple[Any, ...]

_READ = "SELECT id, name, email, age, score, created_at FROM items"
_BIG = "SELECT id, name, email, age, score, created_at FROM big_items"
_COLUMNS = "name, email, age, score, created_at"
_CONFLICT = """ ON CONFLICT (email) DO UPDATE
    SET name = excluded.name, age = excluded.age, score = excluded.score"""


class Driver(Contender):
    """One open connection, plain SQL, tuples."""

    begin = "BEGIN"
    mark = "%s"

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.place = make_url(url)
        self.connection: Any = self.connect()
        self._local = threading.local()

    def connect(self) -> Any:
        raise NotImplementedError

    # -- one by one ------------------------------------------------------------------------

    def insert_units(self) -> list[Tuple]:
        return [self._inserted(values) for values in data.new(data.UNITS)]

    def get_each(self) -> list[Tuple]:
        return [self._one(self.connection, id) for id in data.IDS]

    def get_within(self) -> list[Tuple]:
        with self.transaction():
            return [self._one(self.connection, id) for id in data.IDS]

    @contextmanager
    def get_loaded(self) -> Iterator[Callable[[], list[Tuple]]]:
        """No driver does this: a dict is what the others are held to."""
        loaded = {id: data.row(id) for id in data.IDS}
        ids = list(data.IDS) * (data.LOOKUPS // len(data.IDS))

        def look_up() -> list[Tuple]:
            return [loaded[id] for id in ids]

        yield look_up

    def change_units(self) -> None:
        for id in data.IDS[: data.UNITS]:
            with self.transaction():
                age = self._one(self.connection, id)[3]
                self._set_age(self.connection, id, age + 1)

    def work(self, thread: int, number: int) -> None:
        connection = self._of_thread()
        with self.transaction(connection):
            found = self._one(connection, data.stripe(thread, number))
            self._set_age(connection, found[0], found[3] + 1)
            self._insert_one(connection, data.from_thread(thread, number))

    # -- many ------------------------------------------------------------------------------

    def get_all(self) -> list[Tuple]:
        return self.fetch(_READ)

    get_all_read_only = get_all

    def page(self) -> tuple[list[Tuple], int]:
        total: int = self.fetch("SELECT count(*) FROM big_items")[0][0]
        offset = (data.PAGE - 1) * data.SIZE
        sql = f"{_BIG} ORDER BY id LIMIT {self.mark} OFFSET {self.mark}"
        return self.fetch(sql, (data.SIZE, offset)), total

    def window(self) -> list[Tuple]:
        sql = f"{_BIG} WHERE id > {self.mark} ORDER BY id LIMIT {self.mark}"
        before = (data.WINDOW - 1) * data.SIZE
        found: list[Tuple] = []
        for _ in range(data.UNITS):
            found = self.fetch(sql, (before, data.SIZE + 1))
        return found[: data.SIZE]

    def stream(self) -> tuple[int, Tuple]:
        total, last = 0, ()
        with self.streamed(_BIG + " ORDER BY id") as batches:
            for batch in batches:
                for row in batch:
                    total += row[0]
                last = batch[-1]
        return total, last

    # -- how -------------------------------------------------------------------------------

    def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[Tuple]:
        """All rows of a query."""
        raise NotImplementedError

    @contextmanager
    def streamed(self, sql: str) -> Iterator[Iterator[list[Tuple]]]:
        """The rows of a query in batches, which only together would not fit into memory."""
        raise NotImplementedError
        yield

    @contextmanager
    def transaction(self, connection: Any = None) -> Iterator[None]:
        connection = connection or self.connection
        connection.execute(self.begin)
        try:
            yield
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    def _inserted(self, values: data.Values) -> Tuple:
        with self.transaction():
            return (self._insert_one(self.connection, values), *values)

    def _insert_one(self, connection: Any, values: data.Values) -> int:
        marks = ", ".join([self.mark] * len(values))
        sql = f"INSERT INTO items ({_COLUMNS}) VALUES ({marks}) RETURNING id"  # noqa: S608
        id: int = connection.execute(sql, self.adapted(values)).fetchone()[0]
        return id

    def _one(self, connection: Any, id: int) -> Tuple:
        found: Tuple = connection.execute(f"{_READ} WHERE id = {self.mark}", (id,)).fetchone()
        return found

    def _set_age(self, connection: Any, id: int, age: int) -> None:
        sql = f"UPDATE items SET age = {self.mark} WHERE id = {self.mark}"  # noqa: S608
        connection.execute(sql, (age, id))

    def adapted(self, values: data.Values) -> Tuple:
        """What the driver takes."""
        return values

    def _of_thread(self) -> Any:
        if not hasattr(self._local, "connection"):
            self._local.connection = self.connect()
        return self._local.connection

    def leave_thread(self) -> None:
        if hasattr(self._local, "connection"):
            self._local.connection.close()
            del self._local.connection

    def close(self) -> None:
        self.connection.close()


def _as_text(rows: Iterable[data.Values]) -> list[Tuple]:
    """New rows, their timestamps as SQLite stores them."""
    return [(*row[:4], _text(row[4])) for row in rows]


def _with_moments(rows: Iterable[Tuple]) -> list[Tuple]:
    """Rows as they were before ``_as_text``."""
    parse = datetime.fromisoformat
    return [(*row[:5], parse(row[5] + "+00:00")) for row in rows]


def _insert(table: str) -> str:
    return f"INSERT INTO {table} (id, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)"  # noqa: S608


def _text(moment: datetime) -> str:
    return moment.isoformat(" ", "microseconds")[:26]


class SQLiteDriver(Driver):
    """executemany; timestamps are converted by hand, because the driver does not."""

    begin = "BEGIN IMMEDIATE"
    mark = "?"

    def connect(self) -> Any:
        return sqlite3.connect(str(self.place.database), isolation_level=None, timeout=30)

    def adapted(self, values: data.Values) -> Tuple:
        return (*values[:4], _text(values[4]))

    def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[Tuple]:
        found: list[Tuple] = self.connection.execute(sql, parameters).fetchall()
        return _with_moments(found) if len(found[0]) == len(data.FIELDS) + 1 else found

    @contextmanager
    def streamed(self, sql: str) -> Iterator[Iterator[list[Tuple]]]:
        cursor = self.connection.execute(sql)
        yield iter(lambda: _with_moments(cursor.fetchmany(1000)), [])

    def _one(self, connection: Any, id: int) -> Tuple:
        return _with_moments([super()._one(connection, id)])[0]

    def create_many(self, count: int) -> Sequence[int]:
        new = _as_text(data.new(count))
        with self.transaction():
            first = self.connection.execute("SELECT max(id) FROM items").fetchone()[0] + 1
            ids = range(first, first + count)
            rows = ((id, *row) for id, row in zip(ids, new, strict=True))
            self.connection.executemany(_insert("items"), rows)
        return ids

    def bulk_create(self, count: int) -> None:
        sql = f"INSERT INTO items ({_COLUMNS}) VALUES (?, ?, ?, ?, ?)"  # noqa: S608
        with self.transaction():
            self.connection.executemany(sql, _as_text(data.new(count)))

    def insert(self, table: str, rows: Iterable[data.Row]) -> None:
        """Any number of rows that have their keys."""
        texts = ((*row[:5], _text(row[5])) for row in rows)
        self.connection.executemany(_insert(table), texts)

    def bulk_update(self) -> None:
        sql = "UPDATE items SET age = ?, score = ? WHERE id = ?"
        with self.transaction():
            self.connection.executemany(
                sql, ((age, score, id) for id, age, score in data.changes())
            )

    def delete_where(self) -> None:
        sql = "DELETE FROM items WHERE id IN (SELECT value FROM json_each(?))"
        with self.transaction():
            self.connection.execute(sql, (json.dumps(list(data.DOOMED)),))

    def bulk_upsert(self) -> None:
        sql = f"INSERT INTO items ({_COLUMNS}) VALUES (?, ?, ?, ?, ?){_CONFLICT}"  # noqa: S608
        with self.transaction():
            self.connection.executemany(sql, _as_text(data.upserts()))


class PostgreSQLDriver(Driver):
    """Binary COPY with keys of the sequence, arrays, and binary results."""

    types = ("text", "text", "int4", "float8", "timestamptz")

    def connect(self) -> Any:
        plain = self.place.set(drivername="postgresql").render_as_string(hide_password=False)
        return psycopg.connect(plain, autocommit=True)

    def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[Tuple]:
        found: list[Tuple] = self.connection.execute(
            sql, parameters or None, binary=True
        ).fetchall()
        return found

    def _one(self, connection: Any, id: int) -> Tuple:
        found: Tuple = connection.execute(f"{_READ} WHERE id = %s", (id,), binary=True).fetchone()
        return found

    @contextmanager
    def streamed(self, sql: str) -> Iterator[Iterator[list[Tuple]]]:
        with self.transaction(), self.connection.cursor("streamed", binary=True) as cursor:
            cursor.execute(sql)
            yield iter(lambda: cursor.fetchmany(1000), [])

    def create_many(self, count: int) -> Sequence[int]:
        sql = "SELECT nextval('items_id_seq') FROM generate_series(1, %s)"
        new = data.new(count)
        with self.transaction():
            ids = [id for (id,) in self.fetch(sql, (count,))]
            self.insert("items", ((id, *row) for id, row in zip(ids, new, strict=True)))
        return ids

    def bulk_create(self, count: int) -> None:
        sql = f"COPY items ({_COLUMNS}) FROM STDIN (FORMAT BINARY)"
        with self.transaction():
            self._copy(sql, self.types, data.new(count))

    def insert(self, table: str, rows: Iterable[data.Row]) -> None:
        """Any number of rows that have their keys."""
        sql = f"COPY {table} (id, {_COLUMNS}) FROM STDIN (FORMAT BINARY)"
        self._copy(sql, ("int4", *self.types), rows)

    def _copy(self, sql: str, types: Sequence[str], rows: Iterable[Tuple]) -> None:
        with self.connection.cursor().copy(sql) as copy:
            copy.set_types(types)
            for row in rows:
                copy.write_row(row)

    def bulk_update(self) -> None:
        sql = """UPDATE items SET age = given.age, score = given.score
            FROM unnest(%b::int4[], %b::int4[], %b::float8[]) AS given (id, age, score)
            WHERE items.id = given.id"""
        with self.transaction():
            self.connection.execute(
                sql, [list(column) for column in zip(*data.changes(), strict=True)]
            )

    def delete_where(self) -> None:
        with self.transaction():
            sql = "DELETE FROM items WHERE id = ANY(%b)"
            self.connection.execute(sql, (list(data.DOOMED),))

    def bulk_upsert(self) -> None:
        arrays = ", ".join(f"%b::{name}[]" for name in self.types)
        sql = f"INSERT INTO items ({_COLUMNS}) SELECT * FROM unnest({arrays}){_CONFLICT}"  # noqa: S608
        with self.transaction():
            self.connection.execute(
                sql, [list(column) for column in zip(*data.upserts(), strict=True)]
            )


def driver(url: str) -> Any:
    """The driver of the database."""
    is_sqlite = make_url(url).get_backend_name() == "sqlite"
    return SQLiteDriver(url) if is_sqlite else PostgreSQLDriver(url)


CONTENDER = driver
