"""Whatever publishers, storages and clocks do: in order, at least once, and never for nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain import Message
from domain.errors import DatabaseUnavailable, PublisherUnavailable
from domain.messages import Accepted, Delivery, Refused, RetryAfter
from infrastructure.messaging import OutboxRelay, RelayPolicy
from infrastructure.testing import InMemoryOutbox, MovableClock
from tests.messaging.receivers import Failing, messages

FAILURES = ["claim", "claim, but it was done", "settle, but it was done", "extend"]
LATE = 100.0
"""Seconds: after that, no lease lasts."""


class Capricious:
    """A publisher that does anything that one may do, and notes what arrives."""

    def __init__(self, clock: MovableClock, random: Random) -> None:
        self._clock = clock
        self._random = random
        self.is_calm = False
        self.arrived: list[Message] = []
        self.refused: set[Any] = set()

    def publish(self, batch: Sequence[Message], /) -> Sequence[Delivery]:
        keys = [one.key for one in batch if one.key is not None]
        assert len(keys) == len(set(keys)), "two of one key at once"
        if self.is_calm:
            self.arrived += batch
            return [Accepted()] * len(batch)
        self._clock.move(seconds=self._random.choice([0, 0, 0.1, 3, 40, LATE]))
        return self._do_something(batch)

    def _do_something(self, batch: Sequence[Message]) -> Sequence[Delivery]:
        whim = self._random.random()
        if whim < 0.1:
            raise PublisherUnavailable("closed")
        some = self._random.randint(0, len(batch)) if whim < 0.3 else len(batch)
        deliveries = [self._deliver(one) for one in batch[:some]]
        if whim < 0.2:
            raise ConnectionError("cut")
        return deliveries

    def _deliver(self, one: Message) -> Delivery:
        whim = self._random.random()
        if whim < 0.1:
            self.refused.add(one.id)
            return Refused("never")
        if whim < 0.2:
            return RetryAfter("later", self._random.choice([None, 1, 50]))
        self.arrived.append(one)
        return RetryAfter("no answer") if whim < 0.25 else Accepted()


def run(relays: list[OutboxRelay], random: Random) -> None:
    with suppress(DatabaseUnavailable):
        random.choice(relays).run_once()


@pytest.fixture
def many(soak: bool, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr("infrastructure.messaging.holding.PAUSE", 0)
    return 5000 if soak else 150


@pytest.mark.parametrize("head", ["block", "skip"])
def test_all_arrive_and_each_key_in_order(head: Any, many: int) -> None:
    @settings(
        max_examples=many, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    @given(
        keys=st.lists(st.sampled_from(["a", "b", "c", None]), max_size=20),
        seed=st.integers(0, 2**32),
        batch=st.integers(1, 8),
    )
    def hold(keys: list[str | None], seed: int, batch: int) -> None:
        clock, random = MovableClock(), Random(seed)
        outbox = InMemoryOutbox(clock=clock)
        store, publisher = Failing(outbox), Capricious(clock, random)
        policy = RelayPolicy(batch=batch, lease=60, attempts=5, losses=100, parked_head=head)
        relays = [
            OutboxRelay(store, publisher, policy=policy, random=random, timer=clock.monotonic)
            for _ in range(2)
        ]
        stored = messages(*keys)
        outbox.add(stored)
        for _ in range(10):
            store.failures = {random.choice(FAILURES): random.randint(0, 1)}
            run(relays, random)
            clock.move(seconds=random.choice([0, 1, LATE]))
        publisher.is_calm, store.failures = True, {}
        for _ in range(200):
            clock.move(seconds=LATE * 100)
            outbox.replay()
            if not outbox.status().pending:
                break
            for relay in relays:
                relay.run_once()
        assert outbox.status().sent == len(stored)
        judge(stored, publisher, skipping=head == "skip")

    hold()


def judge(stored: list[Message], publisher: Capricious, *, skipping: bool) -> None:
    first = list(dict.fromkeys(one.id for one in publisher.arrived))
    assert set(first) == {one.id for one in stored}
    if skipping:
        return  # what is parked comes after what it did not hold up
    wanted = defaultdict(list)
    for one in stored:
        wanted[one.key].append(one.id)
    for key, ids in wanted.items():
        if key is not None:
            assert [id for id in first if id in set(ids)] == ids
