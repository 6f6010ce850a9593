"""The one clock of a database: timestamps and the waiting between attempts go by it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime


def _now() -> datetime:
    return datetime.now(UTC)


class Clock:
    """The clock of the system. A subclass may tell another time; ``now`` another date only."""

    def __init__(self, now: Callable[[], datetime] = _now) -> None:
        self._now = now

    def __call__(self) -> datetime:
        """What time it is: aware, in UTC."""
        return self._now()

    def monotonic(self) -> float:
        """Seconds since some moment; never set back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


class Clocked:
    """Something that has a clock."""

    def __init__(self, clock: Callable[[], datetime] | None = None) -> None:
        self._clock = _as_clock(clock or Clock())

    @property
    def clock(self) -> Clock:
        """Where timestamps come from, and what the waiting between attempts goes by.

        May be set: to a ``Clock``, or to a function for the timestamps, aware and in UTC.
        """
        return self._clock

    @clock.setter
    def clock(self, clock: Callable[[], datetime]) -> None:
        self._clock = _as_clock(clock)


def _as_clock(clock: Callable[[], datetime]) -> Clock:
    return clock if isinstance(clock, Clock) else Clock(clock)
