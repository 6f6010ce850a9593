"""Messages as rows of an outbox, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from domain.messages import Message

_FIELDS = ("id", "type", "version", "key", "payload", "created_at", "attempts", "losses")

HELD = ("id", "type", "version", "ordering_key", "payload", "created_at", "attempts", "losses")
"""The columns of a message, in the order of its fields."""

NAMES = (*HELD, "status")
"""The columns of a new row."""


def columns_of(messages: Sequence[Message]) -> list[list[Any]]:
    """The values of new rows, by the names above."""
    held = [[getattr(message, name) for message in messages] for name in _FIELDS]
    count = len(messages)
    return [*held, ["pending"] * count]


def message_of(row: Sequence[Any]) -> Message:
    """The message of a stored row that begins with these columns."""
    return Message(**dict(zip(_FIELDS, row, strict=False)))
