"""Many rows in one statement: the driver executes it for each, prepared once.

SQLAlchemy would convert the parameters row by row. Here they come converted, as columns, and
take the place of two rows that stand for them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Executable, Float, Table, insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.types import TypeEngine
from sqlmodel.sql.sqltypes import UTCDateTime

from infrastructure.database.dialects import moments
from infrastructure.database.dialects.base import (
    AsRows,
    Columns,
    Statement,
    Write,
    all_are,
    bound,
    one_by_one,
    updated_one_by_one,
)

COLUMNS = "kit_columns"
"""The execution option with the parameters, by their names."""


def inserting(table: Table, names: Sequence[str]) -> Write:
    """INSERT, row by row."""
    filled = any(c.default is not None for c in table.columns if c.key not in names)
    return _Together(table, insert(table), names, plain=not filled)


def updating(
    table: Table, keys: Sequence[str], names: Sequence[str], also: Mapping[str, Any]
) -> Write:
    """UPDATE by key, row by row."""
    statement = updated_one_by_one(table, keys, names, also)
    return _Together(table, statement, names, "to_", plain=not _stamped(table, [*names, *also]))


def upserting(
    table: Table,
    names: Sequence[str],
    on: Sequence[str],
    written: Collection[str],
    also: Mapping[str, Any],
) -> Write:
    """INSERT or UPDATE, row by row."""
    statement = sqlite_insert(table)
    values = {name: statement.excluded[name] for name in written} | {**also}
    columns = [table.c[name] for name in on]
    if values:
        statement = statement.on_conflict_do_update(index_elements=columns, set_=values)
    else:
        statement = statement.on_conflict_do_nothing(index_elements=columns)
    filled = any(c.default is not None for c in table.columns if c.key not in names)
    return _Together(table, statement, names, plain=not filled)


def _stamped(table: Table, names: Collection[str]) -> bool:
    """Whether SQLAlchemy would fill something in, for each row."""
    return any(c.onupdate is not None for c in table.columns if c.key not in names)


class _Together:
    """One statement that is executed for each row."""

    def __init__(
        self,
        table: Table,
        statement: Executable,
        names: Sequence[str],
        prefix: str = "",
        *,
        plain: bool,
    ) -> None:
        self.statement = statement
        self.types = {name: table.c[name].type for name in names}
        self.prefix = prefix
        self.plain = plain

    def __call__(
        self, connection: Connection, columns: Columns, constants: Mapping[str, Any]
    ) -> Statement:
        given = {self.prefix + name: values for name, values in columns.items()}
        converted = self._converted(connection, columns) if self.plain else None
        if converted is None:
            return Statement(self.statement, one_by_one(given, constants))
        stand_in = dict.fromkeys(given) | {**constants}
        return Statement(self.statement, [stand_in, stand_in], {COLUMNS: converted})

    def _converted(self, connection: Connection, columns: Columns) -> Columns | None:
        try:
            return {
                self.prefix + name: _bound(self.types[name], values, connection)
                for name, values in columns.items()
            }
        except Exception:  # noqa: BLE001 -- SQLAlchemy will say it, as it does elsewhere
            return None


def fill_in(
    _connection: Connection,
    _cursor: Any,
    statement: str,
    parameters: Any,
    context: Any,
    many: bool,
) -> tuple[str, Any]:
    """Put the rows in the place of those that stand for them."""
    columns = context.execution_options.get(COLUMNS) if many else None
    if columns is None:
        return statement, parameters
    names = context.compiled.positiontup
    if len(columns) != sum(name in columns for name in names):  # pragma: no cover
        raise AssertionError("a parameter has another name than its column")
    count = len(next(iter(columns.values())))
    given = [
        columns[name] if name in columns else [parameters[0][at]] * count
        for at, name in enumerate(names)
    ]
    return statement, AsRows(given)


def _bound(type_: TypeEngine[Any], values: Sequence[Any], connection: Connection) -> Sequence[Any]:
    match type_:
        case UTCDateTime() if moments.are_in_utc(values):
            return moments.as_text(values)
        case Float() if all_are(float, values):
            return values
        case _:
            return bound(type_, values, connection)
