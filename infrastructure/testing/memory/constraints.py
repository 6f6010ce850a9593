"""What must hold between rows: unique keys, and references to other rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Table
from sqlalchemy import inspect as mapping_of
from sqlmodel import SQLModel

from infrastructure.database.models.rules import unique_parts

Row = Mapping[str, Any]
"""The values of one stored entity by field. Never changed, only replaced."""

Token = Any
"""What stands for the rows of one kind: a table, or a domain class that has none."""


@dataclass(frozen=True)
class Unique:
    """Fields whose values no two rows share. None is unlike any other None."""

    fields: tuple[str, ...]
    name: str | None = None

    def of(self, row: Row) -> tuple[Any, ...] | None:
        """What a row has in it; None if it collides with nothing."""
        return values_in(row, self.fields)


@dataclass(frozen=True)
class Reference:
    """Fields that name a row of another kind, or of the same one."""

    fields: tuple[str, ...]
    target: Token
    target_fields: tuple[str, ...]
    name: str | None = None
    on_delete: str = "NO ACTION"

    def of(self, row: Row) -> tuple[Any, ...] | None:
        """What a row refers to; None if to nothing."""
        return values_in(row, self.fields)


def values_in(row: Row, fields: tuple[str, ...]) -> tuple[Any, ...] | None:
    """The values of these fields, or None if one of them is missing."""
    values = tuple(row[field] for field in fields)
    return None if None in values else values


def unique_keys_of(model: Any) -> tuple[Unique, ...]:
    """The unique keys of a table, its key first."""
    parts = unique_parts(model.__table__)
    return tuple(Unique(_fields(model, part.columns), _name(part)) for part in parts)


def references_of(model: Any) -> tuple[Reference, ...]:
    """The foreign keys of a table."""
    table: Table = model.__table__
    return tuple(
        Reference(
            _fields(model, [element.parent for element in part.elements]),
            part.referred_table,
            tuple(_field_of(part.referred_table, element.column) for element in part.elements),
            _name(part),
            (part.ondelete or "NO ACTION").upper(),
        )
        for part in sorted(table.foreign_key_constraints, key=lambda part: str(part.name))
    )


def _name(part: Any) -> str | None:
    return None if part.name is None else str(part.name)


def _fields(model: Any, columns: Any) -> tuple[str, ...]:
    mapper = mapping_of(model)
    return tuple(str(mapper.get_property_by_column(column).key) for column in columns)


def _field_of(table: Table, column: Column[Any]) -> str:
    """What the model of another table calls a column; its own name if there is no model."""
    for model in _models_of(table):
        return _fields(model, [column])[0]
    return str(column.key)


def _models_of(table: Table) -> Iterator[Any]:
    pending: list[Any] = [SQLModel]
    while pending:
        for model in pending.pop().__subclasses__():
            pending.append(model)
            if model.__dict__.get("__table__") is table:
                yield model
