"""Tables in which every column holds the secret."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Connection,
    ForeignKey,
    String,
    create_engine,
)
from sqlmodel import Field

from domain import Entity
from infrastructure.database import (
    BaseRepository,
    BaseUnitOfWork,
    Children,
    Database,
    Embedded,
    Model,
    Versioned,
)
from tests.transactions.secrets_everywhere import CANARY

# Named at run time; pydantic tells the values of an enum, which are no secret.
Colour: Any = Enum("Colour", {"PLAIN": 1, CANARY.head: 2})


@dataclass(frozen=True)
class Price:
    amount: Decimal
    currency: str


@dataclass(eq=False, kw_only=True)
class VaultItem(Entity):
    label: str
    weight: int = 1
    id: int | None = None


@dataclass(eq=False, kw_only=True)
class Vault(Entity):
    email: str
    name: str
    number: int
    big: int
    amount: Decimal
    ratio: float
    moment: datetime
    day: date
    badge: UUID
    seal: bytes
    facts: dict[str, Any]
    limits: dict[str, int]
    tags: list[str]
    colour: Colour
    price: Price
    owner: str | None = None
    heir: str | None = None
    items: list[VaultItem] = field(default_factory=list)
    id: int | None = None


class VaultOwner(Model, table=True):
    __tablename__: ClassVar[str] = "vault_owners"

    id: int | None = Field(default=None, primary_key=True)
    email: str = Field(unique=True)


class VaultModel(Vault, Versioned, Model, table=True):
    __tablename__: ClassVar[str] = "vaults"
    __table_args__ = (CheckConstraint("number >= 0", name="number_not_negative"),)

    id: int | None = Field(default=None, primary_key=True)
    email: str = Field(unique=True)
    name: str = Field(max_length=40)
    big: int = Field(sa_type=BigInteger)
    amount: Decimal = Field(max_digits=12, decimal_places=2)
    price: Price = Field(sa_type=Embedded(Price))
    owner: str | None = Field(default=None, foreign_key="vault_owners.email")
    heir: str | None = Field(
        default=None,
        sa_column=Column(
            String, ForeignKey("vault_owners.email", deferrable=True, initially="DEFERRED")
        ),
    )
    items: list[VaultItem] = Children("VaultItemModel", order_by="position")


class VaultItemModel(VaultItem, Model, table=True):
    __tablename__: ClassVar[str] = "vault_items"
    __table_args__ = (CheckConstraint("weight >= 0", name="weight_not_negative"),)

    id: int | None = Field(default=None, primary_key=True)
    label: str = Field(unique=True)
    vault_id: int = Field(foreign_key="vaults.id", index=True)
    position: int


TABLES: list[Any] = [VaultOwner, VaultModel, VaultItemModel]


class VaultRepository(BaseRepository[Vault]):
    model = VaultModel


class Bank(BaseUnitOfWork):
    vaults: VaultRepository
    owners: BaseRepository[VaultOwner]


OTHER = f"{CANARY.text} too"
NEW = f"{CANARY.text} new"


def planted(**changes: Any) -> dict[str, Any]:
    """A vault which has the secret in each of its fields."""
    return {
        "email": CANARY.text,
        "name": CANARY.text,
        "number": CANARY.whole,
        "big": CANARY.big,
        "amount": CANARY.amount,
        "ratio": CANARY.ratio,
        "moment": CANARY.moment,
        "day": CANARY.day,
        "badge": CANARY.uuid,
        "seal": CANARY.bytes,
        "facts": dict(CANARY.json),
        "limits": {CANARY.head: CANARY.whole},
        "tags": [CANARY.text],
        "colour": Colour[CANARY.head],
        "price": Price(CANARY.amount, CANARY.text),
    } | changes


def stored(database: Database) -> Database:
    """With an owner, whom nobody has yet, and two vaults."""
    with Bank(database) as uow:
        uow.owners.create_many([{"email": CANARY.text}, {"email": OTHER}])
        uow.vaults.create(planted(items=[{"label": CANARY.text}]))
        uow.vaults.create(planted(email=OTHER))
        uow.commit()
    return database


@contextmanager
def bare(database: Database, *, hide_parameters: bool = True) -> Iterator[Connection]:
    """A connection as anybody makes one, for what goes on beside the kit and for controls."""
    engine = create_engine(database.settings.url, hide_parameters=hide_parameters)
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA foreign_keys=ON")
            connection.commit()
        yield connection
    engine.dispose()


def beside(database: Database, statement: Any, parameters: Mapping[str, Any]) -> None:
    """What somebody else does meanwhile."""
    with bare(database) as other:
        other.execute(statement, parameters)
        other.commit()
