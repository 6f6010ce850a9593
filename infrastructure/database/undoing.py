"""Values that entities hold, kept over what empties them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy.orm.attributes import instance_state, set_committed_value

from infrastructure.database.models.rules import rules_of

Held = list[tuple[Any, dict[str, Any]]]
"""Entities, each with its values by name."""


def values_of(entities: Iterable[Any]) -> Held:
    """What they hold now."""
    return [(entity, dict(entity.__dict__)) for entity in entities]


def is_emptied(entity: Any) -> bool:
    """Whether it would have to ask the database for a column."""
    return any(name not in entity.__dict__ for name in rules_of(type(entity)).columns)


def give_back(held: Held) -> None:
    """What they held, where it is missing now."""
    for entity, values in held:
        names = rules_of(type(entity)).columns if is_emptied(entity) else ()
        for name in names:
            if name in values and name not in entity.__dict__:
                set_committed_value(entity, name, values[name])


def restore_deleted(held: Held) -> None:
    """What they held when they were deleted, as if they had been loaded with it."""
    for entity, values in held:
        entity.__dict__.update(values)
        for name in rules_of(type(entity)).relationships & values.keys():
            if isinstance(values[name], list):  # the list itself is of no use any more
                set_committed_value(entity, name, list(values[name]))


def state_list(entities: Iterable[Any]) -> list[Any]:
    """What SQLAlchemy knows of them."""
    return [instance_state(entity) for entity in entities]
