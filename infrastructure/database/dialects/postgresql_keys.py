"""Keys from the sequence of a column, many at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, Connection

_SEQUENCE = """
SELECT pg_get_serial_sequence(%(table)s, %(column)s), attidentity
FROM pg_attribute WHERE attrelid = CAST(%(table)s AS regclass) AND attname = %(column)s
"""

_KEYS = """
SELECT string_agg(CAST(nextval(CAST(%(name)s AS regclass)) AS text), ',')
FROM generate_series(1, %(count)s)
"""
# In one value: a row for each costs more than the keys.


def take(connection: Connection, column: Column[Any], count: int) -> Sequence[int] | None:
    """Keys of the column's own sequence; None if it has none, or keeps others out of it."""
    name = _sequence(connection, column)
    if name is None:
        return None
    found = connection.exec_driver_sql(_KEYS, {"name": name, "count": count})
    return list(map(int, found.scalar_one().split(",")))


def _sequence(connection: Connection, column: Column[Any]) -> str | None:
    """Asked once for each connection: a table may be made anew by a migration."""
    known: dict[str, str | None] = connection.info.setdefault("kit_sequences", {})
    table = connection.dialect.identifier_preparer.format_table(column.table)
    if table not in known:
        asked = {"table": table, "column": column.name}
        found = connection.exec_driver_sql(_SEQUENCE, asked).one_or_none()
        known[table] = None if found is None or found[1] == "a" else found[0]
    return known[table]
