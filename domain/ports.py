"""What the domain asks of the technology around it. No aggregate is named here.

Adapters fit by their shape and do not inherit from these protocols.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from domain.specification import Specification

E = TypeVar("E")
T = TypeVar("T")


class Repository(Protocol[E]):
    """All entities of one kind, as if they were in memory.

    Several criteria must all be satisfied; without criteria, every entity
    counts. ``order_by`` takes names of fields, ``"-name"`` for descending; None
    is the greatest value. An unknown field in either raises ``ValidationError``.
    """

    def get_by_id(self, id: Any, /) -> E | None:
        """The entity with this id, or None. Twice in one unit: the same object."""
        ...

    def require(self, id: Any, /) -> E:
        """The entity with this id. Raises ``EntityNotFound``."""
        ...

    def first(self, *criteria: Specification, order_by: str | Sequence[str] = ()) -> E | None:
        """The first one in this order, or None. Raises ``ValidationError``."""
        ...

    def one(self, *criteria: Specification) -> E:
        """The only one.

        Raises ``EntityNotFound``, ``MultipleEntitiesFound`` or ``ValidationError``.
        """
        ...

    def get_all(
        self,
        *criteria: Specification,
        order_by: str | Sequence[str] = (),
        limit: int | None = None,
        offset: int | None = None,
    ) -> list[E]:
        """All of them, in no promised order without ``order_by``. Raises ``ValidationError``."""
        ...

    def count(self, *criteria: Specification) -> int:
        """How many there are. Raises ``ValidationError``."""
        ...

    def exists(self, *criteria: Specification) -> bool:
        """Whether there is at least one. Raises ``ValidationError``."""
        ...

    def create(self, entity: E, /) -> E:
        """Store a new entity, and return the tracked one; both have their id afterwards.

        Raises ``ValidationError``, a ``ConflictError`` or ``ReadOnlyViolation``.
        """
        ...

    def create_many(self, entities: Iterable[E], /) -> list[E]:
        """Store all of them or none, and return the tracked ones in the same order.

        Raises ``ValidationError``, a ``ConflictError`` or ``ReadOnlyViolation``.
        """
        ...

    def delete(self, entity_or_id: E | Any, /) -> None:
        """Remove an entity.

        Raises ``EntityNotFound``, ``ForeignKeyViolation`` if something still
        refers to it, ``ConcurrencyConflict`` if it is versioned and was changed
        meanwhile, or ``ReadOnlyViolation``.
        """
        ...


class UnitOfWork(Protocol):
    """One transaction: everything in the block is stored, or nothing.

    Nothing is stored without ``commit()``. Leaving the block without it rolls
    back; an exception rolls back and goes on. Every method raises
    ``UnitOfWorkError`` if the unit is used outside its block, by two threads at
    once, or after a statement failed and before ``rollback()``; and any
    statement may raise a ``TransientError``.
    """

    def __enter__(self) -> Self:
        """Open the unit. Raises ``UnitOfWorkError`` if it is open already."""
        ...

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """Roll back what was not committed. No exception is held back.

        Warns ``UncommittedChangesWarning`` if writes are lost without an exception.
        """
        ...

    def commit(self) -> None:
        """Store what was done since the beginning or the last commit.

        Raises what storing the tracked changes raises (``ValidationError``, a
        ``ConflictError``, a ``TransientError``), ``CommitOutcomeUnknown``, or
        ``AfterCommitError`` once everything is stored.
        """
        ...

    def rollback(self) -> None:
        """Forget what was done since the beginning or the last commit. The unit can be used on."""
        ...

    def savepoint(self) -> AbstractContextManager[None]:
        """A block within the unit, of which an exception undoes only its own part."""
        ...

    def after_commit(self, fn: Callable[[], object], /) -> None:
        """Call it once after the commit, in the order given; never if it is rolled back."""
        ...

    def run(
        self, work: Callable[[Self], T], /, *, attempts: int | None = None, timeout: float = 30.0
    ) -> T:
        """Do ``work(uow)`` in a fresh unit and commit; again if another transaction came between.

        Raises ``UnitOfWorkError`` inside an open unit, whatever ``work`` raises, and
        what ``commit()`` raises. ``timeout`` is in seconds, for all attempts together.
        """
        ...
