"""The contract of the port, held by the outboxes of this kit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from domain import Message
from infrastructure.database import Database
from infrastructure.database.models.outbox_message import OutboxMessage
from infrastructure.database.outbox import SqlOutbox
from infrastructure.testing import InMemoryOutbox, MovableClock, OutboxContract
from tests.messaging.shop import move_back, store


@pytest.fixture
def tables() -> list[Any]:
    return [OutboxMessage]


class TestInMemoryOutbox(OutboxContract):
    @pytest.fixture
    def outbox(self) -> InMemoryOutbox:
        self.clock = MovableClock()
        return InMemoryOutbox(clock=self.clock)

    def store(self, outbox: InMemoryOutbox, messages: Sequence[Message]) -> None:
        outbox.add(messages)

    def advance(self, outbox: InMemoryOutbox, seconds: float) -> None:
        self.clock.move(seconds=seconds)


class TestSqlOutbox(OutboxContract):
    """On each database."""

    @pytest.fixture
    def outbox(self, database: Database) -> SqlOutbox:
        return SqlOutbox(database)

    def store(self, outbox: SqlOutbox, messages: Sequence[Message]) -> None:
        store(outbox._database, messages)

    def advance(self, outbox: SqlOutbox, seconds: float) -> None:
        move_back(outbox._database, seconds)
