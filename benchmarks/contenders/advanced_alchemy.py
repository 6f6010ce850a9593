"""advanced-alchemy: a synchronous repository on a session of its configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from advanced_alchemy.base import DefaultBase
from advanced_alchemy.config import SQLAlchemySyncConfig, SyncSessionConfig
from advanced_alchemy.filters import LimitOffset, OrderBy
from advanced_alchemy.repository import SQLAlchemySyncRepository
from sqlalchemy import DateTime, String, create_engine, make_url
from sqlalchemy.orm import Mapped, mapped_column

from benchmarks import data
from benchmarks.contenders.base import Contender


class Item(DefaultBase):
    __tablename__ = "items"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    email: Mapped[str] = mapped_column(String(320), unique=True)
    age: Mapped[int]
    score: Mapped[float]
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class BigItem(DefaultBase):
    __tablename__ = "big_items"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    email: Mapped[str] = mapped_column(String(320), unique=True)
    age: Mapped[int]
    score: Mapped[float]
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Items(SQLAlchemySyncRepository[Item]):
    model_type = Item


class BigItems(SQLAlchemySyncRepository[BigItem]):
    model_type = BigItem
    count_with_window_function = False  # two queries are faster on a large table


def new(values: data.Values) -> Item:
    """An object that is not stored yet."""
    name, email, age, score, created_at = values
    return Item(name=name, email=email, age=age, score=score, created_at=created_at)


class AdvancedAlchemy(Contender):
    """A session and a repository for each unit of work."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        arguments = {"timeout": 30} if make_url(url).get_backend_name() == "sqlite" else {}
        self.engine = create_engine(url, pool_size=8, connect_args=arguments)
        self.config = SQLAlchemySyncConfig(
            engine_instance=self.engine, session_config=SyncSessionConfig(expire_on_commit=False)
        )

    @contextmanager
    def items(self, *, commits: bool = False) -> Iterator[Items]:
        with self.config.get_session() as session:
            yield Items(session=session, auto_commit=commits, auto_refresh=False)

    @contextmanager
    def big_items(self) -> Iterator[BigItems]:
        with self.config.get_session() as session:
            yield BigItems(session=session)

    # -- one by one ------------------------------------------------------------------------

    def insert_units(self) -> list[Any]:
        stored = []
        for values in data.new(data.UNITS):
            with self.items(commits=True) as items:
                stored.append(items.add(new(values)))
        return stored

    def get_each(self) -> list[Any]:
        found = []
        for id in data.IDS:
            with self.items() as items:
                found.append(items.get(id))
        return found

    def get_within(self) -> list[Any]:
        with self.items() as items:
            return [items.get(id) for id in data.IDS]

    @contextmanager
    def get_loaded(self) -> Iterator[Callable[[], list[Any]]]:
        ids = list(data.IDS) * (data.LOOKUPS // len(data.IDS))
        with self.items() as items:
            kept = [items.get(id) for id in data.IDS]

            def look_up() -> list[Any]:
                return [items.get(id) for id in ids]

            yield look_up
            kept.clear()

    def change_units(self) -> None:
        for id in data.IDS[: data.UNITS]:
            with self.items(commits=True) as items:
                item = items.get(id)
                item.age += 1
                items.update(item)

    def work(self, thread: int, number: int) -> None:
        with self.items() as items:
            item = items.get(data.stripe(thread, number))
            item.age += 1
            items.update(item)
            items.add(new(data.from_thread(thread, number)), auto_commit=True)

    # -- many ------------------------------------------------------------------------------

    def create_many(self, count: int) -> list[Any]:
        with self.items(commits=True) as items:
            return list(items.add_many([new(values) for values in data.new(count)]))

    def bulk_create(self, count: int) -> None:
        self.create_many(count)  # there is nothing else

    def get_all(self) -> list[Any]:
        with self.items() as items:
            return items.get_many()

    get_all_read_only = get_all

    def page(self) -> tuple[list[Any], int]:
        with self.big_items() as items:
            part = LimitOffset(data.SIZE, (data.PAGE - 1) * data.SIZE)
            return items.get_many_and_count(part, OrderBy("id", "asc"))

    def window(self) -> list[Any]:
        before = (data.WINDOW - 1) * data.SIZE
        found: list[Any] = []
        for _ in range(data.UNITS):
            with self.big_items() as items:
                part = LimitOffset(data.SIZE + 1, 0)
                found = items.get_many(BigItem.id > before, part, OrderBy("id", "asc"))
        return found[: data.SIZE]

    def bulk_update(self) -> None:
        with self.items(commits=True) as items:
            items.update_many([Item(id=i, age=age, score=s) for i, age, s in data.changes()])

    def delete_where(self) -> None:
        with self.items(commits=True) as items:
            items.delete_many(list(data.DOOMED))

    def bulk_upsert(self) -> None:
        with self.items(commits=True) as items:
            items.upsert_many([new(values) for values in data.upserts()], match_fields=["email"])

    def close(self) -> None:
        self.engine.dispose()


CONTENDER = AdvancedAlchemy
