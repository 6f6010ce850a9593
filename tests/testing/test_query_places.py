"""Which lines of an application send statements, and how that is reported."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from domain import Team, where
from infrastructure.database import Database
from infrastructure.database.unit_of_work import UnitOfWork
from infrastructure.testing.queries import Queries, assert_queries, count_queries
from infrastructure.testing.sandbox import SandboxDatabase
from tests.conftest import MakeDatabase
from tests.testing.clubs import Clubs, QueryClub, filled, line_of, loaded, places


@pytest.fixture
def tables() -> list[Any]:
    return [QueryClub]


@pytest.fixture
def memory(make_database: MakeDatabase) -> Database:
    return filled(make_database("sqlite://"))


@pytest.fixture
def file(make_database: MakeDatabase, tmp_path: Path) -> Database:
    """Where a hook can open a unit beside the one whose hook it is."""
    return filled(make_database(f"sqlite:///{tmp_path / 'clubs.db'}"))


@pytest.fixture
def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An application outside the kit, in the working directory."""
    monkeypatch.chdir(tmp_path)
    return loaded(tmp_path)


# -- whose line it was ---------------------------------------------------------------------


LINES: dict[str, tuple[str, Callable[[Any, Clubs], object]]] = {
    "a loop": ("one_by_one", lambda shop, uow: shop.one_by_one(uow)),
    "a comprehension": ("in_a_comprehension", lambda shop, uow: shop.in_a_comprehension(uow)),
    "a lambda": ("in_a_lambda", lambda shop, uow: shop.in_a_lambda(uow)),
    "a method that a library calls": ("Prices.of", lambda shop, uow: shop.Prices(uow).mean()),
    "a stream of the kit": ("consume", lambda shop, uow: shop.consume(uow.clubs.stream())),
    "a stream of the application": (
        "its_own_stream",
        lambda shop, uow: shop.consume(shop.its_own_stream(uow)),
    ),
    "a hook": ("look", lambda shop, uow: shop.with_a_hook(uow)),
    "a view": ("a_view", lambda shop, uow: shop.a_view(uow)),
}


@pytest.mark.parametrize("case", LINES)
def test_the_line_of_the_application_is_named(file: Database, services: Any, case: str) -> None:
    function, use = LINES[case]
    with count_queries(file) as queries, Clubs(file) as uow:
        use(services, uow)

    assert set(places(queries)) == {f"shop/services.py:{line_of(case)} in {function}"}


def test_a_stream_of_a_reading_unit_is_where_it_begins(file: Database, services: Any) -> None:
    with count_queries(file) as queries, Clubs(file, read_only=True) as uow:
        services.consume(uow.clubs.stream())

    assert places(queries) == [f"shop/services.py:{line_of('a stream of the kit')} in consume"]


def test_a_flush_belongs_to_the_line_that_commits(file: Database, services: Any) -> None:
    with count_queries(file) as queries, Clubs(file) as uow:
        services.rename(uow)

    assert places(queries)[1:] == [f"shop/services.py:{line_of('a commit')} in rename"]


def test_a_flush_of_a_savepoint_belongs_to_its_block(file: Database, services: Any) -> None:
    with count_queries(file) as queries, Clubs(file) as uow:
        services.rename_in_a_savepoint(uow)
        uow.rollback()

    line = f"shop/services.py:{line_of('a savepoint')} in rename_in_a_savepoint"
    assert places(queries)[1:] == [line]


def test_repositories_of_the_application_are_its_own_lines(shared_sandbox: SandboxDatabase) -> None:
    with (
        shared_sandbox.opened(),
        count_queries(shared_sandbox) as queries,
        UnitOfWork(shared_sandbox) as uow,
    ):
        team = uow.teams.create(Team(name="a"))
        uow.people.in_team(team.id or 0)
        uow.rollback()

    insert, select = places(queries)
    assert "tests/testing/test_query_places.py:" in insert
    assert select.startswith("infrastructure/database/repositories/person.py:")


def test_a_place_elsewhere_is_a_whole_path(
    memory: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with count_queries(memory) as queries, Clubs(memory) as uow:
        uow.clubs.count()

    assert places(queries)[0].startswith(f"{Path(__file__).as_posix()}:")


def test_what_nobody_of_the_application_calls_has_no_line(memory: Database) -> None:
    with count_queries(memory) as queries, Clubs(memory) as uow:
        thread = threading.Thread(target=uow.clubs.count)
        thread.start()
        thread.join()

    assert places(queries) == ["no line of the application"]


# -- what the report says ------------------------------------------------------------------


def test_the_message_names_each_statement_once_and_the_repeated_first(
    memory: Database, services: Any
) -> None:
    with (
        pytest.raises(AssertionError) as caught,
        assert_queries(memory, max=1),
        Clubs(memory) as uow,
    ):
        uow.clubs.count(where("name") == "secret")
        services.one_by_one(uow)

    lines = str(caught.value).splitlines()
    assert lines[0] == "5 SQL statements were sent, at most 1 allowed"
    assert lines[2] == f"4 times by shop/services.py:{line_of('a loop')} in one_by_one"
    assert lines[3].startswith("    SELECT query_clubs.id, query_clubs.name FROM query_clubs")
    assert lines[4].startswith("once by ")
    assert "count(" in lines[5]
    assert "secret" not in str(caught.value)
    for advice in ('load = ("name",)', 'loading("name")', "get_many(ids)"):
        assert advice in str(caught.value)


def test_the_repeated_are_given_with_how_often(memory: Database, services: Any) -> None:
    with count_queries(memory) as queries, Clubs(memory) as uow:
        uow.clubs.count()
        services.in_a_lambda(uow)

    ((query, times),) = queries.repeated()
    assert times == 4
    assert query.place == f"shop/services.py:{line_of('a lambda')} in in_a_lambda"


def test_advice_fits_what_is_repeated(memory: Database) -> None:
    with count_queries(memory) as queries, Clubs(memory) as uow:
        for n in range(3):
            uow.clubs.create(QueryClub(name=f"new {n}"))
        assert "create_many(entities)" in queries.report()
        assert "get_many" not in queries.report()
        for club in range(1, 3):
            uow.clubs.update_where(where("id") == club, name=f"changed {club}")
        for club in range(1, 3):
            uow.clubs.delete_where(where("id") == club)
        uow.rollback()

    assert "bulk_update(rows)" in queries.report()
    assert "delete_where(criteria)" in queries.report()


def test_without_repetition_there_is_no_advice(memory: Database) -> None:
    with count_queries(memory) as queries, Clubs(memory) as uow:
        uow.clubs.count()

    assert queries.report().count("\n") == 1
    assert queries.repeated() == []
    assert Queries().report() == ""


def test_long_statements_keep_their_beginning_and_their_end(memory: Database) -> None:
    columns = ", \n  ".join(f"1 AS column_{n}" for n in range(100))
    with count_queries(memory) as queries, Clubs(memory) as uow:
        uow.session.execute(text(f"SELECT {columns} FROM query_clubs WHERE id = :id"), {"id": 1})

    shown = queries.report().splitlines()[1]
    assert len(shown) < 210
    assert shown.startswith("    SELECT 1 AS column_0, 1 AS column_1")
    assert " … " in shown
    assert shown.endswith("FROM query_clubs WHERE id = ?")
    assert len(queries.statements[0].sql) > 1000
