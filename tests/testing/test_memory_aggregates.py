"""An order and its lines: in memory as in a database, plain or as rows of the table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from orders import OrderLineModel, OrderModel, Shop
from orders_domain import Money, Order, OrderLine

from domain import where
from domain.errors import (
    ConcurrencyConflict,
    UniqueViolation,
    UnitOfWorkError,
    ValidationError,
)
from infrastructure.database import Database, Model
from infrastructure.testing.memory import (
    BaseInMemoryUnitOfWork,
    InMemoryRepository,
    InMemoryStore,
)


class InMemoryOrders(InMemoryRepository[Order]):
    model = OrderModel


class InMemoryShop(BaseInMemoryUnitOfWork):
    orders: InMemoryOrders


class InMemoryRows(BaseInMemoryUnitOfWork):
    orders: InMemoryRepository[OrderModel]


Units = Callable[..., Any]


@pytest.fixture(params=["sql", "plain", "rows"])
def shop(request: pytest.FixtureRequest) -> Iterator[Units]:
    """Makes units on one storage."""
    if request.param != "sql":
        store = InMemoryStore()
        kind = {"plain": InMemoryShop, "rows": InMemoryRows}[request.param]
        yield lambda **options: kind(store, **options)
        return
    with Database("sqlite://") as database:
        tables: list[Any] = [OrderModel, OrderLineModel]
        Model.metadata.create_all(database.engine, tables=[model.__table__ for model in tables])
        yield lambda **options: Shop(database, **options)


def an_order(*skus: str) -> Order:
    order = Order(customer="Ada")
    for quantity, sku in enumerate(skus, 1):
        order.add(sku, quantity, Money(Decimal("1.50")))
    return order


def lines(order: Any) -> list[tuple[str, int]]:
    return [(line.sku, line.quantity) for line in order.lines]


def stored(shop: Units) -> list[tuple[str, int]]:
    with shop(read_only=True) as uow:
        return lines(uow.orders.one())


@pytest.fixture
def order_id(shop: Units) -> Any:
    """The id of a stored order of a, b and c."""
    with shop() as uow:
        order = uow.orders.create(an_order("a", "b", "c"))
        uow.commit()
        return order.id


def test_an_order_is_stored_with_its_lines(shop: Units) -> None:
    order = an_order("b", "a")
    with shop() as uow:
        kept = uow.orders.create(order)
        assert kept is not order
        assert lines(kept) == [("b", 1), ("a", 2)]
        assert [line.id for line in kept.lines] == [line.id for line in order.lines]
        uow.commit()
    assert order.id == kept.id == 1
    assert stored(shop) == [("b", 1), ("a", 2)]
    with shop() as uow:
        assert uow.orders.one().total == order.total
        assert uow.orders.count(where("customer") == "Ada") == 1


def test_lines_are_added_changed_moved_and_removed(shop: Units, order_id: Any) -> None:
    with shop() as uow:
        order = uow.orders.require(order_id)
        order.add("d", 9, Money(Decimal(1)))
        order.change("a", 7)
        order.remove("b")
        order.move("d", to=0)
        assert uow.orders.exists()
        assert lines(order) == [("d", 9), ("a", 7), ("c", 3)]
        uow.commit()
    assert stored(shop) == [("d", 9), ("a", 7), ("c", 3)]


def test_a_changed_line_advances_the_version_of_its_order(shop: Units, order_id: Any) -> None:
    with shop(read_only=True) as uow:
        old = uow.orders.require(order_id)
    with shop() as uow:
        uow.orders.require(order_id).change("a", 5)
        uow.commit()
        assert uow.orders.exists(where("version") == 2)
        uow.orders.require(order_id).move("c", to=0)
        uow.commit()
        assert uow.orders.exists(where("version") == 3)
    with pytest.raises(ConcurrencyConflict) as caught, shop() as uow:
        uow.orders.delete(old)
    assert (caught.value.entity, caught.value.id) == ("Order", order_id)


def test_an_undone_savepoint_gives_the_lines_back(shop: Units, order_id: Any) -> None:
    with shop() as uow:
        order = uow.orders.require(order_id)
        with pytest.raises(RuntimeError), uow.savepoint():
            order.add("d", 9, Money(Decimal(1)))
            order.remove("a")
            order.change("b", 8)
            uow.orders.count()
            raise RuntimeError
        assert lines(order) == [("a", 1), ("b", 2), ("c", 3)]
        order.remove("c")
        uow.commit()
    assert stored(shop) == [("a", 1), ("b", 2)]


def test_a_deleted_order_takes_its_lines_along(shop: Units, order_id: Any) -> None:
    with shop() as uow:
        order = uow.orders.require(order_id)
        ids = [line.id for line in order.lines]
        uow.orders.delete(order_id)
        again = an_order("x", "y", "z")
        for line, id in zip(again.lines, ids, strict=True):
            line.id = id
        uow.orders.create(again)
        uow.commit()
    assert [sku for sku, _ in stored(shop)] == ["x", "y", "z"]


def test_a_line_belongs_to_one_order(shop: Units, order_id: Any) -> None:
    with shop(read_only=True) as uow:
        line = uow.orders.require(order_id).lines[0]
    with shop() as uow:
        other = Order(customer="Bob")
        other.lines.append(OrderLine(id=line.id, sku="a", quantity=1, price=Money(Decimal(1))))
        with pytest.raises(UniqueViolation) as caught:
            uow.orders.create(other)
        uow.rollback()
    assert (caught.value.entity, caught.value.fields) == ("OrderLine", ("id",))
    assert caught.value.constraint == "pk_order_lines"


def test_a_line_that_cannot_be_stored_is_refused(shop: Units, order_id: Any) -> None:
    with shop() as uow:
        with pytest.raises(ValidationError) as caught:
            uow.orders.create(an_order("x" * 41))
        assert (caught.value.entity, {*caught.value.errors}) == ("OrderLine", {"sku"})
        order = uow.orders.require(order_id)
        order.lines[0].sku = "y" * 41
        with pytest.raises(ValidationError) as caught:
            uow.commit()
        assert (caught.value.entity, {*caught.value.errors}) == ("OrderLine", {"sku"})
        order.lines[0].sku = "y"
        uow.commit()
    assert stored(shop)[0] == ("y", 1)


def test_a_changed_line_of_an_original_is_refused(shop: Units) -> None:
    order = an_order("a")
    with shop() as uow:
        uow.orders.create(order)
        order.change("a", 2)
        with pytest.raises(UnitOfWorkError, match="Order"):
            uow.commit()
        uow.rollback()
        assert order.id is None
        uow.orders.create(order)
        uow.commit()
    assert stored(shop) == [("a", 2)]


def test_a_line_of_a_settled_order_is_not_to_be_changed(shop: Units, order_id: Any) -> None:
    with shop() as uow:
        order = uow.orders.require(order_id)
        uow.commit()
        order.lines[0].quantity = 9
        with pytest.raises(UnitOfWorkError, match="Order"):
            uow.commit()
        order.lines[0].quantity = 1
        uow.commit()


def test_an_order_of_another_unit_shares_nothing(shop: Units, order_id: Any) -> None:
    with shop(read_only=True) as uow:
        loaded = uow.orders.require(order_id)
        found = [*loaded.lines]
    loaded.lines.clear()
    found[0].quantity = 99
    assert stored(shop) == [("a", 1), ("b", 2), ("c", 3)]
