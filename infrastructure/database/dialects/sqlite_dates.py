"""Dates and times of SQLite. It keeps them as text, which may be anything: no error tells it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import TIMESTAMP, Date, DateTime, Time
from sqlalchemy.dialects.sqlite import DATE, DATETIME, TIME
from sqlalchemy.types import TypeEngine


def _reader(convert: Any, kind: str) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        try:
            return convert(value)
        except (TypeError, ValueError):
            raise ValueError(f"what is stored is no {kind}") from None

    return read


class _Date(DATE):
    def result_processor(self, dialect: Any, coltype: object) -> Any:
        return _reader(super().result_processor(dialect, coltype), "date")


class _DateTime(DATETIME):
    def result_processor(self, dialect: Any, coltype: object) -> Any:
        return _reader(super().result_processor(dialect, coltype), "date and time")


class _Time(TIME):
    def result_processor(self, dialect: Any, coltype: object) -> Any:
        convert = super().result_processor(dialect, coltype)  # type: ignore[no-untyped-call]
        return _reader(convert, "time of day")


def reader_in_utc(usual: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Reads moments as they are usually stored at once, and all others as is usual."""
    parse = datetime.fromisoformat

    def read(value: Any) -> Any:
        try:
            return parse(value + "+00:00")
        except (TypeError, ValueError):
            return usual(value)

    return read


TYPES: dict[type[TypeEngine[Any]], type[TypeEngine[Any]]] = {
    Date: _Date,
    DateTime: _DateTime,
    Time: _Time,
    TIMESTAMP: _DateTime,
}
"""What stands for SQLAlchemy's types."""
