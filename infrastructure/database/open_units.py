"""Which units are open in this context, and which may be open beside each other.

A context is that of ``contextvars``: a thread, a task, a request.
"""

from __future__ import annotations

import weakref
from contextvars import ContextVar
from typing import Protocol

from domain.errors import UnitOfWorkError


class Shared(Protocol):
    """What units store in."""

    @property
    def key(self) -> object:
        """Equal for two objects that stand for the same storage."""
        ...

    @property
    def exclusive(self) -> bool:
        """Whether it serves one unit at a time."""
        ...

    @property
    def serves_one(self) -> str:
        """What to say where it is asked for more."""
        ...


class OpenUnit(Protocol):
    """What must be known of a unit here."""

    @property
    def database(self) -> Shared:
        """Where it stores."""
        ...

    read_only: bool
    begun: bool

    @property
    def is_open(self) -> bool:
        """Whether it was entered in this process, and not left yet."""
        ...


_units: ContextVar[tuple[weakref.ref[OpenUnit], ...]] = ContextVar("kit_units", default=())


def register(unit: OpenUnit) -> None:
    """From now on, this one is open in this context."""
    known, this = _units.get(), weakref.ref(unit)
    if this not in known:
        _units.set((*[ref for ref in known if (other := ref()) and other.is_open], this))


def refuse_beside_others(unit: OpenUnit) -> None:
    """Refuse to begin where it would wait for itself."""
    known = _units.get()
    if len(known) == 1 and known[0]() is unit:
        return
    for other in _open():
        if other is not unit and other.begun and other.database.key == unit.database.key:
            _refuse(unit, other)


def refuse_inside_another(database: Shared) -> None:
    """Refuse to run a unit again and again while what it waits for may be held here."""
    if any(unit.database.key == database.key for unit in _open()):
        raise UnitOfWorkError(
            "run() inside an open unit: only a whole unit can be run again; call it before the "
            "block, or do the work in the block that is open"
        )


def _open() -> list[OpenUnit]:
    return [unit for ref in _units.get() if (unit := ref()) is not None and unit.is_open]


def _refuse(unit: OpenUnit, other: OpenUnit) -> None:
    if not unit.read_only and not other.read_only:
        raise UnitOfWorkError(
            "a writing unit is open here already and this one would wait for it; use that "
            "one, with savepoint() for a part that may fail"
        )
    if unit.database.exclusive:
        raise UnitOfWorkError(f"{unit.database.serves_one}; leave that one")
