"""Private parts of SQLAlchemy and pydantic, and all of them: for what costs too much without.

They are tried once against the documented way. Where something comes out otherwise,
a warning says so, and the documented way is taken from then on.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import inspect as mapping_of
from sqlalchemy.orm import Mapper

from infrastructure.database.shortcuts.driver import (
    connection_on,
    description_of,
    give_back_clean,
    is_logged,
    listeners,
    raise_as_usual,
    raise_unconnected,
    raw_rows,
    transaction_listeners,
)
from infrastructure.database.shortcuts.sessions import (
    hears_of_transactions,
    intercepts,
    is_clean,
    is_empty,
    only_changed,
)
from infrastructure.database.shortcuts.tracking import Entering, Tracked
from infrastructure.database.shortcuts.trial import VARIABLE, usable

__all__ = [
    "VARIABLE",
    "Entering",
    "Tracked",
    "connection_on",
    "description_of",
    "give_back_clean",
    "hears_of_transactions",
    "intercepts",
    "is_clean",
    "is_empty",
    "is_logged",
    "listeners",
    "only_changed",
    "raise_as_usual",
    "raise_unconnected",
    "raw_rows",
    "tracked",
    "transaction_listeners",
    "usable",
]


@cache
def tracked(model: Any, names: tuple[str, ...]) -> Tracked | None:
    """None where only the documented way will do; ``names`` are all columns."""
    mapper: Mapper[Any] = mapping_of(model)
    simple = (
        not (mapper.inherits or mapper.polymorphic_map or mapper.polymorphic_on is not None)
        and {*mapper.column_attrs.keys()} == {*names}
        and not any(each.deferred or len(each.columns) > 1 for each in mapper.column_attrs)
        and all(each.lazy in _LATER for each in mapper.relationships)
        and not (mapper.composites or mapper.class_.__init_subclass__ is None)
    )
    return Tracked(mapper, names) if simple and usable() else None


_LATER = ("select", "raise", "raise_on_sql", "noload", "write_only", "dynamic", True)
