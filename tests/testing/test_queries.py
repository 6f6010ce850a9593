"""How many statements a block sends, and which lines of an application send them."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import pytest
from sqlalchemy import text
from sqlmodel import Field

from domain import Team, where
from domain.errors import UniqueViolation
from infrastructure.database import BaseRepository, BaseUnitOfWork, Database, Model
from infrastructure.database.unit_of_work import UnitOfWork
from infrastructure.testing.queries import Queries, assert_queries, count_queries
from infrastructure.testing.sandbox import SandboxDatabase
from tests.conftest import MakeDatabase

SERVICES = """\
from dataclasses import dataclass
from statistics import mean

from domain import where


@dataclass
class Name:
    name: str


def one_by_one(uow):
    for id in (1, 2, 3, 4):
        uow.clubs.require(id)  # a loop


def in_a_comprehension(uow):
    return [
        uow.clubs.require(id).name  # a comprehension
        for id in (1, 2, 3, 4)
    ]


def in_a_lambda(uow):
    sorted((1, 2, 3, 4), key=lambda id: uow.clubs.require(id).name)  # a lambda


class Prices:
    def __init__(self, uow):
        self.uow = uow

    def of(self, id):
        return self.uow.clubs.count(where("id") == id)  # a method that a library calls

    def mean(self):
        return mean(self.of(id) for id in (1, 2, 3, 4))


def rename(uow):
    club = uow.clubs.require(1)
    club.name = "renamed"
    uow.commit()  # a commit


def rename_in_a_savepoint(uow):
    club = uow.clubs.require(1)
    with uow.savepoint():  # a savepoint
        club.name = "renamed"


def its_own_stream(uow):
    for club in uow.clubs.stream(batch_size=1):  # a stream of the application
        yield club.name


def consume(rows):
    for _ in rows:  # a stream of the kit
        pass


def with_a_hook(uow):
    def look():
        with type(uow)(uow._database) as other:
            other.clubs.count()  # a hook

    uow.after_commit(look)
    uow.commit()


def a_view(uow):
    return uow.clubs.view(Name)  # a view
"""


class QueryClub(Model, table=True):
    __tablename__: ClassVar[str] = "query_clubs"

    name: str = Field(unique=True)
    id: int | None = Field(default=None, primary_key=True)


class ClubRepository(BaseRepository[QueryClub]):
    pass


class Clubs(BaseUnitOfWork):
    clubs: ClubRepository


@pytest.fixture
def tables() -> list[Any]:
    return [QueryClub]


def _filled(database: Database) -> Database:
    with Clubs(database) as uow:
        uow.clubs.create_many([QueryClub(name=f"{n}") for n in range(1, 5)])
        uow.commit()
    return database


@pytest.fixture
def database(url: str, make_database: MakeDatabase) -> Database:
    return _filled(make_database(url))


@pytest.fixture
def memory(make_database: MakeDatabase) -> Database:
    return _filled(make_database("sqlite://"))


@pytest.fixture
def file(make_database: MakeDatabase, tmp_path: Path) -> Database:
    """Where a hook can open a unit beside the one whose hook it is."""
    return _filled(make_database(f"sqlite:///{tmp_path / 'clubs.db'}"))


@pytest.fixture
def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An application outside the kit, in the working directory."""
    file = tmp_path / "shop" / "services.py"
    file.parent.mkdir()
    file.write_text(SERVICES)
    monkeypatch.chdir(tmp_path)
    spec = importlib.util.spec_from_file_location("shop.services", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def line_of(comment: str) -> int:
    """Where this stands in the application."""
    (line,) = [n for n, code in enumerate(SERVICES.splitlines(), 1) if code.endswith(comment)]
    return line


def places(queries: Queries) -> list[str]:
    return [query.place for query in queries.statements]


# -- what is counted -----------------------------------------------------------------------


def test_a_block_within_its_limit_passes(database: Database) -> None:
    with assert_queries(database, max=2) as queries, Clubs(database) as uow:
        held = [uow.clubs.require(1), uow.clubs.require(2)]
        assert uow.clubs.require(2) is held[1]

    assert len(queries) == len(queries.statements) == 2


def test_one_more_fails(database: Database) -> None:
    with (
        pytest.raises(AssertionError, match=r"2 SQL statements were sent, at most 1 allowed"),
        assert_queries(database, max=1),
        Clubs(database, read_only=True) as uow,
    ):
        uow.clubs.require(1)
        uow.clubs.require(2)


def test_none_may_be_allowed(database: Database) -> None:
    with assert_queries(database, max=0), Clubs(database) as uow:
        uow.commit()

    with (
        pytest.raises(AssertionError, match="1 SQL statement was sent, at most 0 allowed"),
        assert_queries(database, max=0),
        Clubs(database) as uow,
    ):
        uow.clubs.count()


def _writes_everything(uow: Clubs) -> None:
    with uow.savepoint():
        uow.clubs.create(QueryClub(name="a"))
    with suppress(ZeroDivisionError), uow.savepoint():
        uow.clubs.update_where(where("name") == "a", name="b")
        1 / 0
    uow.clubs.create_many([QueryClub(name=f"many {n}") for n in range(20)])
    uow.clubs.bulk_create([{"name": f"bulk {n}"} for n in range(20)])
    uow.clubs.require(1).name = "changed"
    uow.commit()
    uow.rollback()


def test_the_number_is_the_same_on_each_database(database: Database) -> None:
    with count_queries(database) as queries, Clubs(database) as uow:
        _writes_everything(uow)

    assert [query.sql.split()[0] for query in queries.statements] == [
        *("INSERT", "UPDATE", "SELECT", "SELECT"),  # read again: after the update, and its undoing
        *("INSERT", "INSERT", "SELECT", "UPDATE"),
    ]


@pytest.mark.parametrize("options", [{}, {"isolation_level": "SERIALIZABLE"}])
def test_reading_units_count_the_same(database: Database, options: dict[str, Any]) -> None:
    with count_queries(database) as queries, Clubs(database, read_only=True, **options) as uow:
        uow.clubs.get_all()
        assert len(list(uow.clubs.stream(batch_size=2))) == 4
        uow.commit()

    assert len(queries) == 2


def test_timeouts_and_first_connections_do_not_count(url: str, make_database: MakeDatabase) -> None:
    database = _filled(make_database(url, statement_timeout=20, lock_timeout=20))
    if not database.in_memory:
        database.close()
    for read_only in (False, True):
        with count_queries(database) as queries, Clubs(database, read_only=read_only) as uow:
            uow.clubs.get_all()
        assert len(queries) == 1


def test_what_is_written_by_hand_counts_unless_it_is_about_the_transaction(
    memory: Database,
) -> None:
    with count_queries(memory) as queries, Clubs(memory) as uow:
        for sql in ("  /* a */ -- b\n PRAGMA foreign_keys", "savepoint a", "RELEASE a"):
            uow.session.connection().exec_driver_sql(sql)
        uow.session.execute(text("SELECT 'BEGIN'"))
        uow.session.connection().exec_driver_sql("SELECT settled FROM (SELECT 1 AS settled)")

    assert len(queries) == 2


def test_a_failed_statement_was_sent(database: Database) -> None:
    with count_queries(database) as queries, suppress(UniqueViolation), Clubs(database) as uow:
        uow.clubs.create(QueryClub(name="1"))

    assert len(queries) == 1


def test_in_a_sandbox_it_is_as_in_production(shared_sandbox: SandboxDatabase) -> None:
    with shared_sandbox.opened(), assert_queries(shared_sandbox, max=3) as queries:
        with UnitOfWork(shared_sandbox) as uow:
            uow.teams.create(Team(name="a"))
            with uow.savepoint():
                uow.teams.create(Team(name="b"))
            uow.commit()
        with UnitOfWork(shared_sandbox, read_only=True) as uow:
            assert uow.teams.count() == 2

    assert len(queries) == 3


def test_other_threads_count(database: Database) -> None:
    def read() -> None:
        with Clubs(database) as uow:
            uow.clubs.count()

    with count_queries(database) as queries:
        threads = [threading.Thread(target=read) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert len(queries) == 3
    assert len(set(places(queries))) == 1
    assert places(queries)[0].endswith("in read")


def test_blocks_come_and_go_while_other_threads_send(memory: Database) -> None:
    failures: list[BaseException] = []
    stopped = threading.Event()

    def read() -> None:
        try:
            with memory.engine.connect() as connection:
                while not stopped.is_set():
                    connection.exec_driver_sql("SELECT 1").all()
        except BaseException as error:  # noqa: BLE001 -- it fails the test
            failures.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    heard = 0
    for _ in range(200):
        with count_queries(memory) as queries:
            stopped.wait(0.001)
        heard += len(queries)
    stopped.set()
    thread.join()

    assert failures == []
    assert heard > 0


def test_another_database_does_not_count(memory: Database, make_database: MakeDatabase) -> None:
    other = _filled(make_database("sqlite://"))
    with assert_queries(memory, max=0), Clubs(other) as uow:
        uow.clubs.count()


def test_blocks_in_blocks(memory: Database) -> None:
    with count_queries(memory) as outer, Clubs(memory) as uow:
        uow.clubs.count()
        with assert_queries(memory, max=1) as inner:
            uow.clubs.count()
        uow.clubs.count()

    assert (len(outer), len(inner)) == (3, 1)


def test_after_the_block_nothing_is_heard(memory: Database) -> None:
    with (
        pytest.raises(ZeroDivisionError) as caught,
        assert_queries(memory, max=0) as queries,
        Clubs(memory) as uow,
    ):
        uow.clubs.count()
        1 / 0
    with Clubs(memory) as uow:
        uow.clubs.count()

    assert len(queries) == 1
    assert caught.value.__context__ is None


@pytest.mark.parametrize("wrong", [-1, -100])
def test_a_negative_limit_is_refused(memory: Database, wrong: int) -> None:
    with pytest.raises(ValueError, match="max must not be negative: -1"):
        assert_queries(memory, max=wrong)


@pytest.mark.parametrize("wrong", [1.0, "1", None, True])
def test_a_limit_that_is_no_number_is_refused(memory: Database, wrong: Any) -> None:
    with pytest.raises(TypeError, match="max must be a whole number, not"):
        assert_queries(memory, max=wrong)


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
    assert "tests/testing/test_queries.py:" in insert
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
