"""How many statements each method of a repository may send."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
from sqlmodel import Field, SQLModel

from domain import ALL, Entity, where
from domain.entity import new_id
from infrastructure.database import (
    BaseRepository,
    BaseUnitOfWork,
    Database,
    Model,
    Timestamped,
    Versioned,
)
from tests.support import statements


@dataclass(eq=False, kw_only=True)
class CostItem(Entity):
    name: str
    price: int | None = None
    tags: list[str] = field(default_factory=list)
    id: int | None = None


class CostItemModel(CostItem, Timestamped, Versioned, Model, table=True):
    __tablename__: ClassVar[str] = "cost_items"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)


class CostBox(Model, table=True):
    code: str = Field(primary_key=True)
    size: int | None = None


class CostCell(Model, table=True):
    row: int = Field(primary_key=True)
    column: int = Field(primary_key=True)
    value: str | None = None


class CostParcel(Model, table=True):
    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    label: str | None = None


class CostLegacy(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    name: str
    note: str | None = None


class Items(BaseRepository[CostItem]):
    model = CostItemModel


class Shop(BaseUnitOfWork):
    items: Items


@pytest.fixture
def tables() -> list[Any]:
    return [CostItemModel, CostBox, CostCell, CostParcel, CostLegacy]


@pytest.fixture
def shop(database: Database) -> Database:
    """Thirty items."""
    with Shop(database) as uow:
        uow.items.create_many([CostItem(name=f"{n}", price=n) for n in range(1, 31)])
        uow.commit()
    return database


READING: dict[str, tuple[int, Callable[[Any], object]]] = {
    "get_by_id": (1, lambda items: items.get_by_id(1)),
    "get_by_id of a missing one": (1, lambda items: items.get_by_id(99)),
    "get_by_id twice": (1, lambda items: [items.get_by_id(1), items.get_by_id(1)]),
    "require": (1, lambda items: items.require(1)),
    "get_many": (1, lambda items: items.get_many(range(1, 31))),
    "get_many of one": (1, lambda items: items.get_many([1])),
    "get_many of thousands": (1, lambda items: items.get_many(range(20_000))),
    "get_many of none": (0, lambda items: items.get_many([])),
    "get_many of a loaded one": (
        1,
        lambda items: [held := items.require(1), items.get_many([held.id])],
    ),
    "get_all": (1, lambda items: items.get_all()),
    "get_all with everything": (
        1,
        lambda items: items.get_all(where("price") > 3, order_by="-name", limit=5, offset=2),
    ),
    "first": (1, lambda items: items.first(where("price") > 3)),
    "one": (1, lambda items: items.one(where("price") == 3)),
    "count": (1, lambda items: items.count()),
    "count of some": (1, lambda items: items.count(where("price") > 3)),
    "exists": (1, lambda items: items.exists(where("price") > 3)),
    "exists at all": (1, lambda items: items.exists()),
}


@pytest.mark.parametrize("read_only", [False, True], ids=["writing", "reading"])
def test_reading(shop: Database, read_only: bool) -> None:
    sent = {}
    for name, (_, read) in READING.items():
        with Shop(shop, read_only=read_only) as uow, statements(shop) as made:
            read(uow.items)
        sent[name] = len(made)
    assert sent == {name: budget for name, (budget, _) in READING.items()}


@pytest.mark.parametrize("read_only", [False, True], ids=["writing", "reading"])
def test_what_is_loaded_costs_nothing(shop: Database, read_only: bool) -> None:
    with Shop(shop, read_only=read_only) as uow:
        loaded = uow.items.get_all()
        with statements(shop) as sent:
            for item in loaded:
                assert uow.items.get_by_id(item.id) is item
                assert uow.items.require(item.id) is item
            assert uow.items.get_many(range(30, 0, -1)) == loaded[::-1]
        assert sent == []
        with statements(shop) as sent:
            uow.items.get_many([1, 99])
        assert len(sent) == 1


def test_exists_and_first_ask_for_no_more_than_they_need(shop: Database) -> None:
    with Shop(shop) as uow, statements(shop) as sent:
        uow.items.exists(where("price") > 3)
        uow.items.first()
        uow.items.one(where("price") == 3)
        uow.items.count()
    exists, first, one, count = (" ".join(statement.split()) for statement in sent)
    assert exists.upper().startswith("SELECT EXISTS")
    assert "LIMIT" in first.upper()
    assert "LIMIT" in one.upper()
    assert count.upper().startswith("SELECT COUNT(")


WRITING: dict[str, tuple[int, Callable[[Any], object]]] = {
    "create": (1, lambda uow: uow.items.create(CostItem(name="new"))),
    "create from a mapping": (1, lambda uow: uow.items.create({"name": "new"})),
    "create with a given key": (1, lambda uow: uow.items.create(CostItem(name="new", id=77))),
    "create with a text key": (1, lambda uow: uow.repository(CostBox).create({"code": "x"})),
    "create with a UUID": (1, lambda uow: uow.repository(CostParcel).create({"label": "x"})),
    "create in a plain table": (1, lambda uow: uow.repository(CostLegacy).create({"name": "x"})),
    "create_deferred alone": (0, lambda uow: uow.items.create_deferred(CostItem(name="new"))),
    "create_many of none": (0, lambda uow: uow.items.create_many([])),
    "update by id": (2, lambda uow: uow.items.update(1, price=7)),
    "update by id of what is loaded": (
        2,
        lambda uow: uow.items.update(uow.items.require(1).id, price=7),
    ),
    "delete by id": (2, lambda uow: uow.items.delete(1)),
    "delete of what is loaded": (2, lambda uow: uow.items.delete(uow.items.require(1))),
    "update_where": (1, lambda uow: uow.items.update_where(where("price") > 3, price=0)),
    "update_where of all": (1, lambda uow: uow.items.update_where(ALL, tags=["x"])),
    "delete_where": (1, lambda uow: uow.items.delete_where(where("price") > 3)),
}


@pytest.mark.parametrize("name", WRITING)
def test_writing(shop: Database, name: str) -> None:
    budget, write = WRITING[name]
    with Shop(shop) as uow:
        with statements(shop) as sent:
            write(uow)
        uow.rollback()
    assert len(sent) == budget, sent


def test_a_loaded_entity_is_updated_by_one_statement(shop: Database) -> None:
    with Shop(shop) as uow:
        item = uow.items.require(1)
        item.price = 77
        item.tags.append("x")
        with statements(shop) as by_update:
            uow.items.update(item)
        item.price = 78
        with statements(shop) as by_commit:
            uow.commit()
        assert (len(by_update), len(by_commit)) == (1, 1)
        with statements(shop) as idle:
            uow.commit()
            uow.commit()
        assert idle == []


def test_a_detached_entity_is_updated_by_two(shop: Database) -> None:
    with Shop(shop, read_only=True) as uow:
        item = uow.items.require(1)
    item.price = 77
    with Shop(shop) as uow:
        with statements(shop) as sent:
            uow.items.update(item)
        assert len(sent) <= 2
        uow.commit()


def test_many_changed_entities_are_written_together(shop: Database) -> None:
    with Shop(shop) as uow:
        for item in uow.items.get_all():
            item.price = 1000 + (item.price or 0)
        with statements(shop) as sent:
            uow.commit()
    # A version is checked row by row: psycopg and sqlite3 count only one row at a time.
    assert len(sent) <= 30


MANY: dict[str, Callable[[Any, int], object]] = {
    "entities": lambda uow, n: uow.items.create_many(
        [CostItem(name=f"new {i}", price=i if i % 2 else None) for i in range(n)]
    ),
    "rows": lambda uow, n: uow.items.create_many(
        [CostItemModel(name=f"new {i}") for i in range(n)]
    ),
    "some with keys": lambda uow, n: uow.items.create_many(
        [CostItem(name=f"new {i}", id=5000 + i if i % 10 else None) for i in range(n)]
    ),
    "text keys": lambda uow, n: uow.repository(CostBox).create_many(
        [{"code": f"{i}", "size": i if i % 2 else None} for i in range(n)]
    ),
    "composite keys": lambda uow, n: uow.repository(CostCell).create_many(
        [{"row": i, "column": i % 7, "value": "x" if i % 3 else None} for i in range(n)]
    ),
    "UUIDs": lambda uow, n: uow.repository(CostParcel).create_many(
        [CostParcel(label="x" if i % 3 else None) for i in range(n)]
    ),
    "plain table": lambda uow, n: uow.repository(CostLegacy).create_many(
        [CostLegacy(name=f"{i}", note="x" if i % 3 else None) for i in range(n)]
    ),
}


@pytest.mark.parametrize("kind", MANY)
def test_a_thousand_are_created_by_three_statements_at_most(shop: Database, kind: str) -> None:
    with Shop(shop) as uow:
        with statements(shop) as sent:
            made: Any = MANY[kind](uow, 1000)
            assert len({one.__class__ for one in made}) == 1
        uow.commit()
    assert len(made) == 1000
    assert len(sent) <= 3, [statement[:60] for statement in sent]


def test_deferred_entities_are_one_batch(shop: Database) -> None:
    with Shop(shop) as uow:
        for n in range(500):
            uow.items.create_deferred(CostItem(name=f"new {n}"))
        with statements(shop) as sent:
            uow.commit()
    assert len(sent) <= 3, len(sent)


def test_what_is_loaded_is_read_again_by_one_statement(shop: Database) -> None:
    with Shop(shop) as uow:
        loaded = uow.items.get_all()
        with statements(shop) as sent:
            uow.items.update_where(where("price") > 3, price=0)
            assert {item.price for item in loaded} == {1, 2, 3, 0}
        assert len(sent) <= 2
        with statements(shop) as sent:
            uow.items.delete_where(where("price") == 0)
            assert len(uow.items.get_many(range(1, 31))) == 3
        assert len(sent) <= 3
        uow.commit()


def test_misuse_and_invalid_input_send_nothing(shop: Database) -> None:
    with Shop(shop) as uow, statements(shop) as sent:
        for wrong in (
            lambda: uow.items.create({"nam": "x"}),
            lambda: uow.items.create_many([{"name": "x"}, {}]),
            lambda: uow.items.update(1, prize=1),
            lambda: uow.items.get_by_id("x"),
            lambda: uow.items.get_many([1, None]),
            lambda: uow.items.get_all(where("prize") == 1),
            lambda: uow.items.get_all(order_by="prize"),
            lambda: uow.items.get_all(limit=-1),
            uow.items.delete_where,
        ):
            with pytest.raises(Exception, match="CostItem"):
                wrong()
    assert sent == []
