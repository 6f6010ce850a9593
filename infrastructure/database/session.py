"""The session of one block: what makes it safe to use, and what it remembers.

It knows which thread uses it, whether it failed, and which entities of earlier
transactions must not be changed any more.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from sqlalchemy import inspect as state_of
from sqlalchemy.orm import InstanceState, SessionTransaction
from sqlmodel import Session

from domain.errors import CommitOutcomeUnknown, ReadOnlyViolation, UnitOfWorkError
from infrastructure.database import aggregates, edits, forks, open_units, undoing
from infrastructure.database.collecting import paused
from infrastructure.database.database import Database
from infrastructure.database.failing import Failing
from infrastructure.database.flushing import Mark, Tracker
from infrastructure.database.guards import forgetful, guarded, noted, owned
from infrastructure.database.models import json_changes
from infrastructure.database.refreshing import load_expired, read_again
from infrastructure.database.settled import Settled
from infrastructure.database.shortcuts import is_clean, is_empty
from infrastructure.database.value_reads import Cursor, ValueReads


class UnitSession(Failing, ValueReads):
    """A SQLModel session that lives as long as one block; the unit ends its transactions."""

    def __init__(
        self,
        database: Database,
        lock: threading.RLock,
        *,
        read_only: bool,
        isolation_level: str | None,
    ) -> None:
        super().__init__(database, read_only=read_only, isolation_level=isolation_level)
        self.lock = lock
        self.judged = read_only and isolation_level == "SERIALIZABLE"
        self.tracker = Tracker(self, database)
        self.process = forks.process
        self.begun = self.wrote = self.committing = self.left = False
        self.finished = 0
        self.settled = Settled()
        self.cursors: list[Cursor] = []
        self.kept: undoing.Held = []
        open_units.register(self)

    # -- what state it is in ---------------------------------------------------------------

    def check(self) -> None:
        """Raise if the unit cannot be used."""
        if self.left:
            raise UnitOfWorkError("the block was left; open a new unit of work")
        if self.process != forks.process:
            self.refuse_in_child()
        if self.failure is not None:
            self.refuse_failed()

    def fail(self, error: BaseException, *, wholly: bool = False) -> None:
        """Remember the first failure."""
        super().fail(error, wholly=wholly)
        self.driver = None
        self.forget_known()

    def begin_unit(self) -> None:
        """Refuse a second writing unit in the same context: it would wait for itself."""
        open_units.refuse_beside_others(self)
        open_units.register(self)  # it may have been entered in another context
        self.begin_noting()
        self.begun = True

    @property
    def is_open(self) -> bool:
        """Whether it was entered in this process, and not left yet."""
        return not (self.left or self.inherited)

    @property
    def inherited(self) -> bool:
        """Whether this process was forked while the unit was open; memory was copied with it."""
        return self.process != forks.process and not self.database.in_memory

    def refuse_in_child(self) -> None:
        """Raise if the transaction is that of a parent process."""
        if self.inherited:
            raise UnitOfWorkError(
                "the unit was opened before this process was forked, and stays with the parent; "
                "open one here"
            )

    def has_unsaved(self) -> bool:
        """Whether leaving now would lose writes."""
        return self.wrote or self.is_changed()

    def is_changed(self) -> bool:
        """Whether there is something that a flush would write."""
        return not is_empty(self) and (
            bool(self.new or self.deleted)
            or any(json_changes.changed_in(self))
            or any(aggregates.is_changed(self, entity) for entity in self.dirty)
        )

    def refuse_lost_changes(self) -> None:
        """Raise if an entity of an earlier transaction was changed."""
        if self.settled.is_empty and self.tracker.is_empty:
            return
        late = self.settled.changed() + self.tracker.changed_late()
        if late:
            raise UnitOfWorkError(
                f"{late[0]} was changed after its transaction had ended; store the change with "
                "update(), or load it again"
            )

    def _forget_transaction(self) -> None:
        self.wrote = self.begun = False
        self.transaction_id = self.written = None
        self.finished += 1
        self.driver = self._connection = None
        self.forget_known()

    # -- how a transaction ends ------------------------------------------------------------

    def store(self) -> Sequence[Exception]:
        """COMMIT; then nothing is loaded. The errors of caches that could not be told of it."""
        self.tracker.check_twins()
        self.refuse_lost_changes()
        self.flush()
        if self.pooled is not None or self.in_transaction():
            load_expired(self)
            self._commit()
            self.give_back_connections()
        self.tracker.settle()
        self.settled.keep_released()
        self.settle()
        self._forget_transaction()
        return self.unheard

    def _send_commit(self) -> None:
        transaction = self.called()
        self.committing = True
        try:
            if self.pooled is not None:
                self.commit_directly()
            if self.in_transaction():
                super().commit()
        except CommitOutcomeUnknown as error:
            self._forget_connection()
            self.failure = None
            if not self.database.was_committed(transaction, error):
                raise
        finally:  # whatever came of it: perhaps it is done
            self.committing = False
            self.unheard = self.tell_caches()

    def _forget_connection(self) -> None:
        """Let go of what is lost already, without asking it to roll back."""
        self.tracker.bases.note_unknown(self)  # perhaps it is undone
        self.settle()
        super().invalidate()

    _commit = guarded(_send_commit)
    _commit_reading = guarded(Session.commit)

    def finish_reading(self) -> None:
        """End the transaction of a read-only unit; like COMMIT, but there is nothing to store.

        At SERIALIZABLE what was read counts only after a COMMIT, which may fail: a server
        leaves out of account what a transaction read that is rolled back (Fekete, O'Neil
        and O'Neil, A Read-Only Transaction Anomaly Under Snapshot Isolation, 2004).
        """
        if self.judged and self.in_transaction():
            self._commit_reading()
        self.settle()
        self._send_rollback()
        self._forget_transaction()

    def undo(self) -> None:
        """ROLLBACK; raises nothing, so that the caller's own error reaches its caller."""
        if self._has_nothing():
            self._send_rollback()
        else:
            self._undo_all()
        self.failure = None
        self._forget_transaction()

    def _has_nothing(self) -> bool:
        """Whether nobody has anything that it would have to look after."""
        changes_nothing = self.read_only or not self.begun
        return changes_nothing and not (self.in_transaction() or self.cursors) and is_empty(self)

    def _undo_all(self) -> None:
        try:
            self.settle(undone=True)
        finally:
            self._send_rollback()
        self._restore_deleted()
        self.settled.take_back_released()
        self.tracker.take_back()
        self.tracker.bases.restore()
        self.tracker.forget()

    def leave(self) -> None:
        """End whatever is going on, and give the connection back."""
        if self.inherited:
            self.left = True
            self.forget_known()
            return
        try:
            self.undo()
        finally:
            self.left = True
            if self.in_transaction():
                super().close()

    def _send_rollback(self) -> None:
        try:
            super().rollback()
        except Exception:  # noqa: BLE001 -- whatever it is, the connection goes
            super().invalidate()
        self.give_back_connections()

    def settle(self, *, undone: bool = False) -> None:
        """Detach everything: values stay, and a change from now on is noticed."""
        while self.cursors:  # later, the connection is somebody else's
            with suppress(Exception):
                self.cursors.pop().close()
        if undone:
            for row, _ in self.tracker.newborns:  # nobody is to look for them by their keys
                self.identity_map.safe_discard(state_of(row))
            self.tracker.bases.note_unknown(self)
        held = json_changes.forget(self)
        if held or not is_empty(self):
            self._detach_all(held)

    @paused()
    def _detach_all(self, held: list[Any]) -> None:
        states: list[InstanceState[Any]] = undoing.state_list(self)
        self.expunge_all()
        self.settled.add(states, held)

    def _restore_deleted(self) -> None:
        # SQLAlchemy brings them back to the session, empty.
        self.expunge_all()
        undoing.restore_deleted(self.tracker.deleted)
        again = [*(entity for entity, _ in self.tracker.deleted), *self.tracker.removed]
        self.settled.add(undoing.state_list(again), ())

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
        held = self.kept + self.tracker.deleted[since.deleted :]
        written = {id(row) for row, _ in held if wrote or state_of(row).modified}
        try:
            if nested is not None:
                nested.rollback()
        except Exception as error:  # noqa: BLE001 -- the connection is lost: all has failed
            self.failure, self.failed_at = self.failure or error, 0
            self.driver = None
            self._give_back_values(held)
            return
        if mark >= self.depth:
            self.failure = None
        self.settled.add(undoing.state_list(self.tracker.removed[since.removed :]), ())
        self.tracker.take_back(since)
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

    def read_again(self, rows: Iterable[Any]) -> None:
        """Replace the values of loaded rows by those of the database; what is gone leaves."""
        known = list(rows)
        read_again(self, self.database.dialect, known)
        self.tracker.removed += [row for row in known if row not in self]
        self.forget_known()

    # -- what there is to use, guarded ---------------------------------------------------

    if not TYPE_CHECKING:  # the types stay those of Session
        add = guarded(Session.add, begins=False)
        delete = guarded(Session.delete, begins=False)
        expire = forgetful(Session.expire)
        expire_all = forgetful(Session.expire_all)
        expunge = forgetful(Session.expunge)
        expunge_all = forgetful(Session.expunge_all)
        connection = guarded(noted(Session.connection))
        get = guarded(noted(Session.get))
        merge = guarded(noted(Session.merge))
        refresh = guarded(noted(Session.refresh))
        scalar = guarded(noted(Session.scalar))
        scalars = guarded(noted(Session.scalars))
        execute = guarded(noted(Session.execute))
        exec = guarded(noted(Session.exec))
        fetch = guarded(ValueReads.fetch)
        find = guarded(ValueReads.find)
        read = guarded(ValueReads.read)
        write = guarded(ValueReads.write)
        open_cursor = guarded(ValueReads.open_cursor)
        next_part = guarded(ValueReads.next_part)

    def flush(self, objects: Any = None) -> None:
        """Validate, then write what is new, changed or deleted."""
        if not is_clean(self) or any(json_changes.changed_in(self)):
            self._flush_validated()

    def _validate_and_flush(self) -> None:
        if self.read_only:
            raise ReadOnlyViolation("the unit is read-only; open a writing one: UnitOfWork()")
        if not self.depth and edits.store(self, self.tracker, lambda: self.settle(undone=True)):
            return
        self.tracker.prepare()
        if self.deleted:
            self.forget_known()
        with self.noting_rows(self.tracker.touched, self.tracker.gone):
            super().flush()
        self.tracker.finish()

    _flush_validated = guarded(_validate_and_flush)

    def _clear_the_way(self) -> None:
        self.tracker.check_recent_twins()
        self.flush()

    ready = guarded(_clear_the_way)
    """Begin, and write what is waiting: what is wrong with that is said before more is queued."""

    if not TYPE_CHECKING:
        commit = prepare = owned("uow.commit()")
        rollback = close = reset = invalidate = owned("uow.rollback()")
        begin = begin_nested = __enter__ = owned("uow.savepoint()")


@event.listens_for(UnitSession, "after_rollback")
def _keep_values(session: UnitSession) -> None:
    """Before SQLAlchemy empties what is loaded; after a savepoint it can be read again."""
    if session.get_nested_transaction() is None:
        session.settle(undone=True)
    else:
        session.keep_values()
