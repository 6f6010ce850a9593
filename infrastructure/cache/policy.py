"""How a repository wants to be cached."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from domain.ports import Cache
from infrastructure.cache import checks
from infrastructure.cache.ttl_cache import TTLCache


@dataclass(frozen=True)
class CachePolicy:
    """A time to live in seconds, and how many entries there may be.

    ``cache`` makes a cache of another kind, one over the network say. It bounds
    its size in its own way; the ``ttl`` is for whoever stores to pass on.
    """

    ttl: float
    maxsize: int = 10_000
    jitter: float = 0.1
    cache: Callable[[], Cache] | None = None

    def __post_init__(self) -> None:
        checks.seconds("CachePolicy", "ttl", self.ttl)
        checks.count("CachePolicy", "maxsize", self.maxsize)
        checks.fraction("CachePolicy", "jitter", self.jitter)

    def make(self, timer: Callable[[], float] = time.monotonic) -> Cache:
        """A new cache; the timer is for one in this process."""
        if self.cache is not None:
            return self.cache()
        return TTLCache(self.maxsize, self.ttl, jitter=self.jitter, timer=timer)
