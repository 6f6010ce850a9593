"""An application of the size that is usual for a small one, as the suite of tests works on it."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from sqlmodel import Field

from infrastructure.database import BaseRepository, BaseUnitOfWork, Model, Timestamped


class Category(Timestamped, Model, table=True):
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(max_length=100, unique=True)
    parent_id: int | None = Field(default=None, foreign_key="category.id", index=True)


class Supplier(Timestamped, Model, table=True):
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(max_length=100, index=True)
    country: str = Field(max_length=2)


class Product(Timestamped, Model, table=True):
    id: int | None = Field(default=None, primary_key=True)
    sku: str = Field(max_length=40, unique=True)
    name: str = Field(max_length=200, index=True)
    price: Decimal = Field(max_digits=10, decimal_places=2)
    category_id: int = Field(foreign_key="category.id", index=True)
    supplier_id: int | None = Field(default=None, foreign_key="supplier.id", index=True)


class Warehouse(Model, table=True):
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(max_length=100, unique=True)


class Stock(Model, table=True):
    product_id: int = Field(foreign_key="product.id", primary_key=True)
    warehouse_id: int = Field(foreign_key="warehouse.id", primary_key=True)
    quantity: int = Field(ge=0)


class Customer(Timestamped, Model, table=True):
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(max_length=100, index=True)
    email: str = Field(max_length=320, unique=True)


class Address(Model, table=True):
    id: int | None = Field(default=None, primary_key=True)
    customer_id: int = Field(foreign_key="customer.id", index=True)
    street: str = Field(max_length=200)
    city: str = Field(max_length=100, index=True)


class Purchase(Timestamped, Model, table=True):
    id: int | None = Field(default=None, primary_key=True)
    customer_id: int = Field(foreign_key="customer.id", index=True)
    number: str = Field(max_length=20, unique=True)
    placed_on: date = Field(index=True)


class Line(Model, table=True):
    id: int | None = Field(default=None, primary_key=True)
    purchase_id: int = Field(foreign_key="purchase.id", index=True)
    product_id: int = Field(foreign_key="product.id", index=True)
    quantity: int = Field(gt=0)


class Invoice(Timestamped, Model, table=True):
    id: int | None = Field(default=None, primary_key=True)
    purchase_id: int = Field(foreign_key="purchase.id", unique=True)
    total: Decimal = Field(max_digits=10, decimal_places=2)


class Payment(Model, table=True):
    id: int | None = Field(default=None, primary_key=True)
    invoice_id: int = Field(foreign_key="invoice.id", index=True)
    amount: Decimal = Field(max_digits=10, decimal_places=2)


class Shipment(Timestamped, Model, table=True):
    id: int | None = Field(default=None, primary_key=True)
    purchase_id: int = Field(foreign_key="purchase.id", index=True)
    tracking: str | None = Field(default=None, max_length=40, index=True)


class Shop(BaseUnitOfWork):
    """The unit of work of the shop."""

    customers: BaseRepository[Customer]
    purchases: BaseRepository[Purchase]
