"""The example with an aggregate: its program, its purity, its adapters on each database."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from orders import OrderLineModel, OrderModel, OrderRow, Shop
from orders_domain import Money, Order, OrderLine

from domain import where
from domain.errors import ConcurrencyConflict, ValidationError
from infrastructure.database import Database
from tests.support import statements

ROOT = Path(__file__).parent.parent
PRICE = Money(Decimal("2.50"))


@pytest.fixture
def tables() -> list[Any]:
    return [OrderModel, OrderLineModel]


@pytest.fixture
def order_id(database: Database) -> int:
    order = Order(customer="Ada")
    for sku in ("a", "b", "c"):
        order.add(sku, 1, PRICE)
    with Shop(database) as uow:
        uow.orders.create(order)
        uow.commit()
    assert order.id is not None
    return order.id


def stored(database: Database, id: int) -> Order:
    with Shop(database, read_only=True) as uow:
        return uow.orders.require(id)


# -- the program and the domain --------------------------------------------------------------


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def program_url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(f"{request.param}_url"))


def test_the_program_tells_what_happens(program_url: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "examples" / "orders.py")],
        check=False,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "DATABASE_URL": program_url},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "order 1 of Ada Lovelace: 200 CARD-80, 3 GEAR-12: 274.50 EUR",
        "now OIL-1, GEAR-12: 175.99 EUR",
        "Order is not valid: lines: cost more than 10000; make two orders",
        "Order 1 was changed by somebody else; load it again and repeat the change",
        "1 Ada Lovelace",
    ]


def test_the_tests_of_its_domain_load_the_standard_library_alone() -> None:
    program = """
import json, sys, unittest
sys.path[:0] = [sys.argv[1], sys.argv[1] + "/examples", sys.argv[1] + "/tests"]
run = unittest.main("test_orders_domain", argv=["test"], exit=False).result
names = sorted({name.partition(".")[0] for name in sys.modules})
print(json.dumps([run.testsRun, run.wasSuccessful(), names]))
"""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, str(ROOT)],
        capture_output=True,
        text=True,
        check=True,
    )
    ran, successful, names = json.loads(done.stdout)
    ours = {"domain", "orders_domain", "test_orders_domain"}
    assert (ran, successful) == (8, True)
    assert set(names) <= sys.stdlib_module_names | ours | {"__main__"}


# -- the adapters -----------------------------------------------------------------------------


def test_what_its_methods_do_is_stored(database: Database, order_id: int) -> None:
    with Shop(database) as uow:
        order = uow.orders.require(order_id)
        order.add("d", 2, Money(Decimal("0.99")))
        order.change("b", 5)
        order.remove("a")
        order.move("d", to=0)
        uow.commit()

    lines = stored(database, order_id).lines
    assert [(line.sku, line.quantity) for line in lines] == [("d", 2), ("b", 5), ("c", 1)]
    assert lines[0].price == Money(Decimal("0.99"))
    assert all(type(line) is OrderLine for line in lines)


def test_a_refused_change_leaves_the_order_as_it_was(database: Database, order_id: int) -> None:
    with Shop(database) as uow:
        order = uow.orders.require(order_id)
        with pytest.raises(ValidationError):
            order.add("a", 1, PRICE)
        with pytest.raises(ValidationError):
            order.change("a", 10_000)
        uow.commit()

    lines = stored(database, order_id).lines
    assert [(line.sku, line.quantity) for line in lines] == [("a", 1), ("b", 1), ("c", 1)]


def test_users_who_change_different_lines_conflict(database: Database, order_id: int) -> None:
    mine, yours = stored(database, order_id), stored(database, order_id)
    mine.change("a", 2)
    yours.change("b", 3)
    with Shop(database) as uow:
        uow.orders.update(mine)
        uow.commit()
    with Shop(database) as uow, pytest.raises(ConcurrencyConflict, match=f"Order {order_id}"):
        uow.orders.update(yours)

    assert [line.quantity for line in stored(database, order_id).lines] == [2, 1, 1]


def test_a_hundred_orders_of_ten_lines_are_read_in_two_statements(database: Database) -> None:
    with Shop(database) as uow:
        uow.orders.create_many(
            Order(
                customer=f"customer {n % 10}",
                lines=[OrderLine(sku=str(k), quantity=1, price=PRICE) for k in range(10)],
            )
            for n in range(100)
        )
        uow.commit()
    for read_only in (False, True):
        with Shop(database, read_only=read_only) as uow, statements(database) as sent:
            orders = uow.orders.get_all()
            assert [len(order.lines) for order in orders] == [10] * 100
        assert len(sent) == 2
    with Shop(database, read_only=True) as uow:
        assert len(uow.orders.of_customer("customer 3")) == 10


def test_a_list_of_orders_reads_no_lines(database: Database, order_id: int) -> None:
    with Shop(database, read_only=True) as uow, statements(database) as sent:
        rows = uow.orders.view(OrderRow, where("customer").startswith("A"))
    assert rows == [OrderRow(id=order_id, customer="Ada")]
    assert len(sent) == 1
    assert "lines" not in sent[0]


def test_an_order_is_deleted_with_its_lines(database: Database, order_id: int) -> None:
    with Shop(database) as uow:
        uow.orders.delete(order_id)
        uow.commit()
    with database.engine.connect() as connection:
        assert connection.execute(OrderLineModel.__table__.select()).all() == []  # type: ignore[attr-defined]
