"""A database for tests, of which nothing is ever committed.

One connection has one transaction, which is rolled back in the end. What looks
like transactions from outside are savepoints in it.
"""

from __future__ import annotations

import weakref
from abc import abstractmethod
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

from sqlalchemy import URL, ColumnElement, Connection, Engine, event

from domain.errors import KitError, UnitOfWorkError
from infrastructure.database.dialects.base import READ_ONLY, Dialect, Settings, keep_for_ever
from infrastructure.database.dialects.templates import Templates

_NAME = "kit_unit"
_INSTEAD = "a test that needs it asks for the fixture committed_database"
_CLOSED = (
    "no test has opened the sandbox: a test names database, uow or uow_factory among its "
    "arguments; what every test shall find is made by the fixture database_schema"
)
_LOST = f"the connection of the sandbox was lost, and all that it held; {_INSTEAD}"
_FORKED = f"the sandbox of a test stays with the process that opened it; {_INSTEAD}"
_ISOLATION = f"the sandbox of a test is one transaction and has no isolation level; {_INSTEAD}"
_ENDED = (
    "the transaction of the sandbox was ended in the middle of the test, by COMMIT or ROLLBACK "
    f"behind the kit's back or by the database itself, and may have left rows; {_INSTEAD}"
)
_LEFT_OPEN = "the test has left a unit of work or a connection open"


class SandboxError(UnitOfWorkError):
    """A test has done what its sandbox cannot undo, or has left something open."""


class Sandboxed(Dialect):
    """What a dialect does otherwise in a sandbox. For a class that has a dialect behind it."""

    serves_one: ClassVar[str] = (
        "the sandbox of a test serves one unit at a time (committed_database serves many)"
    )
    busy: ClassVar[type[KitError]] = UnitOfWorkError  # to run the unit again would not help
    claims_at: ClassVar[str | None] = None

    def in_memory(self, settings: Settings) -> bool:
        return False  # a copy in a forked child would not be what the parent looks at

    def exclusive(self, settings: Settings) -> bool:
        return True

    def reader(self, settings: Settings, engine: Engine) -> Engine:
        return engine

    def begin_directly(self, settings: Settings, *, read_only: bool) -> str | None:
        return None

    def streamer(self, engine: Engine, reader: Engine) -> Engine:
        return reader

    def unit_options(self, *, read_only: bool, isolation_level: str | None) -> Mapping[str, Any]:
        if isolation_level is not None:
            raise UnitOfWorkError(_ISOLATION)
        return {READ_ONLY: True} if read_only else {}

    def server_time(self) -> ColumnElement[datetime] | None:
        return None  # the clock of the test moves, and that of a server does not

    def transaction_of(self, connection: Connection) -> object:
        return None

    def transaction_called(self, id: str, info: Mapping[Any, Any]) -> object:
        return None

    def transaction_id(self) -> ColumnElement[Any] | None:
        return None

    def outcome(self, engine: Engine, transaction: object, patience: float) -> bool | None:
        return False

    @abstractmethod
    def templates(self, url: URL, folder: Path) -> Templates:
        """Where databases like the one of ``url`` come from; itself it is not touched."""

    @abstractmethod
    def begin_all(self, raw: Any) -> None:
        """Begin the one transaction on the driver's connection."""

    @abstractmethod
    def goes_on(self, raw: Any) -> bool:
        """Whether that transaction is still there."""

    @abstractmethod
    def begun(self, connection: Connection, *, read_only: bool) -> None:
        """A transaction has begun, as far as can be seen from outside."""

    @abstractmethod
    def check_deferred(self, raw: Any) -> None:
        """Raise what COMMIT would because of a deferred constraint."""


class Sandbox:
    """The one transaction of an engine, from ``open()`` to ``close()``."""

    def __init__(self, dialect: Sandboxed, engine: Engine) -> None:
        self._dialect = dialect
        self._engine = engine
        self._why = _CLOSED
        self._raw: Any = None
        self._in_savepoint = False
        self._holder: Callable[[], Connection | None] = _nothing
        event.listen(engine, "begin", self._begin, insert=True)
        ends: Any = engine.dialect
        ends.do_commit, ends.do_rollback = self._commit, self._rollback

    def open(self) -> None:
        """Begin; from now on the engine can be used."""
        if self._raw is not None:
            raise SandboxError("the sandbox is open already, and is for one test at a time")
        with closing(self._engine.raw_connection()) as pooled:
            raw: Any = pooled.driver_connection
            raw.rollback()
            self._dialect.begin_all(raw)
            self._raw, self._why = raw, _LOST

    def close(self) -> None:
        """Undo everything. Raises ``SandboxError`` if something cannot be undone, or is open."""
        raw, self._raw, self._why = self._raw, None, _CLOSED
        left_open = self._holder() if self._in_savepoint else None
        if left_open is not None and left_open.closed:
            left_open = None
        ended = not self._dialect.goes_on(raw)
        self._in_savepoint = False
        try:
            if left_open is not None:
                _let_go(left_open)
        finally:
            if not ended:
                raw.rollback()
        if left_open is not None or ended:
            raise SandboxError(_ENDED if ended else _LEFT_OPEN)

    def leave_to_parent(self) -> None:
        """In a forked child: never touch the connection."""
        if self._raw is not None:
            keep_for_ever(self._raw)
        self._raw, self._why = None, _FORKED

    def _begin(self, connection: Connection) -> None:
        raw = connection.connection.driver_connection
        if raw is not self._raw or not self._dialect.goes_on(raw):
            raise SandboxError(self._why)
        connection.exec_driver_sql(f"SAVEPOINT {_NAME}")
        self._in_savepoint, self._holder = True, weakref.ref(connection)
        read_only = bool(connection.get_execution_options().get(READ_ONLY))
        self._dialect.begun(connection, read_only=read_only)

    def _commit(self, _: object) -> None:
        if self._in_savepoint:
            self._dialect.check_deferred(self._raw)
            self._end("RELEASE SAVEPOINT")

    def _rollback(self, connection: Any) -> None:
        if connection.driver_connection is not self._raw:  # it is just being made
            connection.rollback()
        elif self._in_savepoint:
            self._in_savepoint = False
            self._end("ROLLBACK TO SAVEPOINT", "RELEASE SAVEPOINT")

    def _end(self, *commands: str) -> None:
        for command in commands:
            self._raw.execute(f"{command} {_NAME}")
        self._in_savepoint = False


def _let_go(connection: Connection) -> None:
    unit = connection.get_execution_options().get("kit_unit", _nothing)()
    if unit is not None:
        unit.leave()
    connection.close()


def _nothing() -> None:
    return None
