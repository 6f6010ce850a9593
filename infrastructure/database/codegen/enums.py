"""The module with the enums that the database has."""

from __future__ import annotations

import ast
import keyword
import re
import unicodedata
from collections.abc import Collection, Iterator
from typing import Any

from sqlalchemy import ARRAY, Enum, MetaData
from sqlalchemy.types import TypeEngine

from infrastructure.database.codegen import names
from infrastructure.database.codegen.modules import HEADER, NOTE
from infrastructure.database.codegen.source import literal
from infrastructure.database.codegen.types import enum_key

MODULE = "enums"


def enums_of(metadata: MetaData) -> dict[str, Enum]:
    """All that have a name, once."""
    found = {}
    for table in metadata.tables.values():
        for column in table.columns:
            for enum in _below(column.type):
                if enum.name and enum.enums:
                    found[enum_key(enum)] = enum
    return dict(sorted(found.items()))


def _below(type_: TypeEngine[Any]) -> Iterator[Enum]:
    match type_:
        case Enum():
            yield type_
        case ARRAY():
            yield from _below(type_.item_type)
        case _ if type(type_).__name__ == "DOMAIN":
            yield from _below(getattr(type_, "data_type"))  # noqa: B009 -- of PostgreSQL alone


def class_names(
    enums: dict[str, Enum], taken: Collection[str], before: str | None
) -> dict[str, str]:
    """The classes of enums by their keys; those that are there keep their names."""
    there = {said: node.name for said, node in _there(before).items()}
    found = {key: there[_plain(e)] for key, e in enums.items() if _plain(e) in there}
    for key, enum in enums.items():
        if key not in found:
            wanted = names.camel(str(enum.name), "Enum")
            wanted = f"{wanted}Kind" if wanted in taken else wanted
            found[key] = names.free(wanted, taken, found.values())
    return found


def enum_source(enums: dict[str, Enum], classes: dict[str, str], before: str | None) -> str:
    """The whole module. A class whose values are those of the database stays as it is."""
    if before is None:
        head = [HEADER, NOTE, '"""The enums of the database."""', "", "from enum import Enum"]
        return "\n".join([*head, *_classes(enums, classes)]) + "\n"
    lines = before.rstrip("\n").split("\n")
    there = _there(before)
    missing = {key: enum for key, enum in enums.items() if _plain(enum) not in there}
    for enum in sorted(enums.values(), key=lambda e: -_line(there.get(_plain(e)))):
        node = there.get(_plain(enum))
        if node is not None and _values(node) != list(enum.enums):
            lines[node.lineno - 1 : node.end_lineno] = _class(node.name, enum)
    return "\n".join([*lines, *_classes(missing, classes)]) + "\n"


def _classes(enums: dict[str, Enum], classes: dict[str, str]) -> list[str]:
    return [line for key, e in enums.items() for line in ["", "", *_class(classes[key], e)]]


def _class(name: str, enum: Enum) -> list[str]:
    members = _members(list(enum.enums))
    return [
        f"class {name}(str, Enum):",
        f'    """The enum {_plain(enum)}."""',
        "",
        *(f"    {member} = {literal(value)}" for member, value in members.items()),
    ]


def _there(before: str | None) -> dict[str, ast.ClassDef]:
    """The classes that are there, by what their docstrings say they are."""
    found = {}
    for node in ast.parse(before or "").body:
        said = ast.get_docstring(node) or "" if isinstance(node, ast.ClassDef) else ""
        match = re.match(r"The enum (.+)\.", said)
        if match and isinstance(node, ast.ClassDef):
            found[match[1]] = node
    return found


def _values(node: ast.ClassDef) -> list[object]:
    return [
        statement.value.value
        for statement in node.body
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant)
    ]


def _line(node: ast.ClassDef | None) -> int:
    return 0 if node is None else node.lineno


def _plain(enum: Enum) -> str:
    name = ".".join(filter(None, [enum.schema, enum.name]))
    return "".join(letter for letter in name if letter.isprintable() and letter not in '"\\')


def member_names(enum: Enum, before: str | None) -> dict[str, str]:
    """The names of the members by their values; those that are there are kept."""
    node = _there(before).get(_plain(enum))
    if node is not None and _values(node) == list(enum.enums):
        return dict(zip(map(str, _values(node)), _targets(node), strict=True))
    return {value: name for name, value in _members(list(enum.enums)).items()}


def _targets(node: ast.ClassDef) -> list[str]:
    return [
        ast.unparse(statement.targets[0])
        for statement in node.body
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant)
    ]


def _members(values: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for value in values:
        made = re.sub(r"\W+", "_", unicodedata.normalize("NFKC", value)).strip("_").upper()
        made = made or "EMPTY"
        if not made.isidentifier():
            made = f"VALUE_{made}"
        if not made.isidentifier() or keyword.iskeyword(made) or made == "MRO":
            made = f"{made}_" if made.isidentifier() else f"VALUE_{len(found) + 1}"
        found[names.free(made, found)] = value
    return found
