"""The tables of ``aggregates.py``."""

from typing import Any, ClassVar

from sqlmodel import Field

from infrastructure.database import BaseRepository, BaseUnitOfWork, Children, Model, Versioned
from tests.database.aggregates import Basket, Item, Part


class BasketModel(Basket, Versioned, Model, table=True):
    __tablename__: ClassVar[str] = "children_baskets"

    id: int | None = Field(default=None, primary_key=True)
    items: list[Item] = Children("ItemModel", order_by="position")


class ItemModel(Item, Model, table=True):
    __tablename__: ClassVar[str] = "children_items"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(max_length=10, unique=True)
    basket_id: int = Field(foreign_key="children_baskets.id", index=True)
    position: int
    parts: list[Part] = Children("PartModel")


class PartModel(Part, Model, table=True):
    __tablename__: ClassVar[str] = "children_parts"

    id: int | None = Field(default=None, primary_key=True)
    item_id: int = Field(foreign_key="children_items.id", index=True)


class BasketRepository(BaseRepository[Basket]):
    model = BasketModel


class Units(BaseUnitOfWork):
    baskets: BasketRepository


TABLES: list[Any] = [BasketModel, ItemModel, PartModel]
