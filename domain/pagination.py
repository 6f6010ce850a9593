"""Parts of a long result: by number, or from where the last one ended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True)
class Page(Generic[T_co]):
    """One numbered page, and how many items there are on all of them.

    Pages count from 1. One past the end is empty, and ``total`` is right there too.
    """

    items: Sequence[T_co]
    number: int
    size: int
    total: int

    @property
    def pages(self) -> int:
        """How many pages there are; 0 if there is no item at all."""
        return -(-self.total // self.size)

    @property
    def has_next(self) -> bool:
        return self.number < self.pages

    @property
    def has_previous(self) -> bool:
        return self.number > 1

    def __iter__(self) -> Iterator[T_co]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True)
class Window(Generic[T_co]):
    """Some items of an ordered result, and where it goes on in both directions.

    ``next`` and ``previous`` are opaque: hand them back as ``after`` and
    ``before`` of the same query. None means that nothing is there.
    """

    items: Sequence[T_co]
    next: str | None
    previous: str | None

    @property
    def has_next(self) -> bool:
        return self.next is not None

    @property
    def has_previous(self) -> bool:
        return self.previous is not None

    def __iter__(self) -> Iterator[T_co]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)
