"""An aggregate with children: an order is stored, loaded and deleted with its lines.

    python examples/orders.py

The domain is in ``orders_domain.py``. Here are its tables, its repository and a
unit of work, and what they do with it. ``DATABASE_URL`` names the database;
without it, this is a new one in memory. It makes its tables where they are missing.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from os import environ
from typing import ClassVar
from uuid import UUID

from orders_domain import Money, Order, OrderLine
from sqlmodel import Field

from domain import where
from domain.errors import ConcurrencyConflict, ValidationError
from infrastructure.database import (
    BaseRepository,
    BaseUnitOfWork,
    Children,
    Database,
    Embedded,
    Model,
    Timestamped,
    Versioned,
)

# -- the adapters: two tables, one repository ----------------------------------------------


class OrderModel(Order, Timestamped, Versioned, Model, table=True):
    """A stored order; its version counts the changes of its lines, too."""

    __tablename__: ClassVar[str] = "orders"

    id: int | None = Field(default=None, primary_key=True)
    customer: str = Field(max_length=200, index=True)
    lines: list[OrderLine] = Children("OrderLineModel", order_by="position")


class OrderLineModel(OrderLine, Model, table=True):
    """A stored line. The root fills in ``order_id``, and the kit numbers ``position``."""

    __tablename__: ClassVar[str] = "order_lines"

    id: UUID = Field(primary_key=True)
    sku: str = Field(max_length=40)
    price: Money = Field(sa_type=Embedded(Money))
    order_id: int = Field(foreign_key="orders.id", index=True)
    position: int


class SqlOrderRepository(BaseRepository[Order]):
    """The queries of ``OrderRepository``."""

    model = OrderModel

    def of_customer(self, customer: str, /) -> list[Order]:
        return self.get_all(where("customer") == customer, order_by="-id")


class Shop(BaseUnitOfWork):
    """The unit of work of this example."""

    orders: SqlOrderRepository


@dataclass(frozen=True)
class OrderRow:
    """What a list of orders shows: these columns, and no lines."""

    id: int
    customer: str


# -- what one does with them ---------------------------------------------------------------


def store(database: Database) -> tuple[int, str]:
    """An order is stored with its lines; they come back in their order."""
    order = Order(customer="Ada Lovelace")
    order.add("CARD-80", 200, Money(Decimal("0.75")))
    order.add("GEAR-12", 3, Money(Decimal("41.5")))
    with Shop(database) as uow:
        uow.orders.create(order)
        uow.commit()
    if order.id is None:
        raise AssertionError("a stored order has an id")

    with Shop(database, read_only=True) as uow:
        stored = uow.orders.require(order.id)
    lines = ", ".join(f"{line.quantity} {line.sku}" for line in stored.lines)
    return order.id, f"order {stored.id} of {stored.customer}: {lines}: {stored.total}"


def change(database: Database, id: int) -> str:
    """Methods of the domain change the lines; commit() stores what they did."""
    with Shop(database) as uow:
        order = uow.orders.require(id)
        order.add("OIL-1", 1, Money(Decimal("9.99")))
        order.change("GEAR-12", 4)
        order.remove("CARD-80")
        order.move("OIL-1", to=0)
        uow.commit()

    with Shop(database, read_only=True) as uow:
        order = uow.orders.require(id)
    return f"now {', '.join(line.sku for line in order.lines)}: {order.total}"


def refuse(database: Database, id: int) -> str:
    """A rule across the lines holds for stored ones, too."""
    try:
        with Shop(database) as uow:
            uow.orders.require(id).change("GEAR-12", 1_000)
            uow.commit()
    except ValidationError as error:
        return str(error)
    return "stored"


def conflict(database: Database, id: int) -> str:
    """Two users change different lines of one order: whoever comes second is told so."""
    with Shop(database, read_only=True) as uow:
        mine = uow.orders.require(id)
    with Shop(database, read_only=True) as uow:
        yours = uow.orders.require(id)
    mine.change("OIL-1", 2)
    yours.change("GEAR-12", 5)

    with Shop(database) as uow:
        uow.orders.update(mine)
        uow.commit()
    try:
        with Shop(database) as uow:
            uow.orders.update(yours)
            uow.commit()
    except ConcurrencyConflict as error:
        return str(error)
    return "one change was lost"


def show(database: Database) -> str:
    """A list needs no lines, so it reads none: one statement, and nothing tracked."""
    with Shop(database, read_only=True) as uow:
        rows = uow.orders.view(OrderRow, order_by="-id", limit=10)
    return ", ".join(f"{row.id} {row.customer}" for row in rows)


@contextmanager
def tables(url: str) -> Iterator[Database]:
    """A database with the tables of this example; an application would migrate."""
    with Database(url) as database:
        Model.metadata.create_all(
            database.engine,
            tables=[Model.metadata.tables["orders"], Model.metadata.tables["order_lines"]],
        )
        yield database


def main() -> None:
    """Tell what happens."""
    with tables(environ.get("DATABASE_URL", "sqlite://")) as database:
        id, stored = store(database)
        print(stored)
        print(change(database, id))
        print(refuse(database, id))
        print(conflict(database, id))
        print(show(database))


if __name__ == "__main__":
    main()
