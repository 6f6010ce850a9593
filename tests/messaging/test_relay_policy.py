"""The numbers of a relay."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from domain.errors import ValidationError
from infrastructure.messaging import RelayPolicy
from infrastructure.messaging.relay_policy import Pauses

NAN, INF = float("nan"), float("inf")
COUNTS = ["batch", "attempts", "losses"]
TIMES = ["lease", "backoff", "backoff_cap", "poll", "pause_cap", "settle_every"]


@pytest.mark.parametrize("field", COUNTS)
@pytest.mark.parametrize("value", [0, -1, 1.5, True, "10", None])
def test_a_count_is_a_whole_number_from_1(field: str, value: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        RelayPolicy(**{field: value})
    assert caught.value.errors == {field: "must be a whole number from 1"}


@pytest.mark.parametrize("field", TIMES)
@pytest.mark.parametrize("value", [0, -1, NAN, INF, True, "10", None])
def test_a_time_is_a_number_of_seconds_above_zero(field: str, value: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        RelayPolicy(**{field: value})
    assert caught.value.errors == {field: "must be a number of seconds above zero"}


def test_a_parked_head_blocks_or_is_skipped() -> None:
    head: Any = "jump"
    with pytest.raises(ValidationError, match='parked_head: must be "block" or "skip"'):
        RelayPolicy(parked_head=head)


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(ValidationError) as caught:
        RelayPolicy(batch=0, lease=0)
    assert caught.value.errors.keys() == {"batch", "lease"}


def test_waits_are_anywhere_between_zero_and_twice_the_last() -> None:
    policy, random = RelayPolicy(backoff=2, backoff_cap=100), Random(1)
    longest = [max(policy.wait(n, random) for _ in range(2000)) for n in (1, 2, 3, 7, 5000)]
    shortest = [min(policy.wait(n, random) for _ in range(2000)) for n in (1, 2, 3, 7, 5000)]
    assert longest == pytest.approx([2, 4, 8, 100, 100], rel=0.02)
    assert all(wait < 0.2 for wait in shortest)


def test_pauses_grow_and_begin_anew() -> None:
    pauses = Pauses(30, Random(1))

    def longest(count: int) -> float:
        found = []
        for _ in range(500):
            pauses.end()
            found.append([pauses.next() for _ in range(count)][-1])
        return max(found)

    assert [longest(n) for n in (1, 2, 3, 9)] == pytest.approx([1, 2, 4, 30], rel=0.05)


@pytest.mark.parametrize(
    ("asked", "least", "most"),
    [(100, 100, 100), (1e9, 3600, 3600), (INF, 3600, 3600), (NAN, 0, 1), (-5, 0, 1), (None, 0, 1)],
)
def test_a_pause_that_is_asked_for_is_kept_up_to_an_hour(
    asked: Any, least: float, most: float
) -> None:
    assert least <= Pauses(30, Random(1)).next(asked) <= most
