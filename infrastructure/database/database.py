"""One database: its engine, configured correctly, and what units need to know of it."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, ClassVar, Self, TypeVar

from sqlalchemy import (
    URL,
    Column,
    ColumnElement,
    Connection,
    Insert,
    MetaData,
    Select,
    Table,
    Update,
    event,
)
from sqlalchemy.engine import ExceptionContext

from domain.errors import CommitOutcomeUnknown, DatabaseUnavailable, KitError, ValidationError
from infrastructure.database import caches, forks, shortcuts
from infrastructure.database.arrivals import Arrivals
from infrastructure.database.caches import Caches, caches_of
from infrastructure.database.clock import Clocked
from infrastructure.database.dialects import Dialect, Settings, dialect_named
from infrastructure.database.errors import hide_values, translate
from infrastructure.database.prepared import (
    Conversions,
    Prepared,
    PreparedQuery,
    one_insert,
    one_update,
)
from infrastructure.database.urls import parsed
from infrastructure.database.written import writes_of

DEFAULT_URL = "sqlite:///app.db"


class Database(Clocked):
    """An engine, configured correctly, and the place of all its settings.

    Times are in seconds. Nothing is opened before the first unit needs it.
    Usable from many threads; a memory database serves one unit at a time.
    A context manager, which closes it.
    """

    _default: ClassVar[Database | None] = None
    _default_lock: ClassVar[threading.Lock] = threading.Lock()

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
            url=parsed(url or os.environ.get("DATABASE_URL") or DEFAULT_URL),
            echo=echo,
            pool_size=_positive("pool_size", pool_size),
            connect_timeout=_positive("connect_timeout", connect_timeout),
            busy_timeout=_positive("busy_timeout", busy_timeout),
            statement_timeout=_optional("statement_timeout", statement_timeout),
            lock_timeout=_optional("lock_timeout", lock_timeout),
            pgbouncer=pgbouncer,
        )
        super().__init__()
        self.dialect = self._dialect()
        self.exclusive = self.dialect.exclusive(self.settings)
        self.in_memory = self.dialect.in_memory(self.settings)
        self.engine = self.dialect.engine(self.settings)
        self.reader = self.dialect.reader(self.settings, self.engine)
        self.direct = self.dialect.direct(self.settings) and shortcuts.usable()
        self.begins = {
            read_only: self.dialect.begin_directly(self.settings, read_only=read_only)
            for read_only in (False, True)
        }
        self.streamer = self.dialect.streamer(self.engine, self.reader)
        self.conversions = Conversions(self.dialect, self.engine)
        self._prepared: dict[object, Prepared] = {}
        self.caches = Caches() if self.exclusive else caches_of(self.key)
        self.arrivals = Arrivals()
        self._connections = forks.Connections()
        for dialect in {self.engine.dialect, self.reader.dialect}:
            event.listen(dialect, "handle_error", _handle_error)
        event.listen(self.engine, "after_cursor_execute", _notice_writes)
        engines = {self.engine, self.reader, self.streamer}
        self.audiences = {one: shortcuts.Audience(one) for one in engines}
        for engine in {self.engine, self.reader}:
            self._connections.watch(engine)
        forks.tell(self)

    def _dialect(self) -> Dialect:
        return dialect_named(self.settings.url.get_backend_name())

    @classmethod
    def default(cls) -> Database:
        """The database of ``DATABASE_URL``, or ``sqlite:///app.db``; made on first use."""
        with cls._default_lock:
            if Database._default is None:
                Database._default = Database()
            return Database._default

    @property
    def url(self) -> str:
        """Where the database is, its secrets hidden."""
        return self.settings.url.render_as_string(hide_password=True)

    @property
    def key(self) -> object:
        """Equal for two objects that stand for the same database."""
        return self if self.exclusive else self.settings.url

    @property
    def serves_one(self) -> str:
        """What to say where an exclusive database is asked for more than one unit."""
        return self.dialect.serves_one

    def prepared(self, statement: Select[Any], names: tuple[str, ...]) -> Prepared:
        """A statement, compiled for this database once; ``names`` are those of its parameters."""
        return self._once(statement, lambda: (statement, names))

    def prepared_query(self, query: PreparedQuery, columns: tuple[Column[Any], ...]) -> Prepared:
        """A query of some columns, made and compiled once."""
        key = (query.name, query.parameters, columns)
        return self._once(key, lambda: (query.make().with_only_columns(*columns), query.parameters))

    def prepared_insert(
        self, table: Table, names: tuple[str, ...], returned: Column[Any] | None
    ) -> Prepared:
        """The INSERT of one row with these columns, which gives back another one, if any.

        And what the transaction is called, where that is of use.
        """
        back = () if returned is None else (returned,)
        return self._once((table, names), lambda: one_insert(table, names, *back, *self._called()))

    def prepared_update(
        self, table: Table, names: tuple[str, ...], expected: tuple[str, ...]
    ) -> Prepared:
        """The UPDATE of one row, found by what is expected of it; gives back as the INSERT does."""
        return self._once(
            (table, names, expected),
            lambda: one_update(table, names, expected, table.c[expected[0]], *self._called()),
        )

    def _once(
        self,
        key: object,
        make: Callable[[], tuple[Select[Any] | Insert | Update, tuple[str, ...]]],
    ) -> Prepared:
        found = self._prepared.get(key)
        if found is None:
            found = self._prepared[key] = Prepared(*make(), self.engine)
        return found

    def _called(self) -> tuple[ColumnElement[Any], ...]:
        id = self.dialect.transaction_id()
        return () if id is None else (id,)

    def create_all(self, metadata: MetaData) -> None:
        """Create the tables that are missing. For tests and first steps; later, migrate."""
        tables = [one for one in metadata.tables.values() if not one.info.get("is_view")]
        metadata.create_all(self.engine, tables=tables)

    def close(self) -> None:
        """Give back all connections that are not in use. A memory database is gone then.

        So is what its caches keep.
        """
        self.caches.clear()
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

    def was_committed(self, transaction: object, error: CommitOutcomeUnknown) -> bool:
        """Whether a COMMIT was done whose answer was lost; raises where nothing was stored.

        False if the server cannot tell. It is asked for as long as a connection may take, twice.
        """
        patience = 2 * self.settings.connect_timeout
        outcome = self.dialect.outcome(self.engine, transaction, patience)
        if outcome is False:
            lost = DatabaseUnavailable(f"{self.url}: {_NOTHING_STORED}")
            lost.driver_error = error.driver_error
            raise lost from None
        return outcome is True

    def after_fork(self) -> None:
        """Forget the parent's connections, without closing them for the parent."""
        Database._default_lock = threading.Lock()  # whoever held it is not in this process
        caches.after_fork()
        self.caches.after_fork()
        if self.in_memory:
            return  # its memory was copied, the connection included
        usable = [self.dialect.leave_to_parent(record) for record in self._connections.taken()]
        for engine in {self.engine, self.reader}:
            engine.dispose(close=False)
            if not all(usable):
                event.listen(engine, "do_connect", _refuse_in_child)


_Number = TypeVar("_Number", int, float)


def _positive(name: str, value: _Number) -> _Number:
    if not 0 < value < math.inf:
        raise ValidationError("Database", {name: "must be a number above zero"})
    return value


def _optional(name: str, value: float | None) -> float | None:
    return None if value is None else _positive(name, value)


def _handle_error(context: ExceptionContext) -> KitError | None:
    """Translate, hide what it tells of rows, and tell the unit whose statement failed."""
    if context.is_pre_ping:
        return None
    error = translate(context)
    hide_values(context)
    options = context.connection.get_execution_options() if context.connection else {}
    unit = options.get("kit_unit", _nobody)()
    if unit is None:
        return error
    if unit.committing and context.is_disconnect:
        error = CommitOutcomeUnknown(_UNKNOWN)
        error.driver_error = context.original_exception
    ended = context.is_disconnect or dialect_named(context.dialect.name).has_ended(context)
    first = error or context.sqlalchemy_exception or context.original_exception
    unit.fail(first, wholly=ended)
    return error


_UNKNOWN = (
    "the connection was lost during COMMIT, and the database could not tell what became of it: "
    "look whether the changes are stored"
)
_NOTHING_STORED = "the connection was lost before COMMIT was done: nothing is stored"


def _notice_writes(
    connection: Connection,
    _cursor: Any,
    statement: str,
    _parameters: Any,
    context: Any,
    _many: bool,
) -> None:
    """Tell the unit that there is something to commit."""
    unit = connection.get_execution_options().get("kit_unit", _nobody)()
    if unit is None or unit.read_only or (unit.wrote and unit.written is None):
        return
    found = writes_of(context, statement)
    unit.wrote |= found is None or bool(found)
    if unit.written is not None:
        unit.written.note_statements(found)


def _nobody() -> None:
    return None


def _refuse_in_child(*_: Any) -> None:
    raise DatabaseUnavailable(
        "this process was forked while a unit was writing, and cannot use that database: fork "
        "between units, or start processes by spawning"
    )
