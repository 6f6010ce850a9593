"""Read-only units: nothing can be written, at any level, and nothing of it leaks to others."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
from sqlalchemy import create_engine, delete, insert, text, update
from sqlalchemy.exc import DBAPIError
from sqlmodel import Field

from domain import ALL, Entity
from domain.errors import KitError, ReadOnlyViolation, UnitOfWorkError
from infrastructure.database import BaseRepository, BaseUnitOfWork, Database, Model, Versioned
from tests.conftest import MakeDatabase


@dataclass(eq=False, kw_only=True)
class RoPoem(Entity):
    """Something that is only read here."""

    title: str
    words: list[str] = field(default_factory=list)
    id: int | None = None


class RoPoemModel(RoPoem, Versioned, Model, table=True):
    __tablename__: ClassVar[str] = "ro_poems"
    id: int | None = Field(default=None, primary_key=True)


class RoTag(Model, table=True):
    __tablename__: ClassVar[str] = "ro_tags"
    id: int | None = Field(default=None, primary_key=True)
    name: str
    words: list[str] = Field(default_factory=list)


class PoemRepository(BaseRepository[RoPoem]):
    model = RoPoemModel


class PoemRowRepository(BaseRepository[RoPoemModel]):
    """The same table, but rows are what it hands out."""


class TagRepository(BaseRepository[RoTag]):
    pass


class Library(BaseUnitOfWork):
    poems: PoemRepository
    rows: PoemRowRepository
    tags: TagRepository


class Stop(Exception):
    """What ends a block in these tests."""


@pytest.fixture
def tables() -> list[type]:
    return [RoPoemModel, RoTag]


@pytest.fixture
def library(database: Database) -> Database:
    return fill(database)


@pytest.fixture
def shared_library(shared_database: Database) -> Database:
    return fill(shared_database)


def fill(database: Database) -> Database:
    with Library(database) as uow:
        uow.poems.create(RoPoem(title="Jabberwocky", words=["brillig"]))
        uow.tags.create(RoTag(name="nonsense", words=["x"]))
        uow.commit()
    return database


def assert_untouched(database: Database) -> None:
    """Nothing was written, and a writing unit works."""
    assert database.engine.pool.checkedout() == 0
    assert database.reader.pool.checkedout() == 0
    with Library(database) as uow:
        assert [(p.title, p.words) for p in uow.poems.get_all()] == [("Jabberwocky", ["brillig"])]
        assert [(t.name, t.words) for t in uow.tags.get_all()] == [("nonsense", ["x"])]
        uow.tags.create(RoTag(name="later"))
        uow.commit()


# -- writes are refused --------------------------------------------------------------------


REFUSED_BEFORE_SQL: dict[str, Callable[[Library], Any]] = {
    "create": lambda uow: uow.tags.create(RoTag(name="a")),
    "create_many": lambda uow: uow.tags.create_many([RoTag(name="a"), RoTag(name="b")]),
    "create_deferred": lambda uow: uow.tags.create_deferred(RoTag(name="a")),
    "update an entity": lambda uow: uow.poems.update(uow.poems.require(1)),
    "update a row": lambda uow: uow.tags.update(uow.tags.require(1)),
    "update by id": lambda uow: uow.tags.update(1, name="a"),
    "delete an entity": lambda uow: uow.poems.delete(uow.poems.require(1)),
    "delete a row": lambda uow: uow.tags.delete(uow.tags.require(1)),
    "delete by id": lambda uow: uow.tags.delete(1),
    "update_where": lambda uow: uow.tags.update_where(ALL, name="a"),
    "delete_where": lambda uow: uow.tags.delete_where(ALL),
    "get for update": lambda uow: uow.tags.get_by_id(1, for_update=True),
    "require for update": lambda uow: uow.tags.require(1, for_update=True),
}


@pytest.mark.parametrize("write", REFUSED_BEFORE_SQL)
def test_a_repository_refuses_to_write_and_the_unit_stays_usable(
    library: Database, write: str
) -> None:
    with Library(library, read_only=True) as uow:
        with pytest.raises(ReadOnlyViolation, match=r"read-only"):
            REFUSED_BEFORE_SQL[write](uow)
        assert uow.tags.count() == 1

    assert_untouched(library)


INSERT = "INSERT INTO ro_tags (name, words) VALUES ('a', '[]')"

REFUSED_BY_THE_DATABASE: dict[str, Callable[[Library], Any]] = {
    "insert": lambda uow: uow.session.execute(insert(RoTag).values(name="a", words=[])),
    "update": lambda uow: uow.session.execute(update(RoTag).values(name="a")),
    "delete": lambda uow: uow.session.execute(delete(RoTag)),
    "text": lambda uow: uow.session.execute(text(INSERT)),
    "connection": lambda uow: uow.session.connection().execute(text(INSERT)),
    "driver's SQL": lambda uow: uow.session.connection().exec_driver_sql(INSERT),
    "create table": lambda uow: uow.session.execute(text("CREATE TABLE ro_new (id INTEGER)")),
    "drop table": lambda uow: uow.session.execute(text("DROP TABLE ro_tags")),
    "bulk": lambda uow: uow.session.bulk_insert_mappings(RoTag, [{"name": "a", "words": []}]),
}


@pytest.mark.parametrize("write", REFUSED_BY_THE_DATABASE)
def test_the_database_refuses_sql_that_writes(library: Database, write: str) -> None:
    with Library(library, read_only=True) as uow:
        with pytest.raises(ReadOnlyViolation) as first:
            REFUSED_BY_THE_DATABASE[write](uow)
        with pytest.raises(UnitOfWorkError) as refused:
            uow.tags.count()
        assert refused.value.__cause__ is first.value

    assert_untouched(library)


@pytest.mark.parametrize("write", REFUSED_BY_THE_DATABASE)
def test_the_database_refuses_after_a_first_read_commit_or_rollback_too(
    library: Database, write: str
) -> None:
    for before in (lambda uow: uow.tags.count(), Library.commit, Library.rollback):
        with Library(library, read_only=True) as uow:
            uow.tags.count()
            before(uow)
            with pytest.raises(ReadOnlyViolation):
                REFUSED_BY_THE_DATABASE[write](uow)

    assert_untouched(library)


def test_the_driver_refuses_to_write(library: Database) -> None:
    with Library(library, read_only=True) as uow:
        raw: Any = uow.session.connection().connection.driver_connection
        with pytest.raises(Exception, match=r"read-?only"):
            raw.execute(INSERT)

    assert_untouched(library)


def test_what_is_added_to_the_session_is_refused(library: Database) -> None:
    with pytest.raises(ReadOnlyViolation), Library(library, read_only=True) as uow:
        uow.session.add(RoTag(name="a"))
        uow.commit()
    with pytest.raises(ReadOnlyViolation), Library(library, read_only=True) as uow:
        uow.session.add(RoTag(name="a"))
        uow.session.flush()
    with pytest.raises(ReadOnlyViolation), Library(library, read_only=True) as uow:
        uow.session.delete(uow.session.get_one(RoTag, 1))
        uow.commit()

    assert_untouched(library)


def test_what_is_added_to_the_session_is_not_lost_where_the_block_ends(library: Database) -> None:
    """Refused or warned of, but not in silence."""
    with pytest.raises((ReadOnlyViolation, Warning)), Library(library, read_only=True) as uow:
        uow.session.add(RoTag(name="a"))

    assert_untouched(library)


# -- changed rows --------------------------------------------------------------------------


CHANGES: dict[str, Callable[[Library], Any]] = {
    "attribute": lambda uow: setattr(uow.tags.require(1), "name", "a"),
    "list": lambda uow: uow.tags.require(1).words.append("y"),
    "row of a domain class": lambda uow: setattr(uow.rows.require(1), "title", "a"),
    "its list": lambda uow: uow.rows.require(1).words.append("y"),
    "row of the session": lambda uow: setattr(uow.session.get_one(RoTag, 1), "name", "a"),
}

changes = pytest.mark.parametrize("change", CHANGES)


@changes
def test_a_changed_row_is_refused_at_commit(library: Database, change: str) -> None:
    with pytest.raises(ReadOnlyViolation), Library(library, read_only=True) as uow:
        CHANGES[change](uow)
        uow.commit()

    assert_untouched(library)


@changes
def test_a_changed_row_is_refused_at_the_end_of_the_block(library: Database, change: str) -> None:
    with pytest.raises(ReadOnlyViolation), Library(library, read_only=True) as uow:
        CHANGES[change](uow)

    assert_untouched(library)


@changes
def test_a_changed_row_is_not_forgotten_by_a_query(library: Database, change: str) -> None:
    def query(uow: Library) -> None:
        CHANGES[change](uow)
        uow.tags.get_all()
        uow.poems.count()

    with pytest.raises(ReadOnlyViolation), Library(library, read_only=True) as uow:
        query(uow)

    assert_untouched(library)


def test_a_changed_row_does_not_replace_the_exception_of_the_block(library: Database) -> None:
    with pytest.raises(Stop), Library(library, read_only=True) as uow:
        uow.tags.require(1).name = "a"
        raise Stop

    assert_untouched(library)


def test_rollback_takes_a_changed_row_back(library: Database) -> None:
    with Library(library, read_only=True) as uow:
        uow.tags.require(1).name = "a"
        uow.rollback()
        assert uow.tags.require(1).name == "nonsense"

    assert_untouched(library)


# -- the transaction -----------------------------------------------------------------------


def test_commit_is_allowed_and_reading_goes_on(library: Database) -> None:
    with Library(library, read_only=True) as uow:
        uow.commit()
        assert uow.tags.count() == 1
        uow.commit()
        uow.commit()
        assert uow.tags.count() == 1

    assert_untouched(library)


def test_read_only_does_not_leak_through_the_pool(
    shared_url: str, make_database: MakeDatabase
) -> None:
    """With one connection, the next unit has the same."""
    database = fill(make_database(shared_url, pool_size=1))

    def read() -> None:
        with Library(database, read_only=True) as uow:
            uow.tags.count()

    def fail() -> None:
        with pytest.raises(DBAPIError), Library(database, read_only=True) as uow:
            uow.session.execute(text("SELECT * FROM nowhere"))

    def refuse() -> None:
        with pytest.raises(KitError), Library(database, read_only=True) as uow:
            uow.session.execute(text(INSERT))

    def stop() -> None:
        with pytest.raises(Stop), Library(database, read_only=True) as uow:
            uow.tags.count()
            raise Stop

    def roll_back() -> None:
        with Library(database, read_only=True) as uow:
            uow.tags.count()
            uow.rollback()
            uow.tags.count()

    for before in (read, fail, refuse, stop, roll_back):
        before()
        with Library(database) as uow:
            uow.tags.create(RoTag(name=before.__name__))
            uow.commit()
        before()
        with database.engine.begin() as connection:
            connection.execute(delete(RoTag).where(RoTag.name == before.__name__))

    assert_untouched(database)


def test_query_only_is_off_for_whoever_comes_next(
    sqlite_url: str, make_database: MakeDatabase
) -> None:
    database = fill(make_database(sqlite_url, pool_size=1))
    asked = text("PRAGMA query_only")
    with Library(database, read_only=True) as uow:
        assert uow.session.scalar(asked) == 1
    with Library(database) as uow:
        assert uow.session.scalar(asked) == 0
    with database.engine.connect() as connection:
        assert connection.scalar(asked) == 0


def test_a_writing_unit_does_not_make_the_next_read_only_one_writable(library: Database) -> None:
    for _ in range(3):
        with Library(library) as uow:
            uow.tags.count()
        with Library(library, read_only=True) as uow, pytest.raises(ReadOnlyViolation):
            uow.session.execute(text(INSERT))

    assert_untouched(library)


def test_a_reader_neither_waits_for_a_writer_nor_hinders_it(shared_library: Database) -> None:
    with Library(shared_library, read_only=True) as reader:
        assert reader.tags.count() == 1
        with Library(shared_library) as writer:
            writer.tags.create(RoTag(name="a"))
            with Library(shared_library, read_only=True) as second:
                assert second.tags.count() == 1
            writer.commit()


def test_sqlite_reads_one_snapshot(sqlite_url: str, make_database: MakeDatabase) -> None:
    database = fill(make_database(sqlite_url))
    with Library(database, read_only=True) as reader:
        assert reader.tags.count() == 1
        with Library(database) as writer:
            writer.tags.create(RoTag(name="a"))
            writer.commit()
        assert reader.tags.count() == 1
        reader.rollback()
        assert reader.tags.count() == 2


def test_postgresql_reads_each_statement_by_itself(
    postgresql_url: str, make_database: MakeDatabase
) -> None:
    """The connection is in autocommit: between two statements no transaction is open."""
    database = fill(make_database(postgresql_url))
    watcher = create_engine(postgresql_url, isolation_level="AUTOCOMMIT")
    state = text("SELECT state FROM pg_stat_activity WHERE pid = :pid")
    with Library(database, read_only=True) as reader, watcher.connect() as other:
        assert reader.tags.count() == 1
        pid = reader.session.scalar(text("SELECT pg_backend_pid()"))
        assert other.scalar(state, {"pid": pid}) == "idle"
        assert reader.session.scalar(text("SHOW default_transaction_read_only")) == "on"
        with Library(database) as writer:
            writer.tags.create(RoTag(name="a"))
            writer.commit()
        assert reader.tags.count() == 2
    watcher.dispose()


@pytest.mark.parametrize("end", [Library.commit, Library.rollback])
def test_what_an_earlier_transaction_of_the_block_gave_is_not_given_again(
    library: Database, end: Callable[[Library], None]
) -> None:
    with Library(library, read_only=True) as uow:
        before = uow.poems.require(1)
        title = before.title
        end(uow)
        with Library(library) as writer:
            writer.poems.require(1).title = "new"
            writer.commit()
        after = uow.poems.require(1)
        assert (before.title, after.title) == (title, "new")
        assert uow.poems.one() is after
