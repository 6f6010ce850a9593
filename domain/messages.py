"""Events on their way to others, and what can become of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """An event as it was stored: there if and only if the change is that it tells of.

    It arrives at least once. ``id`` (a UUIDv7) is the same each time, so that a
    receiver can tell. ``payload`` is JSON, an object with the fields of the event.
    """

    id: UUID
    type: str
    version: int
    key: str | None
    """Messages with the same key are delivered in their order."""
    payload: str
    created_at: datetime
    attempts: int = 0
    """How often it could not be delivered so far."""
    losses: int = 0
    """How often a relay claimed it and was not heard of again."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The receiver has it."""


@dataclass(frozen=True, slots=True)
class RetryAfter:
    """The receiver does not have it, or perhaps; another attempt may succeed."""

    error: BaseException | str
    seconds: float | None = None
    """At the earliest; None leaves it to the relay."""


@dataclass(frozen=True, slots=True)
class Refused:
    """No attempt can succeed: somebody has to look at it."""

    error: BaseException | str


Delivery = Accepted | RetryAfter | Refused
"""What became of one message."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Messages that one relay has for a while, oldest first."""

    token: UUID
    """Nobody can settle with that of an older claim."""
    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class Retry:
    """One more attempt is to be made, in so many seconds."""

    seconds: float
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxStatus:
    """How much there is in an outbox."""

    pending: int
    """Not delivered yet, those included that a relay has just now."""
    claimed: int
    parked: int
    sent: int
    oldest_pending: float | None
    """Its age in seconds."""
