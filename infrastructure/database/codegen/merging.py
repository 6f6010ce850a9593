"""Joins a module that is there with what would be written now.

A statement that says the same of the database stays as it is, to the letter.
One that says something else is written anew. What was never generated stays.
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from infrastructure.database.codegen.existing import (
    Class,
    File,
    column_attribute,
    is_call,
    is_named,
)
from infrastructure.database.codegen.import_lines import is_import, lacks, with_imports
from infrastructure.database.codegen.modules import Module, Part

_OF_THE_DATABASE = {
    "decimal_places", "default", "default_factory", "foreign_key", "index", "max_digits",
    "max_length", "nullable", "ondelete", "primary_key", "sa_column", "sa_column_args",
    "sa_column_kwargs", "sa_type", "unique",
}  # fmt: skip
_GENERATED_OPTIONS = {"comment", "primary_key", "schema", "sqlite_autoincrement"}
_OF_THE_TABLE = ("__tablename__", "__table_args__", "__mapper_args__")


@dataclass
class _Edit:
    """Lines that are replaced by others; none are replaced where both are equal."""

    start: int
    end: int
    lines: list[str]


class Merger:
    """Works on one file and one class in it."""

    def __init__(self, file: File, there: Class, module: Module) -> None:
        self.lines = file.text.split("\n")
        self.file = file
        self.there = there
        self.module = module
        self.edits: list[_Edit] = []

    def merged(self) -> str:
        """The text of the file."""
        self._merge_class()
        lines = list(self.lines)
        for edit in sorted(self.edits, key=lambda edit: (edit.start, edit.end), reverse=True):
            lines[edit.start : edit.end] = edit.lines
        text = "\n".join(lines)
        wanted = self.module.imports
        return with_imports(text, wanted) if self.edits or lacks(text, wanted) else text

    # -- the class ----------------------------------------------------------------------------

    def _merge_class(self) -> None:
        spans = list(self._spans())
        wanted = {part.key: part for part in self.module.parts}
        last: dict[str, int] = {}
        for key, start, end in spans:
            group = key.partition(":")[0]
            part = wanted.pop(key, None)
            if part is not None:
                if not self._is_same(key, start, end, part):
                    self.edits.append(_Edit(start, end, self._rewritten(part, start, end)))
            elif group == "column" or self._is_stale(key):
                self.edits.append(_Edit(*self._with_blank(start, end), []))
            last[group] = end
        self._add(list(wanted.values()), last, spans)

    def _spans(self) -> Iterator[tuple[str, int, int]]:
        """Each statement of the class, with the comments right above and a text right below."""
        body = self.there.node.body
        before = self.there.node.lineno
        for at, node in enumerate(body):
            follows = body[at + 1] if at + 1 < len(body) else None
            key = self._key(node, at)
            end = node.end_lineno or node.lineno
            if key.startswith("column:") and follows is not None and _is_text(follows):
                end = follows.end_lineno or end
            if not (at and _is_text(node)):
                yield key, self._with_comments(node.lineno - 1, before, key), end
            before = end

    def _with_comments(self, start: int, before: int, key: str) -> int:
        generated = key == "table:__mapper_args__" or key.startswith("column:")
        if generated and start > before and self.lines[start - 1].strip() in self._comments(key):
            return start - 1
        return start

    def _comments(self, key: str) -> set[str]:
        """What is generated above a statement, now or before."""
        part = next((part for part in self.module.parts if part.key == key), None)
        said = {part.lines[0].strip()} if part and part.lines[0].lstrip().startswith("#") else set()
        above = self.lines
        return said | {
            line.strip()
            for line in above
            if line.strip().startswith(("# declared ", "# The table has no", "# The view has no"))
        }

    def _key(self, node: ast.stmt, at: int) -> str:
        if at == 0 and _is_text(node):
            return "doc"
        match node:
            case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
                if name in _OF_THE_TABLE:
                    return f"table:{name}"
                if is_call(node.value, "Relationship"):
                    return f"relation:{name}"
                return f"column:{name}" if column_attribute(node) else f"own:{name}"
            case _:
                return f"own:{at}"

    def _is_same(self, key: str, start: int, end: int, part: Part) -> bool:
        if key == "doc":
            return self._doc_is_theirs(part)
        there, now = (_statements(text) for text in (self.lines[start:end], part.lines))
        if key.startswith("column:"):
            return _column(there[0]) == _column(now[0])
        return [ast.dump(node) for node in there] == [ast.dump(node) for node in now]

    def _doc_is_theirs(self, part: Part) -> bool:
        """Whether somebody wrote another docstring than the comment that the table had."""
        text = ast.get_docstring(self.there.node) or ""
        before = _comment_of(self.there.node)
        now = ast.get_docstring(ast.parse(textwrap.dedent("\n".join(part.lines))))
        return text == now or before is None or " ".join(text.split()) != " ".join(before.split())

    def _rewritten(self, part: Part, start: int, end: int) -> list[str]:
        """The new statement, with what a person told the field besides."""
        if not part.key.startswith("column:"):
            return part.lines
        own = [
            ast.unparse(keyword)
            for node in _statements(self.lines[start:end])
            for keyword in getattr(getattr(node, "value", None), "keywords", ())
            if keyword.arg not in _OF_THE_DATABASE
        ]
        lines = part.lines if not own else _with_keywords(part.lines, own)
        there = _statements(self.lines[start:end])
        text = there[1:] if len(_statements(part.lines)) == 1 else []
        return lines + self.lines[end - _height(text) : end]

    def _is_stale(self, key: str) -> bool:
        """Whether a statement was generated, and what it says is gone."""
        group, _, name = key.partition(":")
        if group == "table":
            return not self._is_of_a_person(name)
        known = any(one.name == name for one in self.there.relations)
        return group == "relation" and known and self._was_generated(name)

    def _is_of_a_person(self, name: str) -> bool:
        """Whether options of the class say nothing that is ever generated."""
        node: Any = next(node for node in self.there.node.body if is_named(node, name))
        if not isinstance(node.value, ast.Dict):
            return False
        keys = {getattr(key, "value", None) for key in node.value.keys}
        return not keys & _GENERATED_OPTIONS

    def _was_generated(self, name: str) -> bool:
        known = next(one for one in self.there.relations if one.name == name)
        return not known.words.keys() & {"primaryjoin", "viewonly", "secondaryjoin"}

    def _with_blank(self, start: int, end: int) -> tuple[int, int]:
        blank = start > 0 and not self.lines[start - 1].strip()
        more = end < len(self.lines) and self.lines[end].strip()
        return (start, end) if not blank or more else (start - 1, end)

    def _add(
        self, parts: list[Part], last: dict[str, int], spans: list[tuple[str, int, int]]
    ) -> None:
        """New statements stand behind the last one of their kind."""
        taken = {key.partition(":")[2] for key, *_ in spans if key.startswith("own:")}
        fallback = self.there.node.body[0].end_lineno or self.there.node.lineno
        for group in dict.fromkeys(part.key.partition(":")[0] for part in parts):
            found = [p for p in parts if p.key.partition(":")[0] == group]
            lines = [
                line for p in found if p.key.partition(":")[2] not in taken for line in p.lines
            ]
            order = ["table", "column", "relation"]
            if group == "doc":
                self.edits.append(
                    _Edit(self.there.node.lineno, self.there.node.lineno, [*lines, ""])
                )
            elif lines and group in last:
                self.edits.append(_Edit(last[group], last[group], lines))
            elif lines:
                before = [last[one] for one in order[: order.index(group)] if one in last]
                at = max([fallback, *before])
                self.edits.append(_Edit(at, at, ["", *lines]))


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _height(nodes: list[ast.stmt]) -> int:
    return sum((node.end_lineno or node.lineno) - node.lineno + 1 for node in nodes)


def _statements(lines: list[str]) -> list[ast.stmt]:
    module: Any = ast.parse("class _:\n" + "\n".join(lines))
    body: list[ast.stmt] = module.body[0].body
    return body


def _column(node: ast.stmt) -> object:
    """What a statement says of the database, without what else a person told the field."""
    if not isinstance(node, ast.AnnAssign):
        return ast.dump(node)
    value = node.value
    if not isinstance(value, ast.Call):
        said = [("default", ast.dump(value))] if value is not None else []
    else:
        said = [("", ast.dump(one)) for one in value.args] + [
            (str(one.arg), ast.dump(one.value))
            for one in value.keywords
            if one.arg in _OF_THE_DATABASE
        ]
    return ast.dump(node.target), ast.dump(node.annotation), sorted(said)


def _with_keywords(lines: list[str], own: list[str]) -> list[str]:
    """The statement with more keywords, each in a line of its own."""
    at = max(i for i, line in enumerate(lines) if line.rstrip().endswith(")"))
    if lines[at].strip() == ")":
        return [*lines[:at], *(f"        {one}," for one in own), *lines[at:]]
    joined = lines[at].rstrip()[:-1]
    return [*lines[:at], f"{joined}, {', '.join(own)})", *lines[at + 1 :]]


def _comment_of(node: ast.ClassDef) -> str | None:
    """The comment of the table as the class has it."""
    for statement in node.body:
        for inner in ast.walk(statement):
            if isinstance(inner, ast.Dict):
                for key, value in zip(inner.keys, inner.values, strict=True):
                    if isinstance(key, ast.Constant) and key.value == "comment":
                        return str(getattr(value, "value", ""))
        if isinstance(statement, ast.AnnAssign) and column_attribute(statement):
            break
    return None


def is_all_generated(file: File) -> bool:
    """Whether nobody added anything to a module."""
    for node in file.tree.body:
        known = next((one for one in file.classes if one.node is node), None)
        if known is None and not is_import(node) and not _is_text(node):
            return False
        if known is not None and not all(_may_be_generated(inner) for inner in known.node.body):
            return False
    return True


def _may_be_generated(node: ast.stmt) -> bool:
    match node:
        case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
            return (
                name in _OF_THE_TABLE
                or column_attribute(node) is not None
                or (is_call(node.value, "Relationship"))
            )
        case _:
            return _is_text(node)
