"""The caches of one database: what its repositories keep until somebody writes."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

from domain.ports import Cache
from infrastructure.database.written import Written

if TYPE_CHECKING:
    from infrastructure.cache import CachePolicy


_PATIENCE = 5.0  # seconds; then one reads for oneself


class Caches:
    """One for each class of repositories that has a policy, made when it is first used.

    Units that write tell them what, after their COMMIT. What other processes write, or the
    database itself by a trigger, they do not hear of: that is served until its time is over.
    """

    def __init__(self) -> None:
        self._made: dict[type[Any], Cache] = {}
        self._turns: dict[Hashable, threading.Event] = {}

    def of(self, repository: type[Any], policy: CachePolicy) -> Cache:
        """That of a class of repositories."""
        found = self._made.get(repository)
        return self._made.setdefault(repository, policy.make()) if found is None else found

    def begin(self) -> Written | None:
        """Where a writing unit is to note what it does; None as long as there is no cache."""
        return Written() if self._made else None

    def sequences(self) -> Mapping[type[Any], Any]:
        """How far invalidations have come, in each."""
        if not self._made:
            return {}
        return {kind: cache.sequence() for kind, cache in list(self._made.items())}

    def forget(self, written: Written | None) -> list[Exception]:
        """What was written is stored, or may be; the errors of caches that could not be told.

        None is for a unit that is older than the first cache.
        """
        if not self._made:
            return []
        tags = None if written is None else written.tags()
        if tags is not None and not tags:
            return []
        errors: list[Exception] = []
        for cache in {id(each): each for each in list(self._made.values())}.values():
            try:
                cache.clear() if tags is None else cache.invalidate(tags)
            except Exception as error:  # noqa: BLE001 -- all are told; the caller gets every failure
                errors.append(error)
        return errors

    # -- one after the other ---------------------------------------------------------------

    def take_turn(self, key: Hashable) -> bool:
        """Whether nobody else is reading this; otherwise, wait until that one has, but not long."""
        mine = threading.Event()
        other = self._turns.setdefault(key, mine)
        return other is mine or not other.wait(_PATIENCE)

    def end_turn(self, key: Hashable) -> None:
        """It is read, or could not be."""
        turn = self._turns.pop(key, None)
        if turn is not None:
            turn.set()

    def after_fork(self) -> None:
        """Nobody of the parent's threads is reading here."""
        self._turns = {}

    def clear(self) -> None:
        """Forget everything, as after a change that no unit made."""
        for cache in list(self._made.values()):
            cache.clear()


_known: weakref.WeakValueDictionary[object, Caches] = weakref.WeakValueDictionary()
_lock = threading.Lock()


def caches_of(database: object) -> Caches:
    """The same for all objects that stand for one database in this process."""
    with _lock:
        found = _known.get(database)
        if found is None:
            found = _known[database] = Caches()
        return found


def after_fork() -> None:
    """Whoever held the lock is not in this process."""
    global _lock  # noqa: PLW0603
    _lock = threading.Lock()
