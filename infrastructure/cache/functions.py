"""Functions that remember what they gave."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Hashable, Iterable
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, overload

from domain.ports import Cache
from infrastructure.cache import checks
from infrastructure.cache.calls import Calls

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")

Tags = Iterable[Hashable] | Callable[..., Iterable[Hashable]]


def cached(
    cache: Cache,
    *,
    ttl: float | None = None,
    tags: Tags = (),
    key: Callable[..., Hashable] | None = None,
) -> Callable[[Callable[P, R]], CachedFunction[P, R]]:
    """Decorate a function so that equal arguments of the same types ask it only once.

        @cached(prices, ttl=60, tags=lambda sku: [("product", sku)])
        def price_of(sku: str) -> Decimal: ...

        price_of.invalidate("A-1")

    Of a method, the object is an argument like the others; it stays in memory as
    long as the value. ``key`` and ``tags`` take the arguments of the function; the
    key need not be different from those of other functions. Functions inside of
    functions share nothing, not even with themselves when they are made again.
    """
    if ttl is not None:
        checks.seconds("cached", "ttl", ttl)
    return lambda function: CachedFunction(_Plan(function, cache, ttl, tags, key))


class CachedFunction(Generic[P, R]):
    """A function, and how to make it forget."""

    def __init__(self, plan: _Plan) -> None:
        functools.update_wrapper(self, plan.function)
        self._plan = plan
        self._first: tuple[Any, ...] = ()

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        result: R = self._plan.call(self._first + args, kwargs)
        return result

    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Forget what it gave for these arguments."""
        self._plan.cache.discard(self._plan.key(self._first + args, kwargs))

    def clear(self) -> None:
        """Forget all that it gave, for every object if it is a method."""
        self._plan.cache.invalidate([self._plan.name])

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> CachedFunction[P, R]: ...

    @overload
    def __get__(
        self: CachedFunction[Concatenate[Any, Q], R], instance: object, owner: type | None = None
    ) -> CachedFunction[Q, R]: ...

    def __get__(self, instance: object, owner: type | None = None) -> CachedFunction[..., R]:
        """As of a function: a method of the object."""
        if instance is None:
            return self
        bound: CachedFunction[..., R] = object.__new__(CachedFunction)
        bound.__dict__.update(self.__dict__)
        bound.__dict__["__wrapped__"] = types.MethodType(self._plan.function, instance)
        bound._first = (instance,)
        return bound

    def __repr__(self) -> str:
        return f"<cached {self._plan.calls.title}>"


class _Plan:
    """What is called, and under which key it is kept."""

    def __init__(
        self,
        function: Callable[..., Any],
        cache: Cache,
        ttl: float | None,
        tags: Tags,
        key: Callable[..., Hashable] | None,
    ) -> None:
        self.calls = Calls(function, "give cached() a key= function")
        self.function = function
        self.cache = cache
        self.name = ("infrastructure.cache.cached", self.calls.title, self.calls.distinction)
        self._ttl = ttl
        self._tags = tags if callable(tags) else checks.distinct(tags)
        self._own_key = key

    def call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return self.cache.get_or_load(
            self.key(args, kwargs),
            lambda: self.function(*args, **kwargs),
            ttl=self._ttl,
            tags=self._tags_of(args, kwargs),
        )

    def key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Hashable:
        if self._own_key is None:
            return (self.name, *self.calls.key(args, kwargs))
        key: Hashable = (self.name, self._own_key(*args, **kwargs))
        checks.require_hashable(key)
        return key

    def _tags_of(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Hashable, ...]:
        tags = self._tags
        own = checks.distinct(tags(*args, **kwargs)) if callable(tags) else tags
        return (*own, self.name)
