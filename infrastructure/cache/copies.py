"""Values are never shared: what can change is kept apart, and everybody gets a copy."""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import functools
import ipaddress
import pickle
import re
import types
import uuid
import zoneinfo
from collections.abc import Callable
from typing import Any, NamedTuple

from domain.errors import CacheError

_IMMUTABLE = frozenset(
    {
        type(None),
        type(...),
        type(NotImplemented),
        bool,
        int,
        float,
        complex,
        str,
        bytes,
        range,
        decimal.Decimal,
        fractions.Fraction,
        dt.date,
        dt.datetime,
        dt.time,
        dt.timedelta,
        dt.timezone,
        zoneinfo.ZoneInfo,
        uuid.UUID,
        ipaddress.IPv4Address,
        ipaddress.IPv6Address,
        re.Pattern,
        types.FunctionType,
        types.BuiltinFunctionType,
    }
)
"""Exactly these types: an instance of a subclass may have attributes that change."""


class Kept(NamedTuple):
    """A value as a cache keeps it: itself, pickled, or a copy that nobody else has."""

    value: Any
    thaw: Callable[[Any], Any] | None = None

    def open(self) -> Any:
        """The value, for one reader."""
        return self.value if self.thaw is None else self.thaw(self.value)


def keep(value: Any, *, loaded: bool = False) -> tuple[Kept, Any]:
    """The value for the cache, and another one for the caller; ``CacheError`` if there is no copy.

    What is pickled is read back at once: some things can be written only. To read
    it costs about 1 µs for a small list and 50 µs for a hundred entities, a tenth of
    ``copy.deepcopy``, which is left for what cannot be pickled.
    """
    try:
        return _immutable(value) or _pickled(value) or _copied(value)
    except Exception as error:
        ran = "the loader ran, but what it gave cannot be kept: " if loaded else ""
        raise CacheError(
            f"{ran}a {type(value).__name__} cannot be copied, and a cache shares nothing that may "
            "change; cache the data that it is made of"
        ) from error


def _immutable(value: Any) -> tuple[Kept, Any] | None:
    return (Kept(value), value) if is_immutable(value) else None


def _pickled(value: Any) -> tuple[Kept, Any] | None:
    try:
        data = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
        return Kept(data, pickle.loads), pickle.loads(data)  # noqa: S301 -- our own bytes
    except Exception:  # noqa: BLE001 -- whatever its __reduce__ raises, a deep copy may do
        return None


def _copied(value: Any) -> tuple[Kept, Any]:
    mine = copy.deepcopy(value)
    return Kept(mine, copy.deepcopy), copy.deepcopy(mine)


def is_immutable(value: Any) -> bool:
    """Whether neither it nor anything in it can change."""
    kind: Any = type(value)
    if kind in _IMMUTABLE or isinstance(value, enum.Enum | type):
        return True
    if kind in (tuple, frozenset):
        return all(map(is_immutable, value))
    return _is_frozen(kind) and all(map(is_immutable, _state(value)))


@functools.lru_cache(maxsize=1024)
def _is_frozen(kind: type) -> bool:
    """Whether it is a frozen dataclass all through, and remembers nothing besides its fields."""
    bases = kind.__mro__[:-1]
    return all(map(_is_frozen_by_itself, bases))


def _is_frozen_by_itself(kind: type) -> bool:
    params = vars(kind).get("__dataclass_params__")
    remembers = any(isinstance(each, functools.cached_property) for each in vars(kind).values())
    return params is not None and params.frozen and not remembers


def _state(value: Any) -> list[Any]:
    named = [getattr(value, field.name) for field in dataclasses.fields(value)]
    return [*named, *getattr(value, "__dict__", {}).values()]
