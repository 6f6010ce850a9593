"""What entities have recorded, on its way to the outbox."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from domain.entity import EVENTS, require_event
from domain.event import Event

Recorded = tuple[int, Event | Callable[[Any], Event]]
"""Its number, and the event or what makes it."""


def numbers_of(entities: Iterable[Any]) -> tuple[int, ...]:
    """What these have recorded and still bear."""
    return tuple(number for one in entities for number, _ in one.__dict__.get(EVENTS, ()))


def taken_from(entity: Any) -> list[Recorded]:
    """What an entity has recorded; it bears it no longer."""
    taken: list[Recorded] = entity.__dict__.pop(EVENTS, [])
    return taken


def give(entity: Any, events: list[Recorded]) -> None:
    """Let an entity bear them, before what it has recorded since."""
    if events:
        entity.__dict__[EVENTS] = [*events, *taken_from(entity)]


def event_of(entity: Any, recorded: Event | Callable[[Any], Event]) -> Event:
    """The event itself, of an entity that has its id. Raises ``ValidationError``."""
    return require_event(recorded(entity) if callable(recorded) else recorded)


class Journal:
    """What leaves with the next commit, and how that is undone."""

    def __init__(self, on_undo: Callable[[Callable[[], None]], None]) -> None:
        self._on_undo = on_undo
        self._events: list[tuple[int, Event]] = []

    def __bool__(self) -> bool:
        return bool(self._events)

    def in_order(self) -> list[Event]:
        """All of it, in the order in which it was recorded."""
        return [event for _, event in sorted(self._events, key=lambda one: one[0])]

    def add(self, number: int, event: Event) -> None:
        """Publish this with the commit."""
        self._events.append((number, event))
        self._on_undo(self._drop_last)

    def collect(self, entity: Any, *, returns: bool) -> None:
        """Publish what an entity has recorded; ``returns``: it gets that back if it is undone."""
        while taken := taken_from(entity):
            if returns:
                self._on_undo(_giving_back(entity, taken))
            for number, recorded in taken:
                self.add(number, event_of(entity, recorded))

    def move(self, given: Any, entity: Any) -> None:
        """Let the entity that was made of another one bear what that has recorded."""
        if taken := taken_from(given):
            give(entity, taken)
            self._on_undo(_giving_back(given, taken))
            self._on_undo(lambda: _without(entity, taken))

    def clear(self) -> None:
        """The transaction has ended."""
        self._events.clear()

    def _drop_last(self) -> None:
        del self._events[-1:]


def _giving_back(entity: Any, events: list[Recorded]) -> Callable[[], None]:
    return lambda: give(entity, events)


def _without(entity: Any, events: list[Recorded]) -> None:
    gone = {number for number, _ in events}
    give(entity, [one for one in taken_from(entity) if one[0] not in gone])
