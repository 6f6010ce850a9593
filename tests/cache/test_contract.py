"""The contract of the port, held by the caches of this kit."""

from __future__ import annotations

import pytest

from infrastructure.cache import CachePolicy, NullCache, TTLCache
from infrastructure.testing import CacheContract
from tests.cache.clocks import Clock


class TestTTLCache(CacheContract):
    @pytest.fixture
    def cache(self) -> TTLCache:
        self.clock = Clock()
        return TTLCache(1000, 600, timer=self.clock)

    def advance(self, seconds: float) -> None:
        self.clock.move(seconds)


class TestCacheOfAPolicy(TestTTLCache):
    @pytest.fixture
    def cache(self) -> TTLCache:
        self.clock = Clock()
        made = CachePolicy(ttl=600).make(timer=self.clock)
        assert isinstance(made, TTLCache)
        return made


class TestNullCache(CacheContract):
    keeps = False

    @pytest.fixture
    def cache(self) -> NullCache:
        return NullCache()
