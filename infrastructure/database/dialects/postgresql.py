"""PostgreSQL, through psycopg 3. The driver is imported with the first engine, not before."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, MutableMapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BIGINT,
    NUMERIC,
    VARCHAR,
    Column,
    ColumnElement,
    Connection,
    Constraint,
    Engine,
    ForeignKeyConstraint,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    any_,
    bindparam,
    create_engine,
    event,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.types import TypeEngine
from sqlmodel.sql.sqltypes import UTCDateTime

from domain import errors
from infrastructure.database.dialects import (
    moments,
    postgresql_binary,
    postgresql_bulk,
    postgresql_copy,
    postgresql_cursor,
    postgresql_keys,
    postgresql_outcome,
    postgresql_words,
)
from infrastructure.database.dialects.base import (
    Dialect,
    Migration,
    Settings,
    Violation,
    Write,
    keep_for_ever,
)
from infrastructure.database.dialects.failures import error_for
from infrastructure.database.dialects.postgresql_arrays import ArrayText
from infrastructure.database.dialects.postgresql_ping import ping_rested
from infrastructure.database.dialects.postgresql_types import any_size

# The driver converts times with the zone of the session, and fails near the ends of the calendar.
_STARTUP = ["-c timezone=UTC"]
_READ_ONLY = "-c default_transaction_read_only=on"


class PostgreSQL(Dialect):
    """A server, or a cluster behind PgBouncer."""

    rows_are_bounds = True

    def engine(self, settings: Settings) -> Engine:
        engine = _engine(settings, self.pool(settings))
        event.listen(engine, "connect", postgresql_outcome.note_incarnation)
        event.listen(engine, "do_execute", postgresql_copy.send)
        timeouts = {
            "statement_timeout": settings.statement_timeout,
            "lock_timeout": settings.lock_timeout,
        }
        commands = [
            f"SET LOCAL {name} = {max(1, round(seconds * 1000))}"
            for name, seconds in timeouts.items()
            if seconds is not None
        ]
        if commands:
            event.listen(engine, "begin", _Begin("; ".join(commands)))
        return engine

    def pool(self, settings: Settings) -> Mapping[str, Any]:
        """How connections are kept."""
        return {"pool_pre_ping": True, "pool_size": settings.pool_size}

    def reader(self, settings: Settings, engine: Engine) -> Engine:
        # Startup options do not pass PgBouncer, and SET LOCAL needs a transaction.
        if _begins_with_commands(settings):
            return engine.execution_options(postgresql_readonly=True)
        options = {**self.pool(settings), "isolation_level": "AUTOCOMMIT"}
        return _engine(settings, options, _READ_ONLY)

    def begin_directly(self, settings: Settings, *, read_only: bool) -> str | None:
        return None if _begins_with_commands(settings) else ""

    def cursor(self, driver: Any, info: MutableMapping[Any, Any]) -> Any:
        return postgresql_cursor.cursor_of(driver, info)

    def streamer(self, engine: Engine, reader: Engine) -> Engine:
        return engine.execution_options(postgresql_readonly=True)

    def unit_options(self, *, read_only: bool, isolation_level: str | None) -> Mapping[str, Any]:
        options: dict[str, Any] = {}
        if isolation_level is not None:
            options["isolation_level"] = isolation_level
            if read_only:
                options["postgresql_readonly"] = True
        return options

    def leave_to_parent(self, record: Any) -> bool:
        keep_for_ever(record.dbapi_connection)  # the socket is shared with the parent
        return True

    def transaction_of(self, connection: Connection) -> object:
        return postgresql_outcome.transaction_of(connection)

    def transaction_called(self, id: str, info: Mapping[Any, Any]) -> object:
        return postgresql_outcome.transaction_called(id, info)

    def transaction_id(self) -> ColumnElement[Any] | None:
        return postgresql_outcome.transaction_id()

    def outcome(self, engine: Engine, transaction: object, patience: float) -> bool | None:
        return postgresql_outcome.outcome(engine, transaction, patience)

    def migrating(self, engine: Engine, lock_timeout: float) -> AbstractContextManager[Migration]:
        from infrastructure.database.dialects import postgresql_migration

        return postgresql_migration.migrating(engine, lock_timeout)

    def migration_settings(self, lock_timeout: float) -> Sequence[str]:
        from infrastructure.database.dialects import postgresql_migration

        return postgresql_migration.settings(lock_timeout)

    def failure(self, context: ExceptionContext) -> type[errors.KitError] | None:
        state = getattr(context.original_exception, "sqlstate", None) or ""
        known = error_for(state, state[:2])
        if known is None and (context.is_disconnect or _is_lost(context)):
            return errors.DatabaseUnavailable
        return known

    def has_ended(self, context: ExceptionContext) -> bool:
        return _is_lost(context)

    def discreet(self, error: BaseException) -> str | None:
        return postgresql_words.discreet(error)

    def violation(self, context: ExceptionContext, kind: type[errors.ConflictError]) -> Violation:
        # Never the DETAIL: it is translated, and prints the row.
        said: Any = getattr(context.original_exception, "diag", None)
        columns = (said.column_name,) if said and said.column_name else ()
        constraint = None if kind is errors.NotNullViolation else said and said.constraint_name
        return Violation(kind, said and said.table_name, columns, constraint)

    def default_name(
        self, constraint: Constraint, table: str, columns: Sequence[str]
    ) -> str | None:
        match constraint:
            case PrimaryKeyConstraint():
                return f"{table}_pkey"
            case UniqueConstraint():
                return f"{table}_{'_'.join(columns)}_key"
            case ForeignKeyConstraint():
                return f"{table}_{'_'.join(columns)}_fkey"
            case _:
                return None

    def among(self, column: Column[Any], values: Collection[Any]) -> ColumnElement[bool]:
        return column == any_(bindparam(None, list(values), ArrayText(any_size(column.type))))

    def by_code_point(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        return column.collate("C")

    def text_match(
        self, column: ColumnElement[Any], operator: str, text: str
    ) -> ColumnElement[bool]:
        matches: ColumnElement[bool] = getattr(column, operator)(text, autoescape=True)
        return matches

    def prepare_to_fetch(self, cursor: Any) -> None:
        postgresql_binary.fetch_binary(cursor)

    def faster(self, type_: TypeEngine[Any], usual: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return moments.reader_in_utc(usual) if isinstance(type_, UTCDateTime) else usual

    def reserve_keys(
        self, connection: Connection, column: Column[Any], count: int, above: int
    ) -> Sequence[int] | None:
        return None

    def take_keys(
        self, connection: Connection, column: Column[Any], count: int
    ) -> Sequence[int] | None:
        return postgresql_keys.take(connection, column, count)

    def inserting(self, table: Table, names: Sequence[str]) -> Write:
        return postgresql_bulk.inserting(table, names)

    def updating(
        self, table: Table, keys: Sequence[str], names: Sequence[str], also: Mapping[str, Any]
    ) -> Write:
        return postgresql_bulk.updating(table, keys, names, also)

    def upserting(
        self,
        table: Table,
        names: Sequence[str],
        on: Sequence[str],
        written: Collection[str],
        also: Mapping[str, Any],
    ) -> Write:
        return postgresql_bulk.upserting(table, names, on, written, also)

    def text_type(self, length: int | None) -> TypeEngine[Any]:
        return VARCHAR(length, collation="C")

    def row_number_type(self) -> TypeEngine[Any]:
        return BIGINT()

    def server_time(self) -> ColumnElement[datetime] | None:
        return _NOW

    def decimal_type(self, precision: int | None, scale: int | None) -> TypeEngine[Any]:
        return NUMERIC(precision, scale)

    def json_type(self) -> TypeEngine[Any]:
        return JSONB(none_as_null=True)


_NOW: ColumnElement[datetime] = func.statement_timestamp(type_=UTCDateTime())


class _Begin:
    """Timeouts for one transaction: SET LOCAL does not leak through the pool."""

    def __init__(self, commands: str) -> None:
        self.commands = commands

    def __call__(self, connection: Connection) -> None:
        connection.exec_driver_sql(self.commands)


def _engine(settings: Settings, pool: Mapping[str, Any], *startup: str) -> Engine:
    connect_args: dict[str, Any] = {"connect_timeout": max(1, round(settings.connect_timeout))}
    if not settings.pgbouncer:
        asked = settings.url.query.get("options", ())
        given = [asked] if isinstance(asked, str) else [*asked]
        connect_args["options"] = " ".join([*given, *_STARTUP, *startup])
    if "application_name" not in settings.url.query:
        connect_args["application_name"] = "infrastructure-kit"
    if settings.pgbouncer:
        connect_args["prepare_threshold"] = None
    engine = create_engine(
        settings.url,
        echo=settings.echo,
        hide_parameters=True,
        connect_args=connect_args,
        **pool,
    )
    ping_rested(engine)
    postgresql_cursor.keep_small(engine)
    return engine


def _begins_with_commands(settings: Settings) -> bool:
    """Whether a unit needs a transaction, for what it begins with, even to read."""
    return bool(settings.pgbouncer or settings.statement_timeout or settings.lock_timeout)


def _is_lost(context: ExceptionContext) -> bool:
    """Whether there is no connection, or something is wrong that the server did not say."""
    if context.connection is None:
        return context.sqlalchemy_exception is not None
    error: Any = context.original_exception
    driver: Any = context.dialect.loaded_dbapi
    return isinstance(error, driver.OperationalError) and error.sqlstate is None


DIALECT = PostgreSQL()
