"""The list of a root's children, which keeps SQLAlchemy's books for every way a list can change."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Self, SupportsIndex, TypeVar, cast

from sqlalchemy.orm.attributes import flag_dirty
from sqlalchemy.orm.collections import collection, collection_adapter

_Method = TypeVar("_Method", bound=Callable[..., Any])


def _own(method: _Method) -> _Method:
    """Let SQLAlchemy leave a method as it is."""
    return cast(_Method, cast(Any, collection).internally_instrumented(method))


class ChildList(list[Any]):
    """A list that tells its root of each change, of its order too.

    SQLAlchemy looks after ``append``, ``insert``, ``pop``, ``extend``, ``clear``
    and ``del``. It would take two children that change places for removed ones.
    """

    root: Any = None
    """Kept alive by its list: ``uow.orders.require(1).lines.append(…)`` must not lose it."""

    @_own
    def __setitem__(self, at: Any, value: Any) -> None:
        wanted = list(self)
        wanted[at] = value
        self._become(wanted)

    @_own
    def remove(self, value: Any) -> None:
        """Remove the child that equals this one, which need not be the same object."""
        del self[self.index(value)]

    @_own
    def sort(self, *, key: Callable[[Any], Any] | None = None, reverse: bool = False) -> None:
        """Put the children into another order."""
        self._become(sorted(self, key=key, reverse=reverse))

    @_own
    def reverse(self) -> None:
        """Put the children into the opposite order."""
        self._become(self[::-1])

    @_own
    def __imul__(self, times: SupportsIndex) -> Self:
        self._become(list(self) * times)
        return self

    def _become(self, wanted: Iterable[Any]) -> None:
        books: Any = collection_adapter(self)
        if books is None:
            list.__setitem__(self, slice(None), wanted)
            return
        held = {id(child) for child in self}
        children = [
            child if id(child) in held else books.fire_append_event(child) for child in wanted
        ]
        stay = {id(child) for child in children}
        for child in self:
            if id(child) not in stay:
                books.fire_remove_event(child)
        list.__setitem__(self, slice(None), children)
        flag_dirty(self.root)


def keep_root(root: Any, children: ChildList, *_: Any) -> None:
    """Tell a list whose it is."""
    children.root = root
