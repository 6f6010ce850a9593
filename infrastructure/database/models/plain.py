"""Plain entities: what one holds at a moment, and how one is made of a row."""

from __future__ import annotations

import copy
import dataclasses
import functools
import operator
from collections.abc import Iterable
from typing import Any

from sqlmodel import SQLModel

from infrastructure.database.models.rules import rules_of

VERSION = "_kit_version"
"""Where a plain entity bears the version of its row."""


class Members:
    """The members of a list, which are the same only if they are the same objects in one order."""

    def __init__(self, members: Iterable[Any]) -> None:
        self.members = tuple(members)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Members)
            and len(self.members) == len(other.members)
            and all(map(operator.is_, self.members, other.members))
        )

    def __hash__(self) -> int:
        return hash(tuple(map(id, self.members)))


def held_by(original: Any, model: type[Any]) -> dict[str, Any]:
    """The fields of an object that a row of this model is made of, as they are now."""
    rules = rules_of(model)
    if dataclasses.is_dataclass(original) and not isinstance(original, SQLModel):
        kind: Any = type(original)
        names: Iterable[str] = field_names(kind)
    else:
        names = [*rules.columns, *rules.children]
    held = original.__dict__
    return {
        name: Members(held[name] or ()) if name in rules.children else own(held[name])
        for name in names
        if name in held
    }


def own(value: Any) -> Any:
    """A value that nobody else can change."""
    return copy.deepcopy(value) if isinstance(value, list | dict) else value


def as_plain(row: Any, domain: Any) -> Any:
    """A plain entity with the values of a row and its children, made without its constructor."""
    rules, held = rules_of(type(row)), row.__dict__
    plain = object.__new__(domain)
    values = plain.__dict__
    for name in field_names(domain):
        if name not in rules.children:
            values[name] = own(held[name])
    for name, info in rules.children.items():
        if name in field_names(domain):
            kind = info.model.__entity_class__
            values[name] = [as_plain(child, kind) for child in getattr(row, name)]
    if rules.version is not None:
        values[VERSION] = held[rules.version]
    return plain


@functools.cache
def field_names(domain: type[Any]) -> tuple[str, ...]:
    """The fields of a dataclass, in their order."""
    return tuple(field.name for field in dataclasses.fields(domain))
