"""What a hit of the cache costs: python -m benchmarks.cache.

Beside a dict and beside cachetools; and of a repository, beside one without a cache.

All are measured in turns. Each has a loop of its own: Python makes a loop fast for
what it has seen in it so far.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Hashable
from contextlib import closing
from typing import Any

import cachetools

from benchmarks import data
from benchmarks.contenders.kit import Items
from benchmarks.keeper import PLACES, Keeper
from infrastructure.cache import CachePolicy, TTLCache
from infrastructure.database import BaseUnitOfWork, Database

KEYS = [f"key {number}" for number in range(1_000)]
ROUNDS = 25
SECONDS = 4.0
"""For each number of threads."""

Loop = Callable[[Any, list[str], int], None]

_SOURCE = """
def loop(store, keys, rounds):
    for _ in range(rounds):
        for key in keys:
            store[key]
"""


class Locked:
    """A cache of cachetools, as its documentation says to use it from many threads."""

    def __init__(self) -> None:
        self._cache: cachetools.TTLCache[Hashable, Any] = cachetools.TTLCache(10_000, 600)
        self._lock = threading.RLock()

    def __getitem__(self, key: Hashable) -> Any:
        with self._lock:
            return self._cache[key]

    def __setitem__(self, key: Hashable, value: Any) -> None:
        with self._lock:
            self._cache[key] = value


def loop_of_its_own() -> Loop:
    """The same loop, compiled anew."""
    names: dict[str, Any] = {}
    exec(_SOURCE, names)  # noqa: S102 -- our own text
    loop: Loop = names["loop"]
    return loop


def timed(loop: Loop, store: Any, threads: int) -> float:
    """Seconds for one read."""
    workers = [threading.Thread(target=loop, args=(store, KEYS, ROUNDS)) for _ in range(threads)]
    begun = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return (time.perf_counter() - begun) / (threads * ROUNDS * len(KEYS))


def measure(stores: dict[str, Any], threads: int) -> dict[str, float]:
    """The median of each."""
    loops = {name: loop_of_its_own() for name in stores}
    seconds: dict[str, list[float]] = {name: [] for name in stores}
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end or len(seconds["dict"]) < 3:
        for name, store in stores.items():
            seconds[name].append(timed(loops[name], store, threads))
    return {name: statistics.median(each) for name, each in seconds.items()}


class CachedItems(Items):
    """The repository of the other benchmarks, cached."""

    cache = CachePolicy(ttl=3600)


class CachedUnit(BaseUnitOfWork):
    """Both of them."""

    items: Items
    cached: CachedItems


def read_within(database: Database, name: str) -> float:
    """Seconds for one read by key, in a read-only unit that reads many."""
    with CachedUnit(database, read_only=True) as uow:
        get = getattr(uow, name).get_by_id
        get(data.READ)  # the unit has its connection now, if it needs one
        begun = time.perf_counter()
        for id in data.IDS:
            get(id)
        return (time.perf_counter() - begun) / len(data.IDS)


def read_each(database: Database, name: str) -> float:
    """The same, in a unit for each."""
    begun = time.perf_counter()
    for id in data.IDS:
        with CachedUnit(database, read_only=True) as uow:
            getattr(uow, name).get_by_id(id)
    return (time.perf_counter() - begun) / len(data.IDS)


def compare_reads() -> None:
    """On each database that is there, in turns."""
    for title, place in PLACES.values():
        with place() as url:
            if url is None:
                continue
            keeper = Keeper(title, url)
            keeper.fill(big=False)
            with closing(keeper), Database(url) as database:
                print(f"{title}: get_by_id in a read-only unit")
                for what, read in {"within one": read_within, "a unit each": read_each}.items():
                    _compare(database, what, read)


def _compare(database: Database, what: str, read: Callable[[Database, str], float]) -> None:
    seconds: dict[str, list[float]] = {"items": [], "cached": []}
    read(database, "cached")
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        for name, each in seconds.items():
            each.append(read(database, name))
    usual, cached = (statistics.median(each) for each in seconds.values())
    times = f"{usual * 1e6:6.1f} µs, cached {cached * 1e6:5.1f} µs"
    print(f"  {what:12} {times}: {usual / cached:.1f} × less")


def compare_hits() -> None:
    """With one thread and with some."""
    stores: dict[str, Any] = {
        "dict": {},
        "TTLCache": TTLCache(10_000, 600),
        "TTLCache, a list": TTLCache(10_000, 600),
        "cachetools.TTLCache, RLock": Locked(),
    }
    for name, store in stores.items():
        for key in KEYS:
            store[key] = [1, 2, 3] if "list" in name else 1
    for threads in (1, 8):
        print(f"a hit, {threads} thread(s):")
        for name, seconds in (found := measure(stores, threads)).items():
            print(f"  {name:28} {seconds * 1e9:7.0f} ns  {seconds / found['dict']:5.1f} ×")


def main() -> None:
    """Measure and print."""
    compare_hits()
    compare_reads()


if __name__ == "__main__":
    main()
