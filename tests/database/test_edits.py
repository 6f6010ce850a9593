"""One change is stored without a flush, and a unit may do without SQLAlchemy's connection."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest
from sqlalchemy import ForeignKey, event
from sqlalchemy import inspect as state_of
from sqlmodel import Field, select

from domain import Entity
from domain.errors import (
    ConcurrencyConflict,
    ForeignKeyViolation,
    UniqueViolation,
    UnitOfWorkError,
    ValidationError,
)
from infrastructure.database import (
    BaseRepository,
    BaseUnitOfWork,
    Database,
    Model,
    Timestamped,
    Versioned,
    edits,
)


@dataclass(eq=False, kw_only=True)
class Page(Entity):
    name: str
    lines: int = 1
    after: int | None = None
    id: int | None = None


class PageModel(Page, Timestamped, Versioned, Model, table=True):
    __tablename__: ClassVar[str] = "edited_pages"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(max_length=20, unique=True)
    after: int | None = Field(
        default=None,
        sa_column_args=[
            ForeignKey("edited_pages.id", deferrable=True, initially="DEFERRED")  # to itself
        ],
    )


class Pages(BaseRepository[Page]):
    model = PageModel


class Book(BaseUnitOfWork):
    pages: Pages


@pytest.fixture
def tables() -> list[Any]:
    return [PageModel]


@pytest.fixture
def book(database: Database) -> Database:
    with Book(database) as uow:
        uow.pages.create_many([Page(name=f"{number}") for number in range(3)])
        uow.commit()
    return database


@pytest.fixture(params=["an edit", "a flush"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each rule holds for both."""
    way: str = request.param
    if way == "a flush":
        monkeypatch.setattr(edits, "store", lambda *_: None)
    return way


@pytest.fixture
def sent(book: Database) -> Iterator[list[str]]:
    """The statements of writing units, which makes all of them go by SQLAlchemy."""
    said: list[str] = []

    def hear(*arguments: Any) -> None:
        said.append(arguments[2].split()[0])

    event.listen(book.engine, "before_cursor_execute", hear)
    yield said
    event.remove(book.engine, "before_cursor_execute", hear)


def lines_of(database: Database) -> list[int]:
    with Book(database, read_only=True) as uow:
        return [page.lines for page in uow.pages.get_all(order_by="name")]


def test_a_change_is_stored(book: Database, way: str) -> None:
    later = datetime.now(UTC) + timedelta(days=1)
    book.clock = lambda: later
    with Book(book) as uow:
        page: Any = uow.pages.require(1)
        page.lines = "7"  # converted, as everywhere
        uow.commit()
        assert (page.lines, page.version, page.updated_at) == (7, 2, later)
        assert page.created_at < later
        again: Any = uow.pages.require(1)
        assert (again.lines, again.version, again.updated_at) == (7, 2, later)
    assert lines_of(book) == [7, 1, 1]


def test_it_was_an_edit(book: Database, sent: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sqlalchemy.orm.Session._flush", None)
    with Book(book) as uow:
        uow.pages.require(1).lines = 7
        uow.commit()
    assert [said for said in sent if said == "UPDATE"] == ["UPDATE"]
    assert lines_of(book) == [7, 1, 1]


def test_a_database_that_gives_nothing_back_is_written_by_a_flush(
    book: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(book.engine.dialect, "update_returning", False)
    monkeypatch.setattr(edits.Edits, "store", None)  # SQLite before 3.35
    with Book(book) as uow:
        uow.pages.require(1).lines = 7
        uow.commit()
    assert lines_of(book) == [7, 1, 1]


def test_what_was_stored_counts_as_unchanged(book: Database, way: str) -> None:
    with Book(book) as uow:
        page: Any = uow.pages.require(1)
        page.lines = 7
        uow.session.flush()
        assert page not in uow.session.dirty
        assert not state_of(page).modified
        page.lines = 8
        uow.session.flush()
        assert page.version == 3
        uow.commit()
    assert lines_of(book) == [8, 1, 1]


def test_the_same_value_writes_nothing(book: Database, sent: list[str], way: str) -> None:
    with Book(book) as uow:
        page: Any = uow.pages.require(1)
        page.lines = 1
        uow.commit()
        assert page.version == 1
    assert "UPDATE" not in sent


def test_a_stale_version_is_a_conflict(book: Database, way: str) -> None:
    with Book(book) as uow:
        page: Any = uow.pages.require(2)
        uow.session.exec(  # type: ignore[call-overload]
            PageModel.__table__.update().values(version=5)  # type: ignore[attr-defined]
        )
        page.lines = 7
        with pytest.raises(ConcurrencyConflict, match=r"Page 2"):
            uow.commit()
        with pytest.raises(UnitOfWorkError, match="failed"):
            uow.pages.get_all()
        uow.rollback()
    assert lines_of(book) == [1, 1, 1]


def test_a_constraint_that_does_not_hold(book: Database, way: str) -> None:
    with Book(book) as uow:
        page: Any = uow.pages.require(1)
        page.name = "2"
        with pytest.raises(UniqueViolation) as caught:
            uow.commit()
        assert caught.value.fields == ("name",)
        uow.rollback()
        assert uow.pages.require(1).name == "0"
        uow.pages.require(1).lines = 5
        uow.commit()
    assert lines_of(book) == [5, 1, 1]


def test_what_failed_is_not_missed_at_the_end(book: Database, way: str) -> None:
    with Book(book) as uow:  # no warning that something is not stored
        uow.pages.require(1).name = "2"
        with pytest.raises(UniqueViolation):
            uow.session.flush()


def test_a_constraint_that_is_checked_by_commit(book: Database, way: str) -> None:
    with Book(book) as uow:
        uow.pages.require(1).after = 99
        with pytest.raises(ForeignKeyViolation):
            uow.commit()
        uow.rollback()
        uow.pages.require(1).after = 2
        uow.commit()
    with Book(book, read_only=True) as uow:
        assert uow.pages.require(1).after == 2


@pytest.mark.parametrize(
    ("name", "value"), [("id", 9), ("version", 9), ("lines", "many"), ("name", "x" * 21)]
)
def test_a_value_that_is_refused(book: Database, way: str, name: str, value: Any) -> None:
    with Book(book) as uow:
        setattr(uow.pages.require(1), name, value)
        with pytest.raises(ValidationError) as caught:
            uow.commit()
        assert [*caught.value.errors] == [name]
        uow.rollback()
    assert lines_of(book) == [1, 1, 1]


def test_what_is_undone_bears_what_is_stored(book: Database, way: str) -> None:
    with Book(book) as uow:
        page: Any = uow.pages.require(1)
        page.lines = 7
        uow.session.flush()
        assert page.version == 2
        uow.rollback()
        assert page.version == 1
        uow.pages.require(1).lines = 8
        uow.commit()
    assert lines_of(book) == [8, 1, 1]


def test_a_savepoint_undoes_its_own_part(book: Database, way: str) -> None:
    with Book(book) as uow:
        page: Any = uow.pages.require(1)
        page.lines = 7
        uow.session.flush()
        with pytest.raises(RuntimeError), uow.savepoint():
            page.lines = 8
            uow.session.flush()
            raise RuntimeError
        assert (page.lines, page.version) == (7, 2)
        with uow.savepoint():
            uow.pages.require(2).lines = 9
        uow.commit()
    assert lines_of(book) == [7, 9, 1]


# -- who wants to hear of it -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["before_update", "after_update"])
def test_a_listener_of_the_model_hears_of_it(book: Database, name: str) -> None:
    heard: list[Any] = []

    def hear(*arguments: Any) -> None:
        heard.append(arguments[2])

    event.listen(PageModel, name, hear)
    try:
        with Book(book) as uow:
            page = uow.pages.require(1)
            page.lines = 7
            uow.commit()
    finally:
        event.remove(PageModel, name, hear)
    assert heard == [page]


@pytest.mark.parametrize(
    "name", ["before_flush", "after_flush", "after_begin", "before_commit", "after_commit"]
)
@pytest.mark.parametrize("everywhere", [False, True])
def test_a_listener_of_the_session_hears_of_it(book: Database, name: str, everywhere: bool) -> None:
    heard: list[str] = []

    def hear(*_: Any) -> None:
        heard.append(name)

    with Book(book) as uow:
        target = type(uow.session) if everywhere else uow.session
        event.listen(target, name, hear)
        try:
            uow.pages.require(1).lines = 7
            uow.commit()
        finally:
            event.remove(target, name, hear)
    assert heard


@pytest.mark.parametrize("name", ["begin", "commit", "rollback"])
def test_a_listener_of_the_engine_hears_of_transactions(book: Database, name: str) -> None:
    heard: list[str] = []

    def hear(*_: Any) -> None:
        heard.append(name)

    event.listen(book.engine, name, hear)
    try:
        with Book(book) as uow:
            uow.pages.require(1).lines = 7
            if name != "rollback":
                uow.commit()
            else:
                uow.session.flush()
                uow.rollback()
    finally:
        event.remove(book.engine, name, hear)
    assert heard


# -- the connection --------------------------------------------------------------------------------


def test_whatever_reads_is_in_the_same_transaction(book: Database) -> None:
    with Book(book) as uow:
        uow.pages.create(Page(name="new"))
        assert uow.session.pooled is not None
        assert len(uow.session.exec(select(PageModel)).all()) == 4
        assert uow.session.pooled is None
        assert uow.pages.count() == 4
        uow.rollback()
        assert uow.pages.count() == 3


def test_each_transaction_of_a_block_begins_anew(book: Database) -> None:
    pool: Any = book.engine.pool
    with Book(book) as uow:
        for lines in (2, 3):
            uow.pages.require(1).lines = lines
            assert pool.checkedout() == 1
            uow.commit()
            assert pool.checkedout() == 0
        assert lines_of(book) == [3, 1, 1]
        assert uow.session.connection().exec_driver_sql("SELECT 1").scalar() == 1
        uow.pages.require(1).lines = 4
        uow.commit()
    assert pool.checkedout() == 0
    assert lines_of(book) == [4, 1, 1]


def test_nothing_is_left_behind_by_a_block_that_failed(book: Database) -> None:
    pool: Any = book.engine.pool
    with pytest.raises(UniqueViolation), Book(book) as uow:
        uow.pages.create(Page(name="1"))
    assert pool.checkedout() == 0
    with Book(book) as uow:
        uow.pages.create(Page(name="new"))
        uow.commit()
    assert len(lines_of(book)) == 4
