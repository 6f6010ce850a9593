"""A database that is in use, out of reach or gone tells no secret: not of its URL, nor of rows."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, create_engine, insert, make_url, text
from sqlalchemy.exc import ArgumentError

from domain.errors import (
    CommitOutcomeUnknown,
    ConcurrencyConflict,
    DatabaseUnavailable,
    Deadlock,
    LockTimeout,
    SerializationFailure,
    TransientError,
    UncommittedChangesWarning,
    ValidationError,
)
from infrastructure.database import Database
from infrastructure.database.alembic import MigrationError, pending, require_migrated
from tests.conftest import ROOT, MakeDatabase
from tests.transactions.link import Link
from tests.transactions.secrets_everywhere import (
    CANARY,
    Guarded,
    error_of,
    kept_silent,
    leaks_in,
    leaks_of,
    raised_in,
    spelt,
)
from tests.transactions.vault_cases import TABLE
from tests.transactions.vaults import (
    NEW,
    OTHER,
    TABLES,
    Bank,
    VaultModel,
    bare,
    beside,
    planted,
    stored,
)


@pytest.fixture
def tables() -> list[Any]:
    return TABLES


@pytest.fixture(autouse=True)
def silence(caplog: Any, capfd: Any) -> Iterator[None]:
    yield from kept_silent(caplog, capfd)


@pytest.fixture
def vaults(shared_database: Database) -> Database:
    """Vaults full of secrets."""
    return stored(shared_database)


@pytest.fixture
def postgresql(postgresql_url: str, make_database: MakeDatabase) -> Database:
    """The same, on PostgreSQL."""
    return stored(make_database(postgresql_url))


# -- what others are in the way of ----------------------------------------------------------------

SET = text("UPDATE vaults SET name = :name WHERE id = :id")
WAITS = text("SELECT cardinality(pg_blocking_pids(:pid))")
ADD = insert(TABLE).values(planted(email=NEW, version=1))


def renamed(uow: Bank, id: int = 1) -> None:
    uow.vaults.update(id, name=OTHER)


def test_no_lock_that_is_not_granted_tells_what_for(
    vaults: Database, make_database: MakeDatabase
) -> None:
    database = make_database(vaults.settings.url, lock_timeout=0.05)
    with bare(database) as other:
        other.execute(SET, {"id": 1, "name": CANARY.head})
        assert leaks_in(Bank(database), LockTimeout, renamed) == []


@pytest.mark.postgresql
def test_no_serialization_failure_tells_what_was_written(postgresql: Database) -> None:
    def too_late(uow: Bank) -> None:
        uow.vaults.count()
        beside(postgresql, SET, {"id": 1, "name": CANARY.head})
        renamed(uow)

    def invisible(uow: Bank) -> None:
        beside(postgresql, text("DELETE FROM vaults WHERE email = :email"), {"email": NEW})
        uow.vaults.count()
        beside(postgresql, ADD, {})
        uow.vaults.get_or_create(planted(email=NEW), on="email")

    unit = Bank(postgresql, isolation_level="REPEATABLE READ")
    assert leaks_in(unit, SerializationFailure, too_late) == []
    assert leaks_in(unit, SerializationFailure, invisible) == []


@pytest.mark.postgresql
def test_no_version_that_is_another_tells_what_was_written(postgresql: Database) -> None:
    def stale(uow: Bank) -> None:
        uow.vaults.require(1).name = OTHER
        beside(postgresql, text("UPDATE vaults SET version = version + 1"), {})
        uow.commit()

    assert leaks_in(Bank(postgresql), ConcurrencyConflict, stale) == []


@pytest.mark.postgresql
def test_no_deadlock_tells_who_waited_for_what(postgresql: Database) -> None:
    def meet(uow: Bank) -> None:
        uow.session.execute(text("SET LOCAL deadlock_timeout = '10ms'"))  # it is the one to notice
        renamed(uow)
        with bare(postgresql) as other:
            other.execute(text("SET LOCAL deadlock_timeout = '1min'"))
            other.execute(SET, {"id": 2, "name": CANARY.text})
            pid = other.scalar(text("SELECT pg_backend_pid()"))
            first = threading.Thread(target=other.execute, args=(SET, {"id": 1, "name": NEW}))
            first.start()
            while not uow.session.scalar(WAITS, {"pid": pid}):
                time.sleep(0.005)
            error = error_of(lambda: renamed(uow, 2))
            first.join()
        raise error or AssertionError

    assert leaks_in(Bank(postgresql), Deadlock, meet) == []


def test_no_statement_that_took_too_long_tells_its_parameters(
    vaults: Database, make_database: MakeDatabase
) -> None:
    database = make_database(vaults.settings.url, statement_timeout=0.2)
    endless = text(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000) "
        "SELECT count(*) FROM n WHERE :name <> 'x'"
    )

    def wait(uow: Bank) -> None:
        uow.session.execute(endless, {"name": CANARY.text})

    assert leaks_in(Bank(database), TransientError, wait) == []


# -- a database that cannot be used ---------------------------------------------------------------


def killed(uow: Bank) -> None:
    uow.vaults.update(1, name=OTHER)
    connection = uow.session.connection()
    pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
    beside(uow.session.database, text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
    uow.vaults.create(planted(email=NEW))


@pytest.mark.postgresql
def test_no_connection_that_dies_tells_what_was_under_way(postgresql: Database) -> None:
    assert leaks_in(Bank(postgresql), DatabaseUnavailable, killed) == []
    raised = raised_in(Bank(postgresql), lambda uow: (killed_at_last(uow), uow.commit()))
    assert leaks_of(raised) == []
    with pytest.warns(UncommittedChangesWarning) as warned, Bank(postgresql) as uow:
        killed_at_last(uow)
    assert CANARY.found_in(str(warned[0].message)) == set()


def killed_at_last(uow: Bank) -> None:
    uow.vaults.create(planted(email=NEW))
    raw: Any = uow.session.connection().connection.driver_connection
    raw.close()


@pytest.fixture
def linked(link: tuple[Link, str], make_database: MakeDatabase) -> tuple[Link, Database]:
    """A link, and vaults behind it whose URL has a secret of its own."""
    url = make_url(link[1]).update_query_dict({"password": CANARY.text})
    return link[0], stored(make_database(url, connect_timeout=0.1))


@pytest.mark.postgresql
@pytest.mark.parametrize("cut", ["before", "after"])
def test_no_commit_whose_answer_is_lost_tells_what_was_stored(
    linked: tuple[Link, Database], cut: Any
) -> None:
    link, database = linked

    def lose(uow: Bank) -> None:
        uow.vaults.create(planted(email=NEW))
        link.cut = cut
        if cut == "after":  # and nobody can ask what became of it
            link._listener.shutdown(socket.SHUT_RDWR)
            link._listener.close()
        uow.commit()

    error = raised_in(Bank(database), lose)

    assert type(error) is (DatabaseUnavailable if cut == "before" else CommitOutcomeUnknown)
    assert leaks_of(error) == []


@pytest.mark.postgresql
def test_no_pool_that_is_empty_tells_whose_it_is(linked: tuple[Link, Database]) -> None:
    _, database = linked
    pool: Any = database.engine.pool
    pool._timeout = 0.05
    pool._max_overflow = 0
    taken = [database.engine.connect() for _ in range(5)]
    error = raised_in(Bank(database), renamed)
    for connection in taken:
        connection.close()

    assert isinstance(error, DatabaseUnavailable)
    assert "pool_size" in str(error)
    assert leaks_of(error) == []


def test_no_memory_database_in_use_tells_what_it_is_used_for(make_database: MakeDatabase) -> None:
    database = stored(make_database("sqlite://", busy_timeout=0.05))
    errors: list[Exception] = []
    with Bank(database) as uow:
        uow.vaults.require(1)
        other = threading.Thread(target=lambda: errors.append(raised_in(Bank(database), renamed)))
        other.start()
        other.join()

    assert isinstance(errors[0], LockTimeout)
    assert leaks_of(errors[0]) == []


def test_no_file_that_cannot_be_used_tells_what_is_in_it(
    sqlite_url: str, make_database: MakeDatabase, tmp_path: Path
) -> None:
    database = stored(make_database(sqlite_url))

    def overfill(uow: Bank) -> None:
        uow.session.execute(text("PRAGMA max_page_count = 1"))
        uow.vaults.bulk_create(planted(email=f"{CANARY.text} {n}") for n in range(1000))

    assert leaks_in(Bank(database), DatabaseUnavailable, overfill) == []
    spoilt = tmp_path / "spoilt.db"
    spoilt.write_text(CANARY.text * 1000)
    for path in (spoilt, tmp_path / "missing" / "x.db", tmp_path):
        with Database(f"sqlite:///{path}") as unusable:
            assert leaks_in(Bank(unusable), DatabaseUnavailable, renamed) == []


# -- the URL --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guarded() -> Iterator[str]:
    """The URL of a server that asks for the secret; the URL does not have it."""
    cluster = Guarded()
    yield cluster.url
    cluster.remove()


def uses_of(database: Database) -> list[Callable[[], object]]:
    """What connects."""
    return [
        lambda: Bank(database).run(lambda uow: uow.vaults.create(planted())),
        lambda: Bank(database, read_only=True).run(lambda uow: uow.vaults.count()),
        lambda: database.create_all(VaultModel.metadata),
        lambda: pending(database, project=ROOT),
    ]


def shown_by(database: Database) -> str:
    engines = (database.engine, database.reader, database.engine.pool, database.engine.url)
    return f"{database} {database!r} {database.url} {database.settings} {engines}"


def leaks_without(url: str) -> list[str]:
    """The leaks where nobody can connect."""
    with Database(url, connect_timeout=1) as database:
        leaks = [f"shown: {found}" for found in CANARY.found_in(shown_by(database))]
        for use in uses_of(database):
            error = error_of(use)
            assert isinstance(error, DatabaseUnavailable), repr(error)
            leaks += leaks_of(error)
    return leaks


WRONG_URLS: dict[str, Callable[[URL], URL]] = {
    "port": lambda url: url.set(port=1),
    "host": lambda url: url.set(host="nobody.invalid"),
    "database": lambda url: url.set(database="nothing"),
    "user": lambda url: url.set(username="nobody"),
}


@pytest.mark.postgresql
@pytest.mark.parametrize("wrong", WRONG_URLS)
def test_no_database_that_cannot_be_reached_tells_its_password(guarded: str, wrong: str) -> None:
    url = WRONG_URLS[wrong](make_url(guarded)).render_as_string()
    assert [leak for spelling in spelt(url) for leak in leaks_without(spelling)] == []


@pytest.mark.postgresql
@pytest.mark.parametrize("password", ["{0.encoded}0", "{0.head}", "{0.head}/?#:%zz{0.tail}"])
def test_no_password_that_is_refused_is_told(guarded: str, password: str) -> None:
    secret = password.format(CANARY)
    usual = guarded.replace("@", f":{secret}@")
    query = f"{guarded}?password={secret.replace('#', '')}"
    assert leaks_without(usual) + leaks_without(query) == []


@pytest.mark.postgresql
def test_no_database_that_can_be_reached_tells_its_password(guarded: str) -> None:
    """And the secret is the one that it asks for."""
    for url in spelt(guarded):
        with Database(url) as database:
            with Bank(database, read_only=True) as uow:
                assert uow.session.execute(text("SELECT 1")).scalar_one() == 1
            error = error_of(lambda: require_migrated(database, project=ROOT))
            assert isinstance(error, MigrationError)
            assert CANARY.found_in(shown_by(database)) == set()
        assert leaks_of(error) == []


@pytest.mark.postgresql
def test_a_bare_engine_tells_the_second_spelling(guarded: str) -> None:
    """The control."""
    shown = [CANARY.found_in(repr(create_engine(url))) for url in spelt(guarded)]
    assert shown == [set(), *[{"text", "end of text"}] * 3]


NO_URLS = [
    "{0.encoded}",
    "user:{0.encoded}@host/db",
    "postgresql:/user:{0.encoded}@host/db",
    "postgresql://user:{0.encoded}@host:port/db",
    "postgresql://user:{0.encoded}@host:{0.head}/db",
    "postgresql://user:{0.encoded}@[::1/db?password={0.encoded}",
    "mysql://user:{0.encoded}@host/db",
    "postgresql+psycopg2://host/db?password={0.encoded}",
    "sqlite+aiosqlite:///{0.head}.db?password={0.encoded}",
    "sqlite://user:{0.encoded}@/app.db",
    "sqlite:///app.db?password={0.encoded}",
]


@pytest.mark.parametrize("url", NO_URLS)
def test_no_url_that_is_refused_tells_its_password(url: str, monkeypatch: Any) -> None:
    secret = url.format(CANARY)
    monkeypatch.setenv("DATABASE_URL", secret)
    for error in (error_of(lambda: Database(secret)), error_of(Database)):
        assert isinstance(error, ValidationError | ArgumentError)
        assert leaks_of(error) == []


def test_what_is_no_text_is_not_told_either() -> None:
    for url in (CANARY.bytes, CANARY.json, CANARY.whole):
        error = error_of(lambda: Database(url))  # type: ignore[arg-type]  # noqa: B023
        assert isinstance(error, ValidationError)
        assert leaks_of(error) == []


# -- what else may be in a URL --------------------------------------------------------------------


@pytest.mark.parametrize("password", ["pass@{0.head}", "{0.head}@/{0.tail}"])
def test_no_password_with_an_at_sign_that_is_not_encoded_is_told(password: str) -> None:
    """SQLAlchemy takes what stands behind it for the host."""
    url = f"postgresql://me:{password.format(CANARY)}@127.0.0.1:1/db"
    error = error_of(lambda: used_once(url))
    assert isinstance(error, DatabaseUnavailable | ValidationError)
    assert leaks_of(error) == []


def used_once(url: str) -> None:
    with Database(url, connect_timeout=1) as database:
        Bank(database).run(lambda uow: uow.vaults.count())


@pytest.mark.parametrize("option", ["sslpassword", "PASSWORD"])
def test_no_other_secret_of_the_url_is_told(option: str) -> None:
    """The password of a key; and one that is given by a wrong name."""
    assert leaks_without(f"postgresql://me@127.0.0.1:1/db?{option}={CANARY.encoded}") == []
