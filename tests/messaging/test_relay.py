"""What becomes of messages, and in which order they are published."""

from __future__ import annotations

import logging

import pytest

from domain import Message
from domain.messages import Accepted, Delivery, Refused, RetryAfter
from infrastructure.messaging import RelayReport
from infrastructure.testing import InMemoryOutbox, MovableClock
from tests.messaging.conftest import MakeRelay
from tests.messaging.receivers import Receiver, messages

NO = RetryAfter("no")


def failing(*numbers: int, delivery: Delivery = NO) -> Receiver:
    """A receiver that does not take these."""
    return Receiver(lambda one: delivery if int(one.payload) in numbers else Accepted())


def test_an_empty_outbox_is_a_pass_without_anything(relay: MakeRelay, receiver: Receiver) -> None:
    assert relay().run_once() == RelayReport()
    assert receiver.calls == []


def test_what_was_accepted_is_sent(
    relay: MakeRelay, receiver: Receiver, outbox: InMemoryOutbox
) -> None:
    outbox.add(messages("a", "b", None))
    assert relay().run_once() == RelayReport(claimed=3, sent=3)
    assert sorted(receiver.arrived) == [0, 1, 2]
    assert outbox.status().sent == 3
    assert relay().run_once() == RelayReport()


def test_a_call_has_one_message_of_each_key_and_each_key_its_order(
    relay: MakeRelay, receiver: Receiver, outbox: InMemoryOutbox
) -> None:
    outbox.add(messages("a", "a", "b", None, "a", "b", None))
    assert relay().run_once().sent == 7  # the receiver looks at the keys of each call
    assert [n for n in receiver.arrived if n in (0, 1, 4)] == [0, 1, 4]
    assert [n for n in receiver.arrived if n in (2, 5)] == [2, 5]


def test_calls_grow_while_the_publisher_is_fast(
    relay: MakeRelay, receiver: Receiver, outbox: InMemoryOutbox
) -> None:
    outbox.add(messages(*[None] * 40))
    relay(batch=8).run_once()
    one = relay(batch=8)
    for _ in range(3):
        one.run_once()
    assert [len(call) for call in receiver.calls] == [1, 2, 4, 1, 1, 2, 4, 1, 8, 8]


def test_a_slow_publisher_gets_few_at_once(
    relay: MakeRelay, receiver: Receiver, outbox: InMemoryOutbox, clock: MovableClock
) -> None:
    """Two a second, and a call is to take about a second."""
    receiver.meanwhile = lambda: clock.move(seconds=0.5 * len(receiver.calls[-1]))
    outbox.add(messages(*[None] * 20))
    assert relay().run_once().sent == 20
    assert {len(call) for call in receiver.calls} == {1, 2}


def test_no_more_than_a_batch_is_claimed(relay: MakeRelay, outbox: InMemoryOutbox) -> None:
    outbox.add(messages(*[None] * 10))
    assert relay(batch=4).run_once() == RelayReport(claimed=4, sent=4)


# -- what is not accepted --------------------------------------------------------------------


def test_a_failed_one_waits_and_those_behind_it_are_given_back_untried(
    relay: MakeRelay, outbox: InMemoryOutbox, clock: MovableClock
) -> None:
    outbox.add(messages("a", "a", "b", "a"))
    receiver = failing(0)
    one = relay(publisher=receiver)
    assert one.run_once() == RelayReport(claimed=4, sent=1, retried=1, released=2)
    assert [each.attempts for each in outbox.messages] == [1, 0, 0, 0]
    assert one.run_once() == RelayReport()
    clock.move(seconds=2)
    receiver.answer = lambda _: Accepted()
    assert one.run_once() == RelayReport(claimed=3, sent=3)
    assert receiver.arrived == [0, 2, 0, 1, 3]


def test_a_publisher_may_say_when_the_next_attempt_makes_sense(
    relay: MakeRelay, outbox: InMemoryOutbox, clock: MovableClock
) -> None:
    outbox.add(messages("a"))
    one = relay(publisher=failing(0, delivery=RetryAfter("busy", 100)))
    one.run_once()
    clock.move(seconds=99)
    assert one.run_once().claimed == 0
    clock.move(seconds=2)
    assert one.run_once().claimed == 1


@pytest.mark.parametrize("seconds", [-1, float("nan"), 0, "soon", None])
def test_what_is_no_time_is_left_to_the_relay(
    relay: MakeRelay, outbox: InMemoryOutbox, clock: MovableClock, seconds: float
) -> None:
    outbox.add(messages("a"))
    relay(publisher=failing(0, delivery=RetryAfter("busy", seconds))).run_once()
    clock.move(seconds=2)
    assert relay().run_once().sent == 1


def test_for_ever_is_a_week(relay: MakeRelay, outbox: InMemoryOutbox, clock: MovableClock) -> None:
    outbox.add(messages("a"))
    relay(publisher=failing(0, delivery=RetryAfter("busy", float("inf")))).run_once()
    clock.move(days=7)
    assert relay().run_once().sent == 1


def test_when_its_attempts_are_used_up_it_is_parked_with_the_errors(
    relay: MakeRelay, outbox: InMemoryOutbox, clock: MovableClock
) -> None:
    (stored,) = messages("a")
    outbox.add([stored])
    error = RuntimeError("no answer")
    error.__cause__ = ConnectionError("port 7")
    one = relay(publisher=failing(0, delivery=RetryAfter(error)), attempts=3)
    reports = []
    for _ in range(3):
        reports.append(one.run_once())
        clock.move(seconds=10)
    retried, parked = RelayReport(claimed=1, retried=1), RelayReport(claimed=1, parked=1)
    assert reports == [retried, retried, parked]
    assert outbox.error_of(stored.id) == "RuntimeError: no answer\nConnectionError: port 7"
    assert one.run_once() == RelayReport()


def test_what_is_refused_is_parked_at_once_and_holds_up_its_key(
    relay: MakeRelay, outbox: InMemoryOutbox
) -> None:
    outbox.add(messages("a", "a", "b"))
    one = relay(publisher=failing(0, delivery=Refused("unknown")))
    assert one.run_once() == RelayReport(claimed=3, sent=1, parked=1, released=1)
    assert one.run_once() == RelayReport()


def test_a_parked_one_is_skipped_if_the_policy_says_so(
    relay: MakeRelay, outbox: InMemoryOutbox
) -> None:
    outbox.add(messages("a", "a", "a"))
    one = relay(publisher=failing(0, delivery=Refused("unknown")), parked_head="skip")
    assert one.run_once() == RelayReport(claimed=3, sent=2, parked=1)
    outbox.add(messages("a"))
    assert one.run_once() == RelayReport(claimed=1, parked=1)


def test_one_that_waits_is_never_skipped(relay: MakeRelay, outbox: InMemoryOutbox) -> None:
    outbox.add(messages("a", "a"))
    one = relay(publisher=failing(0), parked_head="skip")
    assert one.run_once() == RelayReport(claimed=2, retried=1, released=1)
    assert one.run_once() == RelayReport()


def test_a_parked_one_can_be_replayed(
    relay: MakeRelay, receiver: Receiver, outbox: InMemoryOutbox
) -> None:
    outbox.add(messages("a", "a"))
    relay(publisher=failing(0, delivery=Refused("unknown"))).run_once()
    assert outbox.replay() == 1
    assert relay().run_once().sent == 2
    assert receiver.arrived == [0, 1]


def test_one_that_took_its_relay_along_too_often_is_parked_untried(
    relay: MakeRelay, receiver: Receiver, outbox: InMemoryOutbox, clock: MovableClock
) -> None:
    poison, behind = messages("a", "a")
    outbox.add([poison])
    for _ in range(5):
        outbox.claim(1, lease=1)
        clock.move(seconds=2)
    outbox.add([behind])
    assert relay(losses=5).run_once() == RelayReport(claimed=1, parked=1)
    assert receiver.calls == []
    assert "5 times" in (outbox.error_of(poison.id) or "")


# -- those who watch -------------------------------------------------------------------------


def test_an_observer_gets_the_report_of_each_pass_that_had_messages(
    relay: MakeRelay, outbox: InMemoryOutbox
) -> None:
    reports: list[RelayReport] = []
    one = relay(observe=reports.append)
    one.run_once()
    outbox.add(messages("a"))
    one.run_once()
    assert reports == [RelayReport(claimed=1, sent=1)]


def test_an_observer_that_fails_is_heard_of_and_holds_up_nothing(
    relay: MakeRelay, outbox: InMemoryOutbox, caplog: pytest.LogCaptureFixture
) -> None:
    def observe(report: RelayReport) -> None:
        raise ValueError("no room for numbers")

    outbox.add(messages("a"))
    assert relay(observe=observe).run_once().sent == 1
    assert "no room for numbers" in caplog.text


def test_no_payload_and_no_text_of_an_error_gets_into_the_log(
    relay: MakeRelay, outbox: InMemoryOutbox, caplog: pytest.LogCaptureFixture
) -> None:
    def answer(one: Message) -> Delivery:
        error = ValueError("secret 4711")
        return {0: Refused(error), 1: RetryAfter(error), 2: Accepted()}[int(one.payload)]

    caplog.set_level(logging.DEBUG)
    outbox.add(messages("a", "b", "c"))
    relay(publisher=Receiver(answer)).run_once()
    assert "4711" not in caplog.text
    assert "ValueError" in caplog.text
