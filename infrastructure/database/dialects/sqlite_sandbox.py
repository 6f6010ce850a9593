"""SQLite for tests: a sandbox, and copies of one file."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, event

from infrastructure.database.dialects.base import READ_ONLY, Settings
from infrastructure.database.dialects.sandbox import Sandboxed
from infrastructure.database.dialects.sqlite import SQLite
from infrastructure.database.dialects.sqlite_connect import begin
from infrastructure.database.dialects.templates import Templates

_FOREIGN_KEY = (787, "SQLITE_CONSTRAINT_FOREIGNKEY")
_DEFERS = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE sql LIKE '%INITIALLY%DEFERRED%')"


class SandboxedSQLite(Sandboxed, SQLite):
    """A file, or a memory database that is filled from the template when it is connected."""

    def engine(self, settings: Settings) -> Engine:
        engine = SQLite.engine(self, settings)
        event.remove(engine, "begin", begin)
        return engine

    def begin_all(self, raw: Any) -> None:
        raw.execute("BEGIN IMMEDIATE")

    def goes_on(self, raw: Any) -> bool:
        try:
            return bool(raw.in_transaction)
        except sqlite3.ProgrammingError:  # it is closed
            return False

    def begun(self, connection: Connection, *, read_only: bool) -> None:
        connection.exec_driver_sql("PRAGMA defer_foreign_keys=OFF")
        if read_only:
            connection.info[READ_ONLY] = True
            connection.exec_driver_sql("PRAGMA query_only=ON")

    def check_deferred(self, raw: Any) -> None:
        asked = raw.execute("PRAGMA defer_foreign_keys").fetchone() == (1,)
        deferred = asked or raw.execute(_DEFERS).fetchone() == (1,)
        if deferred and raw.execute("PRAGMA foreign_key_check").fetchone() is not None:
            error = sqlite3.IntegrityError("FOREIGN KEY constraint failed")
            error.sqlite_errorcode, error.sqlite_errorname = _FOREIGN_KEY
            raise error

    def templates(self, url: URL, folder: Path) -> Templates:
        return _Files(url, folder, in_memory=SQLite.in_memory(self, Settings(url=url)))


class _Files(Templates):
    def __init__(self, url: URL, folder: Path, *, in_memory: bool) -> None:
        self._url = url if not in_memory else URL.create(url.drivername)
        self._memory = url if in_memory else None
        self._folder = folder
        self._made = 0
        self.original = self._at("template")

    def copy(self) -> URL:
        self._made += 1
        url = self._at(f"copy{self._made}")
        shutil.copyfile(str(self.original.database), str(url.database))
        return url

    def for_sandbox(self) -> URL:
        return self._memory or self.copy()

    def attach(self, engine: Engine) -> None:
        if self._memory is not None:
            event.listen(engine, "connect", self._fill)

    def drop(self, url: URL) -> None:
        for ending in ("", "-wal", "-shm"):
            Path(f"{url.database}{ending}").unlink(missing_ok=True)

    def close(self) -> None:
        self.drop(self.original)

    def _at(self, name: str) -> URL:
        return self._url.set(database=str(self._folder / f"{name}.db"))

    def _fill(self, connection: sqlite3.Connection, _: object) -> None:
        with closing(sqlite3.connect(str(self.original.database))) as template:
            template.backup(connection)


DIALECT = SandboxedSQLite()
