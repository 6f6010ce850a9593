"""peewee, on psycopg 3 where the database is PostgreSQL."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import URL, make_url

from benchmarks import data
from benchmarks.contenders.base import Contender

peewee: Any = importlib.import_module("peewee")


def _model(name: str, table: str) -> Any:
    columns = {
        "id": peewee.AutoField(),
        "name": peewee.CharField(max_length=200),
        "email": peewee.CharField(max_length=320, unique=True),
        "age": peewee.IntegerField(),
        "score": peewee.DoubleField(),
        "created_at": peewee.DateTimeField(),
        "Meta": type("Meta", (), {"table_name": table}),
    }
    return type(name, (peewee.Model,), columns)


Item = _model("Item", "items")
BigItem = _model("BigItem", "big_items")


def _database(url: URL) -> Any:
    if url.get_backend_name() == "sqlite":
        return peewee.SqliteDatabase(url.database, timeout=30, returning_clause=True)
    parts = {"user": url.username, "password": url.password, "host": url.host, "port": url.port}
    return peewee.PostgresqlDatabase(url.database, prefer_psycopg3=True, **parts)


class Peewee(Contender):
    """A connection that stays open; reading outside of ``atomic()`` is autocommit."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.database = _database(make_url(url))
        self.is_sqlite = isinstance(self.database, peewee.SqliteDatabase)
        self.batch = 5000 if self.is_sqlite else 10_000  # so many parameters a statement may have
        self.database.bind([Item, BigItem])
        self.database.connect()

    def atomic(self) -> Any:
        return self.database.atomic("IMMEDIATE") if self.is_sqlite else self.database.atomic()

    def stored(self, moment: datetime) -> datetime:
        """SQLite has no time zones, and peewee would store this one."""
        return moment.replace(tzinfo=None) if self.is_sqlite else moment

    def new(self, values: data.Values) -> Any:
        """An object that is not stored yet."""
        name, email, age, score, created_at = values
        created_at = self.stored(created_at)
        return Item(name=name, email=email, age=age, score=score, created_at=created_at)

    def batches(self, rows: Iterable[data.Values]) -> Iterator[Any]:
        return peewee.chunked(((*row[:4], self.stored(row[4])) for row in rows), self.batch)  # type: ignore[no-any-return]

    # -- one by one ------------------------------------------------------------------------

    def insert_units(self) -> list[Any]:
        stored = []
        for values in data.new(data.UNITS):
            with self.atomic():
                item = self.new(values)
                item.save(force_insert=True)
                stored.append(item)
        return stored

    def get_each(self) -> list[Any]:
        return [Item.get_by_id(id) for id in data.IDS]

    def get_within(self) -> list[Any]:
        with self.atomic():
            return [Item.get_by_id(id) for id in data.IDS]

    def change_units(self) -> None:
        for id in data.IDS[: data.UNITS]:
            with self.atomic():
                self._change(id)

    def _change(self, id: int) -> None:
        item = Item.get_by_id(id)
        item.age += 1
        item.save(only=[Item.age])

    def work(self, thread: int, number: int) -> None:
        if self.database.is_closed():  # connections are the threads' own
            self.database.connect()
        with self.atomic():
            self._change(data.stripe(thread, number))
            self.new(data.from_thread(thread, number)).save(force_insert=True)

    # -- many ------------------------------------------------------------------------------

    def create_many(self, count: int) -> list[Any]:
        with self.atomic():
            items = [self.new(values) for values in data.new(count)]
            Item.bulk_create(items, batch_size=self.batch)
            return items

    def bulk_create(self, count: int) -> None:
        fields = [getattr(Item, name) for name in data.FIELDS]
        with self.atomic():
            for batch in self.batches(data.new(count)):
                Item.insert_many(batch, fields=fields).execute()

    def get_all(self) -> list[Any]:
        return list(Item.select())

    get_all_read_only = get_all

    def page(self) -> tuple[list[Any], int]:
        query = BigItem.select().order_by(BigItem.id)
        return list(query.paginate(data.PAGE, data.SIZE)), query.count()

    def window(self) -> list[Any]:
        before = (data.WINDOW - 1) * data.SIZE
        found: list[Any] = []
        for _ in range(data.UNITS):
            query = BigItem.select().where(BigItem.id > before).order_by(BigItem.id)
            found = list(query.limit(data.SIZE + 1))
        return found[: data.SIZE]

    def stream(self) -> tuple[int, Any]:
        total, item = 0, None
        with self.database.atomic():
            for item in self._streamed(BigItem.select().order_by(BigItem.id)):
                total += item.id
        return total, item

    def _streamed(self, query: Any) -> Any:
        if self.is_sqlite:
            return query.iterator()
        extensions: Any = importlib.import_module("playhouse.postgres_ext")
        return extensions.ServerSide(query, array_size=1000)

    def bulk_update(self) -> None:
        items = [Item(id=id, age=age, score=score) for id, age, score in data.changes()]
        with self.atomic():
            Item.bulk_update(items, ["age", "score"], batch_size=500)

    def delete_where(self) -> None:
        with self.atomic():
            Item.delete().where(Item.id.in_(list(data.DOOMED))).execute()

    def bulk_upsert(self) -> None:
        fields = [getattr(Item, name) for name in data.FIELDS]
        preserved = [Item.name, Item.age, Item.score]
        with self.atomic():
            for batch in self.batches(data.upserts()):
                insert = Item.insert_many(batch, fields=fields)
                insert.on_conflict(conflict_target=[Item.email], preserve=preserved).execute()

    def leave_thread(self) -> None:
        self.database.close()

    def close(self) -> None:
        self.database.close()


CONTENDER = Peewee
