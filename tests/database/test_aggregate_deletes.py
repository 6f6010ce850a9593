"""Roots that are deleted, with what they own, and come back at a rollback."""

from typing import Any

import pytest

from domain import where
from domain.errors import ConcurrencyConflict, EntityNotFound
from infrastructure.database import Database
from tests.database.order_tables import (
    ORDERS,
    Line,
    Remark,
    Units,
    an_order,
    rows_in,
    skus,
    stored,
)

pytestmark = pytest.mark.thorough


@pytest.fixture
def tables() -> list[Any]:
    return ORDERS


@pytest.fixture
def order_id(database: Database) -> int:
    with Units(database) as uow:
        order = uow.orders.create(an_order("a", "b", "c"))
        order.lines[0].remarks.append(Remark(text="fragile"))
        uow.commit()
    return order.id or 0


@pytest.mark.parametrize("how", ["id", "row", "plain", "where"])
def test_what_a_root_owns_goes_with_it(database: Database, order_id: int, how: str) -> None:
    plain = stored(database, order_id)
    with Units(database) as uow:
        uow.orders.create(an_order("x"))
        if how == "id":
            uow.orders.delete(order_id)
        elif how == "row":
            uow.orders.delete(uow.orders.require(order_id))
        elif how == "plain":
            uow.orders.delete(plain)
        else:
            assert uow.orders.delete_where(where("id") == order_id) == 1
        assert uow.orders.get_by_id(order_id) is None
        uow.commit()

    assert rows_in(database) == (1, 1, 0)


def test_a_root_is_deleted_with_children_that_were_just_changed(
    database: Database, order_id: int
) -> None:
    with Units(database) as uow:
        order = uow.orders.require(order_id)
        order.lines.pop(0)
        order.lines[0].quantity = 9
        order.lines.append(Line(sku="d"))
        order.lines.reverse()
        uow.orders.delete(order)
        uow.commit()

    assert rows_in(database) == (0, 0, 0)


def test_a_plain_root_of_an_older_version_is_not_deleted(database: Database, order_id: int) -> None:
    old = stored(database, order_id)
    with Units(database) as uow:
        uow.orders.require(order_id).lines[1].quantity = 4
        uow.commit()
    with pytest.raises(ConcurrencyConflict, match=f"Order {order_id}"), Units(database) as uow:
        uow.orders.delete(old)

    assert rows_in(database) == (1, 3, 1)


@pytest.mark.parametrize("how", ["id", "row", "where"])
def test_a_deleted_root_is_usable_after_a_rollback(
    database: Database, order_id: int, how: str
) -> None:
    with Units(database) as uow:
        order = uow.orders.require(order_id)
        if how == "where":
            uow.orders.delete_where(where("id") == order_id)
        else:
            uow.orders.delete(order if how == "row" else order_id)
        uow.rollback()
        assert skus(order) == ["a", "b", "c"]
        assert order.lines[0].remarks[0].text == "fragile"
        assert order.customer == "Ada"

        again = uow.orders.require(order_id)
        assert again is not order
        again.lines[1].quantity = 5
        uow.commit()

        order = uow.orders.require(order_id)
        uow.orders.delete(order)
        uow.commit()
        assert skus(order) == ["a", "b", "c"]
        with pytest.raises(EntityNotFound):
            uow.orders.delete(order_id)

    assert rows_in(database) == (0, 0, 0)


def test_a_root_whose_deletion_was_rolled_back_can_be_updated(
    database: Database, order_id: int
) -> None:
    with Units(database) as uow:
        order = uow.orders.require(order_id)
        uow.orders.delete(order)
        uow.rollback()
        order.lines.append(Line(sku="d"))
        order.lines[0].remarks.clear()
        uow.orders.update(order)
        uow.commit()

    assert skus(stored(database, order_id)) == ["a", "b", "c", "d"]
    assert rows_in(database) == (1, 4, 0)
