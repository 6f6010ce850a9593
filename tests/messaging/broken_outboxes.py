"""Outboxes that break the contract, each in one way. They are the kit's own, made worse."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID

from domain.messages import Claim
from infrastructure.testing import InMemoryOutbox
from infrastructure.testing.memory import outbox as memory


class HandsOutMoreThanAskedFor(InMemoryOutbox):
    def claim(self, limit: int, /, **options: Any) -> Claim:
        return super().claim(limit + 1, **options)


class HandsOutTwice(InMemoryOutbox):
    def claim(self, limit: int, /, **options: Any) -> Claim:
        claim = super().claim(limit, **options)
        for message in claim.messages:
            self._letters[message.id].leased_until = 0
        return claim


class HandsOutTheNewestFirst(InMemoryOutbox):
    def claim(self, limit: int, /, **options: Any) -> Claim:
        claim = super().claim(limit, **options)
        return replace(claim, messages=claim.messages[::-1])


class ForgetsKeys(InMemoryOutbox):
    """Whether others of the key are under way, is not asked."""

    def _heads(self, now: float, skip_parked: bool) -> Iterator[Any]:
        return (letter for letter in self._letters.values() if letter.is_free(now))


class TakesAnEmptyTextForNoKey(InMemoryOutbox):
    def _heads(self, now: float, skip_parked: bool) -> Iterator[Any]:
        kept = set(map(id, super()._heads(now, skip_parked)))
        for letter in self._letters.values():
            if id(letter) in kept or (letter.message.key == "" and letter.is_free(now)):
                yield letter


class HoldsUpThoseWithoutAKey(InMemoryOutbox):
    def _heads(self, now: float, skip_parked: bool) -> Iterator[Any]:
        waits = any(not one.is_free(now) and one.is_open for one in self._letters.values())
        heads = super()._heads(now, skip_parked)
        return (letter for letter in heads if letter.message.key is not None or not waits)


class NeverSkipsParkedOnes(InMemoryOutbox):
    def claim(self, limit: int, /, *, lease: float, skip_parked: bool = False) -> Claim:
        return super().claim(limit, lease=lease)


class AlwaysSkipsParkedOnes(InMemoryOutbox):
    def claim(self, limit: int, /, *, lease: float, skip_parked: bool = False) -> Claim:
        return super().claim(limit, lease=lease, skip_parked=True)


class SkipsWhatWaitsToo(InMemoryOutbox):
    def _heads(self, now: float, skip_parked: bool) -> Iterator[Any]:
        if skip_parked:
            return (letter for letter in self._letters.values() if letter.is_free(now))
        return super()._heads(now, skip_parked)


class NeverEndsALease(InMemoryOutbox):
    def claim(self, limit: int, /, *, lease: float, skip_parked: bool = False) -> Claim:
        return super().claim(limit, lease=lease * 1000, skip_parked=skip_parked)


class HasNoFence(InMemoryOutbox):
    def settle(self, claim: Claim, /, **outcomes: Any) -> frozenset[UUID]:
        for letter in self._letters.values():
            if letter.token is not None:
                letter.token = claim.token
        return super().settle(claim, **outcomes)


class RefusesWhoIsLate(InMemoryOutbox):
    def settle(self, claim: Claim, /, **outcomes: Any) -> frozenset[UUID]:
        for letter in self._letters.values():
            if not letter.is_claimed(self._clock.monotonic()):
                letter.token = None
        return super().settle(claim, **outcomes)


class SaysThatAllWereHad(InMemoryOutbox):
    def settle(self, claim: Claim, /, **outcomes: Any) -> frozenset[UUID]:
        super().settle(claim, **outcomes)
        return frozenset(id for ids in outcomes.values() for id in ids or ())


class CountsNoAttempts(InMemoryOutbox):
    def settle(self, claim: Claim, /, **outcomes: Any) -> frozenset[UUID]:
        had = super().settle(claim, **outcomes)
        for letter in self._letters.values():
            letter.message = replace(letter.message, attempts=0)
        return had


class CountsWhatIsReleased(InMemoryOutbox):
    def settle(self, claim: Claim, /, **outcomes: Any) -> frozenset[UUID]:
        had = super().settle(claim, **outcomes)
        for id in outcomes.get("released", ()):
            self._letters[id].fail("released")
        return had


class CountsNoLosses(InMemoryOutbox):
    def claim(self, limit: int, /, **options: Any) -> Claim:
        for letter in self._letters.values():
            if not letter.is_claimed(self._clock.monotonic()):
                letter.token = None
        return super().claim(limit, **options)


class CountsEveryClaimAsALoss(InMemoryOutbox):
    def settle(self, claim: Claim, /, **outcomes: Any) -> frozenset[UUID]:
        had = super().settle(claim, **outcomes)
        for id in had:
            letter = self._letters[id]
            letter.message = replace(letter.message, losses=letter.message.losses + 1)
        return had


class HandsOutSuspectsWithOthers(InMemoryOutbox):
    def claim(self, limit: int, /, **options: Any) -> Claim:
        before, memory.SUSPECT = memory.SUSPECT, 10**6
        try:
            return super().claim(limit, **options)
        finally:
            memory.SUSPECT = before


class DoesNotWait(InMemoryOutbox):
    def settle(self, claim: Claim, /, **outcomes: Any) -> frozenset[UUID]:
        had = super().settle(claim, **outcomes)
        for id in outcomes.get("retry") or ():
            self._letters[id].due = 0
        return had


class ExtendsNothing(InMemoryOutbox):
    def extend(self, claim: Claim, ids: Any, /, *, lease: float) -> frozenset[UUID]:
        return super().extend(claim, ids, lease=0.001)


class ExtendsAll(InMemoryOutbox):
    def extend(self, claim: Claim, ids: Any, /, *, lease: float) -> frozenset[UUID]:
        super().extend(claim, [one.id for one in claim.messages], lease=lease)
        return frozenset(ids)


class ReplaysWithoutAttempts(InMemoryOutbox):
    def replay(self, **which: Any) -> int:
        known = {id: letter.message for id, letter in self._letters.items()}
        count = super().replay(**which)
        for id, letter in self._letters.items():
            letter.message = known[id]
        return count


class ReplaysAtTheEnd(InMemoryOutbox):
    def replay(self, **which: Any) -> int:
        parked = [id for id, one in self._letters.items() if one.parked_at is not None]
        count = super().replay(**which)
        for id in parked:
            self._letters[id] = self._letters.pop(id)
        return count


class ReplaysAll(InMemoryOutbox):
    def replay(self, **which: Any) -> int:
        return super().replay()


class PurgesWhatIsNew(InMemoryOutbox):
    def purge(self, *, older_than: float, parked: bool = False) -> int:
        return super().purge(older_than=0, parked=parked)


class PurgesParkedOnesToo(InMemoryOutbox):
    def purge(self, *, older_than: float, parked: bool = False) -> int:
        return sum(super(PurgesParkedOnesToo, self).purge(older_than=older_than, parked=one)
                   for one in (True, False))  # fmt: skip


class CallsNobody(InMemoryOutbox):
    def _wake(self) -> None:
        pass


class CallsWhoHasEnded(InMemoryOutbox):
    def subscribe(self, wake: Any, /) -> Any:
        super().subscribe(wake)
        return lambda: None


class CallsTooEarly(InMemoryOutbox):
    def add(self, messages: Any) -> None:
        self._wake()
        wakes, self._wakes = self._wakes, {}
        super().add(messages)
        self._wakes = wakes


class LosesTheirAge(InMemoryOutbox):
    def status(self) -> Any:
        return replace(super().status(), oldest_pending=0.0)


class CountsParkedOnesAsPending(InMemoryOutbox):
    def status(self) -> Any:
        status = super().status()
        return replace(status, pending=status.pending + status.parked)
