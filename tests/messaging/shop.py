"""Events of a test, and the units that publish them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from domain import Event, Message
from infrastructure.database import BaseUnitOfWork, Database
from infrastructure.database.models.outbox_message import OutboxMessage


@dataclass(frozen=True, kw_only=True)
class Ticked(Event):
    """One of many in a row."""

    event_type = "ticked"

    row: str | None
    number: int

    @property
    def ordering_key(self) -> str | None:
        return self.row


class Shop(BaseUnitOfWork):
    outbox = OutboxMessage


def store(database: Database, messages: Sequence[Message]) -> None:
    """Store these as a unit stores its own."""
    with Shop(database) as uow:
        uow.publish(Ticked(row=None, number=0))
        session: Any = uow.session
        session._messages = lambda: messages
        uow.commit()


def move_back(database: Database, seconds: float) -> None:
    """Let time pass for an outbox: the clock of a server cannot be moved, what has happened can."""
    step = timedelta(seconds=seconds)
    with Shop(database) as uow:
        for row in uow.repository(OutboxMessage).get_all():
            row.created_at -= step
            row.settled_at = row.settled_at and row.settled_at - step
            row.due_at = row.due_at and row.due_at - step
        uow.commit()
