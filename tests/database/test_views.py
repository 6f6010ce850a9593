"""view(): the fields of a class, and nothing else."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, ClassVar

import pydantic
import pytest
from sqlmodel import Field

from domain import Entity, where
from domain.errors import ValidationError
from infrastructure.database import BaseRepository, BaseUnitOfWork, Database, Model
from tests.support import statements


@dataclass(eq=False, kw_only=True)
class Book(Entity):
    title: str
    price: Decimal = Decimal(1)
    tags: list[str] = field(default_factory=list)
    note: str | None = None
    id: int | None = None


class BookModel(Book, Model, table=True):
    __tablename__: ClassVar[str] = "viewed_books"

    id: int | None = Field(default=None, primary_key=True)


class BookRepository(BaseRepository[Book]):
    model = BookModel
    default_order = "-title"


class Units(BaseUnitOfWork):
    books: BookRepository


@dataclass(frozen=True)
class Line:
    title: str
    price: Decimal
    shown: str = field(init=False, default="yes")


@dataclass(slots=True)
class Tagged:
    id: int
    tags: list[str]


class Schema(pydantic.BaseModel):
    title: str = pydantic.Field(alias="Title", max_length=3)
    note: str | None = None


@dataclass
class Misspelt:
    titel: str


@pytest.fixture
def tables() -> list[Any]:
    return [BookModel]


@pytest.fixture(autouse=True)
def books(database: Database) -> None:
    with Units(database) as uow:
        uow.books.create_many(
            [Book(title="a", tags=["x"]), Book(title="b", price=Decimal("2.50")), Book(title="c")]
        )
        uow.commit()


@pytest.mark.parametrize("read_only", [False, True])
def test_only_the_columns_of_the_class_are_read(database: Database, read_only: bool) -> None:
    with Units(database, read_only=read_only) as uow, statements(database) as sent:
        lines = uow.books.view(Line, where("title") != "c")
        assert uow.session.identity_map.values() == []
    assert lines == [Line("b", Decimal("2.50")), Line("a", Decimal(1))]
    assert len(sent) == 1
    assert "tags" not in sent[0]


def test_dataclasses_and_pydantic_models_are_filled(database: Database) -> None:
    with Units(database, read_only=True) as uow:
        assert [row.tags for row in uow.books.view(Tagged, order_by="id")] == [["x"], [], []]
        schemas = uow.books.view(Schema, order_by=BookModel.title, limit=2)
        assert [(schema.title, schema.note) for schema in schemas] == [("a", None), ("b", None)]
        assert [book.title for book in uow.books.view(Book, limit=1)] == ["c"]


def test_limits_are_those_of_get_all(database: Database) -> None:
    with Units(database, read_only=True) as uow:
        assert uow.books.view(Line, limit=0) == []
        for limit in (-1, "2", True):
            with pytest.raises(ValidationError, match="limit"):
                uow.books.view(Line, limit=limit)  # type: ignore[arg-type]


def test_what_waits_is_written_before(database: Database) -> None:
    with Units(database) as uow:
        uow.books.create_deferred(Book(title="d"))
        uow.books.one(where("title") == "a").title = "e"
        assert [line.title for line in uow.books.view(Line)] == ["e", "d", "c", "b"]
        uow.rollback()


def test_a_field_that_is_no_column_is_named(database: Database) -> None:
    with Units(database) as uow, pytest.raises(ValidationError, match=r"titel.*did you mean title"):
        uow.books.view(Misspelt)


@pytest.mark.parametrize("wrong", [None, "Line", int, dict, BookModel, Line("a", Decimal(1))])
def test_something_else_is_refused(database: Database, wrong: Any) -> None:
    with Units(database) as uow, pytest.raises(ValidationError, match="dto"):
        uow.books.view(wrong)


def test_a_value_that_does_not_fit_is_named(database: Database) -> None:
    with Units(database) as uow:
        uow.books.create(Book(title="long title"))
        with pytest.raises(ValidationError, match=r"Schema .*title"):
            uow.books.view(Schema)
        uow.rollback()
