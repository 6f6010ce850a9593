"""Reads values in the transaction of a session, without making entities of them.

A statement that is prepared goes to the driver itself, unless somebody wants to see each.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import CursorResult, Executable, Row, ScalarResult, Select
from sqlmodel import Session

from infrastructure.database.collecting import paused
from infrastructure.database.database import Database
from infrastructure.database.noting import Noting, noting_by_row
from infrastructure.database.own_connection import OwnConnection
from infrastructure.database.prepared import Found, Prepared
from infrastructure.database.shortcuts import description_of, intercepts, raw_rows

Cursor = ScalarResult[Any] | CursorResult[Any]
"""What a stream reads from."""


class ValueReads(Noting, OwnConnection):
    """A session with ways to read values."""

    def __init__(
        self, database: Database, *, read_only: bool, isolation_level: str | None = None
    ) -> None:
        super().__init__(database, read_only=read_only, isolation_level=isolation_level)
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
        self.note_read(statement)
        if not self.read_only:
            self.flush()
        if self.is_intercepted():
            return Session.execute(self, statement, values).all()
        found = self.joined().execute(statement, values)
        with paused():
            return found.all()

    def is_intercepted(self) -> bool:
        """Whether somebody changes the statements of sessions before they are sent."""
        return intercepts(self)

    def find(self, query: Select[Any], columns: tuple[Any, ...]) -> Found:
        """The rows of a query of these columns, as the driver has them."""
        self.note_read(query)
        if not self.read_only:
            self.flush()
        found = self.joined().execute(query)
        converts = self.database.conversions.of(columns, found.cursor)
        with paused():
            return Found(raw_rows(found), converts)

    def read(self, prepared: Prepared, values: Sequence[Any]) -> Found:
        """The rows of a prepared statement, which are few; after whatever waits to be written."""
        if self.reading is not None:
            self.note_read(prepared.statement)
        if not self.read_only:
            self.flush()
        return self._send(prepared, values)

    def write(self, prepared: Prepared, values: Sequence[Any]) -> Found:
        """What a prepared statement gives back that writes."""
        found = self._send(prepared, values)
        self.wrote = True
        return found

    def _send(self, prepared: Prepared, values: Sequence[Any]) -> Found:
        if self.is_observed():
            named = dict(zip(prepared.names, values, strict=True))
            with noting_by_row(self.written, prepared.writes):
                found = self.joined().execute(prepared.statement, named)
                return Found(found.all() if found.returns_rows else [])
        cursor = self.cursor or self.take_cursor()
        parameters = prepared.parameters(values)
        try:
            cursor.execute(prepared.sql, parameters)
            rows = cursor.fetchall()
        except Exception as error:  # noqa: BLE001 -- SQLAlchemy knows what to do with each
            del cursor  # as long as it lives, SQLite keeps a closed connection's locks
            self.raise_as_usual(error, prepared.sql, parameters)
        return Found(rows, self.database.conversions.of(prepared.columns, cursor))

    def open_cursor(self, query: Select[Any]) -> CursorResult[Any]:
        """A query that is read part by part."""
        self.note_read(query)
        found = self.joined().execute(query, execution_options={"stream_results": True})
        self.database.dialect.prepare_to_fetch(found.cursor)
        return found

    def next_part(self, found: CursorResult[Any], columns: tuple[Any, ...], size: int) -> Found:
        """The next rows of an open cursor, as the driver has them."""
        if description_of(found) is None:
            return Found(())
        converts = self.database.conversions.of(columns, found.cursor)
        return Found(raw_rows(found, size), converts)

    def use_streamer(self) -> None:
        """From now on, read in a transaction: only there a cursor stays open."""
        streamer = self.database.streamer
        if self.source is self.database.reader and self.source is not streamer:
            self.source = self.bind = streamer
            self.let_go()
