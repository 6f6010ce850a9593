"""What stands in ``__table_args__``, and what of it a single ``Field`` can say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
)
from sqlalchemy.sql.elements import TextClause, UnaryExpression

from infrastructure.database.codegen.imports import Imports
from infrastructure.database.codegen.source import Call, Source, call, group, literal, many, pairs
from infrastructure.database.codegen.types import STORED
from infrastructure.database.dialects import Dialect
from infrastructure.database.models.base import NAMING_CONVENTION

_BIND = re.compile(r"(?<![:\w\\]):(?=\w)")
_SORTS = {
    "desc_op": "desc",
    "asc_op": "asc",
    "nulls_first_op": "nulls_first",
    "nulls_last_op": "nulls_last",
}
_RULES = ("ondelete", "onupdate", "match")
_ACTIONS = ("CASCADE", "SET NULL", "RESTRICT")


@dataclass
class Spread:
    """How the constraints of a table are divided between its fields and itself."""

    fields: dict[str, dict[str, Source]] = field(default_factory=dict)
    """What ``Field`` is told, by the names of the columns."""

    references: dict[str, Source] = field(default_factory=dict)
    """The foreign keys of single columns that ``Field`` cannot say by itself."""

    arguments: list[Source] = field(default_factory=list)
    """What belongs to the table as a whole."""

    def tell(self, column: str, **options: Source) -> None:
        """Let a field say something."""
        self.fields.setdefault(column, {}).update(options)


def sql_text(sql: str, imports: Imports) -> Call:
    """``text("…")``, in which no colon begins a parameter."""
    return call(imports.use("sqlalchemy", "text"), literal(_BIND.sub(r"\\:", sql)))


class Constraints:
    """Writes down those of one table."""

    def __init__(self, table: Table, dialect: Dialect, imports: Imports) -> None:
        self.table = table
        self.dialect = dialect
        self.imports = imports
        self.spread = Spread()

    def divided(self) -> Spread:
        """All of them."""
        self._primary_key()
        for key in sorted(self.table.foreign_key_constraints, key=_order):
            self._foreign_key(key)
        for constraint in sorted(self.table.constraints, key=_order):
            if isinstance(constraint, UniqueConstraint):
                self._unique(constraint)
            elif isinstance(constraint, CheckConstraint):
                self._check(constraint)
        for index in sorted(self.table.indexes, key=lambda index: str(index.name)):
            self._index(index)
        return self.spread

    def table_args(self) -> Source | None:
        """The value of ``__table_args__``; None if there is nothing to say."""
        options = list(self._options())
        arguments = self.spread.arguments
        if not arguments:
            return pairs(options) if options else None
        return group([*arguments, *([pairs(options)] if options else [])])

    def _options(self) -> Iterator[tuple[str, Source]]:
        if self.table.schema:
            yield "schema", literal(str(self.table.schema))
        if self.table.comment:
            yield "comment", literal(self.table.comment)
        if self.table.info.get("is_view"):
            yield "info", pairs([("is_view", "True")])
        for name, value in sorted(self.table.dialect_kwargs.items()):
            if isinstance(value, list | tuple):
                names = [literal(str(one)) for one in value]
                yield str(name), group(names) if names else "()"
            elif value is not None:
                yield str(name), literal(value)

    # -- one after the other -------------------------------------------------------------------

    def _primary_key(self) -> None:
        key = self.table.primary_key
        columns = [column.name for column in key.columns]
        in_order = [column.name for column in self.table.columns if column.primary_key]
        named = self._own_name(key, columns)
        if columns and (named or columns != in_order or key.deferrable):
            self._add("PrimaryKeyConstraint", columns, named | _timing(key))

    def _foreign_key(self, key: ForeignKeyConstraint) -> None:
        columns = [column.name for column in key.columns]
        target = [_target(element) for element in key.elements]
        named = self._own_name(key, columns)
        rules = {n: literal(v) for n in _RULES if (v := getattr(key, n))} | _timing(key)
        said = self.spread.fields.get(columns[0], {})
        if len(columns) > 1 or "foreign_key" in said or columns[0] in self.spread.references:
            parts: list[Source] = [many(map(literal, columns)), many(target)]
            name = self.imports.use("sqlalchemy", "ForeignKeyConstraint")
            self.spread.arguments.append(call(name, *parts, **named, **rules))
        elif named or not _fits(key, self.table.c[columns[0]]):
            name = self.imports.use("sqlalchemy", "ForeignKey")
            reference = call(name, target[0], **named, **rules)
            self.spread.references[columns[0]] = reference
        else:
            self.spread.tell(columns[0], foreign_key=target[0], **rules)

    def _unique(self, unique: UniqueConstraint) -> None:
        columns = [column.name for column in unique.columns]
        usual = NAMING_CONVENTION["uq"] % self._words(columns)
        rules = _timing(unique) | _dialect_options(unique, self.imports)
        said = self.spread.fields.get(columns[0], {})
        plain = unique.name == usual and not rules and "unique" not in said
        if len(columns) == 1 and plain:
            self.spread.tell(columns[0], unique="True")
        elif unique.name is None:
            made = call(self.imports.use("sqlalchemy", "UniqueConstraint"), *map(literal, columns))
            self.spread.arguments.append(call(self.imports.use(STORED, "unnamed"), made))
        else:
            named = {} if unique.name == usual else {"name": literal(str(unique.name))}
            self._add("UniqueConstraint", columns, named | rules)

    def _check(self, check: CheckConstraint) -> None:
        made: dict[str, Source] = {}
        prefix = f"ck_{self.table.name}_"
        name = None if check.name is None else str(check.name)
        if name is not None and name.startswith(prefix) and len(name) > len(prefix):
            made["name"] = literal(name.removeprefix(prefix))
        elif name is not None:
            made["name"] = call(self.imports.use("sqlalchemy.sql.elements", "conv"), literal(name))
        made |= {str(n): literal(v) for n, v in check.dialect_kwargs.items() if v}
        sql = literal(_BIND.sub(r"\\:", _in_one_line(str(check.sqltext))))
        whole = call(self.imports.use("sqlalchemy", "CheckConstraint"), sql, **made)
        if name is None:
            whole = call(self.imports.use(STORED, "unnamed"), whole)
        self.spread.arguments.append(whole)

    def _index(self, index: Index) -> None:
        columns = [part.name for part in index.expressions if isinstance(part, Column)]
        usual = NAMING_CONVENTION["ix"] % self._words(columns) if columns else None
        options = _dialect_options(index, self.imports)
        plain = len(columns) == len(index.expressions) == 1 and index.name == usual and not options
        if plain and "index" not in self.spread.fields.get(columns[0], {}):
            if not index.unique and "unique" not in self.spread.fields.get(columns[0], {}):
                self.spread.tell(columns[0], index="True")
                return
            if index.unique and "unique" not in self.spread.fields.get(columns[0], {}):
                self.spread.tell(columns[0], index="True", unique="True")
                return
        parts = [self._indexed(part) for part in index.expressions]
        unique: dict[str, Source] = {"unique": "True"} if index.unique else {}
        made = call(
            self.imports.use("sqlalchemy", "Index"), literal(str(index.name)), *parts, **unique,
            **options,
        )  # fmt: skip
        self.spread.arguments.append(made)

    def _indexed(self, part: Any) -> Source:
        if isinstance(part, Column):
            return literal(part.name)
        if isinstance(part, TextClause):
            return sql_text(part.text, self.imports)
        if isinstance(part, UnaryExpression):
            return self._sorted(part)
        return sql_text(str(part.compile(compile_kwargs={"literal_binds": True})), self.imports)

    def _sorted(self, part: UnaryExpression[Any]) -> Source:
        """A column or an expression, and how it is sorted; the inner one is what is sorted."""
        inner: Any = part
        names: list[str] = []
        while isinstance(inner, UnaryExpression):
            names.append(_SORTS[str(getattr(inner.modifier, "__name__", ""))])
            inner = inner.element
        if isinstance(inner, Column):
            quoted = '"' + inner.name.replace('"', '""') + '"'
            words = [name.upper().replace("NULLS_", "NULLS ") for name in reversed(names)]
            return sql_text(" ".join([quoted, *words]), self.imports)
        sql = inner.text if isinstance(inner, TextClause) else str(inner)
        chain = "".join(f".{name}()" for name in reversed(names))
        column = self.imports.use("sqlalchemy", "literal_column")
        return Call(f"{column}(", [literal(sql)], f"){chain}")

    # -- helpers ---------------------------------------------------------------------------------

    def _add(self, kind: str, columns: list[str], options: dict[str, Source]) -> None:
        name = self.imports.use("sqlalchemy", kind)
        self.spread.arguments.append(call(name, *map(literal, columns), **options))

    def _own_name(
        self, constraint: PrimaryKeyConstraint | ForeignKeyConstraint, columns: list[str]
    ) -> dict[str, Source]:
        """Its name, unless it is what the database or the kit calls it without being asked."""
        kind = "pk" if isinstance(constraint, PrimaryKeyConstraint) else "fk"
        usual = {
            None,
            NAMING_CONVENTION[kind] % self._words(columns, constraint),
            self.dialect.default_name(constraint, str(self.table.name), columns),
        }
        return {} if constraint.name in usual else {"name": literal(str(constraint.name))}

    def _words(self, columns: list[str], constraint: Any = None) -> dict[str, str]:
        referred = getattr(constraint, "referred_table", None)
        return {
            "table_name": str(self.table.name),
            "column_0_N_name": "_".join(columns),
            "referred_table_name": "" if referred is None else str(referred.name),
        }


def _in_one_line(sql: str) -> str:
    """The same, as far as it is no text, with single blanks."""
    parts = re.split(r"('(?:[^']|'')*'|\"[^\"]*\"|--[^\n]*\n)", sql)
    return "".join(part if at % 2 else re.sub(r"\s+", " ", part) for at, part in enumerate(parts))


def _target(element: ForeignKey) -> Source:
    """``"table.column"``, or in parts where one of them has a dot itself."""
    names = [part for part in element.target_tokens if part is not None]
    if any("." in name for name in names):
        return group([literal(name) for name in names])
    return literal(".".join(names))


def _fits(key: ForeignKeyConstraint, column: Column[Any]) -> bool:
    """Whether ``Field`` can say it."""
    rules = (key.onupdate, key.match, key.deferrable, key.initially)
    allowed = key.ondelete is None or key.ondelete in _ACTIONS
    plain = isinstance(_target(key.elements[0]), str)
    return (
        plain
        and allowed
        and not any(rules)
        and (key.ondelete != "SET NULL" or bool(column.nullable))
    )


def _timing(constraint: Any) -> dict[str, Source]:
    found: dict[str, Source] = {}
    if constraint.deferrable:
        found["deferrable"] = "True"
    if constraint.initially:
        found["initially"] = literal(constraint.initially)
    return found


def _dialect_options(item: Any, imports: Imports) -> dict[str, Source]:
    found: dict[str, Source] = {}
    for name, value in sorted(item.dialect_kwargs.items()):
        if value is None or value is False or value == [] or value == {}:
            continue
        if isinstance(value, str) and not name.endswith("_where"):
            found[name] = literal(value)
        elif isinstance(value, dict):
            found[name] = pairs([(str(key), literal(one)) for key, one in value.items()])
        elif isinstance(value, list | tuple):
            found[name] = many(literal(getattr(one, "name", one)) for one in value)
        elif value is True:
            found[name] = "True"
        else:
            found[name] = sql_text(str(getattr(value, "text", value)), imports)
    return found


def _order(constraint: Any) -> str:
    columns = [column.name for column in getattr(constraint, "columns", ())]
    return f"{columns} {constraint.name} {getattr(constraint, 'sqltext', '')}"
