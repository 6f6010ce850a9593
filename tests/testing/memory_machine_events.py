"""What the caller in two worlds tells others, and what is heard of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from sqlalchemy.orm import object_session

from domain import Event
from domain.entity import EVENTS
from infrastructure.database import Database
from infrastructure.database.outbox import SqlOutbox
from tests.testing.memory_machine import Caller, World, picks


@dataclass(frozen=True, kw_only=True)
class Happened(Event):
    """Something, the how manyth it is, and to whom."""

    number: int
    id: int | None = None
    thing: Any = None

    @property
    def ordering_key(self) -> str | None:
        """Some are in order with others."""
        return f"key {self.number % 3}" if self.number % 2 else None


@dataclass(kw_only=True)
class Loose(Event):
    """Somebody could change it."""


class Teller(Caller):
    """Records and publishes everything twice, and compares the messages."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.outboxes: dict[int, Any] = {
            id(self.sql): SqlOutbox(database),
            id(self.memory): self.store.outbox,
        }
        self.told = 0
        self.messages(self.sql)  # of the example before

    def messages(self, world: World) -> list[tuple[Any, ...]]:
        """What was published since this was asked last."""
        outbox = self.outboxes[id(world)]
        claim = outbox.claim(1000, lease=60.0)
        outbox.settle(claim, sent=[message.id for message in claim.messages])
        return [(one.type, one.version, one.key, one.payload) for one in claim.messages]

    def compare_stored(self) -> None:
        super().compare_stored()
        ours, theirs = self.messages(self.memory), self.messages(self.sql)
        assert ours == theirs, f"memory: {ours}\nsql: {theirs}"

    def is_tracked(self, at: int) -> bool:
        """Whether the unit that is open has it."""
        row = self.sql.held[at]
        return not self.is_original(at) and object_session(row) is self.sql.uow._session

    def is_original(self, at: int) -> bool:
        """Whether it is what was given, and not what came back."""
        return not hasattr(type(self.sql.held[at]), "__table__")

    # -- recording -----------------------------------------------------------------------------

    def tell(self, at: int, *, function: bool) -> None:
        """Let both record it."""
        self.told += 1
        number = self.told
        for world in (self.sql, self.memory):
            event = Happened(number=number)
            later = lambda one, n=number: Happened(number=n, id=one.id)  # noqa: E731
            world.held[at].record(later if function else event)

    def forget_recorded(self, at: int) -> None:
        """Let neither have recorded anything."""
        for world in (self.sql, self.memory):
            vars(world.held[at]).pop(EVENTS, None)

    def record(self, data: st.DataObject) -> None:
        at = self.pick(data.draw(picks))
        if at is None or self.has_failed:
            return
        function, ends = data.draw(st.booleans()), data.draw(st.booleans())
        if not self.is_open or self.is_tracked(at):
            self.tell(at, function=function)
            self._perhaps_commit(ends=ends)
        elif not vars(self.sql.held[at]).get(EVENTS):
            self.tell(at, function=function)
            self._use_with_late_record(self.kinds[at], ends)
            self.forget_recorded(at)

    def _use_with_late_record(self, kind: str, ends: bool) -> None:
        if ends:
            self.commit()
        else:
            self.both(lambda world: world.repository(kind).create_many([]))

    def join(self, data: st.DataObject) -> None:
        """As applications do it: a method of the domain changes and records."""
        person, team = (self.pick(data.draw(picks), kind) for kind in ("people", "teams"))
        if person is None or team is None or not self.is_tracked(person) or self.is_spoiled:
            return
        before = self.sql.held[person].team_id
        self.both(lambda world: world.held[person].join(world.held[team], members=0))
        self.changes.append((person, "team_id", before))
        self._perhaps_commit(ends=data.draw(st.booleans()))

    # -- publishing ----------------------------------------------------------------------------

    def publish(self, data: st.DataObject) -> None:
        self.told += 1
        event = Happened(number=self.told)
        self.both(lambda world: world.uow.publish(event))
        self._perhaps_commit(ends=data.draw(st.booleans()))

    def _perhaps_commit(self, *, ends: bool) -> None:
        """Most of what a machine begins comes to nothing; of events, some are to leave."""
        if ends and self.is_open and not self.depth:
            self.commit()

    def publish_nonsense(self, data: st.DataObject) -> None:
        wrong = data.draw(st.sampled_from([None, "text", Happened, Event(), Loose()]))
        self.both(lambda world: world.uow.publish(wrong))

    def publish_what_is_unfit(self, data: st.DataObject) -> None:
        """Only as the last thing: which of several errors comes first is not promised."""
        unfit = Happened(number=0, thing=data.draw(st.sampled_from([object(), "x" * 300_000])))
        if self.depth == 0 and self.both(lambda world: world.uow.publish(unfit)).error is None:
            self.commit()
            self.rollback()
