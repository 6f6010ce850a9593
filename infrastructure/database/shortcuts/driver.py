"""Statements that the driver gets without SQLAlchemy, and their errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn, cast

from sqlalchemy import Connection, CursorResult, Engine


def is_logged(engine: Engine) -> bool:
    """Whether statements go to a log."""
    return bool(engine._should_log_info())


def raw_rows(found: CursorResult[Any], size: int | None = None) -> Sequence[Sequence[Any]]:
    """All rows, or the next ones, as the driver has them: their values are not converted."""
    strategy: Any = found.cursor_strategy
    if size is None:
        return cast("Sequence[Sequence[Any]]", strategy.fetchall(found, found.cursor))
    return cast("Sequence[Sequence[Any]]", strategy.fetchmany(found, found.cursor, size))


def description_of(found: CursorResult[Any]) -> Any:
    """What the driver says of the columns; None when all rows were read."""
    cursor: Any = found.cursor
    return None if cursor is None else cursor.description


def raise_unconnected(engine: Engine, error: Exception) -> NoReturn:
    """What SQLAlchemy does where there is no connection, its listeners included."""
    Connection._handle_dbapi_exception_noconnection(error, engine.dialect, engine)


def raise_as_usual(
    connection: Connection, error: Exception, sql: str | None, values: Any
) -> NoReturn:
    """What SQLAlchemy does with an error of the driver, its listeners included."""
    connection._handle_dbapi_exception(error, sql, values, None, None)
