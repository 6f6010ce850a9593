"""The session of one block: what makes it safe to use, and what it remembers.

It knows which thread uses it, whether it failed, and which entities of earlier
transactions must not be changed any more.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from sqlalchemy import inspect as state_of
from sqlalchemy.orm import InstanceState
from sqlmodel import Session

from domain.errors import CommitOutcomeUnknown, ReadOnlyViolation, UnitOfWorkError
from infrastructure.database import aggregates, edits, forks, open_units, undoing
from infrastructure.database.collecting import done_paused
from infrastructure.database.database import Database
from infrastructure.database.flushing import Tracker
from infrastructure.database.guards import forgetful, guarded, noted, owned
from infrastructure.database.models import json_changes
from infrastructure.database.outgoing import recorders
from infrastructure.database.publishing import Publishing, PublishingPolicy
from infrastructure.database.refreshing import load_expired, read_again
from infrastructure.database.savepoints import Savepoints
from infrastructure.database.settled import Settled
from infrastructure.database.shortcuts import detach_all, end_alone, is_clean, is_empty, usable
from infrastructure.database.value_reads import Cursor, ValueReads


class UnitSession(Savepoints):
    """A SQLModel session that lives as long as one block; the unit ends its transactions."""

    begun = committing = left = False
    finished = 0
    kept: undoing.Held = []  # noqa: RUF012 -- replaced, never changed
    _tracker: Tracker | None = None

    def __init__(
        self,
        database: Database,
        lock: threading.RLock,
        *,
        read_only: bool,
        isolation_level: str | None,
        publishing: PublishingPolicy,
    ) -> None:
        super().__init__(database, read_only=read_only, isolation_level=isolation_level)
        self.lock = lock
        self.judged = read_only and isolation_level == "SERIALIZABLE"
        self.publishing = publishing
        self.process = forks.process
        self.settled = Settled()
        self.cursors: list[Cursor] = []
        open_units.register(self)

    # -- what state it is in ---------------------------------------------------------------

    @property
    def tracker(self) -> Tracker:
        """What it remembers of its entities; nothing, as long as nobody asks."""
        if self._tracker is None:
            self._tracker = Tracker(self, self.database)
        return self._tracker

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
        self.cursor = None
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

    def has_nothing(self) -> bool:
        """Whether the transaction has neither written nor loaded anything."""
        publishes = self._tracker is not None and self._tracker.publishes
        return is_empty(self) and not (self.wrote or self.judged or publishes)

    def has_unsaved(self) -> bool:
        """Whether leaving now would lose writes."""
        return self.wrote or self.tracker.publishes or self.is_changed()

    def is_changed(self) -> bool:
        """Whether there is something that a flush would write."""
        return not is_empty(self) and (
            bool(self.new or self.deleted)
            or any(json_changes.changed_in(self))
            or any(aggregates.is_changed(self, entity) for entity in self.dirty)
            or bool(recorders(self))
        )

    def refuse_lost_changes(self) -> None:
        """Raise if an entity of an earlier transaction was changed."""
        if self.settled.is_empty and (self._tracker is None or self._tracker.is_empty):
            return
        late = [*self.settled.changed(), *self.tracker.changed_late()]
        if late:
            raise UnitOfWorkError(
                f"{late[0]} was changed after its transaction had ended; store the change with "
                "update(), or load it again"
            )

    def _forget_transaction(self) -> None:
        self.wrote = self.begun = False
        self.transaction_id = self.written = None
        self.finished += 1
        self.cursor = self._connection = None
        self.forget_known()

    # -- how a transaction ends ------------------------------------------------------------

    def store(self) -> Sequence[Exception]:
        """COMMIT; then nothing is loaded. The errors of caches that could not be told of it."""
        tracker = self.tracker
        tracker.check_twins()
        self.refuse_lost_changes()
        self.flush()
        publishes = tracker.publishes
        if publishes:
            self.store_messages()
        if self.pooled is not None or self.in_transaction():
            if not is_empty(self):
                load_expired(self)
            self._commit()
            self.give_back_connections()
        tracker.settle()
        self.settled.keep_released()
        self.settle()
        self._forget_transaction()
        return [*self.unheard, *self.database.arrivals.tell()] if publishes else self.unheard

    def _send_commit(self) -> None:
        transaction = self.called()
        self.committing = True
        try:
            if self.pooled is not None:
                self.commit_directly()
                end_alone(self)
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
        if self._has_no_transaction():
            self.give_back_connections()
            if self._tracker is not None:
                self._tracker.forget_events()
        else:
            self._undo_all()
        self.failure = None
        self._forget_transaction()

    def _has_no_transaction(self) -> bool:
        """Whether there is nothing to undo, and nobody has anything to look after."""
        changes_nothing = self.read_only or not self.begun
        return changes_nothing and not (self.in_transaction() or self.cursors) and is_empty(self)

    def _undo_all(self) -> None:
        waiting = recorders(self)
        try:
            self.settle(undone=True)
        finally:
            self._send_rollback()
        self._restore_deleted()
        self.settled.take_back_released()
        self.tracker.take_back(waiting=waiting)
        self.tracker.bases.restore()
        self.tracker.forget()

    def leave(self) -> None:
        """End whatever is going on, and give the connection back."""
        if self.inherited:
            self.left = True
            self.forget_known()
            return
        try:
            if self._has_no_transaction():
                self.give_back_connections()
            else:
                self.undo()
        finally:
            self.left = True
            self.forget_known()
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
            done_paused(len(self.identity_map), self._detach_all, held)

    def _detach_all(self, held: list[Any]) -> None:
        self.forget_known()
        self.settled.add(detach_all(self) if usable() else self._expunged(), held)

    def _expunged(self) -> list[InstanceState[Any]]:
        states = undoing.state_list(self)
        self.expunge_all()
        return states

    def _restore_deleted(self) -> None:
        # SQLAlchemy brings them back to the session, empty.
        self.expunge_all()
        undoing.restore_deleted(self.tracker.deleted)
        again = [*(entity for entity, _ in self.tracker.deleted), *self.tracker.removed]
        self.settled.add(undoing.state_list(again), ())

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
        publish = guarded(Publishing.publish, begins=False)
        store_messages = guarded(Publishing.store_messages)
        next_part = guarded(ValueReads.next_part)

    def flush(self, objects: Any = None) -> None:
        """Validate, then write what is new, changed or deleted."""
        if not is_clean(self) or any(json_changes.changed_in(self)):
            self._flush_validated()

    def _validate_and_flush(self) -> None:
        if self.read_only:
            raise ReadOnlyViolation("the unit is read-only; open a writing one: UnitOfWork()")
        if not self.depth:
            stored = edits.store(self, self.tracker, lambda: self.settle(undone=True))
            if stored:
                self.collect(stored)
            if stored is not None:
                return
        self.tracker.prepare()
        recorded = recorders(self)
        if self.deleted:
            self.forget_known()
        with self.noting_rows(self.tracker.touched, self.tracker.gone):
            super().flush()
        self.tracker.finish()
        self.collect(recorded)

    _flush_validated = guarded(_validate_and_flush)

    def _clear_the_way(self) -> None:
        self.tracker.check_recent_twins()
        self.flush()

    def is_waiting(self) -> bool:
        """Whether anything may have to be written, or refused, before more is queued."""
        return not is_clean(self) or self._tracker is not None or bool(vars(self).get("info"))

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
