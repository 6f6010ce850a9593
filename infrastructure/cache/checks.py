"""What is refused before anything is looked up or loaded."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Hashable, Iterable
from typing import Any

from domain.errors import CacheError, ValidationError

_LONGEST = 80


def seconds(entity: str, name: str, value: Any) -> float:
    """A time above zero; infinity is for ever."""
    if not _is_number(value) or not value > 0:
        raise ValidationError(entity, {name: "must be a number of seconds above zero"})
    return float(value)


def fraction(entity: str, name: str, value: Any) -> float:
    """A number from 0 to 1."""
    if not _is_number(value) or not 0 <= value <= 1:
        raise ValidationError(entity, {name: "must be a number from 0 to 1"})
    return float(value)


def count(entity: str, name: str, value: Any) -> int:
    """A whole number from 1."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValidationError(entity, {name: "must be a whole number from 1"})
    return value


def _is_number(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and not math.isnan(value)


def require_hashable(key: Any) -> None:
    """Refuse a key that cannot be looked up."""
    if not is_hashable(key):
        raise CacheError(_unhashable("a cache key", key)) from None


def distinct(tags: Iterable[Hashable]) -> tuple[Hashable, ...]:
    """The tags, each once."""
    if isinstance(tags, str | bytes):
        raise CacheError("tags are a collection of tags, and this is one text: write [tag]")
    found = tuple(tags)
    for tag in found:
        if not is_hashable(tag):
            raise CacheError(_unhashable("a tag", tag)) from None
    return tuple(dict.fromkeys(found))


def is_hashable(value: Any) -> bool:
    """Whether it really is: a tuple may hold a list."""
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _unhashable(what: str, value: Any) -> str:
    return (
        f"{what} must be hashable, and {culprit(value)} is not; "
        "use a tuple, a frozenset or an id in its place"
    )


def culprit(value: Any) -> str:
    """What makes it unhashable, by its type: values are not for error messages."""
    if type(value) is tuple:
        for part in value:
            if not is_hashable(part):
                return f"{culprit(part)} in a tuple"
    return f"a {type(value).__name__}"


def short(key: Hashable) -> str:
    """How an error calls a key."""
    text = reprlib.repr(key)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
