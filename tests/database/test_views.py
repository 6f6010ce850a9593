"""view(): the fields of a class, and nothing else."""

from dataclasses import InitVar, dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, ClassVar, NamedTuple

import pydantic
import pytest
from pydantic.dataclasses import dataclass as pydantic_dataclass
from sqlmodel import Field, SQLModel

from domain import Entity, where
from domain.errors import UnitOfWorkError, ValidationError
from infrastructure.database import BaseRepository, BaseUnitOfWork, Database, Embedded, Model
from tests.support import statements

pytestmark = pytest.mark.thorough


class Kind(Enum):
    NOVEL = "n"


@dataclass(frozen=True)
class Size:
    pages: int
    weight: Decimal


@dataclass(eq=False, kw_only=True)
class Book(Entity):
    title: str
    price: Decimal = Decimal(1)
    tags: list[str] = field(default_factory=list)
    note: str | None = None
    kind: Kind | None = None
    size: Size | None = None
    printed: datetime | None = None
    id: int | None = None


class BookModel(Book, Model, table=True):
    __tablename__: ClassVar[str] = "viewed_books"

    id: int | None = Field(default=None, primary_key=True)
    size: Size | None = Field(default=None, sa_type=Embedded(Size))


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


SIZE = Size(300, Decimal("0.50"))
PRINTED = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)


@dataclass
class Full:
    kind: Kind
    size: Size
    printed: datetime
    price: Decimal
    tags: list[str]


class Pages(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(from_attributes=True)
    pages: int


class Strict(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(
        strict=True, extra="forbid", frozen=True, alias_generator=str.upper
    )
    kind: Kind
    size: Pages
    printed: datetime
    price: Decimal


def test_values_have_the_types_of_their_fields(database: Database) -> None:
    book = Book(title="z", kind=Kind.NOVEL, size=SIZE, printed=PRINTED, price=Decimal("1.10"))
    with Units(database) as uow:
        uow.books.create(book)
        assert uow.books.view(Full, limit=1) == [
            Full(Kind.NOVEL, SIZE, PRINTED, Decimal("1.10"), [])
        ]
        (strict,) = uow.books.view(Strict, where("size") == SIZE)
        assert (strict.kind, strict.printed, strict.size.pages) == (Kind.NOVEL, PRINTED, 300)
        uow.rollback()


def test_what_is_seen_can_be_changed_without_effect(database: Database) -> None:
    with Units(database) as uow:
        for tagged in uow.books.view(Tagged):
            tagged.tags.append("new")
        uow.commit()
        assert [row.tags for row in uow.books.view(Tagged, order_by="id")] == [["x"], [], []]


class Shown(SQLModel):
    title: str
    price: Decimal


def test_a_sqlmodel_class_that_is_no_table_is_filled(database: Database) -> None:
    with Units(database) as uow:
        (shown,) = uow.books.view(Shown, where("title") == "b")
    assert (shown.title, shown.price) == ("b", Decimal("2.50"))


class Crossed(pydantic.BaseModel):
    """Each field has the name of the other one as its alias."""

    title: str | None = pydantic.Field(alias="note")
    note: str | None = pydantic.Field(alias="title")


def test_columns_are_found_by_name_and_not_by_alias(database: Database) -> None:
    with Units(database) as uow:
        (crossed,) = uow.books.view(Crossed, limit=1)
    assert (crossed.title, crossed.note) == ("c", None)


@pydantic_dataclass
class Numbered:
    title: int


class Short(pydantic.BaseModel):
    title: str

    @pydantic.model_validator(mode="after")
    def refuse_b(self) -> "Short":
        if self.title == "b":
            raise ValueError("no b")
        return self


@pytest.mark.parametrize("dto", [Numbered, Short])
def test_what_a_validator_refuses_is_our_error(database: Database, dto: Any) -> None:
    with Units(database) as uow, pytest.raises(ValidationError, match=dto.__name__):
        uow.books.view(dto)


@dataclass
class NeedsMore:
    title: str
    more: InitVar[int]


class Pair(NamedTuple):
    title: str


@pytest.mark.parametrize("dto", [NeedsMore, Pair, Entity, pydantic.BaseModel, list[Line]])
def test_what_cannot_be_filled_is_refused_before_sql(database: Database, dto: Any) -> None:
    with Units(database) as uow, statements(database) as sent:
        with pytest.raises(ValidationError, match=r"dto|more"):
            uow.books.view(dto)
        assert sent == []
        assert uow.books.count() == 3


def test_criteria_and_orders_are_those_of_get_all(database: Database) -> None:
    with Units(database) as uow:
        assert uow.books.view(Line, where("note") == "x") == []
        found = uow.books.view(Tagged, BookModel.title != "b", order_by=["-price", "-id"])
        assert [row.id for row in found] == [3, 1]
        for wrong in ({"order_by": "nope"}, {"order_by": "tags"}, {"order_by": 5}):
            with pytest.raises(ValidationError):
                uow.books.view(Line, **wrong)  # type: ignore[arg-type]
        for criterion in (True, "title", where("nope") == 1, where("price") == "x"):
            with pytest.raises(ValidationError):
                uow.books.view(Line, criterion)  # type: ignore[arg-type]
    with pytest.raises(UnitOfWorkError, match="left"):
        uow.books.view(Line)


def test_a_wrong_change_is_refused_and_not_seen(database: Database) -> None:
    with Units(database) as uow:
        book: Any = uow.books.first()
        book.price = "abc"
        with pytest.raises(ValidationError, match="price"):
            uow.books.view(Line)
        uow.rollback()
        assert len(uow.books.view(Line)) == 3
