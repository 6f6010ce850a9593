"""In a forked child, the threads that held a lock or loaded a value are not there."""

from __future__ import annotations

import os
import weakref
from functools import cache
from typing import Protocol


class Forked(Protocol):
    """Something that has to be told that its other threads are gone."""

    def after_fork(self) -> None:
        """Called in the child, before anything else runs there."""
        ...


# By identity: a mapping cannot be hashed.
_living: weakref.WeakValueDictionary[int, Forked] = weakref.WeakValueDictionary()


def tell(forked: Forked) -> None:
    """Call its ``after_fork`` in each child of this process, as long as it lives."""
    _watch()
    _living[id(forked)] = forked


@cache
def _watch() -> None:
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_tell_all)


def _tell_all() -> None:
    for forked in list(_living.values()):
        forked.after_fork()
