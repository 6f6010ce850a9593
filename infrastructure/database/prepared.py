"""Statements that are compiled once, and sent to the driver without more ado."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Column, Engine, Insert, Select, Table, bindparam, insert

Process = Callable[[Any], Any]


class Prepared:
    """One statement with parameters in a fixed order, for one database."""

    def __init__(
        self, statement: Select[Any] | Insert, names: Sequence[str], engine: Engine
    ) -> None:
        self.statement = statement
        self.names = tuple(names)
        compiled = statement.compile(engine)
        self.sql = str(compiled)
        self._dialect = engine.dialect
        self._positions: list[int] | None = None
        if compiled.positiontup is not None:
            self._positions = [self.names.index(name) for name in compiled.positiontup]
        types = [compiled.binds[name].type for name in self.names]
        found = [kind.dialect_impl(self._dialect).bind_processor(self._dialect) for kind in types]
        self._processes = None if not any(found) else found
        self._converts: list[tuple[int, Process]] | None = None

    def parameters(self, values: Sequence[Any]) -> Any:
        """The values as the driver wants them."""
        if self._processes is not None:
            pairs = zip(self._processes, values, strict=True)
            values = [value if process is None else process(value) for process, value in pairs]
        if self._positions is None:
            return dict(zip(self.names, values, strict=True))
        return [values[at] for at in self._positions]

    def rows(self, cursor: Any) -> list[Sequence[Any]]:
        """What a cursor has found, in the types of the columns."""
        found: list[Sequence[Any]] = cursor.fetchall()
        if self._converts is None:
            self._converts = self._conversions(cursor.description)
        return [self._converted(row) for row in found] if self._converts else found

    def _conversions(self, description: Sequence[Any]) -> list[tuple[int, Process]]:
        columns = self.statement.exported_columns
        found: list[tuple[int, Process]] = []
        for at, (column, said) in enumerate(zip(columns, description, strict=True)):
            kind = column.type.dialect_impl(self._dialect)
            process = kind.result_processor(self._dialect, said[1])
            if process is not None:
                found.append((at, process))
        return found

    def _converted(self, row: Sequence[Any]) -> Sequence[Any]:
        values = list(row)
        for at, process in self._converts or ():
            values[at] = process(values[at])
        return values


def one_insert(
    table: Table, names: Sequence[str], returned: Column[Any]
) -> tuple[Insert, tuple[str, ...]]:
    """INSERT of one row that gives a column back, and the names of its parameters."""
    parameters = tuple(f"new_{name}" for name in names)
    values: dict[Any, Any] = {
        table.c[name]: bindparam(parameter, type_=table.c[name].type)
        for name, parameter in zip(names, parameters, strict=True)
    }
    return insert(table).values(values).returning(returned), parameters
