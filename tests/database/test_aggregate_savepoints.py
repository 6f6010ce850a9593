"""What a failed savepoint takes back: children, their order, and their ids."""

from collections.abc import Callable
from typing import Any

import pytest

from domain.errors import UniqueViolation
from infrastructure.database import Database
from tests.database.order_tables import (
    CHANGES,
    ORDERS,
    Line,
    Remark,
    Units,
    an_order,
    ids_of,
    rows_in,
    shape,
    skus,
    stored,
)

pytestmark = pytest.mark.thorough(6)

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


BEFORE = [("a", 1, ["one", "two"]), ("b", 1, []), ("c", 1, [])]


@pytest.fixture(params=CHANGES.values(), ids=CHANGES.keys())
def change(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.mark.parametrize("flushed", [False, True])
def test_a_failed_savepoint_undoes_the_change_in_memory(
    database: Database, order_id: Any, change: Change, flushed: bool
) -> None:
    with Units(database) as uow:
        order: Any = uow.orders.require(order_id)
        held = list(order.lines)
        with pytest.raises(KeyError), uow.savepoint():
            change(order)
            if flushed:
                uow.session.flush()
            raise KeyError
        assert shape(order) == BEFORE
        assert order.customer == "Ada"
        assert order.version == 1
        assert [a is b for a, b in zip(order.lines, held, strict=True)] == [True] * 3
        change(order)
        wanted = shape(order)
        uow.commit()
        assert order.version == 2

    assert shape(stored(database, order_id)) == wanted


REMOVALS: dict[str, Change] = {
    "pop": lambda order: order.lines.pop(1),
    "remove": lambda order: order.lines.remove(order.lines[1]),
    "del": lambda order: order.lines.__delitem__(1),
    "clear": lambda order: order.lines.clear(),
    "replace": lambda order: order.lines.__setitem__(1, Line(sku="d")),
    "assign": lambda order: setattr(order, "lines", [order.lines[0]]),
}


@pytest.mark.parametrize("flushed", [False, True])
@pytest.mark.parametrize("remove", REMOVALS.values(), ids=REMOVALS.keys())
def test_a_child_that_a_failed_savepoint_removed_can_be_changed(
    database: Database, order_id: Any, remove: Change, flushed: bool
) -> None:
    with Units(database) as uow:
        order = uow.orders.require(order_id)
        line = order.lines[1]
        with pytest.raises(KeyError), uow.savepoint():
            remove(order)
            if flushed:
                uow.session.flush()
            raise KeyError
        assert order.lines[1] is line
        line.quantity = 5
        uow.commit()

    assert shape(stored(database, order_id)) == [BEFORE[0], ("b", 5, []), BEFORE[2]]


def test_a_child_that_a_failed_savepoint_removed_can_be_moved(
    database: Database, order_id: Any
) -> None:
    with Units(database) as uow:
        order = uow.orders.require(order_id)
        line, remark = order.lines[0], order.lines[0].remarks[0]
        with pytest.raises(KeyError), uow.savepoint():
            line.remarks.remove(remark)
            order.lines.remove(line)
            raise KeyError
        order.lines.reverse()
        line.remarks.reverse()
        uow.commit()

    assert shape(stored(database, order_id)) == [*BEFORE[:0:-1], ("a", 1, ["two", "one"])]


@pytest.mark.parametrize("flushed", [False, True])
def test_what_was_changed_before_a_failed_savepoint_is_kept(
    database: Database, order_id: Any, change: Change, flushed: bool
) -> None:
    with Units(database) as uow:
        order = uow.orders.require(order_id)
        order.lines.append(Line(sku="before"))
        order.lines[1].quantity = 5
        order.lines.insert(0, order.lines.pop(1))
        wanted = shape(order)
        with pytest.raises(KeyError), uow.savepoint():
            order.lines.pop()
            order.lines[0].remarks.append(Remark(text="gone"))
            order.lines.reverse()
            order.lines.append(Line(sku="gone"))
            if flushed:
                uow.session.flush()
            raise KeyError
        assert shape(order) == wanted
        uow.commit()

    assert shape(stored(database, order_id)) == wanted


def test_a_savepoint_that_succeeds_keeps_the_change(
    database: Database, order_id: Any, change: Change
) -> None:
    with Units(database) as uow:
        order = uow.orders.require(order_id)
        with uow.savepoint():
            change(order)
        wanted = shape(order)
        with pytest.raises(KeyError), uow.savepoint():
            order.lines.append(Line(sku="gone"))
            raise KeyError
        assert shape(order) == wanted
        order.lines.append(Line(sku="e"))
        uow.commit()

    assert shape(stored(database, order_id)) == [*wanted, ("e", 1, [])]


def test_an_inner_savepoint_undoes_its_own_part(database: Database, order_id: Any) -> None:
    with Units(database) as uow:
        order = uow.orders.require(order_id)
        with uow.savepoint():
            order.lines.append(Line(sku="d"))
            with pytest.raises(UniqueViolation), uow.savepoint():
                order.lines.pop(0)
                order.lines.append(Line(sku="b"))
                uow.session.flush()
            assert skus(order) == ["a", "b", "c", "d"]
            order.lines.reverse()
        uow.commit()

    assert skus(stored(database, order_id)) == ["d", "c", "b", "a"]
    assert rows_in(database) == (1, 4, 2)


def test_a_child_of_a_failed_savepoint_can_be_appended_again(
    database: Database, order_id: Any
) -> None:
    line = Line(sku="d", remarks=[Remark(text="new")])
    with Units(database) as uow:
        order = uow.orders.require(order_id)
        with pytest.raises(KeyError), uow.savepoint():
            order.lines.append(line)
            uow.session.flush()
            assert line.id is not None
            raise KeyError
        assert (line.id, line.remarks[0].id) == (None, None)
        line.quantity = 3
        order.lines.insert(0, line)
        uow.commit()

    assert shape(stored(database, order_id)) == [("d", 3, ["new"]), *BEFORE]
    assert line.id == stored(database, order_id).lines[0].id


def test_a_root_of_a_failed_savepoint_can_be_created_again(database: Database) -> None:
    order = an_order("a", "b")
    order.lines[0].remarks.append(Remark(text="one"))
    with Units(database) as uow:
        with pytest.raises(KeyError), uow.savepoint():
            uow.orders.create(order)
            raise KeyError
        assert ids_of(order) == [None] * 4
        order.lines.pop()
        order.lines[0].quantity = 2
        uow.orders.create(order)
        uow.commit()

    assert shape(stored(database, order.id)) == [("a", 2, ["one"])]
    assert rows_in(database) == (1, 1, 1)


def test_a_root_that_a_failed_savepoint_deleted_is_there(
    database: Database, order_id: Any, change: Change
) -> None:
    with Units(database) as uow:
        order = uow.orders.require(order_id)
        with pytest.raises(KeyError), uow.savepoint():
            change(order)
            uow.orders.delete(order)
            raise KeyError
        order = uow.orders.require(order_id)
        assert shape(order) == BEFORE
        change(order)
        wanted = shape(order)
        uow.commit()

    assert shape(stored(database, order_id)) == wanted
