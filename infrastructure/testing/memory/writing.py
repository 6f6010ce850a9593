"""INSERT, UPDATE and DELETE of whole aggregates, and what the objects get from them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from infrastructure.testing.memory.constraints import Row
from infrastructure.testing.memory.images import Image
from infrastructure.testing.memory.kinds import Draft, Kind, Write
from infrastructure.testing.memory.state import Key

if TYPE_CHECKING:
    from infrastructure.testing.memory.session import MemorySession


# -- new entities ----------------------------------------------------------------------------


def insert(session: MemorySession, kind: Kind, drafts: Sequence[Draft], *, rows: bool) -> list[Any]:
    """Store new aggregates, and track what stands for them; entities in their order."""
    for draft in drafts:
        session.tracking.originals.forget_late(draft.given)
    has_key = [None not in kind.key_of(draft.values) for draft in drafts]
    for wanted in (True, False):
        batch = [draft for draft, has in zip(drafts, has_key, strict=True) if has is wanted]
        _insert_batch(session, kind, batch)
    return [_hand_out(session, kind, draft, rows=rows) for draft in drafts]


def _insert_batch(session: MemorySession, kind: Kind, drafts: Sequence[Draft]) -> None:
    if not drafts:
        return
    now = session.database.clock()
    for draft in drafts:
        kind.stamp(draft.values, now, own=draft.own)
        draft.generated = kind.name(draft.values, session.database.next_id)
        note_ids(session, kind, draft.values)
    session.state.insert(kind, [draft.values for draft in drafts])
    session.wrote = True
    for draft in drafts:
        for of, children in kind.complete(draft):
            _insert_batch(session, of, children)


def _hand_out(session: MemorySession, kind: Kind, draft: Draft, *, rows: bool) -> Any:
    if draft.given is draft.own:
        image = kind.adopt(draft)
        rows = True
    else:
        image = kind.make(draft.values, session.state, rows=rows)
    session.tracking.add(image, rows=rows)
    _note_born(session, image, draft)
    if draft.given is not image.entity:
        _pair(session, image, draft)
    return image.entity


def _note_born(session: MemorySession, image: Image, draft: Draft) -> None:
    tracking = session.tracking
    tracking.is_born(image)
    entity, kind, generated = image.entity, image.kind, draft.generated
    tracking.on_undo(lambda: kind.release(entity, generated=generated))
    for name, children in draft.children.items():
        for child, of in zip(image.children[name], children, strict=True):
            _note_born(session, child, of)


def _pair(session: MemorySession, image: Image, draft: Draft) -> None:
    kind, given = image.kind, draft.given
    if not kind.is_entity(given):
        return
    session.tracking.on_undo(kind.identify(given, image, generated=draft.generated))
    for original, entity in zip(kind.bearers(given), kind.bearers(image.entity), strict=False):
        session.tracking.journal.move(original, entity)
    for name, children in draft.children.items():
        held = given.__dict__.get(name) or ()
        for child, of, original in zip(image.children[name], children, held, strict=False):
            of.given = original
            _pair(session, child, of)
    originals = session.tracking.originals
    originals.add(given, image)
    session.tracking.on_undo(lambda: originals.remove(given))


def note_ids(session: MemorySession, kind: Kind, values: dict[str, Any]) -> None:
    """Ids that were given are not generated any more."""
    if kind.generated is not None:
        session.database.note_id(kind.token, values[kind.generated])


# -- changed entities ------------------------------------------------------------------------


def flush(session: MemorySession, write: Write) -> None:
    """Write changed aggregates: what was changed by key, then what is new, then what is gone."""
    if not (write.updates or write.inserts or write.deletes):
        return
    for image, values in _by_key(write.updates):
        _update(session, image, values)
    moved = {(image.kind.token, image.key) for image in write.deletes}
    for kind, values, image in write.inserts:
        _insert_child(session, kind, values, image, moved)
    for image in reversed(write.deletes):
        if (image.kind.token, image.key) in moved:
            session.state.delete(image.kind, image.key)
            session.wrote = True
    for finish in write.finish:
        finish()
    for image, _ in write.updates:
        image.kind.write(image)


def _by_key(
    updates: Iterable[tuple[Image, dict[str, Any]]],
) -> list[tuple[Image, dict[str, Any]]]:
    kinds: dict[Any, list[tuple[Image, dict[str, Any]]]] = {}
    for image, values in updates:
        kinds.setdefault(image.kind.token, []).append((image, values))
    return [one for many in kinds.values() for one in sorted(many, key=lambda one: one[0].key)]


def _update(session: MemorySession, image: Image, values: dict[str, Any]) -> None:
    kind, key = image.kind, image.key
    stored, version = session.state.row(kind.token, key), kind.version
    if stored is None or (version is not None and stored[version] != image.row[version]):
        raise session.conflict(kind, key)
    session.tracking.note_written(image)
    counted = {} if version is None else {version: stored[version] + 1}
    kind.name_members(values, image.entity, session.database.next_id, session.tracking.on_undo)
    session.state.update(kind, {**stored, **values, **counted})
    session.wrote = True
    image.row = {**image.row, **values, **counted}


def _insert_child(
    session: MemorySession,
    kind: Kind,
    values: dict[str, Any],
    image: Image,
    moved: set[tuple[Any, Key]],
) -> None:
    generated = kind.name(values, session.database.next_id)
    note_ids(session, kind, values)
    place = kind.token, kind.key_of(values)
    if place in moved:
        moved.discard(place)
        session.state.update(kind, values)
    else:
        session.state.insert(kind, [values])
    session.tracking.is_born(image)
    session.wrote = True
    kind.link(image)
    kind.write(image)
    session.tracking.on_undo(lambda: kind.release(image.entity, generated=generated))


# -- entities that go ------------------------------------------------------------------------


def delete(session: MemorySession, kind: Kind, row: Row) -> None:
    """Remove an aggregate."""
    key = kind.key_of(row)
    images = [*session.tracking.all_of(kind, key)]
    for image in images:
        session.tracking.doom(image)
    for of, child in [*kind.members(row, session.state)]:
        session.state.delete(of, child)
    session.state.delete(kind, key)
    session.wrote = True
    for image in images:
        session.tracking.discard(image)
