"""Roots from elsewhere, plain ones and rows, whose children were changed: update() stores them."""

from collections.abc import Callable
from typing import Any

import pytest

from domain import where
from domain.errors import ConcurrencyConflict, EntityNotFound, UnitOfWorkError, ValidationError
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
    rows_in,
    skus,
    stored,
)
from tests.support import statements

pytestmark = pytest.mark.thorough(6)

Load = Callable[[Database, Any], Any]
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
    """A row whose unit was left."""
    with Units(database) as uow:
        return uow.orders.require(id)


@pytest.fixture(params=[stored, row], ids=["plain", "row"])
def load(request: pytest.FixtureRequest) -> Any:
    """How a root from elsewhere is come by."""
    return request.param


def shape(order: Order) -> list[Any]:
    lines = order.lines
    return [(o.id, o.sku, o.quantity, [(r.id, r.text) for r in o.remarks]) for o in lines]


WAYS: dict[str, Change] = {
    **CHANGES,
    "added with a remark": lambda order: order.lines.insert(
        1, Line(sku="d", remarks=[Remark(text="new")])
    ),
    "a row added": lambda order: order.lines.append(LineModel(sku="d")),
    "a grandchild added": lambda order: order.lines[1].remarks.append(Remark(text="new")),
    "nothing": lambda order: None,
}


@pytest.fixture(params=WAYS.values(), ids=WAYS.keys())
def change(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_update_stores_a_changed_root_again_and_again(
    database: Database, order_id: Any, load: Load, change: Change
) -> None:
    order = load(database, order_id)
    change(order)
    with Units(database) as uow:
        row = uow.orders.update(order)
        assert shape(row) == shape(order)
        uow.commit()
    assert None not in [line.id for line in order.lines]
    assert shape(stored(database, order_id)) == shape(order)
    assert stored(database, order_id).customer == order.customer

    order.lines.insert(0, Line(sku="e"))
    for line in order.lines:
        line.quantity += 1
    with Units(database) as uow:
        uow.orders.update(order)
        uow.commit()
    assert shape(stored(database, order_id)) == shape(order)


def test_update_stores_a_row_of_a_read_only_unit(database: Database, order_id: Any) -> None:
    with Units(database, read_only=True) as uow:
        order = uow.order_rows.require(order_id)
    CHANGES["all at once"](order)
    with Units(database) as uow:
        uow.order_rows.update(order)
        uow.commit()

    assert skus(stored(database, order_id)) == ["c", "a", "d"]


def test_update_twice_in_one_unit(database: Database, order_id: Any, load: Load) -> None:
    order = load(database, order_id)
    order.lines.append(Line(sku="d"))
    with Units(database) as uow:
        uow.orders.update(order)
        order.lines.append(Line(sku="e"))
        order.lines[0].remarks.pop()
        row = uow.orders.update(order)
        assert [line.id for line in order.lines] == [line.id for line in row.lines]
        uow.commit()

    assert skus(stored(database, order_id)) == ["a", "b", "c", "d", "e"]
    assert shape(stored(database, order_id)) == shape(order)


def test_update_over_a_root_that_the_unit_has_loaded(
    database: Database, order_id: Any, load: Load, change: Change
) -> None:
    order = load(database, order_id)
    change(order)
    with Units(database) as uow:
        loaded = uow.orders.require(order_id)
        assert uow.orders.update(order) is loaded
        assert shape(loaded) == shape(order)
        uow.commit()

    assert shape(stored(database, order_id)) == shape(order)


def test_update_over_a_root_with_changed_children_is_refused(
    database: Database, order_id: Any, load: Load, change: Change
) -> None:
    order = load(database, order_id)
    with Units(database) as uow:
        loaded = uow.orders.require(order_id)
        change(loaded)
        wanted = [line.sku for line in loaded.lines]
        if change is not WAYS["nothing"]:
            with pytest.raises(UnitOfWorkError, match="has changes of its own"):
                uow.orders.update(order)
        uow.commit()

    assert skus(stored(database, order_id)) == wanted


def test_an_older_root_is_refused(
    database: Database, order_id: Any, load: Load, change: Change
) -> None:
    order = load(database, order_id)
    with Units(database) as uow:
        uow.orders.require(order_id).lines[1].quantity = 3
        uow.commit()
    change(order)
    with Units(database) as uow:
        with pytest.raises(ConcurrencyConflict, match=f"Order {order_id}"):
            uow.orders.update(order)
        uow.rollback()

    assert [line.quantity for line in stored(database, order_id).lines] == [1, 3, 1]


def test_a_root_that_was_deleted_is_not_found(
    database: Database, order_id: Any, load: Load
) -> None:
    order = load(database, order_id)
    with Units(database) as uow:
        uow.orders.delete(order_id)
        uow.commit()
        with pytest.raises(EntityNotFound):
            uow.orders.update(order)

    assert rows_in(database) == (0, 0, 0)


@pytest.mark.parametrize("id", [4711, -1])
def test_a_child_that_is_not_stored_is_refused(
    database: Database, order_id: Any, load: Load, id: int
) -> None:
    order = load(database, order_id)
    order.lines.append(Line(sku="d", id=id))
    order.lines[0].quantity = 5
    with Units(database) as uow:
        with pytest.raises(ValidationError, match=rf"^Order.*lines: Line {id} is not among"):
            uow.orders.update(order)
        uow.commit()
        assert [line.quantity for line in stored(database, order_id).lines] == [1, 1, 1]


@pytest.mark.parametrize("how", ["plain", "row", "only its id"])
def test_a_child_of_another_root_is_refused(
    database: Database, order_id: Any, load: Load, how: str
) -> None:
    with Units(database) as uow:
        other = uow.orders.create(an_order("x", "y"))
        uow.commit()
    foreign = {
        "plain": lambda: stored(database, other.id).lines[0],
        "row": lambda: row(database, other.id).lines[0],
        "only its id": lambda: Line(sku="stolen", id=other.lines[0].id),
    }[how]()
    order = load(database, order_id)
    with Units(database) as uow:
        with pytest.raises(ValidationError, match=r"^Order.*lines: .* (is not among|belongs to)"):
            order.lines.append(foreign)
            uow.orders.update(order)
        uow.commit()

    assert skus(stored(database, other.id)) == ["x", "y"]
    assert skus(stored(database, order_id)) == ["a", "b", "c"]


def test_a_child_that_somebody_removed_is_not_stored_again(
    database: Database, order_id: Any, load: Load
) -> None:
    order = load(database, order_id)
    line = order.lines[1]
    order.lines.remove(line)
    with Units(database) as uow:
        uow.orders.update(order)
        uow.commit()
    with Units(database) as uow:
        with pytest.raises(ValidationError, match=r"lines: Line \d+ .*was removed"):
            order.lines.append(line)
            uow.orders.update(order)
        uow.rollback()

    assert skus(stored(database, order_id)) == ["a", "c"]


def test_a_child_with_a_mistake_changes_nothing(
    database: Database, order_id: Any, load: Load
) -> None:
    order = load(database, order_id)
    order.customer = "Grace"
    order.lines.pop(0)
    wrong: Any = order.lines[1]
    wrong.sku = "x" * 30
    with Units(database) as uow:
        loaded = uow.orders.require(order_id)
        with (
            statements(database) as sent,
            pytest.raises(ValidationError, match=r"^Line.*sku.*at most 20"),
        ):
            uow.orders.update(order)
        assert sent == []
        assert (loaded.customer, skus(loaded)) == ("Ada", ["a", "b", "c"])
        uow.commit()
        wrong.sku = "x"
        uow.orders.update(order)
        uow.commit()

    assert skus(stored(database, order_id)) == ["b", "x"]


LATER: dict[str, Change] = {
    "root": lambda order: setattr(order, "customer", "Grace"),
    "child": lambda order: setattr(order.lines[0], "quantity", 9),
    "grandchild": lambda order: setattr(order.lines[0].remarks[0], "text", "later"),
    "append": lambda order: order.lines.append(Line(sku="e")),
    "remove": lambda order: order.lines.pop(),
    "reorder": lambda order: order.lines.reverse(),
    "append to a child": lambda order: order.lines[1].remarks.append(Remark(text="later")),
}


@pytest.fixture(params=LATER.values(), ids=LATER.keys())
def later(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_a_change_after_update_is_refused(
    database: Database, order_id: Any, load: Load, later: Change
) -> None:
    order = load(database, order_id)
    order.lines.append(Line(sku="d", remarks=[Remark(text="new")]))
    with Units(database) as uow:
        uow.orders.update(order)
        later(order)
        with pytest.raises(UnitOfWorkError, match=r"changed afterwards.*update\(\)"):
            uow.commit()
        uow.orders.update(order)
        uow.commit()

    assert shape(stored(database, order_id)) == shape(order)


@pytest.mark.parametrize("level", ["child", "grandchild"])
def test_a_change_of_a_new_child_after_update_is_not_lost(
    database: Database, order_id: Any, load: Load, level: str
) -> None:
    order = load(database, order_id)
    order.lines.append(Line(sku="d", remarks=[Remark(text="new")]))
    with Units(database) as uow:
        row = uow.orders.update(order)
        line, tracked = order.lines[3], row.lines[3]
        if level == "child":
            line.quantity, same = 9, line is tracked
        else:
            line.remarks[0].text, same = "later", line.remarks[0] is tracked.remarks[0]
        if not same:
            with pytest.raises(UnitOfWorkError, match=r"changed afterwards.*update\(\)"):
                uow.commit()
            uow.orders.update(order)
        uow.commit()

    assert shape(stored(database, order_id)) == shape(order)


def test_a_change_after_update_and_commit_is_refused(
    database: Database, order_id: Any, load: Load, later: Change
) -> None:
    order = load(database, order_id)
    order.lines.append(Line(sku="d", remarks=[Remark(text="new")]))
    with Units(database) as uow:
        uow.orders.update(order)
        uow.commit()
        later(order)
        with pytest.raises(UnitOfWorkError, match=r"was changed after its transaction"):
            uow.commit()
        uow.orders.update(order)
        uow.commit()

    assert shape(stored(database, order_id)) == shape(order)


def test_a_child_of_a_detached_row_gets_its_ids(database: Database, order_id: Any) -> None:
    line = Line(sku="d", remarks=[Remark(text="new")])
    order = row(database, order_id)
    order.lines.append(line)
    with Units(database) as uow:
        uow.orders.update(order)
        uow.commit()

    again = stored(database, order_id).lines[3]
    assert (line.id, line.remarks[0].id) == (again.id, again.remarks[0].id)


def test_a_child_of_a_detached_row_is_not_changed_in_vain(
    database: Database, order_id: Any
) -> None:
    line = Line(sku="d")
    order = row(database, order_id)
    order.lines.append(line)
    line.quantity = 9
    with Units(database) as uow:
        with pytest.raises(UnitOfWorkError, match="changed afterwards"):
            uow.orders.update(order)
            uow.commit()
        uow.rollback()

    assert skus(stored(database, order_id)) == ["a", "b", "c"]


def test_a_root_without_a_version_of_its_own_says_how_to_load_it(
    database: Database, order_id: Any
) -> None:
    order = Order(id=order_id, customer="Grace", lines=[])
    with Units(database) as uow:
        with pytest.raises(UnitOfWorkError, match="version"):
            uow.orders.update(order)
        uow.commit()

    assert rows_in(database) == (1, 3, 2)


def test_changes_by_id_name_no_children(database: Database, order_id: Any) -> None:
    with Units(database) as uow:
        with pytest.raises(ValidationError, match="lines: is a relationship"):
            uow.orders.update(order_id, lines=[])
        with pytest.raises(ValidationError, match="lines: is a relationship"):
            uow.orders.update_where(where("id") == order_id, lines=[])
        uow.orders.update(order_id, customer="Grace")
        uow.commit()

    assert rows_in(database) == (1, 3, 2)


def test_a_row_made_by_hand_replaces_the_children(database: Database, order_id: Any) -> None:
    order = OrderModel(id=order_id, version=1, customer="Grace", lines=[Line(sku="x")])
    with Units(database) as uow:
        uow.orders.update(order)
        uow.commit()

    assert skus(stored(database, order_id)) == ["x"]
    assert rows_in(database) == (1, 1, 0)
