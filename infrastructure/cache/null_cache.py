"""A cache that keeps nothing."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any, TypeVar

from infrastructure.cache import checks
from infrastructure.cache.copies import keep

T = TypeVar("T")


class NullCache:
    """Forgets at once, and refuses what a cache refuses. To switch caching off, as in tests."""

    def sequence(self) -> Any:
        return 0

    def get(self, key: Hashable, default: Any = None, /) -> Any:
        checks.require_hashable(key)
        return default

    def store(
        self,
        key: Hashable,
        value: Any,
        *,
        since: Any,
        ttl: float | None = None,
        tags: Iterable[Hashable] = (),
    ) -> bool:
        self._check(key, ttl, tags)
        keep(value)
        return False

    def get_or_load(
        self,
        key: Hashable,
        loader: Callable[[], T],
        *,
        ttl: float | None = None,
        tags: Iterable[Hashable] = (),
    ) -> T:
        self._check(key, ttl, tags)
        own: T = keep(loader(), loaded=True)[1]
        return own

    def invalidate(self, tags: Iterable[Hashable]) -> None:
        checks.distinct(tags)

    def discard(self, key: Hashable) -> None:
        checks.require_hashable(key)

    def clear(self) -> None:
        pass

    def __repr__(self) -> str:
        return "NullCache()"

    def _check(self, key: Hashable, ttl: float | None, tags: Iterable[Hashable]) -> None:
        checks.require_hashable(key)
        if ttl is not None:
            checks.seconds("NullCache", "ttl", ttl)
        checks.distinct(tags)
