"""The block of a unit of work: what it stores, what it gives, and how it may be used."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
from sqlalchemy import event, text
from sqlmodel import Field

from domain import Entity
from domain.errors import UncommittedChangesWarning, UnitOfWorkError, ValidationError
from infrastructure.database import BaseRepository, BaseUnitOfWork, Database, Model


@dataclass(eq=False, kw_only=True)
class UowBook(Entity):
    """A domain class."""

    title: str
    id: int | None = None


class UowBookModel(UowBook, Model, table=True):
    __tablename__: ClassVar[str] = "uow_books"
    id: int | None = Field(default=None, primary_key=True)


class UowTag(Model, table=True):
    __tablename__: ClassVar[str] = "uow_tags"
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)


class BookRepository(BaseRepository[UowBook]):
    model = UowBookModel


class TagRepository(BaseRepository[UowTag]):
    pass


class Library(BaseUnitOfWork):
    books: BookRepository
    tags: TagRepository


@pytest.fixture
def tables() -> list[type]:
    return [UowBookModel, UowTag]


def stored(database: Database) -> list[str]:
    with Library(database, read_only=True) as uow:
        return [tag.name for tag in uow.tags.get_all(order_by="name")]


# -- the block -----------------------------------------------------------------------------


def test_what_is_committed_is_stored(database: Database) -> None:
    with Library(database) as uow:
        uow.tags.create(UowTag(name="a"))
        uow.commit()

    assert stored(database) == ["a"]


def test_leaving_without_commit_stores_nothing(database: Database) -> None:
    with pytest.warns(UncommittedChangesWarning), Library(database) as uow:
        uow.tags.create(UowTag(name="a"))

    assert stored(database) == []


@pytest.mark.parametrize("kind", [RuntimeError, ValidationError, KeyboardInterrupt, SystemExit])
def test_leaving_by_an_exception_stores_nothing_and_raises_it(
    database: Database, kind: type[BaseException]
) -> None:
    error = kind("X", {}) if kind is ValidationError else kind()

    with pytest.raises(kind) as caught, Library(database) as uow:
        uow.tags.create(UowTag(name="a"))
        raise error

    assert caught.value is error
    assert stored(database) == []


def test_an_exception_after_a_commit_keeps_what_was_committed(database: Database) -> None:
    with pytest.raises(RuntimeError), Library(database) as uow:
        uow.tags.create(UowTag(name="a"))
        uow.commit()
        uow.tags.create(UowTag(name="b"))
        raise RuntimeError

    assert stored(database) == ["a"]


def test_commit_may_be_called_again(database: Database) -> None:
    with Library(database) as uow:
        for name in ("a", "b", "c"):
            uow.tags.create(UowTag(name=name))
            uow.commit()

    assert stored(database) == ["a", "b", "c"]


def test_what_follows_the_last_commit_is_not_stored(database: Database) -> None:
    with pytest.warns(UncommittedChangesWarning), Library(database) as uow:
        uow.tags.create(UowTag(name="a"))
        uow.commit()
        uow.tags.create(UowTag(name="b"))

    assert stored(database) == ["a"]


def test_rollback_undoes_what_follows_the_last_commit_and_the_unit_goes_on(
    database: Database,
) -> None:
    with Library(database) as uow:
        uow.tags.create(UowTag(name="a"))
        uow.commit()
        uow.tags.create(UowTag(name="b"))
        uow.rollback()
        uow.rollback()
        uow.tags.create(UowTag(name="c"))
        uow.commit()

    assert stored(database) == ["a", "c"]


def test_commit_and_rollback_without_any_statement_are_allowed(database: Database) -> None:
    with Library(database) as uow:
        uow.commit()
        uow.rollback()
        uow.commit()

    assert stored(database) == []


def test_changes_of_loaded_entities_are_written_at_commit(database: Database) -> None:
    with Library(database) as uow:
        uow.books.create(UowBook(title="Emma"))
        uow.commit()
        uow.books.one().title = "Persuasion"
        uow.commit()

    with Library(database, read_only=True) as uow:
        assert uow.books.one().title == "Persuasion"


def test_what_was_queued_is_written_at_commit(database: Database) -> None:
    with Library(database) as uow:
        uow.tags.create_deferred(UowTag(name="a"))
        uow.tags.create_deferred(UowTag(name="b"))
        uow.commit()

    assert stored(database) == ["a", "b"]


def test_the_transaction_begins_at_the_first_statement(database: Database) -> None:
    begun: list[object] = []
    event.listen(database.engine, "begin", begun.append)

    with Library(database) as uow:
        uow.tags
        uow.repository(UowTag)
        uow.session
        uow.commit()
        assert begun == []
        assert database.engine.pool.checkedout() == 0

        uow.tags.count()
        assert len(begun) == 1
        uow.tags.count()
        assert len(begun) == 1


def test_the_block_gives_its_connection_back(database: Database) -> None:
    with Library(database) as uow:
        uow.tags.count()
        assert database.engine.pool.checkedout() == 1

    assert database.engine.pool.checkedout() == 0


def test_the_block_is_the_unit_itself(database: Database) -> None:
    unit = Library(database)
    with unit as uow:
        assert uow is unit


def test_making_a_unit_opens_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tables: list[type]
) -> None:
    """The default database is read when the block is entered, not before."""
    unit = Library()
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path / 'default.db'}")
    monkeypatch.setattr(Database, "_default", None)

    with unit as uow:
        Model.metadata.create_all(uow.session.connection(), tables=[UowTag.__table__])
        uow.tags.create(UowTag(name="a"))
        uow.commit()

    with Database.default() as database:
        assert stored(database) == ["a"]
        assert (tmp_path / "default.db").exists()


def test_an_unknown_isolation_level_is_refused(database: Database) -> None:
    with pytest.raises(ValidationError, match="isolation_level"):
        Library(database, isolation_level="CHAOS")


# -- misuse --------------------------------------------------------------------------------


USES = {
    "commit": lambda uow: uow.commit(),
    "rollback": lambda uow: uow.rollback(),
    "savepoint": lambda uow: uow.savepoint().__enter__(),
    "after_commit": lambda uow: uow.after_commit(print),
    "session": lambda uow: uow.session,
    "repository": lambda uow: uow.repository(UowTag),
    "tags": lambda uow: uow.tags.count(),
}


@pytest.mark.parametrize("use", USES)
def test_use_before_entering_is_refused(database: Database, use: str) -> None:
    with pytest.raises(UnitOfWorkError, match="not entered"):
        USES[use](Library(database))


@pytest.mark.parametrize("use", USES)
def test_use_after_leaving_is_refused(database: Database, use: str) -> None:
    with Library(database) as uow:
        uow.tags.count()

    with pytest.raises(UnitOfWorkError, match=r"left|not entered"):
        USES[use](uow)


def test_use_before_entering_and_after_leaving_are_told_apart(database: Database) -> None:
    unit = Library(database)
    with pytest.raises(UnitOfWorkError) as before:
        unit.commit()
    with unit:
        pass
    with pytest.raises(UnitOfWorkError) as after:
        unit.commit()

    assert "left" not in str(before.value)
    assert "left" in str(after.value)


def test_a_repository_that_was_kept_is_refused_after_leaving(database: Database) -> None:
    with Library(database) as uow:
        tags, session = uow.tags, uow.session

    for use in (
        tags.count,
        lambda: tags.create(UowTag(name="a")),
        lambda: tags.get_by_id(1),
        lambda: session.execute(text("SELECT 1")),
        lambda: session.add(UowTag(name="a")),
    ):
        with pytest.raises(UnitOfWorkError, match="left"):
            use()
    assert database.engine.pool.checkedout() == 0


def test_a_kept_repository_does_not_belong_to_the_next_block(database: Database) -> None:
    unit = Library(database)
    with unit:
        old = unit.tags

    with unit:
        assert unit.tags is not old
        unit.tags.count()
        with pytest.raises(UnitOfWorkError, match="left"):
            old.count()


def test_entering_twice_at_once_is_refused_and_harms_nothing(database: Database) -> None:
    with Library(database) as uow:
        uow.tags.create(UowTag(name="a"))
        with pytest.raises(UnitOfWorkError, match="entered already"), uow:
            pytest.fail("entered twice")
        uow.commit()

    assert stored(database) == ["a"]


def test_leaving_without_entering_is_refused(database: Database) -> None:
    with pytest.raises(UnitOfWorkError, match="not entered"):
        Library(database).__exit__(None, None, None)


def test_a_unit_may_be_entered_again_after_it_was_left(database: Database) -> None:
    unit = Library(database)
    with unit:
        unit.tags.create(UowTag(name="a"))
        unit.commit()
    with pytest.raises(RuntimeError), unit:
        unit.tags.create(UowTag(name="b"))
        raise RuntimeError
    with unit:
        unit.tags.create(UowTag(name="c"))
        unit.commit()

    assert stored(database) == ["a", "c"]
