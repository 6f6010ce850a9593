"""A connection that is lost at any statement of a pass: nothing else is."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import Any

import pytest

from domain.errors import CommitOutcomeUnknown, TransientError
from infrastructure.database import Database
from infrastructure.database.models.outbox_message import OutboxMessage
from infrastructure.database.outbox import SqlOutbox
from infrastructure.messaging import OutboxRelay, RelayPolicy
from infrastructure.testing import MovableClock
from tests.conftest import MakeDatabase
from tests.messaging.receivers import Receiver, messages
from tests.messaging.shop import move_back, store
from tests.transactions.faults import Strike, Terminated

pytestmark = pytest.mark.postgresql

LEASE = 60.0


@pytest.fixture
def tables() -> list[Any]:
    return [OutboxMessage]


@pytest.fixture
def database(postgresql_url: str, make_database: MakeDatabase) -> Database:
    return make_database(postgresql_url)


class Pass:
    """A relay that has to extend its lease: half of it goes by with each call."""

    def __init__(self, database: Database) -> None:
        clock, self.receiver = MovableClock(), Receiver()
        self.receiver.meanwhile = lambda: clock.move(seconds=LEASE * 0.55)
        policy = RelayPolicy(lease=LEASE)
        outbox = SqlOutbox(database)
        self.relay = OutboxRelay(outbox, self.receiver, policy=policy, timer=clock.monotonic)
        store(database, messages("a", "a"))


def test_at_each_statement_of_a_pass(database: Database) -> None:
    one = Pass(database)
    with Strike(database).watching() as sent:
        assert one.relay.run_once().sent == 2
    assert sum(statement == "COMMIT" for statement in sent) == 4, "claim, settle, extend, settle"
    fault = Terminated(database)
    try:
        for number in range(1, len(sent) + 1):
            survive(database, fault, number)
    finally:
        fault.close()


def survive(database: Database, fault: Terminated, number: int) -> None:
    """Lose the connection right before this statement, and then have all of them arrive."""
    before = SqlOutbox(database).status().sent
    one = Pass(database)
    strike = Strike(database, fault, number)
    with strike.watching(), suppress(TransientError, CommitOutcomeUnknown):
        one.relay.run_once()
    assert strike.struck
    move_back(database, LEASE)
    one.relay.run_once()
    assert SqlOutbox(database).status().sent == before + 2
    assert list(dict.fromkeys(one.receiver.arrived)) == [0, 1], "both, and in order"


def test_a_relay_that_runs_goes_on_by_itself(database: Database) -> None:
    receiver, stop = Receiver(), threading.Event()
    policy = RelayPolicy(lease=0.5, poll=0.02, pause_cap=0.05, batch=3)
    relay = OutboxRelay(SqlOutbox(database), receiver, policy=policy)
    thread = threading.Thread(target=lambda: relay.run(stop))
    fault = Terminated(database)
    thread.start()
    try:
        for turn in range(6):
            strike = Strike(database, fault, 3 + 2 * turn)
            with strike.watching():
                with suppress(TransientError, CommitOutcomeUnknown):
                    store(database, messages("a", "a", "b", None))
                time.sleep(0.1)
        end = time.monotonic() + 15
        while SqlOutbox(database).status().pending:
            assert time.monotonic() < end
            time.sleep(0.02)
    finally:
        stop.set()
        thread.join(10)
        fault.close()
    assert not thread.is_alive()
