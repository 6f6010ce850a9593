"""An outbox that is held to its contract, and what the tests of it need."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NoReturn
from uuid import UUID

import pytest

from domain.entity import new_id
from domain.messages import Claim, Message
from domain.ports import Outbox

LEASE = 60.0
"""Seconds: much longer than the tests take."""


def message(key: str | None = None, type: str = "happened") -> Message:
    """One that was not stored yet."""
    return Message(
        id=new_id(), type=type, version=1, key=key, payload='{"n":1}', created_at=datetime.now(UTC)
    )


class OutboxSubject:
    """The hooks of ``OutboxContract``; see there."""

    @pytest.fixture
    def outbox(self) -> Outbox:
        """The outbox that is held to the contract, with nothing in it."""
        raise NotImplementedError(f"{type(self).__name__} must define the fixture outbox")

    def store(self, outbox: Any, messages: Sequence[Message], /) -> None:
        """Store these in one transaction, in this order."""
        raise NotImplementedError(f"{type(self).__name__} must define store()")

    def advance(self, outbox: Any, seconds: float, /) -> None:
        """Let so much time pass for the outbox."""
        self._skip("advance()")

    def _skip(self, hook: str) -> NoReturn:
        pytest.skip(f"{type(self).__name__} does not define {hook}")

    def fill(self, outbox: Outbox, *keys: str | None) -> list[UUID]:
        """Store a message for each key; their ids."""
        messages = [message(key) for key in keys]
        self.store(outbox, messages)
        return [one.id for one in messages]

    def lose(self, outbox: Outbox, times: int = 1, limit: int = 100) -> None:
        """Claim them, and be not heard of again."""
        for _ in range(times):
            claim(outbox, limit)
            self.advance(outbox, LEASE + 1)


def claim(outbox: Outbox, limit: int = 100, *, skip_parked: bool = False) -> Claim:
    """So many, for a minute."""
    return outbox.claim(limit, lease=LEASE, skip_parked=skip_parked)


def ids_of(claim: Claim) -> list[UUID]:
    """The messages in their order."""
    return [one.id for one in claim.messages]


def counts(outbox: Outbox) -> dict[str, int]:
    """The status without ages."""
    status = outbox.status()
    return {name: getattr(status, name) for name in ("pending", "claimed", "parked", "sent")}
