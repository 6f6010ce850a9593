"""An aggregate of three levels: a basket that has nothing but items, which have parts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from domain import Entity


@dataclass(eq=False, kw_only=True)
class Part(Entity):
    name: str
    id: int | None = None


@dataclass(eq=False, kw_only=True)
class Item(Entity):
    name: str
    amount: int = 0
    tags: list[str] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    id: int | None = None


@dataclass(eq=False, kw_only=True)
class Basket(Entity):
    items: list[Item] = field(default_factory=list)
    id: int | None = None


def a_basket(*names: str) -> Basket:
    """A basket with these items, each of which has one part."""
    return Basket(items=[Item(name=name, parts=[Part(name=name.upper())]) for name in names])


def shape(basket: Basket) -> list[Any]:
    """All that a basket holds, without the keys."""
    return [
        (item.name, item.amount, list(item.tags), [part.name for part in item.parts])
        for item in basket.items
    ]
