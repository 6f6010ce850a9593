"""What SQLAlchemy does not tell of the tables in a SQLite file."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import NUMERIC, Connection, Index, MetaData, Table, text
from sqlalchemy.engine import Dialect
from sqlalchemy.types import NullType

from infrastructure.database.dialects.sqlite_rebuild import parts

_NO_CODE = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/", re.DOTALL)
_OPTIONS: dict[str, tuple[str, bool]] = {
    r"\bAUTOINCREMENT\b": ("sqlite_autoincrement", True),
    r"\)[^()]*\bWITHOUT\s+ROWID\b": ("sqlite_with_rowid", False),
    r"\)[^()]*\bSTRICT\b[^()]*\Z": ("sqlite_strict", True),
}
_ON_AN_EXPRESSION = """
SELECT name, sql FROM sqlite_master
WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL
AND EXISTS (SELECT 1 FROM pragma_index_xinfo(sqlite_master.name) WHERE cid = -2)
ORDER BY name
"""
_PLAIN = re.compile(
    r"\(.*\)|x?'(?:[^']|'')*'|\"[^\"]*\"|[-+]?[0-9.]+(?:e[-+]?[0-9]+)?"
    r"|NULL|TRUE|FALSE|CURRENT_(?:TIME|DATE|TIMESTAMP)",
    re.IGNORECASE | re.DOTALL,
)
_NUMBERS = re.compile("NUMERIC|DEC|NUMBER", re.IGNORECASE)
_SHADOWS = "SELECT name FROM pragma_table_list WHERE type = 'shadow'"
_INTERNAL = re.compile("sqlite_", re.IGNORECASE)


@contextmanager
def understood(_connection: Connection) -> Iterator[None]:
    """A block in which the database is read, without warnings about what ``complete`` adds."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Skipped unsupported reflection of expression-based")
        warnings.filterwarnings("ignore", "Could not instantiate type")
        yield


def hidden(connection: Connection, _schema: str | None) -> set[str]:
    """Tables that belong to the database itself, or to one of its extensions."""
    return {str(name) for name in connection.exec_driver_sql(_SHADOWS).scalars()}


def other_views(_connection: Connection, _schema: str | None) -> list[str]:
    """What can be read like a view besides; there is nothing."""
    return []


def default_schema(_connection: Connection) -> str | None:
    """What is not named."""
    return "main"


def system_schema(name: str) -> bool:
    """Whether a schema belongs to the database itself."""
    return name.lower() == "temp"


def column_reflected(_connection: Connection) -> Callable[..., None]:
    """Puts the default of each column into brackets, where it is no plain value."""

    def reflected(_inspector: Any, _table: Any, column: Any) -> None:
        default = column.get("default")
        if default is not None and not _PLAIN.fullmatch(default):
            column["default"] = f"({default})"

    return reflected


def complete(connection: Connection, metadata: MetaData) -> None:
    """Add to the tables what they have besides."""
    for table in metadata.tables.values():
        for name, sql in connection.exec_driver_sql(_ON_AN_EXPRESSION, (table.name,)):
            _add_index(table, name, sql)
        sql = _sql_of(connection, table)
        code = _NO_CODE.sub("", sql)
        if re.match(r"\s*CREATE\s+TABLE\b", sql, re.IGNORECASE):
            for pattern, (option, value) in _OPTIONS.items():
                if re.search(pattern, code, re.IGNORECASE):
                    table.dialect_kwargs[option] = value
        _note_declared_types(connection, table)


def _sql_of(connection: Connection, table: Table) -> str:
    query = "SELECT sql FROM sqlite_master WHERE name = ? AND type = 'table'"
    return str(connection.exec_driver_sql(query, (table.name,)).scalar() or "")


def _add_index(table: Table, name: str, sql: str) -> None:
    head, expressions, tail = parts(sql)
    condition = re.match(r"[)\s]*WHERE\b(.+)", tail, re.IGNORECASE | re.DOTALL)
    where = condition[1].strip() if condition else None
    Index(
        name,
        *map(text, expressions),
        unique="UNIQUE" in head.upper().split(),
        sqlite_where=text(where) if where else None,
        _table=table,
    )


def _note_declared_types(connection: Connection, table: Table) -> None:
    """Where the declared type is none that SQLAlchemy knows, so that it takes it for a number."""
    query = "SELECT name, type FROM pragma_table_xinfo(?)"
    found = connection.exec_driver_sql(query, (table.name,)).all()
    alias = _rowid_alias(connection, table.name, table.schema)
    for name, declared in found:
        column = table.columns.get(name)
        taken_for_a_number = column is not None and isinstance(column.type, NUMERIC)
        unknown = taken_for_a_number and not _NUMBERS.match(declared or "")
        if column is not None and (unknown or isinstance(column.type, NullType)):
            column.info["declared"] = declared or ""
        if column is not None and name == alias:
            column.info["serial"] = True


def collates_by_code_point(_connection: Connection) -> bool:
    """Whether text without a collation of its own sorts as in Python."""
    return True


# -- what a dialect gets wrong -----------------------------------------------------------------


def correct(dialect: Dialect) -> None:
    """Let a dialect see what SQLite knows.

    ON DELETE and ON UPDATE behind a column; names as they were created, whose case
    SQLite does not mind; and that a key which stands for the number of the row is
    never NULL.
    """
    usual_keys, usual_columns = dialect.get_foreign_keys, dialect.get_columns

    def get_foreign_keys(
        connection: Connection, table_name: str, schema: str | None = None, **options: Any
    ) -> Any:
        found: Any = usual_keys(connection, table_name, schema, **options)
        actions = _actions(connection, table_name, schema) if found else {}
        for key in found:
            _correct_names(connection, table_name, schema, key)
            columns = tuple(column.lower() for column in key["constrained_columns"])
            key["options"] = {**actions.get(columns, {}), **key["options"]}
        return found

    def get_columns(
        connection: Connection, table_name: str, schema: str | None = None, **options: Any
    ) -> Any:
        found: Any = usual_columns(connection, table_name, schema, **options)
        alias = _rowid_alias(connection, table_name, schema)
        for column in found:
            column["nullable"] = column["nullable"] and column["name"] != alias
        return found

    dialect.get_foreign_keys = get_foreign_keys  # type: ignore[method-assign]
    dialect.get_columns = get_columns  # type: ignore[method-assign]


def _rowid_alias(connection: Connection, table: str, schema: str | None) -> str | None:
    """The column that is the number of the row: it is declared as INTEGER PRIMARY KEY."""
    query = "SELECT name, type FROM pragma_table_xinfo(?, ?) WHERE pk > 0"
    keys = connection.exec_driver_sql(query, (table, schema or "main")).all()
    if len(keys) != 1 or str(keys[0][1]).upper() != "INTEGER":
        return None
    query = "SELECT wr FROM pragma_table_list WHERE name = ? AND schema = ?"
    without = connection.exec_driver_sql(query, (table, schema or "main")).scalar()
    return None if without else str(keys[0][0])


def _correct_names(connection: Connection, table: str, schema: str | None, key: Any) -> None:
    query = f"SELECT name FROM {_master(schema)} WHERE lower(name) = lower(?)"  # noqa: S608
    named = connection.exec_driver_sql(query, (key["referred_table"],)).scalar()
    key["referred_table"] = named or key["referred_table"]
    if not key["referred_columns"]:  # SQLAlchemy did not find the table by that name
        keys = "SELECT name FROM pragma_table_xinfo(?, ?) WHERE pk > 0 ORDER BY pk"
        given = (key["referred_table"], schema or "main")
        key["referred_columns"] = list(connection.exec_driver_sql(keys, given).scalars())
    for name, of in (("constrained_columns", table), ("referred_columns", key["referred_table"])):
        there = _columns(connection, of, schema)
        key[name] = [there.get(column.lower(), column) for column in key[name]]


def _master(schema: str | None) -> str:
    return '"' + (schema or "main").replace('"', '""') + '".sqlite_master'


def _columns(connection: Connection, table: str, schema: str | None) -> dict[str, str]:
    query = "SELECT name FROM pragma_table_xinfo(?, ?)"
    rows = connection.exec_driver_sql(query, (table, schema or "main")).scalars()
    return {str(name).lower(): str(name) for name in rows}


def _actions(
    connection: Connection, table: str, schema: str | None
) -> dict[tuple[str, ...], dict[str, str]]:
    query = (
        'SELECT id, "from", on_delete, on_update '
        "FROM pragma_foreign_key_list(?, ?) ORDER BY id, seq"
    )
    columns: dict[int, list[str]] = {}
    said: dict[int, dict[str, str]] = {}
    for number, column, on_delete, on_update in connection.exec_driver_sql(
        query, (table, schema or "main")
    ):
        columns.setdefault(number, []).append(column.lower())
        actions = {"ondelete": on_delete, "onupdate": on_update}
        said[number] = {name: action for name, action in actions.items() if action != "NO ACTION"}
    return {tuple(columns[number]): actions for number, actions in said.items()}
