"""Timestamps of one clock, and versions that let nobody overwrite what he has not seen."""

from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest
from sqlalchemy import text
from sqlmodel import Field

from domain import ALL, where
from domain.errors import ConcurrencyConflict, ConflictError, UnitOfWorkError
from infrastructure.database import BaseUnitOfWork, Database, Model, Timestamped, Versioned


class PageModel(Timestamped, Versioned, Model, table=True):
    __tablename__: ClassVar[str] = "mixins_pages"

    title: str
    words: dict[str, int] = Field(default_factory=dict)
    id: int | None = Field(default=None, primary_key=True)


class StampModel(Timestamped, Model, table=True):
    __tablename__: ClassVar[str] = "mixins_stamps"

    title: str
    id: int | None = Field(default=None, primary_key=True)


class CellModel(Versioned, Model, table=True):
    """Versioned, with a composite key."""

    __tablename__: ClassVar[str] = "mixins_cells"

    x: int = Field(primary_key=True)
    y: int = Field(primary_key=True)
    value: str = ""


@pytest.fixture
def tables() -> list[Any]:
    return [PageModel, StampModel, CellModel]


class Clock:
    """Goes on by one hour whenever it is told to."""

    def __init__(self) -> None:
        self.now = datetime(2020, 2, 29, 12, 30, 15, 123456, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def tick(self) -> datetime:
        self.now += timedelta(hours=1)
        return self.now


@pytest.fixture
def clock(database: Database) -> Clock:
    database.clock = clock = Clock()
    return clock


def create(database: Database, title: str = "first") -> PageModel:
    with BaseUnitOfWork(database) as uow:
        page = uow.repository(PageModel).create(PageModel(title=title))
        uow.commit()
    return page


def load(database: Database, id: Any) -> PageModel:
    with BaseUnitOfWork(database) as uow:
        return uow.repository(PageModel).require(id)


# -- Timestamped --------------------------------------------------------------------------------


def test_times_are_aware_and_in_utc(database: Database) -> None:
    page = create(database)
    loaded = load(database, page.id)

    for row in (page, loaded):
        for moment in (row.created_at, row.updated_at):
            assert moment.utcoffset() == timedelta(0)
            assert abs(datetime.now(UTC) - moment) < timedelta(minutes=5)
    assert (loaded.created_at, loaded.updated_at) == (page.created_at, page.updated_at)


def test_times_come_from_the_clock_of_the_database(database: Database, clock: Clock) -> None:
    page = create(database)

    assert page.created_at == page.updated_at == clock.now
    loaded = load(database, page.id)
    assert loaded.created_at == loaded.updated_at == clock.now


def test_all_rows_of_one_flush_bear_the_same_time(database: Database) -> None:
    with BaseUnitOfWork(database) as uow:
        pages = uow.repository(PageModel).create_many([PageModel(title=t) for t in "abc"])
        uow.commit()

    assert len({moment for page in pages for moment in (page.created_at, page.updated_at)}) == 1


def test_a_change_moves_updated_at_and_keeps_created_at(database: Database, clock: Clock) -> None:
    page = create(database)
    made, later = clock.now, clock.tick()
    with BaseUnitOfWork(database) as uow:
        changed = uow.repository(PageModel).require(page.id)
        changed.title = "second"
        uow.commit()
        assert (changed.created_at, changed.updated_at) == (made, later)

    loaded = load(database, page.id)
    assert (loaded.created_at, loaded.updated_at) == (made, later)


def test_a_change_inside_json_moves_updated_at(database: Database, clock: Clock) -> None:
    page = create(database)
    later = clock.tick()
    with BaseUnitOfWork(database) as uow:
        uow.repository(PageModel).require(page.id).words["and"] = 3
        uow.commit()

    assert load(database, page.id).updated_at == later


@pytest.mark.parametrize("title", ["first", None])
def test_without_a_real_change_updated_at_stays(
    database: Database, clock: Clock, title: str | None
) -> None:
    page = create(database)
    made = clock.now
    clock.tick()
    with BaseUnitOfWork(database) as uow:
        loaded = uow.repository(PageModel).require(page.id)
        if title is not None:
            loaded.title = title
        uow.commit()

    loaded = load(database, page.id)
    assert (loaded.updated_at, loaded.version) == (made, 1)


def test_update_by_id_moves_updated_at(database: Database, clock: Clock) -> None:
    page = create(database)
    made, later = clock.now, clock.tick()
    with BaseUnitOfWork(database) as uow:
        uow.repository(PageModel).update(page.id, title="second")
        uow.commit()

    loaded = load(database, page.id)
    assert (loaded.created_at, loaded.updated_at) == (made, later)


def test_update_of_a_detached_row_keeps_created_at(database: Database, clock: Clock) -> None:
    page = create(database)
    made, later = clock.now, clock.tick()
    page.title = "second"
    with BaseUnitOfWork(database) as uow:
        uow.repository(PageModel).update(page)
        uow.commit()

    loaded = load(database, page.id)
    assert (loaded.title, loaded.created_at, loaded.updated_at) == ("second", made, later)


def test_update_where_moves_updated_at(database: Database, clock: Clock) -> None:
    page, other = create(database), create(database, "other")
    made, later = clock.now, clock.tick()
    with BaseUnitOfWork(database) as uow:
        pages = uow.repository(PageModel)
        loaded = pages.require(page.id)
        assert pages.update_where(where("title") == "first", title="second") == 1
        assert (loaded.title, loaded.updated_at) == ("second", later)
        uow.commit()

    assert load(database, page.id).updated_at == later
    assert load(database, page.id).created_at == made
    assert load(database, other.id).updated_at == made


def test_times_that_are_given_are_kept(database: Database, clock: Clock) -> None:
    given = datetime(1999, 12, 31, 23, 59, 59, tzinfo=UTC)
    with BaseUnitOfWork(database) as uow:
        page = uow.repository(StampModel).create(StampModel(title="old", created_at=given))
        uow.commit()

    assert (page.created_at, page.updated_at) == (given, clock.now)


def test_a_row_that_is_made_before_its_unit_gets_the_time_of_its_storing(
    database: Database, clock: Clock
) -> None:
    page = StampModel(title="made")
    later = clock.tick()
    with BaseUnitOfWork(database) as uow:
        uow.repository(StampModel).create(page)
        uow.commit()

    assert page.created_at == page.updated_at == later


# -- Versioned ----------------------------------------------------------------------------------


def test_the_version_starts_at_one_and_counts(database: Database) -> None:
    page = create(database)
    assert page.version == 1
    for number in (2, 3, 4):
        with BaseUnitOfWork(database) as uow:
            loaded = uow.repository(PageModel).require(page.id)
            loaded.title = str(number)
            uow.commit()
            assert loaded.version == number
        assert load(database, page.id).version == number


def test_the_version_counts_within_one_unit(database: Database) -> None:
    page = create(database)
    with BaseUnitOfWork(database) as uow:
        loaded = uow.repository(PageModel).require(page.id)
        for number in (2, 3):
            loaded.title = str(number)
            uow.session.flush()
            assert loaded.version == number
        uow.commit()

    assert load(database, page.id).version == 3


def test_update_where_raises_the_version(database: Database) -> None:
    page = create(database)
    with BaseUnitOfWork(database) as uow:
        loaded = uow.repository(PageModel).require(page.id)
        uow.repository(PageModel).update_where(ALL, title="second")
        assert loaded.version == 2
        loaded.title = "third"
        uow.commit()
        assert loaded.version == 3


def meanwhile(database: Database, sql: str) -> None:
    """Somebody else's change, which the unit that is under way has not seen."""
    with database.engine.begin() as connection:
        connection.execute(text(sql))


def test_a_change_of_what_somebody_else_changed_is_refused(database: Database) -> None:
    page = create(database)
    stale = load(database, page.id)
    with BaseUnitOfWork(database) as uow:
        uow.repository(PageModel).require(page.id).title = "theirs"
        uow.commit()

    stale.title = "mine"
    with BaseUnitOfWork(database) as uow:
        with pytest.raises(ConcurrencyConflict) as caught:
            uow.repository(PageModel).update(stale)
        assert (caught.value.entity, caught.value.id) == ("PageModel", page.id)
        assert caught.value.fields == ("version",)
        assert isinstance(caught.value, ConflictError)
        assert str(page.id) in str(caught.value)
        with pytest.raises(UnitOfWorkError) as again:
            uow.repository(PageModel).count()
        assert again.value.__cause__ is caught.value

    assert load(database, page.id).title == "theirs"


@pytest.mark.postgresql
@pytest.mark.parametrize("sql", ["UPDATE mixins_pages SET version = 2", "DELETE FROM mixins_pages"])
def test_two_units_at_once_cannot_both_win(
    postgresql_url: str, make_database: Any, sql: str
) -> None:
    """Only on PostgreSQL: a writing unit on SQLite has the database for itself."""
    database = make_database(postgresql_url)
    page = create(database)
    with BaseUnitOfWork(database) as uow:
        loaded = uow.repository(PageModel).require(page.id)
        meanwhile(database, sql)
        loaded.title = "mine"
        with pytest.raises(ConcurrencyConflict) as caught:
            uow.commit()
        assert (caught.value.entity, caught.value.id) == ("PageModel", page.id)
        with pytest.raises(UnitOfWorkError):
            uow.commit()
        uow.rollback()
        assert uow.repository(PageModel).count() == (1 if sql.startswith("UPDATE") else 0)


@pytest.mark.postgresql
def test_the_one_of_many_that_is_stale_is_named(postgresql_url: str, make_database: Any) -> None:
    database = make_database(postgresql_url)
    pages = [create(database, title) for title in "abc"]
    with BaseUnitOfWork(database) as uow:
        for page in uow.repository(PageModel).get_all():
            page.title += "!"
        meanwhile(database, f"UPDATE mixins_pages SET version = 9 WHERE id = {pages[1].id}")
        with pytest.raises(ConcurrencyConflict) as caught:
            uow.commit()
        uow.rollback()

    assert caught.value.id == pages[1].id


@pytest.mark.postgresql
def test_a_delete_of_what_somebody_else_changed_is_refused(
    postgresql_url: str, make_database: Any
) -> None:
    database = make_database(postgresql_url)
    page = create(database)
    with BaseUnitOfWork(database) as uow:
        loaded = uow.repository(PageModel).require(page.id)
        meanwhile(database, "UPDATE mixins_pages SET version = 2")
        with pytest.raises(ConcurrencyConflict) as caught:
            uow.repository(PageModel).delete(loaded)
        assert (caught.value.entity, caught.value.id) == ("PageModel", page.id)
        uow.rollback()


def test_a_version_check_that_fails_within_the_unit_itself(database: Database) -> None:
    """The row is changed behind the session's back: the same on every database."""
    page = create(database)
    with BaseUnitOfWork(database) as uow:
        loaded = uow.repository(PageModel).require(page.id)
        uow.session.execute(text("UPDATE mixins_pages SET version = 7"))
        loaded.title = "mine"
        with pytest.raises(ConcurrencyConflict) as caught:
            uow.commit()
        assert (caught.value.entity, caught.value.id) == ("PageModel", page.id)
        uow.rollback()

    assert load(database, page.id).title == "first"


def test_a_detached_row_that_was_deleted_meanwhile(database: Database) -> None:
    page = create(database)
    with BaseUnitOfWork(database) as uow:
        uow.repository(PageModel).delete(page.id)
        uow.commit()
    page.title = "mine"
    with BaseUnitOfWork(database) as uow, pytest.raises(Exception, match="PageModel") as caught:
        uow.repository(PageModel).update(page)

    assert caught.value.id == page.id  # type: ignore[attr-defined]


def test_a_composite_key_is_named_as_a_tuple(database: Database) -> None:
    with BaseUnitOfWork(database) as uow:
        cell = uow.repository(CellModel).create(CellModel(x=1, y=2))
        uow.session.execute(text("UPDATE mixins_cells SET version = 7"))
        cell.value = "mine"
        with pytest.raises(ConcurrencyConflict) as caught:
            uow.session.flush()
        uow.rollback()

    assert caught.value.id == (1, 2)


def test_update_by_id_with_the_version_that_is_expected(database: Database) -> None:
    page = create(database)
    with BaseUnitOfWork(database) as uow:
        assert uow.repository(PageModel).update(page.id, title="b", version=1).version == 2
        with pytest.raises(ConcurrencyConflict):
            uow.repository(PageModel).update(page.id, title="c", version=1)
        uow.rollback()
