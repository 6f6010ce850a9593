"""A forked child leaves its parent's connections alone, and its parent's units."""

from __future__ import annotations

import os
import weakref
from functools import cache
from typing import Any, Protocol

from sqlalchemy import Engine, event


class Forked(Protocol):
    """Something that has to be told that this is another process now."""

    def after_fork(self) -> None:
        """Called in the child, before anything else runs there."""
        ...


process = os.getpid()
"""Which process this is: cheaper to look at than to ask for."""

_living: weakref.WeakSet[Forked] = weakref.WeakSet()


def tell(database: Forked) -> None:
    """Call its ``after_fork`` in each child of this process, as long as it lives."""
    _watch()
    _living.add(database)


@cache
def _watch() -> None:
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_tell_all)


def _tell_all() -> None:
    global process  # noqa: PLW0603 -- there is one of it, as of the process
    process = os.getpid()
    for database in list(_living):
        database.after_fork()


class Connections:
    """All connections of some engines, those in use included."""

    def __init__(self) -> None:
        self._records: weakref.WeakSet[Any] = weakref.WeakSet()

    def watch(self, engine: Engine) -> None:
        """Remember whatever this engine connects from now on."""
        records = self._records
        event.listen(engine, "connect", lambda _, record: records.add(record))

    def taken(self) -> list[Any]:
        """In a child: the pool's records of them, which the pool does not reset any more."""
        records = list(self._records)
        self._records.clear()
        for record in records:
            record.fairy_ref = None
        return records
