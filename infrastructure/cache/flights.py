"""One loader a key: who loads what, who waits for whom, and what came of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from threading import get_ident
from types import TracebackType

from domain.errors import CacheError
from infrastructure.cache.checks import short
from infrastructure.cache.copies import Kept
from infrastructure.cache.twins import twin


class Flight:
    """One call of a loader.

    It ends with a value, with an error, or with neither: then its thread was
    stopped, and whoever waited tries again.
    """

    __slots__ = ("error", "kept", "key", "landed", "owner", "since", "tags", "trace", "waiting")

    def __init__(self, key: Hashable, tags: tuple[Hashable, ...]) -> None:
        self.key = key
        self.tags = tags
        self.since = 0
        self.owner = get_ident()
        self.landed = threading.Event()
        self.waiting = 0
        self.kept: Kept | None = None
        self.error: Exception | None = None
        self.trace: TracebackType | None = None

    def outcome(self) -> Kept | None:
        """The value; raises the error, each time another one like it; None if there is neither."""
        if self.error is not None:
            raise twin(self.error).with_traceback(self.trace)
        return self.kept

    def leave(self) -> None:
        """One less waits. The last one takes the error along, whose trace refers to the flight."""
        self.waiting -= 1
        if not self.waiting:
            self.error = self.trace = None


class Flights:
    """All that is being loaded for one cache. Whoever calls holds the lock of the cache."""

    __slots__ = ("_flying", "_loading")

    def __init__(self) -> None:
        self._flying: dict[Hashable, Flight] = {}
        self._loading: dict[tuple[int, Hashable], Flight] = {}

    def board(self, mine: Flight, now: int, is_stale: Callable[[Flight], bool]) -> Flight:
        """The flight to wait for, or one's own if there is none that can be waited for."""
        if (mine.owner, mine.key) in self._loading:
            raise CacheError(
                f"the loader of {short(mine.key)} asks the cache for {short(mine.key)}, which it "
                "is to load; read it from its source"
            )
        flight = self._flying.get(mine.key)
        if flight is not None and not is_stale(flight):
            flight.waiting += 1
            return flight
        mine.since = now
        self._flying[mine.key] = self._loading[mine.owner, mine.key] = mine
        return mine

    def land(
        self, flight: Flight, kept: Kept | None = None, error: Exception | None = None
    ) -> None:
        """Tell those who wait; only the first time counts."""
        if self._loading.get((flight.owner, flight.key)) is not flight:
            return
        del self._loading[flight.owner, flight.key]
        if self._flying.get(flight.key) is flight:
            del self._flying[flight.key]
        flight.kept = kept
        if error is not None and flight.waiting:
            flight.error, flight.trace = error, error.__traceback__
        flight.landed.set()

    def after_fork(self) -> None:
        """Forget what is loaded by threads that are not in this process."""
        me = get_ident()
        self._flying = {key: one for key, one in self._flying.items() if one.owner == me}
        self._loading = {key: one for key, one in self._loading.items() if one.owner == me}
        for flight in self._loading.values():
            flight.landed = threading.Event()  # the lock in it may have been held
            flight.waiting = 0


class Waits:
    """Which thread waits for which flight, over all caches: a circle would never end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of: dict[int, Flight] = {}

    def wait(self, flight: Flight, seconds: float) -> bool:
        """Whether it landed in time. ``CacheError`` if it waits for this thread itself."""
        me = get_ident()
        with self._lock:
            if self._leads_to(me, flight):
                raise CacheError(
                    f"the loader of {short(flight.key)} waits for what this thread is loading; "
                    "loaders must not need each other's keys"
                )
            self._of[me] = flight
        try:
            return flight.landed.wait(min(max(seconds, 0), threading.TIMEOUT_MAX))
        finally:
            with self._lock:
                self._of.pop(me, None)

    def _leads_to(self, thread: int, flight: Flight | None) -> bool:
        while flight is not None and not flight.landed.is_set():
            if flight.owner == thread:
                return True
            flight = self._of.get(flight.owner)
        return False

    def after_fork(self) -> None:
        """Nobody waits in a new process."""
        self._lock = threading.Lock()
        self._of = {}


WAITS = Waits()
"""One for the process: a loader may ask another cache."""
