"""What SQLite does to those who use it as it comes, and that the kit does not hand it on.

A test named ``bare_…`` is a control: it shows that the trap is there.
"""

import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.pool import StaticPool

from domain import Person, Team
from domain.errors import ForeignKeyViolation, LockTimeout, ReadOnlyViolation
from infrastructure.database import Database
from infrastructure.database.unit_of_work import UnitOfWork


@pytest.fixture
def url(request: pytest.FixtureRequest, sqlite_url: str) -> str:
    """Files only, where a test does not ask for another."""
    return sqlite_url


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Engine]:
    """An engine as SQLAlchemy makes it."""
    engine = create_engine(f"sqlite:///{tmp_path / 'bare.db'}")
    yield engine
    engine.dispose()


def ada(**values: Any) -> Person:
    return Person(**{"name": "Ada", "email": "ada@example.com", **values})


def begun(database: Database, run: Callable[[], object]) -> list[str]:
    """How the transactions of the block were begun."""
    sent: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    run()
    event.remove(database.engine, "before_cursor_execute", note)
    return [statement for statement in sent if statement.startswith(("BEGIN", "PRAGMA"))]


# -- what is set on each connection -----------------------------------------------------------


def test_foreign_keys_are_on_on_every_connection(make_database: Any, sqlite_url: str) -> None:
    database = make_database(sqlite_url, pool_size=2)
    with database.engine.connect() as one, database.engine.connect() as other:
        for connection in (one, other):
            found = connection.connection.cursor().execute("PRAGMA foreign_keys").fetchone()
            assert found == (1,)
            connection.rollback()


def test_a_dangling_reference_is_refused(database: Database) -> None:
    with UnitOfWork(database) as uow:
        with pytest.raises(ForeignKeyViolation):
            uow.people.create(ada(team_id=99))
        uow.rollback()


def test_bare_foreign_keys_are_off_and_cannot_be_switched_on_inside(bare: Engine) -> None:
    with bare.connect() as connection:
        connection.execute(text("CREATE TABLE parents (id INTEGER PRIMARY KEY)"))
        connection.execute(text("CREATE TABLE children (parent INTEGER REFERENCES parents)"))
        connection.execute(text("INSERT INTO parents VALUES (1)"))
        connection.execute(text("PRAGMA foreign_keys=ON"))
        assert connection.execute(text("PRAGMA foreign_keys")).scalar_one() == 0
        connection.execute(text("INSERT INTO children VALUES (99)"))
        connection.commit()


def test_a_sqlite_without_foreign_keys_is_not_started(make_database: Any, sqlite_url: str) -> None:
    """As with a build that has none: here they are forced off before the kit looks."""
    database = Database(sqlite_url)
    denied = lambda action, name, *_: (  # noqa: E731
        sqlite3.SQLITE_IGNORE
        if action == sqlite3.SQLITE_PRAGMA and name == "foreign_keys"
        else sqlite3.SQLITE_OK
    )

    def forbid(connection: sqlite3.Connection, *_: Any) -> None:
        connection.set_authorizer(denied)

    event.listen(database.engine, "connect", forbid, insert=True)
    with UnitOfWork(database) as uow, pytest.raises(Exception, match="foreign keys"):
        uow.people.count()
    database.close()


def test_a_file_is_in_wal_mode(database: Database, tmp_path: Path) -> None:
    with database.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2, "FULL"


def test_bare_files_are_not(bare: Engine) -> None:
    with bare.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "delete"


def test_the_busy_timeout_is_set(make_database: Any, sqlite_url: str) -> None:
    database = make_database(sqlite_url, busy_timeout=7.5)
    with database.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one() == 7500


# -- how transactions begin ----------------------------------------------------------------------


def test_a_writing_unit_begins_immediate(database: Database) -> None:
    def run() -> None:
        with UnitOfWork(database) as uow:
            uow.people.count()

    assert begun(database, run) == ["BEGIN IMMEDIATE"]


def test_a_reading_unit_is_in_a_transaction_and_may_not_write(database: Database) -> None:
    with UnitOfWork(database, read_only=True) as uow:
        uow.people.count()
        raw: Any = uow.session.connection().connection.driver_connection
        assert raw.in_transaction
        assert raw.execute("PRAGMA query_only").fetchone() == (1,)
        with UnitOfWork(database) as writing:  # it has not taken the lock
            writing.teams.create(Team(name="Core"))
            writing.commit()


def test_a_unit_that_sends_nothing_begins_nothing(database: Database) -> None:
    def run() -> None:
        with UnitOfWork(database) as uow:
            uow.commit()

    assert begun(database, run) == []


def test_a_second_writer_waits_and_then_gives_up(make_database: Any, sqlite_url: str) -> None:
    database = make_database(sqlite_url, busy_timeout=0.2)
    with database.engine.connect() as other:
        other.execute(text("SELECT 1"))  # BEGIN IMMEDIATE
        with UnitOfWork(database) as uow:
            with pytest.raises(LockTimeout, match="again"):
                uow.people.count()
            uow.rollback()
            other.rollback()
            assert uow.people.count() == 0


def test_readers_and_a_writer_do_not_wait_for_each_other(database: Database) -> None:
    with UnitOfWork(database) as writer:
        writer.people.create(ada())
        with UnitOfWork(database, read_only=True) as reader:
            assert reader.people.count() == 0
            writer.commit()
            assert reader.people.count() == 0, "one snapshot for the whole unit"
        with UnitOfWork(database, read_only=True) as reader:
            assert reader.people.count() == 1


def test_bare_readers_that_want_to_write_fail_at_once(bare: Engine) -> None:
    """SQLITE_BUSY on the upgrade of a lock takes no notice of the busy timeout."""
    with bare.begin() as connection:
        connection.execute(text("CREATE TABLE counters (n INTEGER)"))
        connection.execute(text("INSERT INTO counters VALUES (0)"))
    held = [bare.raw_connection() for _ in range(2)]
    one, other = (connection.driver_connection for connection in held)
    assert one is not None
    assert other is not None
    for connection in (one, other):
        connection.isolation_level = None
        connection.execute("BEGIN")
        connection.execute("SELECT n FROM counters").fetchall()
    one.execute("UPDATE counters SET n = 1")
    began = time.monotonic()
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        other.execute("UPDATE counters SET n = 2")
    assert time.monotonic() - began < 4, "the default timeout is five seconds"
    one.execute("ROLLBACK")
    other.execute("ROLLBACK")


def test_create_table_is_rolled_back(database: Database) -> None:
    with UnitOfWork(database) as uow:
        uow.session.execute(text("CREATE TABLE made (id INTEGER)"))
        uow.rollback()
        found = uow.session.execute(text("SELECT count(*) FROM sqlite_master WHERE name = 'made'"))
        assert found.scalar_one() == 0


def test_bare_create_table_is_not(bare: Engine) -> None:
    with bare.connect() as connection:
        connection.execute(text("CREATE TABLE made (id INTEGER)"))
        connection.rollback()
        connection.execute(text("SELECT * FROM made"))


def test_a_released_savepoint_goes_with_the_outer_rollback(database: Database) -> None:
    with UnitOfWork(database) as uow:
        with uow.savepoint():
            uow.people.create(ada())
        uow.rollback()
    with UnitOfWork(database) as uow:
        assert uow.people.count() == 0


def test_a_bare_savepoint_that_is_released_outlives_the_rollback(bare: Engine) -> None:
    with bare.begin() as connection:
        connection.execute(text("CREATE TABLE rows (id INTEGER)"))
    with bare.connect() as connection:
        with connection.begin_nested():
            connection.execute(text("INSERT INTO rows VALUES (1)"))
        connection.rollback()
    with bare.connect() as connection:
        found = connection.execute(text("SELECT count(*) FROM rows")).scalar_one()
    if sys.version_info < (3, 12) or found:
        assert found == 1


# -- query_only ----------------------------------------------------------------------------------


def test_a_write_in_a_reading_unit_is_refused_by_the_database(database: Database) -> None:
    with UnitOfWork(database, read_only=True) as uow:
        with pytest.raises(ReadOnlyViolation):
            uow.session.execute(text("DELETE FROM people"))
        uow.rollback()


@pytest.mark.parametrize("how", ["leave", "fail", "raise", "rollback"])
def test_query_only_does_not_leak_to_the_next_user(
    make_database: Any, sqlite_url: str, how: str
) -> None:
    database = make_database(sqlite_url, pool_size=1)
    for _ in range(3):
        with (
            suppress(ReadOnlyViolation, ZeroDivisionError),
            UnitOfWork(database, read_only=True) as uow,
        ):
            uow.people.count()
            if how == "fail":
                uow.session.execute(text("DELETE FROM people"))
            if how == "raise":
                1 / 0
            if how == "rollback":
                uow.rollback()
                uow.people.count()
        with UnitOfWork(database) as uow:
            uow.people.create(ada(email=f"{uow.people.count()}@example.com"))
            uow.commit()


def test_bare_query_only_leaks_through_the_pool(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'leak.db'}", pool_size=1)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA query_only=ON")
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA query_only").scalar_one() == 1
    engine.dispose()


# -- memory ----------------------------------------------------------------------------------------


MEMORY = ["sqlite://", "sqlite:///:memory:", "sqlite:///file:kit?mode=memory&uri=true"]


@pytest.mark.parametrize("memory", MEMORY)
def test_threads_share_a_memory_database_one_after_the_other(
    make_database: Any, memory: str
) -> None:
    database = make_database(memory)
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for step in range(5):
                with UnitOfWork(database) as uow:
                    uow.people.create(ada(email=f"{number}.{step}@example.com"))
                    uow.commit()
        except BaseException as error:  # noqa: BLE001 -- shown by the test
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    with UnitOfWork(database) as uow:
        assert uow.people.count() == 40


def test_a_thread_waits_for_the_memory_database_and_then_gives_up(make_database: Any) -> None:
    database = make_database("sqlite://", busy_timeout=0.3)
    caught: list[Any] = []

    def work() -> None:
        with UnitOfWork(database) as uow:
            try:
                uow.people.count()
            except LockTimeout as error:
                caught.append(error)

    with UnitOfWork(database) as uow:
        uow.people.create(ada())
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        uow.commit()

    assert len(caught) == 1
    assert "memory" in str(caught[0])


def test_bare_threads_roll_back_what_others_did(make_database: Any) -> None:
    engine = create_engine(
        "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
    )
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE rows (id INTEGER)"))
    with engine.connect() as mine:
        mine.execute(text("INSERT INTO rows VALUES (1)"))
        with engine.connect() as other:
            other.execute(text("SELECT 1"))
            other.rollback()
        mine.commit()
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM rows")).scalar_one() == 0
    engine.dispose()
