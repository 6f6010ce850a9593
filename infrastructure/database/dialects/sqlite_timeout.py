"""A statement timeout for SQLite, which has none of its own."""

from __future__ import annotations

import sqlite3
import time
from typing import Any

from sqlalchemy import Connection, Engine, event

_DEADLINE = "kit_deadline"
_STEPS = 10_000  # of SQLite's virtual machine, well below a millisecond


def limit(engine: Engine, seconds: float) -> None:
    """Interrupt each statement of an engine that computes for longer, fetching included.

    Waiting for a lock does not count here: that is bounded by the busy timeout. SQLite
    rolls the whole transaction back when it interrupts a write, savepoints included.
    """

    def watch(connection: sqlite3.Connection, record: Any) -> None:
        info = record.info
        connection.set_progress_handler(
            lambda: time.monotonic() > info.get(_DEADLINE, float("inf")), _STEPS
        )

    def begin(connection: Connection, *_: Any) -> None:
        connection.info[_DEADLINE] = time.monotonic() + seconds

    def end(_connection: sqlite3.Connection, record: Any, _state: Any) -> None:
        record.info.pop(_DEADLINE, None)

    event.listen(engine, "connect", watch)
    event.listen(engine, "before_cursor_execute", begin)
    event.listen(engine, "reset", end)
