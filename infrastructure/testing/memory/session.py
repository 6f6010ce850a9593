"""What lives as long as one block: a copy of the rows, and what is known of the entities."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from domain.entity import next_number
from domain.errors import (
    ConcurrencyConflict,
    ConflictError,
    EntityNotFound,
    LockTimeout,
    ReadOnlyViolation,
    UnitOfWorkError,
)
from domain.event import Event
from domain.messages import Message
from infrastructure.database import open_units
from infrastructure.database.failing import Failing
from infrastructure.database.guards import guarded
from infrastructure.database.keys import bare
from infrastructure.database.payloads import message_of
from infrastructure.testing.memory import writing
from infrastructure.testing.memory.constraints import Row
from infrastructure.testing.memory.images import Image
from infrastructure.testing.memory.kinds import Kind, Write
from infrastructure.testing.memory.ordering import in_order
from infrastructure.testing.memory.state import Key, State
from infrastructure.testing.memory.store import InMemoryStore
from infrastructure.testing.memory.tracking import Mark, Tracking


class MemorySession(Failing):
    """The transactions of one block, one after the other; nothing is loaded when one begins."""

    judged = inherited = False
    """Whoever only reads is never too late, and a fork copies the store with all of its units."""

    def __init__(self, store: InMemoryStore, lock: threading.RLock, *, read_only: bool) -> None:
        self.database = store
        self.lock = lock
        self.read_only = read_only
        self.begun = self.wrote = self.left = self._locked = False
        self.state = store.committed
        self.tracking = Tracking()
        open_units.register(self)

    # -- what state it is in -----------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether the block was not left yet."""
        return not self.left

    def check(self) -> None:
        """Raise if the unit cannot be used."""
        if self.left:
            raise UnitOfWorkError("the block was left; open a new unit of work")
        if self.failure is not None:
            self.refuse_failed()

    def begin_unit(self) -> None:
        """Take what is committed; a writing unit waits for the one that writes."""
        open_units.refuse_beside_others(self)
        open_units.register(self)
        if not self.read_only:
            if not self.database.lock(self.database.busy_timeout):
                message = "another unit is writing; leave units sooner, or raise busy_timeout"
                raise self.failed_with(LockTimeout(message))
            self._locked = True
        self.state = self.database.committed.fork()
        self.begun = True

    def refuse_in_child(self) -> None:
        """There is no transaction of a parent process."""

    def has_nothing(self) -> bool:
        """Whether there is nothing to be lost."""
        return not self.has_unsaved()

    def has_unsaved(self) -> bool:
        """Whether leaving now would lose writes."""
        return self.wrote or bool(self.tracking.journal) or self.is_changed()

    def is_changed(self) -> bool:
        """Whether there is something that a flush would write."""
        return bool(self.tracking.changed()) or self.tracking.has_recorded()

    def refuse_lost_changes(self) -> None:
        """Raise if an entity of an earlier transaction was changed."""
        late = self.tracking.changed_late()
        if late:
            raise UnitOfWorkError(
                f"{late[0]} was changed after its transaction had ended; load it again, and "
                "change that one"
            )

    # -- how a transaction ends --------------------------------------------------------------

    def store(self) -> Sequence[Exception]:
        """Commit; afterwards nothing is loaded, and what was loaded stays readable."""
        self.tracking.originals.check()
        self.refuse_lost_changes()
        self.flush()
        self.check()
        messages = self._messages()
        self.tracking.settle()
        if self.wrote:
            self.database.committed = self.state
        self.database.post(messages)
        self._end()
        self.database.deliver()
        return ()

    def _messages(self) -> list[Message]:
        now = self.database.clock()
        try:
            return [message_of(event, now) for event in self.tracking.journal.in_order()]
        except Exception as error:
            self.fail(error)
            raise

    def finish_reading(self) -> None:
        """End the transaction of a read-only unit; there is nothing to store."""
        self.tracking.settle()
        self._end()

    def undo(self) -> None:
        """Forget everything since the beginning or the last commit."""
        self.tracking.undo()
        self.failure = None
        self._end()

    def leave(self) -> None:
        """End whatever is going on."""
        try:
            self.undo()
        finally:
            self.left = True

    def _end(self) -> None:
        self.wrote = self.begun = False
        if self._locked:
            self._locked = False
            self.database.unlock()

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """A part that can be undone alone."""
        state, mark = self._begin_savepoint()
        wrote, self.wrote = self.wrote, False
        self.depth += 1
        try:
            yield
            self.flush()
            self.refuse_failed_savepoint()
        except BaseException:
            self._undo_savepoint(state, mark)
            raise
        finally:
            self.depth -= 1
            self.wrote |= wrote
            self.tracking.end(mark)

    def _make_savepoint(self) -> tuple[State, Mark]:
        if not self.read_only:
            self._flush()
        return self.state.fork(), self.tracking.mark()

    _begin_savepoint = guarded(_make_savepoint)

    def _undo_savepoint(self, state: State, mark: Mark) -> None:
        if self.failed_at >= self.depth:
            self.failure = None
        self.state, self.wrote = state, False
        self.tracking.go_back(mark)
        self.tracking.read_again(state)

    # -- statements --------------------------------------------------------------------------

    def _publish(self, event: Event) -> None:
        self.tracking.journal.add(next_number(), event)

    publish = guarded(_publish)
    """Tell others of this with the commit."""

    def flush(self) -> None:
        """Validate, then write what was changed."""
        if self.is_changed():
            self._flush_guarded()

    def _flush(self) -> None:
        changed = self.tracking.changed()
        if not changed and not self.tracking.has_recorded():
            return
        if self.read_only:
            raise ReadOnlyViolation("the unit is read-only; open a writing one: UnitOfWork()")
        self.tracking.originals.check_recent()
        write, now = Write(), self.database.clock()
        for image in changed:
            image.kind.plan(image, write, now)
        self._write(lambda: writing.flush(self, write))
        for original, row in write.adopted:
            self.tracking.journal.move(original, row)
        self._collect(write.deletes)

    def _collect(self, gone: Iterable[Image], given: Iterable[Any] = ()) -> None:
        """Publish what was recorded by what is written."""
        try:
            self.tracking.collect(gone)
            for one in given:
                self.tracking.journal.collect(one, returns=True)
        except Exception as error:
            self.fail(error)
            raise

    _flush_guarded = guarded(_flush)

    def _clear_the_way(self) -> None:
        self.tracking.originals.check_recent()
        self._flush()

    ready = guarded(_clear_the_way)
    """Begin, and write what is waiting."""

    def _find(self, kind: Kind, key: Key, rows: bool) -> Any:
        known = None if self._is_plain(rows) else self.tracking.find(kind, key, rows=rows)
        if known is not None:
            return known.entity
        self._flush()
        row = self.state.row(kind.token, key)
        return None if row is None else self._hand_out(kind, row, rows)

    find = guarded(_find)
    """The entity with this key, or None."""

    def _select(self, kind: Kind, criteria: Sequence[Any]) -> list[Row]:
        self._flush()
        rows = self.state.rows(kind.token).values()
        return [row for row in rows if kind.satisfies(row, criteria)]

    select = guarded(_select)
    """The rows that satisfy the criteria."""

    def _load(
        self,
        kind: Kind,
        criteria: Sequence[Any],
        order: Sequence[tuple[str, bool]],
        part: slice,
        rows: bool,
    ) -> list[Any]:
        found = in_order(kind, self._select(kind, criteria), order)[part]
        return [self._hand_out(kind, row, rows) for row in found]

    load = guarded(_load)
    """The entities that satisfy the criteria, in an order, and of these a part."""

    def _insert(self, kind: Kind, given: Iterable[Any], rows: bool) -> list[Any]:
        drafts = kind.drafts(given, self._known)
        stored: list[Any] = self._write(lambda: writing.insert(self, kind, drafts, rows=rows))
        return stored

    insert = guarded(_insert)
    """Store new entities; the tracked ones."""

    def _delete(self, kind: Kind, given: Any) -> None:
        tracked = kind.is_entity(given) and self.tracking.of_object(given) is not None
        key = kind.given_key(given) if kind.is_entity(given) else kind.parse_key(given)
        row = self.state.row(kind.token, key)
        if row is None:
            raise EntityNotFound(kind.entity, bare(key))
        if not tracked:
            self._refuse_stale(kind, given, row)
        self._write(lambda: writing.delete(self, kind, row))
        self._collect((), kind.bearers(given) if kind.is_entity(given) else ())

    delete = guarded(_delete)
    """Remove an entity, or the one with an id."""

    def _refuse_stale(self, kind: Kind, given: Any, row: Row) -> None:
        """Refuse an entity that was loaded before somebody else changed its row."""
        version = kind.borne_version(given) if kind.is_entity(given) else None
        if version is not None and version != row[str(kind.version)]:
            raise self.failed_with(self.conflict(kind, kind.key_of(row)))

    # -- how ---------------------------------------------------------------------------------

    def _known(self, given: Any) -> Any:
        if self.tracking.is_stored(given):
            raise UnitOfWorkError("this entity is stored already; change it, and commit()")
        return self.tracking.originals.of(given)

    def _is_plain(self, rows: bool) -> bool:
        return self.read_only and not rows

    def _hand_out(self, kind: Kind, row: Row, rows: bool) -> Any:
        key = kind.key_of(row)
        if self._is_plain(rows):
            return self.tracking.untracked(
                kind, key, lambda: kind.make(row, self.state, rows=False).entity
            )
        known = self.tracking.find(kind, key, rows=rows)
        if known is None:
            known = self.tracking.add(kind.make(row, self.state, rows=rows), rows=rows)
        return known.entity

    def _write(self, work: Any) -> Any:
        try:
            return work()
        except ConflictError as error:
            if not self.depth:
                self.tracking.give_up()
            raise self.failed_with(error) from None

    def conflict(self, kind: Kind, key: Key) -> ConcurrencyConflict:
        """The error for a version that is not the stored one."""
        return ConcurrencyConflict(kind.entity, bare(key))
