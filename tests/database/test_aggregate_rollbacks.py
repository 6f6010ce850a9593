"""What a rollback takes back: ids and versions, of the children too."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from domain.errors import ConcurrencyConflict, UniqueViolation, UnitOfWorkError
from infrastructure.database import Database
from tests.database.order_tables import (
    CHANGES,
    ORDERS,
    Line,
    LineModel,
    Order,
    OrderModel,
    Remark,
    Units,
    an_order,
    ids_of,
    rows_in,
    shape,
    skus,
    stored,
)

pytestmark = pytest.mark.thorough

Change = Callable[[Any], Any]


@pytest.fixture
def tables() -> list[Any]:
    return ORDERS


@pytest.fixture
def order_id(database: Database) -> Any:
    order = an_order("a", "b", "c")
    order.lines[0].remarks += [Remark(text="one"), Remark(text="two")]
    with Units(database) as uow:
        uow.orders.create(order)
        uow.commit()
    return order.id


def row(database: Database, id: Any) -> Order:
    with Units(database) as uow:
        return uow.orders.require(id)


@pytest.fixture(params=[stored, row], ids=["plain", "row"])
def load(request: pytest.FixtureRequest) -> Any:
    """How a root from elsewhere is come by."""
    return request.param


BEFORE = [("a", 1, ["one", "two"]), ("b", 1, []), ("c", 1, [])]


@pytest.fixture(params=["added", "changed", "all at once"])
def change(request: pytest.FixtureRequest) -> Any:
    return CHANGES[request.param]


def test_a_rollback_takes_the_ids_of_a_plain_root_back(database: Database) -> None:
    order = an_order("a", "b")
    order.lines[1].remarks.append(Remark(text="one"))
    for _ in range(2):
        with Units(database) as uow:
            uow.orders.create(order)
            assert None not in ids_of(order)
            uow.rollback()
            assert ids_of(order) == [None] * 4
    with Units(database) as uow:
        order.lines.reverse()
        uow.orders.create(order)
        uow.commit()

    assert shape(stored(database, order.id)) == [("b", 1, ["one"]), ("a", 1, [])]
    assert rows_in(database) == (1, 2, 1)


def test_a_rollback_takes_the_id_of_an_appended_child_back(
    database: Database, order_id: Any
) -> None:
    line = Line(sku="d")
    with Units(database) as uow:
        order = uow.orders.require(order_id)
        order.lines.append(line)
        uow.session.flush()
        assert line.id is not None
        uow.rollback()
        assert line.id is None
        uow.orders.require(order_id).lines.insert(0, line)
        uow.commit()

    assert skus(stored(database, order_id)) == ["d", "a", "b", "c"]


def test_a_commit_that_fails_takes_the_ids_back(database: Database, order_id: Any) -> None:
    order = an_order("x", "a")
    with pytest.raises(UniqueViolation), Units(database) as uow:
        uow.orders.create_deferred(order)
        uow.commit()
    assert ids_of(order) == [None] * 3
    order.lines.pop()
    with Units(database) as uow:
        uow.orders.create(order)
        uow.commit()

    assert skus(stored(database, order.id)) == ["x"]


def a_new_row() -> Any:
    """Whose keys are given by the database, so that somebody else may get them, too."""
    return OrderModel(customer="mine", lines=[Line(sku="d", remarks=[Remark(text="new")])])


@pytest.mark.parametrize("savepoint", [False, True])
def test_the_children_of_a_row_that_is_created_again_stay_with_it(
    database: Database, savepoint: bool
) -> None:
    order = a_new_row()
    with Units(database) as uow:
        if savepoint:
            with pytest.raises(KeyError), uow.savepoint():
                uow.orders.create(order)
                raise KeyError
        else:
            uow.orders.create(order)
            uow.rollback()
        assert ids_of(order) == [None] * 3
        other = uow.orders.create(an_order("x", "y", customer="other"))
        uow.orders.create(order)
        uow.commit()

    assert shape(stored(database, order.id)) == [("d", 1, ["new"])]
    assert shape(stored(database, other.id)) == [("x", 1, []), ("y", 1, [])]


def test_the_children_of_a_row_stay_with_it_when_its_commit_failed(
    database: Database, order_id: Any
) -> None:
    order = a_new_row()
    order.lines.append(LineModel(sku="a"))
    with pytest.raises(UniqueViolation), Units(database) as uow:
        uow.orders.create(order)
    order.lines.pop()
    with Units(database) as uow:
        other = uow.orders.create(an_order("x", customer="other"))
        uow.orders.create(order)
        uow.commit()

    assert shape(stored(database, order.id)) == [("d", 1, ["new"])]
    assert shape(stored(database, other.id)) == [("x", 1, [])]


def test_new_children_of_a_rolled_back_update_stay_with_their_root(
    database: Database, order_id: Any, load: Any
) -> None:
    order = load(database, order_id)
    order.lines.append(Line(sku="d", remarks=[Remark(text="new")]))
    with Units(database) as uow:
        uow.orders.update(order)
        uow.rollback()
        other = uow.orders.create(an_order("x", "y", customer="other"))
        uow.commit()
    with Units(database) as uow:
        uow.orders.update(order)
        uow.commit()

    assert shape(stored(database, order_id)) == [*BEFORE, ("d", 1, ["new"])]
    assert shape(stored(database, other.id)) == [("x", 1, []), ("y", 1, [])]


def test_a_rolled_back_update_can_be_repeated(
    database: Database, order_id: Any, load: Any, change: Change
) -> None:
    order = load(database, order_id)
    change(order)
    with Units(database) as uow:
        uow.orders.update(order)
        uow.rollback()
        uow.orders.update(order)
        uow.commit()

    assert shape(stored(database, order_id)) == shape(order)


def test_an_update_of_a_failed_savepoint_can_be_repeated_elsewhere(
    database: Database, order_id: Any, load: Any, change: Change
) -> None:
    order = load(database, order_id)
    change(order)
    with Units(database) as uow:
        with pytest.raises(KeyError), uow.savepoint():
            uow.orders.update(order)
            raise KeyError
        uow.commit()
    assert shape(stored(database, order_id)) == BEFORE
    with Units(database) as uow:
        uow.orders.update(order)
        uow.commit()

    assert shape(stored(database, order_id)) == shape(order)


def test_a_rolled_back_update_does_not_hide_a_change_of_somebody_else(
    database: Database, order_id: Any, load: Any
) -> None:
    mine, yours = load(database, order_id), stored(database, order_id)
    mine.lines[0].quantity = 4
    yours.lines[1].quantity = 5
    with Units(database) as uow:
        uow.orders.update(mine)
        uow.rollback()
    with Units(database) as uow:
        uow.orders.update(yours)
        uow.commit()
    with pytest.raises(ConcurrencyConflict), Units(database) as uow:
        uow.orders.update(mine)
        uow.commit()

    assert [line.quantity for line in stored(database, order_id).lines] == [1, 5, 1]


def test_a_rolled_back_update_takes_the_ids_of_new_children_back(
    database: Database, order_id: Any, load: Any
) -> None:
    order = load(database, order_id)
    order.lines.append(Line(sku="d", remarks=[Remark(text="new")]))
    with Units(database) as uow:
        uow.orders.update(order)
        assert order.lines[3].id is not None
        uow.rollback()

    assert (order.lines[3].id, order.lines[3].remarks[0].id) == (None, None)
    assert ids_of(order)[:4] == ids_of(stored(database, order_id))[:4]


def test_a_row_whose_change_was_rolled_back_is_settled(
    database: Database, order_id: Any, change: Change
) -> None:
    with (
        pytest.raises(UnitOfWorkError, match=r"was changed after its transaction"),
        Units(database) as uow,
    ):
        order = uow.orders.require(order_id)
        change(order)
        uow.session.flush()
        uow.rollback()
        assert uow.orders.require(order_id) is not order
        order.customer = "Hedy"
        uow.commit()

    assert shape(stored(database, order_id)) == BEFORE


def test_a_lost_root_does_not_keep_its_table_locked(database: Database, order_id: Any) -> None:
    with pytest.raises(UniqueViolation), Units(database) as uow:
        uow.orders.require(order_id).lines.append(Line(sku="a"))
        uow.commit()
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE aggregates_orders SET customer = 'Grace'"))

    assert stored(database, order_id).customer == "Grace"
