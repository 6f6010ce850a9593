"""A contract that cannot fail is worthless: each of these outboxes breaks one of its promises."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import pytest

from domain import Message
from infrastructure.testing import InMemoryOutbox, MovableClock, OutboxContract
from infrastructure.testing.contracts import threads
from tests.messaging import broken_outboxes

FAULTS: dict[str, Any] = {
    # -- claiming --------------------------------------------------------------------------
    "HandsOutMoreThanAskedFor": "test_no_more_are_claimed_than_asked_for",
    "HandsOutTwice": "test_what_is_claimed_is_for_this_relay_alone",
    "HandsOutTheNewestFirst": "test_messages_come_as_they_were_stored_oldest_first",
    # -- keys ------------------------------------------------------------------------------
    "ForgetsKeys": "test_nothing_is_claimed_while_another_relay_has_an_older_one",
    "TakesAnEmptyTextForNoKey": "test_an_empty_text_is_a_key",
    "HoldsUpThoseWithoutAKey": "test_without_a_key_nobody_waits",
    "NeverSkipsParkedOnes": "test_a_parked_one_holds_up_nobody_if_it_is_to_be_skipped",
    "AlwaysSkipsParkedOnes": "test_a_parked_one_is_not_claimed_and_holds_up_its_key",
    "SkipsWhatWaitsToo": (
        "test_one_that_waits_holds_up_its_key_also_where_parked_ones_are_skipped"
    ),
    # -- settling --------------------------------------------------------------------------
    "DoesNotWait": "test_a_retry_waits_and_counts_and_its_key_waits_with_it",
    "CountsNoAttempts": "test_attempts_add_up",
    "CountsWhatIsReleased": "test_what_is_released_can_be_claimed_at_once_and_counts_nothing",
    "SaysThatAllWereHad": "test_nothing_is_settled_that_is_not_had",
    # -- leases ----------------------------------------------------------------------------
    "NeverEndsALease": "test_who_does_not_settle_in_time_loses_them_to_others",
    "CountsNoLosses": "test_who_does_not_settle_in_time_loses_them_to_others",
    "CountsEveryClaimAsALoss": "test_losses_add_up_and_what_was_settled_or_released_is_none",
    "HandsOutSuspectsWithOthers": "test_one_that_was_lost_often_is_handed_out_alone",
    "HasNoFence": ("test_nobody_settles_what_another_relay_has_claimed_meanwhile", "sent"),
    "RefusesWhoIsLate": "test_who_is_late_and_was_not_missed_can_settle",
    "ExtendsNothing": "test_a_claim_is_extended_from_now_on",
    "ExtendsAll": "test_nothing_is_extended_that_is_not_had",
    # -- looking after it ------------------------------------------------------------------
    "ReplaysWithoutAttempts": "test_replayed_ones_have_all_their_attempts_and_their_place",
    "ReplaysAtTheEnd": "test_replayed_ones_have_all_their_attempts_and_their_place",
    "ReplaysAll": "test_ids_and_a_type_narrow_what_is_replayed",
    "PurgesWhatIsNew": "test_what_was_sent_long_ago_is_purged_and_nothing_else",
    "PurgesParkedOnesToo": "test_what_was_sent_long_ago_is_purged_and_nothing_else",
    "CountsParkedOnesAsPending": "test_the_status_counts_what_there_is",
    "LosesTheirAge": "test_the_oldest_pending_one_has_an_age",
    # -- waking ----------------------------------------------------------------------------
    "CallsNobody": "test_who_subscribes_is_called_when_messages_are_stored",
    "CallsWhoHasEnded": "test_who_subscribes_is_called_when_messages_are_stored",
    "CallsTooEarly": "test_what_was_stored_can_be_claimed_by_who_is_called",
}
"""Each broken outbox, and a test that finds it out, with its parameter."""

BROKEN: dict[str, Any] = {
    name: kind
    for name, kind in vars(broken_outboxes).items()
    if inspect.isclass(kind) and kind.__module__ == broken_outboxes.__name__
}


class Suite(OutboxContract):
    """What each outbox is held to. Its tests are called here, one by one."""

    __test__ = False

    def __init__(self) -> None:
        self.clock = MovableClock()

    def store(self, outbox: InMemoryOutbox, messages: Sequence[Message], /) -> None:
        outbox.add(messages)

    def advance(self, outbox: InMemoryOutbox, seconds: float, /) -> None:
        self.clock.move(seconds=seconds)


def hold(kind: type[InMemoryOutbox], fault: str) -> None:
    """Call the test of the contract that finds this fault."""
    test, *parameters = FAULTS[fault] if isinstance(FAULTS[fault], tuple) else [FAULTS[fault]]
    suite = Suite()
    getattr(suite, test)(kind(clock=suite.clock), *parameters)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_test_of_the_contract_finds_the_fault(
    fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold(InMemoryOutbox, fault)  # what is not broken passes

    monkeypatch.setattr(threads, "PATIENCE", 1)
    with pytest.raises((Exception, pytest.fail.Exception)) as caught:
        hold(BROKEN[fault], fault)
    assert isinstance(caught.value, AssertionError), "broken too much"


def test_every_broken_outbox_is_found_out() -> None:
    assert BROKEN.keys() == FAULTS.keys()
