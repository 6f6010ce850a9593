"""The entries of a cache: bounded, ordered by expiry and by use, and found by tag."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

import cachetools

from infrastructure.cache.copies import Kept

CHANCES = 64
"""How many entries that are in use may be passed over before one of them is evicted."""

NEVER = float("-inf")


class Entry:
    """A value, and how long and for whom it is there.

    ``plain_until`` is its expiry if the value can be handed out as it is: then a
    reader has to look at nothing else.
    """

    __slots__ = ("expires", "kept", "plain_until", "reads", "seen", "tags", "value")

    def __init__(self, kept: Kept, expires: float, tags: tuple[Hashable, ...] = ()) -> None:
        self.kept = kept
        self.value = kept.value
        self.expires = expires
        self.plain_until = expires if kept.thaw is None else NEVER
        self.tags = tags
        self.reads = 0
        self.seen = 0


class Shelf:
    """A ``TLRUCache``, beside it a dict that can be read without a lock, and the tags.

    Whoever changes it holds the lock of the cache. Readers only count up
    ``reads``; so the entry that is evicted is, roughly, the least recently used:
    one that was read since its last turn gets another.
    """

    __slots__ = ("_maxsize", "_now", "_store", "_tagged", "entries", "evictions", "reads")

    def __init__(self, maxsize: int) -> None:
        self.entries: dict[Hashable, Entry] = {}
        self.evictions = 0
        self.reads = 0
        self._maxsize = maxsize
        self._tagged: dict[Hashable, set[Hashable]] = {}
        self._now = NEVER
        # It sees the time of each write stand still, so that nothing expires unnoticed in between.
        self._store: cachetools.TLRUCache[Hashable, Entry] = cachetools.TLRUCache(
            maxsize, ttu=lambda _key, entry, _now: entry.expires, timer=lambda: self._now
        )

    def put(self, key: Hashable, entry: Entry, now: float) -> bool:
        """Keep it in place of what was there; False if it has expired already."""
        self.expire(now)
        if not now < entry.expires:
            self.remove(key)
            return False
        before = self.entries.get(key)
        if before is not None:
            self._retire(key, before)
        elif len(self.entries) >= self._maxsize:
            self._evict()
        self._store[key] = entry
        self.entries[key] = entry
        for tag in entry.tags:
            self._tagged.setdefault(tag, set()).add(key)
        return True

    def remove(self, key: Hashable) -> Entry | None:
        """Take it out, if it is there."""
        entry = self.entries.pop(key, None)
        if entry is not None:
            del self._store[key]
            self._retire(key, entry)
        return entry

    def remove_tagged(self, tags: Iterable[Hashable]) -> None:
        """Take out all that has one of these tags."""
        for tag in tags:
            for key in tuple(self._tagged.get(tag, ())):
                self.remove(key)

    def clear(self) -> None:
        """Take out everything."""
        self.reads += sum(entry.reads for entry in self.entries.values())
        self.entries.clear()
        self._store.clear()
        self._tagged.clear()

    def expire(self, now: float) -> int:
        """Take out what has expired; how many that were."""
        self._now = now
        expired = list(self._store.expire(now))
        for key, entry in expired:
            del self.entries[key]
            self._retire(key, entry)
        return len(expired)

    def total_reads(self) -> int:
        """How often the entries were read, those that are gone included."""
        return self.reads + sum(entry.reads for entry in self.entries.values())

    def _evict(self) -> None:
        key, entry = self._store.popitem()
        for _ in range(CHANCES):
            if entry.reads == entry.seen:
                break
            entry.seen = entry.reads
            self._store[key] = entry
            key, entry = self._store.popitem()
        del self.entries[key]
        self._retire(key, entry)
        self.evictions += 1

    def _retire(self, key: Hashable, entry: Entry) -> None:
        self.reads += entry.reads
        for tag in entry.tags:
            tagged = self._tagged[tag]
            tagged.discard(key)
            if not tagged:
                del self._tagged[tag]
