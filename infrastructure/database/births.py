"""Stores new entities without a flush: validated as columns, written at once, then tracked.

What comes out is what a flush would make of them. Where that is not certain, for a value that
is refused too, nothing is done here, and the session stores them itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import cache
from itertools import islice
from operator import itemgetter
from typing import Any, cast

from sqlalchemy import Table
from sqlalchemy import inspect as mapping_of

from infrastructure.database.collecting import done_paused
from infrastructure.database.dialects.base import MEANWHILE
from infrastructure.database.intake import Intake
from infrastructure.database.models.column_lists import (
    Lists,
    Unfit,
    WrongValue,
    column_lists_of,
)
from infrastructure.database.models.domain_rules import domain_rules_of
from infrastructure.database.models.rules import rules_of
from infrastructure.database.noting import noting_by_row
from infrastructure.database.outgoing import any_recorded, without_events
from infrastructure.database.session import UnitSession
from infrastructure.database.shortcuts import Entering, Tracked

_PART = 10_000  # rows that are made at once, while the database is at work


class Brood:
    """The rows that are made of some values: before these are written, or meanwhile."""

    def __init__(self, session: UnitSession, how: Tracked, values: Lists, given: Lists) -> None:
        self.values = values
        self.rows: list[Any] = []
        self._session = session
        self._how = how
        self._given = frozenset(given)
        self._entering: Entering | None = None
        self.steps = self._in_steps()
        """Does what is to be done besides writing, when all have their keys."""

    def __len__(self) -> int:
        return len(next(iter(self.values.values())))

    def make(self) -> None:
        """All of them, at once."""
        self.rows = done_paused(len(self), self._how.make, self._by_row(), self._given)

    def obeys_domain(self) -> bool:
        """Make them at once, and ask the domain's own rules, which are to change nothing."""
        self.make()
        for row in self.rows:
            row.__post_init__()
        return not self._how.are_changed(self.rows)

    def give_keys(self, name: str, keys: Sequence[int]) -> None:
        """Keys of the database, for all of them."""
        self.values[name] = list(keys)
        for row, key in zip(self.rows, keys, strict=False):
            row.__dict__[name] = key

    def _in_steps(self) -> Iterator[None]:
        entering = self._entering = Entering(self._session)
        if self.rows:
            self._how.prepare(self.rows, entering)
            return
        values, count = self._by_row(), len(self)
        for _ in range(0, count, _PART):
            part = islice(values, _PART)
            self.rows += done_paused(count, self._how.make, part, self._given, entering)
            yield

    def enter(self) -> None:
        """They are stored."""
        for _ in self.steps:
            pass
        if self._entering is not None:
            self._how.enter(self._session, self._entering)

    def _by_row(self) -> Iterator[Sequence[Any]]:
        return zip(*map(self.values.__getitem__, self._how.names), strict=True)


class Kind:
    """What all new rows of a table have in common."""

    def __init__(self, domain: Any, model: Any) -> None:
        self.rules = rules_of(model)
        self.lists = column_lists_of(model)
        self.domain = domain_rules_of(domain, model)
        self.table = cast(Table, mapping_of(model).local_table)
        self.columns = {name: column.key for name, column in self.rules.columns.items()}
        self.generated = self.table.autoincrement_column
        """The column for which the database has a key, if it has one."""
        self.generated_name = None if self.generated is None else self.rules.keys[0]
        self.needed = {*self.rules.filled_in, *self.rules.keys} - {self.generated_name}
        """The fields of a row for which nothing but a flush knows what to do with None."""


@cache
def _kind_of(domain: Any, model: Any) -> Kind:
    return Kind(domain, model)


class Births:
    """New rows of one table."""

    def __init__(self, session: UnitSession, intake: Intake, how: Tracked) -> None:
        self._session = session
        self._intake = intake
        self._how = how
        self._kind = _kind_of(intake.domain, intake.model)
        self._rules = intake.rules
        self._domain = self._kind.domain

    def store(self, entities: Sequence[Any]) -> list[Any] | None:
        """The tracked rows of these, in their order; None where the session has to do it."""
        if not (entities and self._kind.lists.only_scalars):
            return None
        if self._how.is_watched_when_storing(self._session):
            return None
        held = self._held(entities)
        if held is None:
            return None
        if len(held) == 1 and self._domain.silent:
            row = self._store_one(entities[0], held[0])
            if row is not None:
                return [row]
        return self._store_all(entities, held)

    def _store_all(self, entities: Sequence[Any], held: list[dict[str, Any]]) -> list[Any] | None:
        count = len(entities)
        accepted = done_paused(count, self._accepted, held)
        if accepted is None:
            return None
        given, values = accepted
        brood = Brood(self._session, self._how, values, given)
        if not (self._domain.silent or brood.obeys_domain()):
            return None
        generated = self._write(brood)
        if generated is None:
            return None
        done_paused(count, self._enter, entities, given, brood, generated=generated)
        return brood.rows

    # -- one ---------------------------------------------------------------------------------

    def _store_one(self, entity: Any, held: dict[str, Any]) -> Any | None:
        """The same for one, of whose class nothing is asked; None where it is not certain."""
        values = self._one(held)
        if values is None:
            return None
        name = self._kind.generated_name
        generated = name is not None and values[name] is None
        self._insert_one(values, name if generated else None)
        row = self._how.enter_one(self._session, values, frozenset(held))
        self._note([entity], [row], len(held))
        originals = [entity] if type(entity) is self._intake.domain else []
        self._session.tracker.born(originals, [row], {}, generated=generated)
        return row

    def _one(self, held: dict[str, Any]) -> dict[str, Any] | None:
        """All values of the row."""
        kind, rules = self._kind, self._rules
        if not self._session.database.engine.dialect.insert_returning:
            return None
        try:
            values = kind.lists.one(held)
        except Unfit:
            return None
        for name in kind.needed:
            if values[name] is None:
                return None
        if rules.timestamped:
            now = self._session.database.clock()
            values |= dict.fromkeys({"created_at", "updated_at"} - held.keys(), now)
        return values

    def _insert_one(self, values: dict[str, Any], generated: str | None) -> None:
        """INSERT; from now on the values have the key that the database gave, if it gave one.

        Without one, nothing of the row comes back, which nobody may be allowed to read.
        """
        kind, session, given = self._kind, self._session, values
        if generated is not None:
            given = {name: value for name, value in values.items() if name != generated}
        returned = None if generated is None else kind.generated
        names = tuple(map(kind.columns.__getitem__, given))
        prepared = session.database.prepared_insert(kind.table, names, returned)
        told = [value for row in session.write(prepared, [*given.values()]).rows for value in row]
        if generated is not None:
            values[generated] = told.pop(0)
        session.transaction_id = told[0] if told else None

    # -- what is given ---------------------------------------------------------------------

    def _held(self, entities: Sequence[Any]) -> list[dict[str, Any]] | None:
        """What they hold in the fields that were given; None if these are not all alike."""
        kind = type(entities[0])
        if len(entities) > 1 and list(map(type, entities)).count(kind) < len(entities):
            return None
        if kind is dict:
            held: list[dict[str, Any]] = list(entities)
            names: Collection[str] = held[0].keys()
        elif kind is self._intake.domain and not self._domain.none and kind.__weakrefoffset__:
            held = [entity.__dict__ for entity in entities]
            names = self._domain.kept
            if self._session.tracker.knows_any(entities):
                return None
            if len(entities) > 1 and len({*map(id, entities)}) < len(entities):
                return None
        else:
            return None
        if not self._rules.givable.issuperset(names):
            return None
        if {*map(len, held)} != {len(names)}:
            held = [without_events(values) for values in held] if any_recorded(held) else []
        return held if {*map(len, held)} == {len(names)} else None

    def _accepted(self, held: list[dict[str, Any]]) -> tuple[Lists, Lists] | None:
        """What was given, and what is to be stored, as columns; None where a flush has to."""
        try:
            given = {name: list(map(itemgetter(name), held)) for name in held[0]}
        except KeyError:
            return None
        values = self._whole(given, len(held))
        return None if values is None else (given, values)

    def _whole(self, given: Lists, count: int) -> Lists | None:
        try:
            values = self._kind.lists.whole(given, count)
        except (Unfit, WrongValue):
            return None
        for name in self._rules.filled_in:
            if None in values[name]:
                return None  # a flush leaves such a None to the default of the column
        if self._rules.timestamped:
            now = self._session.database.clock()
            values |= {name: [now] * count for name in {"created_at", "updated_at"} - given.keys()}
        return values

    # -- writing ---------------------------------------------------------------------------

    def _write(self, brood: Brood) -> bool | None:
        """INSERT; whether the database gave the keys. None: it cannot be done here."""
        values = brood.values
        column, name = self._kind.generated, self._kind.generated_name
        missing = 0 if name is None else values[name].count(None)
        for key in self._rules.keys:
            if key != name and None in values[key]:
                return None
        if column is None or name is None or not missing:
            self._insert(brood)
            return False
        if missing < len(brood):
            return None
        if missing == 1:
            one = {name: column[0] for name, column in values.items()}
            if not self._session.database.engine.dialect.insert_returning:
                return None
            self._insert_one(one, name)
            brood.give_keys(name, [one[name]])
            return True
        session = self._session
        keys = session.database.dialect.take_keys(session.connection(), column, missing)
        if keys is None:
            return None
        brood.give_keys(name, keys)
        self._insert(brood)
        return True

    def _insert(self, brood: Brood) -> None:
        columns = {self._kind.columns[n]: column for n, column in brood.values.items()}
        write = self._session.database.dialect.inserting(self._kind.table, tuple(columns))
        statement, parameters, options = write(self._session.connection(), columns, {})
        options = {**options, MEANWHILE: brood.steps}
        with noting_by_row(self._session.written, [self._kind.table.fullname]):
            self._session.execute(statement, parameters, execution_options=options)

    def _enter(
        self, entities: Sequence[Any], given: Lists, brood: Brood, *, generated: bool
    ) -> None:
        brood.enter()
        self._note(entities, brood.rows, len(given))
        originals = entities if type(entities[0]) is self._intake.domain else ()
        self._session.tracker.born(originals, brood.rows, given, generated=generated)

    def _note(self, entities: Sequence[Any], rows: Sequence[Any], fields: int) -> None:
        """Tell the caches of it, and whoever listens to what was recorded."""
        if self._session.written is not None:
            self._session.written.note_rows(rows)
        if type(entities[0]) is dict:
            return
        if sum(map(len, map(vars, entities))) > fields * len(entities):
            self._session.publish_recorded(entities, rows)
