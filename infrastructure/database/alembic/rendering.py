"""How a revision is written: in SQLAlchemy's words, and for every database at once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal

from alembic.operations.ops import CreateIndexOp, DropIndexOp, ModifyTableOps
from alembic.util.sqla_compat import is_expression_index
from sqlalchemy import make_url
from sqlalchemy.types import TypeDecorator, TypeEngine
from sqlmodel.sql.sqltypes import AutoString, UTCDateTime

from infrastructure.database.models.types import EnumName, ExactDecimal, Json, RowNumber, Text

_URLS = ("sqlite://", "postgresql+psycopg://")


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
        case RowNumber():
            return 'sa.BigInteger().with_variant(sa.Integer(), "sqlite")'
        case UTCDateTime():
            return "sa.DateTime(timezone=True)"
        case AutoString():
            return f"sa.String({_length(getattr(item.impl, 'length', None))})"
        case TypeDecorator() if not type(item).__module__.startswith("sqlalchemy."):
            return _undecorated(item, autogenerate)
        case _:
            return False


def separate_expression_indexes(_context: Any, _revision: Any, directives: list[Any]) -> None:
    """Make and drop them outside of batches, which on SQLite do not know expressions."""
    for script in directives:
        for operations in (script.upgrade_ops, script.downgrade_ops):
            operations.ops = [part for item in operations.ops for part in _separated(item)]


def _separated(item: Any) -> Iterator[Any]:
    if not isinstance(item, ModifyTableOps):
        yield item
        return
    apart = [part for part in item.ops if _on_an_expression(part)]
    item.ops = [part for part in item.ops if part not in apart]
    yield from (part for part in apart if isinstance(part, DropIndexOp))
    if item.ops:
        yield item
    yield from (part for part in apart if isinstance(part, CreateIndexOp))


def _on_an_expression(item: Any) -> bool:
    return isinstance(item, CreateIndexOp | DropIndexOp) and is_expression_index(item.to_index())


def _undecorated(item: TypeDecorator[Any], autogenerate: Any) -> str:
    """What an application's own type is in each database, so that no revision imports it."""
    base = _in_words(item.impl_instance, autogenerate)
    variants = {
        dialect.name: _in_words(item.load_dialect_impl(dialect), autogenerate)
        for dialect in (make_url(url).get_dialect()() for url in _URLS)
    }
    return base + "".join(
        f'.with_variant({words}, "{name}")' for name, words in variants.items() if words != base
    )


def _in_words(type_: TypeEngine[Any], autogenerate: Any) -> str:
    rendered = render_item("type", type_, autogenerate)
    if rendered is not False:
        return rendered
    own = re.match(r"sqlalchemy\.dialects\.(\w+)", type(type_).__module__)
    if own is None:
        return f"sa.{type_!r}"
    autogenerate.imports.add(f"from sqlalchemy.dialects import {own[1]}")
    return f"{own[1]}.{type_!r}"


def _text(length: int | None) -> str:
    by_code_point = ", ".join(filter(None, [_length(length), 'collation="C"']))
    return f'sa.String({_length(length)}).with_variant(sa.String({by_code_point}), "postgresql")'


def _length(length: int | None) -> str:
    return "" if length is None else f"length={length}"
