"""The in-process cache: bounded, with a time to live, and safe for threads."""

from infrastructure.cache.functions import cached
from infrastructure.cache.null_cache import NullCache
from infrastructure.cache.policy import CachePolicy
from infrastructure.cache.stats import CacheStats
from infrastructure.cache.ttl_cache import TTLCache

__all__ = ["CachePolicy", "CacheStats", "NullCache", "TTLCache", "cached"]
