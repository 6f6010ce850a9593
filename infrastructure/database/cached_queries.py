"""Query methods of repositories that are cached like reads by key."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

S = TypeVar("S")
P = ParamSpec("P")
R = TypeVar("R")


def cached_query(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """Let a query of a repository with a ``cache`` go through it in read-only units.

        class SqlPersonRepository(BaseRepository[Person]):
            model = PersonModel
            cache = CachePolicy(ttl=60)

            @cached_query
            def in_team(self, team_id: int, /) -> list[Person]: ...

    What it gives is forgotten as soon as a unit has written to one of the tables that it
    reads. It gives entities, values, or lists, tuples, pages and windows of them; None is not
    kept. Its arguments must be hashable, or ``CacheError`` is raised; that of a generator, or
    of a function that gives a coroutine, is ``TypeError``.
    """
    from infrastructure.cache.calls import Calls  # noqa: PLC0415 -- only who caches pays for it

    calls = Calls(method, "call it with hashable values, or leave cached_query off")
    name = method.__name__

    @functools.wraps(method)
    def call(self: S, *args: P.args, **options: P.kwargs) -> R:
        cached = cast(Any, self)._cached
        if cached is None:
            return method(self, *args, **options)
        key = (name, *calls.key((None, *args), options))
        found: R = cached.query(key, lambda anew: method(anew, *args, **options), calls.title)
        return found

    vars(call)["__kit_cached_query__"] = True
    return cast("Callable[Concatenate[S, P], R]", call)
