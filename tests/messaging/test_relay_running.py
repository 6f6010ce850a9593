"""A relay that runs until it is told to stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from domain import Message
from domain.errors import CommitOutcomeUnknown, PublisherUnavailable
from domain.messages import Accepted, Delivery
from infrastructure.messaging import OutboxRelay, RelayPolicy
from infrastructure.testing import InMemoryOutbox
from infrastructure.testing.contracts.threads import Threads
from tests.messaging.receivers import Failing, Receiver, messages

PATIENCE = 10.0


class NoJitter(Random):
    """The longest pause each time."""

    def uniform(self, a: float, b: float) -> float:
        return b


@pytest.fixture
def outbox() -> InMemoryOutbox:
    return InMemoryOutbox()


@contextmanager
def running(store: Any, publisher: Any, **policy: Any) -> Iterator[threading.Event]:
    """A relay at work in a thread of its own; the event stops it."""
    relay = OutboxRelay(store, publisher, policy=RelayPolicy(**policy), random=NoJitter())
    stop = threading.Event()
    with Threads() as threads:
        worker = threads.start(lambda: relay.run(stop))
        try:
            yield stop
        finally:
            stop.set()
    worker.value()


def until(happens: Callable[[], object]) -> float:
    """Wait for it; how long it took, in seconds."""
    begun = time.monotonic()
    while not happens():
        assert time.monotonic() - begun < PATIENCE, "it did not happen"
        time.sleep(0.002)
    return time.monotonic() - begun


def test_what_is_stored_in_this_process_is_published_at_once(outbox: InMemoryOutbox) -> None:
    receiver = Receiver()
    with running(outbox, receiver, poll=60):
        time.sleep(0.15)
        for number in range(3):
            outbox.add(messages("a"))
            assert until(lambda number=number: outbox.status().sent == number + 1) < 1


def test_what_another_process_stores_is_found_by_looking(outbox: InMemoryOutbox) -> None:
    class Deaf:
        """Nobody is called when something is stored."""

        def __getattr__(self, name: str) -> Any:
            return getattr(outbox, name)

        def subscribe(self, wake: Any, /) -> Any:
            return lambda: None

    with running(Deaf(), Receiver(), poll=0.2):
        outbox.add(messages("a"))
        until(lambda: outbox.status().sent == 1)


def test_a_relay_that_has_nothing_to_do_looks_seldom(outbox: InMemoryOutbox) -> None:
    looks: list[float] = []

    class Counted:
        def __getattr__(self, name: str) -> Any:
            return getattr(outbox, name)

        def claim(self, limit: int, /, **options: Any) -> Any:
            looks.append(time.monotonic())
            return outbox.claim(limit, **options)

    with running(Counted(), Receiver(), poll=0.2):
        time.sleep(0.9)
    assert 3 <= len(looks) <= 6


def test_an_idle_relay_stops_soon_and_is_not_called_any_more(outbox: InMemoryOutbox) -> None:
    with running(outbox, Receiver(), poll=60) as stop:
        until(lambda: outbox._wakes)
        stop.set()
        until(lambda: not outbox._wakes)


def test_one_that_is_to_stop_from_the_beginning_does_nothing(outbox: InMemoryOutbox) -> None:
    outbox.add(messages("a"))
    stop = threading.Event()
    stop.set()
    OutboxRelay(outbox, receiver := Receiver()).run(stop)
    assert receiver.calls == []


def test_who_stops_waits_for_the_call_under_way_and_the_rest_is_given_back(
    outbox: InMemoryOutbox,
) -> None:
    receiver, go = Receiver(), threading.Event()
    receiver.meanwhile = lambda: go.wait(PATIENCE)
    outbox.add(messages("a", "a", "b", None))
    with running(outbox, receiver) as stop:
        until(lambda: receiver.calls)
        stop.set()
        time.sleep(0.2)
        assert outbox.status().claimed == 4
        go.set()
    status = outbox.status()
    assert (status.sent, status.pending, status.claimed) == (1, 3, 0)
    assert {(one.attempts, one.losses) for one in outbox.messages} == {(0, 0)}
    assert receiver.calls == [[0]]


def test_a_relay_pauses_while_its_publisher_is_down_and_goes_on_when_it_is_back(
    outbox: InMemoryOutbox,
) -> None:
    times: list[float] = []

    def answer(one: Message) -> Delivery:
        times.append(time.monotonic())
        if len(times) <= 3:
            raise PublisherUnavailable("closed", retry_after=0.3)
        return Accepted()

    outbox.add(messages("a", "b", "c"))
    with running(outbox, Receiver(answer), pause_cap=0.01):
        until(lambda: times)
        outbox.add(messages("d"))  # wakes nobody who pauses
        until(lambda: outbox.status().sent == 4)
    pauses = [b - a for a, b in pairwise(times)]
    assert all(pause >= 0.29 for pause in pauses[:3])
    assert {(one.attempts, one.losses) for one in outbox.messages} == {(0, 0)}


def test_its_pauses_grow_up_to_the_longest(outbox: InMemoryOutbox) -> None:
    times: list[float] = []

    def answer(one: Message) -> Delivery:
        times.append(time.monotonic())
        raise PublisherUnavailable("closed")

    outbox.add(messages("a"))
    with running(outbox, Receiver(answer), pause_cap=0.2) as stop:
        until(lambda: len(times) == 4)
        stop.set()
    pauses = [b - a for a, b in pairwise(times)]
    assert all(0.19 <= pause < 1 for pause in pauses)


def test_a_relay_that_pauses_stops_soon(outbox: InMemoryOutbox) -> None:
    def answer(one: Message) -> Delivery:
        raise PublisherUnavailable("closed", retry_after=60)

    receiver = Receiver(answer)
    outbox.add(messages("a"))
    with running(outbox, receiver) as stop:
        until(lambda: receiver.calls)
        time.sleep(0.1)
        begun = time.monotonic()
        stop.set()
    assert time.monotonic() - begun < 1


def test_a_storage_that_is_away_is_waited_for(outbox: InMemoryOutbox) -> None:
    store = Failing(outbox)
    store.failures = {"claim": 3, "settle": 2, "claim, but it was done": 1}
    outbox.add(messages("a", "a", "b"))
    with running(store, Receiver(), pause_cap=0.05, lease=0.5, poll=0.05):
        until(lambda: outbox.status().sent == 3)


def test_also_if_it_does_not_say_whether_it_has_stored_something(outbox: InMemoryOutbox) -> None:
    class Unsure(Failing):
        def _fail(self, moment: str) -> None:
            if self.failures.pop(moment, 0):
                raise CommitOutcomeUnknown(moment)

    store = Unsure(outbox)
    store.failures = {"claim, but it was done": 1, "settle, but it was done": 1}
    outbox.add(messages("a", "a", "b"))
    with running(store, Receiver(), pause_cap=0.05, lease=0.5, poll=0.05):
        until(lambda: outbox.status().sent == 3)


def test_an_error_of_a_programmer_ends_it(outbox: InMemoryOutbox) -> None:
    class Broken:
        def __getattr__(self, name: str) -> Any:
            return getattr(outbox, name)

        def claim(self, limit: int, /, **options: Any) -> Any:
            raise LookupError("no such table")

    with pytest.raises(LookupError), running(Broken(), Receiver()):
        until(lambda: not outbox._wakes)


def test_who_stops_while_the_storage_is_away_does_not_wait_for_the_lease(
    outbox: InMemoryOutbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infrastructure.messaging.holding.GRACE", 0.5)
    store, receiver = Failing(outbox), Receiver()
    store.failures = {"settle": 1000}
    outbox.add(messages("a"))
    with running(store, receiver, pause_cap=0.05) as stop:
        until(lambda: receiver.calls)
        begun = time.monotonic()
        stop.set()
    assert 0.4 < time.monotonic() - begun < 3
    assert outbox.status().claimed == 1


def test_several_relays_share_the_work(outbox: InMemoryOutbox) -> None:
    receivers = [Receiver() for _ in range(4)]
    lock, arrived = threading.Lock(), list[tuple[str | None, int]]()

    def answer(one: Message) -> Delivery:
        with lock:
            arrived.append((one.key, int(one.payload)))
        time.sleep(0.001)
        return Accepted()

    stack = [running(outbox, receiver, batch=5, poll=0.02) for receiver in receivers]
    for receiver in receivers:
        receiver.answer = answer
    with stack[0], stack[1], stack[2], stack[3]:
        outbox.add(messages(*[f"key {n % 10}" for n in range(200)]))
        until(lambda: outbox.status().sent == 200)
    assert len(arrived) == 200
    for key in {key for key, _ in arrived}:
        numbers = [number for other, number in arrived if other == key]
        assert numbers == sorted(numbers)
