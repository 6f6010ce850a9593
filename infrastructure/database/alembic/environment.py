"""What an ``env.py`` calls: every migration runs alone, in one transaction, and loses nothing."""

from __future__ import annotations

import importlib
import logging
import pkgutil
import re
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any

from alembic import context
from sqlalchemy import MetaData, Table, event
from sqlmodel import SQLModel

from infrastructure.database import models
from infrastructure.database.alembic.rendering import render_item
from infrastructure.database.database import Database
from infrastructure.database.dialects import MigrationError, MigrationPlan

LOCK_TIMEOUT = 5.0
"""Seconds, where the database has no ``lock_timeout`` of its own."""

_DROPPED = re.compile(
    r'\s*(?:DROP TABLE (?:IF EXISTS )?(?P<table>[\w".]+)'
    r'|ALTER TABLE (?:ONLY )?(?P<of>[\w".]+) DROP COLUMN (?:IF EXISTS )?(?P<column>[\w"]+)'
    r'|ALTER TABLE "?_alembic_tmp_(?P<rebuilt>[^"\s]+)"? RENAME TO)',
    re.IGNORECASE,
)


def run_migrations(package: ModuleType = models) -> None:
    """Run what the ``alembic`` command, or a function of this package, asked for.

    ``package`` holds the models: all its modules are imported. The database is
    the one given to the function, else ``Database.default()``.
    """
    tables = set(_tables_of(package))
    if not tables:
        raise MigrationError(f"{package.__name__} has no tables; give the package of your models")
    metadata = {table.metadata for table in tables}
    if len(metadata) > 1:
        raise MigrationError(f"the tables of {package.__name__} have more than one MetaData")
    options = _options(metadata.pop(), tables)
    if context.is_offline_mode():
        _write_sql(options)
    else:
        _run(options)


def _tables_of(package: ModuleType) -> Iterator[Table]:
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        importlib.import_module(found.name)
    for model in _below(SQLModel):
        inside = f"{model.__module__}.".startswith(f"{package.__name__}.")
        if inside and "__table__" in model.__dict__:
            yield model.__table__


def _below(base: type[Any]) -> Iterator[Any]:
    for model in base.__subclasses__():
        yield model
        yield from _below(model)


def _options(metadata: MetaData, tables: set[Table]) -> dict[str, Any]:
    def include(item: Any, _name: Any, kind: str, reflected: bool, _other: Any) -> bool:
        # Tables of other packages may share the metadata: they are not ours to create.
        return not (kind == "table" and not reflected and item not in tables)

    return {
        "target_metadata": metadata,
        "include_object": include,
        "render_item": render_item,
        "render_as_batch": True,
        "compare_type": True,
        "compare_server_default": True,
        "transactional_ddl": True,
    }


def _run(options: dict[str, Any]) -> None:
    database: Database = context.config.attributes.get("database") or Database.default()
    _log_to_the_terminal()
    revisions = _revisions()
    plan = MigrationPlan(
        database.settings.lock_timeout or LOCK_TIMEOUT,
        meant=frozenset[str]().union(*(_meant(revision) for revision in revisions)),
    )
    with database.dialect.migrating(database.engine, plan) as connection:
        event.listen(connection, "after_cursor_execute", _Drops(plan).note)
        context.configure(connection=connection, on_version_apply=_Losses(plan).refuse, **options)
        context.run_migrations()


def _write_sql(options: dict[str, Any]) -> None:
    """Offline mode: the SQL goes to the terminal, for a person to review."""
    database: Database = context.config.attributes.get("database") or Database.default()
    context.configure(
        url=database.settings.url,
        literal_binds=True,
        dialect_opts={"paramstyle": "named"},
        **options,
    )
    with context.begin_transaction():
        context.run_migrations()


def _revisions() -> Iterable[Any]:
    return context.script.walk_revisions()


def _meant(revision: Any) -> frozenset[str]:
    """What a revision says that it drops: ``drops = {"table", "table.column"}``."""
    return frozenset(getattr(revision.module, "drops", ()))


class _Losses:
    """Refuses a revision that dropped what it does not name."""

    def __init__(self, plan: MigrationPlan) -> None:
        self.plan = plan

    def refuse(self, ctx: Any, step: Any, heads: Any, run_args: Any) -> None:
        """After each revision, before anything is committed."""
        dropped = set(self.plan.dropped)
        self.plan.dropped.clear()
        lost = sorted(dropped - _meant(step.up_revision)) if step.is_upgrade else []
        if lost:
            raise MigrationError(
                f"revision {step.up_revision_id} drops {', '.join(lost)} and all that is in it; "
                f"if that is meant, say so in the revision: drops = {set(lost)!r}"
            )


class _Drops:
    """Reads from the statements what goes."""

    def __init__(self, plan: MigrationPlan) -> None:
        self.dropped = plan.dropped

    def note(self, connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        """After each statement."""
        match = _DROPPED.match(statement)
        if match is None:
            return
        if match["rebuilt"]:  # it was dropped to be made anew
            self.dropped.discard(match["rebuilt"])
        elif match["column"]:
            self.dropped.add(f"{_bare(match['of'])}.{_bare(match['column'])}")
        else:
            self.dropped.add(_bare(match["table"]))


def _bare(name: str) -> str:
    return name.replace('"', "").rpartition(".")[2]


def _log_to_the_terminal() -> None:
    """What the ``alembic`` command prints is logged; nobody sees it without a handler."""
    if context.config.cmd_opts is not None and not logging.getLogger().handlers:
        logging.basicConfig(format="%(levelname)s [%(name)s] %(message)s")
        logging.getLogger("alembic").setLevel(logging.INFO)
