"""Generic, typed data access to one table."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Generic, Self, TypeVar, cast, get_args, get_origin, overload

from pydantic import BaseModel
from sqlalchemy import Select, exists, func, select, update
from sqlalchemy.orm.attributes import set_attribute
from sqlmodel import SQLModel

from domain.errors import (
    EntityNotFound,
    MultipleEntitiesFound,
    ReadOnlyViolation,
    UnitOfWorkError,
    ValidationError,
)
from infrastructure.database import aggregates, replacing
from infrastructure.database.aggregates import with_members
from infrastructure.database.intake import Intake
from infrastructure.database.keys import Key, bare, key_of
from infrastructure.database.models.json_changes import watch
from infrastructure.database.models.plain import as_plain
from infrastructure.database.models.rules import entity_name
from infrastructure.database.query import Criterion, Order
from infrastructure.database.rows import Rows
from infrastructure.database.session import UnitSession
from infrastructure.database.views import fields_and_maker

D = TypeVar("D")
E = TypeVar("E")


class BaseRepository(Generic[E]):
    """All entities of one kind. Made by a unit of work; never commits or rolls back.

    ``BaseRepository[Person]`` of a domain class names its table as ``model``,
    and hands out plain ``Person`` objects in read-only units.
    ``BaseRepository[PersonModel]`` needs no ``model`` and always hands out rows.

    Several criteria must all hold: specifications of the domain, or column
    expressions of the model. Unknown names raise ``ValidationError``.
    """

    model: type[E]
    default_order: ClassVar[Order | Sequence[Order]] = ()
    """The order of ``get_all`` and ``first`` where none is asked for."""

    load: Sequence[str] = ()
    """Relationships that are loaded with every read: one more query for each, never N."""

    _entity: ClassVar[type[Any] | None] = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for base in getattr(cls, "__orig_bases__", ()):
            argument = get_args(base)[0] if get_args(base) else None
            if isinstance(get_origin(base), type) and isinstance(argument, type):
                cls._bind(argument)

    @classmethod
    def _bind(cls, entity: type[Any]) -> None:
        cls._entity = entity
        model = getattr(cls, "model", entity)
        if not hasattr(model, "__table__"):
            raise TypeError(f"{cls.__name__}: {model.__name__} is no table; set model to one")
        if not issubclass(model, entity):
            raise TypeError(f"{cls.__name__}: {model.__name__} is no {entity.__name__}")
        cast(Any, cls).model = model

    def __init__(self, session: UnitSession, model: type[E] | None = None) -> None:
        table: Any = model if model is not None else getattr(type(self), "model", None)
        if not hasattr(table, "__table__"):
            raise TypeError(f"{getattr(table, '__name__', table)!r} is no table")
        self.model = table
        self._unit = session
        self._rows = Rows(session, table)
        self._rules = self._rows.rules
        self._intake = Intake(session, self._rules)
        entity = type(self)._entity
        self._plain = session.read_only and entity is not None and not issubclass(entity, SQLModel)
        self._given: weakref.WeakValueDictionary[Any, Any] = weakref.WeakValueDictionary()
        if self._rules.owner is not None:
            owner = entity_name(self._rules.owner.root)
            raise TypeError(f"{self._rules.entity} belongs to {owner}; use the repository of that")
        for owned in self._rows.family():
            watch(owned)

    def loading(self, *names: str) -> Self:
        """This repository for one use, with these relationships loaded besides ``load``."""
        loading = copy.copy(self)
        loading.load = (*self.load, *names)
        loading._rows.options(names)
        return loading

    @property
    def session(self) -> UnitSession:
        """The session of the unit; raises ``UnitOfWorkError`` if that cannot be used."""
        self._unit.check()
        return self._unit

    # -- reading ---------------------------------------------------------------------------

    def get_by_id(self, id: Any, /, *, for_update: bool = False) -> E | None:
        """The entity with this id, or None; twice in one unit the same object.

        A composite key is a tuple. ``for_update`` locks the row until the end
        of the transaction, and reads it again even if it is loaded.
        """
        session, key = self.session, self._intake.parse_key(id)
        if for_update:
            return cast("E | None", self._lock(key))
        known = self._given.get(key)
        if known is not None:
            return cast(E, known)
        if self.load:
            return cast("E | None", self._hand_out(self._rows.by_keys([key], self.load).get(key)))
        return cast("E | None", self._hand_out(session.get(self.model, key)))

    def require(self, id: Any, /, *, for_update: bool = False) -> E:
        """``get_by_id``, but raises ``EntityNotFound``."""
        found = self.get_by_id(id, for_update=for_update)
        if found is None:
            raise EntityNotFound(self._rules.entity, id)
        return found

    def get_many(self, ids: Iterable[Any], /) -> list[E]:
        """The entities with these ids, in this order; any number, missing ones left out."""
        if isinstance(ids, str | bytes | Mapping | BaseModel) or not isinstance(ids, Iterable):
            raise ValidationError(self._rules.entity, {"ids": "must be a list of ids"})
        self.session.check()
        keys = [self._intake.parse_key(id) for id in ids]
        found = self._rows.by_keys(list(dict.fromkeys(keys)), self.load)
        return [self._hand_out(found[key]) for key in keys if key in found]

    def get_all(
        self,
        *criteria: Criterion,
        order_by: Order | Sequence[Order] = (),
        limit: int | None = None,
        offset: int | None = None,
    ) -> list[E]:
        """All that satisfy the criteria. Text is ordered by code point, None is the greatest."""
        query = self._listed(criteria, order_by, limit).options(*self._rows.options(self.load))
        query = query.offset(self._rows.say.number("offset", offset))
        return [self._hand_out(row) for row in self.session.scalars(query).all()]

    def view(
        self,
        dto: type[D],
        /,
        *criteria: Criterion,
        order_by: Order | Sequence[Order] = (),
        limit: int | None = None,
    ) -> list[D]:
        """Only the fields of a dataclass or a pydantic model, in untracked objects of it."""
        names, make = fields_and_maker(dto, self._rules)
        query = self._listed(criteria, order_by, limit)
        columns = [getattr(self.model, name) for name in names]
        rows = self.session.execute(query.with_only_columns(*columns))
        return [make(dict(zip(names, row, strict=True))) for row in rows]

    def first(self, *criteria: Criterion, order_by: Order | Sequence[Order] = ()) -> E | None:
        """The first one in this order, or None."""
        found = self.get_all(*criteria, order_by=order_by, limit=1)
        return found[0] if found else None

    def one(self, *criteria: Criterion) -> E:
        """The only one; raises ``EntityNotFound`` or ``MultipleEntitiesFound``."""
        found = self.get_all(*criteria, limit=2)
        if not found:
            raise EntityNotFound(self._rules.entity)
        if len(found) > 1:
            raise MultipleEntitiesFound(self._rules.entity)
        return found[0]

    def count(self, *criteria: Criterion) -> int:
        """How many satisfy the criteria."""
        query = select(func.count()).select_from(self.model)
        return self.session.scalar(query.where(*self._rows.say.conditions(criteria))) or 0

    def exists(self, *criteria: Criterion) -> bool:
        """Whether any satisfies the criteria."""
        inner = select(1).select_from(self.model).where(*self._rows.say.conditions(criteria))
        return bool(self.session.scalar(select(exists(inner))))

    # -- writing ---------------------------------------------------------------------------

    def create(self, entity: E | Mapping[str, Any] | BaseModel, /) -> E:
        """Store a new entity now, and return the tracked one, with its id.

        Accepts a mapping or a pydantic schema, too. A plain entity gets its id
        as well, but changes are tracked on what is returned.
        """
        return self.create_many([entity])[0]

    def create_many(self, entities: Iterable[E | Mapping[str, Any] | BaseModel], /) -> list[E]:
        """Store all of them or none, one round trip a batch; the tracked ones in their order."""
        session = self._writing()
        rows = self._intake.new(entities)
        try:
            # In two batches, because INSERT is another statement where the key is given.
            for has_key in (True, False):
                for row in rows:
                    if (None not in key_of(row)) is has_key:
                        session.add(row)
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
        if not self._intake.unqueue(entity_or_id):
            session.delete(self._to_delete(entity_or_id))
            session.flush()

    def update_where(self, *criteria: Criterion, **changes: Any) -> int:
        """Change all that satisfy the criteria; how many they were. ``ALL`` must be said."""
        session, conditions = self._writing(), self._some_conditions(criteria)
        fixed = {*self._rules.keys, self._rules.version} & changes.keys()
        if fixed or not changes:
            wrong = {str(name): "cannot be changed like this" for name in fixed}
            raise ValidationError(self._rules.entity, wrong or {"changes": "name a field"})
        values = self._rules.some(changes) | self._stamps(changes)
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

    def _writing(self, *, begins: bool = True) -> UnitSession:
        session = self.session
        if session.read_only:
            raise ReadOnlyViolation("the unit is read-only; open a writing one: UnitOfWork()")
        if begins:
            session.ready()
        return session

    def _listed(
        self, criteria: Sequence[Any], order_by: Order | Sequence[Order], limit: int | None
    ) -> Select[Any]:
        self.session.check()
        ordering = self.default_order if _nothing(order_by) else order_by
        query = self._rows.select(criteria, ordering)
        return query.limit(self._rows.say.number("limit", limit))

    def _hand_out(self, row: Any) -> Any:
        if row is None or not self._plain:
            return row
        plain = as_plain(row, cast(Any, type(self)._entity))
        return self._given.setdefault(key_of(row), plain)

    def _lock(self, key: Key) -> Any | None:
        self._writing()
        return self._rows.locked(key, self.load)

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
        for field, value in values.items():
            set_attribute(row, field, value)
        self._unit.flush()
        return cast(E, row)

    def _replace(self, entity: Any) -> E:
        """Write all fields of an entity that this unit did not load."""
        key, tracker = self._intake.key_of(entity), self._unit.tracker
        row: Any = tracker.twin_of(entity)
        if row is None:
            row = self.require(bare(key))
            self._intake.check_version(entity, row)
        if any(aggregates.is_changed(self._unit, one) for one in with_members([row])):
            raise UnitOfWorkError(
                f"this {self._rules.entity} is loaded in this unit and has changes of its own; "
                "change that one"
            )
        steps = replacing.plan(row, entity)
        replacing.carry_out(steps)
        if isinstance(entity, self.model):
            self._unit.settled.release(entity)
        for step in steps:
            tracker.pair(step.entity, step.row)
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

    def _stamps(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        stamps: dict[str, Any] = {}
        if self._rules.version is not None:
            stamps[self._rules.version] = self._rules.columns[self._rules.version] + 1
        if self._rules.timestamped and "updated_at" not in changes:
            stamps["updated_at"] = self._unit.database.clock()
        return stamps


def _nothing(order_by: Any) -> bool:
    return isinstance(order_by, list | tuple) and not order_by
