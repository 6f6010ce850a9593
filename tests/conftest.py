"""Where the tests get their databases from.

Every test that asks for ``database`` runs on a SQLite file, on SQLite in memory
and on PostgreSQL. The PostgreSQL database sorts by an ICU locale, so that a
test notices whether the kit relies on the order of the server.
"""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, make_url, text

from infrastructure.database import Database
from infrastructure.database.alembic import upgrade
from infrastructure.database.models.person import PersonModel
from infrastructure.database.models.team import TeamModel
from tests.support import is_missing

ROOT = Path(__file__).parents[1]
APPLICATION: list[Any] = [TeamModel, PersonModel]
SERVER = os.environ.get(
    "KIT_TEST_POSTGRESQL", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", action="store_true", help="run races and loops at their full size")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Each thorough case on one database only, here on this, there on that; in a soak on all.

    ``thorough(6)`` leaves out every second case besides. Of what is marked ``sampled``, some.
    """
    if config.getoption("--soak"):
        return
    left_out = [item for item in items if _is_elsewhere(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in set(left_out)]


def _is_elsewhere(item: pytest.Item) -> bool:
    if sampled := item.get_closest_marker("sampled"):
        return zlib.crc32(item.nodeid.encode()) % sampled.args[0] != 0
    marker = item.get_closest_marker("thorough")
    params = item.callspec.params if hasattr(item, "callspec") else {}
    name = params.get("url") or params.get("kind")
    names = ["sqlite-file", "sqlite-memory", "postgresql"]
    if marker is None or name not in names:
        return False
    case = zlib.crc32(item.nodeid.replace(name, "").encode())
    return case % (marker.args[0] if marker.args else len(names)) != names.index(name)


@pytest.fixture(scope="session")
def soak(request: pytest.FixtureRequest) -> bool:
    """Whether loops run at their full size."""
    return bool(request.config.getoption("--soak"))


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The kit, built and installed as pip does it."""
    folder = tmp_path_factory.mktemp("site")
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "--target", str(folder), str(ROOT)],
        check=True,
        timeout=100,
    )
    return folder


@pytest.fixture(scope="session")
def postgresql_database() -> Iterator[str]:
    """The URL of an empty PostgreSQL database; skips where there is no server."""
    server = create_engine(SERVER, isolation_level="AUTOCOMMIT")
    name = f"kit_test_{uuid.uuid4().hex[:12]}"
    try:
        connection = server.connect()
    except Exception as error:  # noqa: BLE001 -- whatever it is, there is no server to use
        is_missing(f"PostgreSQL at {make_url(SERVER)!r} (set KIT_TEST_POSTGRESQL): {error}")
    with connection:
        connection.execute(
            text(
                f"CREATE DATABASE {name} TEMPLATE template0 "
                "LOCALE_PROVIDER icu ICU_LOCALE 'en-US' LC_COLLATE 'C' LC_CTYPE 'C'"
            )
        )
    yield make_url(SERVER).set(database=name).render_as_string(hide_password=False)
    with server.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    server.dispose()


@pytest.fixture
def postgresql_url(postgresql_database: str) -> str:
    """The URL of a PostgreSQL database that holds nothing."""
    engine = create_engine(postgresql_database, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    return postgresql_database


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of a SQLite file that is not there yet."""
    return f"sqlite:///{tmp_path / 'test.db'}"


BACKENDS = [
    "sqlite-file",
    "sqlite-memory",
    pytest.param("postgresql", marks=pytest.mark.postgresql),
]
SERVERS = [BACKENDS[0], BACKENDS[2]]
"""Those that several connections can use at once."""


@pytest.fixture(params=BACKENDS)
def url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database, of each kind."""
    return _url_of(request.param, request)


@pytest.fixture(params=SERVERS)
def shared_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database that several connections can use at once."""
    return _url_of(request.param, request)


def _url_of(kind: str, request: pytest.FixtureRequest) -> str:
    if kind == "sqlite-memory":
        return "sqlite://"
    fixture = {"sqlite-file": "sqlite_url", "postgresql": "postgresql_url"}[kind]
    return str(request.getfixturevalue(fixture))


@pytest.fixture
def tables() -> list[Any]:
    """The models whose tables a test needs; modules with tables of their own override it."""
    return APPLICATION


MakeDatabase = Callable[..., Database]


@pytest.fixture
def make_database(tables: list[Any]) -> Iterator[MakeDatabase]:
    """Makes databases with the tables of the test, and closes them.

    The application's own tables come from the migrations, those of a test from its models.
    """
    made: list[Database] = []
    own = [model for model in tables if model in APPLICATION]
    others = [model for model in tables if model not in APPLICATION]

    def make(url: str, **options: Any) -> Database:
        database = Database(url, **options)
        made.append(database)
        if own:
            upgrade(database, project=ROOT)
        for metadata in {model.metadata for model in others}:
            wanted = [model.__table__ for model in others if model.metadata is metadata]
            metadata.create_all(database.engine, tables=wanted)
        return database

    yield make
    for database in made:
        database.close()


@pytest.fixture
def database(url: str, make_database: MakeDatabase) -> Database:
    """An empty database with the tables of the test."""
    return make_database(url)


@pytest.fixture
def shared_database(shared_url: str, make_database: MakeDatabase) -> Database:
    """The same, where several connections are possible."""
    return make_database(shared_url)
