"""Value objects in value objects: kept and refused as the outer ones are."""

import json
from collections import deque
from collections.abc import MutableSequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text
from sqlmodel import Field

from domain import Entity, where
from domain.errors import ValidationError
from infrastructure.database import BaseRepository, BaseUnitOfWork, Database, Embedded, Model

pytestmark = pytest.mark.thorough


@dataclass(frozen=True)
class Money:
    amount: Decimal
    currency: str = "EUR"

    def __post_init__(self) -> None:
        if self.amount < 0:
            raise ValidationError("Money", {"amount": "must not be negative"})


@dataclass(frozen=True)
class Discount(Money):
    percent: int = 5


PRICE = Money(Decimal("12.50"))


class Size(Enum):
    SMALL = (1, 2)
    LARGE = Decimal("1.50")


@dataclass(frozen=True)
class Offer:
    prices: tuple[Money, ...] = ()
    days: frozenset[int] = frozenset()
    best: Money = Money(Decimal(1))
    until: datetime | None = None
    size: Size | None = None
    raw: bytes = b""


class OfferModel(Model, table=True):
    __tablename__: ClassVar[str] = "value_offers"

    id: int | None = Field(default=None, primary_key=True)
    offer: Offer | None = Field(default=None, sa_type=Embedded(Offer))


class OfferRepository(BaseRepository[OfferModel]):
    pass


class Units(BaseUnitOfWork):
    offers: OfferRepository


@pytest.fixture
def tables() -> list[Any]:
    return [OfferModel]


def offered(database: Database, offer: Offer) -> Any:
    with Units(database) as uow:
        id = uow.offers.create(OfferModel(offer=offer)).id
        uow.commit()
    with Units(database, read_only=True) as uow:
        return uow.offers.require(id).offer


@pytest.mark.parametrize(
    "offer",
    [
        Offer(),
        Offer(prices=(PRICE, Money(Decimal("0.10"), "USD"))),
        Offer(days=frozenset(range(20))),
        Offer(size=Size.SMALL),
        Offer(size=Size.LARGE),
        Offer(until=datetime(2026, 7, 1, 12, tzinfo=ZoneInfo("Europe/Berlin"))),
        Offer(raw=b"\xff\x00"),
    ],
    ids=["defaults", "tuple", "set", "tuple enum", "decimal enum", "zone", "bytes"],
)
def test_every_kind_of_field_comes_back(database: Database, offer: Offer) -> None:
    assert offered(database, offer) == offer


@pytest.mark.parametrize("fold", [0, 1])
def test_an_hour_that_comes_twice_is_kept(database: Database, fold: int) -> None:
    until = datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=fold)
    assert offered(database, Offer(until=until)).until.astimezone(UTC) == until.astimezone(UTC)


def test_loading_runs_no_constructor_in_a_tuple_either(database: Database) -> None:
    offered(database, Offer(prices=(PRICE,)))
    with database.engine.begin() as connection:
        old = json.dumps({"prices": [{"amount": "-1"}], "best": {"amount": "-2"}})
        connection.execute(text("UPDATE value_offers SET offer = " + f"'{old}'"))
    with Units(database, read_only=True) as uow:
        (row,) = uow.offers.get_all()
    assert row.offer is not None
    assert [price.amount for price in row.offer.prices] == [-1]
    assert (row.offer.best.amount, row.offer.best.currency) == (-2, "EUR")
    assert row.offer.days == frozenset()


def test_equal_sets_are_found_whatever_their_order(database: Database) -> None:
    offered(database, Offer(days=frozenset([8, 0])))
    with Units(database, read_only=True) as uow:
        assert uow.offers.count(where("offer") == Offer(days=frozenset([0, 8]))) == 1


@pytest.mark.parametrize("wrong", [None, Discount(Decimal(1)), {"amount": "1"}, "1"])
def test_a_nested_one_is_not_something_else(database: Database, wrong: Any) -> None:
    with Units(database) as uow:
        with pytest.raises(ValidationError, match="offer"):
            uow.offers.create(OfferModel(offer=Offer(best=wrong)))
        with pytest.raises(ValidationError, match="offer"):
            uow.offers.create(OfferModel(offer=Offer(prices=(wrong,))))
        assert uow.offers.count() == 0


@dataclass
class Changeable:
    amount: int


@dataclass(frozen=True)
class WithList:
    words: list[str]


@dataclass(eq=False, kw_only=True)
class Thing(Entity):
    id: int | None = None


@dataclass(frozen=True)
class WithChangeable:
    inner: Changeable


@dataclass(frozen=True)
class WithDeeperList:
    inner: tuple[WithList, ...]


@dataclass(frozen=True)
class WithNestedList:
    inner: WithList


@dataclass(frozen=True)
class WithTupleOfLists:
    words: tuple[list[str], ...]


@dataclass(frozen=True)
class WithListOrText:
    words: list[str] | str


@dataclass(frozen=True)
class WithSequence:
    words: MutableSequence[str]


@dataclass(frozen=True)
class WithDeque:
    words: deque[str]


@dataclass(frozen=True)
class WithEntity:
    thing: Thing


@pytest.mark.parametrize(
    "kind",
    [
        WithChangeable,
        WithDeeperList,
        WithNestedList,
        WithTupleOfLists,
        WithListOrText,
        WithSequence,
        WithDeque,
        WithEntity,
    ],
)
def test_what_could_be_changed_further_inside_is_refused_too(kind: Any) -> None:
    with pytest.raises(TypeError, match=kind.__name__):
        Embedded(kind)
