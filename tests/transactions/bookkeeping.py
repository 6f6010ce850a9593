"""What units should do with shelves and books, in plain dicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from domain.errors import ForeignKeyViolation, KitError, UniqueViolation
from tests.transactions.library import MODELS

FIELDS = {"shelf": ("name", "size"), "book": ("name", "size", "shelf_id")}

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Row:
    """A stored row. An id may be given twice, a serial number may not."""

    kind: str
    serial: int
    values: Values
    version: int | None

    def changed(self, values: Values, *, always: bool = True) -> Row:
        """The row with other values; its version counts writes, not only differences."""
        new = {**self.values, **values}
        if new == self.values and not always:
            return self
        version = None if self.version is None else self.version + 1
        return replace(self, values=new, version=version)

    def stored(self, id: int) -> dict[str, Any]:
        """What is in its columns."""
        version = {} if self.version is None else {"version": self.version}
        return {"id": id, **self.values, **version}


State = dict[str, dict[int, Row]]


class Life(Enum):
    """What an object that somebody holds is to the open unit."""

    QUEUED = "waits for the next flush"
    TRACKED = "its changes are written"
    TWIN = "a row was made of it, or written with its values"
    DELETED = "its row is deleted in this transaction"
    LEFT = "its row was deleted behind its back"
    SETTLED = "its transaction has ended, the block has not"
    LOOSE = "the unit knows nothing of it"


TAKING_PART = (Life.QUEUED, Life.TRACKED, Life.TWIN, Life.DELETED)


@dataclass(eq=False)
class Held:
    """An entity that the caller keeps, and what it must hold."""

    entity: Any
    kind: str
    life: Life
    values: Values
    serial: int | None = None
    id: int | None = None
    version: int | None = None
    base: int | None = None
    """Its version when the transaction began."""
    overwritten: int | None = None
    """Which set-based write came before it was loaded: then its base is not known."""
    created: bool = False
    """Whether this transaction made its row; then its id goes when that is undone."""
    before: Life = Life.LOOSE
    """What it was before it became a twin."""
    changes: dict[str, Any] = field(default_factory=dict)
    late: dict[str, Any] = field(default_factory=dict)
    """What was changed since it was settled."""

    def change(self, values: Values) -> None:
        """Somebody changed it when no flush will write it any more."""
        if self.life is not Life.SETTLED:
            self.values = {**self.values, **values}
            return
        changed = {**self.late, **values}
        self.late = {name: new for name, new in changed.items() if new != self.values[name]}


@dataclass
class Mark:
    """What a savepoint goes back to."""

    now: State
    serials: int
    wrote: bool | None
    hooks: int
    overwritten: int
    versions: dict[Held, int | None]


class Library:
    """The committed state, that of the open transaction, and those of its savepoints."""

    def __init__(self) -> None:
        self.committed: State = {kind: {} for kind in MODELS}
        self._serials = 0
        self.held: list[Held] = []
        self.called: list[int] = []
        self.begin()

    def begin(self) -> None:
        """A transaction."""
        self.now: State = {kind: dict(rows) for kind, rows in self.committed.items()}
        self.marks: list[Mark] = []
        self.wrote: bool | None = False
        self.hooks: list[int] = []
        self.overwritten: list[str] = []
        self.failed: BaseException | None = None
        self.lost = False
        self.doomed = False
        for held in self.held:
            held.base, held.overwritten = held.version, None

    # -- what a query would find -------------------------------------------------------------

    def row_of(self, held: Held) -> Row | None:
        """The row of an entity, as it is now."""
        row = self.now[held.kind].get(held.id or 0)
        return row if row is not None and row.serial == held.serial else None

    def values_of(self, held: Held) -> Values:
        """What its fields must be."""
        row = self.row_of(held) if held.life is Life.TRACKED and self.failed is None else None
        return {**(held.values if row is None else row.values), **held.changes, **held.late}

    def version_of(self, held: Held) -> int | None:
        """What its version must be; None if it has none."""
        row = self.row_of(held) if held.life is Life.TRACKED and self.failed is None else None
        return held.version if row is None else row.version

    def view(self, kind: str) -> dict[int, Row]:
        """All rows, with the changes that the next flush will write."""
        found = dict(self.now[kind])
        for held in self.changed(kind):
            id = held.id or 0
            found[id] = found[id].changed(held.changes, always=False)
        return found

    def everything(self, kind: str) -> list[Values]:
        """The values of all rows, those that wait included, by name."""
        rows = [row.values for row in self.view(kind).values()]
        rows += [held.values for held in self.queued(kind)]
        return sorted(rows, key=lambda values: str(values["name"]))

    def tracked(self) -> list[Held]:
        return [held for held in self.held if held.life is Life.TRACKED]

    def queued(self, kind: str | None = None) -> list[Held]:
        return [h for h in self.held if h.life is Life.QUEUED and kind in (None, h.kind)]

    def changed(self, kind: str | None = None) -> list[Held]:
        return [h for h in self.held if h.changes and kind in (None, h.kind)]

    def is_waiting(self) -> bool:
        """Whether a flush would write something."""
        return bool(self.queued()) or any(self.view(kind) != self.now[kind] for kind in self.now)

    def is_undecided(self, name: str | None) -> bool:
        """Whether it depends on the order within a flush who gets this name."""
        waiting = [h.values["name"] for h in self.queued()]
        for held in self.changed():
            waiting += [self.now[held.kind][held.id or 0].values["name"], held.changes.get("name")]
        return name is not None and name in waiting

    def is_named(self, kind: str, name: str) -> bool:
        return any(values["name"] == name for values in self.everything(kind))

    def id_named(self, kind: str, name: str) -> int | None:
        found = [id for id, row in self.view(kind).items() if row.values["name"] == name]
        return found[0] if found else None

    def refusal(self, kind: str, values: Values, but: int | None = None) -> type[KitError] | None:
        """Why the database would not store this as a new row, or as the one with this id."""
        others = [row.values["name"] for id, row in self.view(kind).items() if id != but]
        others += [held.values["name"] for held in self.queued(kind)]
        if values.get("name") in others:
            return UniqueViolation
        if values.get("shelf_id") not in (None, *self.now["shelf"]):
            return ForeignKeyViolation
        return None

    def is_referred_to(self, id: int) -> bool:
        return any(values["shelf_id"] == id for values in self.everything("book"))

    # -- what happens ------------------------------------------------------------------------

    def insert(self, kind: str, id: int, values: Values) -> Row:
        """A new row; the database has chosen its id."""
        assert id not in self.now[kind]
        self._serials += 1
        row = Row(kind, self._serials, dict(values), 1 if kind == "shelf" else None)
        self.now[kind][id] = row
        return row

    def is_created(self, row: Row) -> bool:
        """Whether the unit knows that the row is new."""
        return any(held.created for held in self.tracked() if self.row_of(held) is row)

    def remove(self, kind: str, id: int, life: Life) -> None:
        """A row is deleted; this is what its entities are from now on."""
        for held in self.tracked():
            if self.row_of(held) is self.now[kind][id]:
                held.values, held.version = self.values_of(held), self.version_of(held)
                held.life = life
        del self.now[kind][id]

    def pair(self, held: Held, row: Row, values: Values) -> None:
        """An entity from elsewhere is written over a row."""
        if held.life is not Life.TWIN:
            held.before = held.life
        held.life, held.serial, held.values, held.late = Life.TWIN, row.serial, values, {}
        held.created = self.is_created(row)

    def attempt(self, kind: str, id: int | None, values: Values) -> None:
        """A tracked row gets values that the database will not take."""
        for held in self.tracked() if self.failed is None else ():
            if self.row_of(held) is not None and (held.kind, held.id) == (kind, id):
                held.changes |= values

    def overwrote(self, kind: str) -> None:
        """A set-based write: what is loaded from now on may bear a version of it."""
        self.overwritten.append(kind)

    def first_write(self, kind: str) -> int | None:
        """Which set-based write was the first, if there was one."""
        return self.overwritten.index(kind) if kind in self.overwritten else None

    def sent(self, changed: bool) -> None:
        """A statement was sent, and has changed something, or nothing."""
        self.wrote = self.wrote or changed or None

    def flushed(self) -> None:
        """What was waiting is written."""
        for held in self.changed():
            row = self.now[held.kind][held.id or 0]
            new = row.changed(held.changes, always=False)
            self.wrote = True if new is not row else self.wrote
            self.now[held.kind][held.id or 0], held.changes = new, {}
        for held in self.queued():
            row = self.insert(held.kind, held.entity.id, held.values)
            held.id, held.serial, held.life = held.entity.id, row.serial, Life.TRACKED
            self.wrote = True

    def fail(self, error: BaseException, *, lost: bool = False) -> None:
        """A statement failed: entities hold what they held."""
        maybe = self.is_waiting() or self.doomed
        for held in self.tracked():
            held.values, held.version = self.values_of(held), self.version_of(held)
            held.changes = {}
        self.failed, self.lost, self.doomed = error, lost, False
        self.wrote = self.wrote or (None if maybe else self.wrote)

    def mark(self) -> None:
        """A savepoint."""
        now = {kind: dict(rows) for kind, rows in self.now.items()}
        versions = {held: held.version for held in self.held}
        self.marks.append(
            Mark(now, self._serials, self.wrote, len(self.hooks), len(self.overwritten), versions)
        )
        self.wrote = False

    def release(self) -> None:
        self.wrote = _either(self.wrote, self.marks.pop().wrote)

    def undo(self) -> None:
        """Back to the last savepoint, which is gone then."""
        mark = self.marks.pop()
        self._freeze()
        self.wrote = _either(False if not self.lost else None, mark.wrote)
        del self.hooks[mark.hooks :]
        self.doomed = False
        if self.lost:
            return
        del self.overwritten[mark.overwritten :]
        self.failed, self.now = None, mark.now
        for held in self._taking_part():
            if held.serial is None or held.serial > mark.serials:
                _take_back(held)
            elif held.life is Life.TWIN:
                held.version = mark.versions.get(held, held.base)
            elif self.row_of(held) is not None:
                held.life = Life.TRACKED

    def rollback(self) -> None:
        """Back to the committed state."""
        self._freeze()
        lost = self.lost
        self.now = {kind: dict(rows) for kind, rows in self.committed.items()}
        for held in self._taking_part():
            row = self.row_of(held)
            if held.life is not Life.TWIN:
                held.values = _kept(held, row, lost=lost)
            if row is None:
                _take_back(held)
            elif held.life is Life.TWIN:
                held.version, held.life = held.base, held.before
            else:
                held.version, held.life = self._base(held, row), Life.SETTLED
        self.begin()

    def _base(self, held: Held, row: Row) -> int | None:
        """The committed version, or None where a unit cannot know it."""
        since = held.overwritten
        return None if since is not None and since < len(self.overwritten) else row.version

    def commit(self) -> None:
        self._freeze()
        self.committed = self.now
        self.called += self.hooks
        for held in self._taking_part():
            held.life = Life.LOOSE if held.life is Life.DELETED else Life.SETTLED
        self.begin()

    def leave(self) -> None:
        """The block ends; what was not committed is undone."""
        self.rollback()
        for held in self.held:
            held.values, held.late = self.values_of(held), {}
            held.life = Life.LOOSE

    def _freeze(self) -> None:
        for held in self.tracked():
            held.values, held.version = self.values_of(held), self.version_of(held)
            held.changes = {}
        self.held = [held for held in self.held if held.life is not Life.LEFT]

    def _taking_part(self) -> list[Held]:
        return [held for held in self.held if held.life in TAKING_PART]


def _kept(held: Held, row: Row | None, *, lost: bool) -> Values:
    """What a row keeps after a rollback: each value as it was last, or as it is stored."""
    kept = {name: getattr(held.entity, name) for name in held.values}
    stored = held.values if row is None else row.values
    if lost or all(kept[name] in (held.values[name], stored[name]) for name in kept):
        return kept
    return held.values


def _take_back(held: Held) -> None:
    """Its row is undone."""
    held.life, held.serial, held.version = Life.LOOSE, None, None
    if held.created:
        held.id = None


def _either(one: bool | None, other: bool | None) -> bool | None:
    """Whether one of them wrote; None if nobody knows."""
    return True if True in (one, other) else None if None in (one, other) else False
