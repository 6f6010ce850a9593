"""Who wants to hear of what an engine does."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.event.attr import _EmptyListener, _ListenerCollection

_STATEMENTS = (
    "before_cursor_execute",
    "after_cursor_execute",
    "before_execute",
    "after_execute",
)
_TRANSACTIONS = ("begin", "commit", "rollback")


_KIT = "infrastructure.database."


class Audience:
    """Whether more listen to an engine than the kit itself."""

    def __init__(self, engine: Engine) -> None:
        self._to_statements = listeners_of(engine.dispatch, *_STATEMENTS)
        self._to_transactions = listeners_of(engine.dispatch, *_TRANSACTIONS)
        self._statements = sum(map(_own, self._to_statements))
        self._transactions = sum(map(_own, self._to_transactions))

    def hears_statements(self, connection: Connection | None = None) -> bool:
        """Whether somebody wants to hear of each statement; those of a connection, if it is one."""
        if connection is None:
            return sum(map(len, self._to_statements)) > self._statements
        seen = connection.dispatch
        return sum(len(getattr(seen, name)) for name in _STATEMENTS) > self._statements

    def hears_transactions(self) -> bool:
        """Whether somebody wants to hear of each transaction."""
        return sum(map(len, self._to_transactions)) > self._transactions


def _own(held: Collection[Any]) -> int:
    """How many of them are the kit's: functions, methods, or objects of a class of it."""
    modules = (getattr(one, "__module__", None) or type(one).__module__ for one in held)
    return sum(module.startswith(_KIT) for module in modules)


def listeners_of(dispatch: Any, *names: str) -> list[Collection[Any]]:
    """What holds the listeners to some events, now and later: the own ones, and those to all."""
    found: list[Collection[Any]] = []
    for name in names:
        held: Any = getattr(dispatch, name)
        if isinstance(held, _EmptyListener):  # it would be replaced by the first one to come
            held = held.for_modify(dispatch)
        known = isinstance(held, _ListenerCollection)
        found += [held.parent_listeners, held.listeners] if known else [held]
    return found
