"""A migration on PostgreSQL: alone, in one transaction, and what it drops is known."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, event

from domain.errors import LockTimeout
from infrastructure.database.dialects.base import Migration, MigrationError

_LOCK = 0x4B49544D  # any number that is the same everywhere: "KITM"

_SHAPE = """
SELECT c.oid, coalesce(a.attnum, 0),
       CASE WHEN n.nspname = current_schema() THEN '' ELSE n.nspname || '.' END
       || c.relname || coalesce('.' || a.attname, '')
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN LATERAL (
    SELECT attnum, attname FROM pg_attribute
    WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped
    UNION ALL SELECT NULL, NULL
) a ON true
WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
"""

_FIRST_WORD = re.compile(r"(?:\s|--[^\n]*|/\*.*?\*/)*(\w+)(?:\s+(\w+))?", re.DOTALL)
_CHANGES_NO_TABLE = {"SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "SET", "SHOW", "VALUES"}
_ENDS = {"ABORT", "BEGIN", "COMMIT", "END", "START"}


def settings(lock_timeout: float) -> Sequence[str]:
    """Waiting for another migration is fine; waiting for users of a table blocks them all."""
    return (
        "SET LOCAL lock_timeout = 0",
        f"SELECT pg_advisory_xact_lock({_LOCK})",
        f"SET LOCAL lock_timeout = {round(lock_timeout * 1000)}",
    )


@contextmanager
def migrating(engine: Engine, lock_timeout: float) -> Iterator[Migration]:
    """See ``Dialect.migrating``."""
    # At a higher level the snapshot would be older than the end of the wait for the lock.
    engine = engine.execution_options(isolation_level="READ COMMITTED")
    with engine.begin() as connection:
        _wait_for_others(connection, lock_timeout)
        shape = _Shape(connection)
        event.listen(connection, "before_cursor_execute", _refuse_an_end)
        event.listen(connection, "after_cursor_execute", shape.after)
        try:
            yield Migration(connection, shape.lost)
        except LockTimeout as error:
            clear = LockTimeout(
                f"a table was in use by others for {lock_timeout:g} seconds, and nothing was "
                "changed; migrate again when less goes on, or with Database(lock_timeout=…)"
            )
            clear.driver_error = error.driver_error
            raise clear from None


def _wait_for_others(connection: Connection, lock_timeout: float) -> None:
    asked = connection.exec_driver_sql("SHOW statement_timeout").scalar_one()
    connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
    for statement in settings(lock_timeout):
        connection.exec_driver_sql(statement)
    connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{asked}'")


class _Shape:
    """The tables and columns by their numbers, which a new name does not change."""

    def __init__(self, connection: Connection) -> None:
        self._raw: Any = connection.connection.dbapi_connection
        self._now = self._look()
        self._start = set(self._now)
        self._gone: set[str] = set()

    def after(self, connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        """After each statement: at the end a table may have another name."""
        match = _FIRST_WORD.match(statement)
        if match is None or match[1].upper() not in _CHANGES_NO_TABLE:
            self._compare()

    def lost(self) -> set[str]:
        """See ``Migration.lost``."""
        self._compare()
        gone, self._gone, self._start = self._gone, set(), set(self._now)
        return gone

    def _compare(self) -> None:
        before, self._now = self._now, self._look()
        gone = before.keys() & self._start - self._now.keys()
        tables = {table for table, column in gone if column == 0}
        self._gone |= {before[key] for key in gone if key[1] == 0 or key[0] not in tables}

    def _look(self) -> dict[tuple[int, int], str]:
        return {(table, column): name for table, column, name in self._raw.execute(_SHAPE)}


def _refuse_an_end(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
    match = _FIRST_WORD.match(statement)
    first, second = (match[1].upper(), (match[2] or "").upper()) if match else ("", "")
    if first in _ENDS or (first == "ROLLBACK" and second != "TO"):
        raise MigrationError(
            f"{first} in a revision; all revisions run in one transaction, which is not theirs"
        )
