"""A cached function is asked once for equal arguments of the same types."""

from __future__ import annotations

import inspect
import sys
import threading
import types
from collections.abc import Callable
from typing import Any

import pytest

from domain.errors import CacheError, ValidationError
from infrastructure.cache import NullCache, TTLCache, cached
from infrastructure.testing.contracts.caching import at_once
from tests.cache.clocks import Clock

calls: list[Any] = []


@pytest.fixture(autouse=True)
def no_calls() -> None:
    calls.clear()


def test_it_looks_and_works_like_the_function(cache: TTLCache) -> None:
    @cached(cache)
    def add(a: int, b: int = 2) -> int:
        """Add two numbers."""
        calls.append((a, b))
        return a + b

    assert (add(1), add(1)) == (3, 3)
    assert calls == [(1, 2)]
    assert (add.__name__, add.__doc__) == ("add", "Add two numbers.")
    assert str(inspect.signature(add)) == "(a: 'int', b: 'int' = 2) -> 'int'"


def test_it_does_not_matter_how_arguments_are_given(cache: TTLCache) -> None:
    @cached(cache)
    def f(a: Any, b: Any = 2, *rest: Any, c: Any = 3, **named: Any) -> int:
        calls.append(a)
        return len(calls)

    assert f(1) == f(a=1) == f(1, 2) == f(b=2, a=1) == f(1, c=3) == 1
    assert f(1, x=1, y=2) == f(y=2, x=1, a=1) == 2
    assert f(1, 2, 3) == 3
    assert f(1, 2, 3, 4) == 4
    assert f(1, 2, (3, 4)) == 5


def test_values_of_different_types_are_different(cache: TTLCache) -> None:
    @cached(cache)
    def kind(value: Any) -> str:
        return repr(value)

    for value in (1, True, 1.0, (1,), (True,), (1.0, (1,)), (1.0, (True,)), frozenset({1})):
        assert kind(value) == repr(value)
    assert kind(frozenset({True})) == repr(frozenset({True}))
    assert cache.stats.loads == 9


def test_functions_that_share_a_cache_do_not_collide(cache: TTLCache) -> None:
    def make(number: int) -> Callable[[int], int]:
        @cached(cache)
        def f(value: int) -> int:
            return number

        return f

    def g(value: int) -> int:
        return 3

    first, second = make(1), make(2)
    assert (first(0), second(0), cached(cache)(g)(0)) == (1, 2, 3)
    assert cached(cache)(lambda value: 4)(0) == 4


def test_a_function_of_a_module_has_the_same_key_when_it_is_made_again(cache: TTLCache) -> None:
    again = cached(cache)(inspect.unwrap(of_the_module))
    assert cached(cache)(inspect.unwrap(of_the_module))(1) == again(1) == 1
    assert len(calls) == 1


@cached(NullCache())
def of_the_module(value: int) -> int:
    calls.append(value)
    return value


def test_one_call_can_be_forgotten_or_all_of_them(cache: TTLCache) -> None:
    @cached(cache)
    def f(a: int, b: int = 2) -> int:
        calls.append(a)
        return a

    f(1), f(3)
    cache["other"] = 1
    f.invalidate(b=2, a=1)
    f(1), f(3)
    assert calls == [1, 3, 1]
    f.clear()
    f(1), f(3)
    assert calls == [1, 3, 1, 1, 3]
    assert "other" in cache


def test_it_has_a_time_and_tags_which_may_come_from_the_arguments(
    cache: TTLCache, clock: Clock
) -> None:
    @cached(cache, ttl=1, tags=lambda a, b=0: [("a", a), ("b", b)])
    def f(a: int, b: int = 0) -> int:
        calls.append((a, b))
        return a

    @cached(cache, tags=["all"])
    def g() -> int:
        calls.append("g")
        return 1

    f(1), f(2, b=3), g()
    cache.invalidate([("b", 3), "all"])
    f(1), f(2, b=3), g()
    assert calls == [(1, 0), (2, 3), "g", (2, 3), "g"]
    clock.move(1)
    f(1), g()
    assert calls[5:] == [(1, 0)]


def test_a_key_may_be_made_of_the_arguments(cache: TTLCache) -> None:
    @cached(cache, key=tuple)
    def total(items: list[int]) -> int:
        calls.append(items)
        return sum(items)

    @cached(cache, key=tuple)
    def count(items: list[int]) -> int:
        return len(items)

    assert (total([1, 2]), total([1, 2]), count([1, 2])) == (3, 3, 2)
    total.invalidate([1, 2])
    total([1, 2])
    assert len(calls) == 2


class Shop:
    def __init__(self, name: str) -> None:
        self.name = name

    @cached(TTLCache(10, 60))
    def price(self, sku: str, *, net: bool = False) -> str:
        """What it costs."""
        calls.append(sku)
        return f"{self.name} {sku}"

    @classmethod
    @cached(TTLCache(10, 60))
    def named(cls, name: str) -> str:
        calls.append(name)
        return cls.__name__ + name

    @staticmethod
    @cached(TTLCache(10, 60))
    def free(name: str) -> str:
        calls.append(name)
        return name


def test_methods_know_their_object(cache: TTLCache) -> None:
    one, two = Shop("one"), Shop("two")
    assert (one.price("a"), one.price(sku="a"), two.price("a")) == ("one a", "one a", "two a")
    assert calls == ["a", "a"]
    one.price.invalidate("a")
    assert (one.price("a"), two.price("a")) == ("one a", "two a")
    assert calls == ["a", "a", "a"]
    Shop.price.invalidate(two, "a")
    assert Shop.price(two, "a") == "two a"
    assert len(calls) == 4
    assert (one.price.__name__, one.price.__doc__) == ("price", "What it costs.")
    assert list(inspect.signature(one.price).parameters) == ["sku", "net"]
    one.price.clear()
    two.price("a")
    assert len(calls) == 5


def test_methods_of_classes_and_of_none_work_too() -> None:
    assert Shop.named("a") == Shop.named(name="a") == Shop("x").named("a") == "Shopa"
    assert Shop.free("b") == Shop("x").free("b") == "b"
    assert calls == ["a", "b"]


def test_an_argument_that_is_not_hashable_is_named(cache: TTLCache) -> None:
    @cached(cache)
    def f(first: int, items: Any) -> int:
        raise AssertionError("the function must not be called")

    for items in (["secret"], (1, ["secret"])):
        with pytest.raises(CacheError, match=r"f: the argument 'items'.+list.+key=") as caught:
            f(1, items=items)
        assert "secret" not in str(caught.value)


def test_an_object_that_is_not_hashable_is_named(cache: TTLCache) -> None:
    class Plain:
        __hash__ = None  # type: ignore[assignment]

        @cached(cache)
        def f(self) -> int:
            return 1

    with pytest.raises(CacheError, match=r"the argument 'self'.+a Plain is not hashable"):
        Plain().f()


def test_wrong_arguments_are_the_type_error_that_they_always_are(cache: TTLCache) -> None:
    @cached(cache)
    def f(a: int) -> int:
        return a

    wrong: Any = f
    for use in (wrong, lambda: wrong(1, 2), lambda: wrong(b=1)):
        with pytest.raises(TypeError, match="argument"):
            use()


def test_what_gives_its_value_later_is_refused(cache: TTLCache) -> None:
    async def coroutine() -> None: ...

    async def agenerator() -> Any:
        yield

    def generator() -> Any:
        yield

    class Later:
        async def __call__(self) -> None: ...

    for function in (coroutine, agenerator, generator, Later()):
        with pytest.raises(TypeError, match="plain functions"):
            cached(cache)(function)


def test_what_is_wrong_is_refused_at_the_decoration(cache: TTLCache) -> None:
    with pytest.raises(ValidationError):
        cached(cache, ttl=0)
    with pytest.raises(CacheError, match="text"):
        cached(cache, tags="people")(lambda: 1)


def test_it_works_with_any_cache() -> None:
    @cached(NullCache(), tags=["a"])
    def f(a: int) -> int:
        calls.append(a)
        return a

    assert f(1) == f(1) == 1
    assert calls == [1, 1]
    f.invalidate(1)
    f.clear()


def test_it_loads_once_for_all_threads(cache: TTLCache) -> None:
    go = threading.Event()

    @cached(cache)
    def f() -> int:
        calls.append(1)
        go.wait(0.1)
        return 1

    assert [one.value() for one in at_once(32, f)] == [1] * 32
    assert calls == [1]


def test_importing_the_cache_does_nothing() -> None:
    before = dict(sys.modules)
    try:
        for name in [name for name in sys.modules if name.startswith("infrastructure.cache")]:
            del sys.modules[name]
        threads = threading.active_count()
        made: types.ModuleType = __import__("infrastructure.cache").cache
        assert made.__all__ == ["CachePolicy", "CacheStats", "NullCache", "TTLCache", "cached"]
        assert threading.active_count() == threads
    finally:
        sys.modules.update(before)
        sys.modules["infrastructure"].cache = before["infrastructure.cache"]
