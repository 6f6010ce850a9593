"""Results in the server's own format, which is read faster, where the values are the same."""

from __future__ import annotations

from typing import Any

_ALIKE = {
    16: "bool",
    20: "int8",
    21: "int2",
    23: "int4",
    25: "text",
    701: "float8",  # not float4, which is written down in fewer digits than it has
    1042: "bpchar",
    1043: "varchar",
    1082: "date",
    1184: "timestamptz",
    1700: "numeric",
    2950: "uuid",
}
"""Types by their numbers, which are those of every server."""


def fetch_binary(cursor: Any) -> None:
    """Fetch the rows of an open cursor like this, if all columns allow it."""
    if all(column.type_code in _ALIKE for column in cursor.description or ()):
        cursor.format = 1
