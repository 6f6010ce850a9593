"""What users of the cache infer, and what is rejected. Type checkers read this file."""

from collections.abc import Hashable, MutableMapping
from decimal import Decimal
from typing import Any, assert_type

from domain import Person, where
from domain.ports import Cache
from infrastructure.cache import CachePolicy, CacheStats, NullCache, TTLCache, cached
from infrastructure.cache.functions import CachedFunction
from infrastructure.database import BaseRepository, BaseUnitOfWork, cached_query
from infrastructure.database.models.person import PersonModel

# -- the adapters fit the port: stated here, and nowhere else --------------------------------------


def the_adapters_fit_the_port(ttl: TTLCache, null: NullCache) -> None:
    a_port: Cache = ttl
    another_port: Cache = null
    a_mapping: MutableMapping[Hashable, Any] = ttl
    del a_port, another_port, a_mapping


# -- what is inferred ------------------------------------------------------------------------------


def load() -> Decimal:
    return Decimal(1)


def a_cache(port: Cache, cache: TTLCache) -> None:
    assert_type(port.get_or_load("key", load), Decimal)
    assert_type(cache.get_or_load(("a", 1), load, ttl=3, tags=["a", 1]), Decimal)
    assert_type(NullCache().get_or_load(1, lambda: "text"), str)
    assert_type(port.store("key", 1, since=port.sequence(), tags={"a"}), bool)
    assert_type(cache.stats, CacheStats)
    assert_type(cache.stats.hits, int)
    assert_type(cache.expire(), int)
    cache["key"] = 1
    del cache["key"]
    port.invalidate(["a"])


def policies() -> None:
    assert_type(CachePolicy(ttl=60).make(), Cache)
    CachePolicy(60, maxsize=10, jitter=0, cache=NullCache)
    CachePolicy(60, cache=lambda: TTLCache(10, 60))


PRICES = TTLCache(10_000, 60)


@cached(PRICES, ttl=5, tags=lambda sku, number=1: [sku, number])
def price_of(sku: str, number: int = 1) -> Decimal:
    return Decimal(len(sku) * number)


class Shop:
    @cached(PRICES)
    def stock(self, sku: str) -> int:
        return len(sku)


def functions(shop: Shop) -> None:
    assert_type(price_of("a"), Decimal)
    assert_type(price_of(sku="a", number=2), Decimal)
    assert_type(shop.stock("a"), int)
    assert_type(shop.stock.invalidate("a"), None)
    bound: CachedFunction[[str], int] = shop.stock
    del bound
    assert_type(Shop.stock(shop, "a"), int)
    price_of.invalidate("a", 2)
    price_of.clear()


# -- what is rejected ------------------------------------------------------------------------------


def wrong_uses(cache: TTLCache, port: Cache, shop: Shop) -> None:
    cache.get_or_load([1], load)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    port.get_or_load("key", 3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    port.store("key", 1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    port.invalidate(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    number: int = port.get_or_load("key", load)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    cache.stats.hits = 1  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    TTLCache(10)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    TTLCache(10, 60, 0.1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    CachePolicy("60")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    price_of(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    price_of.invalidate()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    shop.stock(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    shop.stock.invalidate(shop, "a")  # type: ignore[call-arg, arg-type]  # pyright: ignore[reportCallIssue]
    del number


# -- repositories ----------------------------------------------------------------------------------


class CachedPeople(BaseRepository[Person]):
    model = PersonModel
    cache = CachePolicy(ttl=60)

    @cached_query
    def in_team(self, team_id: int, /, *, limit: int = 10) -> list[Person]:
        return self.get_all(where("team_id") == team_id, limit=limit)


class CachedUnit(BaseUnitOfWork):
    people: CachedPeople


def a_cached_repository(uow: CachedUnit) -> None:
    assert_type(uow.people.in_team(1, limit=2), list[Person])
    assert_type(uow.people.get_by_id(1), Person | None)
    uow.people.in_team("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    uow.people.in_team(team_id=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
