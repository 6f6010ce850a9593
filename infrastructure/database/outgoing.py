"""The events of one transaction: what its entities have recorded, and what COMMIT stores of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import inspect as state_of
from sqlalchemy.orm import Session

from domain.entity import EVENTS, next_number, require_event
from domain.event import Event
from domain.messages import Message
from infrastructure.database.payloads import message_of


class Taken(NamedTuple):
    """What was taken from an object, and whether it gets that back in any case."""

    holder: Any
    recorded: list[Any]
    given: bool


Place = tuple[int, int]
"""So much was published, and taken, by then."""


class Outgoing:
    """Events on their way from entities to the outbox, in the order in which they happened."""

    def __init__(self) -> None:
        self._events: list[tuple[int, Event]] = []
        self._taken: list[Taken] = []

    def __bool__(self) -> bool:
        return bool(self._events)

    def publish(self, event: Event) -> None:
        """COMMIT stores this one."""
        self._events.append((next_number(), event))

    def move(self, original: Any, row: Any) -> None:
        """What an object has recorded goes to the row that is made of it."""
        if original is row or EVENTS not in original.__dict__:
            return
        recorded = original.__dict__.pop(EVENTS)
        row.__dict__[EVENTS] = [*row.__dict__.get(EVENTS, ()), *recorded]
        self._taken.append(Taken(original, recorded, given=True))

    def collect(self, entities: Iterable[Any], *, given: bool = False) -> None:
        """These are stored: what they have recorded is published."""
        for entity in entities:
            recorded = entity.__dict__.pop(EVENTS, [])
            self._taken.append(Taken(entity, recorded, given))
            self._events += [(number, _made(event, entity)) for number, event in recorded]

    def messages(self, now: datetime, limit: int) -> list[Message]:
        """What there is to store. Raises ``MessagingError``."""
        return [message_of(event, now, limit) for _, event in sorted(self._events, key=_number)]

    def mark(self) -> Place:
        """How far it has come."""
        return len(self._events), len(self._taken)

    def undo(self, since: Place, waiting: Iterable[Any] = ()) -> None:
        """What came since is undone; ``waiting`` are rows that it was not taken from yet.

        A stored row forgets it with its other changes. What is new again, and whatever
        rows were made of, gets it back: it may be stored in another attempt.
        """
        for row in waiting:
            if not state_of(row).transient:
                row.__dict__.pop(EVENTS, None)
        events, taken = since
        for holder, recorded, given in reversed(self._taken[taken:]):
            if recorded and (given or state_of(holder).transient):
                holder.__dict__[EVENTS] = [*recorded, *holder.__dict__.get(EVENTS, ())]
        del self._events[events:], self._taken[taken:]

    def forget(self) -> None:
        """After COMMIT."""
        self._events.clear()
        self._taken.clear()


class Announcing:
    """Has events of a transaction, if there are some: few units publish anything."""

    _outgoing: Outgoing | None = None

    @property
    def outgoing(self) -> Outgoing:
        """What is to be published."""
        if self._outgoing is None:
            self._outgoing = Outgoing()
        return self._outgoing

    @property
    def publishes(self) -> bool:
        """Whether COMMIT has events to store."""
        return self._outgoing is not None and bool(self._outgoing)

    def forget_events(self) -> None:
        """They are stored, or undone."""
        if self._outgoing is not None:
            self._outgoing.forget()


BEGINNING: Place = (0, 0)

_number = itemgetter(0)


def recorders(session: Session) -> list[Any]:
    """The entities of a session that a flush writes, and that have recorded something."""
    written = (*session.new, *session.dirty, *session.deleted)
    return [entity for entity in written if EVENTS in entity.__dict__]


def any_recorded(held: Sequence[dict[str, Any]]) -> bool:
    """Whether one of those that hold this has recorded something."""
    return any(EVENTS in values for values in held)


def without_events(values: dict[str, Any]) -> dict[str, Any]:
    """What an entity holds in its fields."""
    return {name: value for name, value in values.items() if name != EVENTS}


def _made(event: Any, row: Any) -> Event:
    return require_event(event if isinstance(event, Event) else event(row))
