"""Keys: of rows, as criteria, and as they are given and shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Column, ColumnElement, Select, bindparam, select, tuple_

from infrastructure.database.dialects import Dialect
from infrastructure.database.models.rules import Rules, rules_of

Key = tuple[Any, ...]

_CHUNK = 500


def key_of(entity: Any) -> Key:
    """The key of a row, None for each part that it does not have yet."""
    return tuple(map(entity.__dict__.get, rules_of(type(entity)).keys))


@cache
def by_key(model: Any, columns: tuple[Column[Any], ...]) -> tuple[Select[Any], tuple[str, ...]]:
    """The query for these columns of one row, and the names of its parameters."""
    rules = rules_of(model)
    names = tuple(f"key{at}" for at in range(len(rules.keys)))
    keys = zip(rules.keys, names, strict=True)
    return select(*columns).where(*(rules.columns[k] == bindparam(name) for k, name in keys)), names


def bare(key: Key) -> Any:
    """A key as it is given and shown: a tuple only if it is composite."""
    return key[0] if len(key) == 1 else key


def among(rules: Rules, dialect: Dialect, keys: Sequence[Key]) -> Iterator[ColumnElement[bool]]:
    """Criteria for any number of keys; composite ones go in parts."""
    columns = [rules.columns[name] for name in rules.keys]
    if keys and len(columns) == 1:
        yield dialect.among(columns[0], [key[0] for key in keys])
    elif keys:
        for at in range(0, len(keys), _CHUNK):
            yield tuple_(*columns).in_(keys[at : at + _CHUNK])
