"""One database: its engine, configured correctly, and what units need to know of it."""

from __future__ import annotations

import functools
import os
import threading
import weakref
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import ClassVar, Self, TypeVar

from sqlalchemy import URL, MetaData, event, make_url
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import ArgumentError

from domain.errors import CommitOutcomeUnknown, KitError, ValidationError
from infrastructure.database.dialects import Settings, dialect_named
from infrastructure.database.errors import translate

DEFAULT_URL = "sqlite:///app.db"

_living: weakref.WeakSet[Database] = weakref.WeakSet()


class Database:
    """An engine, configured correctly, and the place of all its settings.

    Times are in seconds. Nothing is opened before the first unit needs it.
    Usable from many threads; a memory database serves one unit at a time.
    A context manager, which closes it.
    """

    _default: ClassVar[Database | None] = None
    _default_lock: ClassVar[threading.Lock] = threading.Lock()

    clock: Callable[[], datetime]
    """Where timestamps come from: aware, in UTC."""

    def __init__(
        self,
        url: str | URL | None = None,
        *,
        echo: bool = False,
        pool_size: int = 5,
        connect_timeout: float = 5.0,
        busy_timeout: float = 30.0,
        statement_timeout: float | None = None,
        lock_timeout: float | None = None,
        pgbouncer: bool = False,
    ) -> None:
        self.settings = Settings(
            url=_parsed(url or os.environ.get("DATABASE_URL") or DEFAULT_URL),
            echo=echo,
            pool_size=_positive("pool_size", pool_size),
            connect_timeout=_positive("connect_timeout", connect_timeout),
            busy_timeout=_positive("busy_timeout", busy_timeout),
            statement_timeout=statement_timeout and _positive("timeout", statement_timeout),
            lock_timeout=lock_timeout and _positive("timeout", lock_timeout),
            pgbouncer=pgbouncer,
        )
        self.clock = lambda: datetime.now(UTC)
        self.dialect = dialect_named(self.settings.url.get_backend_name())
        self.exclusive = self.dialect.exclusive(self.settings)
        self.engine = self.dialect.engine(self.settings)
        self.reader = self.dialect.reader(self.settings, self.engine)
        for dialect in {self.engine.dialect, self.reader.dialect}:
            event.listen(dialect, "handle_error", _handle_error)
        _watch_forks()
        _living.add(self)

    @classmethod
    def default(cls) -> Database:
        """The database of ``DATABASE_URL``, or ``sqlite:///app.db``; made on first use."""
        with cls._default_lock:
            if Database._default is None:
                Database._default = Database()
            return Database._default

    @property
    def url(self) -> str:
        """Where the database is, the password hidden."""
        return self.settings.url.render_as_string(hide_password=True)

    @property
    def key(self) -> object:
        """Equal for two objects that stand for the same database."""
        return self if self.exclusive else self.settings.url

    def create_all(self, metadata: MetaData) -> None:
        """Create the tables that are missing. For tests and first steps; later, migrate."""
        metadata.create_all(self.engine)

    def close(self) -> None:
        """Give back all connections that are not in use. A memory database is gone then."""
        self.reader.dispose()
        self.engine.dispose()
        with Database._default_lock:
            if Database._default is self:
                Database._default = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Database({self.url!r})"

    def after_fork(self) -> None:
        """Forget the parent's connections, without closing them for the parent."""
        for engine in {self.engine, self.reader}:
            self.dialect.forked(self.settings, engine)


def _parsed(url: str | URL) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ValidationError("Database", {"url": "is no database URL"}) from None
    if parsed.drivername in ("postgres", "postgresql"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    secret = parsed.query.get("password")
    if isinstance(secret, str):  # so that it is hidden like one in the usual place
        parsed = parsed.set(password=secret).difference_update_query(["password"])
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite", "postgresql+psycopg"):
        raise ValidationError(
            "Database",
            {"url": f"{parsed.drivername} is not supported; use sqlite or postgresql+psycopg"},
        )
    return parsed


_Number = TypeVar("_Number", int, float)


def _positive(name: str, value: _Number) -> _Number:
    if value <= 0:
        raise ValidationError("Database", {name: "must be above zero"})
    return value


def _handle_error(context: ExceptionContext) -> KitError | None:
    """Translate, and tell the unit whose statement failed."""
    if context.is_pre_ping:
        return None
    error = translate(context)
    options = context.connection.get_execution_options() if context.connection else {}
    unit = options.get("kit_unit", _nobody)()
    if unit is None:
        return error
    if unit.committing and context.is_disconnect:
        error = CommitOutcomeUnknown(_UNKNOWN)
        error.driver_error = context.original_exception
    unit.fail(error or context.sqlalchemy_exception or context.original_exception)
    return error


_UNKNOWN = "the connection was lost during COMMIT: look whether the changes are stored"


def _nobody() -> None:
    return None


@functools.cache
def _watch_forks() -> None:
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_after_fork)


def _after_fork() -> None:
    for database in list(_living):
        database.after_fork()
