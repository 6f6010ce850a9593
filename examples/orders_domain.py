"""An order and its lines: the domain of ``orders.py``, which knows no database.

An order is an aggregate: its lines belong to it, and are changed by its methods
only, so that the rules across them always hold.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from domain import Entity
from domain.entity import new_id
from domain.errors import ValidationError
from domain.ports import Repository

LIMIT = Decimal(10_000)
"""What one order may cost."""


@dataclass(frozen=True)
class Money:
    """An amount in one currency, with two places."""

    amount: Decimal
    currency: str = "EUR"

    def __post_init__(self) -> None:
        if not self.amount.is_finite() or self.amount < 0:
            raise ValidationError("Money", {"amount": "must be a number, and not negative"})
        if len(self.currency) != 3 or not self.currency.isupper():
            raise ValidationError("Money", {"currency": "must be three letters, as in EUR"})
        object.__setattr__(self, "amount", self.amount.quantize(Decimal("0.01")))

    def __mul__(self, times: int) -> "Money":
        return Money(self.amount * times, self.currency)

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}"


@dataclass(eq=False, kw_only=True)
class OrderLine(Entity):
    """So many of one thing."""

    sku: str
    quantity: int
    price: Money
    id: UUID = field(default_factory=new_id)

    def __post_init__(self) -> None:
        if not self.sku.strip():
            raise ValidationError("OrderLine", {"sku": "must not be blank"})
        _check_quantity(self.quantity)

    @property
    def total(self) -> Money:
        """What all of them cost."""
        return self.price * self.quantity


@dataclass(eq=False, kw_only=True)
class Order(Entity):
    """What a customer wants: each thing once, in one currency, and not above the limit."""

    customer: str
    currency: str = "EUR"
    lines: list[OrderLine] = field(default_factory=list)
    id: int | None = None

    def __post_init__(self) -> None:
        if not self.customer.strip():
            raise ValidationError("Order", {"customer": "must not be blank"})
        self._check(self.lines)

    @property
    def total(self) -> Money:
        """What the order costs."""
        return _total(self.lines, self.currency)

    def line(self, sku: str) -> OrderLine:
        """The line of one thing; ``ValidationError`` if there is none."""
        for line in self.lines:
            if line.sku == sku:
                return line
        raise ValidationError("Order", {"lines": "has no such sku"})

    def add(self, sku: str, quantity: int, price: Money) -> None:
        """One more line, at the end."""
        line = OrderLine(sku=sku, quantity=quantity, price=price)
        self._check([*self.lines, line])
        self.lines.append(line)

    def change(self, sku: str, quantity: int) -> None:
        """Another quantity of a thing that was ordered already."""
        line = self.line(sku)
        _check_quantity(quantity)
        others = [other for other in self.lines if other is not line]
        _check_limit(_total(others, self.currency).amount + (line.price * quantity).amount)
        line.quantity = quantity

    def remove(self, sku: str) -> None:
        """One line less."""
        self.lines.remove(self.line(sku))

    def move(self, sku: str, to: int) -> None:
        """Another place in the order of the lines, counted from 0."""
        line = self.line(sku)
        self.lines.remove(line)
        self.lines.insert(to, line)

    def _check(self, lines: list[OrderLine]) -> None:
        if len({line.sku for line in lines}) != len(lines):
            raise ValidationError("Order", {"lines": "has this sku already; change its quantity"})
        if any(line.price.currency != self.currency for line in lines):
            raise ValidationError("Order", {"lines": f"must be in {self.currency}"})
        _check_limit(_total(lines, self.currency).amount)


class OrderRepository(Repository[Order], Protocol):
    """All orders."""

    def of_customer(self, customer: str, /) -> list[Order]:
        """The orders of a customer, the newest first."""
        ...


def _total(lines: list[OrderLine], currency: str) -> Money:
    return Money(sum((line.total.amount for line in lines), Decimal()), currency)


def _check_limit(total: Decimal) -> None:
    if total > LIMIT:
        raise ValidationError("Order", {"lines": f"cost more than {LIMIT}; make two orders"})


def _check_quantity(quantity: int) -> None:
    if quantity < 1:
        raise ValidationError("OrderLine", {"quantity": "must be at least 1; or remove the line"})
