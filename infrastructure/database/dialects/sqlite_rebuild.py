"""Keeps what Alembic's batch mode would lose when it makes a table of SQLite anew.

SQLite can alter little, so Alembic creates a new table, copies the rows, drops
the old one and renames. What it does not reflect is gone then: triggers,
expression indexes, CHECK constraints, collations. Here they are carried over,
or the migration is refused.
"""

from __future__ import annotations

import re
import sqlite3
from typing import Any

from sqlalchemy import Connection, event, inspect

from infrastructure.database.dialects.base import MigrationError, MigrationPlan

_TABLE = r'"?_alembic_tmp_(?P<table>[^"\s(]+)"?'
_CREATE = re.compile(
    rf"\s*CREATE TABLE {_TABLE}\s*\((?P<body>.*)\)(?P<tail>[^)]*)", re.DOTALL | re.IGNORECASE
)
_COPY = re.compile(rf"\s*INSERT INTO {_TABLE} .*?(?P<select>SELECT .*)", re.DOTALL | re.IGNORECASE)
_DROP = re.compile(r'\s*DROP TABLE "?(?P<table>[^"\s]+)"?\s*$', re.IGNORECASE)
_RENAME = re.compile(rf"\s*ALTER TABLE {_TABLE} RENAME TO", re.IGNORECASE)
_COLLATE = re.compile(r'\bCOLLATE\s+("[^"]+"|\w+)', re.IGNORECASE)


def watch_rebuilds(connection: Connection, plan: MigrationPlan) -> None:
    """Carry over, in every rebuild on this connection, what would be lost."""
    rebuild = _Rebuild(connection, plan)
    event.listen(connection, "before_cursor_execute", rebuild.before, retval=True)
    event.listen(connection, "after_cursor_execute", rebuild.after)


class _Rebuild:
    def __init__(self, connection: Connection, plan: MigrationPlan) -> None:
        self.connection = connection
        self.plan = plan
        self.raw: Any = connection.connection.dbapi_connection
        self.saved: dict[str, list[tuple[str, str]]] = {}

    def before(
        self, connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any
    ) -> tuple[str, Any]:
        if match := _CREATE.match(statement):
            statement = self._complete(match)
        elif match := _COPY.match(statement):
            self._note_dropped_columns(match["table"], match["select"])
        elif (match := _DROP.match(statement)) and self._sql_of(f"_alembic_tmp_{match['table']}"):
            self._save(match["table"])
        elif _RENAME.match(statement):
            # Views and triggers name the table that is missing just now.
            self.raw.execute("PRAGMA legacy_alter_table=ON")
        return statement, parameters

    def after(self, connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if match := _RENAME.match(statement):
            self.raw.execute("PRAGMA legacy_alter_table=OFF")
            self._restore(match["table"])

    # -- the definition --------------------------------------------------------------------

    def _complete(self, match: re.Match[str]) -> str:
        """The statement for the new table, with the constraints and collations of the old."""
        table = match["table"]
        old = self._sql_of(table)
        self._refuse_options(table, old, match[0])
        definitions = _definitions(match["body"])
        collations = _collations(old)
        completed = [
            f"{definition} COLLATE {collations[name]}"
            if (name := _name(definition)) in collations and not _COLLATE.search(definition)
            else definition
            for definition in definitions
        ]
        completed += self._missing_checks(table, match["body"])
        return f'CREATE TABLE "_alembic_tmp_{table}" ({", ".join(completed)}){match["tail"]}'

    def _missing_checks(self, table: str, body: str) -> list[str]:
        missing = []
        for check in inspect(self.connection).get_check_constraints(table):
            name, rule = check["name"], check["sqltext"]
            meant = f"{table}.{name}" in self.plan.meant
            if not meant and (name is None or name not in body) and rule not in body:
                label = f'CONSTRAINT "{name}" ' if name else ""
                missing.append(f"{label}CHECK ({rule})")
        return missing

    def _refuse_options(self, table: str, old: str, new: str) -> None:
        for option, argument in _OPTIONS.items():
            if re.search(option, old, re.IGNORECASE) and not re.search(option, new, re.IGNORECASE):
                raise MigrationError(
                    f"rebuilding {table} would lose {option}; give "
                    f"batch_alter_table({table!r}, table_kwargs={{{argument}}})"
                )

    # -- what belongs to the table ---------------------------------------------------------

    def _note_dropped_columns(self, table: str, select: str) -> None:
        for row in self.raw.execute("SELECT name FROM pragma_table_info(?)", (table,)):
            if not re.search(rf'"?{re.escape(table)}"?\."?{re.escape(row[0])}"?\b', select):
                self.plan.dropped.add(f"{table}.{row[0]}")

    def _save(self, table: str) -> None:
        made = self.raw.execute(
            "SELECT type, name, sql FROM sqlite_master "
            "WHERE tbl_name = ? AND type IN ('trigger', 'index') AND sql IS NOT NULL",
            (table,),
        ).fetchall()
        self.saved[table] = [
            (name, sql)
            for kind, name, sql in made
            if kind == "trigger" or self._has_expression(name)
        ]

    def _has_expression(self, index: str) -> bool:
        columns = self.raw.execute("SELECT cid FROM pragma_index_xinfo(?)", (index,))
        return any(cid == -2 for (cid,) in columns)

    def _restore(self, table: str) -> None:
        for name, sql in self.saved.pop(table, []):
            try:
                self.raw.execute(sql)
            except sqlite3.OperationalError as error:
                raise MigrationError(
                    f"{name} of {table} does not fit the new table ({error}); drop it in the "
                    "revision before the batch operation, and create it anew afterwards"
                ) from None

    def _sql_of(self, table: str) -> str:
        row = self.raw.execute(
            "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?", (table,)
        ).fetchone()
        return str(row[0]) if row else ""


_OPTIONS = {
    "AUTOINCREMENT": '"sqlite_autoincrement": True',
    "WITHOUT ROWID": '"sqlite_with_rowid": False',
    r"\) STRICT": '"sqlite_strict": True',
}


def _collations(sql: str) -> dict[str, str]:
    """The collation of each column that has one."""
    _, _, body = sql.partition("(")
    found = ((_name(item), _COLLATE.search(item)) for item in _definitions(body.rpartition(")")[0]))
    return {name: match[1] for name, match in found if match}


def _name(definition: str) -> str:
    return definition.strip().split(None, 1)[0].strip('"') if definition.strip() else ""


def _definitions(body: str) -> list[str]:
    """The parts of a table's definition: split at commas that are in no parentheses or quotes."""
    parts, depth, quote, start = [], 0, "", 0
    for at, letter in enumerate(body):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter in "()":
            depth += 1 if letter == "(" else -1
        elif letter == "," and depth == 0:
            parts.append(body[start:at])
            start = at + 1
    return [*parts, body[start:]]
