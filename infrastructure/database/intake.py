"""What a repository accepts as an entity, and the row that it makes of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import pydantic
from sqlalchemy import inspect as state_of
from sqlmodel import SQLModel

from domain.entity import EVENTS, Entity
from domain.errors import ConcurrencyConflict, UnitOfWorkError, ValidationError
from infrastructure.database.aggregates import with_members
from infrastructure.database.keys import bare, key_of
from infrastructure.database.models.plain import VERSION
from infrastructure.database.models.rules import Rules
from infrastructure.database.session import UnitSession
from infrastructure.database.validating import validate_new


class Intake:
    """Rows of one table, from entities, mappings and pydantic schemas."""

    def __init__(self, session: UnitSession, rules: Rules) -> None:
        self.session = session
        self.rules = rules
        self.model: Any = rules.model
        self.domain: Any = getattr(rules.model, "__entity_class__", rules.model)

    def _new(self, given: Any) -> Any:
        if isinstance(given, self.model):
            self._refuse_stored(given)
            validate_new(given)
            return given
        if self.session.tracker.twin_of(given) is not None:
            raise UnitOfWorkError(f"this {self.rules.entity} was created already in this unit")
        return self._build(self._values(given))

    def listed(self, given: Iterable[Any]) -> list[Any]:
        """Entities; what is none, or one, is refused."""
        if type(given) is list:
            return list(given)
        single = isinstance(given, str | bytes | Mapping | pydantic.BaseModel)
        if single or not isinstance(given, Iterable):
            raise self._refused("entities", "must be a list of entities")
        return list(given)

    def new(self, entities: Sequence[Any]) -> list[Any]:
        """Validated rows, not stored yet, of entities each of which is given once."""
        if len({id(entity) for entity in entities}) != len(entities):
            raise UnitOfWorkError(f"the same {self.rules.entity} was given twice")
        rows = [self._new(entity) for entity in entities]
        for entity, row in zip(entities, rows, strict=True):
            if entity is not row and isinstance(entity, self.domain):
                self.session.tracker.pair(entity, row)
        return rows

    def is_entity(self, given: Any) -> bool:
        """Whether this is an entity, and not an id; one of another kind is refused."""
        if isinstance(given, self.model | self.domain):
            return True
        if isinstance(given, Entity | SQLModel):
            raise self._wrong_type(given)
        return False

    def is_linked(self, given: Any) -> bool:
        """Whether it is a row with relationships, by which a flush may find it too early."""
        names = self.rules.relationships
        return bool(names) and isinstance(given, self.model) and not names.isdisjoint(vars(given))

    def is_tracked(self, entity: Any) -> bool:
        """Whether the unit itself loaded or made this object."""
        return isinstance(entity, self.model) and entity in self.session

    def unqueue(self, given: Any) -> bool:
        """Take back an entity that is only queued; whether it was."""
        row = given if isinstance(given, self.model) else self.session.tracker.twin_of(given)
        queued = row is not None and row in self.session.new
        if queued:
            for one in with_members([row]):
                self.session.tracker.unpair(one)
            self.session.expunge(row)
        return queued

    def check_version(self, entity: Any, stored: Any) -> None:
        """Refuse an entity that was loaded before somebody else changed its row."""
        if self.rules.version is None:
            return
        version = self.version_of(entity)
        if version is None:
            raise UnitOfWorkError(
                f"this {self.rules.entity} bears no version, so that a conflict could not be "
                "noticed; load it with get_by_id() and change that one"
            )
        self.expect_version(version, stored)

    def version_of(self, entity: Any) -> Any:
        """The version that an entity bears, or None."""
        name = self.rules.version if isinstance(entity, self.model) else VERSION
        return entity.__dict__.get(str(name))

    def expect_version(self, expected: Any, stored: Any) -> None:
        """Fail the unit if the row has another version."""
        if expected != stored.__dict__[str(self.rules.version)]:
            error = ConcurrencyConflict(self.rules.entity, bare(key_of(stored)))
            raise self.session.failed_with(error)

    def stamps(self, changes: Collection[str]) -> dict[str, Any]:
        """What a set-based UPDATE of these fields writes besides."""
        stamps: dict[str, Any] = {}
        if self.rules.version is not None:
            stamps[self.rules.version] = self.rules.columns[self.rules.version] + 1
        if self.rules.timestamped and "updated_at" not in changes:
            stamps["updated_at"] = self.session.database.clock()
        return stamps

    def unique_key(self, on: Any) -> tuple[str, ...]:
        """The fields of a unique key, as they were asked for; refused if they are none."""
        names = (on,) if isinstance(on, str) else tuple(on)
        self.rules.known(names)
        if frozenset(names) not in self.rules.unique_keys or len(set(names)) < len(names):
            known = [f"({', '.join(sorted(key))})" for key in self.rules.unique_keys]
            message = f"must be a unique key: {' or '.join(sorted(known))}"
            raise self._refused("on", message)
        return names

    def on_values(self, given: Any, on: Any) -> dict[str, Any]:
        """What an entity or a mapping has in a unique key."""
        names, values = self.unique_key(on), self._values(given)
        self.refuse_none(values, names)
        return self.rules.some({name: values[name] for name in names})

    def refuse_none(self, values: Mapping[str, Any], on: Sequence[str]) -> None:
        """None equals nothing, so it is in no unique key."""
        missing = [name for name in on if values.get(name) is None]
        if missing:
            message = "must have a value: entities are told apart by it"
            raise ValidationError(self.rules.entity, dict.fromkeys(missing, message))

    def key_of(self, entity: Any) -> tuple[Any, ...]:
        """The key of an entity; ``ValidationError`` if it has none yet."""
        key = tuple(entity.__dict__.get(name) for name in self.rules.keys)
        if None in key:
            raise self._refused(self.rules.keys[0], "is missing; create() the entity first")
        return key

    def parse_key(self, id: Any) -> tuple[Any, ...]:
        """A key as the database has it, of an id as it was given."""
        if type(id) is self.rules.key_type:
            return (self.rules.operand(self.rules.keys[0], id),)
        names: list[str] = list(self.rules.keys)
        composite = len(names) > 1 and isinstance(id, tuple)
        parts: tuple[Any, ...] = id if composite else (id,)
        if len(parts) != len(names):
            raise self._refused(names[0], f"the key is ({', '.join(names)}); give a tuple of these")
        if None in parts:
            raise self._refused(names[list(parts).index(None)], "must not be None")
        return self.rules.key(parts)

    def _refuse_stored(self, row: Any) -> None:
        if not state_of(row).transient:
            raise UnitOfWorkError(
                f"this {self.rules.entity} is stored or queued already; use update()"
            )

    def _build(self, values: dict[str, Any]) -> Any:
        related = {name: values.pop(name) for name in self.rules.relationships & values.keys()}
        self.rules.known(values)
        row = self.model(**values, **related)
        if not issubclass(self.model, Entity):  # a plain SQLModel table validates nothing
            validate_new(row)
        return row

    def fields_of(self, given: Any) -> dict[str, Any]:
        """The columns of a row that is to be written without its entity."""
        if EVENTS in getattr(given, "__dict__", ()):
            message = "would be lost: its id is not known here; use create_many(), or update()"
            raise self._refused("events", message)
        values = self._values(given)
        children = {name: values.pop(name) for name in self.rules.children if name in values}
        if any(children.values()):
            message = "are not written like this; use create(), or update() of an entity"
            raise ValidationError(
                self.rules.entity, {name: message for name, held in children.items() if held}
            )
        return values

    def given_fields_of(self, given: Any) -> dict[str, Any]:
        """The same, but of a pydantic schema only what was set."""
        values = self.fields_of(given)
        if isinstance(given, pydantic.BaseModel) and not isinstance(given, self.model):
            return {name: values[name] for name in values if name in given.model_fields_set}
        return values

    def _values(self, given: Any) -> dict[str, Any]:
        if isinstance(given, self.model):
            return {
                name: given.__dict__[name] for name in self.rules.columns if name in given.__dict__
            }
        if isinstance(given, self.domain):
            return {field.name: getattr(given, field.name) for field in dataclasses.fields(given)}
        if isinstance(given, Mapping):
            return {str(name): value for name, value in given.items()}
        if isinstance(given, pydantic.BaseModel) and not hasattr(given, "__table__"):
            return {name: getattr(given, name) for name in type(given).model_fields}
        raise self._wrong_type(given)

    def _wrong_type(self, given: Any) -> ValidationError:
        entity, kind = self.rules.entity, type(given).__name__
        return self._refused(
            "entity", f"must be a {entity}, a mapping or a pydantic model, not a {kind}"
        )

    def _refused(self, field: str, message: str) -> ValidationError:
        return ValidationError(self.rules.entity, {field: message})
