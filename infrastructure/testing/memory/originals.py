"""The objects that callers gave to a repository, and still hold."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any, NamedTuple

from domain.errors import UnitOfWorkError
from infrastructure.testing.memory.images import Image, label_of
from infrastructure.testing.memory.kinds import Kind
from infrastructure.testing.memory.recorded import numbers_of

_RECENT = 64


class Seen:
    """What an object held, and what it had recorded, at some moment."""

    def __init__(self, kind: Kind, entity: Any) -> None:
        self._kind = kind
        self._entity = entity
        self._held = kind.held(entity)
        self._recorded = frozenset(numbers_of(kind.bearers(entity)))

    @property
    def is_changed(self) -> bool:
        """Whether somebody has changed it; what was published of it since is no change."""
        recorded = frozenset(numbers_of(self._kind.bearers(self._entity)))
        return self._kind.held(self._entity) != self._held or not recorded <= self._recorded

    def anew(self) -> Seen:
        """What it is now."""
        return Seen(self._kind, self._entity)


class Original(NamedTuple):
    """An object, the image of what was made of it, and what it was then."""

    given: Any
    image: Image
    seen: Seen


class Late(NamedTuple):
    """An object of a transaction that has ended, and what it was then."""

    entity: Any
    label: str
    seen: Seen

    @property
    def is_changed(self) -> bool:
        return self.seen.is_changed

    def anew(self) -> Late:
        """What is done to it from now on is a change."""
        return self._replace(seen=self.seen.anew())


class Originals:
    """Notices changes that would be lost: the tracked entity is another object."""

    def __init__(self) -> None:
        self._known: dict[int, Original] = {}
        self._late: dict[int, Late] = {}

    def add(self, given: Any, image: Image) -> None:
        """From now on the object must not change."""
        self._known[id(given)] = Original(given, image, Seen(image.kind, given))

    def forget_late(self, given: Any) -> None:
        """It is given again: what became of it in an earlier transaction counts no more."""
        self._late.pop(id(given), None)

    def remove(self, given: Any) -> None:
        """It may change again."""
        self._known.pop(id(given), None)

    def of(self, given: Any) -> Image | None:
        """What was made of this object in this transaction."""
        found = self._known.get(id(given))
        return None if found is None else found.image

    def check(self) -> None:
        """Refuse to go on where a change would be lost."""
        _check(self._known.values())

    def check_recent(self) -> None:
        """The same for the last ones."""
        _check(islice(reversed(self._known.values()), _RECENT))

    def settle(self) -> None:
        """After a commit: they are not to be changed any more."""
        for key, (given, image, seen) in self._known.items():
            self._late[key] = Late(given, label_of(image.kind, image.key), seen)
        self._known.clear()

    def forget(self) -> None:
        """After a rollback: they may change again."""
        self._known.clear()

    def changed_late(self) -> list[str]:
        """Those of earlier transactions that were changed since."""
        return [late.label for late in self._late.values() if late.is_changed]


def _check(originals: Iterable[Original]) -> None:
    for _, image, seen in originals:
        if seen.is_changed:
            raise UnitOfWorkError(
                f"{image.label}: the object given to the repository was changed afterwards; "
                "change the one that it returned"
            )
