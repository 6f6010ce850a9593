"""What the tests of an application find in their database, and by which unit of work they work."""

from __future__ import annotations

import importlib
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlmodel import SQLModel

from infrastructure.database.base_unit_of_work import BaseUnitOfWork
from infrastructure.database.database import Database
from infrastructure.testing.sandbox import Schema


class SettingError(Exception):
    """A setting of the tests that means nothing, or more than one thing."""


def schema_named(how: str, project: Path) -> Schema:
    """By ``migrations`` or from ``metadata``; ``""`` is migrations where the project has some."""
    if how not in ("", "migrations", "metadata"):
        raise SettingError(f"database_schema: {how!r} is none of migrations, metadata")
    if how == "migrations" or (not how and _is_migrated(project)):
        from infrastructure.database.alembic import upgrade  # imports Alembic

        return lambda database: upgrade(database, project=project)
    return create_tables


def create_tables(database: Database) -> None:
    """Create the tables of all models that are imported."""
    for metadata in {id(model.metadata): model.metadata for model in _tables(SQLModel)}.values():
        database.create_all(metadata)


def unit_of_work_named(path: str) -> type[BaseUnitOfWork]:
    """The class of ``shop.unit_of_work:Shop``; of ``""`` the only one that is imported."""
    if not path:
        return _only_one()
    module, _, name = path.partition(":")
    found: Any = getattr(importlib.import_module(module), name or "UnitOfWork", None)
    if not (isinstance(found, type) and issubclass(found, BaseUnitOfWork)):
        raise SettingError(f"unit_of_work: {path!r} is no unit of work; write module:Class")
    return found


def _is_migrated(project: Path) -> bool:
    file = project / "pyproject.toml"
    if not file.is_file():
        return False
    return "alembic" in tomllib.loads(file.read_text("utf-8")).get("tool", {})


def _tables(model: type[SQLModel]) -> Iterator[type[SQLModel]]:
    for each in model.__subclasses__():
        if "__table__" in each.__dict__:
            yield each
        yield from _tables(each)


def _only_one() -> type[BaseUnitOfWork]:
    found = sorted({*_leaves(BaseUnitOfWork)}, key=lambda each: each.__module__)
    if len(found) > 1:
        names = ", ".join(f"{each.__module__}:{each.__qualname__}" for each in found)
        raise SettingError(
            f"there are several units of work: {names}; name one in the settings of pytest: "
            'unit_of_work = "…"'
        )
    return found[0] if found else BaseUnitOfWork


def _leaves(unit: type[BaseUnitOfWork]) -> Iterator[type[BaseUnitOfWork]]:
    for each in unit.__subclasses__():
        below = list(_leaves(each))
        yield from below or [each]
