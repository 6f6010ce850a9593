"""Stores what was changed in one loaded entity without a flush: validated, and written at once.

What comes out is what a flush would make of it. Where that is not certain, nothing is done
here, and the session stores it itself.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, cast

from sqlalchemy import Table
from sqlalchemy.orm import InstanceState
from sqlalchemy.orm.exc import StaleDataError

from domain.entity import EVENTS
from infrastructure.database.flushing import Tracker
from infrastructure.database.models.column_lists import Unfit, column_lists_of
from infrastructure.database.models.rules import rules_of
from infrastructure.database.shortcuts import Tracked, only_changed, tracked
from infrastructure.database.value_reads import ValueReads


class Edits:
    """The changes that can be stored like this, in rows of one table."""

    def __init__(self, model: Any, how: Tracked) -> None:
        self.how = how
        self.rules = rules_of(model)
        self._table = cast(Table, how.mapper.local_table)
        found_by = [*self.rules.keys, *([self.rules.version] if self.rules.version else [])]
        self._expected = tuple(self.rules.columns[name].key for name in found_by)
        self._lists = column_lists_of(model)
        self._columns = {name: column.key for name, column in self.rules.columns.items()}
        self._changeable = self.rules.columns.keys() - {*self.rules.keys, self.rules.version}

    def fit(self, session: ValueReads, state: InstanceState[Any]) -> bool:
        """Whether no more than some columns of one row have to be written."""
        rules = self.rules
        return (
            state.committed_state.keys() <= self._changeable
            and not (rules.children or rules.json or rules.owner or vars(session).get("info"))
            and session.database.engine.dialect.update_returning
            and not self.how.is_watched_when_changing(session)
        )

    def store(
        self,
        session: ValueReads,
        tracker: Tracker,
        state: InstanceState[Any],
        undone: Callable[[], None],
    ) -> list[Any] | None:
        """UPDATE; None if there is nothing to write. ``undone`` is called if it fails."""
        entity: Any = state.obj()
        key: Any = state.key
        rules, held = self.rules, entity.__dict__
        tracker.check_recent_twins()
        values = self._converted({name: held[name] for name in state.committed_state})
        changed = self.how.changed(state, values)
        if not changed:
            return None
        held.update(values)
        if rules.timestamped:
            changed["updated_at"] = session.database.clock()
        version = {} if rules.version is None else {rules.version: held[rules.version]}
        changed |= {name: self.how.next_version(old) for name, old in version.items()}
        tracker.expect(entity)
        try:
            self._write(session, changed, (*key[1], *version.values()))
        except Exception:
            undone()
            raise
        held.update(changed)
        self.how.settle(session, state)
        if session.written is not None:
            session.written.note_rows([entity])
        tracker.finish()
        return [entity] if EVENTS in held else []

    def _converted(self, values: dict[str, Any]) -> dict[str, Any]:
        try:
            return self._lists.part(values)
        except Unfit:
            return self.rules.some(values)

    def _write(
        self, session: ValueReads, changed: dict[str, Any], expected: tuple[Any, ...]
    ) -> None:
        names = tuple(map(self._columns.__getitem__, changed))
        prepared = session.database.prepared_update(self._table, names, self._expected)
        rows = session.write(prepared, [*changed.values(), *expected]).rows
        if len(rows) != 1:
            raise StaleDataError
        _, *transaction = rows[0]
        session.transaction_id = transaction[0] if transaction else None


def store(session: ValueReads, tracker: Tracker, undone: Callable[[], None]) -> list[Any] | None:
    """Store what was changed; None where a flush has to do it.

    What comes back are those that have recorded something. ``undone`` is called where it
    was sent and failed.
    """
    state = only_changed(session)
    if state is None:
        return None
    model: Any = state.class_
    edits = _edits_of(model)
    if edits is None or not edits.fit(session, state):
        return None
    return edits.store(session, tracker, state, undone)


@cache
def _edits_of(model: Any) -> Edits | None:
    how = tracked(model, rules_of(model).names)
    return None if how is None or not how.changes_alike else Edits(model, how)
