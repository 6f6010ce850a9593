"""Keeps what Alembic's batch mode would lose when it makes a table of SQLite anew.

SQLite can alter little, so Alembic creates a new table, copies the rows, drops
the old one and renames. What it does not reflect is gone then: triggers,
expression indexes, unnamed CHECK constraints, collations, the highest key ever
given. Here they are carried over, or the migration is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from alembic.ddl.base import RenameTable
from sqlalchemy import CheckConstraint, Connection, Index, Table, event, inspect
from sqlalchemy.schema import CreateIndex, CreateTable, DropTable
from sqlalchemy.sql import Insert

from infrastructure.database.dialects.base import MigrationError

_PREFIX = "_alembic_tmp_"
_LONGEST = 50  # Alembic cuts the name of the new table off here

_GIVE = "batch_alter_table(…, "
_PLAIN_SQL = "make the new table in plain SQL"
_BEFORE = "drop it in the revision before the batch operation, and create it anew after"

_NO_CODE = re.compile(r"'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/", re.DOTALL)
_COLLATE = re.compile(r"\bCOLLATE\b", re.IGNORECASE)
_CHECK = re.compile(r"\bCHECK\b", re.IGNORECASE)
_AUTOINCREMENT = re.compile(r"\bAUTOINCREMENT\b", re.IGNORECASE)
_WITHOUT_ROWID = re.compile(r"\bWITHOUT\s+ROWID\b", re.IGNORECASE)
_STRICT = re.compile(r"\)[^()]*\bSTRICT\b[^()]*\Z", re.IGNORECASE)
_ON_CONFLICT = re.compile(r"\bON\s+CONFLICT\b", re.IGNORECASE)

_OPTIONS = {
    "AUTOINCREMENT": (
        _AUTOINCREMENT,
        f"give {_GIVE}table_kwargs={{'sqlite_autoincrement': True}})",
    ),
    "WITHOUT ROWID": (
        _WITHOUT_ROWID,
        f"give {_GIVE}table_kwargs={{'sqlite_with_rowid': False}})",
    ),
    "STRICT": (_STRICT, f"give {_GIVE}table_kwargs={{'sqlite_strict': True}})"),
    "ON CONFLICT": (_ON_CONFLICT, _PLAIN_SQL),
}

_BELONGINGS = """
SELECT type, name, sql FROM sqlite_master
WHERE tbl_name = ? AND type IN ('trigger', 'index') AND sql IS NOT NULL
"""


@dataclass
class _Rebuild:
    """One table that is being made anew."""

    table: str
    sql: str
    columns: list[str]
    collations: dict[str, str]
    vanishing: set[str]
    """The columns that will not be there under their names any more."""

    copied: set[str] = field(default_factory=set)
    indexes: dict[str, _SavedIndex] = field(default_factory=dict)
    triggers: dict[str, str] = field(default_factory=dict)
    highest_key: tuple[int] | None = None

    def expressions(self) -> dict[str, str]:
        """The indexes that Alembic does not see at all."""
        return {name: index.sql for name, index in self.indexes.items() if None in index.columns}

    def refuse_to_lose(self, what: str, sql: str, advice: str) -> None:
        """Raise if something names a column that goes, so that it cannot be as it was."""
        words = {word.lower() for word in re.findall(r"\w+", sql)}
        named = sorted(name for name in self.vanishing if name.lower() in words)
        if named:
            raise MigrationError(
                f"{what} of {self.table} names {', '.join(named)}, which goes; {advice}"
            )


@dataclass(frozen=True)
class _SavedIndex:
    """An index that Alembic does not see, or takes for a simpler one."""

    sql: str
    columns: tuple[str | None, ...]


class Rebuilds:
    """Follows what Alembic does on one connection, and adds what it forgets."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._raw: Any = connection.connection.dbapi_connection
        self._current: _Rebuild | None = None
        self._copying = False
        self._lost: set[str] = set()

    def listen(self) -> None:
        """Begin."""
        event.listen(self._connection, "before_cursor_execute", self._before, retval=True)
        event.listen(self._connection, "after_cursor_execute", self._after)

    def replaces(self, table: str | None) -> bool:
        """Whether this table is dropped only to be made anew."""
        return self._current is not None and table == self._current.table

    def reads(self, table: str | None, column: str | None) -> None:
        """What the copy takes over, in the words of SQLite."""
        if self._copying and self._current is not None and table == self._current.table:
            self._current.copied.add(str(column))

    def lost(self) -> set[str]:
        """The columns that were not taken over since the last call."""
        lost, self._lost = self._lost, set()
        return lost

    def _before(
        self, connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, _: Any
    ) -> tuple[str, Any]:
        match _element(context):
            case CreateTable(element=Table() as new) if new.name.startswith(_PREFIX):
                self._current = self._begun(new)
                if self._current is not None:
                    statement = self._completed(self._current, new, statement)
            case Insert(table=Table() as new) if new.name.startswith(_PREFIX):
                self._copying = True
            case DropTable(element=Table() as old) if self._current and self.replaces(old.name):
                self._save(self._current)
            case RenameTable(table_name=str() as name) if name.startswith(_PREFIX):
                # Views and triggers name the table that is missing just now.
                self._raw.execute("PRAGMA legacy_alter_table=ON")
            case CreateIndex(element=Index() as index) if self._current is not None:
                statement = _as_it_was(self._current, index) or statement
        return statement, parameters

    def _after(
        self, connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, _: Any
    ) -> None:
        match _element(context):
            case Insert(table=Table() as new) if new.name.startswith(_PREFIX):
                self._copying = False
                self._note_what_was_not_copied()
            case RenameTable(table_name=str() as name) if name.startswith(_PREFIX):
                self._raw.execute("PRAGMA legacy_alter_table=OFF")
                if self._current is not None:
                    self._restore(self._current)

    def _note_what_was_not_copied(self) -> None:
        if self._current is not None:
            table, copied = self._current.table, self._current.copied
            self._lost |= {f"{table}.{c}" for c in self._current.columns if c not in copied}

    # -- the definition --------------------------------------------------------------------

    def _begun(self, new: Table) -> _Rebuild | None:
        old = [name for name in self._tables() if (_PREFIX + name)[:_LONGEST] == new.name]
        if new.schema not in (None, "main") or len(old) > 1:
            raise MigrationError(
                f"a batch operation would make {new.fullname} anew, and which table that is "
                f"cannot be told from {', '.join(old) or 'its schema'}; {_PLAIN_SQL}"
            )
        if not old:
            return None  # somebody's own table with a name of this kind
        columns = self._names("SELECT name FROM pragma_table_info(?)", old[0])
        staying = {column.name for column in new.columns if column.name == column.key}
        collations = self._collations(old[0], columns)
        vanishing = set(columns) - staying
        return _Rebuild(old[0], self._sql_of(old[0]), columns, collations, vanishing)

    def _completed(self, rebuild: _Rebuild, new: Table, statement: str) -> str:
        """The statement for the new table, with the constraints and collations of the old."""
        _refuse_lost_options(rebuild, statement)
        self._refuse_own_collations(rebuild)
        head, definitions, tail = parts(statement)
        for at, column in enumerate(new.columns):  # the constraints stand behind them
            collation = rebuild.collations.get(column.key)
            if collation and not _COLLATE.search(_NO_CODE.sub("", definitions[at])):
                definitions[at] += f" COLLATE {_quoted(collation)}"
        definitions += self._forgotten_checks(rebuild, new)
        return f"{head}{', '.join(definitions)}{tail}"

    def _forgotten_checks(self, rebuild: _Rebuild, new: Table) -> list[str]:
        checks = inspect(self._connection).get_check_constraints(rebuild.table)
        if len(checks) < len(_CHECK.findall(_NO_CODE.sub("", rebuild.sql))):
            raise MigrationError(
                f"{rebuild.table} has a CHECK constraint that cannot be read, and a batch "
                f"operation would lose it; {_PLAIN_SQL}"
            )
        kept = {c.name: str(c.sqltext) for c in new.constraints if isinstance(c, CheckConstraint)}
        forgotten = []
        for check in checks:
            name, rule = check["name"], check["sqltext"]
            if name is not None and kept.get(name) == rule:
                advice = "drop_constraint() it in the same batch, and create it anew after"
                rebuild.refuse_to_lose(f"CHECK {name}", rule, advice)
            elif name is None and None not in kept:
                advice = f"give {_GIVE}table_args=[sa.CheckConstraint(…)]) what fits, unnamed"
                rebuild.refuse_to_lose(f"CHECK ({rule})", rule, advice)
                forgotten.append(f"CHECK ({rule})")
        return forgotten

    def _refuse_own_collations(self, rebuild: _Rebuild) -> None:
        """A UNIQUE or PRIMARY KEY constraint may compare otherwise than its columns do."""
        of_constraints = "SELECT name FROM pragma_index_list(?) WHERE origin <> 'c'"
        for name in self._names(of_constraints, rebuild.table):
            if self._is_special(rebuild, name):
                columns = ", ".join(str(column) for column, _, _ in self._keys_of(name))
                raise MigrationError(
                    f"making {rebuild.table} anew would lose how its UNIQUE or PRIMARY KEY over "
                    f"{columns} compares or sorts; {_PLAIN_SQL}"
                )

    def _collations(self, table: str, columns: list[str]) -> dict[str, str]:
        """The collation of each column that has one of its own: an index inherits it."""
        index = f"_kit_collations_of_{table}"
        keys = ", ".join(map(_quoted, columns))
        self._raw.execute(f"CREATE INDEX {_quoted(index)} ON {_quoted(table)} ({keys}) WHERE 0")
        found = self._keys_of(index)
        self._raw.execute(f"DROP INDEX {_quoted(index)}")
        return {str(name): how for name, how, _ in found if how.upper() != "BINARY"}

    # -- what belongs to the table ---------------------------------------------------------

    def _save(self, rebuild: _Rebuild) -> None:
        for kind, name, sql in self._raw.execute(_BELONGINGS, [rebuild.table]).fetchall():
            if kind == "trigger":
                rebuild.triggers[name] = sql
            elif self._is_special(rebuild, name):
                columns = tuple(column for column, _, _ in self._keys_of(name))
                rebuild.indexes[name] = _SavedIndex(sql, columns)
        if _AUTOINCREMENT.search(_NO_CODE.sub("", rebuild.sql)):
            keys = "SELECT seq FROM sqlite_sequence WHERE name = ?"
            rebuild.highest_key = self._raw.execute(keys, [rebuild.table]).fetchone()

    def _restore(self, rebuild: _Rebuild) -> None:
        for name, sql in (rebuild.expressions() | rebuild.triggers).items():
            rebuild.refuse_to_lose(name, sql, _BEFORE)
            self._raw.execute(sql)
        if rebuild.highest_key is not None:
            forget = "DELETE FROM sqlite_sequence WHERE name = ?"
            self._raw.execute(forget, [rebuild.table])
            note = "INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)"
            self._raw.execute(note, [rebuild.table, *rebuild.highest_key])

    def _is_special(self, rebuild: _Rebuild, index: str) -> bool:
        return any(
            column is None
            or descending
            or collation.upper() != rebuild.collations.get(column, "BINARY").upper()
            for column, collation, descending in self._keys_of(index)
        )

    def _keys_of(self, index: str) -> list[tuple[str | None, str, bool]]:
        """The columns of an index, with collation and whether they descend; None: an expression."""
        rows = self._raw.execute(
            'SELECT name, coll, "desc" FROM pragma_index_xinfo(?) WHERE key', [index]
        )
        return [(name, str(collation), bool(descending)) for name, collation, descending in rows]

    def _tables(self) -> list[str]:
        return self._names("SELECT name FROM sqlite_master WHERE type = 'table'")

    def _names(self, query: str, *parameters: str) -> list[str]:
        return [str(row[0]) for row in self._raw.execute(query, parameters).fetchall()]

    def _sql_of(self, table: str) -> str:
        return self._names(
            "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?", table
        )[0]


def _element(context: Any) -> Any:
    """What SQLAlchemy made the statement of; None for a text."""
    return getattr(getattr(context, "compiled", None), "statement", None)


def _as_it_was(rebuild: _Rebuild, new: Index) -> str | None:
    """The statement of an index that Alembic took for a simpler one and makes anew."""
    old = rebuild.indexes.get(str(new.name))
    if old is None:
        return None
    rebuild.refuse_to_lose(str(new.name), old.sql, _BEFORE)
    return old.sql if old.columns == tuple(column.name for column in new.columns) else None


def _refuse_lost_options(rebuild: _Rebuild, new: str) -> None:
    old, new = _NO_CODE.sub("", rebuild.sql), _NO_CODE.sub("", new)
    for name, (option, advice) in _OPTIONS.items():
        if option.search(old) and not option.search(new):
            raise MigrationError(f"making {rebuild.table} anew would lose {name}; {advice}")


def parts(statement: str) -> tuple[str, list[str], str]:
    """A CREATE TABLE: what is before the definitions, the definitions, what is behind them."""
    cuts, depth, quote = [], 0, ""
    for at, letter in enumerate(statement):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter in "()":
            depth += 1 if letter == "(" else -1
            if depth == (1 if letter == "(" else 0):
                cuts.append(at)
        elif letter == "," and depth == 1:
            cuts.append(at)
    between = pairwise(cuts)
    definitions = [statement[start + 1 : end].strip() for start, end in between]
    return statement[: cuts[0] + 1], definitions, statement[cuts[-1] :]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
