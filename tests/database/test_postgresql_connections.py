"""What every connection to PostgreSQL is told, and that it is told nothing for good."""

import time
from typing import Any

import pytest
from sqlalchemy import create_engine, make_url, text

from domain import Person
from domain.errors import LockTimeout, ReadOnlyViolation, TransientError
from infrastructure.database.unit_of_work import UnitOfWork

pytestmark = pytest.mark.postgresql


@pytest.fixture
def url(postgresql_url: str) -> str:
    """This module is about PostgreSQL."""
    return postgresql_url


def say(uow: UnitOfWork, sql: str) -> Any:
    return uow.session.execute(text(sql)).scalar_one()


@pytest.mark.parametrize("read_only", [False, True])
def test_connections_bear_the_name_of_the_kit(database: Any, read_only: bool) -> None:
    with UnitOfWork(database, read_only=read_only) as uow:
        assert say(uow, "SHOW application_name") == "infrastructure-kit"


def test_a_name_of_the_users_own_is_kept(make_database: Any, url: str) -> None:
    database = make_database(f"{url}?application_name=shop")
    with UnitOfWork(database) as uow:
        assert say(uow, "SHOW application_name") == "shop"


def test_a_writing_unit_is_one_transaction(database: Any) -> None:
    with UnitOfWork(database) as uow:
        assert say(uow, "SHOW transaction_read_only") == "off"
        assert say(uow, "SELECT now()") == say(uow, "SELECT now()")


def test_a_reading_unit_runs_in_autocommit_on_connections_that_cannot_write(database: Any) -> None:
    with UnitOfWork(database, read_only=True) as uow:
        assert say(uow, "SHOW default_transaction_read_only") == "on"
        assert say(uow, "SELECT now()") != say(uow, "SELECT now()")
        uow.commit()
    with UnitOfWork(database, read_only=True) as uow:
        with pytest.raises(ReadOnlyViolation):
            uow.session.execute(text("DELETE FROM people"))
        uow.rollback()


def test_each_statement_of_a_reading_unit_sees_its_own_snapshot(database: Any) -> None:
    with UnitOfWork(database, read_only=True) as reader:
        assert reader.people.count() == 0
        with UnitOfWork(database) as uow:
            uow.people.create(Person(name="Ada", email="ada@example.com"))
            uow.commit()
        assert reader.people.count() == 1


def test_one_snapshot_is_there_for_who_asks(database: Any) -> None:
    with UnitOfWork(database, read_only=True, isolation_level="REPEATABLE READ") as reader:
        assert say(reader, "SHOW transaction_isolation") == "repeatable read"
        assert say(reader, "SHOW transaction_read_only") == "on"
        assert reader.people.count() == 0
        with UnitOfWork(database) as uow:
            uow.people.create(Person(name="Ada", email="ada@example.com"))
            uow.commit()
        assert reader.people.count() == 0


@pytest.mark.parametrize("options", [{"pgbouncer": True}, {"lock_timeout": 5.0}])
def test_with_a_timeout_or_pgbouncer_reading_is_a_transaction(
    make_database: Any, url: str, options: dict[str, Any]
) -> None:
    database = make_database(url, **options)
    with UnitOfWork(database, read_only=True) as uow:
        assert say(uow, "SHOW transaction_read_only") == "on"
        assert say(uow, "SHOW default_transaction_read_only") == "off"
        assert say(uow, "SELECT now()") == say(uow, "SELECT now()")
        with pytest.raises(ReadOnlyViolation):
            uow.session.execute(text("DELETE FROM people"))
        uow.rollback()
    with UnitOfWork(database) as uow:
        uow.people.create(Person(name="Ada", email="ada@example.com"))
        uow.commit()


@pytest.mark.parametrize("read_only", [False, True])
def test_a_statement_that_takes_too_long_is_ended(
    make_database: Any, url: str, read_only: bool
) -> None:
    database = make_database(url, statement_timeout=0.2)
    with UnitOfWork(database, read_only=read_only) as uow:
        with pytest.raises(TransientError, match="timeout"):
            say(uow, "SELECT 1 FROM pg_sleep(30)")
        uow.rollback()
        assert say(uow, "SELECT 1") == 1


def test_a_lock_that_is_not_granted_is_given_up(make_database: Any, url: str) -> None:
    database = make_database(url, lock_timeout=0.2)
    with database.engine.begin() as connection:
        connection.execute(text("LOCK TABLE people"))
        with UnitOfWork(database) as uow, pytest.raises(LockTimeout, match="again"):
            uow.people.count()


def test_timeouts_are_not_left_on_the_connection(make_database: Any, url: str) -> None:
    database = make_database(url, statement_timeout=9.0, lock_timeout=8.0, pool_size=1)
    with UnitOfWork(database) as uow:
        assert say(uow, "SHOW statement_timeout") == "9s"
        assert say(uow, "SHOW lock_timeout") == "8s"
    raw: Any = database.engine.raw_connection()
    with raw.cursor() as cursor:
        assert cursor.execute("SHOW statement_timeout").fetchone() == ("0",)
        assert cursor.execute("SHOW lock_timeout").fetchone() == ("0",)
    raw.close()


@pytest.mark.parametrize("read_only", [False, True])
def test_a_server_that_was_restarted_is_not_noticed(
    database: Any, url: str, read_only: bool
) -> None:
    with UnitOfWork(database, read_only=read_only) as uow:
        before = say(uow, "SELECT pg_backend_pid()")
    other = create_engine(url, isolation_level="AUTOCOMMIT")
    with other.connect() as connection:
        connection.execute(text(f"SELECT pg_terminate_backend({before})"))
        deadline = time.monotonic() + 20
        alive = text(f"SELECT count(*) FROM pg_stat_activity WHERE pid = {before}")
        while connection.execute(alive).scalar_one() and time.monotonic() < deadline:
            time.sleep(0.02)
    other.dispose()

    with UnitOfWork(database, read_only=read_only) as uow:
        assert say(uow, "SELECT pg_backend_pid()") != before


def test_text_sorts_by_code_point_whatever_the_locale_of_the_server(database: Any) -> None:
    names = ["_", "a", "B", "Z", "é"]
    with UnitOfWork(database) as uow:
        assert say(uow, "SELECT string_agg(x, '' ORDER BY x) FROM unnest(ARRAY['B','a']) x") == "aB"
        uow.people.create_many(
            [Person(name=name, email=f"{at}@example.com") for at, name in enumerate(names)]
        )
        uow.commit()
        found = [person.name for person in uow.people.get_all(order_by="name")]
    assert found == sorted(names)


def test_a_url_keeps_its_options(make_database: Any, url: str) -> None:
    database = make_database(str(make_url(url).update_query_dict({"options": "-c work_mem=7MB"})))
    with UnitOfWork(database) as uow:
        assert say(uow, "SHOW work_mem") == "7MB"
    with UnitOfWork(database, read_only=True) as uow:
        assert say(uow, "SHOW default_transaction_read_only") == "on"
        assert say(uow, "SHOW work_mem") == "7MB"
