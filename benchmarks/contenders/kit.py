"""The kit: units of work on one database object, by its public methods alone."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from sqlmodel import Field

from benchmarks import data
from benchmarks.contenders.base import Contender
from domain import Entity, where
from infrastructure.database import BaseRepository, BaseUnitOfWork, Database, Model


@dataclass(eq=False, kw_only=True)
class Item(Entity):
    """What is read and written."""

    name: str
    email: str
    age: int
    score: float
    created_at: datetime
    id: int | None = None


@dataclass(eq=False, kw_only=True)
class BigItem(Entity):
    """The same, of which there are many."""

    name: str
    email: str
    age: int
    score: float
    created_at: datetime
    id: int | None = None


class ItemModel(Item, Model, table=True):
    __tablename__: ClassVar[str] = "items"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(max_length=200)
    email: str = Field(max_length=320, unique=True)


class BigItemModel(BigItem, Model, table=True):
    __tablename__: ClassVar[str] = "big_items"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(max_length=200)
    email: str = Field(max_length=320, unique=True)


class Items(BaseRepository[Item]):
    model = ItemModel


class BigItems(BaseRepository[BigItem]):
    model = BigItemModel


class Unit(BaseUnitOfWork):
    items: Items
    big_items: BigItems


def create_tables(url: str) -> None:
    """Both tables, for all contenders."""
    with Database(url) as database:
        database.create_all(Model.metadata)


def new(values: data.Values) -> Item:
    """An entity that is not stored yet."""
    name, email, age, score, created_at = values
    return Item(name=name, email=email, age=age, score=score, created_at=created_at)


class Kit(Contender):
    """A unit of work each."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.database = Database(url, pool_size=8)

    def reading(self) -> Unit:
        return Unit(self.database, read_only=True)

    # -- one by one ------------------------------------------------------------------------

    def insert_units(self) -> list[Any]:
        stored = []
        for values in data.new(data.UNITS):
            with Unit(self.database) as uow:
                stored.append(uow.items.create(new(values)))
                uow.commit()
        return stored

    def get_each(self) -> list[Any]:
        found = []
        for id in data.IDS:
            with self.reading() as uow:
                found.append(uow.items.get_by_id(id))
        return found

    def get_within(self) -> list[Any]:
        with Unit(self.database) as uow:
            return [uow.items.get_by_id(id) for id in data.IDS]

    @contextmanager
    def get_loaded(self) -> Iterator[Callable[[], list[Any]]]:
        ids = list(data.IDS) * (data.LOOKUPS // len(data.IDS))
        with Unit(self.database) as uow:
            kept = [uow.items.get_by_id(id) for id in data.IDS]

            def look_up() -> list[Any]:
                return [uow.items.get_by_id(id) for id in ids]

            yield look_up
            kept.clear()

    def change_units(self) -> None:
        for id in data.IDS[: data.UNITS]:
            with Unit(self.database) as uow:
                uow.items.require(id).age += 1
                uow.commit()

    def work(self, thread: int, number: int) -> None:
        with Unit(self.database) as uow:
            uow.items.require(data.stripe(thread, number)).age += 1
            uow.items.create(new(data.from_thread(thread, number)))
            uow.commit()

    # -- many ------------------------------------------------------------------------------

    def create_many(self, count: int) -> list[Any]:
        with Unit(self.database) as uow:
            created = uow.items.create_many([new(values) for values in data.new(count)])
            uow.commit()
            return created

    def bulk_create(self, count: int) -> None:
        with Unit(self.database) as uow:
            rows = (dict(zip(data.FIELDS, row, strict=True)) for row in data.new(count))
            uow.items.bulk_create(rows)
            uow.commit()

    def get_all(self) -> list[Any]:
        with Unit(self.database) as uow:
            return uow.items.get_all()

    def get_all_read_only(self) -> list[Any]:
        with self.reading() as uow:
            return uow.items.get_all()

    def page(self) -> tuple[list[Any], int]:
        with self.reading() as uow:
            page = uow.big_items.page(order_by="id", number=data.PAGE, size=data.SIZE)
            return list(page.items), page.total

    @functools.cached_property
    def _cursor(self) -> str | None:
        """The end of the window before."""
        with self.reading() as uow:
            return uow.big_items.window(order_by="id", size=(data.WINDOW - 1) * data.SIZE).next

    def window(self) -> list[Any]:
        after = self._cursor
        found: list[Any] = []
        for _ in range(data.UNITS):
            with self.reading() as uow:
                window = uow.big_items.window(order_by="id", size=data.SIZE, after=after)
                found = list(window.items)
        return found

    def stream(self) -> tuple[int, Any]:
        total, item = 0, None
        with self.reading() as uow:
            items: Iterator[Any] = uow.big_items.stream()
            for item in items:
                total += item.id
        return total, item

    def bulk_update(self) -> None:
        with Unit(self.database) as uow:
            changes = data.changes()
            uow.items.bulk_update({"id": id, "age": a, "score": score} for id, a, score in changes)
            uow.commit()

    def delete_where(self) -> None:
        with Unit(self.database) as uow:
            uow.items.delete_where(where("id").in_(data.DOOMED))
            uow.commit()

    def bulk_upsert(self) -> None:
        with Unit(self.database) as uow:
            rows = (dict(zip(data.FIELDS, row, strict=True)) for row in data.upserts())
            uow.items.bulk_upsert(rows, on="email")
            uow.commit()

    def close(self) -> None:
        self.database.close()


CONTENDER = Kit
