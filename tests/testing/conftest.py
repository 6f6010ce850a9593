"""Sandboxes of the application's tables, one for each kind of database and module."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from infrastructure.database.alembic import upgrade
from infrastructure.database.dialects.templates import Templates
from infrastructure.testing.memory import InMemoryStore
from infrastructure.testing.sandbox import SandboxDatabase, sandbox_from, templates_for
from tests.conftest import BACKENDS, ROOT, SERVER


def url_of_kind(kind: str, request: pytest.FixtureRequest) -> str:
    """What a user gives as --database-url."""
    if kind == "postgresql":
        request.getfixturevalue("postgresql_database")  # skips where there is no server
        return SERVER
    return {"sqlite-memory": "sqlite://", "sqlite-file": "sqlite:///never.db"}[kind]


def make_tables(database: Any) -> None:
    """The tables of people and teams."""
    upgrade(database, project=ROOT)


@pytest.fixture(scope="module")
def schema() -> Callable[[Any], None]:
    """Makes the tables of a module's tests."""
    return make_tables


@pytest.fixture(scope="module", params=BACKENDS)
def templates(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    schema: Callable[[Any], None],
) -> Iterator[Templates]:
    """Databases with these tables."""
    url = url_of_kind(request.param, request)
    with templates_for(url, tmp_path_factory.mktemp("templates"), schema) as made:
        yield made


@pytest.fixture(scope="module")
def shared_sandbox(templates: Templates) -> Iterator[SandboxDatabase]:
    """A sandbox that is not open."""
    with sandbox_from(templates) as made:
        yield made


@pytest.fixture
def database(shared_sandbox: SandboxDatabase) -> SandboxDatabase:
    """A sandbox; the plugin opens it for the test."""
    return shared_sandbox


@pytest.fixture
def store() -> InMemoryStore:
    """Where units in memory store, nothing in it."""
    return InMemoryStore()


@pytest.fixture
def never_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory in which nothing may appear."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
