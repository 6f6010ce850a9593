"""A cache whose time the test moves."""

from __future__ import annotations

import pytest

from infrastructure.cache import TTLCache
from tests.cache.clocks import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(clock: Clock) -> TTLCache:
    return TTLCache(100, 10, jitter=0, timer=clock)
