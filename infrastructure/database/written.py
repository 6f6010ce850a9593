"""What a transaction has changed, as far as caches have to know."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Iterator
from functools import cache
from typing import Any, cast

from sqlalchemy import Table
from sqlalchemy import inspect as mapping_of
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.selectable import GenerativeSelect

from infrastructure.database import cache_tags
from infrastructure.database.models.rules import family
from infrastructure.database.sql_text import is_write

_MANY = 1000  # rows of one table that are named one by one


class Written:
    """What was changed so far: rather too much than too little."""

    def __init__(self) -> None:
        self._keys: dict[str, set[tuple[Any, ...]] | None] = {}
        self._everything = False
        self.by_row: Collection[str] = ()
        """Tables that are being written, and whose rows are noted one by one."""

    def tags(self) -> set[Hashable] | None:
        """Those to invalidate; None if nobody knows what was changed."""
        if self._everything:
            return None
        found = {cache_tags.ANYTHING} if self._keys else set()
        for table, keys in self._keys.items():
            found.add(cache_tags.whole(table))
            if keys is None:
                found.add(cache_tags.rows(table))
            else:
                found |= {cache_tags.row(table, key) for key in keys}
        return found

    # -- rows ------------------------------------------------------------------------------

    def note_rows(self, entities: Collection[Any]) -> None:
        """Rows that are new, changed or gone, as far as they have a key."""
        if len(entities) > _MANY:
            for kind in set(map(type, entities)):
                self.note_whole(table_names(kind))
            return
        for entity in entities:
            state: Any = mapping_of(entity)
            for table in state.mapper.tables if state.key else ():
                self.note_row(table.fullname, state.key[1])

    def note_gone(self, kinds: Iterable[type[Any]]) -> None:
        """What the database does to rows that refer to rows of these that are deleted.

        The children of an aggregate are cached as part of it.
        """
        for kind in kinds:
            own = {name for member in family(kind) for name in table_names(member)}
            for table in mapping_of(kind).tables:
                self.note_whole(_affected_by_delete(table) - own)

    def note_row(self, table: str, key: tuple[Any, ...]) -> None:
        """One row."""
        known = self._keys.setdefault(table, set())
        if known is not None:
            known.add(key)
            if len(known) > _MANY:
                self._keys[table] = None

    def note_whole(self, tables: Iterable[str]) -> None:
        """Any number of rows of these, nobody knows which."""
        self._keys |= dict.fromkeys(tables)

    # -- statements ------------------------------------------------------------------------

    def note_statements(self, found: Collection[Any] | None) -> None:
        """What was changed by statements, whoever sent them; see ``writes_of``."""
        self._everything |= found is None
        for statement in found or ():
            if statement.table.fullname not in self.by_row:
                self.note_whole([statement.table.fullname])
                self.note_whole(_affected_by(statement))


def writes_of(context: Any, sql: str) -> Collection[Any] | None:
    """The statements that change a table in what was sent; None if nobody knows what changed."""
    compiled = None if context.isddl else context.compiled
    statement = None if compiled is None else compiled.statement
    if compiled is None or not (_names_table(statement) or isinstance(statement, GenerativeSelect)):
        return None if context.isddl or is_write(sql) else ()
    parts = (statement, *(each.element for each in compiled.ctes or ()))
    return [part for part in parts if _names_table(part)]


def _names_table(statement: Any) -> bool:
    return isinstance(getattr(statement, "table", None), Table)


def _affected_by(statement: Any) -> Collection[str]:
    if not isinstance(statement, UpdateBase) or statement.is_insert:
        return ()
    affected = _affected_by_delete if statement.is_delete else _affected_by_update
    return affected(cast(Any, statement).table)


def table_names(model: Any) -> set[str]:
    """The tables that the rows of a model are in."""
    return {table.fullname for table in mapping_of(model).tables}


@cache
def _affected_by_delete(table: Table) -> frozenset[str]:
    """The tables in which the database changes rows when some of this one are deleted."""
    return frozenset(_reached_from(table, deleted=True))


@cache
def _affected_by_update(table: Table) -> frozenset[str]:
    """The same when keys of this one are changed."""
    return frozenset(_reached_from(table, deleted=False))


def _reached_from(table: Table, *, deleted: bool) -> set[str]:
    found: set[str] = set()
    waiting = [(table, deleted)]
    while waiting:
        changed, gone = waiting.pop()
        for other, action in _references_to(changed, deleted=gone):
            if other.fullname not in found:
                found.add(other.fullname)
                waiting.append((other, gone and action == "CASCADE"))
    return found


def _references_to(table: Table, *, deleted: bool) -> Iterator[tuple[Table, str]]:
    """The tables that refer to one and are changed with it, and how."""
    for other in table.metadata.tables.values():
        for constraint in other.foreign_key_constraints:
            action = constraint.ondelete if deleted else constraint.onupdate
            action = "NO ACTION" if action is None else action.upper()
            # By its name: the model of another table need not be imported.
            referred = constraint.elements[0].target_fullname.rpartition(".")[0]
            if referred == table.fullname and action not in ("NO ACTION", "RESTRICT"):
                yield other, action
