"""Reads loaded rows again, where SQLAlchemy does not know that they changed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import inspect as state_of
from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload
from sqlalchemy.orm.attributes import set_committed_value

from infrastructure.database.aggregates import lists_of
from infrastructure.database.dialects import Dialect
from infrastructure.database.keys import Key, among
from infrastructure.database.models import json_changes
from infrastructure.database.models.rules import Rules, rules_of


def load_expired(session: Session) -> None:
    """Read what the database computed, while it can be read."""
    for state in session.identity_map.all_states():
        if state.expired_attributes and (entity := state.obj()) is not None:
            names = state.expired_attributes & rules_of(type(entity)).columns.keys()
            if names:
                session.refresh(entity, names)


def read_again(session: Session, dialect: Dialect, rows: Iterable[Any]) -> None:
    """Replace the values of loaded rows by those of the database; what is gone leaves."""
    kinds: dict[type[Any], dict[Key, Any]] = {}
    for row in rows:
        key = state_of(row).key  # what is expired has no other
        kinds.setdefault(type(row), {})[tuple(key[1])] = row
    for model, known in kinds.items():
        _read_again(session, dialect, rules_of(model), known)


def _read_again(session: Session, dialect: Dialect, rules: Rules, known: dict[Key, Any]) -> None:
    # Not populate_existing: that would unload the relationships.
    names, missing = list(rules.columns), dict(known)
    for criterion in among(rules, dialect, list(known)):
        query = select(*(getattr(rules.model, name) for name in names)).where(criterion)
        for values in session.execute(query):
            held = dict(zip(names, values, strict=True))
            row = missing.pop(tuple(held[name] for name in rules.keys))
            for name, value in held.items():
                set_committed_value(row, name, value)
    for key, row in missing.items():
        if row in session:  # a root that left took its children along
            session.expunge(row)
        del known[key]
    json_changes.remember(session, known.values())
    _load_lost_children(session, dialect, rules, known)


def _load_lost_children(
    session: Session, dialect: Dialect, rules: Rules, rows: dict[Key, Any]
) -> None:
    """Undoing a savepoint unloads the lists that were changed in it."""
    for name in rules.children:
        lost = [key for key, row in rows.items() if name not in row.__dict__]
        for criterion in among(rules, dialect, lost):
            loading = selectinload(getattr(rules.model, name))
            session.scalars(select(rules.model).where(criterion).options(loading)).all()
    for row in rows.values():
        for info, children in lists_of(row):
            for child in children:  # one that had left, and is here again, is no orphan
                info.link(row, child, linked=True)
