"""The domain of the example with an aggregate, tested with the standard library alone.

python -S -m unittest tests/test_orders_domain.py
"""

import unittest
from decimal import Decimal

from orders_domain import LIMIT, Money, Order, OrderLine

from domain.errors import ValidationError

PRICE = Money(Decimal("2.50"))


def an_order(*skus: str) -> Order:
    lines = [OrderLine(sku=sku, quantity=1, price=PRICE) for sku in skus]
    return Order(customer="Ada", lines=lines)


def skus(order: Order) -> list[str]:
    return [line.sku for line in order.lines]


class AnOrder(unittest.TestCase):
    def test_a_line_is_added_at_the_end(self) -> None:
        order = an_order("a")
        order.add("b", 3, PRICE)
        assert skus(order) == ["a", "b"]
        assert order.total == Money(Decimal(10))

    def test_a_thing_is_ordered_once(self) -> None:
        with self.assertRaisesRegex(ValidationError, "change its quantity"):
            an_order("a").add("a", 1, PRICE)
        with self.assertRaises(ValidationError):
            an_order("a", "a")

    def test_the_total_has_a_limit(self) -> None:
        order = an_order("a")
        with self.assertRaisesRegex(ValidationError, "two orders"):
            order.add("b", 1, Money(LIMIT))
        with self.assertRaisesRegex(ValidationError, "two orders"):
            order.change("a", 4_001)
        assert skus(order) == ["a"]
        assert order.line("a").quantity == 1
        order.change("a", 4_000)
        assert order.total == Money(LIMIT)

    def test_one_order_has_one_currency(self) -> None:
        with self.assertRaisesRegex(ValidationError, "EUR"):
            an_order("a").add("b", 1, Money(Decimal(1), "USD"))

    def test_a_line_is_changed_and_removed(self) -> None:
        order = an_order("a", "b")
        order.change("a", 7)
        order.remove("b")
        assert [(line.sku, line.quantity) for line in order.lines] == [("a", 7)]
        with self.assertRaisesRegex(ValidationError, "no such sku"):
            order.remove("b")

    def test_a_line_is_moved(self) -> None:
        order = an_order("a", "b", "c")
        order.move("c", to=0)
        assert skus(order) == ["c", "a", "b"]

    def test_what_makes_no_sense_is_refused(self) -> None:
        for wrong in (
            lambda: Order(customer=" "),
            lambda: OrderLine(sku="", quantity=1, price=PRICE),
            lambda: OrderLine(sku="a", quantity=0, price=PRICE),
            lambda: Money(Decimal(-1)),
            lambda: Money(Decimal("NaN")),
            lambda: Money(Decimal(1), "euro"),
        ):
            with self.assertRaises(ValidationError):
                wrong()

    def test_money_has_two_places(self) -> None:
        assert str(Money(Decimal("41.5"))) == "41.50 EUR"


if __name__ == "__main__":
    unittest.main()
