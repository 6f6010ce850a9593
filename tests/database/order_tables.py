"""Aggregates for tests: orders of three levels, and roots of two with and without columns."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from sqlalchemy import func, select
from sqlmodel import Field

from domain import Entity
from domain.errors import ValidationError
from infrastructure.database import (
    BaseRepository,
    BaseUnitOfWork,
    Children,
    Database,
    Model,
    Timestamped,
    Versioned,
)


@dataclass(eq=False, kw_only=True)
class Remark(Entity):
    text: str
    id: int | None = None


@dataclass(eq=False, kw_only=True)
class Line(Entity):
    sku: str
    quantity: int = 1
    remarks: list[Remark] = field(default_factory=list)
    id: int | None = None

    def __post_init__(self) -> None:
        if self.quantity < 1:
            raise ValidationError("Line", {"quantity": "must be at least 1"})


@dataclass(eq=False, kw_only=True)
class Order(Entity):
    customer: str
    lines: list[Line] = field(default_factory=list)
    id: int | None = None


class OrderModel(Order, Timestamped, Versioned, Model, table=True):
    __tablename__: ClassVar[str] = "aggregates_orders"

    id: int | None = Field(default=None, primary_key=True)
    customer: str = Field(max_length=40, index=True)
    lines: list[Line] = Children("LineModel", order_by="position")


class LineModel(Line, Model, table=True):
    __tablename__: ClassVar[str] = "aggregates_lines"

    id: int | None = Field(default=None, primary_key=True)
    sku: str = Field(max_length=20, unique=True)
    order_id: int = Field(foreign_key="aggregates_orders.id", index=True)
    position: int
    remarks: list[Remark] = Children("RemarkModel", order_by="position")


class RemarkModel(Remark, Model, table=True):
    __tablename__: ClassVar[str] = "aggregates_remarks"

    id: int | None = Field(default=None, primary_key=True)
    line_id: int = Field(foreign_key="aggregates_lines.id", index=True)
    position: int


class OrderRepository(BaseRepository[Order]):
    model = OrderModel


class OrderRows(BaseRepository[OrderModel]):
    pass


@dataclass(eq=False, kw_only=True)
class Piece(Entity):
    name: str
    id: int | None = None


@dataclass(eq=False, kw_only=True)
class Crate(Entity):
    name: str = "crate"
    pieces: list[Piece] = field(default_factory=list)
    id: int | None = None


@dataclass(eq=False, kw_only=True)
class Bag(Entity):
    pieces: list[Piece] = field(default_factory=list)
    id: int | None = None


class VersionedCrateModel(Crate, Versioned, Model, table=True):
    __tablename__: ClassVar[str] = "aggregates_versioned_crates"

    id: int | None = Field(default=None, primary_key=True)
    pieces: list[Piece] = Children("VersionedPieceModel", order_by="position")


class VersionedPieceModel(Piece, Model, table=True):
    __tablename__: ClassVar[str] = "aggregates_versioned_pieces"

    id: int | None = Field(default=None, primary_key=True)
    crate_id: int = Field(foreign_key="aggregates_versioned_crates.id", index=True)
    position: int


class StampedCrateModel(Crate, Timestamped, Model, table=True):
    __tablename__: ClassVar[str] = "aggregates_stamped_crates"

    id: int | None = Field(default=None, primary_key=True)
    pieces: list[Piece] = Children("StampedPieceModel", order_by="position")


class StampedPieceModel(Piece, Model, table=True):
    __tablename__: ClassVar[str] = "aggregates_stamped_pieces"

    id: int | None = Field(default=None, primary_key=True)
    crate_id: int = Field(foreign_key="aggregates_stamped_crates.id", index=True)
    position: int


class BagModel(Bag, Versioned, Model, table=True):
    __tablename__: ClassVar[str] = "aggregates_bags"

    id: int | None = Field(default=None, primary_key=True)
    pieces: list[Piece] = Children("BagPieceModel", order_by="position")


class BagPieceModel(Piece, Model, table=True):
    __tablename__: ClassVar[str] = "aggregates_bag_pieces"

    id: int | None = Field(default=None, primary_key=True)
    bag_id: int = Field(foreign_key="aggregates_bags.id", index=True)
    position: int


class VersionedCrates(BaseRepository[Crate]):
    model = VersionedCrateModel


class StampedCrates(BaseRepository[Crate]):
    model = StampedCrateModel


class Bags(BaseRepository[Bag]):
    model = BagModel


class Units(BaseUnitOfWork):
    orders: OrderRepository
    order_rows: OrderRows
    versioned: VersionedCrates
    stamped: StampedCrates
    bags: Bags


ORDERS: list[Any] = [OrderModel, LineModel, RemarkModel]
CRATES: list[Any] = [
    VersionedCrateModel,
    VersionedPieceModel,
    StampedCrateModel,
    StampedPieceModel,
    BagModel,
    BagPieceModel,
]


class Clock:
    """A clock for a database, which tests move."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def tick(self) -> None:
        self.now += timedelta(hours=1)


def an_order(*skus: str, customer: str = "Ada") -> Order:
    return Order(customer=customer, lines=[Line(sku=sku) for sku in skus])


def stored(database: Database, id: Any) -> Order:
    with Units(database, read_only=True) as uow:
        return uow.orders.require(id)


def skus(order: Order) -> list[str]:
    return [line.sku for line in order.lines]


def rows_in(database: Database) -> tuple[int, ...]:
    with database.engine.connect() as connection:
        return tuple(
            connection.scalar(select(func.count()).select_from(model)) or 0
            for model in (OrderModel, LineModel, RemarkModel)
        )


def shape(order: Order) -> list[Any]:
    return [(line.sku, line.quantity, [r.text for r in line.remarks]) for line in order.lines]


def ids_of(order: Order) -> list[Any]:
    lines = order.lines
    return [order.id, *(line.id for line in lines), *(r.id for line in lines for r in line.remarks)]


def all_at_once(order: Order) -> None:
    first, second, third = order.lines
    third.quantity = 7
    third.remarks.append(Remark(text="new"))
    first.remarks[0].text = "changed"
    first.remarks.append(first.remarks.pop(0))
    order.lines.remove(second)
    order.lines.insert(0, Line(sku="d", remarks=[Remark(text="newer")]))
    order.lines.reverse()
    order.customer = "Grace"


CHANGES: dict[str, Callable[[Any], Any]] = {
    "added": lambda order: order.lines.append(Line(sku="d")),
    "changed": lambda order: setattr(order.lines[2], "quantity", 7),
    "removed": lambda order: order.lines.pop(0),
    "all removed": lambda order: order.lines.clear(),
    "reordered": lambda order: order.lines.reverse(),
    "another list": lambda order: setattr(order, "lines", [order.lines[2], Line(sku="d")]),
    "a grandchild changed": lambda order: setattr(order.lines[0].remarks[1], "text", "new"),
    "a grandchild removed": lambda order: order.lines[0].remarks.pop(0),
    "grandchildren reordered": lambda order: order.lines[0].remarks.reverse(),
    "all at once": all_at_once,
}
