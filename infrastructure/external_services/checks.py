"""What is refused before anything is sent."""

from __future__ import annotations

import math
from typing import Any

from domain.errors import ValidationError


def seconds(entity: str, name: str, value: Any) -> None:
    """A finite time above zero."""
    if not _is_number(value) or not 0 < value < math.inf:
        raise ValidationError(entity, {name: "must be a number of seconds above zero"})


def count(entity: str, name: str, value: Any, *, least: int = 1) -> None:
    """A whole number, from ``least``."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValidationError(entity, {name: f"must be a whole number from {least}"})


def is_text(value: Any) -> bool:
    """Whether it is, whatever its annotation says."""
    return isinstance(value, str)


def is_filled(value: Any) -> bool:
    """Whether it is text, and not blank."""
    return isinstance(value, str) and bool(value.strip())


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
