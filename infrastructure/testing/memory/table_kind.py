"""Entities that have a table: what it says holds in memory, too."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from functools import cached_property
from typing import Any, ClassVar, cast

from sqlalchemy import inspect as mapping_of
from sqlalchemy.orm import make_transient, make_transient_to_detached
from sqlalchemy.orm.attributes import set_committed_value
from sqlmodel import SQLModel
from sqlmodel.sql.sqltypes import UTCDateTime

from domain.errors import ValidationError
from infrastructure.database.intake import Intake
from infrastructure.database.models.mixins import Timestamped
from infrastructure.database.models.plain import VERSION, Members, field_names
from infrastructure.database.models.rules import rules_of
from infrastructure.database.models.types import ExactDecimal
from infrastructure.database.query import Translator
from infrastructure.database.validating import validate_new
from infrastructure.testing.memory.child_lists import ChildList
from infrastructure.testing.memory.constraints import Row, references_of, unique_keys_of
from infrastructure.testing.memory.images import Image
from infrastructure.testing.memory.kinds import SQLITE, Draft, Kind, NextId, OnUndo, Write
from infrastructure.testing.memory.state import Key, State
from infrastructure.testing.memory.values import own, same


class TableKind(Kind):
    """Rows of one table, and of those of its children.

    Its fields, defaults, unique keys, references, version and times are those of
    the table. What only a database can evaluate is not there: CHECK
    constraints, partial and expression indexes, defaults of the server.
    """

    _known: ClassVar[dict[type[Any], TableKind]] = {}

    def __init__(self, model: type[Any]) -> None:
        self.model = model
        self.rules = rules = rules_of(model)
        self.token = cast(Any, model).__table__
        self.entity = rules.entity
        self.domain = getattr(model, "__entity_class__", model)
        self.keys = rules.keys
        self.version = rules.version
        self.columns = tuple(rules.columns)
        self.unique = unique_keys_of(model)
        self.references = references_of(model)
        self.required = tuple(
            name
            for name, column in rules.columns.items()
            if not column.nullable and name not in rules.keys
        )
        self.generated = self._generated()
        self.translator = Translator(rules, SQLITE)

    @classmethod
    def of(cls, model: type[Any]) -> TableKind:
        """The kind of this table, made once."""
        if model not in cls._known:
            cls._known[model] = cls(model)
        return cls._known[model]

    @cached_property
    def lists(self) -> dict[str, ChildList]:
        """The lists of children by their names."""
        return {
            name: ChildList(info, type(self).of(info.model))
            for name, info in self.rules.children.items()
        }

    def _generated(self) -> str | None:
        column = cast(Any, self.model).__table__.autoincrement_column
        return None if column is None else mapping_of(self.model).get_property_by_column(column).key

    # -- what is given -----------------------------------------------------------------------

    def drafts(self, given: Iterable[Any], known: Callable[[Any], object]) -> list[Draft]:
        intake = Intake(cast(Any, _Desk(known)), self.rules)
        entities = intake.listed(given)
        rows = intake.new(entities)
        return [self.draft(row, one) for one, row in zip(entities, rows, strict=True)]

    def draft(self, row: Any, given: Any) -> Draft:
        """What a new row holds, with its children."""
        validate_new(row)
        values = {name: self.stored(name, row.__dict__.get(name)) for name in self.columns}
        children = {
            name: [of.kind.draft(child, child) for child in row.__dict__.get(name) or ()]
            for name, of in self.lists.items()
        }
        return Draft(given, values, row, children)

    def stored(self, name: str, value: Any) -> Any:
        """A value as it comes back from a database."""
        type_ = self.rules.columns[name].type
        if isinstance(value, Decimal) and isinstance(type_, ExactDecimal) and type_.scale:
            return Decimal(f"{value:.{type_.scale}f}")
        if isinstance(value, datetime) and isinstance(type_, UTCDateTime):
            return value.astimezone(UTC)
        return own(value)

    def is_entity(self, given: Any) -> bool:
        return self._intake.is_entity(given)

    def given_key(self, entity: Any) -> Key:
        return self._intake.key_of(entity)

    def parse_key(self, id: Any) -> Key:
        return self._intake.parse_key(id)

    def borne_version(self, entity: Any) -> Any:
        name = self.version if isinstance(entity, self.model) else VERSION
        return entity.__dict__.get(str(name))

    @cached_property
    def _intake(self) -> Intake:
        return Intake(cast(Any, _Desk(lambda _: None)), self.rules)

    def stamp(self, values: dict[str, Any], now: datetime, *, own: Any = None) -> None:
        if self.version is not None:
            values[self.version] = 1
        if isinstance(own, Timestamped):
            own.stamp(now)
            values |= {"created_at": own.created_at, "updated_at": own.updated_at}

    def touch(self, values: dict[str, Any], now: datetime) -> None:
        if self.rules.timestamped:
            values["updated_at"] = now

    # -- objects -----------------------------------------------------------------------------

    def make(self, row: Row, state: State, *, rows: bool) -> Image:
        rows = rows or not _is_dataclass(self)
        children = {
            name: [of.kind.make(child, state, rows=rows) for child in of.rows(row, state)]
            for name, of in self.lists.items()
        }
        entity: Any = _new_row(self.model) if rows else object.__new__(self.domain)
        image = Image(self, entity, row, children)
        self.write(image)
        if rows:
            make_transient_to_detached(entity)
        return image

    def write(self, image: Image) -> None:
        entity, held = image.entity, image.entity.__dict__
        is_row = isinstance(entity, SQLModel)
        for name in self.columns if is_row else self._plain_names:
            if name not in held or not same(held[name], image.row[name]):
                _give(entity, name, own(image.row[name]))
        for name, images in image.children.items():
            wanted = [child.entity for child in images]
            if name not in held or Members(held[name] or ()) != Members(wanted):
                _give(entity, name, wanted)
        if is_row:
            self._tell_of_lists(image)
        else:
            self.bear(entity, image.row)

    @cached_property
    def _plain_names(self) -> tuple[str, ...]:
        return tuple(
            name for name in field_names(cast(Any, self.domain)) if name in self.rules.columns
        )

    def _tell_of_lists(self, image: Image) -> None:
        for name, images in image.children.items():
            for child in images:
                self.rules.children[name].link(image.entity, child.entity, linked=True)

    def adopt(self, draft: Draft) -> Image:
        children = {
            name: [of.kind.adopt(child) for child in draft.children[name]]
            for name, of in self.lists.items()
        }
        image = Image(self, draft.own, draft.values, children)
        self.write(image)
        make_transient_to_detached(draft.own)
        return image

    def identify(self, given: Any, image: Image, *, generated: bool) -> Callable[[], None]:
        is_row = isinstance(given, SQLModel)
        name = str(self.version) if is_row else VERSION
        version = given.__dict__.get(name)
        for key in self.keys:
            if key in given.__dict__:
                _give(given, key, image.row[key])
        self.bear(given, image.row)

        def take_back() -> None:
            if generated:
                self._take_keys(given)
            if self.version is not None:
                _bear(given, name, version)

        return take_back

    def bearers(self, entity: Any) -> Iterator[Any]:
        yield entity
        for name, of in self.lists.items():
            for child in entity.__dict__.get(name) or ():
                yield from of.kind.bearers(child)

    def release(self, entity: Any, *, generated: bool) -> None:
        if isinstance(entity, SQLModel):
            make_transient(entity)
        if generated:
            self._take_keys(entity)

    def _take_keys(self, entity: Any) -> None:
        for name in self.keys:
            if name in entity.__dict__:
                _give(entity, name, None)

    def bear(self, entity: Any, row: Row) -> None:
        if self.version is not None:
            name = self.version if isinstance(entity, SQLModel) else VERSION
            _bear(entity, name, row[self.version])

    def name_members(
        self, values: dict[str, Any], entity: Any, next_id: NextId, on_undo: OnUndo
    ) -> None:
        """Children have rows of their own."""

    def complete(self, draft: Draft) -> list[tuple[Kind, list[Draft]]]:
        for name, of in self.lists.items():
            of.complete(draft.values, draft.children[name])
        return [(of.kind, draft.children[name]) for name, of in self.lists.items()]

    def link(self, image: Image) -> None:
        for name, of in self.lists.items():
            for child in image.children[name]:
                cast("dict[str, Any]", child.row).update(of.links_to(image.row))

    def members(self, row: Row, state: State) -> Iterator[tuple[Kind, Key]]:
        for of in self.lists.values():
            for child in of.rows(row, state):
                yield from of.kind.members(child, state)
                yield of.kind, of.kind.key_of(child)

    def is_changed(self, image: Image) -> bool:
        return bool(self._changes(image)) or any(
            of.is_changed(image.entity, image.children[name]) for name, of in self.lists.items()
        )

    def plan(self, image: Image, write: Write, now: datetime) -> bool:
        changes = self._changes(image)
        self._refuse_fixed(changes)
        values = self._validated(image, changes)
        touched = [of.plan(image, name, write, now) for name, of in self.lists.items()]
        if changes:
            self.touch(values, now)
        if any(touched):
            self.touch(values, now)
        if values or any(touched):
            write.updates.append((image, values))
        return bool(changes) or any(touched)

    def _validated(self, image: Image, changes: dict[str, Any]) -> dict[str, Any]:
        converted = self.rules.some(changes) if changes else {}
        for name, value in converted.items():
            if not same(image.entity.__dict__[name], value):
                _give(image.entity, name, own(value))
        stored = {name: self.stored(name, value) for name, value in converted.items()}
        return {n: value for n, value in stored.items() if not same(value, image.row[n])}

    def _refuse_fixed(self, changes: dict[str, Any]) -> None:
        wrong = {name: "is the key and cannot be changed" for name in self.keys if name in changes}
        links = {} if self.rules.owner is None else self.rules.owner.links
        wrong |= {n: "is given by the list that it is in" for n in links if n in changes}
        if self.version in changes:
            wrong[str(self.version)] = "is counted by the kit; leave it alone"
        if wrong:
            raise ValidationError(self.entity, wrong)

    def _changes(self, image: Image) -> dict[str, Any]:
        held = image.entity.__dict__
        names = self.columns if isinstance(image.entity, SQLModel) else self._plain_names
        return {
            name: held[name]
            for name in names
            if name in held and not same(held[name], image.row[name])
        }

    def held(self, entity: Any) -> Any:
        held = entity.__dict__
        is_row = isinstance(entity, SQLModel)
        names = self.columns if is_row else self._plain_names
        members = {
            name: [(id(child), of.kind.held(child)) for child in held.get(name) or ()]
            for name, of in self.lists.items()
        }
        return {name: own(held[name]) for name in names if name in held} | members

    # -- questions ---------------------------------------------------------------------------

    def check_criteria(self, criteria: Sequence[Any]) -> None:
        for criterion in criteria:
            self.only_specification(criterion)
            self.translator.conditions([criterion])

    def parse_order(self, order_by: Any) -> list[tuple[str, bool]]:
        listed = order_by if isinstance(order_by, list | tuple) else [order_by]
        self.translator.ordering(listed)
        if not all(isinstance(name, str) for name in listed):
            raise self.refused("order_by", 'takes names ("-age") in memory')
        return [(name.removeprefix("-"), name.startswith("-")) for name in listed]

    def sortable(self, value: Any, name: str) -> Any:
        return value.name if isinstance(value, Enum) else value


class _Desk:
    """What an intake has to know of a unit."""

    def __init__(self, known: Callable[[Any], object]) -> None:
        self.tracker = self
        self.twin_of = known

    def pair(self, original: Any, row: Any) -> None:
        """The unit itself remembers the originals."""


def _is_dataclass(kind: TableKind) -> bool:
    return kind.domain is not kind.model and hasattr(kind.domain, "__dataclass_fields__")


def _give(entity: Any, name: str, value: Any) -> None:
    if isinstance(entity, SQLModel):
        set_committed_value(entity, name, value)
    else:
        object.__setattr__(entity, name, value)


def _bear(entity: Any, name: str, version: Any) -> None:
    if version is None and not isinstance(entity, SQLModel):
        entity.__dict__.pop(name, None)
    else:
        _give(entity, name, version)


def _new_row(model: type[Any]) -> Any:
    return mapping_of(model).class_manager.new_instance()
