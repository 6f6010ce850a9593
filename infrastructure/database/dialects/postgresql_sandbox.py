"""PostgreSQL for tests: a sandbox, and copies of one database."""

from __future__ import annotations

import re
import uuid
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, create_engine
from sqlalchemy.exc import SQLAlchemyError

from domain.errors import DatabaseUnavailable
from infrastructure.database.dialects.base import Settings
from infrastructure.database.dialects.postgresql import PostgreSQL
from infrastructure.database.dialects.sandbox import Sandboxed
from infrastructure.database.dialects.templates import Templates

_IDLE = 0  # psycopg.pq.TransactionStatus.IDLE
_LONGEST = 63
_DEFERRED = """
    SELECT string_agg(DISTINCT format('%I.%I', n.nspname, c.conname), ', ')
    FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace
    WHERE c.condeferred
"""


class SandboxedPostgreSQL(Sandboxed, PostgreSQL):
    """A connection that stays in one transaction."""

    def pool(self, settings: Settings) -> Mapping[str, Any]:
        return {"pool_size": 1, "max_overflow": 0, "pool_timeout": settings.busy_timeout}

    def begin_all(self, raw: Any) -> None:
        raw.execute("BEGIN")

    def goes_on(self, raw: Any) -> bool:
        return not raw.closed and raw.info.transaction_status != _IDLE

    def begun(self, connection: Connection, *, read_only: bool) -> None:
        if read_only:  # until the savepoint ends
            connection.exec_driver_sql("SET TRANSACTION READ ONLY")

    def check_deferred(self, raw: Any) -> None:
        (deferred,) = raw.execute(_DEFERRED).fetchone()
        raw.execute("SET CONSTRAINTS ALL IMMEDIATE")
        if deferred:
            raw.execute(f"SET CONSTRAINTS {deferred} DEFERRED")

    def templates(self, url: URL, folder: Path) -> Templates:
        return _Databases(url)


class _Databases(Templates):
    """Each run has names of its own, and removes those of runs that were killed."""

    def __init__(self, url: URL) -> None:
        self._url = url
        self._server = create_engine(url, isolation_level="AUTOCOMMIT", hide_parameters=True)
        try:
            self._connection = self._server.connect()
        except SQLAlchemyError as error:
            where = url.render_as_string(hide_password=True)
            raise DatabaseUnavailable(
                f"{where}: cannot be connected to, to make test databases beside it: "
                f"{_first_line(error)}"
            ) from None
        self._prefix = f"test_{url.database or 'app'}"[: _LONGEST - 20]
        self._run = uuid.uuid4().hex[:8]
        self._made = 0
        self._remove_those_of_dead_runs()
        self._lock(self._run)
        self.original = self._create("template1")

    def copy(self) -> URL:
        return self._create(str(self.original.database))

    def for_sandbox(self) -> URL:
        return self.copy()

    def drop(self, url: URL) -> None:
        self._drop(str(url.database))

    def close(self) -> None:
        self.drop(self.original)
        self._connection.close()
        self._server.dispose()

    def _create(self, template: str) -> URL:
        self._made += 1
        name = f"{self._prefix}_{self._run}_{self._made}"
        self._execute(f"CREATE DATABASE {self._quoted(name)} TEMPLATE {self._quoted(template)}")
        return self._url.set(database=name)

    def _drop(self, name: str) -> None:
        self._execute(f"DROP DATABASE IF EXISTS {self._quoted(name)} WITH (FORCE)")

    def _remove_those_of_dead_runs(self) -> None:
        ours = re.compile(re.escape(self._prefix) + "_([0-9a-f]{8})_[0-9]+")
        names = self._connection.exec_driver_sql("SELECT datname FROM pg_database").scalars()
        for found in filter(None, map(ours.fullmatch, names.all())):
            if self._lock(found[1]):
                with suppress(SQLAlchemyError):  # somebody else was faster
                    self._drop(found[0])

    def _lock(self, run: str) -> bool:
        """Whether this run is nobody else's; held as long as the connection is."""
        number = zlib.crc32(f"{self._prefix}_{run}".encode())
        asked = self._connection.exec_driver_sql(
            "SELECT pg_try_advisory_lock(%(number)s)", {"number": number}
        )
        return bool(asked.scalar_one())

    def _execute(self, command: str) -> None:
        self._connection.exec_driver_sql(command)

    def _quoted(self, name: str) -> str:
        return self._server.dialect.identifier_preparer.quote_identifier(name)


def _first_line(error: BaseException) -> str:
    return str(getattr(error, "orig", error)).partition("\n")[0]


DIALECT = SandboxedPostgreSQL()
