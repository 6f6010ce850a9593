"""A cache is a mapping, whose entries go away by time and by number."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from domain.errors import CacheError, ValidationError
from infrastructure.cache import CachePolicy, CacheStats, NullCache, TTLCache
from tests.cache.clocks import Clock


def test_it_is_a_mapping(cache: TTLCache) -> None:
    cache.update({"a": 1, "b": 2}, c=3)
    assert cache == {"a": 1, "b": 2, "c": 3}
    assert (len(cache), set(cache), "a" in cache, "x" in cache) == (3, {"a", "b", "c"}, True, False)
    assert sorted(cache.items()) == [("a", 1), ("b", 2), ("c", 3)]
    assert sorted(cache.values()) == [1, 2, 3]
    assert cache.pop("a") == 1
    assert cache.pop("a", None) is None
    assert cache.setdefault("b", 9) == 2
    assert cache.setdefault("d", 4) == cache["d"] == 4
    del cache["d"]
    assert dict([cache.popitem(), cache.popitem()]) == {"b": 2, "c": 3}
    assert not cache


def test_what_is_not_there_is_a_key_error(cache: TTLCache) -> None:
    uses: list[Callable[[], Any]] = [
        lambda: cache["x"],
        lambda: cache.pop("x"),
        lambda: cache.__delitem__("x"),
        cache.popitem,
    ]
    for use in uses:
        with pytest.raises(KeyError):
            use()


def test_what_has_expired_is_seen_nowhere(cache: TTLCache, clock: Clock) -> None:
    cache["old"] = 1
    cache["list"] = [1]
    clock.move(5)
    cache["young"] = 2
    clock.move(5)
    assert "old" not in cache
    assert cache.get("old") is cache.get("list") is None
    assert list(cache) == list(cache.keys()) == ["young"]
    assert list(cache.items()) == [("young", 2)]
    assert list(cache.values()) == [2]
    assert len(cache) == 1
    with pytest.raises(KeyError):
        cache.pop("old")


def test_what_expires_during_an_iteration_is_left_out(cache: TTLCache, clock: Clock) -> None:
    cache["a"] = cache["b"] = 1
    walk = iter(cache.items())
    assert next(walk) == ("a", 1)
    clock.move(10)
    assert list(walk) == []


def test_it_may_be_changed_during_an_iteration(cache: TTLCache) -> None:
    cache.update({number: number for number in range(10)})
    for number in cache:
        del cache[number]
    assert len(cache) == 0


def test_what_has_expired_is_freed_by_the_next_write_or_on_demand(
    cache: TTLCache, clock: Clock
) -> None:
    for number in range(50):
        cache.store(number, number, since=0, tags=[number])
    clock.move(10)
    cache["one"] = 1
    assert len(cache._entries) == 1
    assert not cache._shelf._tagged
    clock.move(10)
    assert cache.expire() == 1
    assert not cache._entries


def test_an_entry_has_a_time_of_its_own(cache: TTLCache, clock: Clock) -> None:
    cache.store("short", 1, since=cache.sequence(), ttl=1)
    cache.get_or_load("long", lambda: 1, ttl=100)
    cache.get_or_load("for ever", lambda: 1, ttl=float("inf"))
    cache["default"] = 1
    clock.move(1)
    assert set(cache) == {"long", "for ever", "default"}
    clock.move(9)
    assert set(cache) == {"long", "for ever"}
    clock.move(1e12)
    assert set(cache) == {"for ever"}


def test_a_time_that_is_too_short_to_measure_keeps_nothing(cache: TTLCache) -> None:
    cache["key"] = 1
    assert not cache.store("key", 2, since=cache.sequence(), ttl=1e-300)
    assert "key" not in cache


def test_jitter_spreads_expiry_and_only_shortens_it(clock: Clock) -> None:
    cache = TTLCache(1000, 10, jitter=0.5, timer=clock)
    cache.update({number: number for number in range(1000)})
    clock.move(4.99)
    assert len(cache) == 1000
    clock.move(2.51)
    assert 350 < len(cache) < 650
    clock.move(2.5)
    assert len(cache) == 0


def test_the_size_is_bounded_and_what_is_used_stays(clock: Clock) -> None:
    cache = TTLCache(10, 10, timer=clock)
    for number in range(1000):
        cache[number] = number
        assert cache.get(0) == 0
        assert len(cache) <= 10
    assert set(cache) == {0, *range(991, 1000)}
    assert cache.stats.evictions == 990


def test_if_everything_is_used_something_goes_all_the_same(clock: Clock) -> None:
    cache = TTLCache(500, 10, timer=clock)
    for number in range(1000):
        cache[number] = number
        for each in cache:
            cache[each]
    assert len(cache) == 500
    assert 999 in cache


def test_a_replaced_value_evicts_nothing(clock: Clock) -> None:
    cache = TTLCache(2, 10, timer=clock)
    cache.update(a=1, b=2)
    cache.update(a=3, b=4)
    assert cache == {"a": 3, "b": 4}
    assert cache.stats.evictions == 0


def test_a_value_is_never_missing_while_it_is_replaced(cache: TTLCache) -> None:
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            cache["key"] = 1

    cache["key"] = 1
    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert all(cache["key"] == 1 for _ in range(20_000))
    finally:
        stop.set()
        writer.join()


def test_a_read_waits_for_no_lock(cache: TTLCache) -> None:
    cache.update(plain=1, copied=[1])
    found: list[Any] = []
    with cache._lock:
        reader = threading.Thread(
            target=lambda: found.extend([cache["plain"], cache["copied"], "plain" in cache])
        )
        reader.start()
        reader.join(10)
        assert found == [1, [1], True]


def test_statistics_count_what_happened(cache: TTLCache) -> None:
    cache["a"] = 1
    assert cache["a"] == cache.get("a") == cache.get_or_load("a", lambda: 0) == 1
    assert cache.get("x") is None
    cache.get_or_load("b", lambda: [2], tags=["t"])
    assert cache["b"] == [2]
    cache.invalidate(["t"])
    cache.discard("nothing")
    assert cache.stats == CacheStats(
        hits=4, misses=2, loads=1, evictions=0, invalidations=2, size=1
    )
    cache.invalidate([])
    cache.clear()
    assert cache.stats == CacheStats(
        hits=4, misses=2, loads=1, evictions=0, invalidations=3, size=0
    )
    with pytest.raises(AttributeError):
        cache.stats.hits = 3  # type: ignore[misc]


def test_hits_and_misses_of_eight_threads_are_all_counted(cache: TTLCache) -> None:
    cache["key"] = 1

    def read() -> None:
        for _ in range(5_000):
            cache["key"]
            cache.get("nothing")

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (cache.stats.hits, cache.stats.misses) == (40_000, 40_000)


def test_it_tells_no_values(cache: TTLCache) -> None:
    cache["secret key"] = "secret value"
    assert repr(cache) == "TTLCache(maxsize=100, ttl=10, size=1)"
    assert "secret" not in str(cache.stats)


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("maxsize", [0, -1, 1.5, True, "3", None]),
        ("ttl", [0, -1, float("nan"), float("-inf"), "3", None, True]),
        ("jitter", [-0.1, 1.1, float("nan"), None]),
        ("patience", [0, -1, float("nan")]),
    ],
)
def test_settings_that_make_no_sense_are_refused_naming_them(field: str, values: list[Any]) -> None:
    for value in values:
        with pytest.raises(ValidationError) as caught:
            TTLCache(**{"maxsize": 1, "ttl": 1, field: value})
        assert caught.value.entity == "TTLCache"
        assert list(caught.value.errors) == [field]


@pytest.mark.parametrize("field", ["maxsize", "ttl", "jitter"])
def test_a_policy_is_checked_when_it_is_declared(field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        CachePolicy(**{"ttl": 1, field: -1})
    assert list(caught.value.errors) == [field]


def test_a_policy_makes_a_cache_of_its_own_each_time() -> None:
    policy = CachePolicy(ttl=60, maxsize=7)
    made = policy.make()
    assert isinstance(made, TTLCache)
    assert (made.ttl, made.maxsize) == (60, 7)
    assert policy.make() is not made


def test_a_policy_may_name_another_kind_of_cache() -> None:
    assert isinstance(CachePolicy(ttl=60, cache=NullCache).make(), NullCache)


@pytest.mark.parametrize("key", [["secret"], ("a", {"secret": 1}), {"secret"}])
def test_a_key_that_is_not_hashable_is_refused_everywhere(cache: TTLCache, key: Any) -> None:
    uses: list[Callable[[], Any]] = [
        lambda: cache[key],
        lambda: cache.__setitem__(key, 1),
        lambda: cache.__delitem__(key),
        lambda: key in cache,
        lambda: cache.pop(key),
        lambda: cache.pop(key, None),
        lambda: cache.setdefault(key, 1),
    ]
    for use in uses:
        with pytest.raises(CacheError, match=r"list|dict|set") as caught:
            use()
        assert "secret" not in str(caught.value)
    assert len(cache) == 0


def test_one_text_is_not_a_collection_of_tags(cache: TTLCache) -> None:
    with pytest.raises(CacheError, match=r"\[tag\]"):
        cache.invalidate("people")


def test_a_token_of_something_else_is_refused(cache: TTLCache) -> None:
    for token in (None, "3", -1, cache.sequence() + 1):
        with pytest.raises(CacheError, match="sequence"):
            cache.store("key", 1, since=token)


def test_an_error_of_a_key_is_not_taken_for_something_else(cache: TTLCache) -> None:
    class Strange:
        def __hash__(self) -> int:
            return 1

        def __eq__(self, other: object) -> bool:
            raise TypeError("cannot compare")

    cache[1] = 1
    with pytest.raises(TypeError, match="cannot compare"):
        cache[Strange()]
