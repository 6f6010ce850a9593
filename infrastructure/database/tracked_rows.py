"""What writing units hand out: rows that the session tracks, made with less ado than it does."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import Column, ColumnElement, Select

from infrastructure.database.collecting import paused
from infrastructure.database.keys import Key, by_key
from infrastructure.database.models.rules import rules_of
from infrastructure.database.prepared import PreparedQuery
from infrastructure.database.session import UnitSession
from infrastructure.database.shortcuts import Tracked


@cache
def _read_of(how: Tracked) -> tuple[tuple[Column[Any], ...], tuple[Select[Any], tuple[str, ...]]]:
    """The columns of a table, and the query for one row by its key."""
    model: Any = how.mapper.class_
    columns = tuple(rules_of(model).columns.values())
    return columns, by_key(model, columns)


class TrackedRows:
    """Reads the rows of one table."""

    def __init__(self, session: UnitSession, how: Tracked) -> None:
        self._session = session
        self.how = how
        self._columns, query = _read_of(how)
        self._by_key = session.database.prepared(*query)

    def get(self, key: Key) -> Any | None:
        """The one with this key, or None."""
        session, how = self._session, self.how
        known: Any = session.identity_map.get((how.mapper.class_, key, None))
        if known is None and not how.is_watched(session):
            made = how.load(session, *session.read(self._by_key, key))
            return made[0] if made else None
        return session.get(how.mapper.class_, key)

    def all(self, query: Select[Any]) -> list[Any]:
        """Those of a query of the model."""
        session, how = self._session, self.how
        if not how.is_watched(session):
            found = session.find(query.with_only_columns(*self._columns), self._columns)
            with paused():
                made = how.load(session, *found)
            if made is not None:
                return made
        rows = session.scalars(query)
        with paused():
            return list(rows.all())

    def with_values(
        self, query: Select[Any], columns: Sequence[ColumnElement[Any]]
    ) -> list[tuple[Any, Sequence[Any]]] | None:
        """The same, each with the values of some columns; None if one has to be read again."""
        session, how, count = self._session, self.how, len(self._columns)
        if how.is_watched(session):
            return None
        rows = session.fetch(query.with_only_columns(*self._columns, *columns))
        made = how.load(session, [row[:count] for row in rows])
        if made is None:
            return None
        return [(one, row[count:]) for one, row in zip(made, rows, strict=True)]

    def by_prepared(
        self, query: PreparedQuery, values: Sequence[Any], fields: Sequence[str]
    ) -> list[tuple[Any, Sequence[Any]]] | None:
        """The same of a query that is made once for all values."""
        session, how = self._session, self.how
        if how.is_watched(session):
            return None
        prepared = session.database.prepared_query(query, self._columns)
        made = how.load(session, *session.read(prepared, values))
        if made is None:
            return None
        return [(one, [one.__dict__[name] for name in fields]) for one in made]
