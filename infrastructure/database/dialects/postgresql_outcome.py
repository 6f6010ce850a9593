"""What became of a transaction whose connection was lost during COMMIT."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Engine, Text, cast, func
from sqlalchemy.exc import SQLAlchemyError

from domain.errors import KitError

_INCARNATION = "kit_incarnation"
_PAUSE = 0.05

# The statistics begin anew with each recovery from a crash, and only then or when somebody
# resets them: a crash may forget transactions that were not on disk, and their numbers are
# given again to others.
_ASK_INCARNATION = "SELECT stats_reset FROM pg_stat_bgwriter"
_ASK_ID = "SELECT pg_current_xact_id_if_assigned()::text"
_ASK_STATUS = "SELECT pg_xact_status(%s::text::xid8), stats_reset FROM pg_stat_bgwriter"
_IN_THE_FUTURE = "22023"

# COMMIT did not arrive, and the server has not noticed that nobody will send it.
_END = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE backend_xid = %s::text::xid8::xid AND state LIKE 'idle in transaction%%'
"""


class Transaction(NamedTuple):
    """The number of a transaction, and since when the server counts without a gap."""

    id: str
    incarnation: object


def note_incarnation(connection: Any, record: Any) -> None:
    """When a connection is made: since when its server counts."""
    connection.autocommit = True
    record.info[_INCARNATION] = connection.execute(_ASK_INCARNATION).fetchone()[0]
    connection.autocommit = False


def transaction_id() -> ColumnElement[str]:
    """The number of the transaction, for a statement that writes to give back."""
    return cast(func.pg_current_xact_id(), Text)


def transaction_called(id: str, info: Mapping[Any, Any]) -> Transaction:
    """The transaction with this number, on a connection with this in its record."""
    return Transaction(id, info[_INCARNATION])


def transaction_of(connection: Connection) -> Transaction | None:
    """The transaction of a connection, or None if it has written nothing."""
    raw: Any = connection.connection.driver_connection
    try:  # by the driver itself: it is one more round trip for each COMMIT as it is
        (id,) = raw.execute(_ASK_ID).fetchone()
    except raw.OperationalError:  # the connection is lost: again, for whoever handles errors
        id = connection.exec_driver_sql(_ASK_ID).scalar_one()
    return None if id is None else transaction_called(id, connection.info)


def outcome(engine: Engine, transaction: object, patience: float) -> bool | None:
    """Whether it was committed; None if the server does not know, or not within ``patience``."""
    if not isinstance(transaction, Transaction):
        return False  # there was nothing to store
    asking = engine.execution_options(isolation_level="AUTOCOMMIT")
    deadline = time.monotonic() + patience
    while True:
        try:
            with asking.connect() as connection:
                status, incarnation = _status(connection, transaction)
                same = incarnation == transaction.incarnation
                if status != "in progress" or not same:
                    return _judge(status, same=same)
                connection.exec_driver_sql(_END, (transaction.id,))
        except (KitError, SQLAlchemyError) as error:
            if _sqlstate(error) == _IN_THE_FUTURE:  # its number was never on disk
                return False
        if time.monotonic() > deadline:
            return None
        time.sleep(_PAUSE)


def _status(connection: Connection, transaction: Transaction) -> tuple[str | None, object]:
    status, incarnation = connection.exec_driver_sql(_ASK_STATUS, (transaction.id,)).one()
    return status, incarnation


def _judge(status: str | None, *, same: bool) -> bool | None:
    if status == "committed":
        return True if same else None  # perhaps another one that was given its number
    if status == "aborted":
        return False
    return None if status is None else False  # another one that was given its number


def _sqlstate(error: BaseException) -> str | None:
    driver_error = getattr(error, "driver_error", None) or getattr(error, "orig", None)
    return getattr(driver_error, "sqlstate", None)
