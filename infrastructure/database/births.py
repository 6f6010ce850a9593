"""Stores new entities without a flush: validated as columns, written at once, then tracked.

What comes out is what a flush would make of them. Where that is not certain, for a value that
is refused too, nothing is done here, and the session stores them itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import Column, Table
from sqlalchemy import inspect as mapping_of

from infrastructure.database.collecting import paused
from infrastructure.database.intake import Intake
from infrastructure.database.models.column_lists import (
    Lists,
    Unfit,
    WrongValue,
    column_lists_of,
)
from infrastructure.database.models.domain_rules import domain_rules_of
from infrastructure.database.session import UnitSession
from infrastructure.database.shortcuts import Tracked


class Births:
    """New rows of one table."""

    def __init__(self, session: UnitSession, intake: Intake, how: Tracked) -> None:
        self._session = session
        self._intake = intake
        self._how = how
        self._rules = intake.rules
        self._lists = column_lists_of(intake.model)
        self._domain = domain_rules_of(intake.domain, intake.model)
        self._table = cast(Table, mapping_of(intake.model).local_table)

    def store(self, entities: Sequence[Any]) -> list[Any] | None:
        """The tracked rows of these, in their order; None where the session has to do it."""
        if not (entities and self._lists.only_scalars) or self._is_watched():
            return None
        with paused():
            given = self._given(entities)
            values = None if given is None else self._whole(given, len(entities))
            made = None if values is None else self._made(values, given or {})
        if made is None or values is None:
            return None
        key = self._write(values, made)
        if key is None:
            return None
        with paused():
            self._enter(entities, made, key)
        return made

    def _is_watched(self) -> bool:
        return self._how.is_watched_when_storing(self._session)

    # -- what is given ---------------------------------------------------------------------

    def _given(self, entities: Sequence[Any]) -> Lists | None:
        """The fields that were given, as columns; None if the entities are not all alike."""
        kind, tracker = type(entities[0]), self._session.tracker
        if list(map(type, entities)).count(kind) < len(entities):
            return None
        if kind is dict:
            held: list[dict[str, Any]] = list(entities)
            names = {*held[0]}
        elif kind is self._intake.domain and not self._domain.none:
            held = [entity.__dict__ for entity in entities]
            names = self._domain.kept
            if tracker.knows_any(entities) or len({*map(id, entities)}) < len(entities):
                return None
        else:
            return None
        if not names <= self._rules.givable or any(one.keys() != names for one in held):
            return None
        return {name: [one[name] for one in held] for name in names}

    def _whole(self, given: Lists, count: int) -> Lists | None:
        try:
            values = self._lists.whole(given, count)
        except (Unfit, WrongValue):
            return None
        if self._rules.timestamped:
            now = self._session.database.clock()
            values |= {name: [now] * count for name in {"created_at", "updated_at"} - given.keys()}
        return values

    def _made(self, values: Lists, given: Lists) -> list[Any] | None:
        """The rows, in which the domain's own rules hold."""
        columns = (values[name] for name in self._rules.names)
        made = self._how.make(zip(*columns, strict=True), frozenset(given))
        if self._domain.silent:
            return made
        for row in made:
            row.__post_init__()
        return None if self._how.are_changed(made) else made

    # -- writing ---------------------------------------------------------------------------

    def _write(self, values: Lists, made: Sequence[Any]) -> str | None:
        """INSERT; the key that the rows were given, empty if they had one. None: it cannot."""
        column = cast("Column[Any] | None", self._table.autoincrement_column)
        name: str | None = None if column is None else self._rules.keys[0]
        missing = 0 if name is None else values[name].count(None)
        if any(None in values[key] for key in self._rules.keys if key != name):
            return None
        if column is None or name is None or not missing:
            self._insert(values)
            return ""
        if missing < len(made):
            return None
        keys = self._keys(column, name, values)
        if keys is None:
            return None
        for row, key in zip(made, keys, strict=True):
            row.__dict__[name] = key
        return name

    def _keys(self, column: Column[Any], name: str, values: Lists) -> Sequence[int] | None:
        count = len(values[name])
        if count == 1:
            return self._insert_one(column, {n: v[0] for n, v in values.items() if n != name})
        session = self._session
        keys = session.database.dialect.take_keys(session.connection(), column, count)
        if keys is not None:
            self._insert(values | {name: list(keys)})
        return keys

    def _insert_one(self, column: Column[Any], values: dict[str, Any]) -> Sequence[int] | None:
        names = [self._rules.columns[name].key for name in values]
        database = self._session.database
        if not database.engine.dialect.insert_returning:
            return None
        prepared = database.prepared_insert(self._table, tuple(names), column)
        ((key, *transaction),), _ = self._session.write(prepared, list(values.values()))
        self._session.transaction_id = next(iter(transaction), None)
        return [key]

    def _insert(self, values: Lists) -> None:
        columns = {self._rules.columns[name].key: column for name, column in values.items()}
        write = self._session.database.dialect.inserting(self._table, tuple(columns))
        statement, parameters, options = write(self._session.connection(), columns, {})
        self._session.execute(statement, parameters, execution_options=options)

    def _enter(self, entities: Sequence[Any], made: list[Any], key: str) -> None:
        session = self._session
        self._how.enter(session, made)
        originals = entities if type(entities[0]) is self._intake.domain else ()
        session.tracker.born(originals, made, generated=bool(key))
