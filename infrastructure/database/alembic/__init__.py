"""Migrations: how they are run. The revisions themselves live in the project's own folder."""

from infrastructure.database.alembic.commands import (
    MigrationError,
    check,
    current,
    downgrade,
    pending,
    require_migrated,
    upgrade,
)
from infrastructure.database.alembic.environment import run_migrations

__all__ = [
    "MigrationError",
    "check",
    "current",
    "downgrade",
    "pending",
    "require_migrated",
    "run_migrations",
    "upgrade",
]
