"""Order: by code point, None the greatest, by names and by column expressions."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

import pytest
from sqlalchemy import text as sql
from sqlmodel import Field, SQLModel, asc, col, desc, func, select

from domain import Entity, where
from domain.errors import ValidationError
from infrastructure.database import BaseRepository, BaseUnitOfWork, Database, Model


@dataclass(eq=False, kw_only=True)
class SortWord(Entity):
    text: str | None = None
    number: int | None = None
    amount: Decimal | None = None
    ratio: float | None = None
    at: datetime | None = None
    day: date | None = None
    span: timedelta | None = None
    code: uuid.UUID | None = None
    flag: bool | None = None
    blob: bytes | None = None
    tags: list[str] | None = None
    label: str = ""
    id: int | None = None


class SortWordModel(SortWord, Model, table=True):
    __tablename__: ClassVar[str] = "sort_words"

    id: int | None = Field(default=None, primary_key=True)


class SortLegacy(SQLModel, table=True):
    """Not on Model: its text columns have the collation of the server."""

    id: int | None = Field(default=None, primary_key=True)
    name: str | None = None


class Words(BaseRepository[SortWord]):
    model = SortWordModel


class ByText(BaseRepository[SortWord]):
    model = SortWordModel
    default_order = "text"


class ByLabelThenText(BaseRepository[SortWord]):
    model = SortWordModel
    default_order = ("-label", "text")


class Dictionary(BaseUnitOfWork):
    words: Words
    by_text: ByText
    by_label: ByLabelThenText


TEXTS = ["b", "a", "B", "_", "Z", "ä", "z", "é", "", " ", "😀", "\uffff", "aa", "A", "10", "9", "ß"]
VALUES: dict[str, list[Any]] = {
    "text": TEXTS,
    "number": [3, -1, 0, 20, 100, -(2**31)],
    "amount": [Decimal(n) for n in ("10", "9", "-1", "-10", "0.1", "0.09", "1.10", "123456789012")],
    "ratio": [1.5, -2.0, float("inf"), float("-inf"), 0.0, 1e300],
    "at": [datetime(y, 1, 1, tzinfo=UTC) for y in (2024, 1, 9999, 1970)],
    "day": [date(2024, 2, 29), date(1, 1, 1), date(9999, 12, 31)],
    "span": [timedelta(9), timedelta(10), timedelta(-1), timedelta(0), timedelta(days=1, hours=5)],
    "code": [uuid.UUID(int=n) for n in (2**127, 0, 255, 2**128 - 1)],
    "flag": [True, False],
    "blob": [b"b", b"", b"\xff", b"a\0", b"a"],
}


@pytest.fixture
def tables() -> list[Any]:
    return [SortWordModel, SortLegacy]


def fill(database: Database, rows: list[dict[str, Any]]) -> None:
    with Dictionary(database) as uow:
        uow.words.create_many(rows)
        uow.commit()


def test_the_server_sorts_otherwise(database: Database) -> None:
    """The control: without the kit, text would not come by code point everywhere."""
    with BaseUnitOfWork(database) as uow:
        uow.repository(SortLegacy).create_many([{"name": name} for name in TEXTS])
        bare = select(SortLegacy.name).order_by(col(SortLegacy.name))
        names = list(uow.session.exec(bare))
        uow.rollback()
    assert (names == sorted(TEXTS)) == (database.engine.dialect.name == "sqlite")


@pytest.mark.parametrize("name", VALUES)
def test_values_sort_as_in_python_and_none_is_the_greatest(database: Database, name: str) -> None:
    values = VALUES[name]
    fill(database, [{name: value} for value in [None, *values, None]])
    model_column = getattr(SortWordModel, name)
    ascending = [*sorted(values), None, None]
    orders: dict[str, tuple[Any, list[Any]]] = {
        "name": (name, ascending),
        "-name": (f"-{name}", ascending[::-1]),
        "tuple": ((name,), ascending),
        "list": ([f"-{name}"], ascending[::-1]),
        "column": (model_column, ascending),
        "asc()": (col(model_column).asc(), ascending),
        "desc()": (col(model_column).desc(), ascending[::-1]),
        "asc": (asc(model_column), ascending),
        "desc": ([desc(model_column)], ascending[::-1]),
        "as said": (col(model_column).asc().nulls_first(), ascending[-2:] + ascending[:-2]),
        "as said, too": (col(model_column).desc().nulls_last(), [*ascending[-3::-1], None, None]),
    }
    found = {}
    with Dictionary(database, read_only=True) as uow:
        for label, (order, _) in orders.items():
            found[label] = [getattr(word, name) for word in uow.words.get_all(order_by=order)]
    assert [label for label in orders if found[label] != orders[label][1]] == []


def test_a_plain_sqlmodel_table_sorts_by_code_point_too(database: Database) -> None:
    with BaseUnitOfWork(database) as uow:
        legacy = uow.repository(SortLegacy)
        legacy.create_many([{"name": name} for name in [*TEXTS, None]])
        expected = [*sorted(TEXTS), None]
        for ascending in ("name", col(SortLegacy.name), asc(col(SortLegacy.name))):
            assert [one.name for one in legacy.get_all(order_by=ascending)] == expected
        for descending in ("-name", desc(col(SortLegacy.name))):
            assert [one.name for one in legacy.get_all(order_by=descending)] == expected[::-1]
        small = legacy.get_all(where("name") < "_", order_by="name")
        assert [one.name for one in small] == [name for name in sorted(TEXTS) if name < "_"]
        uow.rollback()


def test_several_orders_apply_one_after_another(database: Database) -> None:
    pairs = [("x", 2), ("y", 1), ("x", None), ("Y", 5), ("x", 1), ("y", None)]
    fill(database, [{"label": label, "number": number} for label, number in pairs])
    with Dictionary(database, read_only=True) as uow:

        def ask(*order: Any) -> list[Any]:
            return [(word.label, word.number) for word in uow.words.get_all(order_by=order)]

        rising = [("Y", 5), ("x", 1), ("x", 2), ("x", None), ("y", 1), ("y", None)]
        assert ask("label", "number") == rising
        assert ask("-label", "-number") == rising[::-1]
        mixed = [("Y", 5), ("x", None), ("x", 2), ("x", 1), ("y", None), ("y", 1)]
        assert ask("label", "-number") == mixed
        assert ask(SortWordModel.label, col(SortWordModel.number).desc()) == mixed
        assert ask(func.lower(SortWordModel.label), "-number", "id") == [
            ("x", None), ("x", 2), ("x", 1), ("y", None), ("Y", 5), ("y", 1),
        ]  # fmt: skip
        assert ask("label", "number", "label") == rising
        assert ask(sql("number IS NULL"), "label", "number")[-1] == ("y", None)


def test_order_limit_and_offset_go_together(database: Database) -> None:
    fill(database, [{"text": text} for text in TEXTS])
    with Dictionary(database, read_only=True) as uow:
        got = [w.text for w in uow.words.get_all(order_by="text", limit=3, offset=2)]
        assert got == sorted(TEXTS)[2:5]
        first, last = uow.words.first(order_by="text"), uow.words.first(order_by="-text")
        assert first is not None
        assert last is not None
        assert (first.text, last.text) == (min(TEXTS), max(TEXTS))


def test_the_default_order_gives_way_to_the_one_asked_for(database: Database) -> None:
    fill(database, [{"text": text, "label": text[:1].lower()} for text in "bABa"])
    with Dictionary(database, read_only=True) as uow:
        assert [w.text for w in uow.by_text.get_all()] == ["A", "B", "a", "b"]
        assert [w.text for w in uow.by_text.get_all(order_by=())] == ["A", "B", "a", "b"]
        assert [w.text for w in uow.by_text.get_all(order_by=[])] == ["A", "B", "a", "b"]
        assert [w.text for w in uow.by_text.get_all(order_by="id")] == ["b", "A", "B", "a"]
        assert [w.text for w in uow.by_label.get_all()] == ["B", "b", "A", "a"]
        first = uow.by_label.first()
        assert first is not None
        assert first.text == "B"
        assert uow.by_text.count() == 4
        assert uow.by_text.one(where("text") == "b").text == "b"


def test_unstored_changes_are_part_of_the_order(database: Database) -> None:
    fill(database, [{"text": "a"}, {"text": "b"}])
    with Dictionary(database) as uow:
        uow.words.one(where("text") == "a").text = "c"
        assert [word.text for word in uow.words.get_all(order_by="text")] == ["b", "c"]
        uow.rollback()


BAD: list[tuple[Any, str]] = [
    ("nope", "nope"),
    ("-nope", "nope"),
    ("--text", "-text"),
    ("+text", "+text"),
    ("TEXT", "TEXT"),
    ("text desc", "text desc"),
    ("text, id", "text, id"),
    ("", ""),
    ("-", ""),
    ("metadata", "metadata"),
    (["text", "nope"], "nope"),
    (["text", None], "order_by"),
    (None, "order_by"),
    (5, "order_by"),
    (True, "order_by"),
    (b"text", "order_by"),
    ([5], "order_by"),
    (("text", ("number",)), "order_by"),
    (str.lower, "order_by"),
    (where("text"), "order_by"),
    (where("text") == "a", "order_by"),
    ("tags", "order_by"),
    ("-tags", "order_by"),
    (col(SortWordModel.tags), "order_by"),
    (col(SortWordModel.tags).desc(), "order_by"),
    (col(SortLegacy.name), "order_by"),
    (["text", desc(col(SortLegacy.name))], "order_by"),
]
ASKING: list[Callable[[Any, Any], object]] = [
    lambda words, order: words.get_all(order_by=order),
    lambda words, order: words.first(order_by=order),
    lambda words, order: words.get_all(where("id") == 1, order_by=order, limit=0),
]


@pytest.mark.parametrize(("order", "field"), BAD, ids=lambda value: repr(value)[:30])
def test_what_is_no_order_is_refused_never_ignored(
    database: Database, order: Any, field: str
) -> None:
    fill(database, [{"text": "a"}])
    with Dictionary(database) as uow:
        for ask in ASKING:
            with pytest.raises(ValidationError) as caught:
                ask(uow.words, order)
            assert caught.value.entity == "SortWord"
            assert set(caught.value.errors) in ({field}, {"order_by"}, {"criteria"}, {"tags"})
        assert len(uow.words.get_all(order_by="text")) == 1
