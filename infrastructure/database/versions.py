"""The versions that entities bore before a transaction gave them others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import inspect as state_of
from sqlalchemy.orm.attributes import set_committed_value

from infrastructure.database.models.rules import rules_of


def version_in(entity: Any) -> Any:
    """The version that a row bears, as it is loaded."""
    return entity.__dict__.get(str(rules_of(type(entity)).version))


class Bases:
    """What a rollback gives back: otherwise a row would bear a version that is not stored.

    The next transaction that writes the row gives it the same version, and the version check
    of the first one would see no difference.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[Any, Any]] = {}
        self._overwritten: list[type[Any]] = []

    def note(self, rows: Iterable[Any]) -> None:
        """What they bear before they are written for the first time."""
        for row in rows:
            unknown = isinstance(row, tuple(self._overwritten))
            self._known.setdefault(id(row), (row, None if unknown else version_in(row)))

    def note_overwritten(self, models: Iterable[type[Any]], loaded: Iterable[Any]) -> None:
        """A set-based write: whoever is loaded from now on may bear a version of it."""
        self.note(row for row in loaded if rules_of(type(row)).version)
        self._overwritten += [model for model in models if rules_of(model).version]

    def note_unknown(self, rows: Iterable[Any]) -> None:
        """Before a rollback: of what was loaded after a set-based write, nobody knows it."""
        kinds = tuple(self._overwritten)
        for row in rows if kinds else ():
            if isinstance(row, kinds):
                self._known.setdefault(id(row), (row, None))

    def restore(self) -> None:
        """After a rollback: they bear what is stored, or None where that is not known."""
        for row, version in self._known.values():
            if state_of(row).key is not None:
                set_committed_value(row, str(rules_of(type(row)).version), version)

    def mark(self) -> tuple[int, int]:
        """How much is noted so far."""
        return len(self._known), len(self._overwritten)

    def go_back(self, mark: tuple[int, int]) -> None:
        """After a savepoint was undone: its rows are read again."""
        known, overwritten = mark
        for row in list(self._known)[known:]:
            del self._known[row]
        del self._overwritten[overwritten:]

    def clear(self) -> None:
        """After COMMIT."""
        self._known.clear()
        self._overwritten.clear()
