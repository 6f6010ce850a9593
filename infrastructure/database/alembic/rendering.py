"""How a revision writes column types: in SQLAlchemy's words, for every database at once."""

from __future__ import annotations

from typing import Any, Literal

from sqlmodel.sql.sqltypes import AutoString, UTCDateTime

from infrastructure.database.models.types import EnumName, ExactDecimal, Json, Text


def render_item(kind: str, item: Any, autogenerate: Any) -> str | Literal[False]:
    """The source of a column type that SQLAlchemy does not know, or False for the others."""
    if kind != "type":
        return False
    match item:
        case Text() | EnumName():
            return _text(item.length)
        case ExactDecimal():
            exact = 'sa.String(collation="DECIMAL")'
            numeric = f"sa.Numeric(precision={item.precision}, scale={item.scale})"
            return f'{numeric}.with_variant({exact}, "sqlite")'
        case Json():
            autogenerate.imports.add("from sqlalchemy.dialects import postgresql")
            return 'sa.JSON().with_variant(postgresql.JSONB(), "postgresql")'
        case UTCDateTime():
            return "sa.DateTime(timezone=True)"
        case AutoString():
            return f"sa.String({_length(getattr(item.impl, 'length', None))})"
        case _:
            return False


def _text(length: int | None) -> str:
    by_code_point = ", ".join(filter(None, [_length(length), 'collation="C"']))
    return f'sa.String({_length(length)}).with_variant(sa.String({by_code_point}), "postgresql")'


def _length(length: int | None) -> str:
    return "" if length is None else f"length={length}"
