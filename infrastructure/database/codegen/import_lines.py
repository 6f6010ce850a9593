"""The imports of a module that is there: what is missing comes in, what nothing needs goes."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from infrastructure.database.codegen.imports import Imports

_GENERATED = ("datetime", "decimal", "pydantic", "sqlmodel", "typing", "uuid")
_GENERATED_BELOW = (".", "sqlalchemy", "infrastructure.database.models")


def with_imports(text: str, wanted: Imports) -> str:
    """The text of a module, with the imports that it needs."""
    return _Block(text, wanted).rewritten()


def lacks(text: str, wanted: Imports) -> bool:
    """Whether a module does not import all that it needs."""
    block = _Block(text, wanted)
    return not (block.asked <= block.there and block.asked_checked <= block.there_checked)


class _Block:
    """All imports of a module, which stand together unless somebody has put code between them."""

    def __init__(self, text: str, wanted: Imports) -> None:
        self.lines = text.split("\n")
        self.tree = ast.parse(text)
        self.wanted = wanted
        fresh = ast.parse("\n".join(wanted.written())).body
        self.there, self.there_checked = (
            _imported(self.tree.body),
            _imported(_checked(self.tree.body)),
        )
        self.asked, self.asked_checked = _imported(fresh), _imported(_checked(fresh))
        nodes = [node for node in self.tree.body if is_import(node)]
        self.start = nodes[0].lineno - 1 if nodes else 0
        self.end = (nodes[-1].end_lineno or 0) if nodes else 0

    def rewritten(self) -> str:
        """The whole text."""
        used = set(self._used())
        kept = {one for one in self.there | self.asked if one.local in used or not one.generated}
        moved = {one.local for one in self.asked_checked}
        there = {one for one in self.there_checked if one.local not in moved or not one.generated}
        checked = there | self.asked_checked
        checked = {one for one in checked if one.local in used or not one.generated}
        kept = (kept | {_CHECKING}) if checked else (kept - {_CHECKING})
        if self._is_whole():
            new = self._sorted(kept, checked)
        else:
            new = [*self.lines[self.start : self.end], *self._missing(kept, checked)]
        return "\n".join([*self.lines[: self.start], *new, *self.lines[self.end :]])

    def _used(self) -> Iterator[str]:
        """The names that the module speaks of outside of its imports."""
        for node in self.tree.body:
            if not is_import(node):
                for inner in ast.walk(node):
                    if isinstance(inner, ast.Name):
                        yield inner.id
                    elif isinstance(inner, ast.Constant) and isinstance(inner.value, str):
                        yield inner.value

    def _is_whole(self) -> bool:
        """Whether nothing else stands among them, and no comments that would be lost."""
        nodes = [node for node in self.tree.body if self.start <= node.lineno - 1 < self.end]
        lines = self.lines[self.start : self.end]
        comments = [line for line in lines if "#" in line and "their tables have to" not in line]
        return all(map(is_import, nodes)) and not comments

    def _sorted(self, kept: set[_Import], checked: set[_Import]) -> list[str]:
        made = Imports((), self.wanted.own_kit)
        for one in kept:
            if one.name:
                made.found.setdefault(one.module, {})[one.name] = one.local
            else:
                made.modules.add(one.module)
        for one in checked:
            made.use_for_types(one.module, one.name)
        lines = made.written()
        return lines[:-1]

    def _missing(self, kept: set[_Import], checked: set[_Import]) -> list[str]:
        new = [one.line for one in sorted(kept - self.there)]
        types = [f"    {one.line}" for one in sorted(checked - self.there_checked)]
        return [*new, *(["", "if TYPE_CHECKING:", *types] if types else [])]


@dataclass(frozen=True, order=True)
class _Import:
    module: str
    name: str
    local: str

    @property
    def generated(self) -> bool:
        """Whether the generator may have written it."""
        own = self.module in _GENERATED or self.module.startswith(_GENERATED_BELOW)
        return own and bool(self.name)

    @property
    def line(self) -> str:
        """The statement."""
        if not self.name:
            return f"import {self.module}"
        alias = f" as {self.local}" if self.local != self.name else ""
        return f"from {self.module} import {self.name}{alias}"


_CHECKING = _Import("typing", "TYPE_CHECKING", "TYPE_CHECKING")


def is_import(node: ast.stmt) -> bool:
    """Whether a statement imports something, if only for type checkers."""
    checked = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    return isinstance(node, ast.Import | ast.ImportFrom) or checked


def _checked(nodes: Iterable[ast.stmt]) -> list[ast.stmt]:
    return [
        inner
        for node in nodes
        if isinstance(node, ast.If) and is_import(node)
        for inner in node.body
    ]


def _imported(nodes: Iterable[ast.stmt]) -> set[_Import]:
    found = set()
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            found |= {_Import(module, one.name, one.asname or one.name) for one in node.names}
        elif isinstance(node, ast.Import):
            found |= {_Import(one.name, "", one.asname or one.name) for one in node.names}
    return found
