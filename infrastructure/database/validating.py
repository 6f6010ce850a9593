"""Rows that are about to be written, held to the rules of their table."""

from __future__ import annotations

from typing import Any

from sqlalchemy import inspect as state_of
from sqlalchemy.orm.attributes import set_attribute

from domain.errors import ValidationError
from infrastructure.database.models.mixins import Timestamped
from infrastructure.database.models.rules import Rules, rules_of


def validate_new(entity: Any, stamp: Any = None) -> None:
    """Validate all fields of a row that is not stored yet."""
    rules = rules_of(type(entity))
    if stamp is not None and isinstance(entity, Timestamped):
        entity.stamp(stamp)
    held = entity.__dict__
    values, _ = rules.whole({name: held[name] for name in rules.columns if name in held})
    _set(entity, values)


def validate_changed(entity: Any) -> None:
    """Validate the fields of a stored row that were set."""
    rules, state = rules_of(type(entity)), state_of(entity)
    changed = {
        name: entity.__dict__[name]
        for name in state.committed_state
        if name in rules.columns and name in entity.__dict__
    }
    _refuse_fixed(rules, entity, changed)
    _set(entity, rules.some(changed))


def _refuse_fixed(rules: Rules, entity: Any, changed: dict[str, Any]) -> None:
    attributes = state_of(entity).attrs
    stored = dict(zip(rules.keys, state_of(entity).key[1], strict=True))
    really = {name for name in changed if attributes[name].history.has_changes()}
    really -= {name for name, value in stored.items() if changed.get(name) == value}
    wrong = {name: "is the key and cannot be changed" for name in rules.keys if name in really}
    links = {} if rules.owner is None else rules.owner.links
    wrong |= {name: "is given by the list that it is in" for name in links if name in really}
    if rules.version in really:
        wrong[str(rules.version)] = "is counted by the kit; leave it alone"
    if wrong:
        raise ValidationError(rules.entity, wrong)


def _set(entity: Any, values: dict[str, Any]) -> None:
    held = entity.__dict__
    for name, value in values.items():
        if name not in held or held[name] is not value:
            set_attribute(entity, name, value)
