"""Which tables somebody reads, as far as statements tell."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator
from typing import Any

from sqlalchemy import Table, TableValuedAlias, TextClause
from sqlalchemy.sql import visitors
from sqlalchemy.sql.elements import ColumnClause

from infrastructure.database import cache_tags
from infrastructure.database.written import table_names


class TablesRead:
    """What a reader has read so far."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.are_all = True

    def note(self, what: Any = None) -> None:
        """A statement, or a model; without, something that tells nothing."""
        found = tables_of(what)
        self.are_all &= found is not None
        self.names |= found or set()

    def tags(self, by_key: Collection[str] = ()) -> Iterator[Hashable]:
        """Those of what was read; from the tables ``by_key``, rows by their keys."""
        for name in {*self.names, *by_key}:
            yield cache_tags.rows(name) if name in by_key else cache_tags.whole(name)
        if not self.are_all:
            yield cache_tags.ANYTHING


def tables_of(what: Any) -> set[str] | None:
    """The tables that a statement names; None if it names views, text or functions as well."""
    if isinstance(what, type) and hasattr(what, "__table__"):
        return table_names(what)
    if not isinstance(what, visitors.ExternallyTraversible):
        return None
    found = set()
    for element in visitors.iterate(what):
        if _tells_nothing(element):
            return None
        if isinstance(element, Table):
            found.add(element.fullname)
    return found


def _tells_nothing(element: Any) -> bool:
    match element:
        case Table():
            return bool(element.info.get("is_view"))
        case ColumnClause():
            return bool(element.is_literal) and element.name != "*"
        case TableValuedAlias():
            return getattr(element.element, "name", "") not in _OF_THEIR_ARGUMENTS
        case _:
            return isinstance(element, TextClause)


_OF_THEIR_ARGUMENTS = frozenset({"generate_series", "json_each", "unnest"})
"""Functions that give rows, and read no table."""
