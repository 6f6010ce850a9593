"""In a forked child, other threads are gone, and connections belong to the parent."""

from __future__ import annotations

import os
import weakref
from functools import cache
from typing import Protocol


class Forked(Protocol):
    """Something that has to begin anew in a child."""

    def after_fork(self) -> None:
        """Called in the child, before anything else runs there."""
        ...


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
