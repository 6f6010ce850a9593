"""What a cache has done so far."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class CacheStats:
    """A snapshot. All but ``size`` are counted from the beginning.

    A hit that overlaps the removal of its entry may be left out; everything
    else is exact. Asking with ``in`` and iterating are neither hits nor misses.
    """

    hits: int
    misses: int
    loads: int
    """How often a loader was called, whatever came of it."""

    evictions: int
    """Entries that had to go because the cache was full."""

    invalidations: int
    """Calls that invalidated: of a key, of tags, or of everything."""

    size: int
    """Entries that have not expired."""
