"""The calls of a function, as keys: equal for equal arguments, however they are given."""

from __future__ import annotations

import inspect
import uuid
from collections.abc import Callable, Hashable, Iterable
from typing import Any

from domain.errors import CacheError
from infrastructure.cache import checks


class Calls:
    """What tells the calls of one function apart: its arguments, and their types."""

    def __init__(self, function: Callable[..., Any], advice: str) -> None:
        _refuse_what_is_not_done_when_it_returns(function)
        self.title = _title(function)
        self.distinction = _distinction(function)
        """Tells it from others that are defined in the same place, as functions in functions."""
        self._advice = advice
        self._signature = inspect.signature(function)
        self._plain = _number_of_plain(self._signature)

    def key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Hashable, ...]:
        """Of one call, its defaults included. Raises ``CacheError`` if it cannot be hashed."""
        key = tuple(map(_typed, self._values(args, kwargs)))
        if not checks.is_hashable(key):
            raise CacheError(self._unhashable(args, kwargs)) from None
        return key

    def _values(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterable[Any]:
        """The arguments in the order of the parameters, the defaults among them."""
        if not kwargs and len(args) == self._plain:
            return args
        return self._bound(args, kwargs).values()

    def _bound(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        found = dict(bound.arguments)
        for name, parameter in self._signature.parameters.items():
            if parameter.kind is parameter.VAR_KEYWORD:
                found[name] = tuple(sorted(found[name].items()))
        return found

    def _unhashable(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        for name, value in self._bound(args, kwargs).items():
            if not checks.is_hashable(value):
                return (
                    f"{self.title}: the argument {name!r} cannot be part of a key, because "
                    f"{checks.culprit(value)} is not hashable; {self._advice}"
                )
        return f"{self.title}: an argument is not hashable; {self._advice}"


def _typed(value: Any) -> Hashable:
    """Equal only to what has the same type as well: 1 is not True."""
    kind = type(value)
    if kind in (tuple, frozenset):
        return kind, kind(map(_typed, value))
    return kind, value


def _number_of_plain(signature: inspect.Signature) -> int:
    """How many arguments need not be sorted, or -1 if they always have to be."""
    kinds = [each.kind for each in signature.parameters.values()]
    named = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return len(kinds) if all(kind in named for kind in kinds) else -1


def _title(function: Callable[..., Any]) -> str:
    """Where it is defined."""
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}.{named.__qualname__}"


def _distinction(function: Callable[..., Any]) -> str:
    """What tells it from others, where several may be defined in one place."""
    is_only = "<" not in getattr(function, "__qualname__", "<")
    return "" if is_only else uuid.uuid4().hex


def _refuse_what_is_not_done_when_it_returns(function: Callable[..., Any]) -> None:
    for each in (function, getattr(function, "__call__", None)):  # noqa: B004 -- what it does
        if inspect.iscoroutinefunction(each) or inspect.isasyncgenfunction(each):
            raise TypeError("cached() is for plain functions: a coroutine gives its value later")
        if inspect.isgeneratorfunction(each):
            raise TypeError("cached() is for plain functions: let a generator return a list")
