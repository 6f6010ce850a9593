"""The rows that children become when they are put into the list of a root."""

from __future__ import annotations

import weakref
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import pydantic
from sqlalchemy import inspect as state_of
from sqlalchemy.orm import InstanceState, validates
from sqlmodel import SQLModel

from domain.errors import ValidationError
from infrastructure.database.models.children import ChildrenInfo
from infrastructure.database.models.plain import held_by
from infrastructure.database.models.rules import entity_name, rules_of


class Adopted(NamedTuple):
    """A plain child that somebody may still hold, and what it held when its row was made."""

    original: Any
    values: dict[str, Any]


_roots: WeakKeyDictionary[InstanceState[Any], weakref.ref[Any]] = WeakKeyDictionary()
"""Into whose list a row was put last."""

_adopted: WeakKeyDictionary[InstanceState[Any], Adopted] = WeakKeyDictionary()


def taken_from(row: Any) -> Adopted | None:
    """The plain child of which this row was made; asked for once."""
    return _adopted.pop(state_of(row), None)


def methods(names: Collection[str]) -> dict[str, Any]:
    """What the class of a root needs so that these lists take plain children."""

    def set_attribute(root: Any, name: str, value: Any) -> None:
        SQLModel.__setattr__(root, name, as_list(root, name, value) if name in names else value)

    adopt: Any = validates(*names)(_adopt)
    return {"_kit_adopt": adopt, "__setattr__": set_attribute} if names else {}


def _adopt(root: Any, name: str, given: Any) -> Any:
    info: ChildrenInfo = rules_of(type(root)).children[name]
    if not isinstance(given, info.model) or state_of(given).deleted:
        return row_of(info, given)  # one that a flush has deleted already comes back as a new one
    _refuse_shared(info, root, given)
    _roots[state_of(given)] = weakref.ref(root)
    return given


def row_of(info: ChildrenInfo, given: Any) -> Any:
    """A new row of a child that is an object, a mapping or a pydantic schema."""
    domain = info.model.__entity_class__
    if isinstance(given, info.model):
        return _remember(given.model_copy(), given, held_by(given, info.model))
    if isinstance(given, domain) and not isinstance(given, SQLModel):
        values = held_by(given, info.model)
        row = info.model(**{name: getattr(given, name) for name in values})
        return _remember(row, given, values)
    if isinstance(given, Mapping):
        return info.model(**{str(name): value for name, value in given.items()})
    if isinstance(given, pydantic.BaseModel) and not hasattr(given, "__table__"):
        return info.model(**{name: getattr(given, name) for name in type(given).model_fields})
    wanted = f"must hold {domain.__name__} objects"
    found = "None" if given is None else f"a {type(given).__name__}"
    raise ValidationError(entity_name(info.root), {info.name: f"{wanted}, not {found}"})


def _remember(row: Any, original: Any, values: dict[str, Any]) -> Any:
    _adopted[state_of(row)] = Adopted(original, values)
    return row


def _refuse_shared(info: ChildrenInfo, root: Any, child: Any) -> None:
    """A row is in the list of one root only."""
    state = state_of(child)
    if state.detached and state_of(root).session is not None:
        wrong = f"this {entity_name(info.model)} was loaded by another unit; change the one here"
        raise ValidationError(entity_name(info.root), {info.name: wrong})
    if not info.is_linked(child):
        return
    known = _roots.get(state)
    if known is not None:
        shared = known() is not root
    elif state.has_identity:
        shared = any(child.__dict__.get(a) != root.__dict__.get(b) for a, b in info.links.items())
    else:
        shared = all(held is not child for held in info.of(root) or ())
    if shared:
        name, owner = entity_name(info.model), entity_name(info.root)
        raise ValidationError(
            owner, {info.name: f"this {name} belongs to another {owner}; remove it there first"}
        )


def as_list(root: Any, name: str, value: Any) -> list[Any]:
    """What is to be the list of children, refused if it is none."""
    if isinstance(value, list):
        return value
    if isinstance(value, tuple):
        return list(value)
    found = "None" if value is None else f"a {type(value).__name__}"
    raise ValidationError(entity_name(type(root)), {name: f"must be a list, not {found}"})
