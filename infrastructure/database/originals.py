"""The objects that a caller still holds after a row was made of them: what they bear of it."""

from __future__ import annotations

from collections.abc import Iterable
from operator import is_
from typing import Any

from sqlalchemy.orm.attributes import set_committed_value
from sqlmodel import SQLModel

from domain.entity import EVENTS
from infrastructure.database.models.plain import VERSION, held_by
from infrastructure.database.models.rules import rules_of


def differs(original: Any, model: Any, values: dict[str, Any]) -> bool:
    """Whether an object holds something else than it did, or has recorded something."""
    held = original.__dict__
    if EVENTS in held:
        return True
    same = len(held) >= len(values) and all(map(is_, map(held.get, values), values.values()))
    return not same and held_by(original, model) != values


def give_key(original: Any, row: Any) -> dict[str, Any]:
    """Give an original the key and the version of its row; those that are fields."""
    rules = rules_of(type(row))
    given = {name: row.__dict__[name] for name in rules.keys if name in original.__dict__}
    is_row = isinstance(original, SQLModel)
    if rules.version is not None:
        _, name, _ = version_of(original, row)
        give_version(original, name, row.__dict__[rules.version])
    for name, value in given.items():
        if is_row:
            set_committed_value(original, name, value)
        else:
            object.__setattr__(original, name, value)
    version = {rules.version: row.__dict__[rules.version]} if is_row and rules.version else {}
    return given | version


def version_of(original: Any, row: Any) -> tuple[Any, str, Any]:
    """An original, where it bears its version, and which; None if it bears none."""
    name = str(rules_of(type(row)).version) if isinstance(original, SQLModel) else VERSION
    return original, name, original.__dict__.get(name)


def give_version(original: Any, name: str, version: Any) -> None:
    """Let an original bear a version, or none."""
    if isinstance(original, SQLModel):
        if name in original.__dict__:
            set_committed_value(original, name, version)
    elif version is None:
        original.__dict__.pop(name, None)
    else:
        object.__setattr__(original, name, version)


def take_key(row: Any, originals: Iterable[Any]) -> None:
    """Take the key of the database away again, from both."""
    names = rules_of(type(row)).keys
    for name in names:
        set_committed_value(row, name, None)
    for original in originals:
        for name in names:
            if name in original.__dict__:
                object.__setattr__(original, name, None)
        original.__dict__.pop(VERSION, None)
