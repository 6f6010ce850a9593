"""An outbox in memory, for tests of an application."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID, uuid4

from domain.errors import ValidationError
from domain.messages import Claim, Message, OutboxStatus, Retry
from infrastructure.database.clock import Clocked

SUSPECT = 3
"""Who was lost so often is handed out alone: perhaps it kills whoever publishes it."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Letter:
    """A message, and what is known of it. Moments are those of a monotonic clock."""

    message: Message
    due: float
    token: UUID | None = None
    leased_until: float = 0.0
    parked_at: float | None = None
    sent_at: float | None = None
    error: str | None = None

    @property
    def is_open(self) -> bool:
        return self.parked_at is None and self.sent_at is None

    def is_claimed(self, now: float) -> bool:
        return self.token is not None and self.leased_until > now

    def is_free(self, now: float) -> bool:
        return self.is_open and self.due <= now and not self.is_claimed(now)

    @property
    def losses(self) -> int:
        """With the claim that is over, if nobody settled it."""
        return self.message.losses + (self.token is not None)

    def claim(self, token: UUID, until: float) -> Message:
        self.message = replace(self.message, losses=self.losses)
        self.token, self.leased_until = token, until
        return self.message

    def fail(self, error: str) -> None:
        self.message = replace(self.message, attempts=self.message.attempts + 1)
        self.error = error

    def begin_anew(self, now: float) -> None:
        self.message = replace(self.message, attempts=0, losses=0)
        self.parked_at, self.error, self.due = None, None, now


class InMemoryOutbox(Clocked):
    """What fits ``domain.ports.Outbox`` without a database. Usable from many threads.

    A clock that the test moves lets leases end and retries fall due.
    """

    def __init__(self, *, clock: Callable[[], datetime] | None = None) -> None:
        super().__init__(clock)
        self._lock = threading.Lock()
        self._letters: dict[UUID, _Letter] = {}
        self._wakes: dict[object, Callable[[], object]] = {}

    def add(self, messages: Sequence[Message]) -> None:
        """Store what a unit has published, at its commit, and wake those who wait for it."""
        if not messages:
            return
        with self._lock:
            now = self._clock.monotonic()
            self._letters |= {one.id: _Letter(one, now) for one in messages}
        self._wake()

    def _wake(self) -> None:
        with self._lock:
            wakes = list(self._wakes.values())
        for wake in wakes:
            try:
                wake()
            except Exception:  # noqa: BLE001 -- the commit is done: it cannot fail any more
                _log.exception("what waits for messages could not be woken")

    @property
    def messages(self) -> tuple[Message, ...]:
        """All that were stored and not purged, sent ones too, oldest first."""
        with self._lock:
            return tuple(letter.message for letter in self._letters.values())

    def error_of(self, id: UUID) -> str | None:
        """Why it was not delivered the last time, if it was tried."""
        with self._lock:
            return self._letters[id].error

    # -- for relays ------------------------------------------------------------------------

    def claim(self, limit: int, /, *, lease: float, skip_parked: bool = False) -> Claim:
        """Messages that are due, for this relay alone."""
        if limit < 1:
            raise ValidationError("Outbox", {"limit": "must be a whole number from 1"})
        token = uuid4()
        with self._lock:
            now = self._clock.monotonic()
            chosen = _first(self._heads(now, skip_parked), limit)
            return Claim(token, tuple(one.claim(token, now + lease) for one in chosen))

    def _heads(self, now: float, skip_parked: bool) -> Iterator[_Letter]:
        """Those that are due and have nothing before them in their key, oldest first."""
        held_up: set[str] = set()
        for letter in self._letters.values():
            key = letter.message.key
            if letter.sent_at is not None or key in held_up:
                continue
            if letter.is_free(now):
                yield letter
            elif key is not None and (letter.is_open or not skip_parked):
                held_up.add(key)

    def extend(self, claim: Claim, ids: Collection[UUID], /, *, lease: float) -> frozenset[UUID]:
        """Have these messages longer, from now on; which of them are still had."""
        with self._lock:
            had = [self._letters[id] for id in ids if self._has(claim, id)]
            for letter in had:
                letter.leased_until = self._clock.monotonic() + lease
            return frozenset(letter.message.id for letter in had)

    def _has(self, claim: Claim, id: UUID) -> bool:
        """By its token alone: who is late and was not missed, was in time."""
        letter = self._letters.get(id)
        return letter is not None and letter.token == claim.token

    def settle(
        self,
        claim: Claim,
        /,
        *,
        sent: Collection[UUID] = (),
        retry: Mapping[UUID, Retry] | None = None,
        parked: Mapping[UUID, str] | None = None,
        released: Collection[UUID] = (),
    ) -> frozenset[UUID]:
        """Say what became of messages; which of them were still had."""
        with self._lock:
            now = self._clock.monotonic()
            ends: dict[UUID, Callable[[_Letter], object]] = dict.fromkeys(released, _nothing)
            ends |= {id: _send(now) for id in sent}
            ends |= {id: _wait(one, now) for id, one in (retry or {}).items()}
            ends |= {id: _park(error, now) for id, error in (parked or {}).items()}
            return frozenset(id for id, end in ends.items() if self._settle(claim, id, end))

    def _settle(self, claim: Claim, id: UUID, end: Callable[[_Letter], object]) -> bool:
        if not self._has(claim, id):
            return False
        letter = self._letters[id]
        letter.token = None
        end(letter)
        return True

    def subscribe(self, wake: Callable[[], object], /) -> Callable[[], None]:
        """Call it when messages were stored; gives what ends that."""
        ticket = object()
        with self._lock:
            self._wakes[ticket] = wake

        def end() -> None:
            with self._lock:
                self._wakes.pop(ticket, None)

        return end

    # -- for those who look after it -----------------------------------------------------

    def status(self) -> OutboxStatus:
        """How much there is."""
        with self._lock:
            now, letters = self._clock.monotonic(), list(self._letters.values())
            pending = [letter for letter in letters if letter.is_open]
            ages = [(self._clock() - one.message.created_at).total_seconds() for one in pending]
            return OutboxStatus(
                pending=len(pending),
                claimed=sum(letter.is_claimed(now) for letter in pending),
                parked=sum(letter.parked_at is not None for letter in letters),
                sent=sum(letter.sent_at is not None for letter in letters),
                oldest_pending=max(ages, default=None),
            )

    def replay(self, *, ids: Collection[UUID] | None = None, type: str | None = None) -> int:
        """Publish parked messages again, with all their attempts; how many these are."""
        with self._lock:
            chosen = [
                letter
                for letter in self._letters.values()
                if letter.parked_at is not None
                and (ids is None or letter.message.id in ids)
                and type in (None, letter.message.type)
            ]
            for letter in chosen:
                letter.begin_anew(self._clock.monotonic())
        if chosen:
            self._wake()
        return len(chosen)

    def purge(self, *, older_than: float, parked: bool = False) -> int:
        """Forget what was sent (or parked) that many seconds ago; how many these were."""
        with self._lock:
            limit = self._clock.monotonic() - older_than
            old = [
                id
                for id, letter in self._letters.items()
                if _is_before(letter.parked_at if parked else letter.sent_at, limit)
            ]
            for id in old:
                del self._letters[id]
            return len(old)


def _first(free: Iterator[_Letter], limit: int) -> list[_Letter]:
    """As many as asked for, or one suspect alone."""
    chosen: list[_Letter] = []
    for letter in free:
        if letter.losses >= SUSPECT:
            return chosen or [letter]
        chosen.append(letter)
        if len(chosen) == limit:
            break
    return chosen


def _nothing(_: _Letter) -> None:
    """It is as if it had not been claimed."""


def _send(now: float) -> Callable[[_Letter], None]:
    def end(letter: _Letter) -> None:
        letter.sent_at = now

    return end


def _wait(retry: Retry, now: float) -> Callable[[_Letter], None]:
    def end(letter: _Letter) -> None:
        letter.fail(retry.error)
        letter.due = now + retry.seconds

    return end


def _park(error: str, now: float) -> Callable[[_Letter], None]:
    def end(letter: _Letter) -> None:
        letter.fail(error)
        letter.parked_at = now

    return end


def _is_before(moment: float | None, limit: float) -> bool:
    return moment is not None and moment <= limit
