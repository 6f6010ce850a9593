"""What the cache of this process does for its port: it reads, keeps, invalidates and loads."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Hashable, Iterable
from typing import Any, Final, TypeVar

from domain.errors import CacheError
from infrastructure.cache import checks, forks
from infrastructure.cache.copies import Kept, keep
from infrastructure.cache.flights import WAITS, Flight, Flights
from infrastructure.cache.invalidations import Invalidations
from infrastructure.cache.shelf import Entry, Shelf
from infrastructure.cache.stats import CacheStats

T = TypeVar("T")

MISSING: Final = object()


class BaseCache:
    """All but the mapping of a ``TTLCache``; see there."""

    __slots__ = (
        "__weakref__",
        "_entries",
        "_flights",
        "_invalidated",
        "_invalidations",
        "_jitter",
        "_loads",
        "_lock",
        "_maxsize",
        "_misses",
        "_patience",
        "_shelf",
        "_timer",
        "_ttl",
    )

    def __init__(
        self,
        maxsize: int,
        ttl: float,
        *,
        jitter: float = 0.1,
        timer: Callable[[], float] = time.monotonic,
        patience: float = 30.0,
    ) -> None:
        self._maxsize = checks.count("TTLCache", "maxsize", maxsize)
        self._ttl = checks.seconds("TTLCache", "ttl", ttl)
        self._jitter = checks.fraction("TTLCache", "jitter", jitter)
        self._patience = checks.seconds("TTLCache", "patience", patience)
        self._timer = timer
        self._loads = self._misses = self._invalidated = 0
        # Entered again where a key is compared, or a value destroyed, by code that uses the cache.
        self._lock = threading.RLock()
        self._invalidations = Invalidations()
        self._flights = Flights()
        self._forget()
        forks.tell(WAITS)
        forks.tell(self)

    @property
    def maxsize(self) -> int:
        """How many values there may be."""
        return self._maxsize

    @property
    def ttl(self) -> float:
        """How long a value lives, in seconds, if nothing else is said of it."""
        return self._ttl

    @property
    def stats(self) -> CacheStats:
        """What the cache has done so far."""
        with self._lock:
            self.expire()
            return CacheStats(
                hits=self._shelf.total_reads(),
                misses=self._misses,
                loads=self._loads,
                evictions=self._shelf.evictions,
                invalidations=self._invalidated,
                size=len(self._entries),
            )

    # -- reading: without a lock -----------------------------------------------------------

    def __getitem__(self, key: Hashable, /) -> Any:
        try:
            entry = self._entries[key]
        except KeyError:
            return self._missed(key)
        except TypeError:
            checks.require_hashable(key)
            raise
        timer = self._timer  # a local one: Python is slow to call what an attribute holds
        if timer() < entry.plain_until:
            entry.reads += 1
            return entry.value
        return self._copy_of(key, entry)

    def get(self, key: Hashable, default: Any = None, /) -> Any:
        """The value, or the default."""
        try:
            return self[key]
        except KeyError:
            return default

    def _copy_of(self, key: Hashable, entry: Entry) -> Any:
        if not self._timer() < entry.expires:
            return self._missed(key)
        entry.reads += 1
        return entry.kept.open()

    def _missed(self, key: Hashable) -> Any:
        with self._lock:
            self._misses += 1
        raise KeyError(key)

    # -- keeping ---------------------------------------------------------------------------

    def store(
        self,
        key: Hashable,
        value: Any,
        *,
        since: Any,
        ttl: float | None = None,
        tags: Iterable[Hashable] = (),
    ) -> bool:
        """Keep it, unless the key, a tag or everything was invalidated after ``since``."""
        checks.require_hashable(key)
        seconds, distinct = self._seconds(ttl), checks.distinct(tags)
        self._invalidations.require_noted(since)
        kept = keep(value)[0]
        with self._lock:
            if self._invalidations.came_after(since, key, distinct):
                return False
            return self._put(key, kept, seconds, distinct)

    def expire(self) -> int:
        """Free what has expired; how many values that were."""
        with self._lock:
            return self._shelf.expire(self._timer())

    # -- invalidating ----------------------------------------------------------------------

    def sequence(self) -> Any:
        """How far invalidations have come: to be noted before one begins to read."""
        return self._invalidations.now

    def invalidate(self, tags: Iterable[Hashable]) -> None:
        """Forget all that has one of these tags, and what is being read with one of them."""
        distinct = checks.distinct(tags)
        if not distinct:
            return
        with self._lock:
            self._invalidated += 1
            self._invalidations.note_tags(distinct)
            self._shelf.remove_tagged(distinct)

    def discard(self, key: Hashable) -> None:
        """Forget this key, and what is being read for it."""
        self._take(key)

    def clear(self) -> None:
        """Forget everything, and whatever is being read."""
        with self._lock:
            self._invalidated += 1
            self._invalidations.note_all()
            self._shelf.clear()

    def _take(self, key: Hashable) -> Entry | None:
        checks.require_hashable(key)
        with self._lock:
            self._invalidated += 1
            self._invalidations.note_key(key)
            live = self._live(key)
            self._shelf.remove(key)
            return live

    # -- loading ---------------------------------------------------------------------------

    def get_or_load(
        self,
        key: Hashable,
        loader: Callable[[], T],
        *,
        ttl: float | None = None,
        tags: Iterable[Hashable] = (),
    ) -> T:
        """The value, from the loader if there is none. One thread loads, others wait for it."""
        found = self.get(key, MISSING)
        if found is not MISSING:
            return found  # type: ignore[no-any-return]
        seconds, distinct = self._seconds(ttl), checks.distinct(tags)
        deadline = time.monotonic() + self._patience
        while True:
            outcome = self._load_or_wait(Flight(key, distinct), loader, seconds, deadline)
            if outcome is not None:
                return outcome[0]  # type: ignore[no-any-return]

    def _load_or_wait(
        self, mine: Flight, loader: Callable[[], Any], seconds: float, deadline: float
    ) -> tuple[Any] | None:
        """The value for the caller; None if it has to try again."""
        try:
            found = self._board(mine)
            if found is mine:
                return (self._load(mine, loader, seconds),)
        except Exception as error:
            self._land(mine, error=error)
            raise
        finally:
            self._land(mine)  # the thread is stopped: those who wait must not wait for ever
        kept = self._wait(found, deadline) if isinstance(found, Flight) else found
        return None if kept is None else (kept.open(),)

    def _board(self, mine: Flight) -> Flight | Kept:
        with self._lock:
            entry = self._live(mine.key)
            if entry is not None:
                return entry.kept  # loaded since it was missed
            now = self._invalidations.now
            return self._flights.board(mine, now, lambda flight: self._is_stale(flight, mine))

    def _is_stale(self, flight: Flight, mine: Flight) -> bool:
        return self._invalidations.came_after(flight.since, mine.key, flight.tags + mine.tags)

    def _load(self, flight: Flight, loader: Callable[[], Any], seconds: float) -> Any:
        with self._lock:
            self._loads += 1
        kept, own = keep(loader(), loaded=True)
        with self._lock:
            if not self._is_stale(flight, flight):
                self._put(flight.key, kept, seconds, flight.tags)
            self._flights.land(flight, kept)
        return own

    def _land(self, flight: Flight, error: Exception | None = None) -> None:
        with self._lock:
            self._flights.land(flight, error=error)

    def _wait(self, flight: Flight, deadline: float) -> Kept | None:
        try:
            if not WAITS.wait(flight, deadline - time.monotonic()):
                raise CacheError(
                    f"another thread has been loading {checks.short(flight.key)} for more than "
                    f"{self._patience:g} s; give its loader a timeout, or the cache more patience"
                )
            return flight.outcome()
        finally:
            with self._lock:
                flight.leave()

    def after_fork(self) -> None:
        """Go on without the threads of the parent."""
        torn = not self._lock.acquire(blocking=False)
        self._lock = threading.RLock()
        self._flights.after_fork()
        if torn:  # a thread that is not here was changing something, and nobody will go on with it
            self._forget()
            self._invalidations.note_all()

    # -- under the lock --------------------------------------------------------------------

    def _forget(self) -> None:
        self._shelf = Shelf(self._maxsize)
        self._entries = self._shelf.entries

    def _live(self, key: Hashable) -> Entry | None:
        entry = self._entries.get(key)
        return entry if entry is not None and self._timer() < entry.expires else None

    def _put(self, key: Hashable, kept: Kept, seconds: float, tags: tuple[Hashable, ...]) -> bool:
        now = self._timer()
        lifetime = seconds * (1 - self._jitter * random.random())  # noqa: S311 -- no secret
        return self._shelf.put(key, Entry(kept, now + lifetime, tags), now)

    def _seconds(self, ttl: float | None) -> float:
        return self._ttl if ttl is None else checks.seconds("TTLCache", "ttl", ttl)
