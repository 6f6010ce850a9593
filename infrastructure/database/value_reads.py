"""Reads values in the transaction of a session, without making entities of them.

To read only, no connection is needed that the session manages: it has one of its own,
and joins that one if it is used after all. A statement that is prepared goes to the driver
itself, unless somebody wants to see each statement.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from typing import Any, cast

from sqlalchemy import Connection, CursorResult, Engine, Executable, Row, Select
from sqlmodel import Session

from infrastructure.database.collecting import paused
from infrastructure.database.database import Database
from infrastructure.database.prepared import Found, Prepared
from infrastructure.database.shortcuts import (
    connection_on,
    description_of,
    is_logged,
    listeners,
    raise_as_usual,
    raw_rows,
)


class ValueReads(Session):
    """A session with ways to read values."""

    def __init__(
        self, database: Database, *, read_only: bool, isolation_level: str | None = None
    ) -> None:
        self.plain_reads = read_only and isolation_level is None
        self.source: Engine = database.reader if self.plain_reads else database.engine
        options = database.dialect.unit_options(
            read_only=read_only, isolation_level=isolation_level
        )
        self.options: dict[str, Any] = {**options, "kit_unit": weakref.ref(self)}
        super().__init__(self.source, expire_on_commit=False, execution_options=self.options)
        self.database = database
        self.read_only = read_only
        self.wrote = False
        self.transaction_id: str | None = None
        self.driver: Any = None
        """The driver's connection, as long as it may be used."""
        self._connection: Connection | None = None
        self._pooled: Any = None
        self._owned: list[Any] = []
        self._quick: dict[Any, dict[Any, weakref.ref[Any]]] = {}

    # -- what is known already -------------------------------------------------------------

    def known_of(self, kind: Any) -> dict[Any, weakref.ref[Any]]:
        """What is loaded, by id, for whoever asks again; emptied when any of it may be wrong."""
        return self._quick.setdefault(kind, {})

    def forget_known(self) -> None:
        """From now on, ask the session itself."""
        for known in self._quick.values():
            known.clear()

    # -- reading ---------------------------------------------------------------------------

    def fetch(
        self, statement: Executable, values: Mapping[str, Any] | None = None
    ) -> Sequence[Row[Any]]:
        """The rows of a statement, after whatever waits to be written."""
        if not self.read_only:
            self.flush()
        if self.is_intercepted():
            return Session.execute(self, statement, values).all()
        found = self._joined().execute(statement, values)
        with paused():
            return found.all()

    def is_intercepted(self) -> bool:
        """Whether somebody changes the statements of sessions before they are sent."""
        return bool(cast(Any, self.dispatch).do_orm_execute)

    def find(self, query: Select[Any], columns: tuple[Any, ...]) -> Found:
        """The rows of a query of these columns, as the driver has them."""
        if not self.read_only:
            self.flush()
        found = self._joined().execute(query)
        converts = self.database.conversions.of(columns, description_of(found))
        with paused():
            return Found(raw_rows(found), converts)

    def read(self, prepared: Prepared, values: Sequence[Any]) -> Found:
        """The rows of a prepared statement, which are few."""
        if not self.read_only:
            self.flush()
        if self._is_observed():
            named = dict(zip(prepared.names, values, strict=True))
            return Found(self._joined().execute(prepared.statement, named).all())
        driver = self.driver or self._take_driver()
        parameters = prepared.parameters(values)
        try:
            cursor = driver.execute(prepared.sql, parameters)
            rows = cursor.fetchall()
        except Exception as error:  # noqa: BLE001 -- SQLAlchemy knows what to do with each
            self.driver = None
            raise_as_usual(self._joined(), error, prepared.sql, parameters)
        return Found(rows, self.database.conversions.of(prepared.columns, cursor.description))

    def _is_observed(self) -> bool:
        """Whether something is to be done with each statement, besides sending it."""
        database, source = self.database, self.source
        return (
            not database.direct
            or listeners(source) > database.listeners[source]
            or is_logged(source)
        )

    def write(self, prepared: Prepared, values: Sequence[Any]) -> Found:
        """What a prepared statement gives back that writes."""
        found = ValueReads.read(self, prepared, values)
        self.wrote = True
        return found

    def open_cursor(self, query: Select[Any]) -> CursorResult[Any]:
        """A query that is read part by part."""
        return self._joined().execute(query, execution_options={"stream_results": True})

    def next_part(self, found: CursorResult[Any], columns: tuple[Any, ...], size: int) -> Found:
        """The next rows of an open cursor, as the driver has them."""
        description = description_of(found)
        if description is None:
            return Found(())
        converts = self.database.conversions.of(columns, description)
        return Found(raw_rows(found, size), converts)

    def use_streamer(self) -> None:
        """From now on, read in a transaction: only there a cursor stays open."""
        streamer = self.database.streamer
        if self.source is self.database.reader and self.source is not streamer:
            self.source = self.bind = streamer
            self._owned += [] if self._pooled is None else [self._pooled]
            self.driver = self._connection = self._pooled = None

    # -- connections -----------------------------------------------------------------------

    def get_bind(self, *args: Any, **options: Any) -> Any:
        """What the session works on: the connection of what was read before, if there is one."""
        if self._pooled is not None:
            self._joined()
        return super().get_bind(*args, **options)

    def _joined(self) -> Connection:
        """The connection of this transaction."""
        if self._connection is None or self._connection.closed:
            self._connection = self._join()
        return self._connection

    def _join(self) -> Connection:
        if not self.plain_reads or self.in_transaction():
            return Session.connection(self)
        pooled, self._pooled = self._pooled, None
        taken = self.source.connect() if pooled is None else connection_on(self.source, pooled)
        connection = taken.execution_options(**self.options)
        self._owned.append(connection)
        self.bind = connection
        return connection

    def _take_driver(self) -> Any:
        """The driver's connection, in the transaction of this unit."""
        if not self._begins_directly():
            connection = self._joined()
            if not connection.in_transaction():
                connection.begin()
            self.driver = connection.connection.driver_connection
        return self.driver

    def _begins_directly(self) -> bool:
        """Take a connection without SQLAlchemy's, where that is possible."""
        begin = self.database.begin_reading
        if begin is None or self.source is not self.database.reader:
            return False
        if self._connection is not None or self.in_transaction():
            return False
        try:
            self._pooled = self.source.raw_connection()
            self.driver = self._pooled.driver_connection
            if begin:
                self.driver.execute(begin)
        except self.source.dialect.loaded_dbapi.Error:
            self.driver = None
            return False  # it fails again, and SQLAlchemy knows what to do
        return True

    def _give_back_connections(self) -> None:
        """After the transaction: let go of what the session does not manage."""
        self._owned += [] if self._pooled is None else [self._pooled]
        self.driver = self._connection = self._pooled = None
        while self._owned:
            self._give_back(self._owned.pop())

    def _give_back(self, connection: Any) -> None:
        self.bind = self.source
        try:
            connection.close()
        except Exception:  # noqa: BLE001 -- whatever it is, the connection goes
            connection.invalidate()
