"""Projects and databases for the tests of migrations."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infrastructure.database import Database
from tests.migrations.projects import Project

MODELS = """
from infrastructure.database import Model
from sqlmodel import Field


class Anchor{unique}(Model, table=True):
    id: int | None = Field(default=None, primary_key=True)
"""


@pytest.fixture
def tables() -> list[Any]:
    """None: these databases are made by migrations."""
    return []


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project without revisions; its package has another name in every test."""
    unique = uuid.uuid4().hex[:8]
    return Project(tmp_path / "project", f"shop_{unique}", MODELS.format(unique=unique))


@pytest.fixture
def sqlite(sqlite_url: str) -> Iterator[Database]:
    """An empty SQLite file."""
    with Database(sqlite_url) as database:
        yield database


@pytest.fixture
def postgresql(postgresql_url: str) -> Iterator[Database]:
    """An empty PostgreSQL database."""
    with Database(postgresql_url, lock_timeout=0.5) as database:
        yield database
