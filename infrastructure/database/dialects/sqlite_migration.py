"""A migration on SQLite: alone, in one transaction, and nothing goes without being noticed."""

from __future__ import annotations

import re
import sqlite3
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, event

from infrastructure.database.dialects.base import Migration, MigrationError
from infrastructure.database.dialects.sqlite_rebuild import Rebuilds

_READS = re.compile(r"\s*(SELECT|PRAGMA|EXPLAIN|SAVEPOINT|RELEASE|ROLLBACK)\b", re.IGNORECASE)

_MENDED = (  # what these say that is left out, sqlite_rebuild and sqlite_indexes do
    "Unnamed CHECK constraint on reflected table",
    "Skipped unsupported reflection of expression-based index",
    "autogenerate skipping metadata-specified expression-based index",
)


@contextmanager
def migrating(engine: Engine) -> Iterator[Migration]:
    """See ``Dialect.migrating``."""
    with engine.connect() as connection, warnings.catch_warnings():
        for message in _MENDED:
            warnings.filterwarnings("ignore", message)
        raw: Any = connection.connection.dbapi_connection
        raw.execute("PRAGMA foreign_keys=OFF")  # else a rebuilt table takes its children along
        try:
            with connection.begin():
                watch = _Watch(connection)
                with watch.over():
                    yield Migration(connection, watch.lost)
                    watch.refuse_damage()
        finally:
            raw.execute("PRAGMA legacy_alter_table=OFF")
            raw.execute("PRAGMA foreign_keys=ON")


class _Watch:
    """Sees what SQLite itself says that a statement does, whoever wrote it, and however."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._raw: Any = connection.connection.dbapi_connection
        self._rebuilds = Rebuilds(connection)
        self._before: tuple[Counter[str], set[str]] | None = None
        self._made: set[str] = set()
        self._gone: set[str] = set()
        self._ended = False

    @contextmanager
    def over(self) -> Iterator[None]:
        """Watch all statements in the block."""
        event.listen(self._connection, "before_cursor_execute", self._note_the_state)
        self._rebuilds.listen()
        self._raw.set_authorizer(self._authorize)
        try:
            yield
        except Exception:
            if self._ended:
                raise MigrationError(
                    "COMMIT or ROLLBACK in a revision; all revisions run in one transaction, "
                    "which is not theirs"
                ) from None
            raise
        finally:
            self._raw.set_authorizer(None)

    def lost(self) -> set[str]:
        """See ``Migration.lost``."""
        gone = self._gone | self._rebuilds.lost()
        self._made.clear()
        self._gone.clear()
        return gone

    def _authorize(
        self, action: int, first: str | None, second: str | None, third: str | None, _: Any
    ) -> int:
        match action:
            case sqlite3.SQLITE_TRANSACTION:
                self._ended = True
                return sqlite3.SQLITE_DENY
            case sqlite3.SQLITE_CREATE_TABLE:
                self._made.add(f"{third}.{first}")
            case sqlite3.SQLITE_DROP_TABLE if not self._rebuilds.replaces(first):
                if f"{third}.{first}" not in self._made:
                    self._gone.add(_named(third, first))
            case sqlite3.SQLITE_ALTER_TABLE if third is not None:  # a column is dropped
                self._gone.add(f"{_named(first, second)}.{third}")
            case sqlite3.SQLITE_READ:
                self._rebuilds.reads(first, second)
        return sqlite3.SQLITE_OK

    # -- what must be whole at the end -----------------------------------------------------

    def _note_the_state(self, connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        """Before the first statement that changes something: looking takes time on large data."""
        if self._before is None and not _READS.match(statement):
            self._before = _dangling(self._raw), _broken(self._raw)

    def refuse_damage(self) -> None:
        """Raise if references dangle, or views and triggers fail, that did not before."""
        if self._before is None:
            return
        dangling, broken = self._before
        if tables := _dangling(self._raw) - dangling:
            raise MigrationError(
                f"the migration leaves references of {', '.join(sorted(tables))} that point to "
                "nothing; mend the data in the revision first"
            )
        if names := _broken(self._raw) - broken:
            raise MigrationError(
                f"the migration leaves {', '.join(sorted(names))} that cannot be used; drop it "
                "in the revision, and create it anew afterwards"
            )


def _named(database: str | None, table: str | None) -> str:
    return str(table) if database == "main" else f"{database}.{table}"


def _dangling(raw: Any) -> Counter[str]:
    return Counter(str(row[0]) for row in raw.execute("PRAGMA foreign_key_check"))


def _broken(raw: Any) -> set[str]:
    """The views, and the tables with triggers, that SQLite cannot compile a statement for."""
    views = _column(raw, "SELECT name FROM sqlite_master WHERE type = 'view'")
    triggered = _column(raw, "SELECT DISTINCT tbl_name FROM sqlite_master WHERE type = 'trigger'")
    broken = {f"the view {name}" for name in views if not _compiles(raw, _select(name))}
    return broken | {
        f"a trigger of {name}"
        for name in triggered
        if not all(_compiles(raw, statement) for statement in _changes(raw, name))
    }


def _select(table: str) -> str:
    return f"SELECT * FROM {_quoted(table)}"  # noqa: S608 -- is compiled, not run


def _changes(raw: Any, table: str) -> list[str]:
    columns = _column(raw, "SELECT name FROM pragma_table_info(?)", table)
    settings = ", ".join(f"{_quoted(column)} = NULL" for column in columns)
    name = _quoted(table)
    return [
        f"INSERT INTO {name} DEFAULT VALUES",
        f"UPDATE {name} SET {settings}",  # noqa: S608 -- is compiled, not run
        f"DELETE FROM {name}",  # noqa: S608 -- is compiled, not run
    ]


def _compiles(raw: Any, statement: str) -> bool:
    try:
        raw.execute(f"EXPLAIN {statement}")
    except sqlite3.Error:
        return False
    return True


def _column(raw: Any, query: str, *parameters: str) -> list[str]:
    return [str(row[0]) for row in raw.execute(query, parameters).fetchall()]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
