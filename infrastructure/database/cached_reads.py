"""Reads of a repository that go through the cache of its database."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from sqlalchemy import inspect as mapping_of

from domain.errors import CacheError
from domain.pagination import Page, Window
from infrastructure.database import cache_tags
from infrastructure.database.keys import Key, bare
from infrastructure.database.models.building import maker
from infrastructure.database.models.rules import family, rules_of
from infrastructure.database.plain_rows import Given, recipe
from infrastructure.database.session import UnitSession
from infrastructure.database.written import table_names

if TYPE_CHECKING:
    from infrastructure.cache import CachePolicy


class CachedReads:
    """What one read-only unit reads of one kind of entities.

    A unit with an isolation level of its own is not served from the cache, which may
    have what was stored after its snapshot; but what it reads is kept.
    """

    def __init__(
        self, session: UnitSession, given: Given, anew: Callable[[], Any], kind: type[Any]
    ) -> None:
        policy: CachePolicy = kind.cache
        self._session = session
        self._given = given
        self._anew = anew
        self._kind = kind
        self._ttl = policy.ttl
        self._cache = session.database.caches.of(kind, policy)
        self._name = f"{kind.__module__}.{kind.__qualname__}"
        self._form = form_of(kind.model, kind._entity)
        self._entity = self._form.entity
        self._serves = session.plain_reads

    # -- by key ----------------------------------------------------------------------------

    def get(self, key: Key) -> Any | None:
        """The entity with this key, or None."""
        hit = self.hit(bare(key))
        if hit is not None:
            return hit
        place = (self._name, bare(key))
        with self._turn(place) as waited:
            kept = self._cache.get(place) if waited else None
            if kept is None:
                return self._first(self._loaded([key]), key)
        return self._given.first(bare(key), self._entity(kept))

    def hit(self, id: Any) -> Any | None:
        """The entity with this exact id, if nothing has to be asked."""
        self._session.check()
        known = self._given.known
        reference = known.get(id)
        if reference is not None and (given := reference()) is not None:
            return given
        kept = self._cache.get((self._name, id)) if self._serves else None
        if kept is None:
            return None
        made = self._entity(kept)
        known[id] = weakref.ref(made)
        return made

    def get_many(self, keys: Sequence[Key]) -> dict[Key, Any]:
        """Those with these keys; missing ones are left out."""
        found = {}
        for key in keys:
            if (hit := self.hit(bare(key))) is not None:
                found[key] = hit
        loaded = self._loaded([key for key in keys if key not in found])
        return found | {key: self._given.first(bare(key), one) for key, one in loaded.items()}

    def _first(self, loaded: dict[Key, Any], key: Key) -> Any | None:
        return self._given.first(bare(key), loaded[key]) if loaded else None

    def _loaded(self, keys: Sequence[Key]) -> dict[Key, Any]:
        """From the database, and kept."""
        if not keys:
            return {}
        with self._session.noting_reads() as read:
            found = self._read(keys)
        tags = list(read.tags(self._form.tables))
        loaded = {self._form.key(one): one for one in found}
        for key, one in loaded.items():
            own = cache_tags.row(self._form.table, key)
            self._store((self._name, bare(key)), self._form.value(one), [own, *tags])
        return loaded

    def _read(self, keys: Sequence[Key]) -> list[Any]:
        anew = self._anew()
        if len(keys) > 1:
            return list(anew.get_many([bare(key) for key in keys]))
        one = anew.get_by_id(bare(keys[0]))
        return [] if one is None else [one]

    # -- queries ---------------------------------------------------------------------------

    def query(self, call: tuple[Hashable, ...], ask: Callable[[Any], Any], title: str) -> Any:
        """What a query gives, entities that the unit has already as they are."""
        self._session.check()
        place = (title, self._name, *call)
        kept = self._cache.get(place) if self._serves else None
        if kept is None:
            with self._turn(place) as waited:
                kept = self._cache.get(place) if waited else None
                if kept is None:
                    kept = self._asked(place, ask, title)
        return self._given_of(kept)

    def _asked(self, place: Hashable, ask: Callable[[Any], Any], title: str) -> Any:
        with self._session.noting_reads() as read:
            for kind in {type(row) for row in self._session.identity_map.values()}:
                read.note(kind)  # what is loaded already is not read again
            found = ask(self._anew())
        if any(hasattr(one, "__table__") for one in _items(found)):
            raise CacheError(
                f"{title}: a row of the session cannot be cached; return entities of the domain, "
                "or values"
            )
        if found is not None:
            self._store(place, found, list(read.tags()))
        return found

    def _given_of(self, found: Any) -> Any:
        if isinstance(found, Page | Window):
            return type(found)(**{**vars(found), "items": self._given_of(found.items)})
        if isinstance(found, list | tuple) and type(found) in (list, tuple):
            return type(found)(map(self._given_of, found))
        if type(found) is self._kind._entity:
            return self._given.first(bare(self._form.key(found)), found)
        return found

    # -- how -------------------------------------------------------------------------------

    def _store(self, place: Hashable, value: Any, tags: Sequence[Hashable]) -> None:
        noted = self._session.noted
        if self._kind in noted:
            self._cache.store(place, value, since=noted[self._kind], ttl=self._ttl, tags=tags)

    @contextmanager
    def _turn(self, place: Hashable) -> Iterator[bool]:
        """Whether somebody else has read it meanwhile: who has no connection yet can wait."""
        if self._session.begun or not self._serves:
            yield False
            return
        caches = self._session.database.caches
        mine = caches.take_turn(place)
        try:
            yield not mine
        finally:
            if mine:
                caches.end_turn(place)


class Form:
    """How the entities of a class are kept: as their values, where these are all there is."""

    def __init__(self, model: Any, entity: Any) -> None:
        how = recipe(model, entity)
        self.key: Callable[[Any], Key] = _tuple_of(rules_of(model).keys)
        self.tables = {name for one in family(model) for name in table_names(one)}
        self.table = mapping_of(model).local_table.fullname
        self._names = None if how is None else how.names
        self.entity: Callable[[Any], Any] = _same if how is None else maker(entity, how.names)
        """Makes a new one of what is kept."""

    def value(self, entity: Any) -> Any:
        """What is kept of an entity."""
        if self._names is None:
            return entity
        held = entity.__dict__
        return tuple([held[name] for name in self._names])


@cache
def form_of(model: Any, entity: Any) -> Form:
    """That of one repository, made once."""
    return Form(model, entity)


def _same(kept: Any) -> Any:
    return kept


def _tuple_of(names: Sequence[str]) -> Callable[[Any], Key]:
    get = attrgetter(*names)
    return get if len(names) > 1 else lambda entity: (get(entity),)


def _items(found: Any) -> Sequence[Any]:
    """What a result consists of."""
    if isinstance(found, Page | Window):
        found = found.items
    return found if isinstance(found, list | tuple) else [found]
