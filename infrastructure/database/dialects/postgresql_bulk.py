"""Many rows in one statement: each column goes to the server as one array, or all by COPY."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    Executable,
    FromClause,
    Table,
    bindparam,
    func,
    insert,
    select,
    update,
)
from sqlalchemy import column as sql_column
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.types import TypeDecorator, TypeEngine

from infrastructure.database.dialects import postgresql_copy
from infrastructure.database.dialects.base import (
    Columns,
    Statement,
    Write,
    one_by_one,
    updated_one_by_one,
)
from infrastructure.database.dialects.postgresql_arrays import ArrayText


def inserting(table: Table, names: Sequence[str]) -> Write:
    """INSERT from arrays, or one by one where a column is an array itself; COPY of many rows."""
    if _has_arrays(table, names):
        return _OneByOne(insert(table), dict(zip(names, names, strict=True)))
    given = _arrays(table, names)
    statement = insert(table).from_select([*names], select(*given.c), include_defaults=False)
    return postgresql_copy.Copying(table, names, instead=_Arrays(statement, names))


def updating(
    table: Table, keys: Sequence[str], names: Sequence[str], also: Mapping[str, Any]
) -> Write:
    """UPDATE by key, from arrays."""
    if _has_arrays(table, names):
        parameters = {name: f"to_{name}" for name in names}
        return _OneByOne(updated_one_by_one(table, keys, names, also), parameters)
    given = _arrays(table, names)
    written = {name: given.c[name] for name in names if name not in keys}
    statement = update(table).values({table.c[n]: v for n, v in (written | {**also}).items()})
    statement = statement.where(*(table.c[name] == given.c[name] for name in keys))
    return _Arrays(statement, names)


def upserting(
    table: Table,
    names: Sequence[str],
    on: Sequence[str],
    written: Collection[str],
    also: Mapping[str, Any],
) -> Write:
    """INSERT from arrays, or UPDATE where the key is there."""
    statement = postgresql_insert(table)
    values = {name: statement.excluded[name] for name in written} | {**also}
    columns = [table.c[name] for name in on]
    arrays = None if _has_arrays(table, names) else _arrays(table, names)
    if arrays is not None:
        statement = statement.from_select([*names], select(*arrays.c), include_defaults=False)
    statement = (
        statement.on_conflict_do_update(index_elements=columns, set_=values)
        if values
        else statement.on_conflict_do_nothing(index_elements=columns)
    )
    if arrays is None:
        return _OneByOne(statement, dict(zip(names, names, strict=True)))
    return _Arrays(statement, names)


class _Arrays:
    """A statement with one parameter for each column."""

    def __init__(self, statement: Executable, names: Sequence[str]) -> None:
        self.statement = statement
        self.names = names

    def __call__(
        self, connection: Connection, columns: Columns, constants: Mapping[str, Any]
    ) -> Statement:
        arrays = {_parameter(at): columns[name] for at, name in enumerate(self.names)}
        return Statement(self.statement, arrays | {**constants})


class _OneByOne:
    """A statement for each row."""

    def __init__(self, statement: Executable, parameters: Mapping[str, str]) -> None:
        self.statement = statement
        self.parameters = parameters

    def __call__(
        self, connection: Connection, columns: Columns, constants: Mapping[str, Any]
    ) -> Statement:
        given = {self.parameters[name]: values for name, values in columns.items()}
        return Statement(self.statement, one_by_one(given, constants))


def _arrays(table: Table, names: Sequence[str]) -> FromClause:
    arrays: list[ColumnElement[Any]] = [
        bindparam(_parameter(at), type_=ArrayText(table.c[name].type))
        for at, name in enumerate(names)
    ]
    columns = [sql_column(name, table.c[name].type) for name in names]
    return func.unnest(*arrays).table_valued(*columns).render_derived(name="given")


def _parameter(at: int) -> str:
    return f"given_{at}"


def _has_arrays(table: Table, names: Sequence[str]) -> bool:
    return any(_is_array(table.c[name].type) for name in names)


def _is_array(type_: TypeEngine[Any]) -> bool:
    while isinstance(type_, TypeDecorator):
        type_ = type_.impl_instance
    return isinstance(type_, ARRAY)
