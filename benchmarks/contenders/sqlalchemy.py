"""SQLAlchemy's ORM: declarative classes and a session, which keeps what was committed."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import DateTime, String, create_engine, delete, func, insert, make_url, select
from sqlalchemy import update as sql_update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from benchmarks import data
from benchmarks.contenders.base import Contender


class Base(DeclarativeBase):
    """The tables of this contender."""


class Columns:
    """The columns of both tables."""

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    email: Mapped[str] = mapped_column(String(320), unique=True)
    age: Mapped[int]
    score: Mapped[float]
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Item(Columns, Base):
    __tablename__ = "items"


class BigItem(Columns, Base):
    __tablename__ = "big_items"


class SQLAlchemy(Contender):
    """A session for each unit of work."""

    select: Any = staticmethod(select)
    item: Any = Item
    big_item: Any = BigItem

    def __init__(self, url: str) -> None:
        super().__init__(url)
        name = make_url(url).get_backend_name()
        arguments = {"timeout": 30} if name == "sqlite" else {}
        self.engine = create_engine(url, pool_size=8, connect_args=arguments)
        self._insert_or = importlib.import_module(f"sqlalchemy.dialects.{name}").insert

    def open(self) -> Any:
        return Session(self.engine, expire_on_commit=False)

    def new(self, rows: Sequence[data.Values]) -> list[Any]:
        """Objects that are not stored yet."""
        item = self.item
        return [
            item(name=name, email=email, age=age, score=score, created_at=created_at)
            for name, email, age, score, created_at in rows
        ]

    # -- one by one ------------------------------------------------------------------------

    def insert_units(self) -> list[Any]:
        stored = []
        for values in data.new(data.UNITS):
            with self.open() as session:
                item = self.new([values])[0]
                session.add(item)
                session.commit()
                stored.append(item)
        return stored

    def get_each(self) -> list[Any]:
        found = []
        for id in data.IDS:
            with self.open() as session:
                found.append(session.get(self.item, id))
        return found

    def get_within(self) -> list[Any]:
        with self.open() as session:
            return [session.get(self.item, id) for id in data.IDS]

    @contextmanager
    def get_loaded(self) -> Iterator[Callable[[], list[Any]]]:
        ids = list(data.IDS) * (data.LOOKUPS // len(data.IDS))
        with self.open() as session:
            kept = [session.get(self.item, id) for id in data.IDS]

            def look_up() -> list[Any]:
                return [session.get(self.item, id) for id in ids]

            yield look_up
            kept.clear()

    def change_units(self) -> None:
        for id in data.IDS[: data.UNITS]:
            with self.open() as session:
                session.get(self.item, id).age += 1
                session.commit()

    def work(self, thread: int, number: int) -> None:
        with self.open() as session:
            session.get(self.item, data.stripe(thread, number)).age += 1
            session.add(self.new([data.from_thread(thread, number)])[0])
            session.commit()

    # -- many ------------------------------------------------------------------------------

    def create_many(self, count: int) -> list[Any]:
        with self.open() as session:
            items = self.new(data.new(count))
            session.add_all(items)
            session.commit()
            return items

    def bulk_create(self, count: int) -> None:
        with self.open() as session:
            rows = [dict(zip(data.FIELDS, row, strict=True)) for row in data.new(count)]
            session.execute(insert(self.item), rows)
            session.commit()

    def all(self, session: Any, query: Any) -> Any:
        """What a query finds."""
        return session.scalars(query)

    def get_all(self) -> list[Any]:
        with self.open() as session:
            return list(self.all(session, self.select(self.item)))

    get_all_read_only = get_all

    def page(self) -> tuple[list[Any], int]:
        item = self.big_item
        with self.open() as session:
            total = session.scalar(select(func.count()).select_from(item))
            offset = (data.PAGE - 1) * data.SIZE
            query = self.select(item).order_by(item.id).limit(data.SIZE).offset(offset)
            return list(self.all(session, query)), total

    def window(self) -> list[Any]:
        item, before = self.big_item, (data.WINDOW - 1) * data.SIZE
        found: list[Any] = []
        for _ in range(data.UNITS):
            with self.open() as session:
                query = self.select(item).where(item.id > before).order_by(item.id)
                found = list(self.all(session, query.limit(data.SIZE + 1)))
        return found[: data.SIZE]

    def stream(self) -> tuple[int, Any]:
        total, item = 0, None
        query = self.select(self.big_item).order_by(self.big_item.id)
        with self.open() as session:
            for item in self.all(session, query.execution_options(yield_per=1000)):
                total += item.id
        return total, item

    def bulk_update(self) -> None:
        with self.open() as session:
            rows = [{"id": id, "age": age, "score": score} for id, age, score in data.changes()]
            session.execute(sql_update(self.item), rows)
            session.commit()

    def delete_where(self) -> None:
        with self.open() as session:
            session.execute(delete(self.item).where(self.item.id.in_(data.DOOMED)))
            session.commit()

    def bulk_upsert(self) -> None:
        with self.open() as session:
            rows = [dict(zip(data.FIELDS, row, strict=True)) for row in data.upserts()]
            statement = self._insert_or(self.item)
            set_ = {name: statement.excluded[name] for name in ("name", "age", "score")}
            session.execute(
                statement.on_conflict_do_update(index_elements=["email"], set_=set_), rows
            )
            session.commit()

    def close(self) -> None:
        self.engine.dispose()


CONTENDER = SQLAlchemy
