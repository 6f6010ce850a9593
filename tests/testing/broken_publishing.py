"""Units of work that break what the contract says of events, each in one way.

They are the kit's own in memory, made worse.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, ClassVar

from domain.entity import next_number
from domain.errors import MessagingError, UnitOfWorkError, ValidationError
from domain.event import Event
from infrastructure.database.payloads import message_of
from infrastructure.testing.memory.recorded import Journal, event_of, give, taken_from
from infrastructure.testing.memory.session import MemorySession
from infrastructure.testing.memory.tracking import Tracking
from infrastructure.testing.memory.unit_of_work import InMemoryUnitOfWork


class Publishes(InMemoryUnitOfWork):
    """Units whose parts may be wrong in several ways."""

    Session: ClassVar[type[MemorySession]] = MemorySession
    Tracked: ClassVar[type[Tracking]] = Tracking
    Said: ClassVar[type[Journal]] = Journal

    def _new_session(self) -> MemorySession:
        super()._new_session().leave()  # what the repositories declare is known to the store
        session = self.Session(self.store, self._lock, read_only=self._read_only)
        session.tracking = self.Tracked()
        session.tracking.journal = self.Said(session.tracking.on_undo)
        return session


# -- when it leaves ------------------------------------------------------------------------


class PublishesAtOnce(Publishes):
    def publish(self, event: Event, /) -> None:
        super().publish(event)
        self.store.outbox.add([message_of(event, self.store.clock())])


class PublishesAtTheFlush(Publishes):
    class Session(MemorySession):
        def _collect(self, *given: Any) -> None:
            super()._collect(*given)
            self.database.post(self._messages())
            self.database.deliver()
            self.tracking.journal.clear()
            self.tracking._undoings.clear()


class PublishesWhatIsUndone(Publishes):
    class Said(Journal):
        def add(self, number: int, event: Event) -> None:
            self._events.append((number, event))


class PublishesWhatIsRolledBack(Publishes):
    class Tracked(Tracking):
        def undo(self) -> None:
            kept = [*self.journal._events]
            super().undo()
            self.journal._events = kept


class PublishesAgain(Publishes):
    class Tracked(Tracking):
        def settle(self) -> None:
            kept = [*self.journal._events]
            super().settle()
            self.journal._events = kept


class PublishesThoughTheCommitFailed(Publishes):
    def commit(self) -> None:
        session = self._usable()
        self.store.post(session._messages())
        try:
            super().commit()
        finally:
            self.store.deliver()


class PublishesAllAttempts(Publishes):
    def _leave(self, session: MemorySession) -> None:
        with suppress(MessagingError):
            self.store.post(session._messages())
        super()._leave(session)
        self.store.deliver()


class DropsEverythingAtASavepoint(Publishes):
    @contextmanager
    def savepoint(self) -> Iterator[None]:
        try:
            with super().savepoint():
                yield
        except BaseException:
            self._usable().tracking.journal.clear()
            raise


class DropsWhatASavepointKept(Publishes):
    @contextmanager
    def savepoint(self) -> Iterator[None]:
        before = len(self._usable().tracking.journal._events)
        with super().savepoint():
            yield
        del self._usable().tracking.journal._events[before:]


class PublishesInTheOrderOfWriting(Publishes):
    class Said(Journal):
        def in_order(self) -> list[Event]:
            return [event for _, event in self._events]


class PublishesWhatWasSaidByTheUnitLast(Publishes):
    def publish(self, event: Event, /) -> None:
        super().publish(event)
        events = self._usable().tracking.journal._events
        events[-1] = (next_number() + 1_000_000, event)


# -- what is refused -----------------------------------------------------------------------


class PublishesAnything(Publishes):
    def publish(self, event: Any, /) -> None:
        with suppress(ValidationError):
            super().publish(event)


class PublishesWhereItOnlyReads(Publishes):
    def publish(self, event: Event, /) -> None:
        if not self._read_only:
            super().publish(event)


class PublishesOutsideItsBlock(Publishes):
    def publish(self, event: Event, /) -> None:
        with suppress(UnitOfWorkError):
            super().publish(event)


class DropsWhatHasNoJson(Publishes):
    class Said(Journal):
        def in_order(self) -> list[Event]:
            return [event for event in super().in_order() if hasattr(event, "key")]


class DropsWhatIsTooBig(Publishes):
    class Said(Journal):
        def in_order(self) -> list[Event]:
            return [event for event in super().in_order() if len(str(event)) < 10_000]


class StoresWhatCannotBeToldOf(Publishes):
    class Session(MemorySession):
        def _messages(self) -> Any:
            try:
                return super()._messages()
            except MessagingError:
                self.database.committed = self.state
                raise


class GoesOnAfterAnUnfitEvent(Publishes):
    class Session(MemorySession):
        def _messages(self) -> Any:
            try:
                return super()._messages()
            except MessagingError:
                self.failure = None
                raise


# -- who is told ---------------------------------------------------------------------------


class WakesNobody(Publishes):
    class Session(MemorySession):
        def store(self) -> Any:
            wakes, self.database.outbox._wakes = self.database.outbox._wakes, {}
            try:
                return super().store()
            finally:
                self.database.outbox._wakes = wakes


class WakesInsideTheTransaction(Publishes):
    class Session(MemorySession):
        def _end(self) -> None:
            self.database.deliver()
            super()._end()


class WakesForNothing(Publishes):
    class Session(MemorySession):
        def store(self) -> Any:
            super().store()
            self.database.outbox._wake()
            return ()


# -- what entities record ------------------------------------------------------------------


class ForgetsWhatOnlyRecords(Publishes):
    class Tracked(Tracking):
        def has_recorded(self) -> bool:
            return False


class WarnsOfNoEvent(Publishes):
    class Session(MemorySession):
        def has_unsaved(self) -> bool:
            return self.wrote or self.is_changed()


class CopiesWhatWasRecorded(Publishes):
    class Said(Journal):
        def move(self, given: Any, entity: Any) -> None:
            events = taken_from(given)
            give(given, events)
            give(entity, events)


class LosesWhatWasRecorded(Publishes):
    class Said(Journal):
        def move(self, given: Any, entity: Any) -> None:
            taken_from(given)


class GivesNothingBack(Publishes):
    class Said(Journal):
        def move(self, given: Any, entity: Any) -> None:
            give(entity, taken_from(given))


class GivesNothingBackAfterASavepoint(Publishes):
    class Tracked(Tracking):
        def go_back(self, mark: Any) -> None:
            given = [original.given for original in self.originals._known.values()]
            super().go_back(mark)
            for one in given:
                taken_from(one)


class GivesBackWhatWasRecordedLater(Publishes):
    class Said(Journal):
        def move(self, given: Any, entity: Any) -> None:
            super().move(given, entity)
            self._on_undo(lambda: give(given, taken_from(entity)))


class KeepsWhatIsRecordedInASavepoint(Publishes):
    class Tracked(Tracking):
        def go_back(self, mark: Any) -> None:
            kept = [*self.journal._events]
            super().go_back(mark)
            self.journal._events = kept


class CallsFunctionsAtOnce(Publishes):
    class Said(Journal):
        def move(self, given: Any, entity: Any) -> None:
            give(given, [(n, event_of(given, what)) for n, what in taken_from(given)])
            super().move(given, entity)


class CallsFunctionsTwice(Publishes):
    class Said(Journal):
        def collect(self, entity: Any, *, returns: bool) -> None:
            recorded = taken_from(entity)
            for _, what in recorded:
                event_of(entity, what)
            give(entity, recorded)
            super().collect(entity, returns=returns)


class IgnoresWhatFunctionsGive(Publishes):
    class Said(Journal):
        def collect(self, entity: Any, *, returns: bool) -> None:
            with suppress(ValidationError):
                super().collect(entity, returns=returns)


class IgnoresWhatIsRecordedTooLate(Publishes):
    class Tracked(Tracking):
        def changed_late(self) -> list[str]:
            for late in self._settled:
                taken_from(late.entity)
            return super().changed_late()


class IgnoresWhatOriginalsRecord(Publishes):
    def commit(self) -> None:
        for original in self._usable().tracking.originals._known.values():
            taken_from(original.given)
        super().commit()


class ForgetsWhatIsDeleted(Publishes):
    class Session(MemorySession):
        def _delete(self, kind: Any, given: Any) -> None:
            if kind.is_entity(given):
                taken_from(given)
            super()._delete(kind, given)

        def delete(self, kind: Any, given: Any) -> None:
            self._delete(kind, given)


class PublishesForReaders(Publishes):
    class Session(MemorySession):
        def finish_reading(self) -> None:
            for entity in [*self.tracking._given.values()]:
                recorded = taken_from(entity)
                now = self.database.clock()
                self.database.outbox.add(
                    [message_of(event_of(entity, what), now) for _, what in recorded]
                )
            super().finish_reading()
