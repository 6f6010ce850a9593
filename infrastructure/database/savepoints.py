"""Parts of a transaction that can be undone alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import inspect as state_of
from sqlalchemy.orm import SessionTransaction

from infrastructure.database import undoing
from infrastructure.database.flushing import Mark
from infrastructure.database.guards import guarded
from infrastructure.database.models import json_changes
from infrastructure.database.outgoing import recorders
from infrastructure.database.publishing import Publishing
from infrastructure.database.refreshing import read_again
from infrastructure.database.settled import Settled


class Savepoints(Publishing):
    """A session with savepoints."""

    settled: Settled
    kept: undoing.Held

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """A part that can be undone alone."""
        nested = self._begin_savepoint()
        since = self.tracker.mark()
        wrote, self.wrote = self.wrote, False
        self.depth += 1
        try:
            yield
            self.flush()
            self.refuse_failed_savepoint()
        except BaseException:
            self._undo_savepoint(nested, since)
            raise
        finally:
            self.depth -= 1
            self.wrote |= wrote
        if nested is not None:
            self._release(nested)

    def _make_savepoint(self) -> SessionTransaction | None:
        if self.read_only:  # there is nothing to undo, and autocommit knows no savepoints
            return None
        nested = super().begin(nested=True)
        super().connection()  # SAVEPOINT is sent now, for those who use the driver directly
        return nested

    _begin_savepoint = guarded(_make_savepoint)

    @guarded
    def _release(self, nested: SessionTransaction) -> None:
        nested.commit()

    def _undo_savepoint(self, nested: SessionTransaction | None, since: Mark) -> None:
        mark = self.failed_at
        self.forget_known()
        json_changes.mark_changed(self)
        wrote = self.wrote or self.failure is not None
        self.keep_values()
        waiting = recorders(self)
        held = self.kept + self.tracker.deleted[since.deleted :]
        written = {id(row) for row, _ in held if wrote or state_of(row).modified}
        try:
            if nested is not None:
                nested.rollback()
        except Exception as error:  # noqa: BLE001 -- the connection is lost: all has failed
            self.failure, self.failed_at = self.failure or error, 0
            self.cursor = None
            self._give_back_values(held)
            return
        if mark >= self.depth:
            self.failure = None
        self.settled.add(undoing.state_list(self.tracker.removed[since.removed :]), ())
        self.tracker.take_back(since, waiting)
        self.wrote = False
        if self.failure is None:
            self.tracker.bases.go_back(since.bases)
            rows = (row for row, _ in held)
            self._read_undone([r for r in rows if id(r) in written or undoing.is_emptied(r)])
        self._give_back_values(held)

    def keep_values(self) -> None:
        """Once for a savepoint, before SQLAlchemy empties what is loaded."""
        self.kept = self.kept or undoing.values_of(self.identity_map.values())

    def _give_back_values(self, held: undoing.Held) -> None:
        undoing.give_back(held)
        self.kept = []

    def _read_undone(self, rows: list[Any]) -> None:
        try:
            read_again(self, self.database.dialect, [row for row in rows if row in self])
        except Exception as error:  # noqa: BLE001 -- the caller's own error is under way
            self.failure, self.failed_at = error, 0
