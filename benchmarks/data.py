"""What is stored, and what is written: the same values for every contender."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

READ = 10_000
"""Rows of the table ``items``, before and after each call."""

BIG = 1_000_000
"""Rows of the table ``big_items``, which is only read."""

UNITS = 10
"""Units of work in one call, where one alone is too short to be timed."""

IDS = range(1, READ, READ // 100)
"""Keys that are read one by one."""

LOOKUPS = 1000
"""Times that a loaded entity is asked for."""

SIZE = 50
"""Rows of a page."""

PAGE = 100
WINDOW = 1000
"""The number of the page, and of the window."""

MANY = 100_000
COUNTS = (UNITS, 1000, MANY)
"""How many rows are created at once."""

DOOMED = range(READ + 1, 2 * READ + 1)
"""Keys of rows that are there only to be deleted."""

FIELDS: tuple[str, ...] = ("name", "email", "age", "score", "created_at")

Values = tuple[str, str, int, float, datetime]
Row = tuple[int, str, str, int, float, datetime]
Change = tuple[int, int, float]

_START = datetime(2026, 1, 1, microsecond=123456, tzinfo=UTC)


def values(number: int) -> Values:
    """The fields of one row without its key."""
    return (
        f"Person {number}",
        f"person{number}@example.com",
        number % 90,
        number / 8,
        _START + timedelta(seconds=number),
    )


def row(id: int) -> Row:
    """What is stored under this key."""
    return (id, *values(id))


@functools.cache
def rows(first: int, last: int) -> Sequence[Row]:
    """What is stored under these keys."""
    return [row(id) for id in range(first, last + 1)]


@functools.cache
def new(count: int) -> Sequence[Values]:
    """Rows that are not there yet."""
    return [values(number) for number in range(READ + 1, READ + count + 1)]


@functools.cache
def changes() -> Sequence[Change]:
    """Key, age and score: each row gets other ones."""
    return [(id, id % 90 + 1, id / 8 + 0.5) for id in range(1, READ + 1)]


@functools.cache
def upserts() -> Sequence[Values]:
    """As many rows as there are: half of them are there, all of them are named anew."""
    numbers = range(READ // 2 + 1, READ + READ // 2 + 1)
    return [(f"Changed {number}", *values(number)[1:]) for number in numbers]


def stripe(thread: int, number: int) -> int:
    """The key of the row that a thread changes: no two threads have one in common."""
    return 1 + (thread + 8 * number) % READ


def from_thread(thread: int, number: int) -> Values:
    """The row that a thread adds."""
    return values(READ + 1 + thread * BIG + number)


def prepare() -> None:
    """Make all rows, so that nobody is measured who does."""
    for count in COUNTS:
        new(count)
    changes()
    upserts()
