"""The list of a root's children, which keeps SQLAlchemy's books for every way a list can change."""

from __future__ import annotations

import copy
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

    name = ""
    """The attribute of the root that this list is."""

    @_own
    def __setitem__(self, at: Any, value: Any) -> None:
        wanted = list(self)
        wanted[at] = value
        self._become(wanted)

    @_own
    def insert(self, at: SupportsIndex, value: Any) -> None:
        """Put a child before the one at this place."""
        wanted = list(self)
        wanted.insert(at, value)
        self._become(wanted)

    @_own
    def extend(self, values: Iterable[Any]) -> None:
        """Put several children at the end, or none if one of them is refused."""
        self._become([*self, *values])

    @_own
    def __iadd__(self, values: Iterable[Any]) -> Self:
        self._become([*self, *values])
        return self

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

    def __copy__(self) -> list[Any]:
        return list(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> list[Any]:
        return [copy.deepcopy(child, memo) for child in self]

    def accept(self, value: Any) -> Any:
        """The row for a child that may be put in."""
        return self.root._kit_adopt(self.name, value)

    def _become(self, wanted: Iterable[Any]) -> None:
        books: Any = collection_adapter(self)
        if books is None:
            list.__setitem__(self, slice(None), wanted)
            return
        held = {id(child) for child in self}
        # All are accepted before the first one is put in.
        children = [child if id(child) in held else self.accept(child) for child in wanted]
        stay = {id(child) for child in children}
        for child in children:
            if id(child) not in held:
                books.fire_append_event(child)
        for child in self:
            if id(child) not in stay:
                books.fire_remove_event(child)
        list.__setitem__(self, slice(None), children)
        flag_dirty(self.root)


def keep_root(root: Any, children: ChildList, adapter: Any) -> None:
    """Tell a list whose it is."""
    children.root, children.name = root, adapter.attr.key
