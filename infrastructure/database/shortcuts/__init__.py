"""Private parts of SQLAlchemy and pydantic, and all of them: for what costs too much without.

They are tried once against the documented way. Where something comes out otherwise,
a warning says so, and the documented way is taken from then on.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import inspect as mapping_of
from sqlalchemy.orm import Mapper

from infrastructure.database.shortcuts.audience import Audience
from infrastructure.database.shortcuts.driver import (
    description_of,
    is_logged,
    raise_as_usual,
    raise_unconnected,
    raw_rows,
)
from infrastructure.database.shortcuts.opening import BegunLater, held_alike, open_session
from infrastructure.database.shortcuts.pooling import connection_on, give_back_clean, taken
from infrastructure.database.shortcuts.sessions import (
    detach_all,
    end_alone,
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
    "Audience",
    "BegunLater",
    "Entering",
    "Tracked",
    "connection_on",
    "description_of",
    "detach_all",
    "end_alone",
    "give_back_clean",
    "hears_of_transactions",
    "held_alike",
    "intercepts",
    "is_clean",
    "is_empty",
    "is_logged",
    "only_changed",
    "open_session",
    "raise_as_usual",
    "raise_unconnected",
    "raw_rows",
    "taken",
    "tracked",
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
