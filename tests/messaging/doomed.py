"""Relays as processes that kill themselves at a given moment, and what they leave behind.

All write into one file, whole lines at its end, so that it has one order for all of them.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from domain import Message
from domain.messages import Claim, Delivery
from infrastructure.database import Database
from infrastructure.database.outbox import SqlOutbox
from infrastructure.messaging import InProcessPublisher, OutboxRelay, RelayPolicy
from tests.messaging.shop import Ticked

PHASES = (
    "before claiming",
    "after claiming",
    "while publishing",
    "before settling",
    "after settling",
)


class Doom(NamedTuple):
    """When a relay is to die: at this phase, the time that it comes there."""

    phase: str
    passage: int


class Job(NamedTuple):
    """What a relay process is told."""

    url: str
    log: str
    lease: float
    doom: Doom | None = None
    fault: str = ""
    """One of ``FAULTS``, by which it breaks its promises."""


class Log:
    """Lines at the end of a file that many processes write to: ``write`` of each is atomic."""

    def __init__(self, path: Path | str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def note(self, *what: object) -> None:
        os.write(self._file, f"{os.getpid()}\t{chr(9).join(map(str, what))}\n".encode())


class Fate:
    """Ends the process when its time has come."""

    def __init__(self, doom: Doom | None, log: Log) -> None:
        self._doom = doom
        self._log = log
        self._passages = dict.fromkeys(PHASES, 0)

    def pass_by(self, phase: str) -> None:
        self._passages[phase] += 1
        if self._doom == (phase, self._passages[phase]):
            self._log.note("killed", phase)
            os.kill(os.getpid(), signal.SIGKILL)


class Watched:
    """An outbox, and moments before and after what it does."""

    def __init__(self, outbox: Any, fate: Fate, log: Log) -> None:
        self._outbox = outbox
        self._fate = fate
        self._log = log

    def __getattr__(self, name: str) -> Any:
        return getattr(self._outbox, name)

    def claim(self, limit: int, /, **options: Any) -> Claim:
        self._fate.pass_by("before claiming")
        claim: Claim = self._outbox.claim(limit, **options)
        if claim.messages:
            self._fate.pass_by("after claiming")
        return claim

    def settle(self, claim: Claim, /, **outcomes: Any) -> frozenset[Any]:
        self._fate.pass_by("before settling")
        had: frozenset[Any] = self._outbox.settle(claim, **outcomes)
        late = len(had) < sum(len(each) for each in outcomes.values() if each)
        self._log.note("too late" if late else "settled")
        self._fate.pass_by("after settling")
        return had


class Publisher(InProcessPublisher):
    """The handlers of the kit, with a moment in the middle of a call."""

    def __init__(self, fate: Fate, log: Log) -> None:
        super().__init__()
        self._fate = fate

        @self.on(Ticked)
        def arrive(event: Ticked, message: Message) -> None:
            log.note("arrived", message.id, event.row, event.number)

    def publish(self, messages: Sequence[Message], /) -> list[Delivery]:
        middle = (len(messages) + 1) // 2
        first = super().publish(messages[:middle])
        self._fate.pass_by("while publishing")
        return first + super().publish(messages[middle:])


# -- relays that break their promises -----------------------------------------------------------


class SettlesFirst(Watched):
    """Says that all is sent before it is: at most once."""

    def claim(self, limit: int, /, **options: Any) -> Claim:
        claim = super().claim(limit, **options)
        self._outbox.settle(claim, sent=[one.id for one in claim.messages])
        return claim


class ForgetsKeys(Watched):
    """Hands out what there is without regard to what comes before it."""

    def claim(self, limit: int, /, **options: Any) -> Claim:
        claim = super().claim(limit, **options)
        parts = [without_key(one) for one in reversed(claim.messages)]
        return Claim(claim.token, tuple(parts))


class OftenForgetsToSettle(Watched):
    """Lets leases end, and what was published is published again."""

    def settle(self, claim: Claim, /, **outcomes: Any) -> frozenset[Any]:
        if Random().random() < 0.2:
            return frozenset(outcomes["sent"])
        return super().settle(claim, **outcomes)  # or nothing would ever be done


def without_key(message: Message) -> Message:
    return Message(
        id=message.id, type=message.type, version=message.version, key=None,
        payload=message.payload, created_at=message.created_at,
    )  # fmt: skip


FAULTS: dict[str, Callable[[Any, Fate, Log], Watched]] = {
    "": Watched,
    "settles first": SettlesFirst,
    "forgets keys": ForgetsKeys,
    "forgets to settle": OftenForgetsToSettle,
}


# -- the process --------------------------------------------------------------------------------


def work(job: Job) -> None:
    """Be a relay until SIGTERM, or until the time has come."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    log = Log(job.log)
    fate = Fate(job.doom, log)
    policy = RelayPolicy(batch=10, lease=job.lease, poll=0.05, pause_cap=0.1)
    with Database(job.url) as database:
        outbox = FAULTS[job.fault](SqlOutbox(database), fate, log)
        OutboxRelay(outbox, Publisher(fate, log), policy=policy).run(stop)
