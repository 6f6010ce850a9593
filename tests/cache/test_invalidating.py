"""What was read before an invalidation is never kept, and to know that takes bounded memory."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from infrastructure.cache import TTLCache
from infrastructure.cache.invalidations import RECORDS, Invalidations
from infrastructure.testing.contracts.threads import Threads
from tests.cache.broken_caches import IgnoresSince

CHANGES: dict[str, Callable[[TTLCache], Any]] = {
    "set": lambda cache: cache.__setitem__("key", "set"),
    "delete": lambda cache: cache.__delitem__("key"),
    "pop": lambda cache: cache.pop("key"),
    "pop what is not there": lambda cache: (cache.clear(), cache.pop("key", None)),
    "popitem": lambda cache: cache.popitem(),
    "discard": lambda cache: cache.discard("key"),
    "clear": lambda cache: cache.clear(),
    "invalidate": lambda cache: cache.invalidate(["tag"]),
}


@pytest.mark.parametrize("how", CHANGES)
def test_a_change_of_a_key_wins_over_what_was_read_before(cache: TTLCache, how: str) -> None:
    cache["key"] = "first"
    since = cache.sequence()
    CHANGES[how](cache)
    assert not cache.store("key", "old", since=since, tags=["tag"])
    assert cache.get("key") == ("set" if how == "set" else None if how != "invalidate" else "first")


def test_a_value_that_is_set_during_a_load_stays(cache: TTLCache) -> None:
    def load() -> str:
        cache["key"] = "set"
        return "loaded"

    assert cache.get_or_load("key", load) == "loaded"
    assert cache["key"] == "set"


def test_a_default_that_is_set_wins_over_what_was_read_before(cache: TTLCache) -> None:
    since = cache.sequence()
    cache.setdefault("key", "default")
    assert not cache.store("key", "old", since=since)
    assert cache["key"] == "default"


def test_a_reader_with_other_tags_does_not_get_what_is_stale_for_them(cache: TTLCache) -> None:
    reading, go = threading.Event(), threading.Event()

    def load() -> str:
        reading.set()
        assert go.wait(10)
        return "old"

    with Threads() as threads:
        threads.start(lambda: cache.get_or_load("key", load, tags=["a"]))
        assert reading.wait(10)
        cache.invalidate(["b"])
        assert cache.get_or_load("key", lambda: "new", tags=["b"]) == "new"
        go.set()


def race(cache: TTLCache, rounds: int) -> int:
    """In how many rounds a reader leaves an old value, while a writer changes and invalidates."""
    stale = 0
    for number in range(rounds):
        source = {"value": number}
        noted, changed = threading.Event(), threading.Event()

        def read(source: Any = source, noted: Any = noted, changed: Any = changed) -> None:
            since = cache.sequence()
            value = source["value"]
            noted.set()
            changed.wait(10)
            cache.store("key", value, since=since, tags=["tag"])

        def write(source: Any = source, noted: Any = noted, changed: Any = changed) -> None:
            noted.wait(10)
            source["value"] = -1
            cache.invalidate(["tag"])
            changed.set()

        with Threads() as threads:
            threads.start(read)
            threads.start(write)
        stale += cache.get("key", -1) != source["value"]
        cache.clear()
    return stale


def test_a_reader_that_began_before_a_change_leaves_nothing_stale(soak: bool) -> None:
    rounds = 2_000 if soak else 50
    assert race(IgnoresSince(10, 60), rounds) == rounds, "the test is blind"
    assert race(TTLCache(10, 60), rounds) == 0


def test_loaders_never_leave_a_stale_value_whatever_comes_between(soak: bool) -> None:
    """Eight threads load while another one changes and invalidates, by key and by tag."""
    cache, source = TTLCache(4, 60), dict.fromkeys(range(8), 0)
    settled = dict(source)
    ended = threading.Event()

    def load_all() -> None:
        while not ended.is_set():
            for key in source:
                before = settled[key]
                found = cache.get_or_load(key, lambda key=key: source[key], tags=[key % 2])
                assert found >= before, "a value from before an invalidation that has returned"

    with Threads() as threads:
        readers = [threads.start(load_all) for _ in range(8)]
        for number in range(1, 20_000 if soak else 1_000):
            changed = dict.fromkeys(range(number % 2, 8, 2), number)
            source.update(changed)
            cache.invalidate([number % 2])
            settled.update(changed)
            assert all(cache.get(key, number) == number for key in changed)
        ended.set()
    for reader in readers:
        reader.value()


def test_many_invalidations_are_remembered_within_a_bound(cache: TTLCache) -> None:
    early = cache.sequence()
    for number in range(RECORDS + 1):
        cache.discard(number)
    assert len(cache._invalidations) == RECORDS
    assert not cache.store(0, "old", since=early), "its own record is forgotten"
    assert not cache.store("other", "old", since=early), "nobody knows any more"
    late = cache.sequence()
    cache.invalidate(range(RECORDS * 2))
    assert not cache.store("other", "old", since=late)
    assert cache.store("other", "new", since=cache.sequence())


def test_what_goes_leaves_no_tags_behind(cache: TTLCache) -> None:
    def fill() -> None:
        for number in range(100):
            cache.store(number, 1, since=cache.sequence(), tags=[number, "all", number % 7])

    fill()
    fill()
    for number in range(50):
        del cache[number]
    cache.invalidate(range(70))
    for number in range(70, 100):
        cache[number] = "without tags"
    assert cache._shelf._tagged == {}
    fill()
    for number in range(1000, 1100):  # the others are evicted
        cache[number] = 1
    assert cache._shelf._tagged == {}


def test_memory_stays_within_the_bound(soak: bool) -> None:
    count, maxsize = (1_000_000, 10_000) if soak else (50_000, 1_000)
    cache = TTLCache(maxsize, 60)
    cache._invalidations = Invalidations(maxsize)  # so that it is full half way
    for number in range(count):
        cache.store(f"key {number}", number, since=cache.sequence(), tags=[number, "all"])
        cache[f"set {number % 7}"] = [number]
        if number % 3 == 0:
            cache.get(f"key {number - 500}")
        if number % 5 == 0:
            cache.discard(f"key {number - 100}")
        if number == count // 2:
            early = sys.getallocatedblocks()
    late = sys.getallocatedblocks()
    assert len(cache) <= maxsize
    assert len(cache._shelf._store) == len(cache._entries) <= maxsize
    assert len(cache._shelf._tagged) <= maxsize + 1
    assert len(cache._invalidations) == maxsize
    assert late - early < count / 10, "something is left of what is gone"
