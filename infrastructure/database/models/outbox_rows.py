"""Messages as rows of an outbox, and back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from domain.messages import Message

AT_ONCE = datetime(1970, 1, 1, tzinfo=UTC)
"""Due in any case, in the order of their positions, whatever the clocks of machines say."""

_HELD = {
    "id": "id",
    "type": "type",
    "version": "version",
    "ordering_key": "key",
    "payload": "payload",
    "created_at": "created_at",
    "attempts": "attempts",
    "losses": "losses",
}
"""Columns, and what they are called in a message."""

NAMES = (*_HELD, "status", "due_at")
"""The columns of a new row."""


def columns_of(messages: Sequence[Message]) -> list[list[Any]]:
    """The values of new rows, by the names above."""
    held = [[getattr(message, name) for message in messages] for name in _HELD.values()]
    count = len(messages)
    return [*held, ["pending"] * count, [AT_ONCE] * count]


def message_in(row: Any) -> Message:
    """The message of a stored row."""
    return Message(**{name: getattr(row, column) for column, name in _HELD.items()})
