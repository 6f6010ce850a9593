"""The garbage collector, which would look at every object of a large read many times over."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable
from contextlib import ContextDecorator
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class _Pauses:
    """How many threads have paused it, and whether it was on before the first."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.count = 0
        self.was_on = False

    def begin(self) -> None:
        with self.lock:
            if self.count == 0:
                self.was_on = gc.isenabled()
                gc.disable()
            self.count += 1

    def end(self) -> None:
        with self.lock:
            self.count -= 1
            if self.count == 0 and self.was_on:
                gc.enable()


_pauses = _Pauses()


class _Paused(ContextDecorator):
    def __enter__(self) -> None:
        _pauses.begin()

    def __exit__(self, *_: object) -> None:
        _pauses.end()


_paused = _Paused()


def paused() -> _Paused:
    """No collection while many objects are made; for a bounded piece of work, which never waits.

    A context manager, and a decorator.
    """
    return _paused


def done_paused(count: int, work: Callable[P, T], /, *args: P.args, **options: P.kwargs) -> T:
    """What a piece of work gives; while it is done, the collector pauses if that is worth it."""
    if count <= _FEW:
        return work(*args, **options)
    with _paused:
        return work(*args, **options)


_FEW = 10


def _begin_anew() -> None:
    """In a forked child there are no other threads, and none of theirs to wait for."""
    global _pauses  # noqa: PLW0603
    if _pauses.count and _pauses.was_on:
        gc.enable()
    _pauses = _Pauses()


os.register_at_fork(after_in_child=_begin_anew)
