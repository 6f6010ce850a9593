"""Everything in which the databases differ, one module for each of them."""

from __future__ import annotations

import importlib
from functools import cache

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
]


@cache
def dialect_named(name: str) -> Dialect:
    """The dialect of a database, by SQLAlchemy's name for it; ``KeyError`` if there is none."""
    try:
        module = importlib.import_module(f"{__name__}.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"{__name__}.{name}":
            raise
        raise KeyError(name) from None
    dialect: Dialect = module.DIALECT
    return dialect
