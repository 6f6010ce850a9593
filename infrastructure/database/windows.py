"""Windows over one table: some rows beyond a cursor, and the cursors of both ends."""

from __future__ import annotations

import binascii
import functools
import json
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Integer, Select, bindparam, select, true

from domain.errors import ValidationError
from infrastructure.database import cursors
from infrastructure.database.cursors import Cursor
from infrastructure.database.keysets import Segment, Term, segments
from infrastructure.database.prepared import PreparedQuery
from infrastructure.database.rows import Rows


class Found(NamedTuple):
    """The rows of a window, and where it goes on."""

    rows: Sequence[Any]
    next: str | None
    previous: str | None


Order = tuple[tuple[str, bool], ...]
"""Fields, and whether they descend."""


Values = Sequence[Any]


class Reader(NamedTuple):
    """What reads the entities of a window."""

    with_values: Callable[[Select[Any], Sequence[ColumnElement[Any]]], Iterable[tuple[Any, Values]]]
    """Those of a query, each with the values of some columns."""

    by_prepared: Callable[
        [PreparedQuery, Values, Sequence[str]], Iterable[tuple[Any, Values]] | None
    ]
    """The same, for a query that is made once for all values; None if that cannot be."""


class _Place(NamedTuple):
    row: Any
    values: Sequence[Any]


class Windows:
    """All windows of one query."""

    def __init__(self, rows: Rows, criteria: Sequence[Any], order_by: Any, reader: Reader) -> None:
        self.rows = rows
        self.criteria = criteria
        self.terms = rows.say.terms(order_by)
        self.conditions = rows.say.conditions(criteria)
        self.reader = reader

    def find(self, after: Any, before: Any, size: int) -> Found:
        """The window after a cursor or before one, or the first."""
        if after is not None and before is not None:
            raise self._refused("before", "goes without after")
        if before is not None:
            return self._backwards(self._read("before", before), size)
        cursor = None if after is None else self._read("after", after)
        places = self._fetch(self.terms, cursor, size + 1)
        shown = places[:size]
        previous = None
        if cursor is not None:
            previous = self._write(shown[0]) if shown else self._turned(cursor)
        return self._found(shown, self._write(shown[-1]) if places[size:] else None, previous)

    def _backwards(self, cursor: Cursor, size: int) -> Found:
        places = self._fetch([term.reversed() for term in self.terms], cursor, size + 1)
        shown = places[:size][::-1]
        following = self._write(shown[-1]) if shown else self._turned(cursor)
        return self._found(shown, following, self._write(shown[0]) if places[size:] else None)

    def _found(
        self, places: Sequence[_Place], following: str | None, previous: str | None
    ) -> Found:
        return Found([place.row for place in places], following, previous)

    def _fetch(self, terms: Sequence[Term], cursor: Cursor | None, count: int) -> list[_Place]:
        found = self._fetch_prepared(terms, cursor, count)
        return self._fetch_parts(terms, cursor, count) if found is None else found

    def _fetch_prepared(
        self, terms: Sequence[Term], cursor: Cursor | None, count: int
    ) -> list[_Place] | None:
        """By one statement that is the same for every cursor, where that is possible."""
        if self.criteria or any(term.nullable for term in terms):
            return None
        at = [bindparam(f"at{n}", type_=t.column.type) for n, t in enumerate(terms)]
        order = tuple((term.field, term.descending) for term in terms)
        inclusive = cursor is not None and cursor.inclusive

        def make() -> Select[Any]:
            given = None if cursor is None else Cursor(at, inclusive)
            (part,) = self._parts(terms, given)
            query = select(self.rows.model).where(part.condition).order_by(*part.order)
            return query.limit(bindparam("count", type_=Integer))

        names = () if cursor is None else tuple(f"at{n}" for n in range(len(terms)))
        values = () if cursor is None else cursor.values
        query = PreparedQuery((order, inclusive), make, (*names, "count"))
        found = self.reader.by_prepared(query, (*values, count), [term.field for term in terms])
        return None if found is None else [_Place(*one) for one in found]

    def _fetch_parts(
        self, terms: Sequence[Term], cursor: Cursor | None, count: int
    ) -> list[_Place]:
        query = select(self.rows.model).where(*self.conditions)
        columns = [term.column for term in self.terms]
        places: list[_Place] = []
        for part in self._parts(terms, cursor):
            if len(places) < count:
                wanted = query.where(part.condition).order_by(*part.order)
                found = self.reader.with_values(wanted.limit(count - len(places)), columns)
                places += [_Place(*one) for one in found]
        return places

    @staticmethod
    def _parts(terms: Sequence[Term], cursor: Cursor | None) -> list[Segment]:
        if cursor is None:
            return [Segment(true(), [term.ordered() for term in terms])]
        return list(segments(terms, cursor.values, cursor.inclusive))

    # -- cursors -------------------------------------------------------------------------------

    def _write(self, place: _Place) -> str:
        return self._written(Cursor(place.values))

    def _turned(self, cursor: Cursor) -> str:
        """From where nothing was found, in the other direction: its own row comes first."""
        return self._written(Cursor(cursor.values, not cursor.inclusive))

    def _written(self, cursor: Cursor) -> str:
        try:
            return cursors.write(cursor, self._query)
        except TypeError as error:
            raise self._refused("order_by", str(error)) from None

    def _read(self, name: str, text: Any) -> Cursor:
        try:
            cursor = cursors.read(text, self._query, self._enums())
        except (TypeError, ValueError, KeyError, binascii.Error):
            cursor = Cursor(())
        if len(cursor.values) != len(self.terms):
            raise self._refused(
                name, "is no cursor of this query: its criteria and its order must be the same"
            )
        return cursor

    def _enums(self) -> dict[int, type[Enum]]:
        types = [self.rows.rules.columns[term.field].type for term in self.terms]
        enums = [getattr(kind, "enum", getattr(kind, "enum_class", None)) for kind in types]
        return {at: enum for at, enum in enumerate(enums) if isinstance(enum, type)}

    @functools.cached_property
    def _query(self) -> str:
        """What a cursor belongs to: the table, the criteria with their values, the order."""
        dialect = self.rows.session.database.engine.dialect
        order = tuple((term.field, term.descending) for term in self.terms)
        if self.criteria:
            return _said(self.rows.model, dialect, self.conditions, order)
        return _all_of(self.rows.model, dialect, order)

    def _refused(self, field: str, message: str) -> ValidationError:
        return ValidationError(self.rows.rules.entity, {field: message})


@functools.lru_cache(maxsize=256)
def _all_of(model: Any, dialect: Any, order: Order) -> str:
    return _said(model, dialect, (), order)


def _said(model: Any, dialect: Any, conditions: Sequence[Any], order: Order) -> str:
    asked = select(model).where(*conditions).compile(dialect=dialect)
    return json.dumps([str(asked), repr(sorted(asked.params.items())), order])
