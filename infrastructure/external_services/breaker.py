"""A circuit breaker: who may ask a service that keeps failing, and when.

Its lock is held for a few instructions, never during a call. What is measured in one
state has no effect in a later one: each change begins a new generation, and a permit
knows its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from infrastructure.external_services import forks
from infrastructure.external_services.hooks import State
from infrastructure.external_services.policy import BreakerPolicy

Told = Callable[[State, State], object]


class Permit:
    """Leave to send one request. It is given back in one of three ways; only the first counts."""

    __slots__ = ("_breaker", "expires", "generation", "is_over")

    def __init__(self, breaker: Breaker, generation: int, expires: float) -> None:
        self._breaker = breaker
        self.generation = generation
        self.expires = expires
        self.is_over = False

    def succeed(self) -> None:
        """The service did its work."""
        self._breaker.note(self, succeeded=True)

    def fail(self) -> None:
        """The service could not be reached, or not do its work."""
        self._breaker.note(self, succeeded=False)

    def give_back(self) -> None:
        """Nothing is known of the service: it was not asked, or the caller was stopped."""
        self._breaker.note(self, succeeded=None)


class Breaker:
    """Closed, open, or half-open. ``lease`` is how many seconds a permit can be in use.

    A probe whose thread is gone without a word counts no more after that time.
    """

    def __init__(
        self, policy: BreakerPolicy, *, clock: Callable[[], float], lease: float, tell: Told
    ) -> None:
        self._policy = policy
        self._clock = clock
        self._lease = lease
        self._tell = tell
        self._lock = threading.Lock()
        self._state: State = "closed"
        self._generation = 0
        self._failures = 0
        self._successes = 0
        self._opens_at = 0.0
        self._probes: list[Permit] = []
        forks.tell(self)

    @property
    def state(self) -> State:
        """As of the last request: an open circuit becomes half-open when somebody asks."""
        return self._state

    def admit(self) -> Permit | float:
        """A permit, or how many seconds until there may be one."""
        now = self._clock()
        changed = None
        with self._lock:
            if self._state == "open" and now >= self._opens_at:
                changed = self._become("half_open")
            found = self._permit(now)
        if changed is not None:
            self._tell(*changed)
        return found

    def note(self, permit: Permit, *, succeeded: bool | None) -> None:
        """What became of a request."""
        changed = None
        with self._lock:
            if permit.is_over:
                return
            permit.is_over = True
            if permit.generation == self._generation:
                changed = self._count(permit, succeeded)
        if changed is not None:
            self._tell(*changed)

    def after_fork(self) -> None:
        """Go on without the other threads: their probes are not in this process."""
        self._lock = threading.Lock()
        self._probes = []

    # -- under the lock --------------------------------------------------------------------

    def _permit(self, now: float) -> Permit | float:
        if self._state == "open":
            return self._opens_at - now
        permit = Permit(self, self._generation, now + self._lease)
        if self._state == "half_open":
            self._probes = [one for one in self._probes if now < one.expires]
            if self._successes + len(self._probes) >= self._policy.probes:
                return max(min(one.expires for one in self._probes) - now, 0.0)
            self._probes.append(permit)
        return permit

    def _count(self, permit: Permit, succeeded: bool | None) -> tuple[State, State] | None:
        if permit in self._probes:
            self._probes.remove(permit)
        if succeeded is None:
            return None
        if self._state == "half_open":
            return self._count_probe(succeeded)
        self._failures = 0 if succeeded else self._failures + 1
        return self._become("open") if self._failures >= self._policy.failures else None

    def _count_probe(self, succeeded: bool) -> tuple[State, State] | None:
        if not succeeded:
            return self._become("open")
        self._successes += 1
        return self._become("closed") if self._successes >= self._policy.probes else None

    def _become(self, state: State) -> tuple[State, State]:
        before, self._state = self._state, state
        self._generation += 1
        self._failures = self._successes = 0
        self._probes = []
        if state == "open":
            self._opens_at = self._clock() + self._policy.cooldown
        return before, state
