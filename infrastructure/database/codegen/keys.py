"""By what the rows of a table without a primary key are told apart."""

from __future__ import annotations

from sqlalchemy import Column, Table

from infrastructure.database.models.rules import unique_parts

_NOT_HASHABLE = {"ARRAY", "HSTORE", "JSON", "JSONB"}


def mapper_key(table: Table) -> tuple[list[str], str]:
    """The columns, and why these."""
    kind = "view" if table.info.get("is_view") else "table"
    for part in unique_parts(table)[1:]:
        columns = list(part.columns)
        if columns and not any(column.nullable for column in columns):
            return [column.name for column in columns], (
                f"The {kind} has no primary key; this is unique, and never NULL."
            )
    usable = [column.name for column in table.columns if _is_hashable(column)]
    columns = usable or [column.name for column in table.columns]
    return columns, f"The {kind} has no primary key: its rows are told apart by all columns."


def _is_hashable(column: Column[object]) -> bool:
    return type(column.type).__name__ not in _NOT_HASHABLE
