"""What every adapter of ``domain.ports.Cache`` must do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, NoReturn

import pytest

from domain.errors import CacheError, ValidationError
from domain.ports import Cache
from infrastructure.testing.contracts.threads import Threads

TTL = 60.0
"""Seconds: much longer than the tests take."""


class Refused(Exception):
    """What a loader raises in these tests."""


class CacheContract:
    """A class that overrides the fixture ``cache`` is a suite of tests.

        class TestPrices(CacheContract):
            @pytest.fixture
            def cache(self):
                return RedisCache(url)

            def advance(self, seconds):
                clock.move(seconds=seconds)

    The cache is empty at first, and has a time to live of a minute or more.
    Without ``advance``, what needs time to pass is skipped.
    """

    keeps: bool = True
    """False if it may forget at once: then only what holds for every cache is tested."""

    @pytest.fixture
    def cache(self) -> Cache:
        """The cache that is held to the contract, with nothing in it."""
        raise NotImplementedError(f"{type(self).__name__} must define the fixture cache")

    def advance(self, seconds: float, /) -> None:
        """Let so much time pass for the cache."""
        self._skip("advance()")

    def _skip(self, hook: str) -> NoReturn:
        pytest.skip(f"{type(self).__name__} does not define {hook}")

    def _needs_memory(self) -> None:
        if not self.keeps:
            pytest.skip(f"{type(self).__name__} forgets at once")

    # -- keeping ---------------------------------------------------------------------------

    def test_what_is_not_there_is_the_default(self, cache: Cache) -> None:
        default = object()
        assert cache.get("nothing") is None
        assert cache.get("nothing", default) is default

    def test_what_is_stored_is_found_again_unless_the_cache_says_that_it_is_not_kept(
        self, cache: Cache
    ) -> None:
        kept = cache.store("key", "value", since=cache.sequence())
        assert kept is self.keeps
        assert cache.get("key", "gone") == ("value" if kept else "gone")

    def test_none_is_a_value(self, cache: Cache) -> None:
        self._needs_memory()
        cache.store("key", None, since=cache.sequence())
        assert cache.get("key", "default") is None
        assert cache.get_or_load("key", lambda: "loaded") is None

    def test_a_value_takes_the_place_of_another(self, cache: Cache) -> None:
        self._needs_memory()
        for value in ("old", "new"):
            cache.store("key", value, since=cache.sequence(), tags=[value])
        assert cache.get("key") == "new"
        cache.invalidate(["old"])
        assert cache.get("key") == "new"

    def test_a_value_is_gone_after_its_time(self, cache: Cache) -> None:
        self._needs_memory()
        since = cache.sequence()
        cache.store("short", 1, since=since, ttl=TTL)
        cache.store("long", 1, since=since, ttl=TTL * 100)
        cache.get_or_load("loaded", lambda: 1, ttl=TTL)
        self.advance(TTL / 4)
        assert [cache.get(key) for key in ("short", "long", "loaded")] == [1, 1, 1]
        self.advance(TTL)
        assert [cache.get(key) for key in ("short", "long", "loaded")] == [None, 1, None]

    def test_values_are_nobody_elses(self, cache: Cache) -> None:
        given: dict[str, list[int]] = {"numbers": [1]}
        cache.store("key", given, since=cache.sequence())
        given["numbers"].append(2)
        if self.keeps:
            cache.get("key")["numbers"].append(3)
            assert cache.get("key") == {"numbers": [1]}
            cache.get_or_load("key", lambda: given)["numbers"].append(4)
            assert cache.get("key") == {"numbers": [1]}

    def test_a_loaded_value_belongs_to_the_caller_alone(self, cache: Cache) -> None:
        source = [1]
        loaded = cache.get_or_load("key", lambda: source)
        loaded.append(2)
        assert source == [1]
        source.append(3)
        assert cache.get("key", [1]) == [1]

    # -- invalidating ----------------------------------------------------------------------

    def test_a_tag_takes_with_it_all_that_has_it_and_nothing_else(self, cache: Cache) -> None:
        self._needs_memory()
        since = cache.sequence()
        for key, tags in {1: ["a"], 2: ["a", "b"], 3: ["b"], 4: []}.items():
            cache.store(key, "value", since=since, tags=tags)
        cache.get_or_load(5, lambda: "value", tags=["a"])
        cache.invalidate(["a", "unknown"])
        assert [key for key in range(1, 6) if cache.get(key)] == [3, 4]

    def test_a_discarded_key_is_gone_and_no_other(self, cache: Cache) -> None:
        self._needs_memory()
        since = cache.sequence()
        for key in (1, 2):
            cache.store(key, "value", since=since)
        cache.discard(1)
        cache.discard("unknown")
        assert [cache.get(1), cache.get(2)] == [None, "value"]

    def test_clear_forgets_everything(self, cache: Cache) -> None:
        since = cache.sequence()
        for key in (1, 2):
            cache.store(key, "value", since=since, tags=["a"])
        cache.clear()
        assert [cache.get(1), cache.get(2)] == [None, None]

    @pytest.mark.parametrize("how", ["tag", "key", "all"])
    def test_what_was_read_before_an_invalidation_is_not_kept(self, cache: Cache, how: str) -> None:
        since = cache.sequence()
        invalidate(cache, how)
        assert not cache.store("key", "old", since=since, tags=["a", "tag"])
        assert cache.get("key") is None
        assert cache.store("key", "new", since=cache.sequence(), tags=["tag"]) is self.keeps

    def test_what_has_nothing_to_do_with_an_invalidation_is_kept(self, cache: Cache) -> None:
        self._needs_memory()
        since = cache.sequence()
        cache.invalidate(["other"])
        cache.discard("other")
        assert cache.store("key", "value", since=since, tags=["tag"])
        assert cache.get("key") == "value"

    @pytest.mark.parametrize("how", ["tag", "key", "all"])
    def test_an_invalidation_during_a_load_wins(self, cache: Cache, how: str) -> None:
        def load() -> str:
            invalidate(cache, how)
            return "old"

        assert cache.get_or_load("key", load, tags=["tag"]) == "old"
        assert cache.get("key") is None
        assert cache.get_or_load("key", lambda: "new", tags=["tag"]) == "new"

    @pytest.mark.parametrize("how", ["tag", "key", "all"])
    def test_who_comes_after_an_invalidation_does_not_get_what_was_read_before(
        self, cache: Cache, how: str
    ) -> None:
        reading, go = threading.Event(), threading.Event()

        def load_slowly() -> str:
            reading.set()
            assert go.wait(10)
            return "old"

        with Threads() as threads:
            early = threads.start(lambda: cache.get_or_load("key", load_slowly, tags=["tag"]))
            assert reading.wait(10)
            invalidate(cache, how)
            late = threads.start(lambda: cache.get_or_load("key", lambda: "new", tags=["tag"]))
            late.join(0.2)
            go.set()
        assert [early.value(), late.value()] == ["old", "new"]
        assert cache.get("key", "new") == "new"

    # -- loading ---------------------------------------------------------------------------

    def test_what_is_there_is_not_loaded(self, cache: Cache) -> None:
        self._needs_memory()
        cache.store("key", "value", since=cache.sequence())
        assert cache.get_or_load("key", fail) == "value"

    def test_what_was_loaded_is_kept(self, cache: Cache) -> None:
        assert cache.get_or_load("key", lambda: "value") == "value"
        assert cache.get("key", "value") == "value"

    def test_one_thread_loads_for_all(self, cache: Cache) -> None:
        self._needs_memory()
        calls: list[int] = []

        def load() -> list[int]:
            calls.append(1)
            time.sleep(0.1)
            return [1]

        found = [each.value() for each in at_once(32, lambda: cache.get_or_load("key", load))]
        assert found == [[1]] * 32
        assert len(calls) == 1
        assert len({id(each) for each in found}) == 32, "a value is shared"

    def test_a_failing_loader_fails_all_who_wait_once(self, cache: Cache) -> None:
        self._needs_memory()
        calls: list[int] = []

        def load() -> str:
            calls.append(1)
            time.sleep(0.1)
            raise Refused("no")

        begun = time.perf_counter()
        errors = [each.error() for each in at_once(32, lambda: cache.get_or_load("key", load))]
        assert time.perf_counter() - begun < 1, "one after the other"
        assert [(type(error), error.args) for error in errors] == [(Refused, ("no",))] * 32
        assert len(calls) == 1
        assert len({id(error) for error in errors}) == 32, "an error is raised in several threads"

    def test_after_a_failure_nothing_is_kept_and_the_next_one_loads(self, cache: Cache) -> None:
        with pytest.raises(Refused):
            cache.get_or_load("key", fail)
        assert cache.get("key", "nothing") == "nothing"
        assert cache.get_or_load("key", lambda: "value") == "value"

    def test_a_loader_that_needs_its_own_key_is_refused(self, cache: Cache) -> None:
        self._needs_memory()

        def load() -> Any:
            return cache.get_or_load("key", load)

        with pytest.raises(CacheError):
            cache.get_or_load("key", load)
        assert cache.get_or_load("key", lambda: "value") == "value"

    def test_keys_do_not_wait_for_each_other(self, cache: Cache) -> None:
        def load() -> Any:
            with Threads() as threads:
                other = threads.start(lambda: cache.get_or_load("other", lambda: "value"))
            return other.value()

        assert cache.get_or_load("key", load) == "value"

    # -- refused ---------------------------------------------------------------------------

    @pytest.mark.parametrize("key", [["secret"], ("a", ["secret"])], ids=["list", "in a tuple"])
    def test_a_key_that_is_not_hashable_is_refused_before_the_loader_runs(
        self, cache: Cache, key: Any
    ) -> None:
        uses: list[Callable[[], object]] = [
            lambda: cache.get(key),
            lambda: cache.store(key, 1, since=cache.sequence()),
            lambda: cache.get_or_load(key, fail),
            lambda: cache.discard(key),
        ]
        for use in uses:
            with pytest.raises(CacheError, match="list") as caught:
                use()
            assert "secret" not in str(caught.value)

    def test_a_tag_that_is_not_hashable_is_refused_before_the_loader_runs(
        self, cache: Cache
    ) -> None:
        tags: Any = [["secret"]]
        uses: list[Callable[[], object]] = [
            lambda: cache.store("key", 1, since=cache.sequence(), tags=tags),
            lambda: cache.get_or_load("key", fail, tags=tags),
            lambda: cache.invalidate(tags),
        ]
        for use in uses:
            with pytest.raises(CacheError, match="list"):
                use()

    @pytest.mark.parametrize("ttl", [0, -1, float("nan"), float("-inf")])
    def test_a_time_to_live_that_is_none_is_refused(self, cache: Cache, ttl: float) -> None:
        with pytest.raises(ValidationError) as caught:
            cache.store("key", 1, since=cache.sequence(), ttl=ttl)
        assert "ttl" in caught.value.errors
        with pytest.raises(ValidationError):
            cache.get_or_load("key", fail, ttl=ttl)

    def test_what_cannot_be_copied_is_refused_naming_its_type(self, cache: Cache) -> None:
        with pytest.raises(CacheError, match="lock"):
            cache.store("key", threading.Lock(), since=cache.sequence())
        with pytest.raises(CacheError, match="lock"):
            cache.get_or_load("key", threading.Lock)
        assert cache.get("key", "nothing") == "nothing"


def fail() -> NoReturn:
    raise Refused("the loader was called")


def invalidate(cache: Cache, how: str) -> None:
    """Invalidate "key" by itself, by its tag, or with everything else."""
    if how == "tag":
        cache.invalidate(["tag"])
    elif how == "key":
        cache.discard("key")
    else:
        cache.clear()


def at_once(count: int, work: Callable[[], Any]) -> Any:
    """What so many threads do that begin together."""
    barrier = threading.Barrier(count)
    with Threads() as threads:
        return [threads.start(lambda: (barrier.wait(10), work())[1]) for _ in range(count)]
