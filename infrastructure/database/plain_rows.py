"""What read-only units hand out: plain entities, made of values without a row in between."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from operator import attrgetter
from typing import Any, NamedTuple

from sqlalchemy import Column, ColumnElement, Select
from sqlalchemy import inspect as mapping_of

from infrastructure.database.collecting import paused
from infrastructure.database.keys import Key, bare, by_key
from infrastructure.database.models.building import builder
from infrastructure.database.models.plain import VERSION, field_names
from infrastructure.database.models.rules import rules_of
from infrastructure.database.prepared import Found, PreparedQuery
from infrastructure.database.rows import Rows
from infrastructure.database.session import UnitSession
from infrastructure.database.streams import parts

_AT_ONCE = 250
"""Entities that are made at once in a stream: those before are out of the processor's cache."""


class Recipe(NamedTuple):
    """How the entities of one class are made of the columns of their table."""

    entity: Any
    names: tuple[str, ...]
    columns: tuple[Column[Any], ...]
    keys: tuple[str, ...]
    key: Callable[[Any], Any]
    by_key: tuple[Select[Any], tuple[str, ...]]


@cache
def recipe(model: Any, entity: Any) -> Recipe | None:
    """None where a row is needed in between: an aggregate has children, a mapper its parents."""
    rules, mapper = rules_of(model), mapping_of(model)
    fields = field_names(entity)
    names = [name for name in fields if name not in rules.children]
    if len(names) < len(fields) or mapper.inherits or mapper.polymorphic_map:
        return None
    kept = {name: name for name in names}
    if rules.version is not None:
        kept[VERSION] = rules.version
    if not {*rules.keys, *kept.values()} <= rules.columns.keys() or not {*rules.keys} <= {*names}:
        return None
    columns = tuple(rules.columns[name] for name in kept.values())
    key = attrgetter(*rules.keys)
    return Recipe(entity, tuple(kept), columns, rules.keys, key, by_key(model, columns))


class Given:
    """The entities that a unit has handed out, which it hands out again."""

    def __init__(self, session: UnitSession) -> None:
        self._session = session
        self._known: dict[Any, weakref.ref[Any]] = {}
        self._transaction = session.finished

    def get(self, key: Any) -> Any | None:
        """What this transaction gave under a key, as long as somebody has it."""
        reference = self.known.get(key)
        return None if reference is None else reference()

    def first(self, key: Any, made: Any) -> Any:
        """What was given under this key before, or this."""
        known = self.known
        reference = known.get(key)
        found = None if reference is None else reference()
        if found is None:
            known[key] = weakref.ref(made)
        return made if found is None else found

    def keep(self, keys: list[Any], made: list[Any]) -> list[Any]:
        """The same for many."""
        known = self.known
        if known.keys().isdisjoint(keys):
            before = len(known)
            known.update(zip(keys, map(weakref.ref, made), strict=True))
            if len(known) - before == len(made):
                return made
        return [self.first(key, one) for key, one in zip(keys, made, strict=True)]

    def drop_dead(self, keys: list[Any]) -> None:
        """Forget those of these that nobody has any more."""
        known = self.known
        for key in keys:
            reference = known.get(key)
            if reference is not None and reference() is None:
                del known[key]

    @property
    def known(self) -> dict[Any, weakref.ref[Any]]:
        """What an earlier transaction of the block has given is what was stored then."""
        if self._transaction != self._session.finished:
            self._known, self._transaction = {}, self._session.finished
        return self._known


class PlainRows:
    """Reads the entities of one table in a read-only unit."""

    def __init__(self, session: UnitSession, how: Recipe, given: Given) -> None:
        self._session = session
        self._how = how
        self._given = given
        self._by_key = session.database.prepared(*how.by_key)

    def get(self, key: Key) -> Any | None:
        """The one with this key, or None."""
        id = bare(key)
        known = self._given.get(id)
        if known is not None:
            return known
        found = self._session.read(self._by_key, key)
        return self._given.first(id, self._built(found)[0]) if found.rows else None

    def by_keys(self, rows: Rows, keys: Sequence[Key]) -> dict[Key, Any]:
        """Those with these keys, any number of them; missing ones left out."""
        given = {key: self._given.get(bare(key)) for key in keys}
        found = {key: one for key, one in given.items() if one is not None}
        for query in rows.with_keys([key for key in keys if key not in found]):
            found |= {self._key_of(one): one for one in self.all(query)}
        return found

    def _key_of(self, entity: Any) -> Key:
        return tuple(entity.__dict__[name] for name in self._how.keys)

    def all(self, query: Select[Any]) -> list[Any]:
        """Those of a query of the model."""
        return self._made(self._session.find(self._only_columns(query), self._how.columns))

    def with_values(
        self, query: Select[Any], columns: Sequence[ColumnElement[Any]]
    ) -> list[tuple[Any, Sequence[Any]]] | None:
        """The same, each with the values of some columns."""
        count = len(self._how.columns)
        rows = self._session.fetch(query.with_only_columns(*self._how.columns, *columns))
        made = self._made(Found([row[:count] for row in rows]))
        return [(one, row[count:]) for one, row in zip(made, rows, strict=True)]

    def by_prepared(
        self, query: PreparedQuery, values: Sequence[Any], fields: Sequence[str]
    ) -> list[tuple[Any, Sequence[Any]]] | None:
        """The same of a query that is made once for all values."""
        if not {*fields} <= {*self._how.names}:
            return None
        prepared = self._session.database.prepared_query(query, self._how.columns)
        made = self._made(self._session.read(prepared, values))
        return [(one, [one.__dict__[name] for name in fields]) for one in made]

    def stream(self, query: Select[Any], size: int) -> Iterator[Any]:
        """The same, one after the other, in constant memory."""
        columns = self._how.columns
        for rows, converts in parts(self._session, self._only_columns(query), columns, size):
            for at in range(0, len(rows), _AT_ONCE):
                made = self._made(Found(rows[at : at + _AT_ONCE], converts))
                keys = self._keys_of(made)
                yield from made
                del made
                self._given.drop_dead(keys)

    def _only_columns(self, query: Select[Any]) -> Select[Any]:
        return query.with_only_columns(*self._how.columns)

    def _made(self, found: Found) -> list[Any]:
        with paused():
            made = self._built(found)
            return self._given.keep(self._keys_of(made), made)

    def _built(self, found: Found) -> list[Any]:
        return builder(self._how.entity, self._how.names, found.converts)(found.rows)

    def _keys_of(self, made: list[Any]) -> list[Any]:
        return list(map(self._how.key, made))
