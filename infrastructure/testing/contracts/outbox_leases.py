"""How long messages are had, and what is known of those that there are."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from domain.entity import new_id
from domain.messages import Retry
from domain.ports import Outbox
from infrastructure.testing.contracts.outbox_subject import (
    LEASE,
    OutboxSubject,
    claim,
    counts,
    ids_of,
)
from infrastructure.testing.contracts.threads import Threads

SUSPECT = 3
"""Losses after which a message is handed out alone."""


class OutboxLeasesContract(OutboxSubject):
    """Nobody has a message for ever, and none is had by two."""

    # -- leases ----------------------------------------------------------------------------

    def test_who_does_not_settle_in_time_loses_them_to_others(self, outbox: Outbox) -> None:
        ids = self.fill(outbox, "a", "a", None)
        claim(outbox)
        self.advance(outbox, LEASE - 5)
        assert claim(outbox).messages == ()
        self.advance(outbox, 10)
        again = claim(outbox).messages
        assert [one.id for one in again] == ids
        assert [one.losses for one in again] == [1, 1, 1]
        assert [one.attempts for one in again] == [0, 0, 0]

    def test_losses_add_up_and_what_was_settled_or_released_is_none(self, outbox: Outbox) -> None:
        ids = self.fill(outbox, "a", "b", "c")
        self.lose(outbox)
        retry = {ids[1]: Retry(0, "no")}
        outbox.settle(claim(outbox), released=ids[:1], retry=retry)  # and c is lost again
        self.advance(outbox, LEASE + 1)
        assert [one.losses for one in claim(outbox).messages] == [1, 1, 2]

    def test_one_that_was_lost_often_is_handed_out_alone(self, outbox: Outbox) -> None:
        ids = self.fill(outbox, "a", "b")
        self.lose(outbox, SUSPECT)
        ids += self.fill(outbox, "c", None)
        found: list[list[UUID]] = []
        while batch := ids_of(claim(outbox)):
            found.append(batch)
        assert sorted(found) == sorted([ids[:1], ids[1:2], ids[2:]])

    @pytest.mark.parametrize("outcome", ["sent", "retry", "parked", "released"])
    def test_nobody_settles_what_another_relay_has_claimed_meanwhile(
        self, outbox: Outbox, outcome: str
    ) -> None:
        ids = self.fill(outbox, "a", None)
        old = claim(outbox)
        self.advance(outbox, LEASE + 1)
        new = claim(outbox)
        before = counts(outbox)
        told: dict[str, Any] = {
            "sent": ids, "released": ids, "parked": dict.fromkeys(ids, "no"),
            "retry": dict.fromkeys(ids, Retry(0, "no")),
        }  # fmt: skip
        assert outbox.settle(old, **{outcome: told[outcome]}) == set()
        assert counts(outbox) == before
        assert claim(outbox).messages == ()
        assert outbox.settle(new, sent=ids) == set(ids)

    def test_who_is_late_and_was_not_missed_can_settle(self, outbox: Outbox) -> None:
        ids = self.fill(outbox, "a", None)
        mine = claim(outbox)
        self.advance(outbox, LEASE + 1)
        assert outbox.settle(mine, sent=ids) == set(ids)
        assert claim(outbox).messages == ()

    def test_a_claim_is_extended_from_now_on(self, outbox: Outbox) -> None:
        ids = self.fill(outbox, "a", "b", "c")
        mine = claim(outbox)
        self.advance(outbox, LEASE / 2)
        assert outbox.extend(mine, ids[:2], lease=LEASE) == set(ids[:2])
        self.advance(outbox, LEASE * 3 / 4)
        assert ids_of(claim(outbox)) == ids[2:]
        assert outbox.settle(mine, sent=ids[:2]) == set(ids[:2])

    def test_nothing_is_extended_that_is_not_had(self, outbox: Outbox) -> None:
        ids = self.fill(outbox, "a", "b", "c")
        mine = claim(outbox, 2)
        outbox.settle(mine, sent=ids[:1])
        assert outbox.extend(mine, [*ids, new_id()], lease=LEASE) == {ids[1]}
        assert outbox.extend(mine, [], lease=LEASE) == set()
        self.advance(outbox, LEASE + 1)
        claim(outbox)
        assert outbox.extend(mine, ids, lease=LEASE) == set()

    # -- looking after it ------------------------------------------------------------------

    def test_the_status_of_an_empty_outbox(self, outbox: Outbox) -> None:
        assert counts(outbox) == {"pending": 0, "claimed": 0, "parked": 0, "sent": 0}
        assert outbox.status().oldest_pending is None

    def test_the_status_counts_what_there_is(self, outbox: Outbox) -> None:
        ids = self.fill(outbox, *"abcdef")
        mine = claim(outbox, 5)
        outbox.settle(mine, sent=ids[:2], parked={ids[2]: "no"}, retry={ids[3]: Retry(9, "no")})
        assert counts(outbox) == {"pending": 3, "claimed": 1, "parked": 1, "sent": 2}
        self.advance(outbox, LEASE + 1)
        assert counts(outbox) == {"pending": 3, "claimed": 0, "parked": 1, "sent": 2}

    def test_the_oldest_pending_one_has_an_age(self, outbox: Outbox) -> None:
        old, new = self.fill(outbox, "a", "b")
        age = outbox.status().oldest_pending
        assert age is not None
        self.advance(outbox, 100)
        later = outbox.status().oldest_pending
        assert later is not None
        assert later - age == pytest.approx(100, abs=20)
        outbox.settle(claim(outbox), sent=[old], parked={new: "no"})
        assert outbox.status().oldest_pending is None

    def test_what_was_sent_long_ago_is_purged_and_nothing_else(self, outbox: Outbox) -> None:
        old, parked, pending, new = self.fill(outbox, *"abcd")
        outbox.settle(claim(outbox), sent=[old], parked={parked: "no"}, released=[pending, new])
        self.advance(outbox, 100)
        outbox.settle(claim(outbox), sent=[new], released=[pending])
        assert outbox.purge(older_than=50) == 1
        assert counts(outbox) == {"pending": 1, "claimed": 0, "parked": 1, "sent": 1}
        assert outbox.purge(older_than=1000) == 0

    def test_parked_ones_are_purged_if_that_is_said(self, outbox: Outbox) -> None:
        ids = self.fill(outbox, *"abc")
        outbox.settle(claim(outbox), sent=ids[:1], parked={ids[1]: "no"}, released=ids[2:])
        self.advance(outbox, 100)
        assert outbox.purge(older_than=50, parked=True) == 1
        assert counts(outbox) == {"pending": 1, "claimed": 0, "parked": 0, "sent": 1}

    def test_a_purged_one_that_was_parked_holds_up_nobody(self, outbox: Outbox) -> None:
        ids = self.fill(outbox, "a", "a")
        outbox.settle(claim(outbox), parked={ids[0]: "no"}, released=ids[1:])
        self.advance(outbox, 100)
        outbox.purge(older_than=50, parked=True)
        assert ids_of(claim(outbox)) == ids[1:]

    # -- waking ----------------------------------------------------------------------------

    def test_who_subscribes_is_called_when_messages_are_stored(self, outbox: Outbox) -> None:
        calls: list[str] = []
        end = outbox.subscribe(lambda: calls.append("one"))
        outbox.subscribe(lambda: calls.append("two"))
        assert calls == []
        self.fill(outbox, "a", "b")
        assert sorted(calls) == ["one", "two"]
        end()
        end()
        self.fill(outbox, "c")
        assert sorted(calls) == ["one", "two", "two"]

    def test_what_was_stored_can_be_claimed_by_who_is_called(self, outbox: Outbox) -> None:
        found: list[list[UUID]] = []

        def wake() -> None:
            with Threads() as threads:  # in the thread that has stored it, its unit is still open
                worker = threads.start(lambda: claim(outbox))
            found.append(ids_of(worker.value()))

        outbox.subscribe(wake)
        ids = self.fill(outbox, "a")
        assert found == [ids]
