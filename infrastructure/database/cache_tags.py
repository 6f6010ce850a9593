"""The tags by which caches know what was read from the database.

A row that was read by its key has a tag of its own, and that of the rows of its table; what was
read from a table in another way has that of the table. Whoever writes a row invalidates its
tag and that of the table; whoever writes nobody knows which, all three.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

ANYTHING: Hashable = ("anything",)
"""Of what was read in a way that tells nothing of the tables."""


def row(table: str, key: tuple[Any, ...]) -> Hashable:
    """The tag of one row."""
    return "row", table, key


def rows(table: str) -> Hashable:
    """That of all rows of a table that were read by their keys."""
    return "rows", table


def whole(table: str) -> Hashable:
    """That of whatever else was read from a table."""
    return "table", table
