"""One cursor for each connection: to make one takes the driver longer than to read a row."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from sqlalchemy import Engine, event

_CURSOR = "kit_cursor"
_MANY = 100  # rows that it would keep in memory until it is used again


def cursor_of(driver: Any, info: MutableMapping[Any, Any]) -> Any:
    """That of a connection; ``info`` is of the pool's record."""
    known = info.get(_CURSOR)
    if known is None or known.closed:
        known = info[_CURSOR] = driver.cursor()
    return known


def keep_small(engine: Engine) -> None:
    """Let connections that go back to their pool keep no large result."""
    event.listen(engine, "checkin", _let_go)


def _let_go(_connection: Any, record: Any) -> None:
    known = record.info.get(_CURSOR)
    if known is not None and known.rowcount > _MANY:
        del record.info[_CURSOR]
