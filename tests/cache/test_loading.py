"""One loader a key, and nobody waits for what never comes."""

from __future__ import annotations

import gc
import pickle
import threading
import time
import traceback
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from domain.errors import CacheError, EntityNotFound
from infrastructure.cache import TTLCache
from infrastructure.cache.twins import twin
from infrastructure.testing.contracts.caching import at_once
from infrastructure.testing.contracts.threads import Threads


class Loader:
    """Counts its calls, and takes as long as it is told."""

    def __init__(self, seconds: float = 0.2, *, error: BaseException | None = None) -> None:
        self.calls = 0
        self.seconds = seconds
        self.error = error

    def __call__(self) -> str:
        self.calls += 1
        time.sleep(self.seconds)
        if self.error is not None:
            raise self.error
        return "value"


def test_of_32_threads_that_miss_one_loads(cache: TTLCache) -> None:
    load = Loader()
    assert [one.value() for one in at_once(32, lambda: cache.get_or_load("key", load))] == (
        ["value"] * 32
    )
    assert load.calls == cache.stats.loads == 1


def test_a_loader_that_fails_is_called_once_and_costs_its_time_once(cache: TTLCache) -> None:
    load = Loader(0.6, error=EntityNotFound("Person", 7))
    begun = time.perf_counter()
    errors = [one.error() for one in at_once(32, lambda: cache.get_or_load("key", load))]
    assert time.perf_counter() - begun <= 1.5 * load.seconds
    assert load.calls == 1
    assert {(type(error), error.entity, error.id, str(error)) for error in errors} == {
        (EntityNotFound, "Person", 7, "no Person has the id 7")
    }
    assert len({id(error) for error in errors}) == 32
    with pytest.raises(EntityNotFound):
        cache.get_or_load("key", load)
    assert load.calls == 2, "a failure is not kept"


def test_the_error_of_who_waited_shows_where_the_loader_failed_and_does_not_grow(
    cache: TTLCache,
) -> None:
    load = Loader(error=ValueError("no"))
    traces = []
    for each in at_once(8, lambda: cache.get_or_load("key", load)):
        trace = traceback.extract_tb(each.error().__traceback__)
        assert [frame.name for frame in trace[-2:]] == ["_load", "__call__"]
        traces.append(tuple(frame.name for frame in trace))
    assert len(set(traces)) == 2, "that of who loaded, and that of all others"
    assert max(map(len, traces)) < 15


def test_a_failure_leaves_nothing_in_memory(cache: TTLCache) -> None:
    seen: list[weakref.ref[BaseException]] = []

    def load() -> None:
        time.sleep(0.1)
        raise Particular(1, second=2)

    def work() -> None:
        try:
            cache.get_or_load("key", load)
        except Particular as error:
            seen.append(weakref.ref(error))

    gc.collect()
    gc.disable()  # and no circle is left that it would have to find
    try:
        for each in at_once(4, work):
            each.value()
        assert [ref() for ref in seen] == [None] * 4
    finally:
        gc.enable()
    assert not cache._flights._flying
    assert not cache._flights._loading


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_a_thread_that_is_stopped_leaves_no_other_waiting(
    cache: TTLCache, kind: type[BaseException]
) -> None:
    calls: list[int] = []

    def load() -> str:
        calls.append(1)
        time.sleep(0.1)
        if len(calls) == 1:
            raise kind
        return "value"

    workers = at_once(8, lambda: cache.get_or_load("key", load))
    stopped = [one for one in workers if one._error is not None]
    assert [type(one.error()) for one in stopped] == [kind]
    assert [one.value() for one in workers if one not in stopped] == ["value"] * 7
    assert len(calls) == 2


def test_a_loader_that_hangs_is_waited_for_with_patience(cache: TTLCache) -> None:
    cache = TTLCache(10, 60, patience=0.2)
    go = threading.Event()
    with Threads() as threads:
        hanging = threads.start(lambda: cache.get_or_load("k" * 500, lambda: go.wait(20)))
        while not cache.stats.loads:
            time.sleep(0.01)
        begun = time.perf_counter()
        with pytest.raises(CacheError, match=r"'kkk.+ 0\.2 s; give its loader a timeout") as caught:
            cache.get_or_load("k" * 500, lambda: True)
        assert 0.2 <= time.perf_counter() - begun < 2
        assert len(str(caught.value)) < 250
        assert cache.get_or_load("other", lambda: "value") == "value"
        cache["set"] = 1
        go.set()
    assert hanging.value() is True
    assert cache["k" * 500] is True


def test_a_loader_that_needs_its_own_key_is_refused(cache: TTLCache) -> None:
    with pytest.raises(CacheError, match=r"'key'.+ read it from its source"):
        cache.get_or_load("key", lambda: cache.get_or_load("key", lambda: 1))


def test_also_if_it_invalidates_the_key_first(cache: TTLCache) -> None:
    def load() -> Any:
        cache.discard("key")
        return cache.get_or_load("key", load)

    with pytest.raises(CacheError, match="'key'"):
        cache.get_or_load("key", load)


def test_a_circle_of_loaders_in_one_thread_is_refused(cache: TTLCache) -> None:
    def load(this: str, other: str) -> Any:
        return cache.get_or_load(this, lambda: load(other, this))

    with pytest.raises(CacheError, match="'a'"):
        load("a", "b")
    assert cache.get_or_load("a", lambda: 1) == cache.get_or_load("b", lambda: 1) == 1


@pytest.mark.parametrize("caches", [1, 2])
@pytest.mark.parametrize("count", [2, 5])
def test_a_circle_of_threads_is_refused(count: int, caches: int) -> None:
    """Also if it goes through several caches."""
    made = [TTLCache(10, 60) for _ in range(caches)]
    barrier = threading.Barrier(count)

    def work(number: int) -> Any:
        def load() -> Any:
            barrier.wait(10)
            other = (number + 1) % count
            return made[other % caches].get_or_load(other, lambda: "never")

        return made[number % caches].get_or_load(number, load)

    begun = time.perf_counter()
    with Threads() as threads:
        workers = [threads.start(lambda number=number: work(number)) for number in range(count)]
    assert time.perf_counter() - begun < 5
    assert all(isinstance(one.error(), CacheError) for one in workers)
    assert "must not need each other" in str(workers[0].error())


def test_to_wait_for_who_waited_before_is_no_circle(cache: TTLCache) -> None:
    """Each thread in turn waits for the other; never both."""
    barrier = threading.Barrier(2)

    def work(mine: int) -> None:
        for step in range(50):
            if step % 2 == mine:
                value = cache.get_or_load(step, lambda: (barrier.wait(10), time.sleep(0.001)))
            else:
                barrier.wait(10)
                value = cache.get_or_load(step, lambda: (None, None))
            assert value[1] is None

    with Threads() as threads:
        workers = [threads.start(lambda mine=mine: work(mine)) for mine in range(2)]
    for one in workers:
        one.value()


def test_a_loader_may_use_other_keys_and_the_cache_itself(cache: TTLCache) -> None:
    def load() -> int:
        cache["set"] = 1
        cache.invalidate(["other"])
        return int(cache.get_or_load("other", lambda: 2)) + int(cache["set"])

    assert cache.get_or_load("key", load) == 3
    assert set(cache) == {"set", "other", "key"}


def test_no_lock_is_held_while_a_loader_runs(cache: TTLCache) -> None:
    def load() -> bool:
        with Threads() as threads:
            other = threads.start(lambda: (cache._lock.acquire(timeout=1), cache._lock.release()))
        other.value()
        return True

    assert cache.get_or_load("key", load)


def test_what_cannot_be_copied_fails_those_who_wait_too(cache: TTLCache) -> None:
    def load() -> Any:
        time.sleep(0.1)
        return {"handle": threading.Lock()}

    errors = [one.error() for one in at_once(4, lambda: cache.get_or_load("key", load))]
    assert {type(error) for error in errors} == {CacheError}
    assert {str(error).split(":")[0] for error in errors} == {
        "the loader ran, but what it gave cannot be kept"
    }
    assert "key" not in cache


# -- the same error once more ------------------------------------------------------------------


class Particular(Exception):
    def __init__(self, first: int, *, second: int) -> None:
        super().__init__(f"{first} and {second}")
        self.first = first
        self.second = second


class Single(Exception):
    """Cannot be made by anything but its own factory."""

    def __new__(cls, *args: object) -> Any:
        raise RuntimeError("not like this")

    def __reduce__(self) -> Any:
        raise RuntimeError("not at all")


ERRORS: dict[str, Callable[[], Exception]] = {
    "plain": lambda: ValueError("a", 1),
    "of the kit": lambda: EntityNotFound("Person", 3),
    "with arguments of its own": lambda: Particular(1, second=2),
    "of the system": lambda: FileNotFoundError(2, "not there", "file"),
    "of a text": lambda: UnicodeDecodeError("utf-8", b"x", 0, 1, "bad"),
    "of a key": lambda: KeyError("key"),
    "a group": lambda: ExceptionGroup("several", [ValueError(1), KeyError(2)]),
    "of an iterator": lambda: StopIteration(3),
}


@pytest.mark.parametrize("name", ERRORS)
def test_a_twin_is_the_same_but_for_its_trace(name: str) -> None:
    error = ERRORS[name]()
    error.__cause__ = LookupError("why")
    error.add_note("a note")
    with pytest.raises(type(error)):
        raise error
    made = twin(error)
    assert made is not error
    assert (type(made), str(made), made.args) == (type(error), str(error), error.args)
    assert vars(made) == vars(error)
    assert made.__cause__ is error.__cause__
    for attribute in ("errno", "filename", "reason", "value", "exceptions"):
        assert getattr(made, attribute, None) == getattr(error, attribute, None)
    with pytest.raises(type(error)):
        raise made
    made.add_note("another")
    assert error.__notes__ == ["a note"]
    assert len(traceback.extract_tb(error.__traceback__)) == 1


def test_an_error_that_cannot_be_made_again_is_the_cause_of_another() -> None:
    error = Exception.__new__(Single)
    made = twin(error)
    assert type(made) is CacheError
    assert "Single" in str(made)
    assert made.__cause__ is error


def test_a_twin_of_a_kit_error_can_be_pickled() -> None:
    made: Any = pickle.loads(pickle.dumps(twin(EntityNotFound("Person", 3))))
    assert (made.entity, made.id) == ("Person", 3)
