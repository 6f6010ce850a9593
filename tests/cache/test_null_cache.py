"""The cache that keeps nothing refuses what a cache refuses."""

import threading

import pytest

from domain.errors import CacheError, ValidationError
from infrastructure.cache import NullCache


def test_it_forgets_at_once() -> None:
    cache = NullCache()
    assert not cache.store("key", 1, since=cache.sequence())
    assert cache.get("key", "default") == "default"
    assert [cache.get_or_load("key", lambda: 1), cache.get_or_load("key", lambda: 2)] == [1, 2]
    assert repr(cache) == "NullCache()"


def test_it_refuses_what_a_cache_refuses() -> None:
    cache = NullCache()
    with pytest.raises(CacheError, match="list"):
        cache.get([])
    with pytest.raises(ValidationError):
        cache.get_or_load("key", lambda: 1, ttl=0)
    with pytest.raises(CacheError, match="the loader ran"):
        cache.get_or_load("key", threading.Lock)
