"""Databases of others, from which models are made."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.codegen.workshop import Workshop


@pytest.fixture
def workshop(shared_url: str, tmp_path: Path) -> Workshop:
    """An empty database, of each kind that several processes can use."""
    return _made(shared_url, tmp_path)


@pytest.fixture
def on_sqlite(sqlite_url: str, tmp_path: Path) -> Workshop:
    """The same on SQLite alone."""
    return _made(sqlite_url, tmp_path)


@pytest.fixture
def on_postgresql(postgresql_url: str, tmp_path: Path) -> Workshop:
    """The same on PostgreSQL alone."""
    return _made(postgresql_url, tmp_path)


def _made(url: str, folder: Path) -> Workshop:
    if url.startswith("sqlite:///"):
        Path(url.removeprefix("sqlite:///")).touch()
    return Workshop(folder, url)
