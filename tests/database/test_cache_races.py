"""Readers and writers at once: what a reader keeps is never older than what is stored.

Without the sequence, a reader whose snapshot is old puts an old value into the cache after
the writer has invalidated it, and there it stays.
"""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
from sqlmodel import Field

from domain import Entity, where
from infrastructure.cache import CachePolicy, TTLCache
from infrastructure.database import BaseRepository, BaseUnitOfWork, Database, Model, cached_query

pytestmark = pytest.mark.timeout(600)

LEVELS = ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE", None)
READERS = 3


@dataclass(eq=False, kw_only=True)
class Price(Entity):
    amount: int
    id: int | None = None


class PriceModel(Price, Model, table=True):
    __tablename__: ClassVar[str] = "cache_races"

    id: int | None = Field(default=None, primary_key=True)


class Careless(TTLCache):
    """A cache that does not look at the sequence."""

    __slots__ = ()

    def store(self, key: Any, value: Any, *, since: Any, **options: Any) -> bool:
        return super().store(key, value, since=self.sequence(), **options)


class Prices(BaseRepository[Price]):
    model = PriceModel
    cache = CachePolicy(ttl=3600)

    @cached_query
    def total(self) -> int:
        return sum(price.amount for price in self.get_all())


class CarelessPrices(Prices):
    cache = CachePolicy(ttl=3600, cache=lambda: Careless(100, 3600))


class PlainPrices(BaseRepository[Price]):
    model = PriceModel


class Unit(BaseUnitOfWork):
    prices: Prices
    plain: PlainPrices


class CarelessUnit(BaseUnitOfWork):
    prices: CarelessPrices
    plain: PlainPrices


class Slow(Prices):
    @cached_query
    def slow(self) -> int:
        found = self.count()
        with Unit(self.session.database) as uow:
            uow.prices.create(Price(amount=0))
            uow.commit()
        return found


class SlowUnit(BaseUnitOfWork):
    prices: Slow


@pytest.fixture
def tables() -> list[Any]:
    return [PriceModel]


@pytest.fixture
def filled(shared_database: Database) -> Database:
    with Unit(shared_database) as uow:
        uow.prices.create_many([Price(amount=0), Price(amount=0)])
        uow.commit()
    return shared_database


def served(database: Database, unit: Any) -> tuple[int, int]:
    with unit(database, read_only=True) as uow:
        return uow.prices.require(1).amount, uow.prices.total()


def stored(database: Database) -> tuple[int, int]:
    with Unit(database, read_only=True) as uow:
        amounts = {price.id: price.amount for price in uow.plain.get_all()}
    return amounts[1], sum(amounts.values())


def race(database: Database, unit: Any, level: str | None, chance: random.Random) -> bool:
    """One writer and some readers at once; whether something stale is served afterwards."""
    pauses = iter([chance.random() * 0.004 for _ in range(3 * READERS)])
    together = threading.Barrier(READERS + 1)

    def reading(before: float, between: float) -> None:
        together.wait()
        threading.Event().wait(before)
        with unit(database, read_only=True, isolation_level=level) as uow:
            uow.plain.count(where("id") == 2)  # now it has its snapshot
            threading.Event().wait(between)
            uow.prices.get_by_id(1)
            uow.prices.total()

    threads = [
        threading.Thread(target=reading, args=(next(pauses), next(pauses))) for _ in range(READERS)
    ]
    for each in threads:
        each.start()
    together.wait()
    threading.Event().wait(next(pauses))
    with unit(database) as uow:
        uow.prices.require(1).amount += 1
        uow.commit()
    told = served(database, unit)  # the writer itself is served what it has written
    is_stale = told != stored(database)
    for each in threads:
        each.join()
    return is_stale or served(database, unit) != stored(database)


@pytest.mark.parametrize("level", LEVELS)
def test_no_round_is_stale(filled: Database, level: str | None, soak: bool) -> None:
    chance = random.Random(str(level))
    rounds = 400 if soak else 40
    stale = sum(race(filled, Unit, level, chance) for _ in range(rounds))
    assert stale == 0


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_without_the_sequence_some_are(filled: Database, level: str, soak: bool) -> None:
    chance = random.Random(level)
    rounds = 100 if soak else 40
    stale = sum(race(filled, CarelessUnit, level, chance) for _ in range(rounds))
    assert stale > 0


@pytest.mark.parametrize(("unit", "expected"), [(Unit, 1), (CarelessUnit, 0)])
@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_an_old_snapshot_is_not_kept(
    filled: Database, unit: Any, expected: int, level: str
) -> None:
    """And it would be, without the sequence."""
    served(filled, unit)
    with unit(filled, read_only=True, isolation_level=level) as old:
        old.plain.count()
        with unit(filled) as uow:
            uow.prices.require(1).amount += 1
            uow.commit()
        assert old.prices.require(1).amount == 0
        assert old.prices.total() == 0
    assert served(filled, unit) == (expected, expected)


def test_a_write_beside_a_query_under_way_wins(filled: Database) -> None:
    for expected in (2, 3):
        with SlowUnit(filled, read_only=True) as uow:
            assert uow.prices.slow() == expected
