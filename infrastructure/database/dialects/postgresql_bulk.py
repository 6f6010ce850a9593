"""Many rows in one statement: each column goes to the server as one array."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Table, bindparam, func, insert, select, update
from sqlalchemy import column as sql_column
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as postgresql_insert

from infrastructure.database.dialects.base import Rows, Statement, many_inserted, many_updated


def insert_rows(table: Table, rows: Rows) -> Statement:
    """INSERT from arrays, or one by one where a column is an array itself."""
    if _has_arrays(table, rows):
        return many_inserted(insert(table), rows)
    given = _arrays(table, rows)
    return insert(table).from_select(list(rows[0]), select(*given.c), include_defaults=False), None


def update_rows(
    table: Table, keys: Sequence[str], rows: Rows, also: Mapping[str, Any]
) -> Statement:
    """UPDATE by key, from arrays."""
    if _has_arrays(table, rows):
        return many_updated(table, keys, rows, also)
    given = _arrays(table, rows)
    written = {name: given.c[name] for name in rows[0] if name not in keys}
    statement = update(table).values({table.c[n]: v for n, v in (written | {**also}).items()})
    return statement.where(*(table.c[name] == given.c[name] for name in keys)), None


def upsert_rows(
    table: Table,
    rows: Rows,
    on: Sequence[str],
    written: Collection[str],
    also: Mapping[str, Any],
) -> Statement:
    """INSERT from arrays, or UPDATE where the key is there."""
    statement = postgresql_insert(table)
    values = {name: statement.excluded[name] for name in written} | {**also}
    columns = [table.c[name] for name in on]
    arrays = None if _has_arrays(table, rows) else _arrays(table, rows)
    if arrays is not None:
        statement = statement.from_select(list(rows[0]), select(*arrays.c), include_defaults=False)
    statement = (
        statement.on_conflict_do_update(index_elements=columns, set_=values)
        if values
        else statement.on_conflict_do_nothing(index_elements=columns)
    )
    return many_inserted(statement, rows) if arrays is None else (statement, None)


def _arrays(table: Table, rows: Rows) -> FromClause:
    names = list(rows[0])
    arrays: list[ColumnElement[Any]] = [
        bindparam(None, [row[name] for row in rows], ARRAY(table.c[name].type, dimensions=1))
        for name in names
    ]
    columns = [sql_column(name, table.c[name].type) for name in names]
    return func.unnest(*arrays).table_valued(*columns).render_derived(name="given")


def _has_arrays(table: Table, rows: Rows) -> bool:
    return any(isinstance(table.c[name].type, ARRAY) for name in rows[0])
