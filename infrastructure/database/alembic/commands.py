"""Migrations as functions: for scripts, tests, and an application's start."""

from __future__ import annotations

import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.script.revision import RevisionError
from alembic.util import CommandError
from sqlalchemy import Column, Constraint, Index, Table

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

_one_at_a_time = threading.RLock()


def upgrade(database: Database, revision: str = "head", *, project: Path | None = None) -> None:
    """Apply what is missing up to a revision: all of it, or nothing.

    ``project`` is the folder whose ``pyproject.toml`` has ``[tool.alembic]``;
    by default this folder or one above it. Safe to be called by many processes
    and threads at once. Raises ``MigrationError``, and ``LockTimeout`` if
    somebody keeps a table locked.
    """
    with _alembic():
        config = _config(database, project)
        _refuse_unknown(database, ScriptDirectory.from_config(config))
        command.upgrade(config, revision)


def downgrade(database: Database, revision: str, *, project: Path | None = None) -> None:
    """Go back to a revision; ``"base"`` is before the first. Data in what goes is lost."""
    with _alembic():
        config = _config(database, project)
        _refuse_unknown(database, ScriptDirectory.from_config(config))
        command.downgrade(config, revision)


def current(database: Database) -> str | None:
    """The revision of the database; None if it was never migrated."""
    return ", ".join(_heads(database)) or None


def pending(database: Database, *, project: Path | None = None) -> list[str]:
    """The revisions that the database lacks, in the order in which they would be applied."""
    with _alembic():
        scripts = ScriptDirectory.from_config(_config(database, project))
        applied = _refuse_unknown(database, scripts)
        known = [script.revision for script in scripts.walk_revisions()]
    return [revision for revision in reversed(known) if revision not in applied]


def check(database: Database, *, project: Path | None = None) -> list[str]:
    """In what the database differs from the models, a line each; empty if it does not."""
    found: list[str] = []

    def compare(_: Any, migration: MigrationContext) -> list[Any]:
        metadata = migration.opts["target_metadata"]
        found.extend(_lines(compare_metadata(migration, metadata)))
        return []

    with _alembic():
        config = _config(database, project)
        scripts = ScriptDirectory.from_config(config)
        with EnvironmentContext(config, scripts, fn=compare, dont_mutate=True):
            scripts.run_env()
    return found


def require_migrated(database: Database, *, project: Path | None = None) -> None:
    """Raise ``MigrationError`` if a revision is missing; for the start of an application."""
    missing = pending(database, project=project)
    if missing:
        raise MigrationError(
            f"{database.url} lacks the revisions {', '.join(missing)}; run: alembic upgrade head"
        )


@contextmanager
def _alembic() -> Iterator[None]:
    """Alembic keeps its environment in a module, and adds to ``sys.path`` whenever it is used."""
    with _one_at_a_time:
        path = list(sys.path)
        try:
            yield
        except (CommandError, RevisionError) as error:
            raise MigrationError(str(error)) from error
        finally:
            sys.path[:] = path


def _heads(database: Database) -> tuple[str, ...]:
    options = database.dialect.unit_options(read_only=True, isolation_level=None)
    with database.reader.connect().execution_options(**options) as connection:
        return MigrationContext.configure(connection).get_current_heads()


def _refuse_unknown(database: Database, scripts: ScriptDirectory) -> set[str]:
    """The applied revisions, all of which this code knows."""
    heads = _heads(database)
    try:
        applied = scripts.iterate_revisions(heads, "base", inclusive=True)
        return {script.revision for script in applied}
    except RevisionError as error:
        raise MigrationError(
            f"{database.url} has the revision {', '.join(heads)}, which this code does not know; "
            "run newer code, or downgrade with it first"
        ) from error


def _lines(differences: Any) -> list[str]:
    """Alembic nests what it found for one column; a line for each."""
    lines = []
    for difference in differences:
        if isinstance(difference, list):
            lines += _lines(difference)
        else:
            lines.append(" ".join(_words(difference)))
    return lines


def _words(difference: tuple[Any, ...]) -> Iterator[str]:
    """What, where, and from what to what; without a schema that is not there, and the rest."""
    for at, part in enumerate(difference):
        match part:
            case Index(table=Table() as table) | Constraint(table=Table() as table):
                yield f"{table.name}.{part.name}"
            case Table() | Column():
                yield str(part.name)
            case dict():
                pass
            case None if at == 1:
                pass
            case _:
                yield str(part)


def _config(database: Database, project: Path | None) -> Config:
    folder = Path.cwd() if project is None else project
    for candidate in [folder, *folder.resolve().parents]:
        settings = candidate / "pyproject.toml"
        if settings.is_file() and "alembic" in _tools_of(settings):
            return Config(toml_file=settings, attributes={"database": database})
    raise MigrationError(f"no pyproject.toml with [tool.alembic] in {folder} or above it")


def _tools_of(settings: Path) -> dict[str, Any]:
    tools: dict[str, Any] = tomllib.loads(settings.read_text(encoding="utf-8")).get("tool", {})
    return tools
