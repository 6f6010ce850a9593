"""The children in one list of a root: rows of their own, found by what refers to the root."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from domain.errors import ValidationError
from infrastructure.database.aggregates import refuse_twice
from infrastructure.database.models.child_rows import as_list, row_of, taken_from
from infrastructure.database.models.children import ChildrenInfo
from infrastructure.testing.memory.constraints import Row
from infrastructure.testing.memory.images import Image
from infrastructure.testing.memory.kinds import Draft, Write
from infrastructure.testing.memory.ordering import in_order
from infrastructure.testing.memory.state import Key, State

if TYPE_CHECKING:
    from infrastructure.testing.memory.table_kind import TableKind


class ChildList:
    """One list of a kind of root."""

    def __init__(self, info: ChildrenInfo, kind: TableKind) -> None:
        self.info = info
        self.kind = kind

    def keys(self, root: Row, state: State) -> list[Key]:
        """The keys of the children of a stored root."""
        for reference in self.kind.references:
            if set(reference.fields) == set(self.info.links):
                values = tuple(root[self.info.links[name]] for name in reference.fields)
                return state.referring(self.kind.token, reference, values)
        return []

    def rows(self, root: Row, state: State) -> list[Row]:
        """The children of a stored root, in the order of the list."""
        stored = state.rows(self.kind.token)
        found = [stored[key] for key in self.keys(root, state)]
        keys = [*self.info.order_by, *self.kind.keys]
        order = [(name.removeprefix("-"), name.startswith("-")) for name in keys]
        return in_order(self.kind, found, order)

    def complete(self, root: Row, drafts: Sequence[Draft]) -> None:
        """Fill in what the root gives its new children."""
        self._settle_order([draft.values for draft in drafts])
        for draft in drafts:
            draft.values |= self.links_to(root)

    def links_to(self, root: Row) -> dict[str, Any]:
        """The fields by which a child refers to this root."""
        return {name: root[of] for name, of in self.info.links.items()}

    # -- changes -----------------------------------------------------------------------------

    def is_changed(self, root: Any, images: Sequence[Image]) -> bool:
        """Whether the list of a root has other children than the stored ones, or changed ones."""
        held = root.__dict__.get(self.info.name)
        if not isinstance(held, list) or len(held) != len(images):
            return True
        same = all(child is image.entity for child, image in zip(held, images, strict=True))
        return not same or any(image.kind.is_changed(image) for image in images)

    def plan(self, root: Image, name: str, write: Write, now: datetime) -> bool:
        """Validate the list, and add what is to be done; whether there is anything."""
        held = as_list(root.entity, name, root.entity.__dict__.get(name))
        known = {id(image.entity): image for image in root.children[name]}
        changed, images, rows = False, list[Image](), list[dict[str, Any]]()
        for child in held:
            image = known.get(id(child))
            if image is None:
                image, changed = self._adopt(child, root, write, now), True
            elif self.kind.plan(image, write, now):
                changed = True
            images.append(image)
            rows.append({**image.row, **_planned(write, image)})
        numbers = self._settle_order(rows)
        kept = {id(image) for image in images}
        gone = [image for image in root.children[name] if id(image) not in kept]
        write.deletes += [member for image in gone for member in image.family()]
        if numbers:
            for image, row in zip(images, rows, strict=True):
                _number(write, image, row, str(self.info.numbered))
        moved = [*map(id, images)] != [*map(id, root.children[name])]
        write.finish.append(lambda: root.children.__setitem__(name, images))
        return changed or bool(gone) or numbers or moved

    def _adopt(self, child: Any, root: Image, write: Write, now: datetime) -> Image:
        row = child if isinstance(child, self.info.model) else row_of(self.info, child)
        if row is child and (adopted := taken_from(row)) is not None:
            write.adopted.append((adopted.original, row))
        draft = self.kind.draft(row, child)
        draft.values |= self.links_to(root.row)
        return plan_insert(self.kind, draft, child, write, now)

    def _settle_order(self, rows: list[dict[str, Any]]) -> bool:
        """Number the children; whether a number changed."""
        children = [SimpleNamespace(**row) for row in rows]
        refuse_twice(self.info, map(self.info.own_key, children))
        if self.info.is_in_order(children):
            return False
        if self.info.numbered is None:
            raise ValidationError(
                self.info.root.__entity_class__.__name__,
                {
                    self.info.name: "has an order that no column keeps; give "
                    f"{self.info.model.__name__} a position: int, and {self.info.root.__name__} "
                    'Children(…, order_by="position")'
                },
            )
        self.info.number(children)
        for row, child in zip(rows, children, strict=True):
            row[self.info.numbered] = getattr(child, self.info.numbered)
        return True


def plan_insert(kind: TableKind, draft: Draft, entity: Any, write: Write, now: datetime) -> Image:
    """Add a new row of a child, and those of its own children."""
    kind.stamp(draft.values, now, own=draft.own)
    image = Image(kind, entity, draft.values)
    write.inserts.append((kind, draft.values, image))
    for name, of in kind.lists.items():
        of.complete(draft.values, draft.children[name])
        image.children[name] = [
            plan_insert(of.kind, child, each, write, now)
            for child, each in zip(
                draft.children[name], entity.__dict__.get(name) or (), strict=True
            )
        ]
    return image


def _planned(write: Write, image: Image) -> dict[str, Any]:
    return next((values for one, values in write.updates if one is image), {})


def _number(write: Write, image: Image, row: dict[str, Any], name: str) -> None:
    new = next((values for _, values, one in write.inserts if one is image), None)
    if new is not None:
        new[name] = row[name]
    elif row[name] != image.row[name]:
        planned = _planned(write, image)
        if not planned:
            write.updates.append((image, planned))
        planned[name] = row[name]
