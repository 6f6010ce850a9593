"""Validation of table rows, which SQLModel leaves out: whole ones, and single fields."""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import cache
from itertools import chain
from typing import Any, get_args
from uuid import UUID

import pydantic
from sqlalchemy import JSON, Column, UniqueConstraint
from sqlalchemy import inspect as mapping_of
from sqlalchemy.orm import Mapper
from sqlmodel import SQLModel

from domain.errors import ValidationError
from infrastructure.database.models.children import ChildrenInfo, children_of
from infrastructure.database.models.columns import Check, check_for
from infrastructure.database.models.embedded import Embedded
from infrastructure.database.models.types import Json


def entity_name(model: type[Any]) -> str:
    """The name of the domain class, for errors."""
    return str(getattr(model, "__entity_class__", model).__name__)


class Rules:
    """What a row of one table may hold."""

    def __init__(self, model: type[SQLModel]) -> None:
        mapper = mapping_of(model)
        self.model = model
        self.entity = entity_name(model)
        self.columns: dict[str, Column[Any]] = {
            attribute.key: column
            for attribute in mapper.column_attrs
            if isinstance(column := attribute.columns[0], Column)
        }
        self.keys = tuple(mapper.get_property_by_column(key).key for key in mapper.primary_key)
        self.names = tuple(self.columns)
        self.filled_in = [n for n, column in self.columns.items() if column.default is not None]
        version = mapper.version_id_col
        self.version = None if version is None else mapper.get_property_by_column(version).key
        self.givable = self.columns.keys() - {self.version}
        self.timestamped = "updated_at" in self.columns and hasattr(model, "stamp")
        self.json = {name for name, c in self.columns.items() if _holds_json(c.type)}
        self.relationships = frozenset(mapper.relationships.keys())
        self.children = children_of(mapper)
        self.unique_keys = _unique_keys(mapper)
        checks = ((name, check_for(column.type)) for name, column in self.columns.items())
        self._checks: dict[str, Check] = {name: check for name, check in checks if check}
        self._operands: dict[str, Operand] = {}

    @property
    def owner(self) -> ChildrenInfo | None:
        """Whose children these are, if they are children."""
        owner: ChildrenInfo | None = self.model.__dict__.get("__kit_owner__")
        return owner

    def whole(self, values: Mapping[str, Any]) -> tuple[dict[str, Any], set[str]]:
        """All fields, converted, defaults included; and the names of those that were given."""
        self.known(values)
        scratch = self.model.__new__(self.model)
        try:
            self.model.__pydantic_validator__.validate_python(dict(values), self_instance=scratch)
        except pydantic.ValidationError as error:
            raise self.invalid(error) from None
        converted = self._checked(scratch.__dict__)
        return converted, scratch.__pydantic_fields_set__

    def some(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Some fields, converted."""
        self.known(values)
        scratch = self.model.__new__(self.model)
        wrong: dict[str, str] = {}
        for name, value in values.items():
            try:
                self.model.__pydantic_validator__.validate_assignment(scratch, name, value)
            except pydantic.ValidationError as error:
                wrong |= messages_of(error)
        if wrong:
            raise ValidationError(self.entity, wrong)
        return self._checked(scratch.__dict__)

    def one(self, name: str, value: Any) -> Any:
        """One field, converted."""
        return self.some({name: value})[name]

    def operand(self, name: str, value: Any) -> Any:
        """A value that a field may be compared with: of its type, though not bound by its rules.

        A value that had to be converted is refused: Python would not find it equal.
        """
        return (self._operands.get(name) or self._operand_of(name)).accept(value)

    def key(self, parts: Sequence[Any]) -> tuple[Any, ...]:
        """The parts of a key, converted."""
        operands = [self._operands.get(name) or self._operand_of(name) for name in self.keys]
        if all(map(Operand.is_exact, operands, parts)):
            return tuple(map(Operand.accept, operands, parts))
        values = self.some(dict(zip(self.keys, parts, strict=True)))
        return tuple(values[name] for name in self.keys)

    def _operand_of(self, name: str) -> Operand:
        self.known([name])
        if name not in self._operands:
            annotation = self.model.model_fields[name].annotation
            self._operands[name] = Operand(self.entity, name, annotation, self.columns[name])
        return self._operands[name]

    @functools.cached_property
    def key_type(self) -> type[Any] | None:
        """The type of a key of one part, whose values need no conversion; None for others."""
        exact = [kind for key in self.keys for kind in self._operand_of(key).exact]
        return exact[0] if len(exact) == len(self.keys) == 1 else None

    def known(self, names: Iterable[str]) -> None:
        """Refuse names that are no fields."""
        unknown = [name for name in names if name not in self.columns]
        if unknown:
            raise ValidationError(self.entity, {name: self._no_field(name) for name in unknown})

    def _no_field(self, name: str) -> str:
        if name in self.relationships:
            return "is a relationship, not a field"
        import difflib  # noqa: PLC0415 -- only to help whoever is wrong

        near = difflib.get_close_matches(name, self.columns, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(self.columns)}"
        return f"is no field of {self.entity}; {hint}"

    def _checked(self, values: Mapping[str, Any]) -> dict[str, Any]:
        wrong = {
            name: message
            for name, check in self._checks.items()
            if name in values and (message := check(values[name])) is not None
        }
        if wrong:
            raise ValidationError(self.entity, wrong)
        # What is nested in a list or dict is not copied by pydantic, and the caller still has it.
        return dict(values) | {
            name: copy.deepcopy(values[name]) for name in self.json & values.keys()
        }

    def invalid(self, error: pydantic.ValidationError) -> ValidationError:
        """Pydantic's error in our words."""
        return ValidationError(self.entity, messages_of(error))


def unique_parts(table: Any) -> list[Any]:
    """The constraints and indexes that are unique keys; no partial ones, nor of expressions."""
    constraints = [part for part in table.constraints if isinstance(part, UniqueConstraint)]
    indexes = [
        index
        for index in table.indexes
        if index.unique
        and len(index.columns) == len(index.expressions)
        and all(said is None for name, said in index.kwargs.items() if name.endswith("_where"))
    ]
    named = (sorted(parts, key=lambda part: str(part.name)) for parts in (constraints, indexes))
    return [table.primary_key, *chain.from_iterable(named)]


def _unique_keys(mapper: Mapper[Any]) -> set[frozenset[str]]:
    return {
        frozenset(mapper.get_property_by_column(column).key for column in part.columns)
        for part in unique_parts(mapper.local_table)
    }


def _holds_json(type_: Any) -> bool:
    return isinstance(type_, JSON | Json) and not isinstance(type_, Embedded)


class Operand:
    """What one field may be compared with."""

    def __init__(self, entity: str, name: str, annotation: Any, column: Column[Any]) -> None:
        self.entity = entity
        self.name = name
        self.exact = [kind for kind in (get_args(annotation) or (annotation,)) if kind in _SIMPLE]
        self._adapter: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(annotation)
        self._check = check_for(column.type, any_size=True)

    def is_exact(self, value: Any) -> bool:
        """Whether the value has the type of the field, so that nothing has to be converted."""
        return type(value) in self.exact

    def accept(self, value: Any) -> Any:
        """The value, in the type of the field; ``ValidationError`` if it has another meaning."""
        converted = value if self.is_exact(value) else self._convert(value)
        wrong = self._check(converted) if self._check else None
        if wrong:
            raise ValidationError(self.entity, {self.name: wrong})
        return converted

    def _convert(self, value: Any) -> Any:
        try:
            converted = self._adapter.validate_python(value)
        except pydantic.ValidationError as error:
            message = next(iter(messages_of(error).values()))
            raise ValidationError(self.entity, {self.name: message}) from None
        if converted != value:
            message = f"must be compared with a value of type {type(converted).__name__}"
            raise ValidationError(self.entity, {self.name: message})
        return converted


_SIMPLE = (int, str, bool, UUID, date)


def messages_of(error: pydantic.ValidationError) -> dict[str, str]:
    """The first message for each field. Where inside of it is not said: keys are values, too."""
    messages: dict[str, str] = {}
    for item in error.errors(include_url=False, include_context=False, include_input=False):
        field, *path = item["loc"] or ("value",)
        said = _NO_TAG if item["type"] == "union_tag_invalid" else item["msg"]
        messages.setdefault(str(field), f"something in it: {said}" if path else said)
    return messages


_NO_TAG = "has a tag that is none of those expected"  # pydantic's words have the tag


def rules_of(model: Any) -> Rules:
    """The rules of a table, made once."""
    return _made(model)


def family(model: Any) -> list[Any]:
    """A model, and those of its children."""
    children = [info.model for info in rules_of(model).children.values()]
    return [model, *(one for child in children for one in family(child))]


@cache
def _made(model: type[SQLModel]) -> Rules:
    return Rules(model)
