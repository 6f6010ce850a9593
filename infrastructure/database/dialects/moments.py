"""Moments in UTC as text, many at once: most of them are of few days."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, TypeGuard

from infrastructure.database.dialects.base import all_are

_ZONE = attrgetter("tzinfo")
_MINUTES = [f"{hour:02}:{minute:02}:" for hour in range(24) for minute in range(60)]
_SECONDS = [f"{second:02}." for second in range(60)]


def are_in_utc(values: Sequence[Any]) -> TypeGuard[Sequence[datetime]]:
    """Whether these are moments that need no conversion."""
    return all_are(datetime, values) and list(map(_ZONE, values)).count(UTC) == len(values)


def reader_in_utc(usual: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Takes moments that need no conversion as they are, and all others as is usual."""

    def read(value: Any) -> Any:
        return value if value is None or value.tzinfo is UTC else usual(value)

    return read


def as_text(moments: Sequence[datetime]) -> list[str]:
    """``2026-01-31 23:59:59.000000``."""
    days: dict[int, str] = {}
    texts = []
    for moment in moments:
        number = moment.toordinal()
        if number not in days:
            days[number] = moment.date().isoformat() + " "
        minute = _MINUTES[moment.hour * 60 + moment.minute]
        texts.append(f"{days[number]}{minute}{_SECONDS[moment.second]}{moment.microsecond:06}")
    return texts
