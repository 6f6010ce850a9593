"""The modules that are there already, and the names which were chosen in them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from infrastructure.database.codegen.building import Entity, Relation
from infrastructure.database.codegen.errors import GenerationError
from infrastructure.database.codegen.modules import HEADER

Key = tuple[str | None, str]
_ATTRIBUTE = re.compile(r"(\w+)\.(\w+)")


@dataclass
class Known:
    """One relationship as it is written."""

    name: str
    target: str
    many: bool
    words: dict[str, str | bool]

    def is_like(self, relation: Relation, columns: dict[str, str]) -> bool:
        """Whether it is this one; ``columns`` are those of the table with the foreign key."""
        if self.many != relation.many:
            return False
        if relation.link is not None or "secondary" in self.words:
            return self._joins(relation, columns)
        itself = relation.owner is relation.target and not relation.many
        if itself and ("remote_side" in self.words) != relation.refers:
            return False
        if not self.many and ("uselist" in self.words) == relation.refers:
            return False
        return self._names("foreign_keys", relation, columns)

    def _joins(self, relation: Relation, columns: dict[str, str]) -> bool:
        between = None if relation.link is None else relation.link.fullname
        same = self.words.get("secondary") == between
        return same and self._names("secondaryjoin", relation, columns)

    def _names(self, word: str, relation: Relation, columns: dict[str, str]) -> bool:
        """Whether the columns of the foreign key are named there, if any are."""
        attributes = [attribute for _, attribute in _ATTRIBUTE.findall(str(self.words.get(word)))]
        asked = {column for column, name in columns.items() if name in attributes}
        return word not in self.words or set(relation.columns) <= asked


@dataclass
class Class:
    """A model that is there."""

    name: str
    node: ast.ClassDef
    key: Key
    columns: dict[str, str] = field(default_factory=dict)
    """The attributes by the names of their columns."""

    relations: list[Known] = field(default_factory=list)


@dataclass
class File:
    """A module that is there."""

    path: Path
    text: str
    tree: ast.Module
    classes: list[Class]

    @property
    def generated(self) -> bool:
        """Whether it says so itself."""
        return self.text.startswith(HEADER)


class Existing:
    """All modules in the folder."""

    def __init__(self, folder: Path) -> None:
        paths = sorted(folder.glob("*.py")) if folder.is_dir() else []
        self.files = {path.stem: _file(path) for path in paths}
        self._places = {
            one.key: (file, one)
            for file in self.files.values()
            if file.generated
            for one in file.classes
        }
        self._classes = {one.name: one for _, one in self._places.values()}

    def by_hand(self) -> dict[str, str]:
        """The tables that other modules describe, and these modules."""
        return {
            ".".join(filter(None, one.key)): name
            for name, file in self.files.items()
            if not file.generated
            for one in file.classes
        }

    def found(self, entity: Entity) -> tuple[File, Class] | None:
        """Where a table has its class."""
        return self._places.get((entity.table.schema, str(entity.table.name)))

    # -- the names ------------------------------------------------------------------------------

    def module_of(self, entity: Entity) -> str | None:
        """The module of a table."""
        found = self.found(entity)
        return found and found[0].path.stem

    def class_of(self, entity: Entity) -> str | None:
        """The class of a table."""
        found = self.found(entity)
        return found and found[1].name

    def attribute_of(self, entity: Entity, column: str) -> str | None:
        """The attribute of a column."""
        found = self.found(entity)
        return found and found[1].columns.get(column)

    def relationship_of(self, relation: Relation) -> str | None:
        """The attribute of a relationship."""
        found = self.found(relation.owner)
        if found is None:
            return None
        columns = self._columns_of(relation)
        for known in found[1].relations:
            if known.target == relation.target.name and known.is_like(relation, columns):
                return known.name
        return None

    def _columns_of(self, relation: Relation) -> dict[str, str]:
        """Those of the table with the foreign key."""
        if relation.link is not None:
            place = self._places.get((relation.link.schema, str(relation.link.name)))
            return place[1].columns if place else {}
        return (relation.owner if relation.refers else relation.target).columns


def _file(path: Path) -> File:
    return parsed(path, path.read_text(encoding="utf-8"))


def parsed(path: Path, text: str) -> File:
    """A module of this text."""
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise GenerationError(f"{path.name}, line {error.lineno}: {error.msg}") from None
    classes = [made for node in tree.body if (made := _class(node)) is not None]
    return File(path, text, tree, classes)


def _class(node: ast.stmt) -> Class | None:
    if not isinstance(node, ast.ClassDef):
        return None
    values = dict(_assigned(node))
    table = values.get("__tablename__")
    if not isinstance(table, ast.Constant):
        return None
    made = Class(node.name, node, (_schema(values.get("__table_args__")), str(table.value)))
    for name, value in values.items():
        annotation = next((a for a in node.body if is_named(a, name)), None)
        if is_call(value, "Relationship") and isinstance(annotation, ast.AnnAssign):
            made.relations.append(_relation(name, annotation.annotation, value))
    for statement in node.body:
        if (attribute := column_attribute(statement)) is not None:
            made.columns[_column_name(attribute, values.get(attribute))] = attribute
    return made


def _assigned(node: ast.ClassDef) -> Iterator[tuple[str, ast.expr | None]]:
    for statement in node.body:
        match statement:
            case ast.AnnAssign(target=ast.Name(id=name), value=value):
                yield name, value
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield name, value


def is_named(statement: ast.stmt, name: str) -> bool:
    """Whether it gives a value to this attribute."""
    match statement:
        case ast.AnnAssign(target=ast.Name(id=found)) | ast.Assign(targets=[ast.Name(id=found)]):
            return found == name
        case _:
            return False


def is_call(value: ast.expr | None, name: str) -> bool:
    """Whether it is a call of this function, or of one imported under a like name."""
    return (
        isinstance(value, ast.Call)
        and isinstance(value.func, ast.Name)
        and value.func.id in (name, f"sql_{name}")
    )


def column_attribute(statement: ast.stmt) -> str | None:
    """The attribute that a statement makes a column of; None for other statements."""
    match statement:
        case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=value):
            if name.startswith("_") or "ClassVar" in ast.unparse(annotation):
                return None
            plain = value is None or isinstance(value, ast.Constant)
            return name if plain or is_call(value, "Field") else None
        case _:
            return None


def _column_name(attribute: str, value: ast.expr | None) -> str:
    """What the column is called in the database."""
    if isinstance(value, ast.Call):
        for keyword in value.keywords:
            if keyword.arg == "sa_column_kwargs" and isinstance(keyword.value, ast.Dict):
                found = _texts(keyword.value).get("name")
                return attribute if found is None else str(found)
            if keyword.arg == "sa_column" and isinstance(keyword.value, ast.Call):
                first = next(iter(keyword.value.args), None)
                if isinstance(first, ast.Constant) and isinstance(first.value, str):
                    return first.value
    return attribute


def _schema(value: ast.expr | None) -> str | None:
    last = value.elts[-1] if isinstance(value, ast.Tuple) and value.elts else value
    schema = _texts(last).get("schema") if isinstance(last, ast.Dict) else None
    return None if schema is None else str(schema)


def _texts(value: ast.Dict) -> dict[str, str | bool]:
    return {
        str(key.value): item.value
        for key, item in zip(value.keys, value.values, strict=True)
        if isinstance(key, ast.Constant)
        and isinstance(item, ast.Constant)
        and isinstance(item.value, str | bool)
    }


def _relation(name: str, annotation: ast.expr, value: ast.expr | None) -> Known:
    words: dict[str, str | bool] = {}
    for keyword in value.keywords if isinstance(value, ast.Call) else ():
        if keyword.arg == "sa_relationship_kwargs" and isinstance(keyword.value, ast.Dict):
            words = _texts(keyword.value)
    said = ast.unparse(annotation)
    target = re.findall(r"[^\W\d]\w*", re.sub(r"\b(list|List|Optional|None)\b", "", said))
    return Known(name, target[-1] if target else "", said.lower().startswith("list"), words)
