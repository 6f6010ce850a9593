"""Binary COPY, where it does what INSERT would do. It goes the way of any other statement."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import islice
from types import NoneType
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ClauseElement, Connection, Executable, LargeBinary, Table, bindparam
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.types import TypeEngine
from sqlmodel.sql.sqltypes import UTCDateTime

from infrastructure.database.dialects import moments
from infrastructure.database.dialects.base import (
    MEANWHILE,
    AsRows,
    Columns,
    Statement,
    Write,
    bound,
)

COPIED = "kit_copied"
"""The execution option with the rows of a COPY."""

_FEW = 100  # it is not worth a question
_PART = 10_000  # what the server works on meanwhile

# What COPY cannot do, or would do otherwise: rules, row-level security, columns that the server
# counts or computes, what is no table.
_ASK = """
    SELECT a.attname, a.atttypid FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.oid = to_regclass(%s) AND c.relkind IN ('r', 'p') AND NOT c.relhasrules
    AND NOT row_security_active(c.oid) AND a.attnum > 0 AND NOT a.attisdropped
    AND a.attgenerated = '' AND a.attidentity <> 'a'
"""


class _Copied(NamedTuple):
    types: Sequence[int]
    rows: Sequence[Sequence[Any]]


class Copy(Executable, ClauseElement):
    """``COPY table FROM STDIN``; with the table, so that errors are those of its model."""

    inherit_cache = False

    def __init__(self, table: Table, names: Sequence[str]) -> None:
        self.table = table
        self.names = names


@compiles(Copy)
def _compile(copy: Copy, compiler: Any, **_: Any) -> str:
    preparer = compiler.preparer
    columns = ", ".join(preparer.format_column(copy.table.c[name]) for name in copy.names)
    return f"COPY {preparer.format_table(copy.table)} ({columns}) FROM STDIN (FORMAT BINARY)"


def send(cursor: Any, statement: str, _parameters: Any, context: Any) -> bool:
    """Send the rows of a COPY; every other statement is left to SQLAlchemy."""
    copied = context.execution_options.get(COPIED)
    if copied is None:
        return False
    from infrastructure.database.dialects.postgresql_writer import BusyWriter

    meanwhile = context.execution_options.get(MEANWHILE, iter(()))
    with cursor.copy(statement, writer=BusyWriter(cursor, meanwhile)) as copy:
        copy.set_types(copied.types)
        write, rows = copy.write_row, iter(copied.rows)
        for _ in range(0, len(copied.rows), _PART):
            for row in islice(rows, _PART):  # none is kept, which the collector would look at
                write(row)
            if len(copied.rows) > _PART:
                next(meanwhile, None)
    return True


class Copying:
    """COPY, or another statement ``instead``. The server is asked once for all batches."""

    def __init__(self, table: Table, names: Sequence[str], instead: Write) -> None:
        self.table = table
        self.names = names
        self.instead = instead
        self._types: Mapping[str, int] | None = None

    def __call__(
        self, connection: Connection, columns: Columns, constants: Mapping[str, Any]
    ) -> Statement:
        copied = self._copied(connection, columns)
        if copied is None:
            return self.instead(connection, columns, constants)
        return Statement(Copy(self.table, self.names), None, {COPIED: copied})

    def _copied(self, connection: Connection, columns: Columns) -> _Copied | None:
        values = list(columns.values())
        if self._types is None and (not values or len(values[0]) < _FEW):
            return None
        if self._types is None:
            self._types = self._ask(connection)
        types = [self._types.get(name, 0) for name in columns]
        ready = []
        for type_, (name, given) in zip(types, columns.items(), strict=True):
            fits = _FITS.get(type_)
            if fits is None:
                return None
            ready.append(_bound(self.table.c[name].type, given, connection))
            if not fits(ready[-1]):
                return None
        return _Copied(types, AsRows(ready))

    def _ask(self, connection: Connection) -> Mapping[str, int]:
        """The types of the columns by which COPY may be sent, by their names; perhaps none."""
        dialect: Any = connection.dialect
        name = dialect.identifier_preparer.format_table(self.table)
        columns = [self.table.c[name] for name in self.names]
        plain = all(_is_bound_plainly(column.type, dialect) for column in columns)
        raw: Any = connection.connection.driver_connection
        if not plain or "%" in name + "".join(self.names) or raw.info.encoding != "utf-8":
            return {}
        import psycopg

        try:
            found = dict(raw.execute(_ASK, [name]).fetchall())
        except psycopg.Error:  # the statement itself will fail as well, and say why
            return {}
        return {column.key: found[column.name] for column in columns if column.name in found}


def _bound(type_: TypeEngine[Any], values: Sequence[Any], connection: Connection) -> Sequence[Any]:
    if isinstance(type_, UTCDateTime) and moments.are_in_utc(values):
        return values
    if isinstance(type_, LargeBinary):  # SQLAlchemy wraps them, which only a text form needs
        return values
    return bound(type_, values, connection)


def _is_bound_plainly(type_: TypeEngine[Any], dialect: Any) -> bool:
    """Whether INSERT would write the value itself, and no expression of it."""
    return type_.dialect_impl(dialect).bind_expression(bindparam("x")) is None


# -- what the binary form of a type takes: the driver converts nothing there ---------------------


def _only(*kinds: type) -> Callable[[Sequence[Any]], bool]:
    allowed = {NoneType, *kinds}
    return lambda values: allowed.issuperset(map(type, values))


def _whole(bits: int) -> Callable[[Sequence[Any]], bool]:
    low, high = -(1 << bits - 1), (1 << bits - 1) - 1

    def fits(values: Sequence[Any]) -> bool:
        kinds = set(map(type, values))
        given = [v for v in values if v is not None] if NoneType in kinds else values
        return not given or (kinds <= {int, NoneType} and low <= min(given) and max(given) <= high)

    return fits


def _moments(*, aware: bool) -> Callable[[Sequence[Any]], bool]:
    return lambda values: all(
        value is None or (type(value) is datetime and (value.tzinfo is not None) is aware)
        for value in values
    )


def _json(values: Sequence[Any]) -> bool:
    from psycopg.types.json import Json, Jsonb

    return {NoneType, Json, Jsonb}.issuperset(map(type, values))


_FITS: Mapping[int, Callable[[Sequence[Any]], bool]] = {
    16: _only(bool),
    17: _only(bytes),
    20: _whole(64),
    21: _whole(16),
    23: _whole(32),
    25: _only(str),
    701: _only(float),
    1043: _only(str),
    1082: _only(date),
    1083: lambda values: _only(time)(values) and not any(v and v.tzinfo for v in values),
    1114: _moments(aware=False),
    1184: lambda values: moments.are_in_utc(values) or _moments(aware=True)(values),
    1186: _only(timedelta),
    1700: _only(Decimal),
    2950: _only(UUID),
    3802: _json,
}
"""By the number of a type in ``pg_type``, which is fixed: text is 25."""
