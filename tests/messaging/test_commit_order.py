"""Positions are given when a row is inserted, and not when it can be seen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, insert

from domain import where
from infrastructure.database import Database
from infrastructure.database.models.outbox_message import OutboxMessage
from infrastructure.database.outbox import SqlOutbox
from infrastructure.messaging import OutboxRelay
from tests.conftest import MakeDatabase
from tests.messaging.receivers import Receiver, message
from tests.messaging.shop import Shop

pytestmark = pytest.mark.postgresql


@pytest.fixture
def tables() -> list[Any]:
    return [OutboxMessage]


@pytest.fixture
def database(postgresql_url: str, make_database: MakeDatabase) -> Database:
    return make_database(postgresql_url)


def insert_into(connection: Connection, number: int) -> None:
    one = message(payload=str(number))
    values = {
        "id": one.id, "type": one.type, "version": 1, "payload": one.payload,
        "created_at": one.created_at, "status": "pending",
        "attempts": 0, "losses": 0,
    }  # fmt: skip
    connection.execute(insert(OutboxMessage).values(values))


def in_opposite_order(database: Database) -> Iterator[None]:
    """Insert 1, then 2; pause when 2 is committed, and when both are."""
    with database.engine.connect() as slow, database.engine.connect() as fast:
        insert_into(slow, 1)
        insert_into(fast, 2)
        fast.commit()
        yield
        slow.commit()
    yield


class Cursor:
    """A relay as many are written: it remembers how far it has read."""

    def __init__(self, database: Database, receiver: Receiver) -> None:
        self._database = database
        self._receiver = receiver
        self._last = 0

    def run_once(self) -> None:
        with Shop(self._database, read_only=True) as uow:
            new = where("position") > self._last
            for row in uow.repository(OutboxMessage).get_all(new, order_by="position"):
                self._receiver.publish([message(payload=row.payload)])
                self._last = row.position or 0


def test_what_is_committed_in_the_opposite_order_arrives(database: Database) -> None:
    receiver = Receiver()
    relay = OutboxRelay(SqlOutbox(database), receiver)
    for _ in in_opposite_order(database):
        relay.run_once()
    assert receiver.arrived == [2, 1]


def test_a_relay_that_remembers_how_far_it_has_read_loses_it(database: Database) -> None:
    receiver = Receiver()
    cursor = Cursor(database, receiver)
    for _ in in_opposite_order(database):
        cursor.run_once()
    cursor.run_once()
    assert receiver.arrived == [2]
