"""What the entities of a unit are known to hold: that is what their changes are noticed by."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from domain.entity import EVENTS
from infrastructure.testing.memory.constraints import Row
from infrastructure.testing.memory.recorded import taken_from

if TYPE_CHECKING:
    from infrastructure.testing.memory.kinds import Kind


class Image:
    """An entity that was handed out, the row that it stands for, and the same of its children."""

    def __init__(
        self, kind: Kind, entity: Any, row: Row, children: dict[str, list[Image]] | None = None
    ) -> None:
        self.kind = kind
        self.entity = entity
        self.row = row
        self.children = children or {}

    @property
    def key(self) -> tuple[Any, ...]:
        """The key of the row."""
        return self.kind.key_of(self.row)

    @property
    def label(self) -> str:
        """What to call the entity."""
        return label_of(self.kind, self.key)

    def family(self) -> Iterator[Image]:
        """This one, its children, and theirs."""
        yield self
        for images in self.children.values():
            for image in images:
                yield from image.family()

    def has_recorded(self) -> bool:
        """Whether there is something to publish."""
        return any(EVENTS in one.__dict__ for one in self.kind.bearers(self.entity))

    def forget_recorded(self) -> None:
        """It is undone, and not to be published any more."""
        for image in self.family():
            for one in image.kind.parts(image.entity):
                taken_from(one)

    def snapshot(self) -> Snapshot:
        """What can be gone back to."""
        return Snapshot(self, self.row, {n: [*map(_snap, of)] for n, of in self.children.items()})


class Snapshot(NamedTuple):
    """An image as it was at some moment."""

    image: Image
    row: Row
    children: dict[str, list[Snapshot]]

    def restore(self) -> None:
        """Let the image be that again, and its entity hold it."""
        for snapshots in self.children.values():
            for snapshot in snapshots:
                snapshot.restore()
        self.image.row = self.row
        self.image.children = {
            name: [snapshot.image for snapshot in snapshots]
            for name, snapshots in self.children.items()
        }
        self.image.kind.write(self.image)
        self.image.forget_recorded()


def label_of(kind: Kind, key: tuple[Any, ...]) -> str:
    """What to call an entity in messages."""
    if None in key:
        return kind.entity
    return f"{kind.entity} {(key[0] if len(key) == 1 else key)!r}"


def _snap(image: Image) -> Snapshot:
    return image.snapshot()
