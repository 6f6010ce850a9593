"""What belongs to a package of models besides the modules of the tables."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from infrastructure.database.codegen.modules import HEADER
from infrastructure.database.codegen.source import by_number, in_order, lines, literal, many

_ABOUT = '"""The models of the database, a module for each table."""'


def init_source(classes: Mapping[str, list[str]], before: str | None) -> str:
    """The ``__init__``, which imports all modules, so that each knows those it refers to.

    ``classes`` are those of each module. What somebody added is kept.
    """
    imported = [
        line
        for module, found in sorted(classes.items(), key=lambda item: by_number(item[0]))
        for line in _import(module, sorted(found, key=in_order))
    ]
    everything = sorted((n for found in classes.values() for n in found), key=in_order)
    exported = lines("__all__ = ", many(map(literal, everything)), indent=0)
    own = _own(before or "")
    return "\n".join([HEADER, _ABOUT, "", *imported, "", *exported, *own, ""])


def _import(module: str, found: list[str]) -> list[str]:
    whole = f"from .{module} import {', '.join(found)}"
    if len(whole) <= 88:
        return [whole]
    return [f"from .{module} import (", *(f"    {name}," for name in found), ")"]


def _own(before: str) -> list[str]:
    """The lines that somebody added behind what is generated."""
    nodes = ast.parse(before).body
    ends = [0] + [
        node.end_lineno or 0
        for node in nodes
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    ]
    rest = before.split("\n")[ends[-1] :] if ends[-1] else []
    while rest and not rest[-1].strip():
        rest.pop()
    return rest
