"""Faults that really happen to a unit, right before a statement of one's choice."""

from __future__ import annotations

import resource
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, repeat
from pathlib import Path
from typing import Any, ClassVar

from sqlalchemy import Connection, create_engine, event, text
from sqlalchemy.exc import ProgrammingError

from domain.errors import (
    DatabaseUnavailable,
    LockTimeout,
    ReadOnlyViolation,
    TransientError,
)
from infrastructure.database import Database

COMMIT = "COMMIT"
WAIT = "LOCK TABLE obstacle IN ACCESS EXCLUSIVE MODE"
Replaced = tuple[str, Any]
"""A statement that is sent instead, and its parameters."""


class Fault:
    """Something that goes wrong with a connection, and the errors that it may be."""

    errors: ClassVar[tuple[type[Exception], ...]]
    sure: ClassVar[bool] = True
    """Whether each statement notices."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def strike(self, driver: Any, statement: str, *, many: bool) -> Replaced | None:
        """Let it happen to the driver's connection, which is about to send a statement.

        May give another one to send instead; ``many`` times if so.
        """
        raise NotImplementedError

    def end(self) -> None:
        """It is over: the disk has room again, the lock is free."""

    def close(self) -> None:
        """It will not happen again."""


class Strike:
    """Counts what is sent through an engine, COMMIT included, and strikes at one of them.

    ``at`` is its number, from 1, or what the first of them begins with.
    """

    def __init__(self, database: Database, fault: Fault | None = None, at: int | str = 0) -> None:
        self.engine = database.engine
        self.fault = fault
        self.at = at
        self.struck = False
        self.sent: list[str] = []

    @contextmanager
    def watching(self) -> Iterator[list[str]]:
        event.listen(self.engine, "before_cursor_execute", self._execute, retval=True)
        event.listen(self.engine, "commit", self._commit)
        try:
            yield self.sent
        finally:
            event.remove(self.engine, "before_cursor_execute", self._execute)
            event.remove(self.engine, "commit", self._commit)
            if self.fault is not None and self.struck:
                self.fault.end()

    def _execute(
        self, connection: Connection, _: Any, statement: str, parameters: Any, *__: Any
    ) -> Replaced:
        many = isinstance(parameters, list)
        return self._note(connection, statement, many=many) or (statement, parameters)

    def _commit(self, connection: Connection) -> None:
        self._note(connection, COMMIT, many=False)

    def _note(self, connection: Connection, statement: str, *, many: bool) -> Replaced | None:
        self.sent.append(statement)
        if self.fault is None or self.struck or not self._is_it(statement):
            return None
        self.struck = True
        driver = connection.connection.driver_connection
        return self.fault.strike(driver, statement, many=many)

    def _is_it(self, statement: str) -> bool:
        if isinstance(self.at, str):
            return statement.startswith(self.at)
        return len(self.sent) == self.at


# -- SQLite ----------------------------------------------------------------------------------


class Closed(Fault):
    """Somebody closes the driver's connection: a mistake, which may look like one."""

    errors = (DatabaseUnavailable, ProgrammingError)

    def strike(self, driver: Any, statement: str, *, many: bool) -> None:
        driver.close()


class Interrupted(Fault):
    """What runs is ended, once, by a timeout of somebody's."""

    errors = (TransientError,)
    sure = False  # a short statement is over before anybody looks

    def strike(self, driver: Any, statement: str, *, many: bool) -> None:
        self.driver = driver
        answers = chain([True], repeat(False))
        driver.set_progress_handler(lambda: next(answers), 1)

    def end(self) -> None:
        self.driver.set_progress_handler(None, 0)


class Full(Fault):
    """The database has no room for one more page."""

    errors = (DatabaseUnavailable,)
    sure = False

    def strike(self, driver: Any, statement: str, *, many: bool) -> None:
        self.driver = driver
        driver.execute("PRAGMA max_page_count = 1")  # the least that is possible is what it has

    def end(self) -> None:
        self.driver.execute("PRAGMA max_page_count = 1000000")


class NoRoomOnDisk(Fault):
    """No file can grow any more; SQLite writes to its log at COMMIT."""

    errors = (DatabaseUnavailable,)

    def strike(self, driver: Any, statement: str, *, many: bool) -> None:
        log = Path(f"{self.database.engine.url.database}-wal")
        _, self.most = resource.getrlimit(resource.RLIMIT_FSIZE)
        size = log.stat().st_size if log.exists() else 0
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, self.most))

    def end(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.most, self.most))


class ReadOnly(Fault):
    """The database is not to be written any more."""

    errors = (ReadOnlyViolation,)
    sure = False

    def strike(self, driver: Any, statement: str, *, many: bool) -> None:
        self.driver = driver
        driver.execute("PRAGMA query_only = ON")

    def end(self) -> None:
        self.driver.execute("PRAGMA query_only = OFF")


# -- PostgreSQL ------------------------------------------------------------------------------


class _OfServer(Fault):
    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.engine = create_engine(database.engine.url, isolation_level="AUTOCOMMIT")
        self.other = self.engine.connect()

    def close(self) -> None:
        self.other.close()
        self.engine.dispose()


class Terminated(_OfServer):
    """An operator ends the session."""

    errors = (DatabaseUnavailable,)

    def strike(self, driver: Any, statement: str, *, many: bool) -> None:
        pid = {"pid": driver.info.backend_pid}
        self.other.execute(text("SELECT pg_terminate_backend(:pid)"), pid)
        is_there = text("SELECT 1 FROM pg_stat_activity WHERE pid = :pid")
        while self.other.execute(is_there, pid).all():
            time.sleep(0.001)


OBSTACLE = [
    "CREATE TABLE obstacle ()",
    """
    CREATE FUNCTION wait_at_commit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF current_setting('kit.waits', true) = 'yes' THEN
            LOCK TABLE obstacle IN ACCESS EXCLUSIVE MODE;
        END IF;
        RETURN NULL;
    END $$
    """,
    """
    CREATE CONSTRAINT TRIGGER waits AFTER INSERT ON library_books
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait_at_commit()
    """,
]
"""A table for which one can wait, in a statement and in COMMIT."""


class _Waiting(_OfServer):
    """Statements and COMMIT wait for a lock."""

    timeout: ClassVar[int] = 0

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        for statement in OBSTACLE:
            self.other.exec_driver_sql(statement)

    def strike(self, driver: Any, statement: str, *, many: bool) -> Replaced | None:
        self.other.exec_driver_sql("BEGIN")
        self.other.exec_driver_sql(WAIT)
        driver.execute(f"SET LOCAL lock_timeout = {self.timeout}; SET LOCAL kit.waits = 'yes'")
        return None if statement == COMMIT else (WAIT, [{}] if many else {})

    def end(self) -> None:
        self.other.exec_driver_sql("ROLLBACK")


class Locked(_Waiting):
    """Somebody else has a lock, and keeps it."""

    errors = (LockTimeout,)
    timeout = 10


class Cancelled(_Waiting):
    """An operator ends the statement while it waits."""

    errors = (TransientError,)

    def strike(self, driver: Any, statement: str, *, many: bool) -> Replaced | None:
        replaced = super().strike(driver, statement, many=many)
        self.thread = threading.Thread(target=self._cancel, args=(driver.info.backend_pid,))
        self.thread.start()
        return replaced

    def _cancel(self, pid: int) -> None:
        query = text(
            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity "
            "WHERE pid = :pid AND wait_event_type = 'Lock'"
        )
        with self.engine.connect() as operator:
            while not operator.execute(query, {"pid": pid}).all():
                time.sleep(0.001)

    def end(self) -> None:
        super().end()
        self.thread.join()


FAULTS: dict[str, list[type[Fault]]] = {
    "sqlite-memory": [Interrupted, Full, ReadOnly],
    "sqlite-file": [Closed, Interrupted, Full, NoRoomOnDisk, ReadOnly],
    "postgresql": [Terminated, Cancelled, Locked],
}
