"""What may be claimed, and what becomes of it when it is settled."""

from __future__ import annotations

import threading
from uuid import UUID

from domain.entity import new_id
from domain.messages import Retry
from domain.ports import Outbox
from infrastructure.testing.contracts.outbox_subject import (
    LEASE,
    OutboxSubject,
    claim,
    counts,
    ids_of,
    message,
)
from infrastructure.testing.contracts.threads import Threads


class OutboxClaimsContract(OutboxSubject):
    """Claims are exclusive and in the order of each key, and outcomes last."""

    # -- claiming --------------------------------------------------------------------------

    def test_an_empty_outbox_has_nothing_to_claim(self, outbox: Outbox) -> None:
        assert claim(outbox).messages == ()

    def test_messages_come_as_they_were_stored_oldest_first(self, outbox: Outbox) -> None:
        stored = [message("a", "one"), message(None, "two"), message("b"), message("a")]
        self.store(outbox, stored[:1])
        self.store(outbox, stored[1:])
        assert claim(outbox).messages == tuple(stored)

    def test_no_more_are_claimed_than_asked_for(self, outbox: Outbox) -> None:
        ids = self.fill(outbox, "a", None, "a", "b")
        assert ids_of(claim(outbox, 3)) == ids[:3]

    def test_what_is_claimed_is_for_this_relay_alone(self, outbox: Outbox) -> None:
        ids = self.fill(outbox, "a", "b", None, None)
        first, second = claim(outbox, 2), claim(outbox)
        assert [ids_of(first), ids_of(second)] == [ids[:2], ids[2:]]
        assert first.token != second.token
        assert claim(outbox).messages == ()

    def test_claims_at_once_never_share_a_message(self, outbox: Outbox) -> None:
        ids = self.fill(outbox, *[None] * 60, *[f"key {n}" for n in range(60)])
        barrier = threading.Barrier(6)

        def work() -> list[UUID]:
            barrier.wait(10)
            found: list[UUID] = []
            while batch := ids_of(claim(outbox, 5)):
                found += batch
            return found

        with Threads() as threads:
            workers = [threads.start(work) for _ in range(6)]
        found = [id for worker in workers for id in worker.value()]
        assert len(found) == len(set(found))
        assert set(found) | set(ids_of(claim(outbox, 200))) == set(ids)

    # -- keys ------------------------------------------------------------------------------

    def test_of_a_key_the_oldest_are_claimed_without_a_gap(self, outbox: Outbox) -> None:
        ids = self.fill(outbox, "a", "b", "a", "a", "b", "a")
        found = [ids_of(claim(outbox, 3))]
        assert found == [ids[:3]]

    def test_nothing_is_claimed_while_another_relay_has_an_older_one(self, outbox: Outbox) -> None:
        ids = self.fill(outbox, "a", "a", "b", "a")
        first = claim(outbox, 1)
        assert ids_of(claim(outbox)) == [ids[2]]
        outbox.settle(first, sent=ids[:1])
        assert ids_of(claim(outbox)) == [ids[1], ids[3]]

    def test_what_is_stored_later_waits_for_its_key_too(self, outbox: Outbox) -> None:
        self.fill(outbox, "a")
        claim(outbox)
        self.fill(outbox, "a")
        assert claim(outbox).messages == ()

    def test_without_a_key_nobody_waits(self, outbox: Outbox) -> None:
        ids = self.fill(outbox, None, None, None)
        first = claim(outbox, 1)
        outbox.settle(first, retry={ids[0]: Retry(LEASE, "later")})
        assert ids_of(claim(outbox, 1)) == [ids[1]]
        assert ids_of(claim(outbox, 1)) == [ids[2]]

    def test_an_empty_text_is_a_key(self, outbox: Outbox) -> None:
        ids = self.fill(outbox, "", "")
        assert ids_of(claim(outbox, 1)) == ids[:1]
        assert claim(outbox).messages == ()

    def test_threads_that_share_an_outbox_keep_the_order_of_each_key(self, outbox: Outbox) -> None:
        keys = [f"key {number % 4}" for number in range(80)]
        key_of = dict(zip(ids := self.fill(outbox, *keys), keys, strict=True))
        published: list[UUID] = []
        barrier = threading.Barrier(4)

        def work() -> None:
            barrier.wait(10)
            while len(published) < len(ids):
                mine = claim(outbox, 3)
                published.extend(ids_of(mine))
                outbox.settle(mine, sent=ids_of(mine))

        with Threads() as threads:
            workers = [threads.start(work) for _ in range(4)]
        for worker in workers:
            worker.value()
        for key in set(keys):
            wanted = [id for id in ids if key_of[id] == key]
            assert [id for id in published if key_of[id] == key] == wanted

    # -- settling --------------------------------------------------------------------------

    def test_what_was_sent_is_never_claimed_again(self, outbox: Outbox) -> None:
        ids = self.fill(outbox, "a", "a", None)
        mine = claim(outbox, 2)
        assert outbox.settle(mine, sent=ids[:2]) == set(ids[:2])
        self.advance(outbox, LEASE * 2)
        assert ids_of(claim(outbox)) == ids[2:]

    def test_a_retry_waits_and_counts_and_its_key_waits_with_it(self, outbox: Outbox) -> None:
        ids = self.fill(outbox, "a", "a", "b")
        mine = claim(outbox)
        outbox.settle(mine, retry={ids[0]: Retry(10, "no")}, released=ids[1:])
        assert ids_of(claim(outbox)) == ids[2:]
        self.advance(outbox, 9)
        assert claim(outbox).messages == ()
        self.advance(outbox, 2)
        again = claim(outbox).messages
        assert [one.id for one in again] == ids[:2]
        assert [one.attempts for one in again] == [1, 0]
        assert [one.losses for one in again] == [0, 0]

    def test_attempts_add_up(self, outbox: Outbox) -> None:
        (id,) = self.fill(outbox, "a")
        for attempts in range(3):
            mine = claim(outbox)
            assert [one.attempts for one in mine.messages] == [attempts]
            outbox.settle(mine, retry={id: Retry(1, "no")})
            self.advance(outbox, 2)

    def test_what_is_released_can_be_claimed_at_once_and_counts_nothing(
        self, outbox: Outbox
    ) -> None:
        ids = self.fill(outbox, "a", "a", None)
        mine = claim(outbox)
        assert outbox.settle(mine, released=ids) == set(ids)
        again = claim(outbox)
        assert again.messages == mine.messages
        assert {(one.attempts, one.losses) for one in again.messages} == {(0, 0)}

    def test_several_outcomes_are_settled_together(self, outbox: Outbox) -> None:
        sent, later, parked, released, kept = ids = self.fill(outbox, *"abcde")
        had = outbox.settle(
            claim(outbox),
            sent=[sent],
            retry={later: Retry(LEASE, "later")},
            parked={parked: "never"},
            released=[released],
        )
        assert had == set(ids) - {kept}
        assert counts(outbox) == {"pending": 3, "claimed": 1, "parked": 1, "sent": 1}
        assert ids_of(claim(outbox)) == [released]

    def test_nothing_is_settled_that_is_not_had(self, outbox: Outbox) -> None:
        mine, free = self.fill(outbox, "a", "b")
        had = claim(outbox, 1)
        assert outbox.settle(had, sent=[mine, free, new_id()]) == {mine}
        assert outbox.settle(had, sent=[mine], released=[mine]) == set()
        assert outbox.settle(had) == set()
        assert ids_of(claim(outbox)) == [free]

    # -- parked ----------------------------------------------------------------------------

    def test_a_parked_one_is_not_claimed_and_holds_up_its_key(self, outbox: Outbox) -> None:
        ids = self.fill(outbox, "a", "a", "b", None, None)
        mine = claim(outbox)
        outbox.settle(
            mine, parked={ids[0]: "no", ids[3]: "no"}, released=[ids[n] for n in (1, 2, 4)]
        )
        self.advance(outbox, LEASE * 2)
        assert ids_of(claim(outbox)) == [ids[2], ids[4]]

    def test_a_parked_one_holds_up_nobody_if_it_is_to_be_skipped(self, outbox: Outbox) -> None:
        ids = self.fill(outbox, "a", "a", "b")
        mine = claim(outbox)
        outbox.settle(mine, parked={ids[0]: "no"}, released=ids[1:])
        assert ids_of(claim(outbox, skip_parked=True)) == ids[1:]

    def test_one_that_waits_holds_up_its_key_also_where_parked_ones_are_skipped(
        self, outbox: Outbox
    ) -> None:
        ids = self.fill(outbox, "a", "a", "a")
        mine = claim(outbox)
        retry = {ids[1]: Retry(LEASE, "later")}
        outbox.settle(mine, parked={ids[0]: "no"}, retry=retry, released=ids[2:])
        assert claim(outbox, skip_parked=True).messages == ()

    def test_replayed_ones_have_all_their_attempts_and_their_place(self, outbox: Outbox) -> None:
        ids = self.fill(outbox, "a", "a")
        outbox.settle(claim(outbox), retry={ids[0]: Retry(1, "no")}, released=ids[1:])
        self.advance(outbox, 2)
        self.lose(outbox)
        outbox.settle(claim(outbox), parked={ids[0]: "no"}, released=ids[1:])
        assert outbox.replay() == 1
        again = claim(outbox).messages
        assert [one.id for one in again] == ids
        assert (again[0].attempts, again[0].losses) == (0, 0)

    def test_ids_and_a_type_narrow_what_is_replayed(self, outbox: Outbox) -> None:
        stored = [message(None, type) for type in ("one", "two", "one", "two", "one")]
        self.store(outbox, stored)
        ids = [one.id for one in stored]
        outbox.settle(claim(outbox), parked=dict.fromkeys(ids[:4], "no"), released=ids[4:])
        assert outbox.replay(ids=[]) == 0
        assert outbox.replay(ids=[ids[0], ids[1], ids[4], new_id()], type="two") == 1
        assert outbox.replay(ids=[ids[0]]) == 1
        assert outbox.replay(type="one") == 1
        assert outbox.replay(type="none") == 0
        assert ids_of(claim(outbox)) == [ids[0], ids[1], ids[2], ids[4]]
        assert outbox.replay() == 1
