"""A bounded cache in the memory of this process, for many threads."""

from __future__ import annotations

from collections.abc import Hashable, ItemsView, Iterator, MutableMapping, ValuesView
from typing import Any

from infrastructure.cache import checks
from infrastructure.cache.base_cache import MISSING, BaseCache
from infrastructure.cache.copies import Kept, keep


class TTLCache(BaseCache, MutableMapping[Hashable, Any]):
    """At most ``maxsize`` values, each for ``ttl`` seconds. Fits ``domain.ports.Cache``.

    A read takes no lock, and no lock is held while a loader runs. Each value lives
    shorter by a random part of its time, up to ``jitter``, so that those stored
    together do not expire together. Who waits for the loader of another thread gives
    up after ``patience`` seconds, which are real ones, whatever the ``timer`` says.

    Immutable values are kept as they are; of all others each reader gets a copy,
    see ``copies.keep`` for what that costs. To set, delete or pop a key invalidates it.
    What has expired is freed by the next write, or by ``expire()``. In a forked child,
    values stay, unless they were being changed at that moment.
    """

    __slots__ = ()

    # -- writing ---------------------------------------------------------------------------

    def __setitem__(self, key: Hashable, value: Any, /) -> None:
        checks.require_hashable(key)
        kept = keep(value)[0]
        with self._lock:
            self._invalidations.note_key(key)
            self._put(key, kept, self._ttl, ())

    def __delitem__(self, key: Hashable, /) -> None:
        if self._take(key) is None:
            raise KeyError(key)

    def pop(self, key: Hashable, default: Any = MISSING, /) -> Any:
        """Take the value out; without a default, ``KeyError`` if there is none."""
        entry = self._take(key)
        if entry is not None:
            return entry.kept.open()
        if default is MISSING:
            raise KeyError(key)
        return default

    def popitem(self) -> tuple[Hashable, Any]:
        """Take out any; ``KeyError`` if there is none."""
        with self._lock:
            self.expire()
            key = next(iter(self._entries), MISSING)
            entry = None if key is MISSING else self._take(key)
        if entry is None:
            raise KeyError("the cache is empty")
        return key, entry.kept.open()

    def setdefault(self, key: Hashable, default: Any = None, /) -> Any:
        """The value that is there, or else this one, which is kept."""
        checks.require_hashable(key)
        kept, own = keep(default)
        with self._lock:
            entry = self._live(key)
            if entry is None:
                self._invalidations.note_key(key)
                self._put(key, kept, self._ttl, ())
        return own if entry is None else entry.kept.open()

    # -- looking through -------------------------------------------------------------------

    def __contains__(self, key: object, /) -> bool:
        checks.require_hashable(key)
        entry = self._entries.get(key)
        return entry is not None and self._timer() < entry.expires

    def __iter__(self) -> Iterator[Hashable]:
        return (key for key, _ in self._living())

    def __len__(self) -> int:
        with self._lock:
            self.expire()
            return len(self._entries)

    def items(self) -> ItemsView[Hashable, Any]:
        """Keys and values, those that have not expired when it is their turn."""
        return _Items(self)

    def values(self) -> ValuesView[Any]:
        """The same without the keys."""
        return _Values(self)

    def __repr__(self) -> str:
        return f"TTLCache(maxsize={self._maxsize}, ttl={self._ttl:g}, size={len(self)})"

    def _living(self) -> Iterator[tuple[Hashable, Kept]]:
        with self._lock:
            entries = list(self._entries.items())
        return ((key, one.kept) for key, one in entries if self._timer() < one.expires)


class _Items(ItemsView[Hashable, Any]):
    _mapping: TTLCache

    def __iter__(self) -> Iterator[tuple[Hashable, Any]]:
        return ((key, kept.open()) for key, kept in self._mapping._living())


class _Values(ValuesView[Any]):
    _mapping: TTLCache

    def __iter__(self) -> Iterator[Any]:
        return (kept.open() for _, kept in self._mapping._living())
