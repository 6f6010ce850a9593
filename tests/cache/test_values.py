"""Nothing that may change is shared, and what cannot change costs nothing."""

from __future__ import annotations

import datetime as dt
import enum
import functools
import threading
import uuid
from collections import namedtuple
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from domain import Person
from domain.errors import CacheError
from infrastructure.cache import TTLCache


class Colour(enum.Enum):
    RED = 1


@dataclass(frozen=True)
class Money:
    amount: Decimal
    currency: str = "EUR"


@dataclass(frozen=True)
class Basket:
    items: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Remembers:
    number: int

    @functools.cached_property
    def parts(self) -> list[int]:
        return [self.number]


class Loose(Money):
    """Not frozen itself: it takes attributes."""


class Text(str):  # noqa: SLOT000 -- it may have attributes
    pass


Point = namedtuple("Point", ["x", "y"])  # noqa: PYI024 -- whatever users have


IMMUTABLE = [
    None, True, 1, 10**30, 1.5, 1j, "text", b"bytes", (), (1, ("a", None)), frozenset({1, (2,)}),
    Decimal("1.10"), dt.date(2030, 1, 1), dt.datetime(2030, 1, 1, tzinfo=dt.UTC), dt.time(1),
    dt.timedelta(1), uuid.UUID(int=1), Colour.RED, Colour, len, keyword := lambda: 1,
    Money(Decimal(1)), range(3), ...,
]  # fmt: skip


@pytest.mark.parametrize("value", IMMUTABLE, ids=lambda value: type(value).__name__)
def test_what_cannot_change_is_kept_as_it_is(cache: TTLCache, value: Any) -> None:
    cache["key"] = value
    assert cache["key"] is value
    assert cache.get_or_load("loaded", lambda: value) is value


MUTABLE = [
    [1], {"a": [1]}, {1}, bytearray(b"x"), ([],), Basket([1]), Remembers(1), Loose(Decimal(1)),
    Text("x"), Point(1, [2]), Person(name="Ada", email="ada@example.com", id=1),
]  # fmt: skip


@pytest.mark.parametrize("value", MUTABLE, ids=lambda value: type(value).__name__)
def test_of_what_may_change_each_reader_has_a_copy(cache: TTLCache, value: Any) -> None:
    cache["key"] = value
    cache.get_or_load("loaded", lambda: value)
    walks = [*cache.values(), *(each for _, each in cache.items())]
    found = [cache["key"], cache.get("key"), cache.get_or_load("key", list), *walks]
    found += [cache.get_or_load("loaded", list), cache.setdefault("key", 1), cache.pop("key")]
    assert len({id(each) for each in [value, *found]}) == len(found) + 1
    assert all(each == value and type(each) is type(value) for each in found)


def test_no_change_reaches_the_cache_from_anywhere(cache: TTLCache) -> None:
    given = {"numbers": [1]}
    cache["key"] = given
    given["numbers"].append(2)
    cache["key"]["numbers"].append(3)
    cache.setdefault("key", {})["numbers"].append(4)
    next(iter(cache.values()))["numbers"].append(5)
    assert cache["key"] == {"numbers": [1]}
    default = cache.setdefault("new", [1])
    default.append(2)
    assert cache["new"] == [1]


def test_what_cannot_be_pickled_is_copied(cache: TTLCache) -> None:
    class Local:
        def __init__(self) -> None:
            self.parts = [1]

    cache["key"] = Local()
    cache["key"].parts.append(2)
    assert cache["key"].parts == [1]


def test_what_can_be_pickled_but_not_read_back_is_copied_or_refused(cache: TTLCache) -> None:
    class Wrong(Exception):
        def __init__(self, one: int, two: int) -> None:
            super().__init__(f"{one} {two}")

    with pytest.raises(CacheError, match="Wrong"):
        cache["key"] = Wrong(1, 2)
    assert "key" not in cache


@pytest.mark.parametrize(
    "value", [threading.Lock(), (number for number in range(3)), [threading.Lock()]]
)
def test_what_cannot_be_copied_is_refused_before_anything_is_stored(
    cache: TTLCache, value: Any
) -> None:
    cache["key"] = "before"
    since = cache.sequence()
    for store in (
        lambda: cache.__setitem__("key", value),
        lambda: cache.store("key", value, since=since),
        lambda: cache.setdefault("other", value),
    ):
        with pytest.raises(CacheError, match=f"{type(value).__name__} cannot be copied"):
            store()
    assert cache == {"key": "before"}
    assert cache.sequence() == since


def test_a_value_that_uses_the_cache_when_it_goes_does_no_harm(cache: TTLCache) -> None:
    class Last:
        def __del__(self) -> None:
            cache.discard("other")

    for _ in range(5):
        cache["key"] = Last()
    cache.clear()
    assert len(cache) == 0
