"""In a sandbox everything is as in production, and nothing stays."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from sqlmodel import Session, select

from domain import Person, Team, where
from domain.errors import (
    DatabaseUnavailable,
    ForeignKeyViolation,
    ReadOnlyViolation,
    UniqueViolation,
    UnitOfWorkError,
)
from infrastructure.database.dialects.sandbox import SandboxError
from infrastructure.database.dialects.templates import Templates
from infrastructure.database.models.team import TeamModel
from infrastructure.database.unit_of_work import UnitOfWork
from infrastructure.testing.sandbox import SandboxDatabase, copy_from, sandbox_from
from tests.support import kill

LINKS = """
    CREATE TABLE links (
        id INTEGER PRIMARY KEY,
        next_id INTEGER REFERENCES links (id) DEFERRABLE INITIALLY DEFERRED,
        other_id INTEGER REFERENCES links (id) DEFERRABLE
    )
"""


@pytest.fixture(scope="module")
def schema(schema: Callable[[Any], None]) -> Callable[[Any], None]:
    def make(database: Any) -> None:
        schema(database)
        with database.engine.begin() as connection:
            connection.execute(text(LINKS))

    return make


def names(database: SandboxDatabase) -> list[str]:
    with UnitOfWork(database, read_only=True) as uow:
        return [team.name for team in uow.teams.get_all(order_by="name")]


def store(database: SandboxDatabase, name: str) -> None:
    with UnitOfWork(database) as uow:
        uow.teams.create(Team(name=name))
        uow.commit()


@pytest.mark.parametrize("time", ["first", "second", "third"])
def test_what_one_test_commits_no_other_finds(database: SandboxDatabase, time: str) -> None:
    assert names(database) == []
    store(database, "Core")
    store(database, time)
    assert names(database) == sorted(["Core", time])


def test_a_rollback_goes_back_to_the_last_commit(database: SandboxDatabase) -> None:
    with UnitOfWork(database) as uow:
        uow.teams.create(Team(name="Kept"))
        uow.commit()
        uow.teams.create(Team(name="Undone"))
        uow.rollback()
        uow.teams.create(Team(name="Kept, too"))
        with pytest.raises(KeyError), uow.savepoint():
            uow.teams.create(Team(name="Undone, too"))
            raise KeyError
        uow.commit()
    with pytest.raises(KeyError), UnitOfWork(database) as uow:
        uow.teams.create(Team(name="Undone as well"))
        raise KeyError
    assert names(database) == ["Kept", "Kept, too"]


def test_a_failed_statement_undoes_no_more_than_in_production(database: SandboxDatabase) -> None:
    store(database, "Core")
    with UnitOfWork(database) as uow:
        with pytest.raises(UniqueViolation):
            uow.teams.create(Team(name="Core"))
        with pytest.raises(UnitOfWorkError):
            uow.commit()
    assert names(database) == ["Core"]


def test_hooks_run_after_the_commit_with_the_connection_returned(database: SandboxDatabase) -> None:
    seen: list[list[str]] = []
    with UnitOfWork(database) as uow:
        uow.teams.create(Team(name="Core"))
        uow.after_commit(lambda: seen.append(names(database)))
        assert seen == []
        uow.commit()
        uow.after_commit(lambda: seen.append([]))
    assert seen == [["Core"]]


def test_read_only_units_refuse_to_write(database: SandboxDatabase) -> None:
    insert = text(
        "INSERT INTO teams (name, created_at, updated_at, version) VALUES ('x', :n, :n, 1)"
    )
    with UnitOfWork(database, read_only=True) as uow, pytest.raises(ReadOnlyViolation):
        uow.session.execute(insert, {"n": "2030-01-01"})
    store(database, "The next one writes")
    assert names(database) == ["The next one writes"]


def test_a_stream_and_the_session_and_the_engine_are_in_it(database: SandboxDatabase) -> None:
    store(database, "Core")
    with UnitOfWork(database, read_only=True) as uow:
        assert [team.name for team in uow.teams.stream(batch_size=1)] == ["Core"]
    with Session(database.engine) as session:
        assert session.exec(select(TeamModel)).one().name == "Core"
        session.add(TeamModel(name="By the session"))
        session.commit()
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE teams SET name = 'By the engine' WHERE name = 'Core'"))
    assert names(database) == ["By the engine", "By the session"]


def test_run_and_many_rows_work(database: SandboxDatabase) -> None:
    people = [Person(name=f"{n}", email=f"{n}@example.com") for n in range(2000)]
    assert UnitOfWork(database).run(lambda uow: uow.people.bulk_create(people)) == 2000
    with UnitOfWork(database) as uow:
        assert uow.people.delete_where(where("name") >= "2") == 888
        uow.commit()
        assert uow.people.count() == 1112


def test_an_application_that_closes_its_database_goes_on(database: SandboxDatabase) -> None:
    store(database, "Core")
    with database:
        pass
    assert names(database) == ["Core"]


# -- constraints that are checked at COMMIT -------------------------------------------------


@pytest.mark.parametrize("column", ["next_id", "other_id"])
def test_deferred_constraints_are_checked_at_commit(database: SandboxDatabase, column: str) -> None:
    later = {"sqlite": "PRAGMA defer_foreign_keys=ON"}
    with UnitOfWork(database) as uow:
        if column == "other_id":
            kind = uow.session.connection().dialect.name
            uow.session.execute(text(later.get(kind, "SET CONSTRAINTS ALL DEFERRED")))
        uow.session.execute(text(f"INSERT INTO links (id, {column}) VALUES (1, 2)"))
        with pytest.raises(ForeignKeyViolation):
            uow.commit()
        uow.rollback()
        uow.session.execute(text("INSERT INTO links (id, next_id) VALUES (1, 2)"))
        uow.session.execute(text("INSERT INTO links (id, next_id) VALUES (2, 1)"))
        uow.commit()
        with pytest.raises(ForeignKeyViolation):  # at once: what was deferred lasted for one unit
            uow.session.execute(text("INSERT INTO links (id, other_id) VALUES (3, 4)"))
        uow.rollback()
        uow.session.execute(text("UPDATE links SET next_id = 9 WHERE id = 1"))
        with pytest.raises(ForeignKeyViolation):
            uow.commit()
        uow.rollback()


# -- what cannot be ---------------------------------------------------------------------------


def test_an_isolation_level_is_refused_and_says_where_it_is_possible(
    database: SandboxDatabase, templates: Templates
) -> None:
    unit = UnitOfWork(database, isolation_level="SERIALIZABLE")
    with pytest.raises(UnitOfWorkError, match="committed_database"), unit:
        pass
    with copy_from(templates) as real, UnitOfWork(real, isolation_level="SERIALIZABLE") as uow:
        uow.teams.create(Team(name="Core"))
        uow.commit()
    assert names(database) == []


def test_a_unit_inside_another_is_refused_at_once(database: SandboxDatabase) -> None:
    with UnitOfWork(database) as uow:
        uow.teams.count()
        with pytest.raises(UnitOfWorkError, match="committed_database"):
            names(database)
        uow.rollback()
        assert names(database) == []


def test_threads_take_turns(database: SandboxDatabase) -> None:
    def work(number: int) -> None:
        for part in range(5):
            store(database, f"{number}.{part}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names(database)) == 40


def test_a_thread_that_would_wait_for_ever_is_refused(
    database: SandboxDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database.engine.pool, "_timeout", 0.2)
    errors: list[Exception] = []

    def work() -> None:
        try:
            UnitOfWork(database).run(lambda uow: uow.teams.count())
        except UnitOfWorkError as error:
            errors.append(error)

    with UnitOfWork(database) as uow:
        uow.teams.count()
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert "committed_database" in str(errors)
    assert names(database) == []


def test_between_tests_it_is_closed(shared_sandbox: SandboxDatabase) -> None:
    with pytest.raises(SandboxError, match="names database"):
        store(shared_sandbox, "Core")
    with shared_sandbox.opened():
        assert names(shared_sandbox) == []


@pytest.mark.parametrize("what", ["unit", "connection", "thread"])
def test_what_a_test_leaves_open_is_closed_and_said(
    shared_sandbox: SandboxDatabase, what: str
) -> None:
    with pytest.raises(SandboxError, match="left a unit of work"), shared_sandbox.opened():
        if what == "connection":
            opened: Any = shared_sandbox.engine.connect()
            opened.execute(text("SELECT 1"))
        else:
            opened = UnitOfWork(shared_sandbox)
            opened.__enter__()
            create = opened.teams.create
            thread = threading.Thread(target=create, args=(Team(name="Left"),))
            thread.start()
            thread.join()
    with shared_sandbox.opened():
        assert names(shared_sandbox) == []
        store(shared_sandbox, "The next")
    if what != "connection":
        with pytest.raises(UnitOfWorkError):
            opened.teams.count()


@pytest.mark.parametrize("word", ["COMMIT", "ROLLBACK"])
def test_a_transaction_that_is_ended_behind_its_back_is_noticed(
    templates: Templates, word: str
) -> None:
    with sandbox_from(templates) as database:
        with pytest.raises(SandboxError, match="was ended"), database.opened():
            with database.engine.connect() as connection:
                raw: Any = connection.connection.driver_connection
                raw.execute(word)
            with pytest.raises(SandboxError, match="lost"):
                store(database, "Core")
        with database.opened():
            assert names(database) == []


def test_a_lost_connection_loses_what_was_in_it_and_the_next_test_has_another(
    templates: Templates,
) -> None:
    with sandbox_from(templates) as database:
        with pytest.raises(SandboxError, match="was ended"), database.opened():
            store(database, "Core")
            with suppress(DatabaseUnavailable, ProgrammingError), UnitOfWork(database) as uow:
                kill(uow)
                uow.teams.count()
            with pytest.raises(SandboxError, match="was lost"):
                names(database)
        with database.opened():
            assert names(database) == []
            store(database, "Core")


def test_a_forked_child_is_refused_and_does_no_harm(database: SandboxDatabase) -> None:
    store(database, "Core")
    with UnitOfWork(database) as uow:
        uow.teams.create(Team(name="Mine"))
        child = os.fork()
        if child == 0:  # pragma: no cover -- another process
            os._exit(_refused(database, uow))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        uow.commit()
    assert names(database) == ["Core", "Mine"]


def _refused(database: SandboxDatabase, uow: UnitOfWork) -> int:
    try:
        uow.teams.count()
    except UnitOfWorkError as error:
        inherited = "forked" in str(error)
    try:
        names(database)
    except UnitOfWorkError as error:
        return int(not (inherited and "committed_database" in str(error)))
    return 1


def test_the_database_that_the_url_names_is_not_touched(
    templates: Templates, database: SandboxDatabase, never_touched: Any
) -> None:
    store(database, "Core")
    with copy_from(templates) as first, copy_from(templates) as second:
        assert len({first.url, second.url, database.url}) == 3
    assert [*never_touched.iterdir()] == []
