"""Statements that are compiled once, and sent to the driver without more ado."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

from sqlalchemy import (
    ColumnElement,
    Engine,
    Insert,
    Select,
    Table,
    Update,
    bindparam,
    insert,
    update,
)
from sqlalchemy.types import TypeEngine

from infrastructure.database.dialects import Dialect
from infrastructure.database.models.building import Converts

Process = Callable[[Any], Any]


class Found(NamedTuple):
    """Rows as the driver has them, and what has yet to be done with their values."""

    rows: Sequence[Sequence[Any]]
    converts: Converts = ()


class PreparedQuery(NamedTuple):
    """A query that has to be made only once; those with one name and parameters are alike."""

    name: object
    make: Callable[[], Select[Any]]
    parameters: tuple[str, ...]


class Conversions:
    """How the values of columns come out of one database; found out with the first row."""

    def __init__(self, dialect: Dialect, engine: Engine) -> None:
        self._dialect = dialect
        self._engine = engine
        self._known: dict[object, Converts] = {}

    def of(self, columns: Sequence[Any], cursor: Any) -> Converts:
        """Those of these columns; the cursor has what the driver says of them."""
        found = self._known.get(columns)
        if found is None and columns:
            pairs = zip(columns, cursor.description, strict=True)
            processes = [self._process(column.type, said[1]) for column, said in pairs]
            found = tuple((at, each) for at, each in enumerate(processes) if each is not None)
            self._known[columns] = found
        return found or ()

    def _process(self, type_: TypeEngine[Any], code: Any) -> Process | None:
        sqlalchemy = self._engine.dialect
        usual = type_.dialect_impl(sqlalchemy).result_processor(sqlalchemy, code)
        return None if usual is None else self._dialect.faster(type_, usual)


class Prepared:
    """One statement with parameters in a fixed order, for one database."""

    def __init__(
        self, statement: Select[Any] | Insert | Update, names: Sequence[str], engine: Engine
    ) -> None:
        self.statement = statement
        self.names = tuple(names)
        self.writes = (
            () if isinstance(statement, Select) else (cast(Table, statement.table).fullname,)
        )
        """The tables of which it writes a row."""
        self.columns = tuple(statement.exported_columns)
        compiled = statement.compile(engine)
        self.sql = str(compiled)
        own = [name for name in compiled.params if name not in self.names]
        self._constants = tuple(compiled.params[name] for name in own)
        self._all = (*self.names, *own)
        self._positions: list[int] | None = None
        self._in_order = compiled.positiontup == list(self._all)
        if compiled.positiontup is not None:
            self._positions = [self._all.index(name) for name in compiled.positiontup]
        types = [compiled.binds[name].type for name in self.names]
        dialect = engine.dialect
        found = [kind.dialect_impl(dialect).bind_processor(dialect) for kind in types]
        self._processes = None if not any(found) else found

    def parameters(self, values: Sequence[Any]) -> Any:
        """The values as the driver wants them."""
        if self._processes is not None:
            pairs = zip(self._processes, values, strict=True)
            values = [value if process is None else process(value) for process, value in pairs]
        if self._constants:
            values = (*values, *self._constants)
        if self._in_order:
            return values
        if self._positions is None:
            return dict(zip(self._all, values, strict=True))
        return [values[at] for at in self._positions]


def one_insert(
    table: Table, names: Sequence[str], *returned: ColumnElement[Any]
) -> tuple[Insert, tuple[str, ...]]:
    """INSERT of one row that gives something back, and the names of its parameters."""
    values, parameters = _named("new", table, names)
    return insert(table).values(values).returning(*returned), parameters


def one_update(
    table: Table, names: Sequence[str], expected: Sequence[str], *returned: ColumnElement[Any]
) -> tuple[Update, tuple[str, ...]]:
    """UPDATE of the row in which some columns are as expected; its parameters in this order."""
    values, new = _named("new", table, names)
    old, known = _named("old", table, expected)
    conditions = (column == value for column, value in old.items())
    return update(table).values(values).where(*conditions).returning(*returned), (*new, *known)


def _named(
    prefix: str, table: Table, names: Sequence[str]
) -> tuple[dict[Any, Any], tuple[str, ...]]:
    """Parameters for some columns, and what they are called."""
    called = tuple(f"{prefix}_{name}" for name in names)
    return {
        table.c[name]: bindparam(each, type_=table.c[name].type)
        for name, each in zip(names, called, strict=True)
    }, called
