"""Migrations as functions: for scripts, tests, and an application's start."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection

from infrastructure.database.database import Database
from infrastructure.database.dialects import MigrationError

__all__ = [
    "MigrationError",
    "check",
    "current",
    "downgrade",
    "pending",
    "require_migrated",
    "upgrade",
]


def upgrade(database: Database, revision: str = "head", *, project: Path | None = None) -> None:
    """Apply what is missing up to a revision: all of it, or nothing.

    ``project`` is the folder whose ``pyproject.toml`` has ``[tool.alembic]``;
    by default this folder or one above it. Safe to be called by many processes
    at once. Raises ``MigrationError``, and ``LockTimeout`` if somebody keeps a
    table locked.
    """
    _translated(command.upgrade, _config(database, project), revision)


def downgrade(database: Database, revision: str, *, project: Path | None = None) -> None:
    """Go back to a revision; ``"base"`` is before the first. Data in what goes is lost."""
    _translated(command.downgrade, _config(database, project), revision)


def current(database: Database) -> str | None:
    """The revision of the database; None if it was never migrated."""
    with database.engine.connect() as connection:
        heads = _heads(connection)
    return ", ".join(heads) or None


def pending(database: Database, *, project: Path | None = None) -> list[str]:
    """The revisions that the database lacks, in the order in which they would be applied."""
    with database.engine.connect() as connection:
        heads = _heads(connection)
    scripts = ScriptDirectory.from_config(_config(database, project))
    try:
        applied = {
            script.revision for script in scripts.iterate_revisions(heads, "base", inclusive=True)
        }
    except CommandError as error:
        raise MigrationError(
            f"the database has the revision {', '.join(heads)}, which this code does not know; "
            "run newer code, or downgrade with it first"
        ) from error
    known = [script.revision for script in scripts.walk_revisions()]
    return [revision for revision in reversed(known) if revision not in applied]


def check(database: Database, *, project: Path | None = None) -> list[str]:
    """In what the database differs from the models, a line each; empty if it does not."""
    config = _config(database, project)
    scripts = ScriptDirectory.from_config(config)
    found: list[str] = []

    def compare(_: Any, migration: MigrationContext) -> list[Any]:
        metadata = migration.opts["target_metadata"]
        found.extend(_lines(compare_metadata(migration, metadata)))
        return []

    with EnvironmentContext(config, scripts, fn=compare):
        scripts.run_env()
    return found


def require_migrated(database: Database, *, project: Path | None = None) -> None:
    """Raise ``MigrationError`` if a revision is missing; for the start of an application."""
    missing = pending(database, project=project)
    if missing:
        raise MigrationError(
            f"{database.url} lacks the revisions {', '.join(missing)}; run: alembic upgrade head"
        )


def _translated(run: Any, config: Config, revision: str) -> None:
    try:
        run(config, revision)
    except CommandError as error:
        raise MigrationError(str(error)) from error


def _heads(connection: Connection) -> tuple[str, ...]:
    return MigrationContext.configure(connection).get_current_heads()


def _lines(differences: Any) -> list[str]:
    """Alembic nests what it found for one column; a line for each."""
    lines = []
    for difference in differences:
        if isinstance(difference, list):
            lines += _lines(difference)
        else:
            lines.append(" ".join(str(part) for part in difference))
    return lines


def _config(database: Database, project: Path | None) -> Config:
    folder = Path.cwd() if project is None else project
    for candidate in [folder, *folder.resolve().parents]:
        settings = candidate / "pyproject.toml"
        if settings.is_file() and "alembic" in tomllib.loads(settings.read_text()).get("tool", {}):
            return Config(toml_file=settings, attributes={"database": database})
    raise MigrationError(f"no pyproject.toml with [tool.alembic] in {folder} or above it")
