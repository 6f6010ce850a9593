"""What the `alembic` command runs; everything else is in infrastructure.database.alembic."""

from infrastructure.database import models
from infrastructure.database.alembic import run_migrations

run_migrations(models)
