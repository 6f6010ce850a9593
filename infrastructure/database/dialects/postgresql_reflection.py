"""What SQLAlchemy does not tell of the tables in a PostgreSQL database."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import (
    ARRAY,
    Connection,
    Index,
    MetaData,
    UnaryExpression,
    text,
)
from sqlalchemy.sql import operators

_SERIALS = """
SELECT s.oid::regclass::text, a.attname
FROM pg_class s
JOIN pg_depend d ON d.objid = s.oid AND d.classid = 'pg_class'::regclass
    AND d.refclassid = 'pg_class'::regclass
JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
WHERE s.relkind = 'S'
"""
_OTHER_VIEWS = """
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('m', 'f') AND n.nspname = coalesce(:schema, current_schema())
ORDER BY c.relname
"""
_OF_EXTENSIONS = """
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
WHERE n.nspname = coalesce(:schema, current_schema())
"""
_PARTITIONED = """
SELECT n.nspname, c.relname, pg_get_partkeydef(c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'p'
"""
_PARTITIONS = """
SELECT n.nspname, c.relname, p.relname
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_inherits i ON i.inhrelid = c.oid JOIN pg_class p ON p.oid = i.inhparent
WHERE c.relispartition AND c.relkind IN ('r', 'p')
"""
_TYPES = """
SELECT n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attndims
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
"""
_SORTED_EXPRESSIONS = """
SELECT n.nspname, t.relname, c.relname, x.indkey::smallint[], x.indoption::smallint[]
FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid
JOIN pg_namespace n ON n.oid = t.relnamespace
WHERE 0 = ANY (x.indkey) AND x.indoption::text ~ '[1-3]'
"""
_DEFERRABLE_UNIQUE = """
SELECT n.nspname, c.relname, o.conname, o.condeferrable, o.condeferred
FROM pg_constraint o JOIN pg_class c ON c.oid = o.conrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE o.contype IN ('u', 'p') AND o.condeferrable
"""
_NEXT = re.compile(r"nextval\('(.+)'::regclass\)")


@contextmanager
def understood(_connection: Connection) -> Iterator[None]:
    """A block in which the database is read, without warnings about what ``complete`` adds."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Did not recognize type")
        warnings.filterwarnings("ignore", "Skipped unsupported reflection of expression-based")
        yield


def hidden(connection: Connection, schema: str | None) -> set[str]:
    """Tables that belong to an extension."""
    return set(connection.execute(text(_OF_EXTENSIONS), {"schema": schema}).scalars())


def other_views(connection: Connection, schema: str | None) -> list[str]:
    """What can be read like a view besides: materialized ones, and tables of other servers."""
    return list(connection.execute(text(_OTHER_VIEWS), {"schema": schema}).scalars())


def default_schema(connection: Connection) -> str | None:
    """The schema that need not be named."""
    name: str | None = connection.dialect.default_schema_name
    return name


def system_schema(name: str) -> bool:
    """Whether a schema belongs to the database itself."""
    return name.startswith("pg_") or name == "information_schema"


def column_reflected(connection: Connection) -> Callable[..., None]:
    """Takes the default of each serial column away, as Alembic does, and notes it."""
    # The number of the one table may be that of another: a column of this name has to own it.
    serials = {tuple(row) for row in connection.execute(text(_SERIALS))}

    def reflected(_inspector: Any, _table: Any, column: Any) -> None:
        made = _NEXT.match(column.get("default") or "")
        owned = made and (made[1].replace("''", "'"), column["name"]) in serials
        if owned and column["type"].__class__.__name__ in ("INTEGER", "BIGINT"):
            del column["default"]
            column["info"] = {"serial": True}
        elif made:
            column["default"] = column["default"].replace("::regclass", "")

    return reflected


def complete(connection: Connection, metadata: MetaData) -> None:
    """Add to the tables what they have besides."""
    usual = connection.dialect.default_schema_name
    tables = {(table.schema or usual, table.name): table for table in metadata.tables.values()}
    for schema, name, key in connection.execute(text(_PARTITIONED)):
        if (schema, name) in tables:
            tables[schema, name].dialect_kwargs["postgresql_partition_by"] = key
    for schema, name, whole in connection.execute(text(_PARTITIONS)):
        if (schema, name) in tables:
            tables[schema, name].info["partition_of"] = whole
            tables[schema, name].dialect_kwargs.pop("postgresql_inherits", None)
    for schema, name, column, declared, dimensions in connection.execute(text(_TYPES)):
        table = tables.get((schema, name))
        if table is not None and column in table.c:
            table.c[column].info["declared"] = declared
            if dimensions > 1 and isinstance(table.c[column].type, ARRAY):
                table.c[column].type.dimensions = dimensions
    for schema, name, constraint, deferrable, deferred in connection.execute(
        text(_DEFERRABLE_UNIQUE)
    ):
        for found in tables[schema, name].constraints if (schema, name) in tables else ():
            if found.name == constraint:
                found.deferrable = deferrable
                found.initially = "DEFERRED" if deferred else None
    for schema, name, index_name, keys, options in connection.execute(text(_SORTED_EXPRESSIONS)):
        for index in tables[schema, name].indexes if (schema, name) in tables else ():
            if index.name == index_name:
                _sort_expressions(index, keys, options)


def _sort_expressions(index: Index, keys: list[int], options: list[int]) -> None:
    """How an expression is sorted, which is told of columns alone."""
    expressions: Any = index.expressions
    for at, (key, option) in enumerate(zip(keys, options, strict=False)):
        if key == 0:
            made: Any = expressions[at]
            descending, nulls_are_first = option & 1, option & 2
            if descending:
                made = UnaryExpression(made, modifier=operators.desc_op)
            if bool(descending) != bool(nulls_are_first):
                where = operators.nulls_first_op if nulls_are_first else operators.nulls_last_op
                made = UnaryExpression(made, modifier=where)
            expressions[at] = made


def collates_by_code_point(connection: Connection) -> bool:
    """Whether text without a collation of its own sorts as in Python."""
    query = "SELECT datlocprovider, datcollate FROM pg_database WHERE datname = current_database()"
    provider, name = connection.exec_driver_sql(query).one()
    return provider == "c" and name.upper() in ("C", "POSIX", "C.UTF-8", "C.UTF8")


def correct(_dialect: object) -> None:
    """There is nothing that SQLAlchemy gets wrong."""
