"""The entities of one transaction: which object stands for which row, and how that is undone."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from infrastructure.testing.memory.constraints import Row, Token
from infrastructure.testing.memory.images import Image, Snapshot
from infrastructure.testing.memory.kinds import Kind
from infrastructure.testing.memory.originals import Late, Originals, Seen
from infrastructure.testing.memory.recorded import Journal
from infrastructure.testing.memory.state import Key, State

Place = tuple[Token, bool, Key]
"""The kind, whether a row of the table was handed out, and the key."""


class Mark(NamedTuple):
    """A place to go back to."""

    images: dict[Place, Image]
    snapshots: dict[int, Snapshot]
    undoings: int
    born: int
    doomed: int


class Tracking:
    """One object for each row; with what takes back what was done to objects."""

    def __init__(self) -> None:
        self.originals = Originals()
        self._images: dict[Place, Image] = {}
        self._by_object: dict[int, Image] = {}
        self._given: weakref.WeakValueDictionary[Any, Any] = weakref.WeakValueDictionary()
        self._undoings: list[Callable[[], None]] = []
        self.journal = Journal(self.on_undo)
        self._born: list[Image] = []
        self._deleted: list[Image] = []
        self._doomed: list[Image] = []
        """Whose rows were to be deleted: a rollback gives them what they held then."""
        self._gone: list[Image] = []
        """Whose rows are deleted for good."""
        self._settled: list[Late] = []
        self._given_up: list[Late] = []
        """The same, until the statement that failed is undone."""
        self._marks: list[Mark] = []
        self._first: dict[int, tuple[Image, Row]] = {}

    # -- which there are ---------------------------------------------------------------------

    def find(self, kind: Kind, key: Key, *, rows: bool) -> Image | None:
        """What stands for a row here."""
        return self._images.get((kind.token, rows, key))

    def of_object(self, entity: Any) -> Image | None:
        """The image of a tracked entity."""
        image = self._by_object.get(id(entity))
        return image if image is not None and image.entity is entity else None

    def is_stored(self, entity: Any) -> bool:
        """Whether an object stands for a row, or did so until its transaction ended."""
        known: list[Any] = [*self._deleted, *self._gone, *self._settled]
        return self.of_object(entity) is not None or any(one.entity is entity for one in known)

    def all_of(self, kind: Kind, key: Key) -> Iterator[Image]:
        """All objects that stand for a row."""
        for rows in (False, True):
            if (image := self._images.get((kind.token, rows, key))) is not None:
                yield image

    def add(self, image: Image, *, rows: bool) -> Image:
        """Track an entity."""
        self._images[image.kind.token, rows, image.key] = image
        self._by_object[id(image.entity)] = image
        for mark in self._marks:
            mark.snapshots[id(image)] = image.snapshot()
        return image

    def is_born(self, image: Image) -> None:
        """Its row was inserted by this transaction."""
        self._born.append(image)

    def doom(self, image: Image) -> None:
        """Its row is about to be deleted."""
        self._doomed.append(image)

    def discard(self, image: Image) -> None:
        """Track it no longer: its row is deleted."""
        self._forget(image)
        self._deleted.append(image)

    def _forget(self, image: Image) -> None:
        self._images = {place: one for place, one in self._images.items() if one is not image}
        self._by_object.pop(id(image.entity), None)

    def untracked(self, kind: Kind, key: Key, make: Callable[[], Any]) -> Any:
        """The object that was handed out for a row, as long as somebody has it."""
        known = self._given.get((kind.token, key))
        return known if known is not None else self._given.setdefault((kind.token, key), make())

    def changed(self) -> list[Image]:
        """Those of which a flush would write something."""
        return [image for image in self._images.values() if image.kind.is_changed(image)]

    def has_recorded(self) -> bool:
        """Whether a flush would find something to publish."""
        return any(image.has_recorded() for image in self._images.values())

    def collect(self, gone: Iterable[Image]) -> None:
        """Publish what was recorded, now that all are written; by those that are gone, too.

        After a rollback only what was new can be stored again, so only that gets it back.
        """
        born = {id(image) for image in self._born}
        for root in (*self._images.values(), *gone):
            for image in root.family():
                for one in image.kind.parts(image.entity):
                    self.journal.collect(one, returns=id(image) in born)

    def note_written(self, image: Image) -> None:
        """Remember what was stored before: a rollback gives the version back."""
        self._first.setdefault(id(image), (image, image.row))

    # -- how it is undone --------------------------------------------------------------------

    def on_undo(self, undo: Callable[[], None]) -> None:
        """What is to be done if what is being done now is undone."""
        self._undoings.append(undo)

    def mark(self) -> Mark:
        """Begin a part that can be undone."""
        images = dict(self._images)
        snapshots = {id(image): image.snapshot() for image in images.values()}
        self._marks.append(
            Mark(images, snapshots, len(self._undoings), len(self._born), len(self._doomed))
        )
        return self._marks[-1]

    def end(self, mark: Mark) -> None:
        """The part has ended, one way or the other."""
        self._marks = [one for one in self._marks if one is not mark]

    def go_back(self, mark: Mark) -> None:
        """Undo the part: objects hold what they held at its beginning, and are tracked again."""
        self._undo(mark.undoings)
        born = {id(image) for image in self._born[mark.born :]}
        del self._born[mark.born :]
        del self._doomed[mark.doomed :]
        self._first = {key: first for key, first in self._first.items() if key not in born}
        images = {**self._images, **mark.images}
        self._images = {place: one for place, one in images.items() if id(one) not in born}
        for image in self._deleted:
            if id(image) in mark.snapshots and id(image) not in born:
                self._images.setdefault((image.kind.token, _is_row(image), image.key), image)
        self._by_object = {id(one.entity): one for one in self._images.values()}
        kept = born | {id(one) for one in self._images.values()}
        self._deleted = [one for one in self._deleted if id(one) not in kept]
        for image in self._images.values():
            mark.snapshots[id(image)].restore()

    def _undo(self, since: int) -> None:
        for undo in reversed(self._undoings[since:]):
            undo()
        del self._undoings[since:]

    def read_again(self, state: State) -> None:
        """Let all hold what is stored; what is gone is tracked no longer."""
        for image in [*self._images.values()]:
            row = state.row(image.kind.token, image.key)
            if row is None:
                self._forget(image)
            elif row is not image.row:
                image.row = row
                image.kind.write(image)

    # -- the end of a transaction ------------------------------------------------------------

    def settle(self) -> None:
        """After a commit: what was loaded keeps its values, and must not be changed any more."""
        self.originals.settle()
        self._gone += self._deleted
        self._settled += map(_late, self._images.values())
        self._clear()

    def give_up(self) -> None:
        """After a statement failed: a change from now on is one of a transaction that has ended."""
        born = {id(image) for image in self._born}
        self._given_up = [_late(image) for image in self._images.values() if id(image) not in born]
        self._images.clear()
        self._by_object.clear()

    def undo(self) -> None:
        """After a rollback: the same, and what was stored in vain is new again."""
        born = {id(image) for image in self._born}
        doomed = {id(image.entity) for image in self._doomed}
        for image in self._doomed:
            image.kind.write(image)
        for image, row in self._first.values():
            if id(image) not in born:
                image.kind.bear(image.entity, row)
        self._settled = [late for late in self._settled if id(late.entity) not in doomed]
        ended = {id(one): one for one in (*self._images.values(), *self._doomed)}
        late = [one for one in self._given_up if id(one.entity) not in doomed]
        late += [_late(image) for key, image in ended.items() if key not in born]
        changed = [one.is_changed for one in late]
        self._undo(0)
        for one, is_changed in zip(late, changed, strict=True):
            self._settled.append(one if is_changed else one.anew())
        self.originals.forget()
        self._clear()

    def _clear(self) -> None:
        self._images.clear()
        self._by_object.clear()
        self._given.clear()
        self._undoings.clear()
        self.journal.clear()
        self._deleted.clear()
        self._doomed.clear()
        self._born.clear()
        self._first.clear()
        self._given_up.clear()

    def changed_late(self) -> list[str]:
        """What to call those of earlier transactions that were changed since."""
        settled = [late.label for late in self._settled if late.is_changed]
        return settled + self.originals.changed_late()


def _late(image: Image) -> Late:
    image.forget_recorded()
    return Late(image.entity, image.label, Seen(image.kind, image.entity))


def _is_row(image: Image) -> bool:
    return hasattr(type(image.entity), "__table__")
