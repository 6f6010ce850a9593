"""Generic, typed data access to one table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar, cast, overload

from pydantic import BaseModel
from sqlalchemy import update
from sqlalchemy.orm.attributes import set_attribute
from sqlalchemy.util import memoized_property

from domain.errors import (
    ConcurrencyConflict,
    ConflictError,
    EntityNotFound,
    SerializationFailure,
    UniqueViolation,
    UnitOfWorkError,
    ValidationError,
)
from infrastructure.database import aggregates, replacing
from infrastructure.database.aggregates import members_held_by, with_members
from infrastructure.database.births import Births
from infrastructure.database.bulk import Bulk
from infrastructure.database.keys import bare, key_of
from infrastructure.database.query import Criterion
from infrastructure.database.reading import Reading
from infrastructure.database.session import UnitSession

E = TypeVar("E")


class BaseRepository(Reading[E]):
    """Generic, typed data access to one table. Made by a unit of work; never commits.

    ``BaseRepository[Person]`` of a domain class names its table as ``model``,
    and hands out plain ``Person`` objects in read-only units.
    ``BaseRepository[PersonModel]`` needs no ``model`` and always hands out rows.
    """

    @memoized_property
    def _births(self) -> Births | None:
        way = None if self._tracked is None else self._tracked.how
        return None if way is None else Births(self._unit, self._intake, way)

    def create(self, entity: E | Mapping[str, Any] | BaseModel, /) -> E:
        """Store a new entity now, and return the tracked one, with its id.

        Accepts a mapping or a pydantic schema, too. A plain entity gets its id
        as well, but changes are tracked on what is returned.
        """
        return self.create_many([entity])[0]

    def create_many(self, entities: Iterable[E | Mapping[str, Any] | BaseModel], /) -> list[E]:
        """Store all of them or none, one round trip a batch; the tracked ones in their order."""
        session = self._writing(begins=False)
        given = self._intake.listed(entities)
        if session.is_waiting() and not any(map(self._intake.is_linked, given)):
            session.ready()
        stored = None if self._births is None else self._births.store(given)
        return self._stored_by_flush(session, given) if stored is None else stored

    def _stored_by_flush(self, session: UnitSession, given: list[Any]) -> list[E]:
        rows = self._intake.new(given)
        try:
            # In two batches, because INSERT is another statement where the key is given.
            for has_key in (True, False):
                batch = [row for row in rows if (None not in key_of(row)) is has_key]
                for row in batch:
                    session.add(row)
                if batch:
                    session.flush()
        except (UnitOfWorkError, ValidationError):  # raised before SQL: what was refused must go
            for row in rows:
                self._intake.unqueue(row)
            raise
        return cast("list[E]", rows)

    def create_deferred(self, entity: E | Mapping[str, Any] | BaseModel, /) -> E:
        """Queue a new entity for the next flush or commit, where all are written together."""
        session = self._writing(begins=False)
        row = self._intake.new([entity])[0]
        session.add(row)
        return cast(E, row)

    @overload
    def update(self, entity: E, /) -> E: ...
    @overload
    def update(self, id: Any, /, **changes: Any) -> E: ...
    def update(self, entity: Any, /, **changes: Any) -> E:
        """Write a whole entity, or only the given changes of the one with an id.

        An entity from elsewhere is checked for its version if the table has
        one, and so is ``version=`` among the changes. Raises ``EntityNotFound``
        and ``ConcurrencyConflict``.
        """
        session = self._writing(begins=False)  # a changed original is what an update mends
        if not self._intake.is_entity(entity):
            session.ready()
            return self._change(entity, changes)
        if changes:
            raise ValidationError(
                self._rules.entity,
                dict.fromkeys(changes, "goes with an id, not with an entity"),
            )
        if not self._intake.is_tracked(entity):
            return self._replace(entity)
        session.flush()
        return cast(E, entity)

    def delete(self, entity_or_id: E | Any, /) -> None:
        """Remove an entity; raises ``EntityNotFound``."""
        session = self._writing()
        if self._intake.unqueue(entity_or_id):
            return
        row, members = self._to_delete(entity_or_id), []
        if row is not entity_or_id and self._intake.is_entity(entity_or_id):
            session.tracker.outgoing.move(entity_or_id, row)
            members = [*members_held_by(entity_or_id, self.model)]
        session.delete(row)
        session.flush()
        session.collect(members, given=True)

    def get_or_create(
        self, entity: E | Mapping[str, Any] | BaseModel, /, on: str | Sequence[str]
    ) -> tuple[E, bool]:
        """The stored entity with the same unique key, or this one, created; and whether it was.

        ``on`` names the fields of a unique key. Of many who do this at once, one creates.
        """
        self._writing()
        key = self._intake.on_values(entity, on)
        found = self._rows.with_key(key)
        created = self._create_unless_there(entity, key) if found is None else None
        if created is not None:
            return created, True
        return cast(E, found or self._winner(key)), False

    def upsert(self, entity: E | Mapping[str, Any] | BaseModel, /, on: str | Sequence[str]) -> E:
        """Create an entity, or write it over the stored one with the same unique key.

        An entity is whole; of a mapping only what is given is written over. No
        version is checked: whoever comes last wins.
        """
        self._writing()
        key = self._intake.on_values(entity, on)
        found = self._rows.with_key(key, lock=True)
        created = self._create_unless_there(entity, key) if found is None else None
        if created is not None:
            return created
        row = found or self._winner(key)
        if self._intake.is_entity(entity):
            return self._write_over(row, entity, keep=("created_at",))
        changes = self._intake.given_fields_of(entity)
        fixed = {*self._rules.keys, *key, self._rules.version}
        return self._set(row, {name: changes[name] for name in changes.keys() - fixed})

    def bulk_create(self, rows: Iterable[E | Mapping[str, Any] | BaseModel], /) -> int:
        """Store any number of rows without making entities of them; how many.

        Validated in batches, the domain's rules included, and in constant
        memory. All or none: if a row is refused, or the iterable raises,
        those before it are undone.
        """
        return self._bulk().create(rows)

    def bulk_update(self, rows: Iterable[E | Mapping[str, Any] | BaseModel], /) -> int:
        """Change any number of rows by their keys; how many of them were there.

        A row has the key and the fields to change. All or none.
        """
        return self._and_reload(self._bulk().update(rows))

    def bulk_upsert(
        self, rows: Iterable[E | Mapping[str, Any] | BaseModel], /, on: str | Sequence[str]
    ) -> int:
        """Store any number of rows, or change those whose unique key is there; how many.

        Only the fields that a row has are changed. All or none.
        """
        bulk = self._bulk()
        return self._and_reload(bulk.upsert(rows, self._intake.unique_key(on)))

    def update_where(self, *criteria: Criterion, **changes: Any) -> int:
        """Change all that satisfy the criteria; how many they were. ``ALL`` must be said."""
        session, conditions = self._writing(), self._some_conditions(criteria)
        fixed = {*self._rules.keys, self._rules.version} & changes.keys()
        if fixed or not changes:
            wrong = {str(name): "cannot be changed like this" for name in fixed}
            raise ValidationError(self._rules.entity, wrong or {"changes": "name a field"})
        values = self._rules.some(changes) | self._intake.stamps(changes)
        done = session.execute(
            update(self.model)
            .where(*conditions)
            .values({getattr(self.model, name): value for name, value in values.items()})
            .execution_options(synchronize_session=False)
        )
        self._rows.reload()
        return cast(int, cast(Any, done).rowcount)

    def delete_where(self, *criteria: Criterion) -> int:
        """Delete all that satisfy the criteria; how many they were. ``ALL`` must be said."""
        session, conditions = self._writing(), self._some_conditions(criteria)
        *children, own = self._rows.deletions(conditions)
        for statement in children:
            session.execute(statement)
        done: Any = session.execute(own)
        self._rows.reload()
        return cast(int, done.rowcount)

    # -- how ------------------------------------------------------------------------------

    def _bulk(self) -> Bulk:
        return Bulk(self._writing(), self._intake)

    def _and_reload(self, count: int) -> int:
        self._rows.reload()
        return count

    def _change(self, id: Any, changes: dict[str, Any]) -> E:
        version, name = None, self._rules.version
        if name is not None and name in changes:
            version = self._rules.one(name, changes.pop(name))
        keys = dict.fromkeys(self._rules.keys, "is the key and cannot be changed")
        if keys.keys() & changes.keys():
            raise ValidationError(self._rules.entity, keys)
        values = self._rules.some(changes)
        row: Any = self.require(id)
        if version is not None:
            self._intake.expect_version(version, row)
        return self._set(row, values)

    def _set(self, row: Any, changes: dict[str, Any]) -> E:
        for field, value in self._rules.some(changes).items():
            set_attribute(row, field, value)
        self._unit.flush()
        return cast(E, row)

    def _create_unless_there(self, entity: Any, key: dict[str, Any]) -> E | None:
        """Create it, or None if somebody else was faster."""
        try:
            with self._unit.savepoint():
                return self.create(entity)
        except ConflictError as error:
            if isinstance(error, UniqueViolation) and set(error.fields) == key.keys():
                return None
            self._unit.fail(error)  # something else is wrong: as after any statement that failed
            raise

    def _winner(self, key: dict[str, Any]) -> Any:
        """What somebody else created at the same time."""
        found = self._rows.with_key(key, lock=True)
        if found is None:
            raise self._unit.failed_with(
                SerializationFailure(
                    f"somebody else stored this {self._rules.entity}, and this transaction cannot "
                    "see it; run the unit again"
                )
            )
        return found

    def _replace(self, entity: Any) -> E:
        """Write all fields of an entity that this unit did not load."""
        key, tracker = self._intake.key_of(entity), self._unit.tracker
        row: Any = tracker.twin_of(entity)
        if row is None or row not in self._unit:  # it may be deleted meanwhile
            row = self.require(bare(key))
            self._intake.check_version(entity, row)
        if any(aggregates.is_changed(self._unit, one) for one in with_members([row])):
            raise UnitOfWorkError(
                f"this {self._rules.entity} is loaded in this unit and has changes of its own; "
                "change that one"
            )
        return self._write_over(row, entity)

    def _write_over(self, row: Any, entity: Any, *, keep: Sequence[str] = ()) -> E:
        try:
            steps = replacing.plan(row, entity, keep)
        except ConcurrencyConflict as error:  # of a child with a version of its own
            raise self._unit.failed_with(error) from None
        replacing.carry_out(steps)
        if isinstance(entity, self.model):
            self._unit.settled.release(entity)
        for step in steps:
            self._unit.tracker.pair(step.entity, step.row)
        self._unit.flush()
        return cast(E, row)

    def _to_delete(self, given: Any) -> Any:
        is_entity = self._intake.is_entity(given)
        if is_entity and self._intake.is_tracked(given) and self._rules.version is not None:
            return given  # the DELETE itself checks the version
        key = self._intake.key_of(given) if is_entity else self._intake.parse_key(given)
        row = self._lock(key)
        if row is None:
            raise EntityNotFound(self._rules.entity, bare(key))
        if is_entity and self._intake.version_of(given) is not None:
            self._intake.check_version(given, row)
        return row

    def _some_conditions(self, criteria: Sequence[Any]) -> list[Any]:
        if not criteria:
            raise ValidationError(
                self._rules.entity, {"criteria": "are missing; say ALL if every row is meant"}
            )
        return self._rows.say.conditions(criteria)
