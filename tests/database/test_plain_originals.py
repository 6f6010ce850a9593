"""What becomes of the plain objects that are given to a repository."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
from sqlmodel import Field

from domain import Entity
from domain.errors import UnitOfWorkError, ValidationError
from infrastructure.database import BaseRepository, BaseUnitOfWork, Database, Model, Versioned


@dataclass(eq=False, kw_only=True)
class Book(Entity):
    title: str
    pages: int = 100
    words: list[str] = field(default_factory=list)
    id: int | None = None

    def tear(self) -> None:
        self.pages -= 1


class BookModel(Book, Versioned, Model, table=True):
    __tablename__: ClassVar[str] = "originals_books"

    id: int | None = Field(default=None, primary_key=True)
    title: str = Field(max_length=20, unique=True)


class BookRepository(BaseRepository[Book]):
    model = BookModel


class Units(BaseUnitOfWork):
    books: BookRepository


@pytest.fixture
def tables() -> list[Any]:
    return [BookModel]


Store = Callable[[Units, Book], Book]


def create(uow: Units, book: Book) -> Book:
    return uow.books.create(book)


def create_many(uow: Units, book: Book) -> Book:
    return uow.books.create_many([Book(title="another"), book])[1]


def create_deferred(uow: Units, book: Book) -> Book:
    row = uow.books.create_deferred(book)
    uow.session.flush()
    return row


def store_and_fail(uow: Units, book: Book, store: Store, rows: list[Book]) -> None:
    rows.append(store(uow, book))
    raise RuntimeError


every_way = pytest.mark.parametrize("store", [create, create_many, create_deferred])


def stored(database: Database, id: Any) -> Book:
    with Units(database, read_only=True) as uow:
        return uow.books.require(id)


@every_way
def test_the_row_is_tracked_and_the_plain_object_gets_its_id(
    database: Database, store: Store
) -> None:
    plain = Book(title="one", words=["a"])
    with Units(database) as uow:
        row = store(uow, plain)
        assert type(row) is BookModel
        assert row is not plain
        assert plain.id == row.id is not None
        assert row == plain
        assert uow.books.require(plain.id) is row
        row.tear()
        uow.commit()

    assert stored(database, row.id).pages == 99
    assert plain.pages == 100


@every_way
def test_a_row_that_is_given_is_the_one_that_is_tracked(database: Database, store: Store) -> None:
    given = BookModel(title="one")
    with Units(database) as uow:
        assert store(uow, given) is given
        given.tear()
        uow.commit()

    assert stored(database, given.id).pages == 99


def change_a_field(book: Book) -> None:
    book.title = "changed"


def call_a_method(book: Book) -> None:
    book.tear()


def grow_a_list(book: Book) -> None:
    book.words.append("more")


CHANGES = [change_a_field, call_a_method, grow_a_list]


@every_way
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_the_plain_object_is_refused_and_named(
    database: Database, store: Store, change: Callable[[Book], None]
) -> None:
    plain = Book(title="one", words=["a"])
    with Units(database) as uow:
        row = store(uow, plain)
        change(plain)
        with pytest.raises(UnitOfWorkError, match=f"Book {row.id}"):
            uow.commit()
        uow.rollback()

    with Units(database) as uow:
        assert uow.books.count() == 0


def test_a_change_of_the_plain_object_is_refused_before_sql_of_the_next_flush(
    database: Database,
) -> None:
    plain = Book(title="one")
    with Units(database) as uow:
        row = uow.books.create(plain)
        plain.title = "changed"
        row.pages = 5
        with pytest.raises(UnitOfWorkError, match=r"update\(\)"):
            uow.session.flush()
        plain.title = "one"
        uow.commit()

    assert stored(database, row.id).pages == 5


def test_a_change_before_a_deferred_row_is_written_is_refused(database: Database) -> None:
    plain = Book(title="one")
    with Units(database) as uow:
        uow.books.create_deferred(plain)
        plain.title = "changed"
        with pytest.raises(UnitOfWorkError, match="Book"):
            uow.commit()
        uow.rollback()


def test_one_of_many_plain_objects_is_found(database: Database) -> None:
    books = [Book(title=str(number)) for number in range(300)]
    with Units(database) as uow:
        uow.books.create_many(books)
        books[0].pages = 1
        with pytest.raises(UnitOfWorkError, match=f"Book {books[0].id}"):
            uow.commit()
        uow.rollback()


def test_a_changed_plain_object_may_be_given_to_update(database: Database) -> None:
    plain = Book(title="one", words=["a"])
    with Units(database) as uow:
        row = uow.books.create(plain)
        plain.title = "changed"
        plain.words.append("b")
        assert uow.books.update(plain) is row
        uow.commit()

    found = stored(database, row.id)
    assert (found.title, found.words) == ("changed", ["a", "b"])


def test_a_plain_object_may_be_updated_in_a_later_unit(database: Database) -> None:
    plain = Book(title="one")
    with Units(database) as uow:
        uow.books.create(plain)
        uow.commit()
    plain.title = "changed"
    with Units(database) as uow:
        uow.books.update(plain)
        uow.commit()

    assert stored(database, plain.id).title == "changed"


def test_a_change_between_two_commits_of_a_block_is_refused_too(database: Database) -> None:
    plain = Book(title="one")
    with Units(database) as uow:
        uow.books.create(plain)
        uow.commit()
        plain.title = "changed"
        with pytest.raises(UnitOfWorkError, match=rf"Book {plain.id}.*update\(\)"):
            uow.commit()
        uow.books.update(plain)
        uow.commit()

    assert stored(database, plain.id).title == "changed"


def test_a_change_after_the_block_is_nobodys_business(database: Database) -> None:
    plain = Book(title="one")
    with Units(database) as uow:
        uow.books.create(plain)
        uow.commit()
    plain.title = "changed"

    assert stored(database, plain.id).title == "one"


def test_updates_of_a_plain_object_are_watched_from_then_on(database: Database) -> None:
    with Units(database) as uow:
        created = uow.books.create(Book(title="one"))
        uow.commit()
    plain = stored(database, created.id)
    plain.title = "two"
    with Units(database) as uow:
        uow.books.update(plain)
        plain.title = "three"
        with pytest.raises(UnitOfWorkError, match=f"Book {created.id}"):
            uow.commit()
        uow.rollback()


def test_the_same_plain_object_is_not_created_twice(database: Database) -> None:
    plain = Book(title="one")
    with Units(database) as uow:
        uow.books.create(plain)
        with pytest.raises(UnitOfWorkError, match="Book"):
            uow.books.create(plain)
        uow.commit()

    with Units(database) as uow:
        assert uow.books.count() == 1


def test_a_plain_object_that_is_refused_may_be_mended_and_created(database: Database) -> None:
    plain = Book(title="much longer than twenty")
    with Units(database) as uow:
        with pytest.raises(ValidationError, match="title"):
            uow.books.create(plain)
        assert plain.id is None
        plain.title = "short"
        uow.books.create(plain)
        uow.commit()

    assert stored(database, plain.id).title == "short"


# -- rollback -----------------------------------------------------------------------------------


@every_way
@pytest.mark.parametrize("again", ["plain", "row"])
def test_a_rollback_of_the_unit_takes_the_id_away(
    database: Database, store: Store, again: str
) -> None:
    plain = Book(title="one")
    with Units(database) as uow:
        row = store(uow, plain)
        uow.rollback()
        assert plain.id is None
        assert row.id is None
        assert row.title == "one"
        made = uow.books.create(plain if again == "plain" else row)
        made.tear()
        uow.commit()
        if again == "plain":
            assert plain.id == made.id

    assert stored(database, made.id).pages == 99


@every_way
@pytest.mark.parametrize("again", ["plain", "row"])
def test_a_rollback_of_a_savepoint_takes_the_id_away(
    database: Database, store: Store, again: str
) -> None:
    plain, kept = Book(title="one"), Book(title="kept")
    with Units(database) as uow:
        uow.books.create(kept)
        with pytest.raises(RuntimeError), uow.savepoint():
            store_and_fail(uow, plain, store, rows := [])
        row = rows[0]
        assert (plain.id, row.id) == (None, None)
        assert kept.id is not None
        made = uow.books.create(plain if again == "plain" else row)
        uow.commit()

    with Units(database) as uow:
        assert {book.title for book in uow.books.get_all()} == {"kept", "one"}
        assert uow.books.require(made.id).title == "one"


@every_way
def test_an_exception_that_leaves_the_block_takes_the_id_away(
    database: Database, store: Store
) -> None:
    plain = Book(title="one")
    with pytest.raises(RuntimeError), Units(database) as uow:
        store_and_fail(uow, plain, store, rows := [])

    assert (plain.id, rows[0].id) == (None, None)
    with Units(database) as uow:
        uow.books.create(plain)
        uow.commit()
    assert stored(database, plain.id).title == "one"


def test_a_failed_insert_takes_the_id_away(database: Database) -> None:
    with Units(database) as uow:
        uow.books.create(Book(title="taken"))
        uow.commit()
    fine, twin = Book(title="fine"), Book(title="taken")
    with Units(database) as uow:
        with pytest.raises(Exception, match=r"Book\.title"):
            uow.books.create_many([fine, twin])
        uow.rollback()
        assert (fine.id, twin.id) == (None, None)
        twin.title = "free"
        uow.books.create_many([fine, twin])
        uow.commit()

    assert None not in (fine.id, twin.id)


def test_an_id_that_was_chosen_outlives_a_rollback(database: Database) -> None:
    plain = Book(title="one", id=77)
    with Units(database) as uow:
        row = uow.books.create(plain)
        uow.rollback()
        assert (plain.id, row.id) == (77, 77)


def test_a_change_after_a_rollback_is_nobodys_business(database: Database) -> None:
    plain = Book(title="one")
    with Units(database) as uow:
        uow.books.create(plain)
        uow.rollback()
        plain.title = "changed"
        uow.commit()
        assert uow.books.count() == 0


@pytest.mark.parametrize("store", [create, create_many])
def test_what_is_refused_because_of_another_object_is_not_stored_later(
    database: Database, store: Store
) -> None:
    first, second = Book(title="one"), Book(title="two")
    with Units(database) as uow:
        uow.books.create(first)
        first.tear()
        with pytest.raises(UnitOfWorkError, match="changed afterwards"):
            store(uow, second)
        uow.books.update(first)
        assert [book.title for book in uow.books.get_all()] == ["one"]
        uow.books.create(second)
        uow.commit()

    assert stored(database, first.id).pages == 99
    assert stored(database, second.id).title == "two"


def test_an_update_refused_because_of_another_object_changes_nothing(database: Database) -> None:
    with Units(database) as uow:
        loaded = uow.books.create(BookModel(title="zero"))
        first = Book(title="one")
        uow.books.create(first)
        first.tear()
        with pytest.raises(UnitOfWorkError, match="changed afterwards"):
            uow.books.update(loaded.id, title="changed")
        with pytest.raises(UnitOfWorkError, match="changed afterwards"):
            uow.books.delete(loaded)
        first.pages += 1
        uow.commit()

    assert stored(database, loaded.id).title == "zero"
