"""SQLite, through the driver of the standard library.

The driver's own transactions lose updates, break SAVEPOINT and leak rows, so
it is set to autocommit and every transaction is begun here.
"""

from __future__ import annotations

import json
import math
import re
import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from decimal import Decimal
from typing import Any

from pydantic_core import to_json
from sqlalchemy import (
    JSON,
    URL,
    Column,
    ColumnElement,
    Connection,
    Constraint,
    Engine,
    Integer,
    Select,
    String,
    Table,
    bindparam,
    case,
    create_engine,
    event,
    func,
    or_,
    select,
)
from sqlalchemy import column as sql_column
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.pool import QueuePool
from sqlalchemy.types import TypeDecorator, TypeEngine
from sqlmodel.sql.sqltypes import UTCDateTime

from domain import errors
from infrastructure.database.dialects import (
    sqlite_bulk,
    sqlite_dates,
    sqlite_reflection,
    sqlite_timeout,
)
from infrastructure.database.dialects.base import (
    READ_ONLY,
    Dialect,
    Migration,
    Settings,
    Violation,
    Write,
    all_are,
    keep_for_ever,
)
from infrastructure.database.dialects.failures import error_for
from infrastructure.database.dialects.sqlite_connect import (
    BEGIN_READING,
    BEGIN_WRITING,
    READS,
    Connect,
    begin,
    reset,
)

_FEW = 500
_PATTERN = 10_000


class SQLite(Dialect):
    """Files in WAL mode, one writer at a time; a memory database is one connection."""

    row_by_row = True

    def wrong_with(self, url: URL) -> str | None:
        if url.username or url.password or url.host or url.port:
            return "has a user, password or host, which SQLite does not know; use sqlite:///app.db"
        return None

    def in_memory(self, settings: Settings) -> bool:
        database = settings.url.database or ":memory:"
        return ":memory:" in database or settings.url.query.get("mode") == "memory"

    def engine(self, settings: Settings) -> Engine:
        return self._engine(settings, Connect(_wait(settings), wal=not self.exclusive(settings)))

    def _engine(self, settings: Settings, connected: Connect) -> Engine:
        wait = _wait(settings)
        pool: dict[str, Any] = {"pool_size": settings.pool_size}
        if self.exclusive(settings):
            pool = {"pool_size": 1, "max_overflow": 0, "pool_timeout": wait}
        engine = create_engine(
            settings.url,
            echo=settings.echo,
            hide_parameters=True,
            json_serializer=_canonical_json,
            poolclass=QueuePool,
            connect_args={"timeout": wait, "isolation_level": None, "check_same_thread": False},
            **pool,
        )
        engine.dialect.colspecs = {**engine.dialect.colspecs, **sqlite_dates.TYPES}
        sqlite_reflection.correct(engine.dialect)
        event.listen(engine, "connect", connected)
        event.listen(engine, "begin", begin)
        event.listen(engine, "reset", reset)
        event.listen(engine, "before_cursor_execute", sqlite_bulk.fill_in, retval=True)
        if settings.statement_timeout is not None:
            sqlite_timeout.limit(engine, settings.statement_timeout)
        return engine

    def reader(self, settings: Settings, engine: Engine) -> Engine:
        if self.exclusive(settings):
            return engine
        # To change query_only makes SQLite prepare every statement again.
        return self._engine(settings, Connect(_wait(settings), wal=True, reads=True))

    def direct(self, settings: Settings) -> bool:
        return settings.statement_timeout is None  # it is renewed before each statement

    def begin_directly(self, settings: Settings, *, read_only: bool) -> str | None:
        if read_only:
            return None if self.exclusive(settings) else BEGIN_READING
        return BEGIN_WRITING

    def streamer(self, engine: Engine, reader: Engine) -> Engine:
        return reader

    def unit_options(self, *, read_only: bool, isolation_level: str | None) -> Mapping[str, Any]:
        # Every transaction of SQLite is serializable: each level that can be asked for is kept.
        return {READ_ONLY: True} if read_only else {}

    def leave_to_parent(self, record: Any) -> bool:
        # SQLite counts its locks in the memory of the process, and they were copied though they
        # are the parent's. To close gives them back; but to undo what another process writes
        # would spoil the index of its log (sqlite.org/howtocorrupt.html, 2.6).
        raw = record.dbapi_connection
        reads = READ_ONLY in record.info or READS in record.info
        if raw is not None and raw.in_transaction and not reads:
            keep_for_ever(raw)
            return False
        if raw is not None:
            raw.close()
        return True

    def migrating(self, engine: Engine, lock_timeout: float) -> AbstractContextManager[Migration]:
        from infrastructure.database.dialects import sqlite_migration

        return sqlite_migration.migrating(engine)  # the busy timeout is the engine's

    def migration_settings(self, lock_timeout: float) -> Sequence[str]:
        return ()

    def autogenerate_plugins(self) -> Sequence[str]:
        from infrastructure.database.dialects import sqlite_indexes

        return (sqlite_indexes.plugin(),)

    def failure(self, context: ExceptionContext) -> type[errors.KitError] | None:
        name = getattr(context.original_exception, "sqlite_errorname", "")
        return error_for(name, "_".join(name.split("_")[:2]))

    def has_ended(self, context: ExceptionContext) -> bool:
        # A full disk or an interrupted write: what followed would be stored at once, each
        # statement for itself (sqlite.org/lang_transaction.html, 2.3).
        raw: Any = None if context.connection is None else _driver_connection(context.connection)
        return raw is not None and not raw.in_transaction

    def outcome(self, engine: Engine, transaction: object, patience: float) -> bool | None:
        return False  # COMMIT is no message: whoever has lost the connection has not sent it

    def discreet(self, error: BaseException) -> str | None:
        said, quotes, _ = str(error).partition(" with text '")  # "Could not decode … column …"
        return said if quotes else None

    def violation(self, context: ExceptionContext, kind: type[errors.ConflictError]) -> Violation:
        if kind is errors.ForeignKeyViolation:
            return _dangling_reference(context)
        _, _, named = str(context.original_exception).partition(" constraint failed: ")
        if kind is errors.CheckViolation:
            return Violation(kind, constraint=named or None)
        if match := re.fullmatch(r"index '(.+)'", named):
            return Violation(kind, constraint=match[1])
        columns = [part.rpartition(".") for part in named.split(", ") if "." in part]
        table = columns[0][0] if columns else None
        return Violation(kind, table, tuple(name for _, _, name in columns))

    def default_name(
        self, constraint: Constraint, table: str, columns: Sequence[str]
    ) -> str | None:
        return None

    def among(self, column: Column[Any], values: Collection[Any]) -> ColumnElement[bool]:
        process = column.type.dialect_impl(_DIALECT).bind_processor(_DIALECT)
        raw = [process(value) for value in values] if process else list(values)
        if all_are(int, raw):
            return column.in_(_each(raw, to_json(raw).decode()))
        blobs = {value for value in raw if isinstance(value, bytes)}
        infinite = {value for value in raw if isinstance(value, float) and math.isinf(value)}
        if len(blobs) > _FEW:  # JSON has no blobs, and so many are no parameters
            digits = case((column.is_(None), None), else_=func.hex(column))
            return digits.in_(_each([value.hex().upper() for value in blobs]))
        if blobs or infinite:
            rest = [value for value in raw if value not in blobs | infinite]
            return or_(column.in_(_each(rest)), column.in_(blobs | infinite))
        return column.in_(_each(raw))

    def by_code_point(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        return column

    def text_match(
        self, column: ColumnElement[Any], operator: str, text: str
    ) -> ColumnElement[bool]:
        # LIKE ignores case here, and patterns have a limit; GLOB can use an index for a prefix.
        if operator == "contains":
            return func.instr(column, text) > 0
        if operator == "startswith" and len(text) < _PATTERN:
            return column.bool_op("GLOB")(re.sub(r"([*?\[])", r"[\1]", text) + "*")
        length = len(text)
        part = (
            func.substr(column, 1, length)
            if operator == "startswith"
            else (func.substr(column, -length, length))
        )
        return part == text

    def prepare_to_fetch(self, cursor: Any) -> None:
        """There is one format."""

    def faster(self, type_: TypeEngine[Any], usual: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return sqlite_dates.reader_in_utc(usual) if isinstance(type_, UTCDateTime) else usual

    def reserve_keys(
        self, connection: Connection, column: Column[Any], count: int, above: int
    ) -> Sequence[int] | None:
        # The write lock is held, so nobody else can take them.
        highest = connection.scalar(select(func.coalesce(func.max(column), 0))) or 0
        if column.table.dialect_options["sqlite"]["autoincrement"]:
            spent = connection.exec_driver_sql(
                "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = ?",
                (column.table.name,),
            ).scalar_one()
            highest = max(highest, spent)
        first = max(highest, above, 0) + 1
        return range(first, first + count)

    def take_keys(
        self, connection: Connection, column: Column[Any], count: int
    ) -> Sequence[int] | None:
        return self.reserve_keys(connection, column, count, 0)

    def inserting(self, table: Table, names: Sequence[str]) -> Write:
        return sqlite_bulk.inserting(table, names)

    def updating(
        self, table: Table, keys: Sequence[str], names: Sequence[str], also: Mapping[str, Any]
    ) -> Write:
        return sqlite_bulk.updating(table, keys, names, also)

    def upserting(
        self,
        table: Table,
        names: Sequence[str],
        on: Sequence[str],
        written: Collection[str],
        also: Mapping[str, Any],
    ) -> Write:
        return sqlite_bulk.upserting(table, names, on, written, also)

    def text_type(self, length: int | None) -> TypeEngine[Any]:
        return String(length)

    def row_number_type(self) -> TypeEngine[Any]:
        return Integer()  # of 64 bits; under another name it would not count up

    def decimal_type(self, precision: int | None, scale: int | None) -> TypeEngine[Any]:
        return _DecimalText(scale)

    def json_type(self) -> TypeEngine[Any]:
        return JSON(none_as_null=True)


class _DecimalText(TypeDecorator[Decimal]):
    """Decimals as text, compared and sorted as numbers by a collation of ours."""

    impl = String
    cache_ok = True

    def __init__(self, scale: int | None = None) -> None:
        super().__init__(collation="DECIMAL")
        self.scale = scale

    def process_bind_param(self, value: Any, dialect: Any) -> str | None:
        if value is None:
            return None
        number = value if isinstance(value, Decimal) else Decimal(str(value))
        if self.scale is not None:
            padded = f"{number:.{self.scale}f}"
            if Decimal(padded) == number:
                return padded
        return f"{number:f}"  # never rounded: it may be what a stored one is compared with

    def process_result_value(self, value: Any, dialect: Any) -> Decimal | None:
        return None if value is None else Decimal(value)


def _canonical_json(value: Any) -> str:
    """One text for equal values, so that they are equal for the database too."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def _each(values: list[Any], as_json: str | None = None) -> Select[Any]:
    """Any number of values in one parameter."""
    text = bindparam(None, as_json or json.dumps(values), String)
    each = func.json_each(text).table_valued("value")
    return select(sql_column("value")).select_from(each)


def _driver_connection(connection: Connection) -> Any:
    return None if connection.invalidated else connection.connection.driver_connection


def _wait(settings: Settings) -> float:
    """How long to wait for a lock, in seconds."""
    return settings.lock_timeout or settings.busy_timeout


def _dangling_reference(context: ExceptionContext) -> Violation:
    """SQLite does not say which reference dangles: do it again, deferred, and ask."""
    kind = errors.ForeignKeyViolation
    if context.connection is None:
        return Violation(kind)
    raw: Any = context.connection.connection.dbapi_connection
    cursor = raw.cursor()
    if context.statement is None:  # a deferred constraint, found at COMMIT
        return _new_violation(cursor, set())
    try:
        known = _dangling(raw)
        cursor.execute("SAVEPOINT kit_references")
        cursor.execute("PRAGMA defer_foreign_keys=ON")
        try:
            _replay(cursor, context)
            return _new_violation(cursor, known)
        finally:
            cursor.execute("ROLLBACK TO kit_references")
            cursor.execute("RELEASE kit_references")
            cursor.execute("PRAGMA defer_foreign_keys=OFF")
    except sqlite3.Error:
        return Violation(kind)


def _replay(cursor: sqlite3.Cursor, context: ExceptionContext) -> None:
    parameters: Any = context.parameters or ()
    if context.execution_context is not None and context.execution_context.executemany:
        for each in parameters:
            # Those before the one that failed are there already.
            with suppress(sqlite3.IntegrityError):
                cursor.execute(context.statement or "", each)
    else:
        cursor.execute(context.statement or "", parameters)
        cursor.fetchall()


def _new_violation(cursor: sqlite3.Cursor, known: set[tuple[Any, ...]]) -> Violation:
    broken = sorted(_dangling(cursor) - known, key=str)
    if not broken:
        return Violation(errors.ForeignKeyViolation)
    table, _, _, number = broken[0]
    keys = cursor.execute("SELECT * FROM pragma_foreign_key_list(?)", (table,)).fetchall()
    columns = tuple(key[3] for key in sorted(keys, key=lambda key: key[1]) if key[0] == number)
    return Violation(errors.ForeignKeyViolation, table, columns)


def _dangling(connection: sqlite3.Connection | sqlite3.Cursor) -> set[tuple[Any, ...]]:
    return set(connection.execute("PRAGMA foreign_key_check").fetchall())


_DIALECT = SQLiteDialect_pysqlite(json_serializer=_canonical_json)
DIALECT = SQLite()
