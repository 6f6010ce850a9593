"""Fixtures for pytest. Nothing is imported or opened before a test asks for one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from infrastructure.database.base_unit_of_work import BaseUnitOfWork
    from infrastructure.database.database import Database
    from infrastructure.database.dialects.templates import Templates
    from infrastructure.database.outbox import SqlOutbox
    from infrastructure.testing.clock import MovableClock
    from infrastructure.testing.sandbox import Schema

pytest.register_assert_rewrite("infrastructure.testing.contracts")

_MEMORY = "sqlite://"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("infrastructure-kit")
    group.addoption(
        "--database-url",
        help="which kind of database the fixture database is a new one of, and on which server: "
        f"{_MEMORY} (default), sqlite:///a.db, postgresql+psycopg://user@host/name",
    )
    parser.addini("database_url", "what --database-url is if it is not given", default=_MEMORY)
    parser.addini(
        "database_schema", "migrations, or metadata; by default what there is", default=""
    )
    parser.addini("unit_of_work", "the class of the fixture uow, as module:Class", default="")


@pytest.fixture(scope="session")
def database_url(request: pytest.FixtureRequest) -> str:
    """Which kind of database to test with; the one that it names is not touched."""
    config = request.config
    return str(config.getoption("--database-url") or config.getini("database_url"))


@pytest.fixture(scope="session")
def database_schema(request: pytest.FixtureRequest) -> Schema:
    """Called once with an empty database: makes the tables, and what all tests shall find."""
    from infrastructure.testing import schema

    with _errors_of_usage():
        config = request.config
        return schema.schema_named(config.getini("database_schema"), config.rootpath)


@pytest.fixture(scope="session")
def unit_of_work(request: pytest.FixtureRequest) -> type[BaseUnitOfWork]:
    """The application's class, of which ``uow`` and ``uow_factory`` make units."""
    from infrastructure.testing import schema

    with _errors_of_usage():
        return schema.unit_of_work_named(request.config.getini("unit_of_work"))


@pytest.fixture(scope="session")
def database_templates(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Templates]:
    """Databases that have the schema."""
    from infrastructure.testing import sandbox

    with _errors_of_usage():
        request.getfixturevalue("unit_of_work")  # the tables that it knows are imported now
    url, schema = map(request.getfixturevalue, ("database_url", "database_schema"))
    with sandbox.templates_for(url, tmp_path_factory.mktemp("databases"), schema) as templates:
        yield templates


@pytest.fixture(scope="session")
def database(database_templates: Templates) -> Iterator[Database]:
    """The database of all tests; what a test stores in it is gone at its end."""
    from infrastructure.testing import sandbox

    with sandbox.sandbox_from(database_templates) as made:
        yield made


@pytest.fixture
def sandbox(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A transaction around the test, which is rolled back. Comes with ``database``."""
    from infrastructure.database.database import Database
    from infrastructure.testing.sandbox import SandboxDatabase

    if not isinstance(database, SandboxDatabase):  # a project has its own fixture
        yield
        return
    with database.opened():
        monkeypatch.setattr(Database, "_default", database)
        yield


@pytest.fixture(autouse=True)
def _sandbox_around_whoever_uses_the_database(request: pytest.FixtureRequest) -> None:
    if "database" in request.fixturenames:
        request.getfixturevalue("sandbox")


@pytest.fixture
def committed_database(
    database_templates: Templates, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Database]:
    """A database of the test's own, in which transactions are real; for what no sandbox can.

    Isolation levels, several units at once, processes, lost connections. On SQLite it is a file.
    """
    from infrastructure.database.database import Database
    from infrastructure.testing import sandbox

    with sandbox.copy_from(database_templates) as made:
        monkeypatch.setattr(Database, "_default", made)
        yield made


@pytest.fixture
def uow_factory(
    request: pytest.FixtureRequest, unit_of_work: type[BaseUnitOfWork]
) -> Callable[..., BaseUnitOfWork]:
    """Makes units like ``UnitOfWork(database, …)``; on the committed database in a test with it."""
    return partial(unit_of_work, _database_of(request))


@pytest.fixture
def uow(uow_factory: Callable[..., BaseUnitOfWork]) -> BaseUnitOfWork:
    """A unit of work, not entered."""
    return uow_factory()


@pytest.fixture
def outbox(request: pytest.FixtureRequest) -> SqlOutbox:
    """What the units of the test have published, as a relay finds it."""
    from infrastructure.database.outbox import SqlOutbox

    return SqlOutbox(_database_of(request))


@pytest.fixture
def clock(request: pytest.FixtureRequest) -> Iterator[MovableClock]:
    """The clock of the database, standing still until the test moves it."""
    from infrastructure.testing.clock import MovableClock

    database, clock = _database_of(request), MovableClock()
    before, database.clock = database.clock, clock
    yield clock
    database.clock = before


@pytest.fixture
def assert_queries(request: pytest.FixtureRequest) -> Callable[..., AbstractContextManager[Any]]:
    """Blocks that fail if more SQL statements are sent than ``max``."""
    from infrastructure.testing.queries import assert_queries

    return partial(assert_queries, _database_of(request))


@pytest.fixture
def no_lazy_loads() -> Iterator[None]:
    """In this test, a relationship that nobody asked to load fails at the line that reads it."""
    from infrastructure.testing.lazy_loads import no_lazy_loads

    with no_lazy_loads():
        yield


def _database_of(request: pytest.FixtureRequest) -> Database:
    """The one that the test works on."""
    if "committed_database" in request.fixturenames:
        name = "committed_database"
    else:
        request.getfixturevalue("sandbox")
        name = "database"
    found: Database = request.getfixturevalue(name)
    return found


@contextmanager
def _errors_of_usage() -> Iterator[None]:
    from infrastructure.testing.schema import SettingError

    try:
        yield
    except (SettingError, ImportError) as error:
        raise pytest.UsageError(str(error)) from None
