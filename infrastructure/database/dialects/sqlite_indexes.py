"""Expression indexes of SQLite, which Alembic does not compare: by their names."""

from __future__ import annotations

import functools
import sys
from typing import Any

from alembic.operations.ops import CreateIndexOp, DropIndexOp
from alembic.runtime.plugins import Plugin
from alembic.util import PriorityDispatchResult
from alembic.util.sqla_compat import is_expression_index
from sqlalchemy import Connection, Index, Table, text

from infrastructure.database.dialects.sqlite_rebuild import parts

_NAME = "infrastructure.sqlite_indexes"
_ON_AN_EXPRESSION = """
SELECT name, sql FROM sqlite_master
WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL
AND EXISTS (SELECT 1 FROM pragma_index_xinfo(sqlite_master.name) WHERE cid = -2)
"""


@functools.cache
def plugin() -> str:
    """The name by which Alembic knows the comparison; registered with the first migration."""
    Plugin.setup_plugin_from_module(sys.modules[__name__], _NAME)
    return _NAME


def setup(made: Plugin) -> None:
    """What Alembic calls."""
    made.add_autogenerate_comparator(_compare, "table", "expression_indexes", qualifier="sqlite")


def _compare(
    autogenerate: Any,
    operations: Any,
    _schema: str | None,
    _name: str,
    there: Table | None,
    meant: Table | None,
) -> PriorityDispatchResult:
    if meant is not None:
        found = {} if there is None else _found(autogenerate.connection, there)
        wanted = {str(index.name): index for index in meant.indexes if is_expression_index(index)}
        for extra in sorted(found.keys() - wanted.keys()):
            operations.ops.append(DropIndexOp.from_index(found[extra]))
        for missing in sorted(wanted.keys() - found.keys()):
            operations.ops.append(CreateIndexOp.from_index(wanted[missing]))
    return PriorityDispatchResult.CONTINUE


def _found(connection: Connection, table: Table) -> dict[str, Index]:
    rows = connection.exec_driver_sql(_ON_AN_EXPRESSION, (table.name,))
    return {name: _index(name, sql, table) for name, sql in rows}


def _index(name: str, sql: str, table: Table) -> Index:
    head, expressions, tail = parts(sql)
    where = tail.lstrip(") \n").removeprefix("WHERE").strip()
    return Index(
        name,
        *map(text, expressions),
        unique="UNIQUE" in head.upper().split(),
        sqlite_where=text(where) if where else None,
        _table=table,
    )
