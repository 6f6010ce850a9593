"""A publisher that fails as a whole, a lease that ends, and a storage that goes away."""

from __future__ import annotations

import time
from typing import Any

import pytest

from domain import Message
from domain.errors import DatabaseUnavailable, PublisherUnavailable
from domain.messages import Accepted, Delivery, RetryAfter
from infrastructure.messaging import RelayReport
from infrastructure.testing import InMemoryOutbox, MovableClock
from tests.messaging.conftest import MakeRelay
from tests.messaging.receivers import Failing, Receiver, messages


class Raising(Receiver):
    """Raises this at a call that has this message."""

    def __init__(self, number: int, error: BaseException) -> None:
        super().__init__(self._answer)
        self.number = number
        self.error: BaseException | None = error

    def _answer(self, one: Message) -> Delivery:
        if int(one.payload) == self.number and self.error is not None:
            raise self.error
        return Accepted()


@pytest.fixture
def store(outbox: InMemoryOutbox) -> Failing:
    return Failing(outbox)


# -- the publisher ---------------------------------------------------------------------------


def test_one_that_raises_for_one_of_many_fails_this_one_only(
    relay: MakeRelay, outbox: InMemoryOutbox
) -> None:
    outbox.add(messages(*[None] * 7, "a", "a"))
    receiver = Raising(5, ValueError("not this one"))
    assert relay(publisher=receiver).run_once() == RelayReport(claimed=9, sent=8, retried=1)
    assert receiver.calls == [[0], [1, 2], [3, 4, 5, 6], [3], [4], [5], [6], [7], [8]]
    assert [one.attempts for one in outbox.messages] == [0] * 5 + [1] + [0] * 3


def test_one_alone_that_raises_is_tried_again_later(
    relay: MakeRelay, outbox: InMemoryOutbox
) -> None:
    outbox.add(messages("a", "a"))
    receiver = Raising(0, ValueError("no"))
    assert relay(publisher=receiver).run_once() == RelayReport(claimed=2, retried=1, released=1)
    assert outbox.error_of(outbox.messages[0].id) == "ValueError: no"


class Wrong(Receiver):
    """Says something else of its messages than a publisher has to."""

    def __init__(self, given: Any) -> None:
        super().__init__()
        self.given = given

    def publish(self, batch: Any, /) -> Any:
        super().publish(batch)
        return self.given


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (None, "a list with what became of each message, not NoneType"),
        ("sent", "not str"),
        ([], "was given 1 messages, and says of 0"),
        ([Accepted()] * 2, "was given 1 messages, and says of 2"),
        ([True], "Accepted, RetryAfter or Refused, not bool"),
        ([Accepted], "not type"),
    ],
)
def test_a_wrong_answer_is_an_error_and_never_taken_for_accepted(
    relay: MakeRelay, outbox: InMemoryOutbox, given: Any, text: str
) -> None:
    (stored,) = messages("a")
    outbox.add([stored])
    assert relay(publisher=Wrong(given)).run_once() == RelayReport(claimed=1, retried=1)
    assert text in (outbox.error_of(stored.id) or "")


def test_a_publisher_that_is_down_burns_no_attempt(
    relay: MakeRelay, outbox: InMemoryOutbox
) -> None:
    outbox.add(messages("a", "b", "b", None, None))
    receiver = Raising(2, PublisherUnavailable("closed"))
    one = relay(publisher=receiver)
    report = one.run_once()
    assert report.unavailable
    assert (report.retried, report.parked, report.lost) == (0, 0, 0)
    assert report.sent + report.released == 5
    assert {(each.attempts, each.losses) for each in outbox.messages} == {(0, 0)}


def test_after_that_one_message_is_tried_until_it_is_back(
    relay: MakeRelay, outbox: InMemoryOutbox
) -> None:
    outbox.add(messages(*[None] * 9))
    receiver = Raising(0, PublisherUnavailable("closed"))
    one = relay(publisher=receiver)
    assert one.run_once() == RelayReport(claimed=9, released=9, unavailable=True)
    assert one.run_once() == RelayReport(claimed=1, released=1, unavailable=True)
    receiver.error = None
    assert one.run_once() == RelayReport(claimed=1, sent=1)
    assert one.run_once() == RelayReport(claimed=8, sent=8)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_ends_the_process_goes_through_and_what_was_not_tried_is_given_back(
    relay: MakeRelay, outbox: InMemoryOutbox, kind: type[BaseException]
) -> None:
    outbox.add(messages("a", "b", "b", "c"))
    with pytest.raises(kind):
        relay(publisher=Raising(0, kind())).run_once()
    status = outbox.status()
    assert (status.pending, status.claimed) == (4, 1), "the one under way is left to its lease"
    assert relay().run_once() == RelayReport(claimed=3, sent=3)


def test_that_holds_where_the_storage_is_away_too(
    relay: MakeRelay, outbox: InMemoryOutbox, store: Failing, clock: MovableClock
) -> None:
    outbox.add(messages("a", "b"))
    receiver = Raising(1, KeyboardInterrupt())
    store.failures = {"settle": 1}
    receiver.meanwhile = lambda: clock.move(seconds=61 if len(receiver.calls) == 2 else 0)
    with pytest.raises(KeyboardInterrupt):
        relay(store=store, publisher=receiver).run_once()


# -- leases ----------------------------------------------------------------------------------


def test_a_claim_that_takes_long_is_settled_and_extended_on_the_way(
    relay: MakeRelay, receiver: Receiver, outbox: InMemoryOutbox, clock: MovableClock
) -> None:
    outbox.add(messages(*[None] * 30))
    sent: list[int] = []

    def take_long() -> None:
        sent.append(outbox.status().sent)
        clock.move(seconds=5)

    receiver.meanwhile = take_long
    assert relay(lease=12).run_once() == RelayReport(claimed=30, sent=30)
    assert sent == list(range(30)), "each was told before the next"
    assert {one.losses for one in outbox.messages} == {0}


def test_what_is_known_is_told_only_so_often(
    relay: MakeRelay, receiver: Receiver, outbox: InMemoryOutbox, clock: MovableClock
) -> None:
    outbox.add(messages(*["a"] * 30))
    sent: list[int] = []

    def take_a_while() -> None:
        sent.append(outbox.status().sent)
        clock.move(seconds=0.25)

    receiver.meanwhile = take_a_while
    relay(settle_every=2).run_once()
    assert sorted(set(sent)) == [0, 8, 16, 24]


def test_nothing_is_published_whose_lease_is_over(
    relay: MakeRelay, receiver: Receiver, outbox: InMemoryOutbox, clock: MovableClock
) -> None:
    outbox.add(messages("a", "a", "b"))
    receiver.meanwhile = lambda: clock.move(seconds=61)
    report = relay(lease=60).run_once()
    assert receiver.arrived == [0]
    assert report == RelayReport(claimed=3, sent=1, released=2)


def test_what_another_relay_has_taken_is_left_to_it(
    relay: MakeRelay, receiver: Receiver, outbox: InMemoryOutbox, clock: MovableClock
) -> None:
    outbox.add(messages("a", "a", "b"))

    def come_late() -> None:
        clock.move(seconds=61)
        assert len(outbox.claim(10, lease=60).messages) == 3

    receiver.meanwhile = come_late
    assert relay(lease=60).run_once() == RelayReport(claimed=3, lost=3)
    assert outbox.status().claimed == 3


def test_what_is_not_extended_is_not_published_nor_what_comes_behind_it(
    relay: MakeRelay, receiver: Receiver, outbox: InMemoryOutbox, clock: MovableClock
) -> None:
    class Forgetful:
        """The second message is gone when the claim is extended."""

        def __getattr__(self, name: str) -> Any:
            return getattr(outbox, name)

        def extend(self, claim: Any, ids: Any, /, *, lease: float) -> frozenset[Any]:
            gone = claim.messages[1].id
            return outbox.extend(claim, [id for id in ids if id != gone], lease=lease)

    outbox.add(messages("x", "a", "a", "b"))
    receiver.meanwhile = lambda: clock.move(seconds=31 if len(receiver.calls) == 1 else 0)
    report = relay(store=Forgetful(), lease=60).run_once()
    assert receiver.arrived == [0, 3]
    assert report == RelayReport(claimed=4, sent=2, released=1, lost=1)


def test_the_lease_counts_from_before_the_claim_was_asked_for(
    relay: MakeRelay, receiver: Receiver, outbox: InMemoryOutbox, clock: MovableClock
) -> None:
    class Slow:
        def __getattr__(self, name: str) -> Any:
            return getattr(outbox, name)

        def claim(self, limit: int, /, **options: Any) -> Any:
            claimed = outbox.claim(limit, **options)
            clock.move(seconds=61)  # the answer was long on its way
            return claimed

    outbox.add(messages("a"))
    assert relay(store=Slow(), lease=60).run_once() == RelayReport(claimed=1, released=1)
    assert receiver.calls == []


# -- the storage -----------------------------------------------------------------------------


def test_a_storage_that_is_away_at_the_claim_is_an_error_and_nothing_is_lost(
    relay: MakeRelay, outbox: InMemoryOutbox, store: Failing
) -> None:
    outbox.add(messages("a"))
    store.failures = {"claim": 1}
    one = relay(store=store)
    with pytest.raises(DatabaseUnavailable):
        one.run_once()
    assert one.run_once().sent == 1


def test_a_claim_whose_answer_is_lost_comes_back_with_the_end_of_its_lease(
    relay: MakeRelay, outbox: InMemoryOutbox, store: Failing, clock: MovableClock
) -> None:
    outbox.add(messages("a", "a"))
    store.failures = {"claim, but it was done": 1}
    one = relay(store=store)
    with pytest.raises(DatabaseUnavailable):
        one.run_once()
    assert one.run_once().claimed == 0
    clock.move(seconds=61)
    assert one.run_once().sent == 2
    assert [each.losses for each in outbox.messages] == [1, 1]


def test_outcomes_that_cannot_be_stored_are_stored_a_little_later(
    relay: MakeRelay, receiver: Receiver, outbox: InMemoryOutbox, store: Failing
) -> None:
    outbox.add(messages("a", "a", "b"))
    store.failures = {"settle": 3}
    begun = time.monotonic()
    assert relay(store=store).run_once() == RelayReport(claimed=3, sent=3)
    assert time.monotonic() - begun < 5
    assert sorted(receiver.arrived) == [0, 1, 2]


def test_outcomes_whose_answer_is_lost_are_stored_nevertheless(
    relay: MakeRelay, receiver: Receiver, outbox: InMemoryOutbox, store: Failing
) -> None:
    outbox.add(messages("a", "a", "b"))
    store.failures = {"settle, but it was done": 1}
    report = relay(store=store).run_once()
    assert report.sent + report.lost == 3, "the second time, it has none of them any more"
    assert outbox.status().sent == 3


def test_outcomes_that_cannot_be_stored_until_the_lease_is_over_are_left_and_come_again(
    relay: MakeRelay,
    receiver: Receiver,
    outbox: InMemoryOutbox,
    store: Failing,
    clock: MovableClock,
) -> None:
    outbox.add(messages("a", "a"))
    store.failures = {"settle": 1000}
    receiver.meanwhile = lambda: clock.move(seconds=31 if len(receiver.calls) == 1 else 60)
    one = relay(store=store, lease=90, settle_every=100)
    with pytest.raises(DatabaseUnavailable):
        one.run_once()
    store.failures = {}
    clock.move(seconds=200)
    assert one.run_once().sent == 2
    assert receiver.arrived == [0, 1, 0, 1]


def test_a_storage_that_is_away_when_it_is_to_extend_ends_the_pass_and_keeps_its_outcomes(
    relay: MakeRelay,
    receiver: Receiver,
    outbox: InMemoryOutbox,
    store: Failing,
    clock: MovableClock,
) -> None:
    outbox.add(messages("a", "a", "b"))
    store.failures = {"extend": 1}
    receiver.meanwhile = lambda: clock.move(seconds=31)
    one = relay(store=store, lease=60)
    with pytest.raises(DatabaseUnavailable):
        one.run_once()
    assert receiver.arrived == [0]
    assert (outbox.status().sent, outbox.status().claimed) == (1, 0)
    receiver.meanwhile = lambda: None
    assert one.run_once().sent == 2


def test_an_error_that_is_none_of_the_storage_goes_through(
    relay: MakeRelay, outbox: InMemoryOutbox
) -> None:
    class Broken:
        def claim(self, limit: int, /, **options: Any) -> Any:
            raise LookupError("no such table")

    with pytest.raises(LookupError):
        relay(store=Broken()).run_once()


def test_a_retry_that_is_due_is_not_lost_when_its_storage_fails(
    relay: MakeRelay, outbox: InMemoryOutbox, store: Failing, clock: MovableClock
) -> None:
    outbox.add(messages("a"))
    receiver = Receiver(lambda _: RetryAfter("no"))
    store.failures = {"settle": 1}
    assert relay(store=store, publisher=receiver).run_once().retried == 1
    assert outbox.messages[0].attempts == 1
