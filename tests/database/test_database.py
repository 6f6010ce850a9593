"""One database: its URL, its settings, its life, and what is raised when it cannot be used."""

import logging
import pickle
import socket
import sqlite3
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, inspect, make_url, text

from domain import Person
from domain.errors import (
    DatabaseUnavailable,
    KitError,
    ReadOnlyViolation,
    TransientError,
    UnitOfWorkError,
    ValidationError,
)
from infrastructure.database import Database, Model
from infrastructure.database.models.person import PersonModel
from infrastructure.database.unit_of_work import UnitOfWork


def ada() -> Person:
    return Person(name="Ada", email="ada@example.com")


# -- the URL ------------------------------------------------------------------------------------

SECRETS = [
    "postgresql://me:s3cret@127.0.0.1:1/db",
    "postgresql+psycopg://me:s3cret@127.0.0.1:1/db",
    "postgres://me@127.0.0.1:1/db?password=s3cret",
    "postgresql://127.0.0.1:1/db?user=me&password=s3cret&connect_timeout=2",
    "postgresql://me:s3cret@/db?host=127.0.0.1&port=1",
    "postgresql://me@127.0.0.1:1/db?password=first-s3cret&password=s3cret",
]


@pytest.mark.parametrize("url", SECRETS)
def test_the_password_is_hidden_everywhere(url: str, caplog: Any) -> None:
    caplog.set_level(logging.DEBUG)
    with Database(url) as database:
        shown = [database.url, str(database), repr(database), repr(database.engine)]
        shown += [repr(database.settings), repr(database.reader)]
        with pytest.raises(DatabaseUnavailable) as caught, UnitOfWork(database) as uow:
            uow.people.count()
        error = caught.value
        shown += [str(error), repr(error), "".join(traceback.format_exception(error))]
        shown += [str(error.driver_error), pickle.dumps(error).decode("latin-1"), caplog.text]

    assert "127.0.0.1" in database.url
    assert not [text for text in shown if "s3cret" in text]


def test_a_password_of_odd_characters_is_hidden_and_used() -> None:
    with Database("postgresql://me:p%40ss%2Fw%25rd@localhost/db") as database:
        assert database.engine.url.password == "p@ss/w%rd"
        assert "p@ss" not in repr(database)
        assert "p%40ss" not in repr(database)


@pytest.mark.parametrize(
    "url",
    [
        "mysql://me:s3cret@localhost/db",
        "postgresql+psycopg2://me:s3cret@localhost/db",
        "postgresql+asyncpg://me:s3cret@localhost/db",
        "sqlite+aiosqlite:///s3cret.db",
        "oracle://me@localhost/?password=s3cret",
    ],
)
def test_an_unsupported_url_is_refused_and_says_what_is_supported(url: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Database(url)

    assert caught.value.entity == "Database"
    assert caught.value.errors.keys() == {"url"}
    assert "postgresql+psycopg" in str(caught.value)
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "url", ["s3cret", "://s3cret", "postgresql//me:s3cret@localhost", "sqlite://me:s3cret@x:y/z", 5]
)
def test_what_is_no_url_is_refused_without_being_printed(url: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        Database(url)

    assert caught.value.errors.keys() == {"url"}
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_spelling_of_postgresql_means_psycopg(scheme: str) -> None:
    with Database(f"{scheme}://me@localhost:5433/db?sslmode=disable") as database:
        assert database.engine.url.drivername == "postgresql+psycopg"
        assert (database.engine.url.port, database.engine.url.database) == (5433, "db")
        assert database.engine.url.query["sslmode"] == "disable"


def test_a_url_of_sqlalchemy_is_taken_as_well(sqlite_url: str) -> None:
    with Database(make_url(sqlite_url)) as database:
        assert database.url == sqlite_url


# -- numbers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "pool_size",
        "connect_timeout",
        "busy_timeout",
        "statement_timeout",
        "lock_timeout",
    ],
)
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_a_number_out_of_range_is_refused_by_its_name(name: str, value: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        Database("sqlite://", **{name: value})

    assert caught.value.entity == "Database"
    assert caught.value.errors.keys() == {name}


# -- the default --------------------------------------------------------------------------------


@pytest.fixture
def no_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    monkeypatch.setattr(Database, "_default", None)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    yield tmp_path
    if Database._default is not None:
        Database._default.close()


def test_the_default_is_a_file_beside_the_program(no_default: Path) -> None:
    database = Database.default()

    assert database.url == "sqlite:///app.db"
    assert list(no_default.iterdir()) == [], "nothing is opened before it is used"
    database.create_all(Model.metadata)
    with UnitOfWork() as uow:
        uow.people.create(ada())
        uow.commit()
    assert (no_default / "app.db").exists()


def test_the_default_is_read_from_the_environment_on_first_use(
    no_default: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "sqlite:///first.db")
    first = Database.default()
    monkeypatch.setenv("DATABASE_URL", "sqlite:///second.db")

    assert Database.default() is first
    assert first.url == "sqlite:///first.db"
    first.close()
    assert Database.default().url == "sqlite:///second.db"


@pytest.mark.parametrize("empty", ["", None])
def test_an_empty_url_is_the_default(
    no_default: Path, monkeypatch: pytest.MonkeyPatch, empty: Any
) -> None:
    monkeypatch.setenv("DATABASE_URL", "")
    assert Database(empty).url == "sqlite:///app.db"


def test_a_broken_default_is_named_by_where_it_came_from(
    no_default: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "s3cret")
    with pytest.raises(ValidationError) as caught:
        Database.default()

    assert "s3cret" not in str(caught.value)


def test_a_unit_takes_a_database_explicitly(database: Database, no_default: Path) -> None:
    with UnitOfWork(database) as uow:
        uow.people.create(ada())
        uow.commit()

    assert Database._default is None
    assert list(no_default.glob("app.db*")) == []


# -- its life -----------------------------------------------------------------------------------


def test_a_database_is_closed_by_its_block(postgresql_url: str) -> None:
    with Database(postgresql_url) as database, UnitOfWork(database) as uow:
        uow.session.execute(text("SELECT 1"))
    with Database(postgresql_url) as other, other.engine.connect() as connection:
        left = connection.execute(
            text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
        )
        deadline = time.monotonic() + 10
        while (count := left.scalar_one()) > 1 and time.monotonic() < deadline:
            time.sleep(0.05)
            left = connection.execute(
                text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
            )
    assert count == 1


def test_closing_twice_and_using_it_again_is_allowed(database: Database, sqlite_url: str) -> None:
    database.close()
    database.close()
    with UnitOfWork(database) as uow:
        assert uow.session.execute(text("SELECT 1")).scalar_one() == 1


def test_a_memory_database_is_gone_when_it_is_closed(make_database: Any) -> None:
    database = make_database("sqlite://")
    assert "people" in inspect(database.engine).get_table_names()
    database.close()
    assert inspect(database.engine).get_table_names() == []


def test_create_all_creates_what_is_missing_and_keeps_the_rest(database: Database) -> None:
    with UnitOfWork(database) as uow:
        uow.people.create(ada())
        uow.commit()
    database.create_all(PersonModel.metadata)

    with UnitOfWork(database) as uow:
        assert uow.people.count() == 1


def test_making_a_database_opens_nothing(tmp_path: Path) -> None:
    with Database(f"sqlite:///{tmp_path / 'no' / 'such' / 'directory.db'}"):
        pass
    with Database("postgresql://nobody@no-such-host.invalid/db"):
        pass
    assert list(tmp_path.iterdir()) == []


# -- PostgreSQL cannot be reached -----------------------------------------------------------------


def unavailable(database: Database) -> DatabaseUnavailable:
    """The error of a first statement, writing and reading; the unit has failed by then."""
    for read_only in (True, False):
        with UnitOfWork(database, read_only=read_only) as uow:
            with pytest.raises(DatabaseUnavailable) as caught:
                uow.people.count()
            with pytest.raises(UnitOfWorkError):
                uow.people.count()
    assert isinstance(caught.value, TransientError)
    assert isinstance(caught.value, KitError)
    return caught.value


@pytest.mark.parametrize(
    "url",
    ["postgresql://me:s3cret@127.0.0.1:1/db", "postgresql://me:s3cret@no-such-host.invalid/db"],
)
def test_a_server_that_is_not_there(url: str) -> None:
    with Database(url) as database:
        error = unavailable(database)

    assert "***" in str(error)
    assert "s3cret" not in str(error)
    assert "check" in str(error)
    assert error.driver_error is not None


@pytest.mark.postgresql
@pytest.mark.parametrize("changed", [{"database": "no_such_db"}, {"username": "no_such_role"}])
def test_a_server_that_lets_nobody_in(postgresql_database: str, changed: dict[str, str]) -> None:
    with Database(make_url(postgresql_database).set(**changed)) as database:  # type: ignore[arg-type]
        unavailable(database)


def test_a_server_that_does_not_answer_is_given_up_in_time() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        began = time.monotonic()
        with Database(f"postgresql://me@127.0.0.1:{port}/db", connect_timeout=1.0) as database:
            unavailable(database)

    assert time.monotonic() - began < 30


# -- a SQLite file cannot be used -----------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path, make_database: Any) -> Path:
    """A database file with ten people in it, closed."""
    path = tmp_path / "people.db"
    database = make_database(f"sqlite:///{path}")
    with UnitOfWork(database) as uow:
        uow.people.create_many(
            [Person(name="x" * 200, email=f"{number}@example.com") for number in range(10)]
        )
        uow.commit()
    database.close()
    return path


def test_a_directory_that_is_missing(tmp_path: Path) -> None:
    with Database(f"sqlite:///{tmp_path / 'missing' / 'app.db'}") as database:
        assert "missing" in str(unavailable(database))


def test_a_directory_in_place_of_the_file(tmp_path: Path) -> None:
    with Database(f"sqlite:///{tmp_path}") as database:
        unavailable(database)


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "app.db").write_text("Dear Ada, " * 1000)
    with Database(f"sqlite:///{tmp_path / 'app.db'}") as database:
        unavailable(database)

    assert (tmp_path / "app.db").read_text().startswith("Dear Ada")


def test_a_corrupt_file(file: Path) -> None:
    damaged = bytearray(file.read_bytes())
    damaged[4096:] = b"\xff" * (len(damaged) - 4096)
    file.write_bytes(damaged)
    with Database(f"sqlite:///{file}") as database:
        error = unavailable(database)

    assert isinstance(error.driver_error, sqlite3.DatabaseError)
    assert error.driver_error.sqlite_errorname == "SQLITE_CORRUPT"


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_a_file_that_is_read_only(file: Path, journal: str) -> None:
    with sqlite3.connect(file) as connection:
        assert connection.execute(f"PRAGMA journal_mode={journal}").fetchone() == (journal,)
    connection.close()
    with Database(f"sqlite:///file:{file}?mode=ro&uri=true") as database:
        with UnitOfWork(database, read_only=True) as uow:
            assert uow.people.count() == 10
        with UnitOfWork(database) as uow:
            with pytest.raises(ReadOnlyViolation):
                uow.people.create(ada())
            uow.rollback()


def test_a_full_disk_stores_nothing_and_the_database_lives_on(
    sqlite_url: str, make_database: Any
) -> None:
    database: Database = make_database(sqlite_url)
    limit = 40

    def stint(connection: sqlite3.Connection, *_: Any) -> None:
        connection.execute(f"PRAGMA max_page_count = {limit}")

    database.close()
    event.listen(database.engine, "connect", stint)
    many = [Person(name="x" * 200, email=f"{number}@example.com") for number in range(2000)]
    with UnitOfWork(database) as uow:
        uow.people.create(ada())
        with pytest.raises(DatabaseUnavailable) as caught:
            uow.people.create_many(many)
        assert "room" in str(caught.value)
        with pytest.raises(UnitOfWorkError):
            uow.commit()
        uow.rollback()
        assert uow.people.count() == 0
        assert {person.id for person in many} == {None}
        uow.people.create(ada())
        uow.commit()

    limit = 100_000
    database.close()
    with UnitOfWork(database) as uow:
        uow.people.create_many(many)
        uow.commit()
        assert uow.people.count() == 2001
