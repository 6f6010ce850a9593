"""For any aggregate: what was not changed stays as it was, and the list is that of Python."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from orders import OrderLineModel, OrderModel, Shop
from orders_domain import Money, Order, OrderLine

from infrastructure.database import Database
from tests.database.aggregate_tables import TABLES, Units
from tests.database.aggregates import Basket, Item, Part, shape

EXAMPLES = 25
SOAK = 500

words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)
names = words.filter(str.strip)
prices = st.decimals(0, 20, places=2).map(Money)
lines = st.builds(OrderLine, sku=names, quantity=st.integers(1, 40), price=prices)
orders = st.builds(
    Order, customer=names, lines=st.lists(lines, max_size=6, unique_by=lambda line: line.sku)
)
items = st.builds(
    Item,
    name=words,
    amount=st.integers(-(2**31), 2**31 - 1),
    tags=st.lists(words, max_size=3),
    parts=st.lists(st.builds(Part, name=words), max_size=3),
)


@pytest.fixture
def tables() -> list[Any]:
    return [OrderModel, OrderLineModel, *TABLES]


def many(soak: bool) -> Callable[[Any], Any]:
    return settings(
        max_examples=SOAK if soak else EXAMPLES,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


def everything(order: Order) -> dict[Any, Any]:
    """Each field of the root and of its lines, by where it is."""
    fields: dict[Any, Any] = {"customer": order.customer, "currency": order.currency}
    for at, line in enumerate(order.lines):
        fields |= {(at, "sku"): line.sku, (at, "quantity"): line.quantity}
        fields |= {(at, "price"): line.price, (at, "id"): line.id}
    return fields


NEW = {
    "customer": "Somebody else",
    "currency": "USD",
    "sku": "another sku",
    "quantity": 41,
    "price": Money(Decimal("20.01")),
}


@pytest.mark.parametrize("plain", [False, True], ids=["tracked", "plain"])
def test_one_changed_field_keeps_all_others(database: Database, plain: bool, soak: bool) -> None:
    @many(soak)
    @given(order=orders, data=st.data())
    def holds(order: Order, data: st.DataObject) -> None:
        with Shop(database) as uow:
            uow.orders.create(order)
            uow.commit()
        expected = everything(order)
        where = data.draw(st.sampled_from([w for w in expected if "id" not in w]))
        with Shop(database, read_only=plain) as uow:
            loaded = uow.orders.require(order.id)
            assert everything(loaded) == expected
            target: Any = loaded if isinstance(where, str) else loaded.lines[where[0]]
            name = where if isinstance(where, str) else where[1]
            setattr(target, name, NEW[name])
            if not plain:
                uow.commit()
        if plain:
            with Shop(database) as uow:
                uow.orders.update(loaded)
                uow.commit()
        with Shop(database, read_only=True) as uow:
            assert everything(uow.orders.require(order.id)) == expected | {where: NEW[name]}

    holds()


OPERATIONS: dict[str, Callable[[list[Item], Item, int], Any]] = {
    "append": lambda held, new, at: held.append(new),
    "insert": lambda held, new, at: held.insert(at % (len(held) + 1), new),
    "pop": lambda held, new, at: held.pop(at % len(held)) if held else None,
    "set": lambda held, new, at: held.__setitem__(at % len(held), new) if held else None,
    "sort": lambda held, new, at: held.sort(key=lambda item: (item.amount, item.name)),
    "reverse": lambda held, new, at: held.reverse(),
    "cut": lambda held, new, at: held.__delitem__(slice(at % (len(held) + 1), None)),
    "slice": lambda held, new, at: held.__setitem__(slice(at % (len(held) + 1), None), [new]),
    "move": lambda held, new, at: held.insert(0, held.pop(at % len(held))) if held else None,
}
"""What one does with a list; ``at`` is any whole number."""


def test_any_list_operations_do_what_python_does(database: Database, soak: bool) -> None:
    steps = st.lists(
        st.tuples(st.sampled_from(sorted(OPERATIONS)), st.integers(0, 9), items, st.booleans()),
        max_size=8,
    )

    @many(soak)
    @given(first=st.lists(items, max_size=4), steps=steps)
    def holds(first: list[Item], steps: list[Any]) -> None:
        number = 0

        def named(item: Item) -> Item:
            nonlocal number  # names are unique in the table
            number += 1
            parts = [Part(name=part.name) for part in item.parts]
            tags = list(item.tags)
            return Item(name=f"{number}", amount=item.amount, tags=tags, parts=parts)

        with Units(database) as uow:
            for basket in uow.baskets.get_all():
                uow.baskets.delete(basket)
            stored = uow.baskets.create(Basket(items=[named(item) for item in first]))
            number = 0
            model = Basket(items=[named(item) for item in first])
            for name, at, item, flush in steps:
                before = number
                OPERATIONS[name](stored.items, named(item), at)
                number = before
                OPERATIONS[name](model.items, named(item), at)
                if flush:
                    uow.session.flush()
            assert shape(stored) == shape(model)
            uow.commit()
        with Units(database, read_only=True) as uow:
            assert shape(uow.baskets.require(stored.id)) == shape(model)

    holds()
