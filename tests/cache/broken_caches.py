"""Caches that break the contract, each in one way. They are the kit's own, made worse."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from domain.errors import CacheError
from infrastructure.cache import TTLCache, checks
from infrastructure.cache.copies import Kept
from infrastructure.cache.flights import Flight
from infrastructure.cache.invalidations import Invalidations


class Ignores(Invalidations):
    """What was invalidated, with a hole in it."""

    __slots__ = ("_hole",)

    def __init__(self, hole: str) -> None:
        super().__init__()
        self._hole = hole

    def note_all(self) -> None:
        if self._hole != "all":
            super().note_all()

    def _note(self, kind: str, what: Any) -> None:
        if self._hole != kind:
            super()._note(kind, what)


class WithHole(TTLCache):
    hole = "none"

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._invalidations = Ignores(self.hole)


class StoresWhatWasReadBeforeItsKeyWasDiscarded(WithHole):
    hole = "key"


class StoresWhatWasReadBeforeItsTagWasInvalidated(WithHole):
    hole = "tag"


class StoresWhatWasReadBeforeItWasCleared(WithHole):
    hole = "all"


class IgnoresSince(TTLCache):
    def store(self, key: Any, value: Any, *, since: Any, **options: Any) -> bool:
        return super().store(key, value, since=self.sequence(), **options)


class RefusesAfterAnyInvalidation(TTLCache):
    def store(self, key: Any, value: Any, *, since: Any, **options: Any) -> bool:
        fresh = since == self.sequence()
        return fresh and super().store(key, value, since=since, **options)


class SaysThatItIsKept(TTLCache):
    def store(self, key: Any, value: Any, **options: Any) -> bool:
        super().store(key, value, **options)
        return True


class KeepsWhatWasInvalidatedDuringTheLoad(TTLCache):
    def get_or_load(self, key: Any, loader: Callable[[], Any], **options: Any) -> Any:
        found = super().get_or_load(key, loader, **options)
        self.store(key, found, since=self.sequence(), **options)
        return found


class LetsLatecomersWaitForWhatIsStale(TTLCache):
    def _is_stale(self, flight: Flight, mine: Flight) -> bool:
        return flight is mine and super()._is_stale(flight, mine)


class NeverExpires(TTLCache):
    def _seconds(self, ttl: float | None) -> float:
        super()._seconds(ttl)
        return float("inf")


class HasOneTimeToLive(TTLCache):
    def _seconds(self, ttl: float | None) -> float:
        super()._seconds(ttl)
        return self._ttl


class TakesAnyTimeToLive(TTLCache):
    def _seconds(self, ttl: float | None) -> float:
        return self._ttl


class SharesValues(TTLCache):
    def _put(self, key: Any, kept: Kept, seconds: float, tags: Any) -> bool:
        return super()._put(key, Kept(kept.open()), seconds, tags)


class SharesLoadedValues(TTLCache):
    def get_or_load(self, key: Any, loader: Callable[[], Any], **options: Any) -> Any:
        given: list[Any] = []

        def note() -> Any:
            given.append(loader())
            return given[0]

        found = super().get_or_load(key, note, **options)
        return given[0] if given else found


class ForgetsNone(TTLCache):
    def get(self, key: Any, default: Any = None, /) -> Any:
        found = super().get(key, default)
        return default if found is None else found


class KeepsTagsOfWhatWasReplaced(TTLCache):
    def store(self, key: Any, value: Any, *, tags: Any = (), **options: Any) -> bool:
        before = self._entries.get(key)
        kept = before.tags if before else ()
        return super().store(key, value, tags=[*tags, *kept], **options)


class InvalidatesEverythingWithATag(TTLCache):
    def invalidate(self, tags: Any) -> None:
        super().invalidate(tags)
        self.clear()


class IgnoresTagsOfLoads(TTLCache):
    def get_or_load(self, key: Any, loader: Callable[[], Any], *, tags: Any = (), **_: Any) -> Any:
        return super().get_or_load(key, loader)


class DiscardsNothing(TTLCache):
    def discard(self, key: Any) -> None:
        checks.require_hashable(key)


class ClearsNothing(TTLCache):
    def clear(self) -> None:
        pass


class LoadsInEveryThread(TTLCache):
    def get_or_load(self, key: Any, loader: Callable[[], Any], **options: Any) -> Any:
        found = self.get(key, self)
        if found is self:
            found = loader()
            self.store(key, found, since=self.sequence(), **options)
        return found


class FailsOneAfterTheOther(TTLCache):
    """As a lock around the loader does."""

    def get_or_load(self, key: Any, loader: Callable[[], Any], **options: Any) -> Any:
        with self._lock:
            return super().get_or_load(key, loader, **options)


class RaisesOneErrorInAllThreads(TTLCache):
    def get_or_load(self, key: Any, loader: Callable[[], Any], **options: Any) -> Any:
        try:
            return super().get_or_load(key, loader, **options)
        except Exception as error:  # noqa: BLE001 -- whatever the loader raised
            raise _first(type(error), error.args) from None


@functools.cache
def _first(kind: type[Exception], args: tuple[Any, ...]) -> Exception:
    return kind(*args)


class KeepsFailures(TTLCache):
    def get_or_load(self, key: Any, loader: Callable[[], Any], **options: Any) -> Any:
        try:
            return super().get_or_load(key, loader, **options)
        except Exception as error:
            self[key] = str(error)
            raise


class LoadsWhatIsThere(TTLCache):
    def get_or_load(self, key: Any, loader: Callable[[], Any], **options: Any) -> Any:
        return loader()


class LoadsItself(TTLCache):
    def get_or_load(self, key: Any, loader: Callable[[], Any], **options: Any) -> Any:
        try:
            return super().get_or_load(key, loader, **options)
        except CacheError:
            return "anything"


class ComplainsOfKeysAfterTheLoad(TTLCache):
    def get_or_load(self, key: Any, loader: Callable[[], Any], **options: Any) -> Any:
        found = loader() if isinstance(key, list | tuple) else None
        return super().get_or_load(key, lambda: found or loader(), **options)


class TellsTheKey(TTLCache):
    def get(self, key: Any, default: Any = None, /) -> Any:
        try:
            return super().get(key, default)
        except CacheError:
            raise CacheError(f"{key!r} holds a list") from None


class ComplainsOfTagsAfterTheLoad(TTLCache):
    def get_or_load(
        self, key: Any, loader: Callable[[], Any], *, tags: Any = (), **options: Any
    ) -> Any:
        return super().get_or_load(key, loader, **options) if not tags else loader()


class GivesWhatCannotBeCopied(TTLCache):
    def get_or_load(self, key: Any, loader: Callable[[], Any], **options: Any) -> Any:
        found = loader()
        try:
            return super().get_or_load(key, lambda: found, **options)
        except CacheError:
            return found
