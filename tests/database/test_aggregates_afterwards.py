"""Roots whose transaction has ended: readable, copied, pickled, and not to be changed."""

import contextlib
import copy
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from domain.errors import ReadOnlyViolation, UncommittedChangesWarning, UnitOfWorkError
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
from tests.support import statements

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


def row(database: Database, id: Any) -> Order:
    with Units(database) as uow:
        return uow.orders.require(id)


@pytest.fixture(params=[stored, row], ids=["plain", "row"])
def load(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(params=CHANGES.values(), ids=CHANGES.keys())
def change(request: pytest.FixtureRequest) -> Any:
    return request.param


# -- a change that nobody would store -------------------------------------------------------------


@pytest.mark.parametrize("how", ["loaded", "created", "changed", "updated"])
def test_a_change_after_the_commit_is_refused_at_the_next_one(
    database: Database, order_id: Any, how: str, change: Change
) -> None:
    detached = row(database, order_id)
    with Units(database) as uow:
        if how == "created":
            uow.orders.delete(order_id)
            new = an_order("a", "b", "c")
            new.lines[0].remarks += [Remark(text="one"), Remark(text="two")]
            order = uow.orders.create(new)
        elif how == "updated":
            order = uow.orders.update(detached)
        else:
            order = uow.orders.require(order_id)
        if how == "changed":
            order.lines[0].quantity = 4
            order.lines.reverse()
            order.lines.reverse()
        uow.commit()
        change(order)
        with pytest.raises(UnitOfWorkError, match=r"was changed after its transaction had ended"):
            uow.commit()
        wanted = shape(order)
        uow.orders.update(order)
        uow.commit()

    assert shape(stored(database, order.id)) == wanted


def test_a_change_after_the_commit_is_refused_at_the_end_of_the_block(
    database: Database, order_id: Any, change: Change
) -> None:
    with (
        pytest.raises(UnitOfWorkError, match=r"was changed after its transaction had ended"),
        Units(database) as uow,
    ):
        order = uow.orders.require(order_id)
        uow.commit()
        change(order)

    assert shape(stored(database, order_id)) == BEFORE


def test_a_plain_original_is_not_changed_after_the_commit(database: Database) -> None:
    changes: list[Change] = [
        lambda order: order.lines.append(Line(sku="d")),
        lambda order: order.lines.pop(),
        lambda order: order.lines.reverse(),
        lambda order: setattr(order.lines[1], "quantity", 5),
        lambda order: setattr(order.lines[0].remarks[0], "text", "later"),
    ]
    for change in changes:
        order = an_order("a", "b")
        order.lines[0].remarks.append(Remark(text="one"))
        with (
            pytest.raises(UnitOfWorkError, match=r"was changed after its transaction had ended"),
            Units(database) as uow,
        ):
            uow.orders.create(order)
            uow.commit()
            change(order)
        with Units(database) as uow:
            assert uow.orders.count() == 1
            uow.orders.delete(order.id)
            uow.commit()


def test_changes_after_the_block_are_free(
    database: Database, order_id: Any, load: Any, change: Change
) -> None:
    order = load(database, order_id)
    change(order)
    with Units(database) as uow:
        uow.orders.require(order_id).customer = "Grace"
        uow.commit()

    assert shape(stored(database, order_id)) == BEFORE


def test_leaving_without_a_commit_warns(database: Database, order_id: Any, change: Change) -> None:
    with pytest.warns(UncommittedChangesWarning), Units(database) as uow:
        change(uow.orders.require(order_id))

    assert shape(stored(database, order_id)) == BEFORE


def test_an_order_that_is_restored_is_no_change(database: Database, order_id: Any) -> None:
    with Units(database) as uow:
        order = uow.orders.require(order_id)
        order.lines.reverse()
        order.lines.reverse()
        order.lines.append(order.lines.pop())
        with statements(database) as sent:
            uow.commit()
        assert sent == []
        assert skus(order) == ["a", "b", "c"]


def test_a_change_of_rows_in_a_read_only_unit_is_refused(
    database: Database, order_id: Any, change: Change
) -> None:
    with pytest.raises(ReadOnlyViolation), Units(database, read_only=True) as uow:
        change(uow.order_rows.require(order_id))
    with Units(database, read_only=True) as uow:
        order = uow.order_rows.require(order_id)
        change(order)
        with pytest.raises(ReadOnlyViolation):
            uow.commit()
        uow.rollback()

    assert shape(stored(database, order_id)) == BEFORE


def test_plain_objects_of_a_read_only_unit_are_changed_freely(
    database: Database, order_id: Any, change: Change
) -> None:
    with Units(database, read_only=True) as uow:
        change(uow.orders.require(order_id))
        uow.commit()

    assert shape(stored(database, order_id)) == BEFORE


# -- readable -------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["commit", "rollback", "leave", "fail"])
def test_everything_is_readable_afterwards(database: Database, order_id: Any, how: str) -> None:
    with contextlib.suppress(KeyError), warnings.catch_warnings(), Units(database) as uow:
        warnings.simplefilter("ignore", UncommittedChangesWarning)
        order: Any = uow.orders.require(order_id)
        order.lines.append(Line(sku="d", remarks=[Remark(text="three")]))
        order.lines.remove(order.lines[1])
        uow.session.flush()
        if how == "commit":
            uow.commit()
        elif how == "rollback":
            uow.rollback()
        elif how == "fail":
            raise KeyError

    with statements(database) as sent:
        assert shape(order) == [("a", 1, ["one", "two"]), ("c", 1, []), ("d", 1, ["three"])]
        assert "three" in repr(order)
        assert order.model_dump()["customer"] == "Ada"
    assert sent == []


def test_a_removed_child_is_readable_afterwards(database: Database, order_id: Any) -> None:
    with Units(database) as uow:
        order = uow.orders.require(order_id)
        removed = order.lines.pop(0)
        uow.commit()

    assert (removed.sku, [remark.text for remark in removed.remarks]) == ("a", ["one", "two"])
    assert "'a'" in repr(removed)


# -- copies ---------------------------------------------------------------------------------------

COPIES: dict[str, Callable[[Any], Any]] = {
    "pickle": lambda order: pickle.loads(pickle.dumps(order)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


@pytest.mark.parametrize("how", COPIES.values(), ids=COPIES.keys())
def test_a_copy_holds_the_same_and_can_be_updated(
    database: Database, order_id: Any, load: Any, how: Callable[[Any], Any]
) -> None:
    order = load(database, order_id)
    copied = how(order)
    assert type(copied) is type(order)
    assert (shape(copied), ids_of(copied)) == (BEFORE, ids_of(order))
    assert copied == order

    copied.lines = [*copied.lines[1:], Line(sku="d")]
    assert shape(order) == BEFORE
    with Units(database) as uow:
        uow.orders.update(copied)
        uow.commit()
    assert skus(stored(database, order_id)) == ["b", "c", "d"]


@pytest.mark.parametrize("deep", [False, True])
def test_a_model_copy_has_children_of_its_own(
    database: Database, order_id: Any, deep: bool
) -> None:
    order: Any = row(database, order_id)
    copied = order.model_copy(deep=deep)
    assert type(copied) is OrderModel
    assert shape(copied) == BEFORE

    copied.lines[0].quantity = 5
    copied.lines.append(Line(sku="d"))
    copied.lines[0].remarks.pop()
    assert shape(order) == BEFORE


def test_a_root_is_pickled_inside_its_unit(database: Database, order_id: Any) -> None:
    with Units(database) as uow:
        order = uow.orders.require(order_id)
        copied = pickle.loads(pickle.dumps(order))
        assert {type(line) for line in copied.lines} == {LineModel}
        copied.lines.append(Line(sku="d"))
        assert skus(order) == ["a", "b", "c"]
        uow.commit()

    assert rows_in(database) == (1, 3, 2)
    with Units(database) as uow:
        uow.orders.update(copied)
        uow.commit()
    assert skus(stored(database, order_id)) == ["a", "b", "c", "d"]


def test_a_new_root_is_pickled_before_it_is_stored(database: Database) -> None:
    order = OrderModel(customer="Ada", lines=[Line(sku="a", remarks=[Remark(text="one")])])
    copied = pickle.loads(pickle.dumps(order))
    with Units(database) as uow:
        uow.orders.create(copied)
        uow.commit()

    assert shape(stored(database, copied.id)) == [("a", 1, ["one"])]
