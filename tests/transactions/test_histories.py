"""The checker finds each anomaly in a history made by hand, and nothing in a clean one."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from tests.transactions.histories import (
    Anomaly,
    Append,
    Outcome,
    Read,
    Transaction,
    anomalies_of,
    report,
)


def transaction(id: str, *operations: Append | Read, **known: Any) -> Transaction:
    """One that overlaps with all others, unless its times are given."""
    return Transaction(id, 0, operations, **{"end": 100.0, **known})


def append(value: int, key: str = "x") -> Append:
    return Append(key, value)


def read(*values: int, key: str = "x") -> Read:
    return Read(key, values)


def kinds_of(*history: Transaction, **options: Any) -> list[str]:
    return [each.kind for each in anomalies_of(history, **options)]


# -- clean histories -----------------------------------------------------------------------


def test_nothing_is_found_in_an_empty_history() -> None:
    assert kinds_of() == []


def test_one_after_the_other_is_clean() -> None:
    assert (
        kinds_of(
            transaction("a", append(1), append(2), start=0, end=1),
            transaction("b", read(1, 2), append(3), read(1, 2, 3), start=2, end=3),
            transaction("c", append(4), read(1, 2, 3, 4), start=4, end=5),
            transaction("d", read(1, 2, 3, 4), start=6, end=7),
        )
        == []
    )


def serial_history(seed: int) -> list[Transaction]:
    """Made one after the other, some of them failed, and told as if they had overlapped."""
    random_ = random.Random(seed)
    lists: dict[str, tuple[int, ...]] = dict.fromkeys("xyz", ())
    history, value = [], 0
    for number in range(200):
        now, operations = dict(lists), list[Append | Read]()
        for _ in range(random_.randint(1, 4)):
            key = random_.choice("xyz")
            if random_.random() < 0.5:
                operations.append(Read(key, now[key]))
            else:
                value += 1
                now[key] += (value,)
                operations.append(Append(key, value))
        outcome = random_.choice([*[Outcome.OK] * 3, Outcome.FAIL, Outcome.UNKNOWN])
        if outcome is Outcome.OK or (outcome is Outcome.UNKNOWN and random_.random() < 0.5):
            lists = now
        start, end = number - random_.random() * 5, number + random_.random() * 5
        history.append(Transaction(f"t{number}", 0, operations, outcome, start, end))
    last = [Read(key, values) for key, values in lists.items()]
    return [*history, Transaction("last", 0, last, start=300.0, end=301.0)]


@pytest.mark.parametrize("seed", range(20))
def test_whatever_was_made_one_after_the_other_is_clean(seed: int) -> None:
    assert anomalies_of(serial_history(seed)) == []


@pytest.mark.parametrize("seed", range(20))
def test_an_acknowledged_value_that_is_taken_out_of_the_last_read_is_found(seed: int) -> None:
    *history, last = serial_history(seed)
    told = [each for each in history if each.outcome is Outcome.OK]
    appends = [one for each in told for one in each.operations if isinstance(one, Append)]
    taken = random.Random(seed).choice(appends)
    left = [
        Read(key, tuple(v for v in values if v != taken.value)) for key, values in last.operations
    ]

    assert "lost write" in kinds_of(*history, replace(last, operations=left))


def test_a_transaction_that_failed_and_was_never_seen_is_clean() -> None:
    assert (
        kinds_of(
            transaction("a", append(1), outcome=Outcome.FAIL, end=1),
            transaction("b", read(), start=2),
        )
        == []
    )


@pytest.mark.parametrize("seen", [(), (1,)])
def test_an_unknown_outcome_may_be_either(seen: tuple[int, ...]) -> None:
    assert (
        kinds_of(
            transaction("a", Read("y", None), append(1), outcome=Outcome.UNKNOWN),
            transaction("b", read(*seen), start=200, end=201),
        )
        == []
    )


# -- what a read shows ---------------------------------------------------------------------


def test_an_acknowledged_write_that_is_missing_at_the_end_is_lost() -> None:
    found = anomalies_of(
        [
            transaction("a", append(1), end=1),
            transaction("b", append(2), end=1),
            transaction("last", read(2), start=2),
        ],
        real_time=False,
    )

    assert found == [Anomaly("lost write", ("a", "last"), "a appended 1 to x, last read [2]")]


def test_an_acknowledged_write_that_is_missing_from_a_later_read_is_found() -> None:
    """It came back afterwards: read from a server that lags behind."""
    assert kinds_of(
        transaction("a", append(1), end=1),
        transaction("stale", read(), start=2, end=3),
        transaction("last", read(1), start=4),
    ) == ["G-single-realtime"]


def test_a_read_of_a_failed_transaction_is_found() -> None:
    assert "aborted read" in kinds_of(
        transaction("a", append(1), outcome=Outcome.FAIL), transaction("b", read(1))
    )


def test_a_read_in_the_middle_of_a_transaction_is_found() -> None:
    assert "intermediate read" in kinds_of(
        transaction("a", append(1), append(2)), transaction("b", read(1))
    )


def test_a_value_that_is_there_twice_is_found() -> None:
    assert "duplicate" in kinds_of(transaction("a", append(1)), transaction("b", read(1, 1)))


def test_a_value_that_nobody_appended_is_found() -> None:
    assert "unknown value" in kinds_of(transaction("a", read(7)))


def test_a_value_that_is_appended_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        kinds_of(transaction("a", append(1)), transaction("b", append(1)))


def test_reads_of_different_orders_are_found() -> None:
    assert "incompatible order" in kinds_of(
        transaction("a", append(1)),
        transaction("b", append(2)),
        transaction("c", read(1, 2)),
        transaction("d", read(2, 1)),
    )


@pytest.mark.parametrize(
    "operations",
    [
        [append(1), read()],
        [append(1), append(2), read(2, 1)],
        [read(9), append(1), read(1)],
        [read(), read(9)],
        [read(1), append(1)],
    ],
    ids=["own missing", "own in another order", "others gone", "not repeatable", "from later"],
)
def test_a_transaction_that_contradicts_itself_is_found(operations: list[Append | Read]) -> None:
    assert "internal" in kinds_of(transaction("z", append(9)), transaction("a", *operations))


# -- cycles --------------------------------------------------------------------------------


def test_two_that_overwrote_each_other_are_g0() -> None:
    assert kinds_of(
        transaction("a", append(1), append(1, "y")),
        transaction("b", append(2), append(2, "y")),
        transaction("last", read(1, 2), read(2, 1, key="y")),
    ) == ["G0"]


def test_two_that_saw_each_other_are_g1c() -> None:
    found = anomalies_of(
        [
            transaction("a", append(1), read(1, key="y")),
            transaction("b", append(1, "y"), read(1)),
        ]
    )

    assert [each.kind for each in found] == ["G1c"]
    assert set(found[0].transactions) == {"a", "b"}
    assert found[0].what in ("a -wr-> b -wr-> a", "b -wr-> a -wr-> b")


def test_a_read_of_half_a_transaction_is_g_single() -> None:
    found = anomalies_of(
        [
            transaction("a", append(1), append(1, "y")),
            transaction("b", read(1), read(key="y")),
            transaction("last", read(1), read(1, key="y")),
        ]
    )

    assert [str(each) for each in found] == ["G-single: b -rw-> a -wr-> b"]


def test_half_of_an_unknown_transaction_is_g_single() -> None:
    assert kinds_of(
        transaction("a", append(1), append(1, "y"), outcome=Outcome.UNKNOWN),
        transaction("last", read(1), read(key="y")),
    ) == ["G-single"]


def test_write_skew_is_g2() -> None:
    assert kinds_of(
        transaction("a", read(), append(1, "y")),
        transaction("b", read(key="y"), append(1)),
        transaction("last", read(1), read(1, key="y")),
    ) == ["G2"]


def test_the_anomaly_of_a_read_only_transaction_is_g2() -> None:
    """Fekete, O'Neil and O'Neil 2004: without the report, all would be well."""
    report_ = transaction("report", read(), read(1, key="y"))
    others = [
        transaction("deposit", append(1, "y")),
        transaction("withdraw", read(key="y"), append(1)),
        transaction("last", read(1), read(1, key="y")),
    ]

    assert kinds_of(*others) == []
    assert kinds_of(report_, *others) == ["G2"]


def test_a_lost_update_is_a_cycle_even_if_nobody_was_acknowledged_in_time() -> None:
    assert "G-single" in kinds_of(
        transaction("a", read(), append(1)),
        transaction("b", read(), append(2)),
        transaction("last", read(1, 2)),
    )


def test_each_group_of_transactions_is_reported_by_itself() -> None:
    found = kinds_of(
        transaction("a", append(1), read(1, key="y")),
        transaction("b", append(1, "y"), read(1)),
        transaction("c", read(key="v"), append(1, "w")),
        transaction("d", read(key="w"), append(1, "v")),
        transaction("last", read(1, key="v"), read(1, key="w")),
    )

    assert sorted(found) == ["G1c", "G2"]


# -- real time -----------------------------------------------------------------------------

EARLY_READ = [
    transaction("a", append(1), start=0, end=1),
    transaction("b", read(), start=2, end=3),
    transaction("c", read(1), start=4, end=5),
]


def test_a_read_that_came_too_early_is_found_by_time() -> None:
    found = anomalies_of(EARLY_READ)

    assert [str(each) for each in found] == ["G-single-realtime: b -rw-> a -rt-> b"]


def test_without_real_time_it_may_be_early() -> None:
    assert kinds_of(*EARLY_READ, real_time=False) == []


def test_those_that_overlap_may_come_in_any_order() -> None:
    first, second, third = EARLY_READ

    assert kinds_of(replace(first, end=2.5), second, third) == []


def test_an_unknown_transaction_may_come_at_any_time_after_it_began() -> None:
    first, second, third = EARLY_READ

    assert kinds_of(replace(first, outcome=Outcome.UNKNOWN, end=float("inf")), second, third) == []
    assert "G1c-realtime" in kinds_of(
        replace(first, outcome=Outcome.UNKNOWN, start=6.0, end=float("inf")), second, third
    )


# -- the report ----------------------------------------------------------------------------


def test_a_report_shows_the_first_of_each_kind_and_counts_the_rest() -> None:
    found = [Anomaly("duplicate", (f"t{n}",), f"t{n} read x = [1, 1]") for n in range(5)]
    found.append(Anomaly("G0", ("a", "b"), "a -ww-> b -ww-> a"))

    assert report(found, most=2).splitlines() == [
        "6 anomalies",
        "duplicate: t0 read x = [1, 1]",
        "duplicate: t1 read x = [1, 1]",
        "duplicate: 3 more",
        "G0: a -ww-> b -ww-> a",
    ]


def test_of_a_long_list_a_report_shows_both_ends() -> None:
    [found, *_] = anomalies_of([transaction("a", read(*range(99)))])

    assert found.what.startswith("a read x = [0, 1, 2, 3, ... 95, 96, 97, 98], ")
