"""Children of children: their top root has the version, and they move with their line."""

from collections.abc import Callable
from typing import Any

import pytest

from domain.errors import ConcurrencyConflict, UniqueViolation
from infrastructure.database import Database
from tests.database.order_tables import (
    ORDERS,
    Clock,
    Line,
    Order,
    Remark,
    Units,
    rows_in,
    skus,
    stored,
)

pytestmark = pytest.mark.thorough

Change = Callable[[Any], Any]


@pytest.fixture
def tables() -> list[Any]:
    return ORDERS


@pytest.fixture
def clock(database: Database) -> Clock:
    database.clock = clock = Clock()
    return clock


@pytest.fixture
def order_id(database: Database) -> Any:
    order = Order(customer="Ada", lines=[Line(sku="a"), Line(sku="b")])
    order.lines[0].remarks += [Remark(text="one"), Remark(text="two")]
    with Units(database) as uow:
        uow.orders.create(order)
        uow.commit()
    return order.id


def texts(order: Order) -> list[list[str]]:
    return [[remark.text for remark in line.remarks] for line in order.lines]


DEEP: dict[str, Change] = {
    "changed": lambda order: setattr(order.lines[0].remarks[1], "text", "new"),
    "added": lambda order: order.lines[1].remarks.append(Remark(text="new")),
    "removed": lambda order: order.lines[0].remarks.pop(0),
    "reordered": lambda order: order.lines[0].remarks.reverse(),
    "with a new line": lambda order: order.lines.append(
        Line(sku="c", remarks=[Remark(text="new")])
    ),
}


@pytest.mark.parametrize("deep", DEEP.values(), ids=DEEP.keys())
def test_a_change_of_a_grandchild_advances_the_top_root(
    database: Database, order_id: Any, clock: Clock, deep: Change
) -> None:
    clock.tick()
    with Units(database) as uow:
        order: Any = uow.orders.require(order_id)
        deep(order)
        wanted = texts(order)
        uow.commit()
        assert (order.version, order.updated_at) == (2, clock.now)
    with Units(database) as uow:
        again: Any = uow.orders.require(order_id)
        assert (again.version, again.updated_at, texts(again)) == (2, clock.now, wanted)


@pytest.mark.parametrize("deep", DEEP.values(), ids=DEEP.keys())
def test_changes_of_grandchildren_conflict(database: Database, order_id: Any, deep: Change) -> None:
    mine, yours = stored(database, order_id), stored(database, order_id)
    deep(mine)
    yours.lines[1].quantity = 5
    with Units(database) as uow:
        uow.orders.update(mine)
        uow.commit()
    with pytest.raises(ConcurrencyConflict, match=f"Order {order_id}"), Units(database) as uow:
        uow.orders.update(yours)

    assert texts(stored(database, order_id)) == texts(mine)


def test_a_grandchild_goes_to_another_line(database: Database, order_id: Any) -> None:
    with Units(database) as uow:
        order = uow.orders.require(order_id)
        order.lines[1].remarks.append(order.lines[0].remarks.pop(0))
        uow.commit()

    assert texts(stored(database, order_id)) == [["two"], ["one"]]
    assert rows_in(database) == (1, 2, 2)


def test_a_grandchild_is_kept_when_its_line_goes(database: Database, order_id: Any) -> None:
    with Units(database) as uow:
        order = uow.orders.require(order_id)
        gone = order.lines.pop(0)
        order.lines[0].remarks.append(gone.remarks.pop(0))
        uow.commit()

    assert texts(stored(database, order_id)) == [["one"]]
    assert rows_in(database) == (1, 1, 1)


def test_two_lines_exchange_their_remarks(database: Database, order_id: Any) -> None:
    with Units(database) as uow:
        first, second = uow.orders.require(order_id).lines
        first.remarks, second.remarks = list(second.remarks), list(first.remarks)
        uow.commit()

    assert texts(stored(database, order_id)) == [[], ["one", "two"]]
    assert rows_in(database) == (1, 2, 2)


def test_a_line_is_replaced_by_one_with_the_same_unique_value(
    database: Database, order_id: Any
) -> None:
    with pytest.raises(UniqueViolation), Units(database) as uow:
        order = uow.orders.require(order_id)
        order.lines[0] = Line(sku="a")
        uow.commit()
    with Units(database) as uow:
        order = uow.orders.require(order_id)
        order.lines.pop(0)
        uow.session.flush()
        order.lines.insert(0, Line(sku="a"))
        uow.commit()

    assert skus(stored(database, order_id)) == ["a", "b"]
