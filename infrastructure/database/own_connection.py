"""A session with a connection of its own, as long as only prepared statements use it.

These go to the driver, and so does their COMMIT. Whatever needs SQLAlchemy's connection gets
one on the same, in the same transaction: the session joins it.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any, NoReturn

from sqlalchemy import Connection, Engine
from sqlmodel import Session

from infrastructure.database.database import Database
from infrastructure.database.shortcuts import (
    BegunLater,
    connection_on,
    give_back_clean,
    hears_of_transactions,
    held_alike,
    is_logged,
    open_session,
    raise_as_usual,
    raise_unconnected,
    taken,
    usable,
)


class OwnConnection(Session):
    """A session that need not have SQLAlchemy's connection."""

    vars().update(held_alike())  # with which every session of SQLAlchemy begins

    transaction_id: str | None = None

    cursor: Any = None
    """The driver's, as long as it may be used."""

    pooled: Any = None
    """The pool's, as long as SQLAlchemy has none."""

    _connection: Connection | None = None

    _owned: Sequence[Any] = ()
    """What is given back after the transaction."""

    def __init__(
        self, database: Database, *, read_only: bool, isolation_level: str | None = None
    ) -> None:
        self.plain_reads = read_only and isolation_level is None
        self.source: Engine = database.reader if self.plain_reads else database.engine
        options = database.dialect.unit_options(
            read_only=read_only, isolation_level=isolation_level
        )
        self.options: dict[str, Any] = {**options, "kit_unit": weakref.ref(self)}
        if usable():
            open_session(self, self.source, self.options)
        else:
            super().__init__(self.source, expire_on_commit=False, execution_options=self.options)
        self.database = database
        self.read_only = read_only
        self._begin = database.begins.get(read_only) if isolation_level is None else None

    def _autobegin_t(self, begin: bool = False) -> Any:
        begins_later = self.pooled is not None and not begin
        return BegunLater(self) if begins_later else super()._autobegin_t(begin)

    # -- the connection --------------------------------------------------------------------

    def get_bind(self, *args: Any, **options: Any) -> Any:
        """What the session works on: the connection that there is, if there is one."""
        if self.pooled is not None:
            self._hand_over()
        return super().get_bind(*args, **options)

    def joined(self) -> Connection:
        """SQLAlchemy's connection of this transaction."""
        if self._connection is None or self._connection.closed:
            self._connection = self._join()
        return self._connection

    def _join(self) -> Connection:
        if self.pooled is None and self.plain_reads and not self.in_transaction():
            return self._make_own(self.source.connect())
        own = None if self.pooled is None else self._hand_over()
        return own if own is not None and self.plain_reads else Session.connection(self)

    def _hand_over(self) -> Connection:
        pooled, self.pooled = self.pooled, None
        return self._make_own(connection_on(self.source, pooled))

    def _make_own(self, taken: Connection) -> Connection:
        connection = taken.execution_options(**self.options)
        self._owned = [*self._owned, connection]
        self.bind = connection
        return connection

    def take_cursor(self) -> Any:
        """The driver's cursor, in the transaction of this unit."""
        if not self._begins_directly():
            connection = self.joined()
            if not connection.in_transaction():
                connection.begin()
            self._use(connection.connection.driver_connection, connection.info)
        return self.cursor

    def _use(self, driver: Any, info: Any) -> None:
        try:
            self.cursor = self.database.dialect.cursor(driver, info)
        except Exception as error:  # noqa: BLE001 -- SQLAlchemy knows what to do with each
            self.raise_as_usual(error, None, None)

    def _begins_directly(self) -> bool:
        """Take a connection without SQLAlchemy's, where that is possible."""
        if self._begin is None or self._connection is not None or self.in_transaction():
            return False
        if self.plain_reads and self.source is not self.database.reader:
            return False
        if self._transactions_are_observed():
            return False
        try:
            pooled = self.pooled = taken(self.source)
        except self.source.dialect.loaded_dbapi.Error as error:
            raise_unconnected(self.source, error)
        self._use(pooled.driver_connection, pooled.info)
        if self._begin:
            try:
                self.cursor.execute(self._begin)
            except Exception as error:  # noqa: BLE001 -- SQLAlchemy knows what to do with each
                self.raise_as_usual(error, self._begin, ())
        return True

    def is_observed(self) -> bool:
        """Whether something is to be done with each statement, besides sending it."""
        if self.pooled is None and self._connection is None and self.in_transaction():
            self.joined()
        audience = self.database.audiences[self.source]
        return (
            not self.database.direct
            or audience.hears_statements(self._connection)
            or is_logged(self.source)
        )

    def _transactions_are_observed(self) -> bool:
        audience = self.database.audiences[self.source]
        return audience.hears_transactions() or hears_of_transactions(self)

    def raise_as_usual(self, error: Exception, sql: str | None, values: Any) -> NoReturn:
        """Raise what SQLAlchemy does of an error of the driver."""
        self.cursor = None
        connection = self.joined() if self.pooled is None else self._hand_over()
        raise_as_usual(connection, error, sql, values)

    # -- its end ---------------------------------------------------------------------------

    def commit_directly(self) -> None:
        """COMMIT what SQLAlchemy does not know of."""
        try:
            self.pooled.driver_connection.commit()
        except Exception as error:  # noqa: BLE001 -- SQLAlchemy knows what to do with each
            self.raise_as_usual(error, None, None)
        self._give_back_clean()

    def called(self) -> object:
        """What the transaction is called, should somebody have to ask what became of it."""
        dialect, known = self.database.dialect, self.transaction_id
        if known is not None:
            return dialect.transaction_called(known, (self.pooled or Session.connection(self)).info)
        return None if self.pooled is not None else dialect.transaction_of(Session.connection(self))

    def _give_back_clean(self) -> None:
        pooled, self.pooled = self.pooled, None
        give_back_clean(pooled)

    def give_back_connections(self) -> None:
        """After the transaction: let go of what the session does not manage."""
        if self.pooled is not None and self.plain_reads and not self._begin:
            self._give_back_clean()
        self.let_go()
        owned, self._owned = self._owned, ()
        for connection in owned:
            self._give_back(connection)

    def let_go(self) -> None:
        """From now on, use another connection; that one is given back later."""
        if self.pooled is not None:
            self._owned = [*self._owned, self.pooled]
        self.cursor = self._connection = self.pooled = None

    def _give_back(self, connection: Any) -> None:
        self.bind = self.source
        try:
            connection.close()
        except Exception:  # noqa: BLE001 -- whatever it is, the connection goes
            connection.invalidate()
