"""What the domain asks of the technology around it. No aggregate is named here.

Adapters fit by their shape and do not inherit from these protocols.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar
from uuid import UUID

from domain.event import Event
from domain.messages import Claim, Delivery, Message, OutboxStatus, Retry
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

    def publish(self, event: Event, /) -> None:
        """Tell others of this if, and only if, the unit is committed.

        What entities record is published with them, when they are stored. Raises
        ``ValidationError`` or ``ReadOnlyViolation``; ``commit()`` raises
        ``MessagingError`` for what cannot be made a message.
        """
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


class Cache(Protocol):
    """Values by key, for a while. It may forget any of them at any time.

    What comes out is nobody else's: it can be changed without harm. A value may
    have tags, and is forgotten with any of them. ``ttl`` is in seconds; without
    it, the cache has its own. A key or tag that is not hashable, and a value that
    cannot be copied, raise ``CacheError``; a ``ttl`` that is no number above zero
    raises ``ValidationError``.

    A value is stale from the beginning if what it was read from has changed since.
    Therefore, note the ``sequence()`` before you begin to read, and store with it.
    """

    def sequence(self) -> Any:
        """How far invalidations have come, as a token for ``store``."""
        ...

    def get(self, key: Hashable, default: Any = None, /) -> Any:
        """The value, or the default. Raises ``CacheError``."""
        ...

    def store(
        self,
        key: Hashable,
        value: Any,
        *,
        since: Any,
        ttl: float | None = None,
        tags: Iterable[Hashable] = (),
    ) -> bool:
        """Keep it, unless the key, a tag or everything was invalidated after ``since``.

        Says whether it is kept. Raises ``CacheError`` or ``ValidationError``.
        """
        ...

    def get_or_load(
        self,
        key: Hashable,
        loader: Callable[[], T],
        *,
        ttl: float | None = None,
        tags: Iterable[Hashable] = (),
    ) -> T:
        """The value, from the loader if there is none.

        One thread loads and the others wait for it. If the loader fails, so do they,
        and nothing is kept. An invalidation meanwhile wins: those who asked before get
        the value, but it is not kept. Raises what the loader raises, and ``CacheError``
        if it asks for its own key or takes too long for those who wait.
        """
        ...

    def invalidate(self, tags: Iterable[Hashable], /) -> None:
        """Forget all that has one of these tags, and what is being read with one of them."""
        ...

    def discard(self, key: Hashable, /) -> None:
        """Forget this key, and what is being read for it; it need not be there."""
        ...

    def clear(self) -> None:
        """Forget everything, and whatever is being read."""
        ...


class MessagePublisher(Protocol):
    """Takes messages to those whom they are for."""

    def publish(self, messages: Sequence[Message], /) -> Sequence[Delivery]:
        """Try each of them once, and say what became of each, in the same order.

        No two of them have the same key. Raises ``PublisherUnavailable`` if nothing more
        can be published at present. After any other exception it is not known of any of
        them whether it has arrived.
        """
        ...


class Outbox(Protocol):
    """Messages that are to be published, stored with the changes that they tell of.

    A relay claims some, publishes them and settles them. Who does not settle in
    time (``lease``, in seconds) loses them to others. Every method raises a
    ``TransientError`` if the storage cannot be reached, and ``CommitOutcomeUnknown`` if
    its answer was lost; each may be called again.
    """

    def claim(self, limit: int, /, *, lease: float, skip_parked: bool = False) -> Claim:
        """Messages that are due, for this relay alone; perhaps none.

        Of each key, they are the oldest that are not delivered, without a gap, and
        none while another relay has an older one, or while an older one waits for its
        next attempt or is parked. With ``skip_parked``, parked ones hold up nobody. One
        that was claimed in vain three times comes alone: it may be what ends its relays.
        """
        ...

    def extend(self, claim: Claim, ids: Collection[UUID], /, *, lease: float) -> frozenset[UUID]:
        """Have these messages longer, from now on; which of them are still had."""
        ...

    def settle(
        self,
        claim: Claim,
        /,
        *,
        sent: Collection[UUID] = (),
        retry: Mapping[UUID, Retry] | None = None,
        parked: Mapping[UUID, str] | None = None,
        released: Collection[UUID] = (),
    ) -> frozenset[UUID]:
        """Say what became of messages; which of them were still had.

        What another relay has claimed meanwhile stays with it. ``retry`` counts as an
        attempt, ``released`` does not. ``parked`` has the error for each.
        """
        ...

    def status(self) -> OutboxStatus:
        """How much there is."""
        ...

    def replay(self, *, ids: Collection[UUID] | None = None, type: str | None = None) -> int:
        """Publish parked messages again, all or some, in their old place; how many these are.

        Their attempts and losses begin anew.
        """
        ...

    def purge(self, *, older_than: float, parked: bool = False) -> int:
        """Forget what was sent that many seconds ago; how many these were.

        With ``parked``, forget what was parked, instead.
        """
        ...

    def subscribe(self, wake: Callable[[], object], /) -> Callable[[], None]:
        """Call it when messages were stored in this process; gives what ends that.

        It is called in the thread that stored them, while its unit is still open: it may
        wake somebody, and must not raise.
        """
        ...


@dataclass(frozen=True)
class DirectoryMember:
    """Somebody in a directory. ``key`` stays the same when name and address change."""

    key: str
    name: str
    email: str


@dataclass(frozen=True)
class DirectoryTeam:
    """A team in a directory, and the keys of its members."""

    key: str
    name: str
    members: tuple[str, ...] = ()


class TeamDirectory(Protocol):
    """Who belongs to an organisation and to which of its teams, as another system knows it.

    Every method raises an ``ExternalServiceError`` if that system does not answer,
    and ``Rejected`` if it knows no such organisation, or does not show it.
    """

    def members(self, organisation: str, /) -> list[DirectoryMember]:
        """All members of the organisation, in the same order each time."""
        ...

    def teams(self, organisation: str, /) -> list[DirectoryTeam]:
        """All teams of the organisation, in the same order each time."""
        ...
