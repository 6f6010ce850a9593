"""Who is compared: the driver alone, SQLModel's session as it comes, and the kit."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import psycopg
from sqlalchemy import make_url
from sqlmodel import Field, Session, SQLModel, create_engine, select

from domain import Entity
from infrastructure.database import BaseRepository, BaseUnitOfWork, Database, Model

READ = 10_000
"""Rows to be read: the key from 1, a name, a price."""

WITHIN = 100
"""Reads in one unit."""

MANY = 1_000

Row = tuple[Any, ...]


def row(id: int) -> Row:
    """What is stored under this key."""
    return (id, f"item {id}", id % 100)


@dataclass(eq=False, kw_only=True)
class Item(Entity):
    """What the kit reads and writes."""

    name: str
    price: int
    id: int | None = None


class ItemModel(Item, Model, table=True):
    __tablename__: ClassVar[str] = "items"

    id: int | None = Field(default=None, primary_key=True)


class BareItem(SQLModel, table=True):
    """The same table for SQLModel alone."""

    __tablename__ = "items"

    id: int | None = Field(default=None, primary_key=True)
    name: str
    price: int


class Items(BaseRepository[Item]):
    model = ItemModel


class Unit(BaseUnitOfWork):
    items: Items


class Driver:
    """One open connection, plain SQL, tuples. Many rows go through executemany, without keys."""

    def __init__(self, url: str) -> None:
        parsed = make_url(url)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        self.connection: Any
        if self.is_sqlite:
            self.connection = sqlite3.connect(str(parsed.database), isolation_level=None)
        else:
            plain = parsed.set(drivername="postgresql").render_as_string(hide_password=False)
            self.connection = psycopg.connect(plain, autocommit=True)

    def insert(self) -> list[Row]:
        with self._transaction():
            sql = "INSERT INTO items (name, price) VALUES (?, ?) RETURNING id, name, price"
            return self._fetch(sql, ("new", 1))

    def insert_many(self) -> list[Row]:
        values = [("new", 1)] * MANY
        with self._transaction():
            sql = "INSERT INTO items (name, price) VALUES (?, ?)"
            self.connection.cursor().executemany(self._marked(sql), values)
        return values

    def get(self) -> list[Row]:
        return self._get(READ // 2)

    def get_within(self) -> list[Row]:
        with self._transaction():
            return [self._get(id)[0] for id in range(1, WITHIN + 1)]

    def get_again(self) -> list[Row]:
        with self._transaction():
            return [self._get(1)[0] for _ in range(WITHIN)]

    def get_all(self) -> list[Row]:
        with self._transaction():
            return self._fetch("SELECT id, name, price FROM items")

    def get_all_read_only(self) -> list[Row]:
        return self._fetch("SELECT id, name, price FROM items")

    def count(self) -> int:
        return int(self._fetch("SELECT count(*) FROM items")[0][0])

    def close(self) -> None:
        self.connection.close()

    def _get(self, id: int) -> list[Row]:
        return self._fetch("SELECT id, name, price FROM items WHERE id = ?", (id,))

    def _fetch(self, sql: str, values: Row = ()) -> list[Row]:
        fetched: list[Row] = self.connection.execute(self._marked(sql), values).fetchall()
        return fetched

    def _marked(self, sql: str) -> str:
        return sql if self.is_sqlite else sql.replace("?", "%s")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self.connection.execute("BEGIN IMMEDIATE" if self.is_sqlite else "BEGIN")
        yield
        self.connection.execute("COMMIT")


class BareSession:
    """SQLModel's session on an engine with default settings."""

    def __init__(self, url: str) -> None:
        self.engine = create_engine(url)

    def insert(self) -> list[Row]:
        return self._insert(1)

    def insert_many(self) -> list[Row]:
        return self._insert(MANY)

    def _insert(self, count: int) -> list[Row]:
        with Session(self.engine) as session:
            items = [BareItem(name="new", price=1) for _ in range(count)]
            session.add_all(items)
            session.flush()
            rows = [(item.id, item.name, item.price) for item in items]  # empty after the commit
            session.commit()
            return rows

    def get(self) -> list[Any]:
        with Session(self.engine) as session:
            return [session.get(BareItem, READ // 2)]

    def get_within(self) -> list[Any]:
        with Session(self.engine) as session:
            return [session.get(BareItem, id) for id in range(1, WITHIN + 1)]

    def get_again(self) -> list[Any]:
        with Session(self.engine) as session:
            return [session.get(BareItem, 1) for _ in range(WITHIN)]

    def get_all(self) -> list[Any]:
        with Session(self.engine) as session:
            return list(session.exec(select(BareItem)).all())

    get_all_read_only = get_all  # there is nothing else

    def close(self) -> None:
        self.engine.dispose()


class Kit:
    """Units of work on one database object."""

    def __init__(self, url: str) -> None:
        self.database = Database(url)

    def prepare(self) -> None:
        """Create the table and the rows to be read."""
        self.database.create_all(ItemModel.metadata)
        with Unit(self.database) as unit:
            rows = (row(id) for id in range(1, READ + 1))
            unit.items.create_many(Item(name=name, price=price) for _, name, price in rows)
            unit.commit()

    def insert(self) -> list[Any]:
        with Unit(self.database) as unit:
            created = unit.items.create(Item(name="new", price=1))
            unit.commit()
            return [created]

    def insert_many(self) -> list[Any]:
        with Unit(self.database) as unit:
            created = unit.items.create_many(Item(name="new", price=1) for _ in range(MANY))
            unit.commit()
            return created

    def get(self) -> list[Any]:
        with Unit(self.database, read_only=True) as unit:
            return [unit.items.get_by_id(READ // 2)]

    def get_within(self) -> list[Any]:
        with Unit(self.database) as unit:
            return [unit.items.get_by_id(id) for id in range(1, WITHIN + 1)]

    def get_again(self) -> list[Any]:
        with Unit(self.database) as unit:
            return [unit.items.get_by_id(1) for _ in range(WITHIN)]

    def get_all(self) -> list[Any]:
        with Unit(self.database) as unit:
            return unit.items.get_all()

    def get_all_read_only(self) -> list[Any]:
        with Unit(self.database, read_only=True) as unit:
            return unit.items.get_all()

    def close(self) -> None:
        self.database.close()
