"""What a unit of work gives to its block: repositories, and the session."""

import typing
from dataclasses import dataclass
from typing import ClassVar

import pytest
import sqlmodel
from sqlmodel import Field, SQLModel, select

from domain import Entity
from domain.errors import UnitOfWorkError, ValidationError
from infrastructure.database import BaseRepository, BaseUnitOfWork, Database, Model


@dataclass(eq=False, kw_only=True)
class UowmBook(Entity):
    """A domain class."""

    title: str
    id: int | None = None


class UowmBookModel(UowmBook, Model, table=True):
    __tablename__: ClassVar[str] = "uowm_books"
    id: int | None = Field(default=None, primary_key=True)


class UowmTag(Model, table=True):
    __tablename__: ClassVar[str] = "uowm_tags"
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)


class UowmPlainTable(SQLModel, table=True):
    """What somebody has already: no ``Model`` at all."""

    __tablename__ = "uowm_plain"
    id: int | None = Field(default=None, primary_key=True)
    name: str


class BookRepository(BaseRepository[UowmBook]):
    model = UowmBookModel


class TagRepository(BaseRepository[UowmTag]):
    def named(self, name: str) -> UowmTag | None:
        return self.first(UowmTag.name == name)


class Library(BaseUnitOfWork):
    books: BookRepository
    tags: TagRepository


@pytest.fixture
def tables() -> list[type]:
    return [UowmBookModel, UowmTag, UowmPlainTable]


def stored(database: Database) -> list[str]:
    with Library(database, read_only=True) as uow:
        return [tag.name for tag in uow.tags.get_all(order_by="name")]


# -- repositories --------------------------------------------------------------------------


def test_repositories_are_descriptors_of_the_class() -> None:
    assert {"books", "tags"} <= vars(Library).keys()
    assert hasattr(Library.tags, "__get__")


def test_repositories_live_as_long_as_the_block(database: Database) -> None:
    with Library(database) as uow:
        assert type(uow.tags) is TagRepository
        assert uow.tags is uow.tags


def test_repositories_share_the_session(database: Database) -> None:
    with Library(database) as uow:
        assert uow.tags.session is uow.books.session is uow.session
        tag = uow.tags.create(UowmTag(name="a"))
        assert uow.repository(UowmTag).get_by_id(tag.id) is tag
        assert uow.session.get(UowmTag, tag.id) is tag
        assert uow.tags.named("a") is tag
        uow.rollback()


def test_a_subclass_adds_its_repositories_to_the_inherited_ones(database: Database) -> None:
    class Base(BaseUnitOfWork):
        tags: TagRepository

    class More(Base):
        books: BookRepository

    with More(database) as uow:
        assert uow.tags.count() == uow.books.count() == 0
    assert not hasattr(Base, "books")


def test_annotations_that_are_no_repositories_are_left_alone(database: Database) -> None:
    class Labelled(BaseUnitOfWork):
        tags: TagRepository
        label: str = "x"
        kinds: ClassVar[list[str]] = ["y"]

    with Labelled(database) as uow:
        assert (uow.label, uow.kinds, uow.tags.count()) == ("x", ["y"], 0)


def test_annotations_may_be_strings(database: Database) -> None:
    class Quoted(BaseUnitOfWork):
        tags: "TagRepository"

    with Quoted(database) as uow:
        assert uow.tags.count() == 0


def test_an_annotation_that_cannot_be_resolved_is_a_type_error() -> None:
    with pytest.raises(TypeError, match=r"Broken.*NowhereRepository"):

        class Broken(BaseUnitOfWork):
            tags: "NowhereRepository"  # noqa: F821  # that is the test


def test_an_annotation_with_an_unknown_attribute_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="Broken"):

        class Broken(BaseUnitOfWork):
            tags: "typing.NowhereRepository"


def test_a_generic_repository_in_an_annotation_is_not_ignored(database: Database) -> None:
    """It works; at least it must not be missing without a word."""

    class Generic(BaseUnitOfWork):
        tags: BaseRepository[UowmTag]

    with Generic(database) as uow:
        assert uow.tags.create(UowmTag(name="a")).id is not None
        uow.commit()


def test_there_is_no_getattr(database: Database) -> None:
    assert not hasattr(Library, "__getattr__")
    with pytest.raises(AttributeError, match="persons"):
        Library(database).persons  # type: ignore[attr-defined]
    with Library(database) as uow, pytest.raises(AttributeError, match="persons"):
        uow.persons  # type: ignore[attr-defined]


def test_repositories_cannot_be_replaced(database: Database) -> None:
    with Library(database) as uow, pytest.raises(AttributeError):
        uow.tags = None  # type: ignore[assignment]


def test_a_table_without_a_repository_gets_a_plain_one(database: Database) -> None:
    with Library(database) as uow:
        plain = uow.repository(UowmPlainTable)
        assert type(plain) is BaseRepository
        assert uow.repository(UowmPlainTable) is plain
        plain.create(UowmPlainTable(name="a"))
        uow.commit()
        assert uow.repository(UowmPlainTable).one().name == "a"


@pytest.mark.parametrize("kind", [UowmBook, str])
def test_what_is_no_table_gets_no_repository(database: Database, kind: type) -> None:
    with Library(database) as uow, pytest.raises(TypeError, match=kind.__name__):
        uow.repository(kind)


# -- the session ---------------------------------------------------------------------------


def test_the_session_is_that_of_sqlmodel(database: Database) -> None:
    with Library(database) as uow:
        assert isinstance(uow.session, sqlmodel.Session)
        uow.session.add(UowmTag(name="a"))
        assert uow.session.exec(select(UowmTag.name)).all() == ["a"]
        uow.commit()

    assert stored(database) == ["a"]


@pytest.mark.parametrize(
    ("method", "instead"),
    [("commit", "commit"), ("rollback", "rollback"), ("begin_nested", "savepoint")],
)
def test_the_session_does_not_end_the_transaction(
    database: Database, method: str, instead: str
) -> None:
    with Library(database) as uow:
        uow.session.add(UowmTag(name="a"))
        with pytest.raises(UnitOfWorkError, match=rf"\b{instead}\(\)"):
            getattr(uow.session, method)()
        uow.commit()

    assert stored(database) == ["a"]


@pytest.mark.parametrize("method", ["begin", "close", "reset", "invalidate", "prepare"])
def test_the_session_has_no_other_way_around_the_unit(database: Database, method: str) -> None:
    """Each of these would end the transaction, or lose what was queued, behind the unit."""
    with Library(database) as uow:
        uow.session.add(UowmTag(name="a"))
        with pytest.raises(UnitOfWorkError):
            getattr(uow.session, method)()
        uow.commit()

    assert stored(database) == ["a"]


def test_the_session_is_no_block_of_its_own(database: Database) -> None:
    """``with uow.session:`` would close it at the end, and lose what was queued."""
    with Library(database) as uow:
        uow.session.add(UowmTag(name="a"))
        with pytest.raises(UnitOfWorkError), uow.session:
            pass
        uow.commit()

    assert stored(database) == ["a"]


def test_rows_of_the_session_are_validated_as_well(database: Database) -> None:
    with Library(database) as uow:
        uow.session.add(UowmPlainTable(name=3))
        with pytest.raises(ValidationError, match="name"):
            uow.commit()
        uow.rollback()
