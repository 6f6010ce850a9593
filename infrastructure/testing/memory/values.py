"""Values of fields: copied so that nobody else can change them, and compared as stored ones are."""

from __future__ import annotations

import copy
import dataclasses
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, cast
from uuid import UUID

from domain.entity import EVENTS, Entity

_IMMUTABLE = (str, bytes, int, float, Decimal, UUID, date, time, timedelta, Enum, type(None))


def own(value: Any) -> Any:
    """A value that nobody else can change. Entities in it have recorded nothing."""
    if isinstance(value, _IMMUTABLE):
        return value
    copied = copy.deepcopy(value)
    for one in copied if isinstance(copied, list) else ():
        if isinstance(one, Entity):
            one.__dict__.pop(EVENTS, None)
    return copied


def same(left: Any, right: Any) -> bool:
    """Whether there is nothing to write: entities in it are compared field by field."""
    match left:
        case list() | tuple():
            return (
                isinstance(right, list | tuple)
                and len(left) == len(right)
                and all(map(_same_inside, left, right))
            )
        case dict():
            return (
                isinstance(right, dict)
                and left.keys() == right.keys()
                and all(_same_inside(left[key], right[key]) for key in left)
            )
        case Entity() if isinstance(right, Entity):
            return type(left) is type(right) and _same_fields(left, right)
        case _:
            return bool(left == right)


def _same_inside(left: Any, right: Any) -> bool:
    """In a list or dict, True is not 1: as JSON they differ."""
    return type(left) is type(right) and same(left, right)


def _same_fields(left: Any, right: Any) -> bool:
    if not dataclasses.is_dataclass(left):
        return bool(left == right)
    names = [field.name for field in dataclasses.fields(cast(Any, left))]
    return all(same(getattr(left, name, None), getattr(right, name, None)) for name in names)
