"""What an ``env.py`` calls: every migration runs alone, in one transaction, and loses nothing."""

from __future__ import annotations

import importlib
import logging
import pkgutil
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, NoReturn

from alembic import context
from alembic.util import CommandError
from sqlalchemy import Table
from sqlmodel import SQLModel

from domain.errors import KitError
from infrastructure.database import models
from infrastructure.database.alembic.offline import Written
from infrastructure.database.alembic.rendering import render_item, separate_expression_indexes
from infrastructure.database.database import Database
from infrastructure.database.dialects import MigrationError

PLUGINS = ("alembic.autogenerate.*", "alembic.ext.checkconstraint_byname")

LOCK_TIMEOUT = 5.0
"""Seconds, where the database has no ``lock_timeout`` of its own."""


def run_migrations(package: ModuleType = models) -> None:
    """Run what the ``alembic`` command, or a function of this package, asked for.

    ``package`` holds the models: all its modules are imported, and its tables
    are what the database is compared with. The database is the one given to
    the function, else ``Database.default()``.
    """
    try:
        options = comparison_of(package)
        if context.is_offline_mode():
            _write_sql(options)
        else:
            _run(options)
    except KitError as error:
        if context.config.cmd_opts is None:
            raise
        raise CommandError(str(error)) from error  # the command prints it, without a traceback


def comparison_of(package: ModuleType) -> dict[str, Any]:
    """How the tables of a package are compared with a database."""
    tables = set(_tables_of(package))
    if not tables:
        raise MigrationError(f"{package.__name__} has no tables; give the package of your models")
    metadata = {table.metadata for table in tables}
    if len(metadata) > 1:
        raise MigrationError(f"the tables of {package.__name__} have more than one MetaData")
    schemas = {table.schema for table in tables} | {None}
    return {
        "target_metadata": metadata.pop(),
        "include_object": _only(tables),
        "include_schemas": len(schemas) > 1,
        "include_name": lambda name, kind, _parents: kind != "schema" or name in schemas,
        "render_item": render_item,
        "process_revision_directives": separate_expression_indexes,
        "render_as_batch": True,
        "compare_type": True,
        "compare_server_default": True,
        "transactional_ddl": True,
    }


def _tables_of(package: ModuleType) -> Iterator[Table]:
    modules = {package.__name__: package}
    for found in pkgutil.walk_packages(getattr(package, "__path__", ()), f"{package.__name__}."):
        modules[found.name] = importlib.import_module(found.name)
    for model in _below(SQLModel):
        if model.__module__ in modules and "__table__" in model.__dict__:
            yield model.__table__
    for module in modules.values():
        yield from (item for item in vars(module).values() if isinstance(item, Table))


def _below(base: type[Any]) -> Iterator[Any]:
    for model in base.__subclasses__():
        yield model
        yield from _below(model)


def _only(tables: set[Table]) -> Callable[..., bool]:
    def include(item: Any, _name: Any, kind: str, reflected: bool, _other: Any) -> bool:
        # Tables of other packages may share the metadata: they are not ours to create.
        # Neither are views: their models say {"info": {"is_view": True}}.
        ours = item in tables and not item.info.get("is_view")
        return kind != "table" or reflected or ours

    return include


# -- the two ways ---------------------------------------------------------------------------


def _database() -> Database:
    given: Database | None = context.config.attributes.get("database")
    return given or Database.default()


def _run(options: dict[str, Any]) -> None:
    database = _database()
    _log_to_the_terminal()
    timeout = database.settings.lock_timeout or LOCK_TIMEOUT
    with database.dialect.migrating(database.engine, timeout) as migration:
        context.configure(
            connection=migration.connection,
            on_version_apply=_Losses(migration.lost).refuse,
            autogenerate_plugins=[*PLUGINS, *database.dialect.autogenerate_plugins()],
            **options,
        )
        context.get_context().autocommit_block = _refuse_autocommit  # type: ignore[method-assign]
        context.run_migrations()


def _write_sql(options: dict[str, Any]) -> None:
    """Offline mode: the SQL goes to the terminal, for a person to review. All of it, or nothing."""
    database = _database()
    written = Written()
    context.configure(
        url=database.settings.url,
        literal_binds=True,
        dialect_opts={"paramstyle": "named"},
        output_buffer=written,
        on_version_apply=_Losses(written.lost).refuse,
        **options,
    )
    with context.begin_transaction():
        for setting in database.dialect.migration_settings(LOCK_TIMEOUT):
            context.execute(setting)
        context.run_migrations()
    (context.config.output_buffer or sys.stdout).write(written.getvalue())


class _Losses:
    """Refuses a revision that dropped what it does not name."""

    def __init__(self, lost: Callable[[], set[str]]) -> None:
        self.lost = lost

    def refuse(self, ctx: Any, step: Any, heads: Any, run_args: Any) -> None:
        """After each revision, before anything is committed. A downgrade may drop."""
        lost = self.lost()
        if step.is_stamp or not step.is_upgrade:
            return
        unnamed = sorted(lost - _drops(step.up_revision))
        if unnamed:
            names = ", ".join(f'"{name}"' for name in sorted(lost))
            raise MigrationError(
                f"revision {step.up_revision_id} drops {', '.join(unnamed)} and all that is in "
                f"it; if that is meant, say so in the revision: drops = {{{names}}}"
            )


def _drops(revision: Any) -> set[str]:
    """What a revision says that it drops: ``drops = {"people", "teams.name"}``."""
    said = getattr(revision.module, "drops", ())
    return {said} if isinstance(said, str) else set(said)


def _refuse_autocommit() -> NoReturn:
    raise MigrationError(
        "autocommit_block() in a revision; all revisions run in one transaction, so that a "
        "failing one leaves nothing: do what cannot run in one outside of revisions"
    )


def _log_to_the_terminal() -> None:
    """What the ``alembic`` command prints is logged; nobody sees it without a handler."""
    if context.config.cmd_opts is not None and not logging.getLogger().handlers:
        logging.basicConfig(format="%(levelname)s [%(name)s] %(message)s")
        logging.getLogger("alembic.runtime.migration").setLevel(logging.INFO)
