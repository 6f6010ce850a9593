"""How a repository finds entities."""

from __future__ import annotations

import copy
import functools
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar, cast, get_args, get_origin

from pydantic import BaseModel
from sqlalchemy import ColumnElement, Select, exists, func, select
from sqlalchemy.util import memoized_property
from sqlmodel import SQLModel

from domain.errors import (
    EntityNotFound,
    MultipleEntitiesFound,
    ReadOnlyViolation,
    ValidationError,
)
from domain.pagination import Page, Window
from infrastructure.database.cached_reads import CachedReads
from infrastructure.database.collecting import paused
from infrastructure.database.intake import Intake
from infrastructure.database.keys import Key, bare, key_of
from infrastructure.database.models.json_changes import watch
from infrastructure.database.models.plain import as_plain
from infrastructure.database.models.rules import entity_name, family, rules_of
from infrastructure.database.plain_rows import Given, PlainRows, recipe
from infrastructure.database.prepared import PreparedQuery
from infrastructure.database.query import Criterion, Order
from infrastructure.database.rows import Rows
from infrastructure.database.session import UnitSession
from infrastructure.database.shortcuts import tracked
from infrastructure.database.streams import stream_rows
from infrastructure.database.tracked_rows import TrackedRows
from infrastructure.database.views import fields_and_maker
from infrastructure.database.windows import Reader, Windows

if TYPE_CHECKING:
    from infrastructure.cache import CachePolicy

D = TypeVar("D")
E = TypeVar("E")


class Reading(Generic[E]):
    """The half of a repository that finds entities.

    Several criteria must all hold: specifications of the domain, or column
    expressions of the model. Unknown names raise ``ValidationError``.
    """

    model: type[E]
    default_order: ClassVar[Order | Sequence[Order]] = ()
    """The order of ``get_all`` and ``first`` where none is asked for."""

    load: Sequence[str] = ()
    """Relationships that are loaded with every read: one more query for each, never N."""

    cache: ClassVar[CachePolicy | None] = None
    """Read-only units read by key through a cache of this kind, and so do cached queries."""

    _entity: ClassVar[type[Any] | None] = None

    _plain_class: ClassVar[Any] = None
    """What read-only units make; None for rows."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for base in getattr(cls, "__orig_bases__", ()):
            argument = get_args(base)[0] if get_args(base) else None
            if isinstance(get_origin(base), type) and isinstance(argument, type):
                cls._bind(argument)
        cls._refuse_uncachable()

    @classmethod
    def _refuse_uncachable(cls) -> None:
        if cls.cache is None:
            names = [n for n, each in vars(cls).items() if hasattr(each, "__kit_cached_query__")]
            if names:
                raise TypeError(f"{cls.__name__}.{names[0]} is cached: give {cls.__name__} a cache")
        elif cls._entity is not None and issubclass(cls._entity, SQLModel):
            raise TypeError(
                f"{cls.__name__}: rows belong to their session and cannot be cached; name a class "
                f"of the domain, and {cls._entity.__name__} as its model"
            )

    @classmethod
    def _bind(cls, entity: type[Any]) -> None:
        cls._entity = entity
        cls._plain_class = None if issubclass(entity, SQLModel) else entity
        model = getattr(cls, "model", entity)
        if not hasattr(model, "__table__"):
            raise TypeError(f"{cls.__name__}: {model.__name__} is no table; set model to one")
        if not issubclass(model, entity):
            raise TypeError(f"{cls.__name__}: {model.__name__} is no {entity.__name__}")
        cast(Any, cls).model = model

    def __init__(self, session: UnitSession, model: type[E] | None = None) -> None:
        table: Any = model if model is not None else getattr(type(self), "model", None)
        _refuse_unfit(table)
        self.model = table
        self._unit = session
        self._rules = rules_of(table)
        self._intake = Intake(session, self._rules)
        plain = self._entity_class = self._plain_class if session.read_only else None
        how = None if plain is None else recipe(table, plain)
        self._plain = None if how is None else PlainRows(session, how, self._given)
        way = None if plain is not None else tracked(table, self._rules.names)
        self._tracked = None if way is None else TrackedRows(session, way)
        self._cached = None if self.cache is None or plain is None else self._through_cache()
        self._hit: Callable[[Any], E | None] | None
        self._hit = None if self._cached is None else self._cached.hit
        self._quick: dict[Any, weakref.ref[E]] = session.known_of((table, self._entity_class))
        self._quick_type = None if self.load else self._rules.key_type

    @memoized_property
    def _rows(self) -> Rows:
        return Rows(self._unit, self.model)

    @memoized_property
    def _given(self) -> Given:
        return Given(self._unit)

    def loading(self, *names: str) -> Self:
        """This repository for one use, with these relationships loaded besides ``load``."""
        loading = copy.copy(self)
        loading.load = (*self.load, *names)
        loading._quick_type = loading._cached = loading._hit = None
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
        if type(id) is self._quick_type and not for_update:
            known: E | None = None if self._hit is None else self._hit(id)
            if known is not None:
                return known
            loaded = self._quick.get(id)
            known = None if loaded is None else loaded()
            if known is not None:
                return known
        session, key = self.session, self._intake.parse_key(id)
        if for_update:
            return cast("E | None", self._lock(key))
        if (rows := self._cached or self._direct()) is not None:
            found = rows.get(key)
            if found is not None and self._quick_type is not None:
                self._quick[key[0]] = weakref.ref(found)
            return found
        known = self._given.get(bare(key))
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
        if self._cached is not None:
            found = self._cached.get_many(list(dict.fromkeys(keys)))
            return [found[key] for key in keys if key in found]
        if isinstance(plain := self._direct(), PlainRows):
            found = plain.by_keys(self._rows, list(dict.fromkeys(keys)))
            return [found[key] for key in keys if key in found]
        rows = self._rows.by_keys(list(dict.fromkeys(keys)), self.load)
        return [self._hand_out(rows[key]) for key in keys if key in rows]

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
        return self._all(query)

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

    def page(
        self,
        *criteria: Criterion,
        order_by: Order | Sequence[Order] = (),
        number: int = 1,
        size: int = 50,
    ) -> Page[E]:
        """One page, counted from 1, and how many entities there are on all. The key breaks ties."""
        number, size = self._rows.say.least(1, "number", number), self._size("size", size)
        query = self._rows.select(criteria, ()).order_by(
            *self._rows.say.total_ordering(self._order(order_by))
        )
        total, before = self.count(*criteria), (number - 1) * size
        if before >= total:
            return Page([], number, size, total)
        query = query.limit(size).offset(before).options(*self._rows.options(self.load))
        return Page(self._all(query), number, size, total)

    def window(
        self,
        *criteria: Criterion,
        order_by: Order | Sequence[Order] = (),
        after: str | None = None,
        before: str | None = None,
        size: int = 50,
    ) -> Window[E]:
        """What comes after a cursor, or before it, in an order of fields; the key breaks ties.

        As cheap in the depth as at the beginning where an index has the fields
        of the order. A cursor serves the query that gave it, with any size.
        """
        self.session.check()
        windows = Windows(self._rows, criteria, self._order(order_by), self._reader)
        found = windows.find(after, before, self._size("size", size))
        return Window(list(found.rows), found.next, found.previous)

    def stream(
        self,
        *criteria: Criterion,
        order_by: Order | Sequence[Order] = (),
        batch_size: int = 1000,
    ) -> Iterator[E]:
        """All of them, one after the other, in constant memory; by key if in no other order.

        In a writing unit it is decided at the beginning which ones they are, and
        each is read when its turn comes: they may be changed, and the unit may
        commit, on the way. In a read-only unit they are what they were at the
        beginning, and a ``commit()`` ends the stream.
        """
        size = self._size("batch_size", batch_size)
        query = self._rows.select(criteria, ()).order_by(
            *self._rows.say.total_ordering(self._order(order_by))
        )
        self.session.check()
        if isinstance(plain := self._direct(), PlainRows):
            return plain.stream(query, size)
        rows = stream_rows(self._rows, query, self.load, size)
        return (self._hand_out(row) for row in rows)

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
        found = self.session.fetch(query.where(*self._rows.say.conditions(criteria)))
        return cast(int, found[0][0])

    def exists(self, *criteria: Criterion) -> bool:
        """Whether any satisfies the criteria."""
        inner = select(1).select_from(self.model).where(*self._rows.say.conditions(criteria))
        return bool(self.session.fetch(select(exists(inner)))[0][0])

    # -- how ------------------------------------------------------------------------------

    def _through_cache(self) -> CachedReads | None:
        if self._unit.is_intercepted():
            return None
        return CachedReads(self._unit, self._given, self._anew, type(self))

    def _anew(self) -> Self:
        """The same repository, as if it had given nothing yet, and without the cache."""
        anew = type(self)(self._unit)
        anew._cached, anew._hit, anew._quick = None, None, {}
        return anew

    def _order(self, order_by: Any) -> Any:
        nothing = isinstance(order_by, list | tuple) and not order_by
        return self.default_order if nothing else order_by

    def _size(self, name: str, value: Any) -> int:
        return self._rows.say.least(1, name, value)

    def _listed(
        self, criteria: Sequence[Any], order_by: Order | Sequence[Order], limit: int | None
    ) -> Select[Any]:
        self.session.check()
        query = self._rows.select(criteria, self._order(order_by))
        return query.limit(self._rows.say.number("limit", limit))

    def _writing(self, *, begins: bool = True) -> UnitSession:
        session = self.session
        if session.read_only:
            raise ReadOnlyViolation("the unit is read-only; open a writing one: UnitOfWork()")
        if begins:
            session.ready()
        return session

    def _lock(self, key: Key) -> Any | None:
        self._writing()
        return self._rows.locked(key, self.load)

    def _direct(self) -> PlainRows | TrackedRows | None:
        """What reads without the session's own machinery, where nothing is asked of that."""
        if self.load or self._unit.is_intercepted():
            return None
        return self._plain or self._tracked

    def _all(self, query: Select[Any]) -> list[E]:
        if (rows := self._direct()) is not None:
            return rows.all(query)
        found = self.session.scalars(query)
        with paused():
            return [self._hand_out(row) for row in found.all()]

    @property
    def _reader(self) -> Reader:
        return Reader(self._with_values, self._by_prepared)

    def _with_values(
        self, query: Select[Any], columns: Sequence[ColumnElement[Any]]
    ) -> list[tuple[E, Sequence[Any]]]:
        """The entities of a query, each with the values of some columns."""
        if (rows := self._direct()) is not None:
            pairs = rows.with_values(query, columns)
            if pairs is not None:
                return pairs
        query = query.options(*self._rows.options(self.load)).add_columns(*columns)
        found = self.session.execute(query)
        return [(self._hand_out(row), values) for row, *values in found]

    def _by_prepared(
        self, query: PreparedQuery, values: Sequence[Any], fields: Sequence[str]
    ) -> list[tuple[E, Sequence[Any]]] | None:
        """The same of a query that is made once for all values; None if that cannot be."""
        rows = self._direct()
        return None if rows is None else rows.by_prepared(query, values, fields)

    def _hand_out(self, row: Any) -> Any:
        if row is None or self._entity_class is None:
            return row
        return self._given.first(bare(key_of(row)), as_plain(row, self._entity_class))


@functools.cache
def _refuse_unfit(table: Any) -> None:
    """Refuse what has no repository; and from now on notice what changes inside its lists."""
    if not hasattr(table, "__table__"):
        raise TypeError(f"{getattr(table, '__name__', table)!r} is no table")
    rules = rules_of(table)
    if rules.owner is not None:
        owner = entity_name(rules.owner.root)
        raise TypeError(f"{rules.entity} belongs to {owner}; use the repository of that")
    for owned in family(table):
        watch(owned)
