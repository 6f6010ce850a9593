"""A clock that a test moves."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

from infrastructure.database.clock import Clock

_START = datetime(2030, 1, 1, 12, tzinfo=UTC)
_LEAST = 1e-6


class MovableClock(Clock):
    """Stands still until it is moved. Whoever waits for it, moves it. Safe for many threads."""

    def __init__(self, start: datetime = _START) -> None:
        super().__init__()
        self._time = _aware(start)
        self._passed = 0.0
        self._lock = threading.Lock()

    @property
    def now(self) -> datetime:
        """What time it is, in UTC."""
        return self._time

    def __call__(self) -> datetime:
        return self._time

    def monotonic(self) -> float:
        return self._passed

    def sleep(self, seconds: float) -> None:
        """Move on by so much, at once; at least by a microsecond, or a wait would never end."""
        self.move(seconds=max(seconds, _LEAST))

    def move(
        self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0
    ) -> None:
        """Let so much time pass. Not backwards: ``ValueError``; see ``set()``."""
        step = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        if step < timedelta():
            raise ValueError("time does not go back; set() tells the clock another date")
        with self._lock:
            self._time += step
            self._passed += step.total_seconds()

    def set(self, date: datetime) -> None:
        """Tell another date, earlier or later; no time passes. It must be aware."""
        with self._lock:
            self._time = _aware(date)


def _aware(date: datetime) -> datetime:
    if date.tzinfo is None:
        raise ValueError("a clock needs an aware date: datetime(…, tzinfo=UTC)")
    return date.astimezone(UTC)
