"""What a dialect has to know about its database."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import (
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    MutableMapping,
    Sequence,
)
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, Protocol

from sqlalchemy import (
    URL,
    Column,
    ColumnElement,
    Connection,
    Constraint,
    Engine,
    Executable,
    Table,
    Update,
    bindparam,
    update,
)
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.types import TypeEngine

from domain.errors import ConflictError, KitError, LockTimeout


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to connect; times in seconds."""

    url: URL
    echo: bool = False
    pool_size: int = 5
    connect_timeout: float = 5.0
    busy_timeout: float = 30.0
    statement_timeout: float | None = None
    lock_timeout: float | None = None
    pgbouncer: bool = False


@dataclass(frozen=True)
class Violation:
    """A constraint that did not hold, in the words of the database."""

    kind: type[ConflictError]
    table: str | None = None
    columns: tuple[str, ...] = ()
    constraint: str | None = None


class MigrationError(KitError):
    """A migration that would lose something, or that cannot be run; nothing was changed."""


@dataclass(frozen=True)
class Migration:
    """A transaction in which revisions are run, one after the other."""

    connection: Connection

    lost: Callable[[], set[str]]
    """What went since the last call, in the words of ``drops``: ``people``, ``people.name``.

    Whoever wrote the SQL, and however. Tables of another schema than the usual one are
    ``schema.table``. What came and went between two calls does not count.
    """


Rows = Sequence[Mapping[str, Any]]
"""Values by the names of parameters, the same names in each row."""

Columns = Mapping[str, Sequence[Any]]
"""Values by the names of columns, one list for each, all of one length above zero."""


class AsRows(Sequence[tuple[Any, ...]]):
    """Columns, seen as rows, each of which is made when it is asked for."""

    def __init__(self, columns: Sequence[Sequence[Any]]) -> None:
        self.columns = columns

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return zip(*self.columns, strict=True)

    def __len__(self) -> int:
        return len(self.columns[0])

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return list(self)[at]
        return tuple(column[at] for column in self.columns)


class Statement(NamedTuple):
    """What to execute, the parameters for each time, and execution options."""

    executable: Executable
    parameters: Any = None
    options: Mapping[str, Any] = MappingProxyType({})


class Write(Protocol):
    """A statement that was made once, for any number of batches."""

    def __call__(
        self, connection: Connection, columns: Columns, constants: Mapping[str, Any]
    ) -> Statement:
        """Write these rows; ``constants`` are other parameters, the same for each row."""
        ...


def values_for(table: Table, names: Iterable[str], also: Mapping[str, Any]) -> dict[Any, Any]:
    """What SET writes: parameters by the names of the columns, and expressions."""
    values: dict[Any, Any] = {
        table.c[n]: bindparam(f"to_{n}", type_=table.c[n].type) for n in names
    }
    return values | {table.c[name]: expression for name, expression in also.items()}


def one_by_one(columns: Columns, constants: Mapping[str, Any]) -> Rows:
    """The parameters of one statement for each row, sent together."""
    rows = zip(*columns.values(), strict=True)
    return [dict(zip(columns, row, strict=True)) | {**constants} for row in rows]


def updated_one_by_one(
    table: Table, keys: Sequence[str], names: Sequence[str], also: Mapping[str, Any]
) -> Update:
    """UPDATE by key, for one row; its parameters are ``to_name``."""
    changed = [name for name in names if name not in keys]
    statement = update(table).values(values_for(table, changed, also))
    return statement.where(*(table.c[name] == bindparam(f"to_{name}") for name in keys))


def all_are(kind: type, values: Sequence[Any]) -> bool:
    """Whether all values have this very type: the fastest way to ask it of many."""
    return list(map(type, values)).count(kind) == len(values)


def bound(type_: TypeEngine[Any], values: Sequence[Any], connection: Connection) -> Sequence[Any]:
    """What the driver takes for the values of one column."""
    dialect = connection.dialect
    process = type_.dialect_impl(dialect).bind_processor(dialect)
    return values if process is None else list(map(process, values))


def keep_for_ever(connection: object) -> None:
    """Let nobody collect it: what it would do then is for another process to do."""
    import ctypes  # few need it

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))


MEANWHILE = "kit_meanwhile"
"""The execution option with steps of work that may be done while the database is at its own.

An iterator; whoever gave it does what is left of it afterwards.
"""

READ_ONLY = "kit_read_only"
"""The execution option of a connection that may only read, where the engine looks at it."""


class Dialect(ABC):
    """One database. Stateless."""

    serves_one: ClassVar[str] = "a memory database serves one unit at a time"
    """What to say where ``exclusive`` databases are asked for more."""

    busy: ClassVar[type[KitError]] = LockTimeout
    """What to raise if another thread uses an ``exclusive`` database for too long."""

    rows_are_bounds: ClassVar[bool] = False
    """Whether ``(a, b) < (x, y)`` finds its place in an index of both columns by both."""

    claims_at: ClassVar[str | None] = "READ COMMITTED"
    """The isolation level of those who claim messages; None where there is none to ask for."""

    row_by_row: ClassVar[bool] = False
    """Whether a statement with many rows writes them one after the other, in their order."""

    def wrong_with(self, url: URL) -> str | None:
        """Why a URL cannot be what was meant, without telling it; None if it can."""
        if "@" in (url.host or "") or "@" in (url.database or ""):
            return "has an @ in its host or database; in a password, it is written as %40"
        return None

    def in_memory(self, settings: Settings) -> bool:
        """Whether the database is in the memory of this process, and a fork copies it."""
        return False

    def exclusive(self, settings: Settings) -> bool:
        """Whether the database serves one unit at a time."""
        return self.in_memory(settings)

    @abstractmethod
    def engine(self, settings: Settings) -> Engine:
        """An engine for writing units, with everything set on each connection."""

    @abstractmethod
    def reader(self, settings: Settings, engine: Engine) -> Engine:
        """The engine for read-only units at the default isolation level."""

    def direct(self, settings: Settings) -> bool:
        """Whether a statement may go to the driver without SQLAlchemy's events."""
        return True

    def begin_directly(self, settings: Settings, *, read_only: bool) -> str | None:
        """What begins a transaction at the default level; empty if nothing has to.

        None where that is more than one command.
        """
        return None

    def cursor(self, driver: Any, info: MutableMapping[Any, Any]) -> Any:
        """A cursor of the driver's connection, for statements whose rows are read at once.

        ``info`` is of the pool's record.
        """
        return driver.cursor()

    @abstractmethod
    def streamer(self, engine: Engine, reader: Engine) -> Engine:
        """The engine for reading by a cursor in read-only units at the default isolation level."""

    @abstractmethod
    def unit_options(self, *, read_only: bool, isolation_level: str | None) -> Mapping[str, Any]:
        """Execution options for the connection of a unit."""

    @abstractmethod
    def leave_to_parent(self, record: Any) -> bool:
        """In a forked child: let go of a connection that the parent had, whatever it was doing.

        ``record`` is the pool's. False if the database cannot be used in this process then.
        """

    def transaction_of(self, connection: Connection) -> object:
        """What to call the transaction afterwards; asked before COMMIT of whoever may write."""
        return None

    def transaction_called(self, id: str, info: Mapping[Any, Any]) -> object:
        """The same where a statement gave its ``transaction_id``.

        ``info`` is what is remembered with the connection.
        """
        return None

    def transaction_id(self) -> ColumnElement[Any] | None:
        """What a statement that writes can give back for ``transaction_called``, if of use."""
        return None

    def outcome(self, engine: Engine, transaction: object, patience: float) -> bool | None:
        """Whether a transaction was committed whose answer was lost; None if nobody can tell.

        ``transaction`` is what ``transaction_of`` gave, ``patience`` in seconds.
        """
        return None

    @abstractmethod
    def migrating(self, engine: Engine, lock_timeout: float) -> AbstractContextManager[Migration]:
        """One transaction for a migration, with no other migration anywhere beside it.

        ``lock_timeout`` is how long it waits for the users of a table, in seconds: those
        who wait behind it wait as long.
        """

    @abstractmethod
    def migration_settings(self, lock_timeout: float) -> Sequence[str]:
        """What a migration begins with that is written down as SQL, for somebody else to run."""

    def autogenerate_plugins(self) -> Sequence[str]:
        """What Alembic shall compare besides what it knows of."""
        return ()

    @abstractmethod
    def failure(self, context: ExceptionContext) -> type[KitError] | None:
        """The kind of a driver's error, by its code; None for what is a bug."""

    def has_ended(self, context: ExceptionContext) -> bool:
        """Whether an error ended the whole transaction, savepoints included."""
        return False

    @abstractmethod
    def discreet(self, error: BaseException) -> str | None:
        """What a driver's error may say without telling values; None if it tells none."""

    @abstractmethod
    def violation(self, context: ExceptionContext, kind: type[ConflictError]) -> Violation:
        """Which constraint did not hold."""

    @abstractmethod
    def default_name(
        self, constraint: Constraint, table: str, columns: Sequence[str]
    ) -> str | None:
        """What the database calls a constraint that was given no name; None if nothing."""

    @abstractmethod
    def among(self, column: Column[Any], values: Collection[Any]) -> ColumnElement[bool]:
        """``column IN values`` for any number of values, none of them None."""

    @abstractmethod
    def by_code_point(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """A text column of any making, comparing and sorting by code point."""

    @abstractmethod
    def text_match(
        self, column: ColumnElement[Any], operator: str, text: str
    ) -> ColumnElement[bool]:
        """``contains``, ``startswith`` or ``endswith``, case-sensitive."""

    @abstractmethod
    def prepare_to_fetch(self, cursor: Any) -> None:
        """Before the first of many rows is fetched from a driver's cursor."""

    def faster(self, type_: TypeEngine[Any], usual: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Does what SQLAlchemy's ``usual`` does to each value of a column."""
        return usual

    @abstractmethod
    def reserve_keys(
        self, connection: Connection, column: Column[Any], count: int, above: int
    ) -> Sequence[int] | None:
        """Keys that nobody else will be given; None where INSERT returns them as cheaply."""

    @abstractmethod
    def take_keys(
        self, connection: Connection, column: Column[Any], count: int
    ) -> Sequence[int] | None:
        """Keys that nobody else will be given, for rows that are given none; None: there are none.

        Unlike ``reserve_keys``, this may ask the database where INSERT would return them, too.
        """

    @abstractmethod
    def inserting(self, table: Table, names: Sequence[str]) -> Write:
        """INSERT of these columns, without giving anything back."""

    @abstractmethod
    def updating(
        self, table: Table, keys: Sequence[str], names: Sequence[str], also: Mapping[str, Any]
    ) -> Write:
        """UPDATE by key of what is named besides; ``also`` are expressions that all rows get."""

    @abstractmethod
    def upserting(
        self,
        table: Table,
        names: Sequence[str],
        on: Sequence[str],
        written: Collection[str],
        also: Mapping[str, Any],
    ) -> Write:
        """INSERT, or UPDATE of what is ``written``, and ``also``, where the unique key is there."""

    @abstractmethod
    def text_type(self, length: int | None) -> TypeEngine[Any]:
        """Text that compares and sorts by code point."""

    @abstractmethod
    def row_number_type(self) -> TypeEngine[Any]:
        """Keys of 64 bits that the database counts up."""

    def server_time(self) -> ColumnElement[datetime] | None:
        """The time of a server that many machines share, the same object each time.

        None where there is no server.
        """
        return None

    @abstractmethod
    def decimal_type(self, precision: int | None, scale: int | None) -> TypeEngine[Any]:
        """Decimals, exact."""

    @abstractmethod
    def json_type(self) -> TypeEngine[Any]:
        """Lists and dicts."""
