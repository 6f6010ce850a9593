"""The way from the outbox to a publisher."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from random import Random
from typing import Protocol

from domain.errors import PublisherUnavailable
from domain.ports import MessagePublisher, Outbox
from infrastructure.messaging.holding import OUTAGES, Holding
from infrastructure.messaging.passing import Passing
from infrastructure.messaging.relay_policy import Pauses, RelayPolicy
from infrastructure.messaging.relay_report import RelayReport
from infrastructure.messaging.waves import Pace

_SLICE = 0.1
"""How soon a relay that waits notices that it is to stop, in seconds."""

_log = logging.getLogger(__name__)


class Stop(Protocol):
    """Says when to stop: a ``threading.Event``, or what looks like one."""

    def is_set(self) -> bool:
        """Whether to stop."""
        ...


class OutboxRelay:
    """Claims messages, publishes them, and settles what became of them.

    Each message is published at least once, and those of one key in their order. One
    relay is for one thread; any number of relays, in any number of processes, share
    an outbox. No transaction is open while a publisher is at work.

    ``observe`` is called with the report of each pass that had messages.
    """

    def __init__(
        self,
        outbox: Outbox,
        publisher: MessagePublisher,
        *,
        policy: RelayPolicy | None = None,
        observe: Callable[[RelayReport], object] | None = None,
        random: Random | None = None,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._outbox = outbox
        self._publisher = publisher
        self._policy = policy or RelayPolicy()
        self._observe = observe
        self._random = random or Random()  # noqa: S311 -- no secret
        self._timer = timer
        seconds = min(self._policy.settle_every, self._policy.lease / 4)
        self._pace = Pace(seconds, self._policy.batch)
        self._woken = threading.Event()
        self._is_probing = False
        self._publisher_pauses = Pauses(self._policy.pause_cap, self._random)
        self._storage_pauses = Pauses(self._policy.pause_cap, self._random)
        self._retry_after: float | None = None

    def run_once(self, stop: Stop | None = None) -> RelayReport:
        """Publish what one claim has, unless it is to stop before; what became of it.

        Raises a ``TransientError`` or ``CommitOutcomeUnknown`` if the storage cannot be
        reached. What was published and could not be settled until its lease was over, is
        published again.
        """
        is_stopped = _never if stop is None else stop.is_set
        policy, since = self._policy, self._timer()
        limit = 1 if self._is_probing else policy.batch
        skip = policy.parked_head == "skip"
        claim = self._outbox.claim(limit, lease=policy.lease, skip_parked=skip)
        if not claim.messages:
            return RelayReport()
        holding = Holding(
            self._outbox, claim, since=since, lease=policy.lease, timer=self._timer,
            is_stopped=is_stopped,
        )  # fmt: skip
        passing = Passing(
            self._publisher, holding, claim.messages, policy=policy, pace=self._pace,
            random=self._random, timer=self._timer, is_stopped=is_stopped,
        )  # fmt: skip
        self._publish(passing)
        report = holding.report(unavailable=self._is_probing)
        self._tell(report)
        return report

    def run(self, stop: Stop) -> None:
        """Publish what is stored, from now on, until it is to stop.

        It looks every ``poll`` seconds, and at once when messages are stored in this
        process. Then the call under way is ended, what is done is settled, and the rest
        is released: that is no attempt. If the storage or the publisher is down, it
        pauses and goes on.
        """
        end = self._outbox.subscribe(self._woken.set)
        try:
            while not stop.is_set():
                self._woken.clear()
                self._turn(stop)
        finally:
            end()

    # -- one pass --------------------------------------------------------------------------

    def _publish(self, passing: Passing) -> None:
        self._is_probing = False
        try:
            passing.run()
        except PublisherUnavailable as error:
            _log.warning("%s", error)
            self._is_probing, self._retry_after = True, error.retry_after
        except BaseException:
            self._give_back_at_the_end(passing)
            raise
        passing.give_back()

    def _give_back_at_the_end(self, passing: Passing) -> None:
        """Nothing that fails here may hide why it ends."""
        try:
            passing.give_back()
        except Exception:  # noqa: BLE001
            _log.exception("outcomes could not be stored: their messages are published again")

    def _tell(self, report: RelayReport) -> None:
        if self._observe is None:
            return
        try:
            self._observe(report)
        except Exception:  # noqa: BLE001 -- who counts must not hold up what is counted
            _log.exception("the observer of the relay failed")

    # -- the time between ------------------------------------------------------------------

    def _turn(self, stop: Stop) -> None:
        """One pass, and the wait after it."""
        try:
            report = self.run_once(stop)
        except OUTAGES as error:
            pause = self._storage_pauses.next()
            _log.warning("the outbox cannot be used, again in %.1f s: %s", pause, error)
            self._wait(pause, stop)
            return
        self._storage_pauses.end()
        if report.unavailable:
            self._wait(self._publisher_pauses.next(self._retry_after), stop)
            return
        if report.claimed:
            self._publisher_pauses.end()
        else:
            self._wait(self._policy.poll, stop, self._woken)

    def _wait(self, seconds: float, stop: Stop, woken: threading.Event | None = None) -> None:
        """So long, until it is to stop, or until it is woken."""
        end = time.monotonic() + seconds
        waiting = woken or threading.Event()
        while not stop.is_set() and (left := end - time.monotonic()) > 0:
            if waiting.wait(min(left, _SLICE)):
                return


def _never() -> bool:
    return False
