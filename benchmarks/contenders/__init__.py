"""Who is compared, each in a module that alone imports what it needs."""

from __future__ import annotations

import importlib
from argparse import ArgumentTypeError
from typing import Any

from benchmarks.contenders.base import Contender

MODULES = {
    "driver": "driver",
    "SQLAlchemy": "sqlalchemy",
    "SQLModel": "sqlmodel",
    "advanced-alchemy": "advanced_alchemy",
    "Django": "django",
    "peewee": "peewee",
    "kit": "kit",
}
"""By the names in the tables; the driver is what the others are held to."""


def contender_class(label: str) -> type[Contender]:
    """The class of a contender; raises ``ModuleNotFoundError`` if its package is not installed."""
    module: Any = importlib.import_module(f"benchmarks.contenders.{MODULES[label]}")
    found: type[Contender] = module.CONTENDER
    return found


def labels_of(names: str = ",".join(MODULES)) -> list[str]:
    """The contenders with these names, separated by commas; the driver is always among them."""
    wanted = {name.strip().lower() for name in names.split(",")} | {"driver"}
    known = {label.lower() for label in MODULES}
    if unknown := wanted - known:
        known_names = ", ".join(MODULES)
        raise ArgumentTypeError(f"no {', '.join(sorted(unknown))}; there are {known_names}")
    return [label for label in MODULES if label.lower() in wanted]
