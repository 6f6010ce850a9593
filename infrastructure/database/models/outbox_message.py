"""The table of messages that are to be published."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, text
from sqlmodel import Field

from infrastructure.database.models.base import Model
from infrastructure.database.models.types import RowNumber


def _partial(name: str, *columns: Any, where: str) -> Index:
    condition = text(where)
    return Index(name, *columns, sqlite_where=condition, postgresql_where=condition)


class OutboxMessage(Model, table=True):
    """A stored message, and how far it has come."""

    __tablename__: ClassVar[str] = "outbox_messages"
    __table_args__: ClassVar[Any] = (
        CheckConstraint("status IN ('pending', 'parked', 'sent')", name="status"),
        _partial("ix_outbox_messages_due", "due_at", "position", where="status = 'pending'"),
        _partial("ix_outbox_messages_unsent", "ordering_key", "position",
                 where="status <> 'sent' AND ordering_key IS NOT NULL"),
        {"sqlite_autoincrement": True},  # a position is never given twice
    )  # fmt: skip

    position: int | None = Field(default=None, primary_key=True, sa_type=RowNumber)
    """Given by the database when it is stored: of two that follow each other, the greater."""
    id: UUID = Field(unique=True)
    type: str
    version: int
    ordering_key: str | None = None
    payload: str
    created_at: datetime
    status: str = "pending"
    due_at: datetime | None = None
    """Nobody claims it before: it waits for its next attempt, or somebody has it until then."""
    claim: UUID | None = None
    """The token of whoever has it."""
    attempts: int = 0
    losses: int = 0
    error: str | None = None
    """Why the last attempt failed."""
    settled_at: datetime | None = None
    """When it was sent or parked."""
