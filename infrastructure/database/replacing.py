"""Writes an entity that was loaded elsewhere, with its children, over the stored one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import inspect as state_of
from sqlalchemy.orm import class_mapper
from sqlalchemy.orm.attributes import flag_modified, set_attribute
from sqlmodel import SQLModel

from domain.errors import ConcurrencyConflict, ValidationError
from infrastructure.database.aggregates import refuse_twice
from infrastructure.database.keys import Key, bare, key_of
from infrastructure.database.models.child_rows import as_list, row_of
from infrastructure.database.models.children import ChildrenInfo
from infrastructure.database.models.plain import VERSION, field_names
from infrastructure.database.models.rules import Rules, entity_name, rules_of


class Step(NamedTuple):
    """A row, the entity that it is to equal, and what it must be given for that."""

    row: Any
    entity: Any
    values: dict[str, Any]
    lists: dict[str, list[Any]]


def plan(row: Any, entity: Any, keep: Sequence[str] = ()) -> list[Step]:
    """What there is to do, all of it validated; nothing is changed yet.

    ``keep`` are fields that stay as they are stored.
    """
    rules = rules_of(type(row))
    held = _values(rules, entity)
    values = rules.some({name: held[name] for name in held if name not in keep})
    steps: list[Step] = []
    lists = {
        name: _members(info, row, entity, steps)
        for name, info in rules.children.items()
        if hasattr(entity, name)
    }
    return [Step(row, entity, values, lists), *steps]


def carry_out(steps: list[Step]) -> None:
    """Do it. An entity is whole: each field is written, whether or not it differs."""
    for row, _, values, lists in steps:
        for name, value in values.items():
            set_attribute(row, name, value)
            flag_modified(row, name)
        for name, children in lists.items():
            setattr(row, name, children)


def _values(rules: Rules, entity: Any) -> dict[str, Any]:
    """The fields of an entity that an update writes."""
    fixed = {*rules.keys, rules.version, "updated_at", *rules.children}
    if rules.owner is not None:
        fixed |= {*rules.owner.links, rules.owner.numbered}
    held = entity.__dict__
    kind: Any = type(entity)
    names = rules.columns if isinstance(entity, SQLModel) else field_names(kind)
    return {name: held[name] for name in names if name in held and name not in fixed}


def _members(info: ChildrenInfo, root: Any, entity: Any, steps: list[Step]) -> list[Any]:
    """The rows for the children of an entity: stored ones, and new ones."""
    stored = {info.own_key(child): child for child in info.of(root) or ()}
    rows = []
    for child in as_list(entity, info.name, getattr(entity, info.name)):
        key = info.own_key(child) if hasattr(child, "__dict__") else (None,)
        row = None if None in key else stored.get(key)
        if row is None:
            row = _new(info, entity, child, key)
        else:
            _refuse_older(child, row)
            steps += plan(row, child)
        rows.append(row)
    refuse_twice(info, [(id(row),) for row in rows])
    return rows


def _new(info: ChildrenInfo, entity: Any, child: Any, key: Key) -> Any:
    """A row for a child that is not stored yet: itself, if it was put into a detached list."""
    name, root = entity_name(info.model), entity_name(info.root)
    generated = getattr(class_mapper(info.model).local_table, "autoincrement_column", None)
    if generated is not None and None not in key:
        raise ValidationError(
            root,
            {
                info.name: f"{name} {bare(key)!r} is not among those stored with this {root}: it "
                "was removed, or belongs to another"
            },
        )
    if not isinstance(child, info.model) or not state_of(child).transient:
        return row_of(info, child)
    if isinstance(entity, SQLModel):
        info.link(entity, child, linked=False)
    return child


def _refuse_older(child: Any, stored: Any) -> None:
    """A child with a version of its own is checked for it, too."""
    rules = rules_of(type(stored))
    version = child.__dict__.get(str(rules.version if isinstance(child, SQLModel) else VERSION))
    if None not in (rules.version, version) and version != stored.__dict__[str(rules.version)]:
        raise ConcurrencyConflict(rules.entity, bare(key_of(stored)))
