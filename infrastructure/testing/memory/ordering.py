"""Rows in an order: text by code point, None as the greatest value."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from infrastructure.testing.memory.constraints import Row
from infrastructure.testing.memory.kinds import Kind


def in_order(kind: Kind, rows: Iterable[Row], order: Sequence[tuple[str, bool]]) -> list[Row]:
    """The rows, by these fields, each ascending or descending."""
    found = list(rows)
    for name, descending in reversed(order):
        found.sort(key=lambda row: _place(kind, row, name), reverse=descending)
    return found


def _place(kind: Kind, row: Row, name: str) -> tuple[bool, Any]:
    value = row[name]
    return value is None, None if value is None else kind.sortable(value, name)
