"""Whatever one does with the application's unit in memory, it does what the database does."""

from __future__ import annotations

import pytest
from hypothesis.stateful import run_state_machine_as_test

from infrastructure.database import Database
from tests.conftest import BACKENDS, MakeDatabase
from tests.support import machine_settings
from tests.testing.memory_machine_rules import Machine

EXAMPLES = 80
SOAK = 500
STEPS = 30


@pytest.fixture(params=BACKENDS[1:])
def url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database; in memory, SQLite is what it is in a file."""
    if request.param == "sqlite-memory":
        return "sqlite://"
    return str(request.getfixturevalue("postgresql_url"))


@pytest.fixture
def database(url: str, make_database: MakeDatabase) -> Database:
    """An empty database, and no sandbox around it: the machine itself ends transactions."""
    return make_database(url)


@pytest.mark.timeout(1200)  # a soak, and the search for the shortest way if it fails
def test_memory_does_what_a_database_does(database: Database, soak: bool) -> None:
    run_state_machine_as_test(
        lambda: Machine(database),
        settings=machine_settings(SOAK if soak else EXAMPLES, STEPS, random=soak),
    )
