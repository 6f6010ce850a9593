"""What was invalidated, and when: a value that was read before is not to be kept."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable
from typing import Any

from domain.errors import CacheError

RECORDS = 10_000
"""How many invalidated keys and tags are remembered; for more, nothing older may be stored."""


class Invalidations:
    """A sequence that grows with each invalidation, and its last number for each key and tag.

    Memory is bounded: the oldest record is forgotten, and whoever began to read
    before it cannot store any more. That costs a load, and never a stale value.
    """

    __slots__ = ("_floor", "_last", "_records", "now")

    def __init__(self, records: int = RECORDS) -> None:
        self.now = 0
        self._floor = 0
        self._last: OrderedDict[tuple[str, Hashable], int] = OrderedDict()
        self._records = records

    def __len__(self) -> int:
        return len(self._last)

    def note_key(self, key: Hashable) -> None:
        """This key is invalid from now on, if it was read before."""
        self.now += 1
        self._note("key", key)

    def note_tags(self, tags: Iterable[Hashable]) -> None:
        """The same of all that has one of these tags."""
        self.now += 1
        for tag in tags:
            self._note("tag", tag)

    def note_all(self) -> None:
        """The same of everything."""
        self.now += 1
        self._floor = self.now
        self._last.clear()

    def _note(self, kind: str, what: Hashable) -> None:
        self._last[kind, what] = self.now
        self._last.move_to_end((kind, what))
        if len(self._last) > self._records:
            self._floor = self._last.popitem(last=False)[1]

    def came_after(self, since: int, key: Hashable, tags: Iterable[Hashable]) -> bool:
        """Whether the key, one of the tags or everything was invalidated after ``since``."""
        if since < self._floor or self._last.get(("key", key), 0) > since:
            return True
        return any(self._last.get(("tag", tag), 0) > since for tag in tags)

    def require_noted(self, since: Any) -> None:
        """Refuse what is no number of this sequence."""
        if not isinstance(since, int) or not 0 <= since <= self.now:
            raise CacheError(
                "since is not from this cache; note its sequence() before you begin to read"
            )
