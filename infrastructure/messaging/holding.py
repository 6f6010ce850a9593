"""What a relay has for a while, and what it has to say of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from uuid import UUID

from domain.errors import CommitOutcomeUnknown, TransientError
from domain.messages import Claim, Message, Retry
from domain.ports import Outbox
from infrastructure.messaging.relay_report import RelayReport

GRACE = 5.0
"""For how long one that is stopped tries to settle, in seconds."""

OUTAGES = (TransientError, CommitOutcomeUnknown)
"""The storage is away. Whatever was asked of it may be asked again."""

_OUTCOMES = ("sent", "retry", "parked", "released")

PAUSE = 0.1
"""Seconds between two attempts to settle."""

_log = logging.getLogger(__name__)


class Holding:
    """A claim. Outcomes are noted one by one, and told to the outbox together.

    How long it is had goes by the relay's own clock, from before it was asked for.
    """

    def __init__(
        self,
        outbox: Outbox,
        claim: Claim,
        *,
        since: float,
        lease: float,
        timer: Callable[[], float],
        is_stopped: Callable[[], bool],
    ) -> None:
        self._outbox = outbox
        self._claim = claim
        self._lease = lease
        self._timer = timer
        self._is_stopped = is_stopped
        self._until = since + lease
        self._told_at = since
        self._ids = {message.id for message in claim.messages}
        self._lost = 0
        self._counts: dict[str, int] = dict.fromkeys(_OUTCOMES, 0)
        self._begin_notes()

    def _begin_notes(self) -> None:
        self._sent: list[UUID] = []
        self._retry: dict[UUID, Retry] = {}
        self._parked: dict[UUID, str] = {}
        self._released: list[UUID] = []

    @property
    def is_over(self) -> bool:
        """Whether another relay may have it by now."""
        return self._timer() >= self._until

    @property
    def is_half_over(self) -> bool:
        """Whether it is time to extend."""
        return self._timer() >= self._until - self._lease / 2

    def is_silent(self, seconds: float) -> bool:
        """Whether outcomes have been untold for so long."""
        return self._timer() >= self._told_at + seconds

    # -- notes -----------------------------------------------------------------------------

    def sent(self, message: Message) -> None:
        self._sent.append(message.id)

    def retry(self, message: Message, seconds: float, error: str) -> None:
        self._retry[message.id] = Retry(seconds, error)

    def parked(self, message: Message, error: str) -> None:
        self._parked[message.id] = error

    def released(self, messages: Collection[Message]) -> None:
        self._released += [message.id for message in messages]

    # -- telling ---------------------------------------------------------------------------

    def settle(self) -> None:
        """Tell what is noted. Raises one of ``OUTAGES`` if that fails until the lease is over."""
        notes: dict[str, Collection[UUID]] = {
            "sent": self._sent, "retry": self._retry, "parked": self._parked,
            "released": self._released,
        }  # fmt: skip
        noted = {id for ids in notes.values() for id in ids}
        had = self._settle_while_it_lasts() if noted else frozenset()
        for name, ids in notes.items():
            self._counts[name] += sum(id in had for id in ids)
        self._lost += len(noted - had)
        self._ids -= noted
        self._told_at = self._timer()
        self._begin_notes()

    def _settle_while_it_lasts(self) -> frozenset[UUID]:
        begun = self._timer()
        while True:
            try:
                return self._outbox.settle(
                    self._claim,
                    sent=self._sent,
                    retry=self._retry,
                    parked=self._parked,
                    released=self._released,
                )
            except OUTAGES as error:
                late = self._is_stopped() and self._timer() >= begun + GRACE
                if self.is_over or late:
                    raise
                _log.warning("outcomes could not be stored, once more: %s", error)
                time.sleep(PAUSE)

    def extend(self) -> frozenset[UUID]:
        """Have the rest longer. Gives what is not had any more; raises one of ``OUTAGES``."""
        since = self._timer()
        had = self._outbox.extend(self._claim, self._ids, lease=self._lease)
        self._until = since + self._lease
        gone = frozenset(self._ids - had)
        self._lost += len(gone)
        self._ids -= gone
        return gone

    def report(self, *, unavailable: bool) -> RelayReport:
        """What became of it. What nobody settled is lost: its lease will end."""
        return RelayReport(
            claimed=len(self._claim.messages),
            sent=self._counts["sent"],
            retried=self._counts["retry"],
            parked=self._counts["parked"],
            released=self._counts["released"],
            lost=self._lost + len(self._ids),
            unavailable=unavailable,
        )
