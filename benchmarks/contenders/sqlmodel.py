"""SQLModel: its tables and its session, and what it takes from SQLAlchemy."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import DateTime
from sqlmodel import Field, Session, SQLModel, select

from benchmarks.contenders.sqlalchemy import SQLAlchemy


class Columns(SQLModel):
    """The columns of both tables."""

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(max_length=200)
    email: str = Field(max_length=320, unique=True)
    age: int
    score: float
    created_at: datetime = Field(sa_type=DateTime(timezone=True))


class Item(Columns, table=True):
    __tablename__ = "items"  # pyright: ignore[reportAssignmentType]


class BigItem(Columns, table=True):
    __tablename__ = "big_items"  # pyright: ignore[reportAssignmentType]


class Model(SQLAlchemy):
    """A session for each unit of work."""

    select = staticmethod(select)
    item = Item
    big_item = BigItem

    def open(self) -> Any:
        return Session(self.engine, expire_on_commit=False)

    def all(self, session: Any, query: Any) -> Any:
        return session.exec(query)


CONTENDER = Model
