"""Everything in which the databases differ, one module for each of them."""

from __future__ import annotations

import importlib
from functools import cache
from typing import TYPE_CHECKING, Any

from infrastructure.database.dialects.base import (
    Dialect,
    Migration,
    MigrationError,
    Rows,
    Settings,
    Statement,
    Violation,
)
from infrastructure.database.dialects.failures import RUN_AGAIN

if TYPE_CHECKING:
    from infrastructure.database.dialects.sandbox import Sandboxed

__all__ = [
    "RUN_AGAIN",
    "Dialect",
    "Migration",
    "MigrationError",
    "Rows",
    "Settings",
    "Statement",
    "Violation",
    "dialect_named",
    "sandbox_named",
]


@cache
def dialect_named(name: str) -> Dialect:
    """The dialect of a database, by SQLAlchemy's name for it; ``KeyError`` if there is none."""
    dialect: Dialect = _module(name).DIALECT
    return dialect


def sandbox_named(name: str) -> Sandboxed:
    """The same for a database of which nothing is committed, for tests."""
    sandboxed: Sandboxed = _module(f"{name}_sandbox").DIALECT
    return sandboxed


def _module(name: str) -> Any:
    try:
        return importlib.import_module(f"{__name__}.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"{__name__}.{name}":
            raise
        raise KeyError(name) from None
