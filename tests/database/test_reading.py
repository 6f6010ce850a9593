"""Reading through a repository: by key, by criteria, counted, and read-only."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

import pytest
from sqlmodel import Field, SQLModel, col

from domain import ALL, NONE, Entity, where
from domain.entity import new_id
from domain.errors import (
    EntityNotFound,
    MultipleEntitiesFound,
    ValidationError,
)
from infrastructure.database import BaseRepository, BaseUnitOfWork, Database, Model, Versioned
from tests.support import statements

E = TypeVar("E")


@dataclass(eq=False, kw_only=True)
class ReadBook(Entity):
    title: str
    pages: int | None = None
    id: int | None = None
    made: ClassVar[int] = 0

    def __post_init__(self) -> None:
        type(self).made += 1


class ReadBookModel(ReadBook, Versioned, Model, table=True):
    __tablename__: ClassVar[str] = "read_books"

    id: int | None = Field(default=None, primary_key=True)


class ReadSeat(Model, table=True):
    row: int = Field(primary_key=True)
    number: int = Field(primary_key=True)
    taken: bool = False


class ReadCountry(Model, table=True):
    code: str = Field(primary_key=True, max_length=2)
    name: str = ""


@dataclass(eq=False, kw_only=True)
class ReadParcel(Entity):
    label: str
    id: uuid.UUID = field(default_factory=new_id)


class ReadParcelModel(ReadParcel, Model, table=True):
    __tablename__: ClassVar[str] = "read_parcels"

    id: uuid.UUID = Field(primary_key=True)


class ReadLegacy(SQLModel, table=True):
    """A table that was there before the kit."""

    id: int | None = Field(default=None, primary_key=True)
    name: str


class DomainBooks(BaseRepository[ReadBook]):
    model = ReadBookModel
    default_order = "-title"


class RowBooks(BaseRepository[ReadBookModel]):
    pass


class Named(BaseRepository[E], Generic[E]):
    def titled(self, title: str) -> E:
        return self.one(where("title") == title)


class NamedBooks(Named[ReadBook]):
    model = ReadBookModel


class Library(BaseUnitOfWork):
    books: DomainBooks
    rows: RowBooks
    named: NamedBooks


TITLES = ["delta", "Alpha", "échelle", "bravo", "Zulu"]


@pytest.fixture
def tables() -> list[Any]:
    return [ReadBookModel, ReadSeat, ReadCountry, ReadParcelModel, ReadLegacy]


@pytest.fixture
def library(database: Database) -> Database:
    """Five books, of which the pages are 100, 200, 300, 400 and unknown."""
    pages = [100, 200, 300, 400, None]
    with Library(database) as uow:
        uow.books.create_many(
            [ReadBook(title=title, pages=n) for title, n in zip(TITLES, pages, strict=True)]
        )
        uow.commit()
    return database


# -- by key --------------------------------------------------------------------------------


def test_an_id_finds_the_entity_and_the_same_object_again(library: Database) -> None:
    with Library(library) as uow:
        book = uow.books.require(2)
        assert (book.title, book.pages) == ("Alpha", 200)
        assert uow.books.get_by_id(2) is book
        assert uow.books.one(where("title") == "Alpha") is book
        assert uow.rows.get_by_id(2) is book


def test_a_missing_id_is_none_or_raises_naming_entity_and_id(library: Database) -> None:
    with Library(library) as uow:
        assert uow.books.get_by_id(99) is None
        with pytest.raises(EntityNotFound) as caught:
            uow.books.require(99)
        assert (caught.value.entity, caught.value.id) == ("ReadBook", 99)
        assert uow.books.count() == 5  # the unit is usable


def test_for_update_reads_again_what_is_loaded(library: Database) -> None:
    with Library(library) as uow:
        book = uow.books.require(1)
        with statements(library) as sent:
            assert uow.books.get_by_id(1, for_update=True) is book
            assert uow.books.require(1, for_update=True) is book
            assert uow.books.get_by_id(99, for_update=True) is None
            with pytest.raises(EntityNotFound):
                uow.books.require(99, for_update=True)
        assert len(sent) == 4


def test_for_update_writes_own_changes_before_it_reads(library: Database) -> None:
    with Library(library) as uow:
        book = uow.books.require(1)
        book.pages = 150
        assert uow.books.require(1, for_update=True).pages == 150
        uow.commit()
    with Library(library) as uow:
        assert uow.books.require(1).pages == 150


def test_many_ids_come_in_the_order_asked_without_the_missing(library: Database) -> None:
    with Library(library) as uow:
        found = uow.books.get_many([5, 77, 1, 3])
        assert [book.id for book in found] == [5, 1, 3]
        assert [book.id for book in uow.books.get_many(n for n in (2, 1))] == [2, 1]
        assert uow.books.get_many([]) == []
        assert uow.books.get_many([77, 78]) == []
        assert uow.books.get_many([1])[0] is found[1]


def test_a_million_ids_are_a_question_like_any(library: Database, soak: bool) -> None:
    many = 1_000_000 if soak else 70_000  # PostgreSQL takes 65,535 parameters
    with Library(library, read_only=True) as uow:
        found = uow.books.get_many(range(many, 0, -1))
        assert [book.id for book in found] == [5, 4, 3, 2, 1]
        among = uow.books.get_all(where("id").in_(range(2, many)), order_by="id")
        assert [book.id for book in among] == [2, 3, 4, 5]


def test_a_pending_entity_is_found_by_key_and_by_criteria(database: Database) -> None:
    with BaseUnitOfWork(database) as uow:
        countries = uow.repository(ReadCountry)
        ch = countries.create_deferred(ReadCountry(code="CH"))
        assert countries.get_by_id("CH") is ch
        at = countries.create_deferred(ReadCountry(code="AT"))
        assert countries.get_many(["AT"]) == [at]
        de = countries.create_deferred(ReadCountry(code="DE"))
        assert countries.one(where("code") == "DE") is de
        countries.create_deferred(ReadCountry(code="FR"))
        assert countries.count() == 4
        uow.commit()


def test_composite_keys_are_tuples(database: Database) -> None:
    with BaseUnitOfWork(database) as uow:
        seats = uow.repository(ReadSeat)
        seats.create_many([ReadSeat(row=row, number=n) for row in (1, 2) for n in (1, 2, 3)])
        uow.commit()
        assert seats.require((2, 3)) is seats.get_by_id((2, 3))
        assert seats.get_by_id((3, 2)) is None
        assert [s.number for s in seats.get_many([(1, 3), (9, 9), (1, 1)])] == [3, 1]
        many = [(row, n) for row in range(40) for n in range(50)]
        assert len(seats.get_many(many)) == 6
        with pytest.raises(EntityNotFound) as caught:
            seats.require((9, 9))
        assert caught.value.id == (9, 9)
        assert seats.update((1, 1), taken=True).taken
        seats.delete((1, 2))
        uow.commit()
    with BaseUnitOfWork(database) as uow:
        seats = uow.repository(ReadSeat)
        assert seats.count() == 5
        assert seats.count(where("taken") == True) == 1  # noqa: E712


@pytest.mark.parametrize("id", [1, (1,), (1, 2, 3), (1, None), None, "1", (1, "x"), [1, 2], {}])
def test_what_is_no_composite_key_is_refused(database: Database, id: Any) -> None:
    with BaseUnitOfWork(database) as uow:
        seats = uow.repository(ReadSeat)
        for method in (seats.get_by_id, seats.require, seats.delete, seats.update):
            with pytest.raises(ValidationError) as caught:
                method(id)
            assert caught.value.entity == "ReadSeat"
            assert set(caught.value.errors) <= {"row", "number"}


def test_text_keys_compare_by_code_point(database: Database) -> None:
    with BaseUnitOfWork(database) as uow:
        countries = uow.repository(ReadCountry)
        countries.create_many(
            [ReadCountry(code=code) for code in ("ch", "CH", "\u00c9", "E\u0301")]
        )
        uow.commit()
        assert countries.count() == 4
        assert [c.code for c in countries.get_many(["\u00c9", "CH", "Ch"])] == ["\u00c9", "CH"]


def test_a_key_born_in_the_domain_is_kept(database: Database) -> None:
    parcel = ReadParcel(label="x")
    with BaseUnitOfWork(database) as uow:
        parcels = uow.repository(ReadParcelModel)
        stored = parcels.create(parcel)  # type: ignore[arg-type]
        assert stored.id == parcel.id
        assert stored == parcel
        parcels.create_many([ReadParcelModel(label=str(n)) for n in range(3)])
        uow.commit()
    with BaseUnitOfWork(database) as uow:
        parcels = uow.repository(ReadParcelModel)
        assert parcels.require(parcel.id).label == "x"
        assert parcels.require(str(parcel.id)).label == "x"
        ids = [p.id for p in parcels.get_all(order_by="id")]
        assert ids == sorted(ids)
        assert parcels.count(where("id").in_(ids)) == 4


def test_a_plain_sqlmodel_table_is_served_like_any(database: Database) -> None:
    with BaseUnitOfWork(database) as uow:
        legacy = uow.repository(ReadLegacy)
        first, *_ = legacy.create_many([ReadLegacy(name=name) for name in ("b", "a", "C")])
        assert first.id == 1
        assert legacy.create({"name": "d"}).id == 4
        uow.commit()
    with BaseUnitOfWork(database) as uow:
        legacy = uow.repository(ReadLegacy)
        assert [one.name for one in legacy.get_all(order_by="name")] == ["C", "a", "b", "d"]
        assert legacy.count(where("name") < "a") == 1
        row = legacy.require(1)
        row.name = "changed"
        legacy.update(2, name="updated")
        legacy.delete(3)
        assert legacy.delete_where(where("name") == "d") == 1
        uow.commit()
    with BaseUnitOfWork(database, read_only=True) as uow:
        names = [one.name for one in uow.repository(ReadLegacy).get_all(order_by="id")]
        assert names == ["changed", "updated"]


# -- by criteria ---------------------------------------------------------------------------


def test_criteria_must_all_hold(library: Database) -> None:
    with Library(library) as uow:
        found = uow.books.get_all(where("pages") >= 200, where("pages") <= 300, order_by="pages")
        assert [book.pages for book in found] == [200, 300]
        mixed = uow.books.get_all(where("pages") >= 200, col(ReadBookModel.title) > "b")
        assert {book.pages for book in mixed} == {300, 400}
        assert len(uow.books.get_all(ALL)) == 5
        assert uow.books.get_all(NONE) == []


def test_limit_and_offset_take_a_part(library: Database) -> None:
    with Library(library) as uow:
        assert [b.id for b in uow.books.get_all(order_by="id", limit=2)] == [1, 2]
        assert [b.id for b in uow.books.get_all(order_by="id", offset=3)] == [4, 5]
        assert [b.id for b in uow.books.get_all(order_by="id", limit=2, offset=1)] == [2, 3]
        assert uow.books.get_all(limit=0) == []
        assert uow.books.get_all(offset=5) == []
        assert len(uow.books.get_all(limit=2**63 - 1, offset=0)) == 5


def test_first_is_the_first_of_the_order_or_none(library: Database) -> None:
    with Library(library) as uow:
        longest = uow.books.first(where("pages") > 0, order_by="-pages")
        assert longest is not None
        assert longest.pages == 400
        assert uow.books.first(where("pages") > 999) is None


def test_one_is_the_only_one(library: Database) -> None:
    with Library(library) as uow:
        assert uow.books.one(where("pages") == 300).title == "échelle"
        with pytest.raises(EntityNotFound) as missing:
            uow.books.one(where("pages") == 999)
        assert (missing.value.entity, missing.value.id) == ("ReadBook", None)
        with pytest.raises(MultipleEntitiesFound) as many:
            uow.books.one()
        assert many.value.entity == "ReadBook"
        assert uow.books.count() == 5


def test_count_and_exists(library: Database) -> None:
    with Library(library) as uow:
        assert uow.books.count() == 5
        assert uow.books.count(where("pages") > 200) == 2
        assert uow.books.count(where("pages").is_none()) == 1
        assert uow.books.exists() is True
        assert uow.books.exists(where("pages") > 999) is False
        assert uow.books.exists(col(ReadBookModel.title) == "Zulu") is True


def test_the_default_order_holds_where_none_is_asked_for(library: Database) -> None:
    with Library(library) as uow:
        descending = sorted(TITLES, reverse=True)
        assert [book.title for book in uow.books.get_all()] == descending
        first = uow.books.first()
        assert first is not None
        assert first.title == "échelle"
        assert [book.title for book in uow.books.get_all(order_by="title")] == descending[::-1]
        assert uow.books.one(where("id") == 1).id == 1


# -- what is handed out --------------------------------------------------------------------


def test_a_domain_repository_hands_out_rows_when_writing_and_plain_ones_when_reading(
    library: Database,
) -> None:
    with Library(library) as uow:
        assert all(isinstance(book, ReadBookModel) for book in uow.books.get_all())
    made = ReadBook.made
    with Library(library, read_only=True) as uow:
        book = uow.books.require(2)
        others = [
            uow.books.get_by_id(2),
            uow.books.get_many([2])[0],
            uow.books.one(where("id") == 2),
            uow.books.get_all(where("id") == 2)[0],
            uow.books.first(where("id") == 2),
            uow.named.titled("Alpha"),
        ]
        assert all(type(other) is ReadBook for other in [book, *others])
        assert all(other is book for other in others[:5])
        assert isinstance(uow.rows.require(2), ReadBookModel)
        assert set(vars(book)) >= {"title", "pages", "id"}
        book.pages = 1  # untracked: nobody is surprised at the end of the block
    assert ReadBook.made == made  # no constructor ran
    assert book.title == "Alpha"
    with Library(library) as uow:
        row = uow.books.require(2)
        assert row == book
        assert row.pages == 200


# -- how a repository is declared ----------------------------------------------------------


def test_a_repository_of_a_domain_class_needs_a_table() -> None:
    with pytest.raises(TypeError, match="Bookless"):

        class Bookless(BaseRepository[ReadBook]):
            pass


def test_the_table_of_a_repository_must_be_one_of_its_entity() -> None:
    with pytest.raises(TypeError, match="ReadSeat"):

        class Wrong(BaseRepository[ReadBook]):
            model = ReadSeat  # type: ignore[assignment]

    with pytest.raises(TypeError, match="no table"):

        class NoTable(BaseRepository[ReadBook]):
            model = ReadBook


def test_only_a_table_has_a_repository(database: Database) -> None:
    with BaseUnitOfWork(database) as uow:
        for kind in (ReadBook, int, Model):
            with pytest.raises(TypeError):
                uow.repository(kind)
