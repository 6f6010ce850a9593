"""Repositories in memory: what is declared without a table, with one, and for aggregates."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any, ClassVar
from uuid import UUID

import pytest
from sqlmodel import Field

from domain import Entity, Person, new_id, where
from domain.errors import (
    EntityNotFound,
    ForeignKeyViolation,
    NotNullViolation,
    ReadOnlyViolation,
    UniqueViolation,
    UnitOfWorkError,
    ValidationError,
)
from infrastructure.database import Model, Timestamped, Versioned
from infrastructure.testing.memory import (
    BaseInMemoryUnitOfWork,
    InMemoryRepository,
    InMemoryStore,
)
from infrastructure.testing.memory.unit_of_work import InMemoryUnitOfWork
from tests.testing.people import ada


class MemColour(Enum):
    RED = "z"
    GREEN = "a"


@dataclass(eq=False, kw_only=True)
class MemNote(Entity):
    """A domain class without a table."""

    text: str
    person_id: int | None = None
    colour: MemColour = MemColour.RED
    words: list[str] = field(default_factory=list)
    id: int | None = None

    def __post_init__(self) -> None:
        if not self.text:
            raise ValidationError("MemNote", {"text": "must not be empty"})


@dataclass(eq=False, kw_only=True)
class MemItem(Entity):
    name: str
    id: int | None = None


@dataclass(eq=False, kw_only=True)
class MemBox(Entity):
    """An aggregate without a table; its id is born in the domain."""

    label: str
    items: list[MemItem] = field(default_factory=list)
    id: UUID = field(default_factory=new_id)


class MemShelf(Model, table=True):
    __tablename__: ClassVar[str] = "mem_shelves"
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(max_length=10, unique=True)


class MemBook(Timestamped, Versioned, Model, table=True):
    __tablename__: ClassVar[str] = "mem_books"
    id: int | None = Field(default=None, primary_key=True)
    title: str
    tags: list[str] = Field(default_factory=list)
    shelf_id: int | None = Field(default=None, foreign_key="mem_shelves.id", ondelete="SET NULL")


class MemLoan(Model, table=True):
    __tablename__: ClassVar[str] = "mem_loans"
    id: int | None = Field(default=None, primary_key=True)
    book_id: int = Field(foreign_key="mem_books.id", ondelete="CASCADE")
    note: str | None = Field(default=None, nullable=False)


class MemNotes(InMemoryRepository[MemNote]):
    unique: ClassVar[Any] = (("text", "colour"),)
    references: ClassVar[Any] = {"person_id": Person}

    def of(self, person: Person) -> list[MemNote]:
        return self.get_all(where("person_id") == person.id, order_by="id")


class Units(InMemoryUnitOfWork):
    notes: MemNotes
    boxes: InMemoryRepository[MemBox]
    shelves: InMemoryRepository[MemShelf]
    books: InMemoryRepository[MemBook]
    loans: InMemoryRepository[MemLoan]


class MemNamesakes(InMemoryRepository[Person]):
    unique: ClassVar[Any] = (("name",),)


class MemWrong(BaseInMemoryUnitOfWork):
    people: MemNamesakes


@pytest.fixture
def uow(store: InMemoryStore) -> Units:
    return Units(store)


# -- without a table -----------------------------------------------------------------------------


def test_one_line_makes_a_repository_for_a_domain_class(uow: Units) -> None:
    box = MemBox(label="a")
    with uow:
        kept = uow.boxes.create(box)
        uow.commit()
        assert type(kept) is MemBox
        assert kept is not box
        assert kept.id == box.id
    with uow:
        assert uow.boxes.require(box.id) == box
        assert uow.boxes.first(where("label") == "a") == box


def test_ids_are_one_two_three_and_are_not_given_twice(uow: Units) -> None:
    with uow:
        many = uow.notes.create_many([MemNote(text=text) for text in "ab"])
        uow.notes.create(MemNote(text="z", id=10))
        uow.rollback()
        later = uow.notes.create(MemNote(text="c"))
        uow.commit()
    assert [note.id for note in many] == [None, None]
    assert later.id == 11


def test_a_declared_unique_key_holds(uow: Units) -> None:
    with uow:
        uow.notes.create(MemNote(text="a"))
        uow.notes.create(MemNote(text="a", colour=MemColour.GREEN))
        with pytest.raises(UniqueViolation) as caught, uow.savepoint():
            uow.notes.create(MemNote(text="a"))
        assert (caught.value.entity, caught.value.fields) == ("MemNote", ("text", "colour"))
        assert uow.notes.count() == 2
        uow.commit()


def test_a_declared_reference_holds_in_both_directions(uow: Units) -> None:
    with uow:
        person = ada(uow)
        note = uow.notes.create(MemNote(text="a", person_id=person.id))
        with pytest.raises(ForeignKeyViolation) as caught, uow.savepoint():
            uow.notes.create(MemNote(text="b", person_id=99))
        assert (caught.value.entity, caught.value.fields) == ("MemNote", ("person_id",))
        with pytest.raises(ForeignKeyViolation) as caught, uow.savepoint():
            uow.people.delete(person)
        assert caught.value.entity == "MemNote"
        assert uow.notes.of(person) == [note]
        uow.notes.delete(note)
        uow.people.delete(person)
        uow.commit()


def test_what_is_declared_must_be_a_field() -> None:
    with pytest.raises(TypeError, match="MemNote has no field nope"):

        class Wrong(InMemoryRepository[MemNote]):
            unique: ClassVar[Any] = (("nope",),)


def test_the_constructor_is_the_rule_of_a_new_entity(uow: Units) -> None:
    note = MemNote(text="a")
    note.text = ""
    with uow:
        with pytest.raises(ValidationError, match="must not be empty"):
            uow.notes.create(note)
        assert uow.notes.count() == 0


def test_unknown_fields_are_refused_though_there_are_no_rows(uow: Units) -> None:
    with uow:
        for ask in (
            lambda: uow.notes.count(where("nope") == 1),
            lambda: uow.notes.get_all(~(where("text") == "a") & where("nope").is_none()),
            lambda: uow.notes.get_all(order_by="-nope"),
        ):
            with pytest.raises(ValidationError) as caught:
                ask()
            assert (caught.value.entity, {*caught.value.errors}) == ("MemNote", {"nope"})
        wrong: Any = "text"
        with pytest.raises(ValidationError, match="where"):
            uow.notes.count(wrong)


def test_enums_are_ordered_by_their_names_as_a_database_does(uow: Units) -> None:
    with uow:
        for colour in MemColour:
            uow.notes.create(MemNote(text="a", colour=colour))
        found = uow.notes.get_all(order_by="colour")
        uow.commit()
    assert [note.colour for note in found] == [MemColour.GREEN, MemColour.RED]


def test_a_change_inside_a_list_is_stored_and_aliases_nothing(uow: Units) -> None:
    given = MemNote(text="a", words=["x"])
    with uow:
        uow.notes.create(given).words.append("y")
        uow.commit()
    with uow:
        note = uow.notes.one()
        assert (note.words, given.words) == (["x", "y"], ["x"])
        note.words.append("lost")
        uow.rollback()
        assert uow.notes.one().words == ["x", "y"]


def test_a_key_is_converted_or_refused(uow: Units) -> None:
    with uow:
        box = uow.boxes.create(MemBox(label="a"))
        assert uow.boxes.get_by_id(str(box.id)) is box
        for wrong in (None, "x", 5):
            with pytest.raises(ValidationError) as caught:
                uow.boxes.get_by_id(wrong)
            assert {*caught.value.errors} == {"id"}
        uow.commit()


def test_one_domain_class_is_kept_in_one_way(store: InMemoryStore) -> None:
    class Others(BaseInMemoryUnitOfWork):
        notes: InMemoryRepository[MemNote]

    with Units(store) as uow:
        uow.notes.create(MemNote(text="a"))
        ada(uow)
        uow.commit()
    with Others(store) as other:
        assert other.notes.count() == 1
    with pytest.raises(TypeError, match="another way"), MemWrong(store):
        pytest.fail("two repositories disagree about what is unique")


# -- with a table --------------------------------------------------------------------------------


def test_a_repository_of_a_table_hands_out_its_rows(uow: Units) -> None:
    with uow:
        row = MemBook(title="Emma", tags=["a"])
        assert uow.books.create(row) is row
        uow.commit()
        found = uow.books.one()
        assert type(found) is MemBook
        assert found is not row
        assert (found.id, found.version, found.tags) == (1, 1, ["a"])
        found.tags.append("b")
        uow.commit()
        assert (uow.books.one().version, uow.books.one().tags) == (2, ["a", "b"])
        with pytest.raises(UnitOfWorkError, match="update"):
            uow.books.create(row)


def test_times_come_from_the_clock_of_the_store() -> None:
    now = datetime(2024, 1, 1, tzinfo=UTC)
    uow = Units(InMemoryStore(clock=lambda: now))
    with uow:
        book = uow.books.create(MemBook(title="a"))
        assert (book.created_at, book.updated_at) == (now, now)
        uow.store.clock = lambda: datetime(2025, 1, 1, tzinfo=UTC)  # type: ignore[assignment]
        book.title = "b"
        uow.commit()
        assert uow.books.one().updated_at.year == 2025
        assert uow.books.count(where("created_at") == now) == 1


def test_what_is_read_cannot_be_changed_in_a_reading_unit(uow: Units, store: InMemoryStore) -> None:
    with uow:
        uow.books.create(MemBook(title="a"))
        ada(uow)
        uow.commit()
    with pytest.raises(ReadOnlyViolation), Units(store, read_only=True) as reader:
        reader.books.one().title = "b"
    with Units(store, read_only=True) as reader:
        reader.people.one().name = "nobody's business"
        with pytest.raises(ReadOnlyViolation):
            reader.books.create(MemBook(title="c"))
        with pytest.raises(ReadOnlyViolation):
            reader.books.delete(1)


def test_deleting_sets_null_or_cascades_as_the_table_says(uow: Units) -> None:
    with uow:
        shelf = uow.shelves.create(MemShelf(name="top"))
        book = uow.books.create(MemBook(title="a", shelf_id=shelf.id))
        uow.loans.create_many([MemLoan(book_id=book.id, note="x") for _ in range(2)])
        uow.commit()
        uow.shelves.delete(1)
        uow.commit()
        assert uow.books.one().shelf_id is None
        uow.books.delete(1)
        uow.commit()
        assert (uow.loans.count(), uow.books.count()) == (0, 0)


def test_a_column_that_must_have_a_value_gets_none(uow: Units) -> None:
    with uow:
        book = uow.books.create(MemBook(title="a"))
        with pytest.raises(NotNullViolation) as caught, uow.savepoint():
            uow.loans.create(MemLoan(book_id=book.id))
        assert (caught.value.entity, caught.value.fields) == ("MemLoan", ("note",))
        uow.commit()


def test_a_repository_is_made_for_any_table_or_class(uow: Units) -> None:
    with uow:
        uow.repository(MemShelf).create(MemShelf(name="a"))
        uow.repository(MemNote).create(MemNote(text="a"))
        assert (uow.shelves.count(), uow.notes.count()) == (1, 1)
        assert uow.repository(Person).create(Person(name="A", email="a@b.cd")).id == 1
        with pytest.raises(UniqueViolation):
            uow.people.create(Person(name="A", email="a@b.cd"))
        uow.rollback()


@pytest.mark.parametrize("annotation", ["Missing", "InMemoryRepository[int]"])
def test_an_annotation_that_is_no_repository_is_refused(annotation: str) -> None:
    with pytest.raises(TypeError):
        type("Wrong", (BaseInMemoryUnitOfWork,), {"__annotations__": {"kept": annotation}})


def test_a_missing_entity_is_named(uow: Units) -> None:
    with uow, pytest.raises(EntityNotFound) as caught:
        uow.notes.require(5)
    assert (caught.value.entity, caught.value.id) == ("MemNote", 5)


# -- aggregates ----------------------------------------------------------------------------------


def test_an_aggregate_without_a_table_is_stored_whole(uow: Units) -> None:
    box = MemBox(label="a", items=[MemItem(name="x")])
    with uow:
        kept = uow.boxes.create(box)
        assert [item.id for item in (*box.items, *kept.items)] == [1, 1]
        assert kept.items[0] is not box.items[0]
        kept.items.append(MemItem(name="y"))
        kept.items[0].name = "changed"
        uow.commit()
        assert [item.id for item in kept.items] == [1, 2]
    with uow:
        found = uow.boxes.one()
        assert [item.name for item in found.items] == ["changed", "y"]
        found.items.pop()
        uow.commit()
        assert len(uow.boxes.one().items) == 1


def test_a_changed_child_of_an_original_is_named(uow: Units) -> None:
    box = MemBox(label="a", items=[MemItem(name="x")])
    with uow:
        uow.boxes.create(box)
        box.items[0].name = "changed"
        with pytest.raises(UnitOfWorkError, match="MemBox"):
            uow.commit()
        uow.rollback()
        assert box.items[0].id is None
