"""A stream comes in the server's own format where it can: the values are those of a list."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

import pytest
from sqlalchemy import REAL, Column, String, text
from sqlmodel import Field

from infrastructure.database import BaseRepository, BaseUnitOfWork, Database, Model


class SortModel(Model, table=True):
    """One column of each type that the server may send in binary."""

    __tablename__: ClassVar[str] = "binary_sorts"

    id: int | None = Field(default=None, primary_key=True)
    name: str | None = None
    yes: bool | None = None
    share: float | None = None
    price: Decimal | None = Field(default=None, max_digits=20, decimal_places=6)
    day: date | None = None
    moment: datetime | None = None
    token: UUID | None = None


class RealModel(Model, table=True):
    """With what must not come like this: it would be another number, or no text."""

    __tablename__: ClassVar[str] = "binary_reals"

    id: int | None = Field(default=None, primary_key=True)
    tenth: float = Field(sa_column=Column(REAL, nullable=False))
    label: str = Field(default="", sa_column=Column(String, nullable=False))


class Sorts(BaseUnitOfWork):
    sorts: BaseRepository[SortModel]
    reals: BaseRepository[RealModel]


@pytest.fixture
def tables() -> list[Any]:
    return [SortModel, RealModel]


FULL = {
    "name": "naïve ☃",
    "yes": True,
    "share": 0.1,
    "price": Decimal("12345678901234.567800"),
    "day": date(2026, 2, 28),
    "moment": datetime(2026, 2, 28, 23, 59, 59, 999_999, tzinfo=UTC),
    "token": UUID(int=7),
}


def test_a_stream_gives_what_a_list_gives(database: Database) -> None:
    far = {"moment": datetime(9999, 12, 31, tzinfo=UTC), "day": date(1, 1, 1), "yes": False}
    zero = {"price": Decimal("0.000000"), "share": float("-inf"), "name": ""}
    with Sorts(database) as uow:
        uow.sorts.create_many([FULL, {}, far, zero])
        uow.commit()
    with Sorts(database, read_only=True) as uow:
        listed = [one.model_dump() for one in uow.sorts.get_all(order_by="id")]
    with Sorts(database, read_only=True) as uow:
        streamed = [one.model_dump() for one in uow.sorts.stream(order_by="id", batch_size=2)]
    assert streamed == listed
    assert {name: streamed[0][name] for name in FULL} == FULL
    kinds = [[{n: type(v) for n, v in row.items()} for row in rows] for rows in (streamed, listed)]
    assert kinds[0] == kinds[1]
    assert all(row["moment"].tzinfo is UTC for row in streamed if row["moment"])
    assert str(streamed[3]["price"]) == str(listed[3]["price"])


def test_what_would_be_another_value_comes_as_text(database: Database) -> None:
    with Sorts(database) as uow:
        if database.engine.dialect.name == "postgresql":
            uow.session.execute(text("ALTER TABLE binary_reals ALTER label TYPE name"))
        uow.reals.create_many([{"tenth": 0.1, "label": "of another type"}])
        uow.commit()
    with Sorts(database, read_only=True) as uow:
        (one,) = uow.reals.stream()
        assert (one.tenth, one.label) == (0.1, "of another type")
