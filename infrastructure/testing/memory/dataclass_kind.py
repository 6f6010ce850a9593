"""Entities that have no table: only the rules of their own constructor hold."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Any

import pydantic

from domain.entity import Entity
from domain.errors import UnitOfWorkError, ValidationError
from domain.logic import terms
from domain.specification import (
    And,
    Between,
    Comparison,
    Constant,
    In,
    IsNone,
    Not,
    Or,
    Specification,
    Text,
)
from infrastructure.database.models.plain import field_names
from infrastructure.database.models.rules import messages_of
from infrastructure.testing.memory.constraints import Reference, Row, Unique
from infrastructure.testing.memory.images import Image
from infrastructure.testing.memory.kinds import Draft, Kind, NextId, OnUndo, Write
from infrastructure.testing.memory.state import Key, State
from infrastructure.testing.memory.values import own, same


class DataclassKind(Kind):
    """A domain dataclass as it is. Lists of other entities are stored with it, by copy."""

    def __init__(
        self,
        domain: type[Any],
        unique: Sequence[Sequence[str]] = (),
        references: Mapping[str, type[Any]] | None = None,
    ) -> None:
        if not dataclasses.is_dataclass(domain) or "id" not in field_names(domain):
            raise TypeError(f"{domain.__name__} is neither a table nor a dataclass with an id")
        self.token = self.domain = domain
        self.entity = str(getattr(domain, "__entity_class__", domain).__name__)
        self.generated = "id"
        self.fields = field_names(domain)
        keys = [("id",), *(tuple(fields) for fields in unique)]
        self.unique = tuple(Unique(fields) for fields in keys)
        self.references = tuple(
            Reference((name,), target, ("id",)) for name, target in (references or {}).items()
        )
        declared = [*(key.fields for key in self.unique), *(r.fields for r in self.references)]
        unknown = {name for fields in declared for name in fields}
        if unknown - {*self.fields}:
            raise TypeError(f"{self.entity} has no field {min(unknown - {*self.fields})}")

    # -- what is given -----------------------------------------------------------------------

    def drafts(self, given: Iterable[Any], known: Callable[[Any], object]) -> list[Draft]:
        if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable):
            raise self.refused("entities", "must be a list of entities")
        entities = list(given)
        if len({id(entity) for entity in entities}) != len(entities):
            raise UnitOfWorkError(f"the same {self.entity} was given twice")
        return [self._draft(entity, known) for entity in entities]

    def _draft(self, given: Any, known: Callable[[Any], object]) -> Draft:
        if not isinstance(given, self.domain):
            raise self._wrong_type(given)
        if known(given) is not None:
            raise UnitOfWorkError(f"this {self.entity} was created already in this unit")
        held = {name: own(getattr(given, name)) for name in self.fields}
        fields = dataclasses.fields(self.domain)
        made = self.domain(**{field.name: held[field.name] for field in fields if field.init})
        for field in fields:
            if not field.init:
                object.__setattr__(made, field.name, held[field.name])
        return Draft(given, {name: made.__dict__[name] for name in self.fields})

    def is_entity(self, given: Any) -> bool:
        if isinstance(given, self.domain):
            return True
        if isinstance(given, Entity):
            raise self._wrong_type(given)
        return False

    def given_key(self, entity: Any) -> Key:
        if entity.id is None:
            raise self.refused("id", "is missing; create() the entity first")
        return (entity.id,)

    def parse_key(self, id: Any) -> Key:
        if id is None:
            raise self.refused("id", "must not be None")
        annotation = typing.get_type_hints(self.domain)["id"]
        try:
            return (pydantic.TypeAdapter(annotation).validate_python(id),)
        except pydantic.ValidationError as error:
            message = next(iter(messages_of(error).values()))
            raise self.refused("id", message) from None

    def stamp(self, values: dict[str, Any], now: datetime, *, own: Any = None) -> None:
        """There is nothing that the kit writes."""

    def touch(self, values: dict[str, Any], now: datetime) -> None:
        """There is nothing that the kit writes."""

    # -- objects -----------------------------------------------------------------------------

    def make(self, row: Row, state: State, *, rows: bool) -> Image:
        image = Image(self, object.__new__(self.domain), row)
        self.write(image)
        return image

    def write(self, image: Image) -> None:
        held = image.entity.__dict__
        for name in self.fields:
            if name not in held or not same(held[name], image.row[name]):
                object.__setattr__(image.entity, name, own(image.row[name]))

    def adopt(self, draft: Draft) -> Image:
        raise NotImplementedError  # what is given is never what is tracked

    def identify(self, given: Any, image: Image, *, generated: bool) -> Callable[[], None]:
        nameless = [given, *_members(given, self.fields)]
        named = [image.entity, *_members(image.entity, self.fields)]
        new = [one for one in nameless if one.id is None]
        for one, other in zip(nameless, named, strict=False):
            object.__setattr__(one, "id", other.id)
        return lambda: _take_ids(new)

    def parts(self, entity: Any) -> Iterator[Any]:
        yield entity
        yield from _members(entity, self.fields)

    def release(self, entity: Any, *, generated: bool) -> None:
        if generated:
            _take_ids([entity])

    def bear(self, entity: Any, row: Row) -> None:
        """Without a table there are no versions."""

    def link(self, image: Image) -> None:
        """What belongs to it is stored inside of it."""

    def name(self, values: dict[str, Any], next_id: NextId) -> bool:
        for member in _members_of(values):
            if member.id is None:
                object.__setattr__(member, "id", next_id(type(member)))
        return super().name(values, next_id)

    def name_members(
        self, values: dict[str, Any], entity: Any, next_id: NextId, on_undo: OnUndo
    ) -> None:
        held = {name: entity.__dict__[name] for name in values}
        pairs = zip(_members_of(values), _members_of(held), strict=True)
        new = [(stored, mine) for stored, mine in pairs if stored.id is None]
        for stored, mine in new:
            object.__setattr__(stored, "id", next_id(type(stored)))
            object.__setattr__(mine, "id", stored.id)
        on_undo(lambda: _take_ids([mine for _, mine in new]))

    def is_changed(self, image: Image) -> bool:
        return bool(self._changes(image))

    def plan(self, image: Image, write: Write, now: datetime) -> bool:
        changes = self._changes(image)
        if "id" in changes:
            raise self.refused("id", "is the key and cannot be changed")
        write.updates.append((image, {name: own(value) for name, value in changes.items()}))
        return True

    def _changes(self, image: Image) -> dict[str, Any]:
        held = image.entity.__dict__
        return {
            name: held[name]
            for name in self.fields
            if name in held and not same(held[name], image.row[name])
        }

    def held(self, entity: Any) -> Any:
        return _Held({name: own(entity.__dict__.get(name)) for name in self.fields})

    # -- questions ---------------------------------------------------------------------------

    def check_criteria(self, criteria: Sequence[Any]) -> None:
        for criterion in criteria:
            self.only_specification(criterion)
            for name in _fields_in(criterion):
                self._known(name)

    def parse_order(self, order_by: Any) -> list[tuple[str, bool]]:
        listed = order_by if isinstance(order_by, list | tuple) else [order_by]
        if not all(isinstance(name, str) for name in listed):
            raise self.refused("order_by", 'takes names ("-age")')
        order = [(name.removeprefix("-"), name.startswith("-")) for name in listed]
        for name, _ in order:
            self._known(name)
        return order

    def sortable(self, value: Any, name: str) -> Any:
        if isinstance(value, list | dict):
            raise self.refused("order_by", f"{name} has no order")
        return value.name if isinstance(value, Enum) else value

    def _known(self, name: str) -> None:
        if name not in self.fields:
            there = ", ".join(self.fields)
            raise self.refused(name, f"is no field of {self.entity}; there are {there}")

    def _wrong_type(self, given: Any) -> ValidationError:
        return self.refused("entity", f"must be a {self.entity}, not a {type(given).__name__}")


def _members_of(values: Mapping[str, Any]) -> Iterator[Any]:
    """The entities in lists."""
    for value in values.values():
        if isinstance(value, list):
            yield from (one for one in value if isinstance(one, Entity))


def _members(entity: Any, names: Iterable[str]) -> Iterator[Any]:
    return _members_of({name: entity.__dict__.get(name) for name in names})


def _take_ids(entities: Iterable[Any]) -> None:
    for entity in entities:
        object.__setattr__(entity, "id", None)


class _Held:
    """The fields of an object at one moment, entities in lists included."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held) and same(
            list(self.values.values()), list(other.values.values())
        )

    def __hash__(self) -> int:
        return hash(tuple(self.values))


def _fields_in(spec: Specification) -> Iterator[str]:
    match spec:
        case And() | Or():
            for term in terms(spec):
                yield from _fields_in(term)
        case Not():
            yield from _fields_in(spec.inner)
        case Constant():
            return
        case IsNone() | Comparison() | Between() | In() | Text():
            yield spec.field
        case _:
            yield from _fields_in(spec.expression())
