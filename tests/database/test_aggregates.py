"""Roots in units of work: created and read as one whole."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel

from domain import where
from domain.errors import (
    UniqueViolation,
    UnitOfWorkError,
    ValidationError,
)
from infrastructure.database import Database
from tests.database.order_tables import (
    ORDERS,
    Bag,
    BagModel,
    BagPieceModel,
    Line,
    LineModel,
    Order,
    OrderModel,
    Piece,
    Remark,
    Units,
    an_order,
    rows_in,
    skus,
    stored,
)
from tests.support import statements

pytestmark = pytest.mark.thorough


class LineSchema(BaseModel):
    sku: str
    quantity: int = 1


class OrderSchema(BaseModel):
    customer: str
    lines: list[LineSchema] = []


@pytest.fixture
def tables() -> list[Any]:
    return [*ORDERS, BagModel, BagPieceModel]


@pytest.fixture
def order_id(database: Database) -> int:
    with Units(database) as uow:
        order = uow.orders.create(an_order("a", "b", "c"))
        order.lines[0].remarks.append(Remark(text="fragile"))
        uow.commit()
    return order.id or 0


# -- create -------------------------------------------------------------------------------------

GIVEN: dict[str, Callable[[], Any]] = {
    "plain": lambda: an_order("x", "y"),
    "plain with rows": lambda: Order(customer="Ada", lines=[LineModel(sku="x"), Line(sku="y")]),
    "mapping": lambda: {"customer": "Ada", "lines": [{"sku": "x"}, {"sku": "y"}]},
    "mapping with objects": lambda: {"customer": "Ada", "lines": [Line(sku="x"), {"sku": "y"}]},
    "mapping with a tuple": lambda: {"customer": "Ada", "lines": ({"sku": "x"}, {"sku": "y"})},
    "schema": lambda: OrderSchema(customer="Ada", lines=[LineSchema(sku="x"), LineSchema(sku="y")]),
    "row": lambda: OrderModel(customer="Ada", lines=[LineModel(sku="x"), LineModel(sku="y")]),
    "row with objects": lambda: OrderModel(customer="Ada", lines=[Line(sku="x"), Line(sku="y")]),
}


@pytest.fixture(params=GIVEN.values(), ids=GIVEN.keys())
def given(request: pytest.FixtureRequest) -> Any:
    return request.param()


def test_a_root_is_created_of_whatever_holds_children(database: Database, given: Any) -> None:
    with Units(database) as uow:
        order = uow.orders.create(given)
        assert order.id is not None
        assert None not in [line.id for line in order.lines]
        uow.commit()

    assert type(order) is OrderModel
    assert {type(line) for line in order.lines} == {LineModel}
    assert skus(stored(database, order.id)) == ["x", "y"]


def test_many_roots_are_created_of_whatever_holds_children(database: Database, given: Any) -> None:
    with Units(database) as uow:
        first, second = uow.orders.create_many([given, an_order("z")])
        uow.commit()

    assert [skus(stored(database, order.id)) for order in (first, second)] == [["x", "y"], ["z"]]


def test_a_root_waits_with_its_children(database: Database, given: Any) -> None:
    with Units(database) as uow:
        with statements(database) as sent:
            order = uow.orders.create_deferred(given)
        assert sent == []
        order.lines.append(Line(sku="z"))
        order.lines.reverse()
        uow.commit()

    assert skus(stored(database, order.id)) == ["z", "y", "x"]


def test_plain_originals_get_their_ids(database: Database) -> None:
    order = an_order("x", "y")
    order.lines[1].remarks.append(Remark(text="soon"))
    with Units(database) as uow:
        row = uow.orders.create(order)
        uow.commit()

    assert order.id == row.id
    assert [line.id for line in order.lines] == [line.id for line in row.lines]
    assert order.lines[1].remarks[0].id == row.lines[1].remarks[0].id is not None
    assert type(order.lines) is list
    assert type(order.lines[0]) is Line


def test_plain_originals_get_their_ids_when_they_waited(database: Database) -> None:
    order = an_order("x", "y")
    with Units(database) as uow:
        uow.orders.create_deferred(order)
        assert order.lines[0].id is None
        uow.commit()

    assert [line.id for line in stored(database, order.id).lines] == [
        line.id for line in order.lines
    ]


def test_ids_that_are_given_are_kept(database: Database) -> None:
    order = Order(id=70, customer="Ada", lines=[Line(id=9, sku="x"), Line(sku="y")])
    order.lines += [Line(id=4, sku="z")]
    with Units(database) as uow:
        uow.orders.create(order)
        uow.commit()

    again = stored(database, 70)
    assert skus(again) == ["x", "y", "z"]
    assert [line.id for line in again.lines] == [line.id for line in order.lines]
    assert (order.lines[0].id, order.lines[2].id) == (9, 4)


def test_a_waiting_root_that_is_deleted_takes_its_children_along(database: Database) -> None:
    order = an_order("x", "y")
    with Units(database) as uow:
        row = uow.orders.create_deferred(order)
        uow.orders.delete(row)
        uow.commit()
        uow.orders.create(order)
        uow.commit()

    assert rows_in(database) == (1, 2, 0)


def test_one_plain_root_is_not_created_twice(database: Database) -> None:
    order = an_order("x")
    with Units(database) as uow:
        with pytest.raises((UnitOfWorkError, ValidationError)):
            uow.orders.create_many([order, order])
        uow.orders.create(an_order("y"))
        uow.commit()

    assert rows_in(database) == (1, 1, 0)


def test_two_plain_roots_do_not_share_a_child(database: Database) -> None:
    line = Line(sku="x")
    orders = [Order(customer="Ada", lines=[line]), Order(customer="Grace", lines=[line])]
    with Units(database) as uow:
        with pytest.raises((UnitOfWorkError, ValidationError)):
            uow.orders.create_many(orders)
        uow.commit()

    assert rows_in(database) == (0, 0, 0)
    assert line.id is None


@pytest.mark.parametrize("method", ["create", "create_many", "create_deferred"])
def test_a_child_that_breaks_a_rule_leaves_nothing(database: Database, method: str) -> None:
    bad = an_order("x", "y")
    bad.lines[1].quantity = 0
    given: Any = [an_order("z"), bad] if method == "create_many" else bad
    with Units(database) as uow:
        with (
            statements(database) as sent,
            pytest.raises(ValidationError, match=r"quantity: must be at least 1"),
        ):
            getattr(uow.orders, method)(given)
        assert sent == []
        uow.commit()
        assert (bad.id, bad.lines[0].id) == (None, None)
        bad.lines[1].quantity = 2
        uow.orders.create(bad)
        uow.commit()

    assert rows_in(database) == (1, 2, 0)


@pytest.mark.parametrize("method", ["create", "create_many", "create_deferred", "append"])
def test_a_commit_that_fails_at_the_last_child_leaves_nothing(
    database: Database, order_id: int, method: str
) -> None:
    bad = an_order("x", "y", "c")
    with pytest.raises(UniqueViolation) as caught, Units(database) as uow:
        if method == "append":
            order = uow.orders.create(an_order("x", "y"))
            order.lines.append(Line(sku="c"))
        elif method == "create_many":
            uow.orders.create_many([an_order("w"), bad])
        else:
            getattr(uow.orders, method)(bad)
        uow.commit()

    assert (caught.value.entity, caught.value.fields) == ("Line", ("sku",))
    assert rows_in(database) == (1, 3, 1)
    assert [bad.id, *(line.id for line in bad.lines)] == [None] * 4


# -- read ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("read_only", [False, True])
def test_reading_a_hundred_roots_takes_two_statements(database: Database, read_only: bool) -> None:
    wanted = [[f"{n}-{m}" for m in range(10)] for n in range(100)]
    with Units(database) as uow:
        uow.bags.create_many(Bag(pieces=[Piece(name=name) for name in names]) for names in wanted)
        uow.commit()
    with Units(database, read_only=read_only) as uow, statements(database) as sent:
        bags = uow.bags.get_all(order_by="id")
        assert [[piece.name for piece in bag.pieces] for bag in bags] == wanted
        assert len(sent) == 2
        assert uow.bags.get_by_id(bags[7].id) is bags[7]
        assert len(sent) == 2


@pytest.mark.parametrize("read_only", [False, True])
def test_one_root_takes_two_statements(database: Database, read_only: bool) -> None:
    with Units(database) as uow:
        id = uow.bags.create(Bag(pieces=[Piece(name="a")])).id
        uow.commit()
    with Units(database, read_only=read_only) as uow, statements(database) as sent:
        assert [piece.name for piece in uow.bags.require(id).pieces] == ["a"]
        assert len(sent) == 2


@pytest.mark.parametrize("read_only", [False, True])
def test_a_stream_has_the_children(database: Database, order_id: int, read_only: bool) -> None:
    with Units(database) as uow:
        uow.orders.create_many(an_order(f"x{n}") for n in range(5))
        uow.commit()
    with Units(database, read_only=read_only) as uow:
        streamed = [skus(order) for order in uow.orders.stream(batch_size=2)]

    assert streamed == [["a", "b", "c"], *([f"x{n}"] for n in range(5))]


def test_a_root_that_is_loaded_is_not_read_again(database: Database, order_id: int) -> None:
    for read_only in (False, True):
        with Units(database, read_only=read_only) as uow:
            with statements(database) as sent:
                order = uow.orders.require(order_id)
                assert skus(order) == ["a", "b", "c"]
            assert len(sent) == 3
            with statements(database) as sent:
                assert uow.orders.get_by_id(order_id) is order
                assert uow.orders.get_many([order_id]) == [order]
                assert order.lines[0].remarks[0].text == "fragile"
            assert sent == []


def test_many_roots_come_in_the_order_asked(database: Database, order_id: int) -> None:
    with Units(database) as uow:
        second = uow.orders.create(an_order("x"))
        uow.commit()
    with Units(database, read_only=True) as uow:
        found = uow.orders.get_many([second.id, 999, order_id, second.id])

    assert [skus(order) for order in found] == [["x"], ["a", "b", "c"], ["x"]]
    assert found[0] is found[2]


def test_for_update_reads_the_children_again(shared_database: Database) -> None:
    database = shared_database
    with Units(database) as uow:
        id = uow.orders.create(an_order("a", "b")).id
        uow.commit()
    with Units(database) as uow:
        order = uow.orders.require(id)
        uow.session.connection().exec_driver_sql(
            "UPDATE aggregates_lines SET quantity = 7 WHERE sku = 'b'"
        )
        uow.session.connection().exec_driver_sql("DELETE FROM aggregates_lines WHERE sku = 'a'")
        again = uow.orders.require(id, for_update=True)
        assert again is order
        assert [(line.sku, line.quantity) for line in order.lines] == [("b", 7)]
        order.lines[0].quantity = 8
        uow.commit()

    assert [line.quantity for line in stored(database, id).lines] == [8]


def test_for_update_stores_what_waits_before_it_reads_again(
    database: Database, order_id: int
) -> None:
    with Units(database) as uow:
        order = uow.orders.require(order_id)
        order.lines[0].quantity = 5
        order.lines.append(Line(sku="d"))
        order.lines.insert(0, order.lines.pop(2))
        assert uow.orders.require(order_id, for_update=True) is order
        assert skus(order) == ["c", "a", "b", "d"]
        uow.commit()

    assert [(line.sku, line.quantity) for line in stored(database, order_id).lines] == [
        ("c", 1),
        ("a", 5),
        ("b", 1),
        ("d", 1),
    ]


def test_a_read_only_unit_gives_plain_objects_all_the_way(
    database: Database, order_id: int
) -> None:
    with Units(database, read_only=True) as uow:
        orders = [
            uow.orders.require(order_id),
            uow.orders.one(where("customer") == "Ada"),
            *uow.orders.get_all(),
            *uow.orders.page().items,
        ]

    for order in orders:
        assert type(order) is Order
        assert type(order.lines) is list
        assert {type(line) for line in order.lines} == {Line}
        assert type(order.lines[0].remarks[0]) is Remark
        assert set(vars(order.lines[0])) == {"sku", "quantity", "remarks", "id"}


def test_specifications_ask_for_fields_of_the_root(database: Database, order_id: int) -> None:
    with Units(database) as uow:
        uow.orders.create_many([an_order("x", customer="Grace"), an_order("y", customer="Grace")])
        uow.commit()
        assert uow.orders.count(where("customer") == "Grace") == 2
        assert [skus(o) for o in uow.orders.get_all(where("customer") != "Grace")] == [
            ["a", "b", "c"]
        ]
        page = uow.orders.page(where("customer") == "Grace", order_by="-id", size=1)
        assert (skus(page.items[0]), page.total) == (["y"], 2)
        for wrong in ("lines", "sku", "position", "lines.sku"):
            with pytest.raises(ValidationError, match=wrong):
                uow.orders.get_all(where(wrong) == 1)
            with pytest.raises(ValidationError, match=wrong):
                uow.orders.get_all(order_by=wrong)
