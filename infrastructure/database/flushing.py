"""What happens around a flush: validation before SQL, and what must be remembered of it."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice, repeat
from typing import Any, NamedTuple, cast

from sqlalchemy import Column, Table, select
from sqlalchemy import inspect as mapping_of
from sqlalchemy.orm import make_transient
from sqlalchemy.orm.attributes import set_attribute
from sqlmodel import Session

from domain.errors import ConcurrencyConflict, UnitOfWorkError
from infrastructure.database import aggregates
from infrastructure.database.collecting import done_paused
from infrastructure.database.database import Database
from infrastructure.database.keys import Key, bare, key_of
from infrastructure.database.litters import Litter, Litters
from infrastructure.database.models import json_changes
from infrastructure.database.models.child_rows import taken_from
from infrastructure.database.models.mixins import Timestamped
from infrastructure.database.models.plain import VERSION, held_by
from infrastructure.database.models.rules import entity_name, rules_of
from infrastructure.database.originals import (
    differs,
    give_key,
    give_version,
    take_key,
    version_of,
)
from infrastructure.database.outgoing import BEGINNING, Announcing, Place
from infrastructure.database.validating import validate_changed, validate_new
from infrastructure.database.versions import Bases, version_in

_RECENT = 64
_FEW = 100  # originals that are looked after one by one


class Twin(NamedTuple):
    """An object that the caller still holds, the row made of it, and what it held then."""

    original: Any
    row: Any
    values: dict[str, Any]


class Newborn(NamedTuple):
    """A row that this transaction inserted, and whether the database gave it its key."""

    row: Any
    generated: bool


class Mark(NamedTuple):
    """A place in what a transaction did: so many inserted, deleted, given another version."""

    newborns: int
    deleted: int
    versions: int
    removed: int
    bases: tuple[int, int]
    events: Place


_BEGINNING = Mark(0, 0, 0, 0, (0, 0), BEGINNING)


class Tracker(Announcing):
    """Watches over the entities of one session from flush to flush."""

    def __init__(self, session: Session, database: Database) -> None:
        self.session = weakref.proxy(session)  # no cycle: a unit goes when nobody has it any more
        self.database = database
        self.newborns: list[Newborn | tuple[Any, bool]] = []
        self.deleted: list[tuple[Any, dict[str, Any]]] = []
        self.removed: list[Any] = []
        """Rows that left the session because a set-based write had deleted them."""
        self.bases = Bases()
        self._twins: dict[int, Twin] = {}
        self._originals: dict[int, list[Any]] = {}
        self._litters = Litters()
        self._late: dict[int, tuple[weakref.ref[Any], Any, Key, dict[str, Any]]] = {}
        self._versioned: list[tuple[Any, Any]] = []
        self._written: list[Any] = []
        self.gone: list[Any] = []
        """What the next flush deletes."""
        self.touched: list[Any] = []
        """What it writes, and what that belongs to."""
        self._fresh: list[tuple[Any, Any]] = []
        self._versions: list[tuple[Any, str, Any]] = []

    # -- twins -----------------------------------------------------------------------------

    def pair(self, original: Any, row: Any, values: dict[str, Any] | None = None) -> None:
        """From now on the row is the tracked one, and the original must not change.

        ``values`` is what the original held when the row was made, if that was not just now.
        """
        self._late.pop(id(original), None)
        self._litters.leave(original)
        held = held_by(original, type(row)) if values is None else values
        self._twins[id(original)] = Twin(original, row, held)
        originals = self._originals.setdefault(id(row), [])
        if not any(one is original for one in originals):
            originals.append(original)
        self._fresh.append((original, row))
        self.outgoing.move(original, row)

    def knows_any(self, originals: Sequence[Any]) -> bool:
        """Whether a row was made of any of these objects in this transaction."""
        twins = self._twins
        known = bool(twins) and not twins.keys().isdisjoint(map(id, originals))
        return known or self._litters.know_any(originals)

    def born(
        self,
        originals: Sequence[Any],
        rows: Sequence[Any],
        values: Mapping[str, Sequence[Any]],
        *,
        generated: bool,
    ) -> None:
        """Rows were inserted without a flush; of plain ``originals``, if there are any.

        ``values`` are what the originals hold, as columns.
        """
        self.newborns += zip(rows, repeat(generated))
        if not originals:
            return
        rules = rules_of(type(rows[0]))
        if len(rows) < _FEW:
            keys = [name for name in rules.keys if name in originals[0].__dict__]
            for original, row in zip(originals, rows, strict=True):
                self._bear(original, row, keys, rules.version)
            return
        for original in originals if self._late else ():
            self._late.pop(id(original), None)
        litter = self._litters.add(originals, rows, values, rules.keys)
        self._versions.append((litter, VERSION, None))
        for original, row in zip(originals, rows, strict=True) if rules.version else ():
            original.__dict__[VERSION] = row.__dict__[rules.version]

    def _bear(self, original: Any, row: Any, keys: Sequence[str], version: str | None) -> None:
        held, stored = original.__dict__, row.__dict__
        self._versions.append((original, VERSION, None))
        self._late.pop(id(original), None)
        self._litters.leave(original)
        for name in keys:
            held[name] = stored[name]
        self._twins[id(original)] = Twin(original, row, held.copy())
        self._originals[id(row)] = [original]
        if version is not None:
            held[VERSION] = stored[version]

    def unpair(self, row: Any) -> list[Any]:
        """The originals may change again; which they are."""
        originals = self._originals.pop(id(row), [])
        originals += self._litters.take_out(row)
        for original in originals:
            self._twins.pop(id(original), None)
        return originals

    def twin_of(self, original: Any) -> Any | None:
        """The row that was made of this object in this transaction."""
        twin = self._twins.get(id(original))
        return self._litters.row_of(original) if twin is None else twin.row

    def check_twins(self) -> None:
        """Refuse to go on where a change of an original would be lost."""
        count = len(self._twins) + sum(map(len, self._litters.now))
        if count:
            done_paused(count, self._check, self._twins.values(), None)

    def check_recent_twins(self) -> None:
        """The same for the last ones: all at each flush would be quadratic."""
        if self._twins or self._litters.now:
            self._check(islice(reversed(self._twins.values()), _RECENT), _RECENT)

    def _check(self, twins: Iterable[Twin], last: int | None) -> None:
        changed = [
            (type(row), key_of(row))
            for original, row, values in twins
            if differs(original, type(row), values)
        ]
        for model, key in (*self._litters.changed(last), *changed):
            raise UnitOfWorkError(
                f"{_named(model, key)}: the object given to the repository was changed "
                "afterwards; change the one that it returned, or call update()"
            )

    # -- around a flush --------------------------------------------------------------------

    def prepare(self) -> None:
        """Validate everything that is about to be written; nothing has been sent yet."""
        self._pair_adopted()
        self.check_recent_twins()
        json_changes.mark_changed(self.session)
        roots = aggregates.prepare(self.session)
        now = self.database.clock()
        new = aggregates.in_order_of_lists(list(self.session.new))
        dirty = list(self.session.dirty)
        for entity in new:
            validate_new(entity, stamp=now)
        touched = {id(root) for root in roots}
        modified = self.session.is_modified
        changed = [entity for entity in dirty if id(entity) in touched or modified(entity)]
        for entity in changed:
            validate_changed(entity)
            if isinstance(entity, Timestamped):
                entity.updated_at = now
        gone = [*self.session.deleted, *aggregates.orphans(dirty)]
        self._versioned = [(e, version_in(e)) for e in changed + gone if rules_of(type(e)).version]
        self.bases.note(entity for entity, _ in self._versioned)
        self.newborns += [Newborn(entity, None in key_of(entity)) for entity in new]
        self._reserve_keys(new)
        self.deleted += [(entity, dict(entity.__dict__)) for entity in gone]
        self._written = new + changed
        self.gone, self.touched = gone, [*new, *changed, *gone, *roots]

    def _pair_adopted(self) -> None:
        """Pair the children that became rows when they were put into a list."""
        new = list(self.session.new)
        owners = {kind: rules_of(kind).owner for kind in set(map(type, new))}
        for row in new if any(owners.values()) else ():
            info = owners[type(row)]
            adopted = None if info is None else taken_from(row)
            if info is None or adopted is None:
                continue
            twin = self.twin_of(adopted.original)
            if twin is not None and twin in self.session and info.is_linked(twin):
                raise UnitOfWorkError(
                    f"the same {entity_name(type(row))} was put into two lists; make one for each"
                )
            self.pair(adopted.original, row, adopted.values)

    def _reserve_keys(self, new: Iterable[Any]) -> None:
        """Give new rows their keys at once where INSERT would return them one by one."""
        kinds: dict[Table, list[Any]] = {}
        for row in new:
            table = mapping_of(type(row)).local_table
            if isinstance(table, Table) and table.autoincrement_column is not None:
                kinds.setdefault(table, []).append(row)
        for table, rows in kinds.items():
            without = [row for row in rows if None in key_of(row)]
            if len(without) > 1:
                self._reserve(cast("Column[Any]", table.autoincrement_column), rows, without)

    def _reserve(self, column: Column[Any], rows: list[Any], without: list[Any]) -> None:
        name = rules_of(type(rows[0])).keys[0]
        given = max(getattr(row, name) or 0 for row in rows)
        connection = self.session.connection()
        keys = self.database.dialect.reserve_keys(connection, column, len(without), given)
        for row, key in zip(without, keys or (), strict=False):
            set_attribute(row, name, key)

    def finish(self) -> None:
        """After the SQL: keys and versions go to the originals, too."""
        json_changes.remember(self.session, self._written)
        for original, row in self._fresh:
            twin = self._twins.get(id(original))
            if twin is not None and twin.row is row:
                self._versions.append(version_of(twin.original, row))
                given = give_key(twin.original, row)
                self._twins[id(twin.original)] = twin._replace(values=twin.values | given)
        self._written, self._fresh, self.gone, self.touched = [], [], [], []

    def expect(self, entity: Any) -> None:
        """This one is about to be written, without a flush."""
        self._versioned = [(entity, version_in(entity))]
        if rules_of(type(entity)).version is not None:
            self.bases.note([entity])

    def conflict(self) -> ConcurrencyConflict:
        """The error for a failed version check, naming the entity if it can be found."""
        candidates = self._versioned
        if len(candidates) > 1 and not self.database.exclusive:
            candidates = [one for one in candidates if self._is_stale(*one)][:1]
        if len(candidates) != 1:
            names = {entity_name(type(entity)) for entity, _ in self._versioned}
            return ConcurrencyConflict(" or ".join(sorted(names)))
        entity = candidates[0][0]
        return ConcurrencyConflict(entity_name(type(entity)), bare(key_of(entity)))

    def _is_stale(self, entity: Any, version: Any) -> bool:
        rules = rules_of(type(entity))
        keys = zip(rules.keys, key_of(entity), strict=True)
        query = select(getattr(rules.model, str(rules.version))).where(
            *(getattr(rules.model, name) == value for name, value in keys)
        )
        options = self.database.dialect.unit_options(read_only=True, isolation_level=None)
        with self.database.engine.connect() as connection:
            stored = connection.execution_options(**options).scalar(query)
        return bool(stored != version)

    # -- the end of a transaction ----------------------------------------------------------

    def forget(self) -> None:
        """After COMMIT: nothing of this transaction can be taken back."""
        self.newborns.clear()
        self.deleted.clear()
        self.removed.clear()
        self.forget_events()
        self.bases.clear()
        self._versions.clear()
        self._twins.clear()
        self._originals.clear()
        self._litters.forget()

    def settle(self) -> None:
        """After COMMIT: the originals are not to be changed any more."""
        if self._late or self._twins:
            done_paused(len(self._late) + len(self._twins), self._settle_twins)
        self._litters.settle()
        self.forget()

    def _settle_twins(self) -> None:
        if self._late:
            self._late = {key: late for key, late in self._late.items() if late[0]() is not None}
        for id_, (original, row, values) in self._twins.items():
            self._late[id_] = weakref.ref(original), type(row), key_of(row), values

    @property
    def is_empty(self) -> bool:
        """Whether no original of an earlier transaction has to be looked after."""
        return not (self._late or self._litters.late)

    def changed_late(self) -> list[str]:
        """The originals of earlier transactions that were changed since."""
        changed = [
            (model, key)
            for reference, model, key, values in self._late.values()
            if (original := reference()) is not None and differs(original, model, values)
        ]
        if self._litters.late:
            changed += self._litters.changed_late()
        return [_named(model, key) for model, key in changed] if changed else []

    def mark(self) -> Mark:
        """How much there is to take back so far."""
        return Mark(
            len(self.newborns),
            len(self.deleted),
            len(self._versions),
            len(self.removed),
            self.bases.mark(),
            self.outgoing.mark(),
        )

    def take_back(self, since: Mark = _BEGINNING, waiting: Iterable[Any] = ()) -> None:
        """After a rollback: what was inserted is new again, and has no key of the database.

        ``waiting`` are those that had recorded something that no flush has taken.
        """
        del self.deleted[since.deleted :]
        for original, name, version in reversed(self._versions[since.versions :]):
            if isinstance(original, Litter):
                for one in original.originals():
                    give_version(one, name, version)
                continue
            give_version(original, name, version)
            twin = self._twins.get(id(original))
            if twin is not None and name in twin.values:
                self._twins[id(original)] = twin._replace(values=twin.values | {name: version})
        del self._versions[since.versions :]
        newborns = self.newborns[since.newborns :]
        for row, generated in reversed(newborns):
            make_transient(row)
            originals = self.unpair(row)
            if generated:
                take_key(row, originals)
        for row, _ in newborns:
            aggregates.renew_lists(row)
        self.outgoing.undo(since.events, waiting)
        del self.newborns[since.newborns :]
        del self.removed[since.removed :]


def _named(model: Any, key: Key) -> str:
    shown = bare(key)
    return entity_name(model) + ("" if shown is None else f" {shown!r}")
