"""Plain objects that were stored together: what they hold is kept as columns, not one by one.

Nobody can change what nobody has any more, so that they are not kept alive.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any

from infrastructure.database.keys import Key
from infrastructure.database.originals import differs
from infrastructure.database.outgoing import any_recorded

Reference = Callable[[], Any]


def _nobody() -> None:
    return None


class Litter:
    """Objects, the rows made of them, and what the objects held then."""

    def __init__(
        self,
        originals: Sequence[Any],
        rows: Sequence[Any],
        values: Mapping[str, Sequence[Any]],
        keys: Sequence[str],
    ) -> None:
        self.model = type(rows[0])
        self.keys = [[row.__dict__[name] for row in rows] for name in keys]
        self.rows = rows
        own = {name: at for at, name in enumerate(keys) if name in values}
        self._values = {**values, **{name: self.keys[at] for name, at in own.items()}}
        self._references: list[Reference] = list(map(weakref.ref, originals))
        self._places: dict[int, int] | None = None
        self._row_places: dict[int, int] | None = None
        for name in own:
            for original, key in zip(originals, self._values[name], strict=True):
                original.__dict__[name] = key

    def __len__(self) -> int:
        return len(self._references)

    # -- who is in it ------------------------------------------------------------------------

    def row_of(self, original: Any) -> Any | None:
        """The row that was made of this object."""
        at = self._place(original)
        return None if at is None else self.rows[at]

    def is_any_of(self, ids: set[int], originals: Iterable[Any]) -> bool:
        """Whether one of these objects, which have these ids, is in it."""
        if self._index().keys().isdisjoint(ids):
            return False
        return any(self._place(original) is not None for original in originals)

    def originals(self) -> Iterator[Any]:
        """Those that somebody still has."""
        return (one for reference in self._references if (one := reference()) is not None)

    def leave(self, original: Any) -> None:
        """This object may change from now on."""
        at = self._place(original)
        if at is not None:
            self._references[at] = _nobody

    def leave_all(self, ids: set[int], originals: Iterable[Any]) -> None:
        """The same for some objects, which have these ids."""
        if not self._index().keys().isdisjoint(ids):
            for original in originals:
                self.leave(original)

    def take_out(self, row: Any) -> Any | None:
        """The object that a row was made of, if somebody has it; it may change from now on."""
        if self._row_places is None:
            self._row_places = {id(one): at for at, one in enumerate(self.rows)}
        at = self._row_places.get(id(row))
        if at is None:
            return None
        original, self._references[at] = self._references[at](), _nobody
        return original

    def _place(self, original: Any) -> int | None:
        at = self._index().get(id(original))
        return at if at is not None and self._references[at]() is original else None

    def _index(self) -> dict[int, int]:
        if self._places is None:
            references = enumerate(self._references)
            found = ((reference(), at) for at, reference in references)
            self._places = {id(one): at for one, at in found if one is not None}
        return self._places

    # -- whether they were changed -----------------------------------------------------------

    def changed(self, last: int | None = None) -> list[Key]:
        """The keys of those that were changed since; perhaps only among the last ones."""
        since = 0 if last is None else max(len(self._references) - last, 0)
        pairs = [
            (one, at)
            for at, reference in enumerate(self._references[since:], since)
            if (one := reference()) is not None
        ]
        if not pairs or self._are_alike(pairs):
            return []
        return [
            self._key(at)
            for one, at in pairs
            if differs(one, self.model, {name: v[at] for name, v in self._values.items()})
        ]

    def _are_alike(self, pairs: Sequence[tuple[Any, int]]) -> bool:
        held = [one.__dict__ for one, _ in pairs]
        if any_recorded(held):
            return False
        places = [at for _, at in pairs]
        whole = len(places) == len(self._references)
        try:
            return all(
                list(map(itemgetter(name), held))
                == (column if whole else [column[at] for at in places])
                for name, column in self._values.items()
            )
        except Exception:  # noqa: BLE001 -- each is looked at then
            return False

    def _key(self, at: int) -> Key:
        return tuple(column[at] for column in self.keys)

    def settle(self) -> bool:
        """After the transaction: the rows are no longer of use. Whether the objects still are."""
        self.rows = ()
        self._row_places = None
        return any(reference() is not None for reference in self._references)


class Litters:
    """Those of one session: of the transaction that is going on, and of earlier ones."""

    def __init__(self) -> None:
        self.now: list[Litter] = []
        self.late: list[Litter] = []

    def add(
        self,
        originals: Sequence[Any],
        rows: Sequence[Any],
        values: Mapping[str, Sequence[Any]],
        keys: Sequence[str],
    ) -> Litter:
        """Objects that were stored just now."""
        if self.late:
            ids = {*map(id, originals)}
            for litter in self.late:
                litter.leave_all(ids, originals)
        self.now.append(Litter(originals, rows, values, keys))
        return self.now[-1]

    def row_of(self, original: Any) -> Any | None:
        """The row that was made of this object in this transaction."""
        found = (litter.row_of(original) for litter in reversed(self.now))
        return next((row for row in found if row is not None), None)

    def know_any(self, originals: Sequence[Any]) -> bool:
        """Whether a row was made of any of these objects in this transaction."""
        if not self.now:
            return False
        ids = {*map(id, originals)}
        return any(litter.is_any_of(ids, originals) for litter in self.now)

    def leave(self, original: Any) -> None:
        """This object is looked after by somebody else, or may change."""
        for litter in [*self.now, *self.late]:
            litter.leave(original)

    def take_out(self, row: Any) -> list[Any]:
        """The objects that a row was made of; they may change again."""
        found = [litter.take_out(row) for litter in self.now]
        return [original for original in found if original is not None]

    def changed(self, last: int | None = None) -> Iterator[tuple[Any, Key]]:
        """The models and keys of those of this transaction that were changed."""
        for litter in self.now if last is None else self.now[-1:]:
            for key in litter.changed(last):
                yield litter.model, key

    def changed_late(self) -> Iterator[tuple[Any, Key]]:
        """The same, of earlier transactions."""
        for litter in self.late:
            for key in litter.changed():
                yield litter.model, key

    def settle(self) -> None:
        """After COMMIT."""
        if not (self.late or self.now):
            return
        self.late = [litter for litter in [*self.late, *self.now] if litter.settle()]
        self.now = []

    def forget(self) -> None:
        """After ROLLBACK."""
        self.now = []
