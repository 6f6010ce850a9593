"""How one column is written down."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Computed, DefaultClause, Identity

from infrastructure.database.codegen.constraints import sql_text
from infrastructure.database.codegen.imports import Imports
from infrastructure.database.codegen.source import (
    Source,
    call,
    docstring,
    literal,
    many,
    pairs,
    statement,
)
from infrastructure.database.codegen.types import Mapped

_NULL = re.compile(r"\(*NULL\b", re.IGNORECASE)
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,17})(\.\d+)?")
_TEXT = re.compile(r"'((?:[^']|'')*)'(?:::[\w\s.\"()]+)?")
_TRUE = {"true": "True", "false": "False", "1": "True", "0": "False"}
_IDENTITY = ("start", "increment", "minvalue", "maxvalue", "cycle", "cache")
_IDENTITY_DEFAULTS = {"start": 1, "increment": 1, "minvalue": 1, "cycle": False, "cache": 1}
_LARGEST = {"SMALLINT": 2**15 - 1, "INTEGER": 2**31 - 1, "BIGINT": 2**63 - 1}


@dataclass
class Declared:
    """The statement that declares a column, and what is written about it."""

    attribute: str
    lines: list[str]


def is_made(column: Column[Any]) -> bool:
    """Whether the database makes the value if none is given."""
    said = column.info.get("serial") or column.identity is not None
    return bool(said) or column.computed is not None or _has_default(column)


def _has_default(column: Column[Any]) -> bool:
    default = column.server_default
    return isinstance(default, DefaultClause) and not _NULL.match(_sql_of(default))


def declared(
    attribute: str,
    column: Column[Any],
    mapped: Mapped,
    said: dict[str, Source],
    reference: Source | None,
    imports: Imports,
) -> Declared:
    """``name: str = Field(max_length=20)``, with a comment or docstring where there is one."""
    if "Any" in mapped.annotation:
        imports.use("typing", "Any")
    default = None if column.primary_key else _default(column, mapped, imports)
    factory = None if column.primary_key else _factory(column, mapped)
    made = is_made(column) and default is None and factory is None
    optional = (column.nullable and not column.primary_key) or made
    options: dict[str, Source] = {}
    if optional:
        options["default"] = "None"
    elif factory is not None:
        options["default_factory"] = factory
    elif default is not None:
        options["default"] = default
    if column.primary_key:
        options["primary_key"] = "True"
    options |= mapped.options
    options |= _nullable(column, mapped, optional=optional)
    options |= said
    options |= _sql(attribute, column, mapped, reference, imports)
    suffix = " | None" if optional and not mapped.any_value else ""
    annotation = f"{mapped.annotation}{suffix}"
    above = [f"    # {mapped.comment}"] if mapped.comment else []
    below = docstring(column.comment) if column.comment else []
    if not options:
        return Declared(attribute, [*above, f"    {attribute}: {annotation}", *below])
    if list(options) == ["default"]:
        return Declared(
            attribute, [*above, *statement(attribute, annotation, options["default"]), *below]
        )
    field = call(imports.use("sqlmodel", "Field"), **options)
    return Declared(attribute, [*above, *statement(attribute, annotation, field), *below])


def _nullable(column: Column[Any], mapped: Mapped, *, optional: bool) -> dict[str, Source]:
    """Where the annotation says something else than the column."""
    if column.primary_key:  # SQLite lets a key be NULL if nobody forbids it
        return {"nullable": "True"} if column.nullable else {}
    implied = optional and not mapped.any_value
    return {} if implied == bool(column.nullable) else {"nullable": str(bool(column.nullable))}


def _sql(
    attribute: str,
    column: Column[Any],
    mapped: Mapped,
    reference: Source | None,
    imports: Imports,
) -> dict[str, Source]:
    found: dict[str, Source] = {}
    if mapped.sql is not None:
        found["sa_type"] = mapped.sql
    made = _made(column, imports)
    arguments = [part for part in (reference, made) if part is not None]
    if arguments:
        found["sa_column_args"] = many(arguments)
    words: list[tuple[str, Source]] = []
    if attribute != column.name:
        words.append(("name", literal(str(column.name))))
    if isinstance(column.server_default, DefaultClause):
        words.append(("server_default", sql_text(_sql_of(column.server_default), imports)))
    elif column.info.get("serial") and not column.primary_key:
        words.append(("server_default", call(imports.use("sqlalchemy", "FetchedValue"))))
    if column.comment:
        words.append(("comment", literal(column.comment)))
    if words:
        found["sa_column_kwargs"] = pairs(words)
    return found


def _made(column: Column[Any], imports: Imports) -> Source | None:
    if isinstance(column.computed, Computed):
        sql = literal(str(column.computed.sqltext).replace(":", "\\:").replace("\\:\\:", "::"))
        stored = column.computed.persisted
        options = {} if stored is None else {"persisted": str(stored)}
        return call(imports.use("sqlalchemy", "Computed"), sql, **options)
    if isinstance(column.identity, Identity):
        return _identity(column, column.identity, imports)
    return None


def _identity(column: Column[Any], identity: Identity, imports: Imports) -> Source:
    options: dict[str, Source] = {"always": "True"} if identity.always else {}
    usual = _IDENTITY_DEFAULTS | {"maxvalue": _LARGEST.get(str(column.type), 0)}
    for name in _IDENTITY:
        value = getattr(identity, name)
        if value is not None and value != usual[name]:
            options[name] = literal(value)
    return call(imports.use("sqlalchemy", "Identity"), **options)


def _sql_of(default: DefaultClause) -> str:
    return str(getattr(default.arg, "text", default.arg))


def _default(column: Column[Any], mapped: Mapped, imports: Imports) -> str | None:
    """What a required field is if nobody says it: where the database has a plain value."""
    if column.nullable or not isinstance(column.server_default, DefaultClause):
        return None
    sql = _sql_of(column.server_default).strip().strip("()")
    text = _TEXT.fullmatch(sql)
    plain = text[1] if text else sql
    number = _NUMBER.fullmatch(plain)
    match mapped.annotation:
        case "bool":
            return _TRUE.get(plain.lower())
        case "int":
            return plain if number and not number[2] else None
        case "float" if number:
            return plain if number[2] else f"{plain}.0"
        case "Decimal" if number:
            return f"{imports.use('decimal', 'Decimal')}({literal(plain)})"
        case _ if text and text[1] in mapped.members:
            return mapped.members[text[1]]
        case "str" if text and len(text[1]) < 40:
            return literal(text[1].replace("''", "'"))
        case _:
            return None


def _factory(column: Column[Any], mapped: Mapped) -> str | None:
    """What makes an empty list where the database has one as its default."""
    if column.nullable or not isinstance(column.server_default, DefaultClause):
        return None
    empty = re.match(r"'\{\}'::|ARRAY\[\]::", _sql_of(column.server_default))
    return "list" if empty and mapped.annotation.startswith("list[") else None
