"""A contract that cannot fail is worthless: each of these caches breaks one of its promises."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from infrastructure.cache import TTLCache
from infrastructure.testing import CacheContract
from infrastructure.testing.contracts import threads
from tests.cache import broken_caches
from tests.cache.clocks import Clock

FAULTS: dict[str, Any] = {
    # -- keeping ---------------------------------------------------------------------------
    "NeverExpires": "test_a_value_is_gone_after_its_time",
    "HasOneTimeToLive": "test_a_value_is_gone_after_its_time",
    "SharesValues": "test_values_are_nobody_elses",
    "SharesLoadedValues": "test_a_loaded_value_belongs_to_the_caller_alone",
    "ForgetsNone": "test_none_is_a_value",
    "KeepsTagsOfWhatWasReplaced": "test_a_value_takes_the_place_of_another",
    # -- invalidating ----------------------------------------------------------------------
    "IgnoresSince": ("test_what_was_read_before_an_invalidation_is_not_kept", "tag"),
    "SaysThatItIsKept": ("test_what_was_read_before_an_invalidation_is_not_kept", "key"),
    "StoresWhatWasReadBeforeItsKeyWasDiscarded": (
        "test_what_was_read_before_an_invalidation_is_not_kept",
        "key",
    ),
    "StoresWhatWasReadBeforeItsTagWasInvalidated": (
        "test_what_was_read_before_an_invalidation_is_not_kept",
        "tag",
    ),
    "StoresWhatWasReadBeforeItWasCleared": (
        "test_what_was_read_before_an_invalidation_is_not_kept",
        "all",
    ),
    "RefusesAfterAnyInvalidation": "test_what_has_nothing_to_do_with_an_invalidation_is_kept",
    "KeepsWhatWasInvalidatedDuringTheLoad": ("test_an_invalidation_during_a_load_wins", "tag"),
    "LetsLatecomersWaitForWhatIsStale": (
        "test_who_comes_after_an_invalidation_does_not_get_what_was_read_before",
        "tag",
    ),
    "InvalidatesEverythingWithATag": ("test_a_tag_takes_with_it_all_that_has_it_and_nothing_else"),
    "IgnoresTagsOfLoads": "test_a_tag_takes_with_it_all_that_has_it_and_nothing_else",
    "DiscardsNothing": "test_a_discarded_key_is_gone_and_no_other",
    "ClearsNothing": "test_clear_forgets_everything",
    # -- loading ---------------------------------------------------------------------------
    "LoadsInEveryThread": "test_one_thread_loads_for_all",
    "FailsOneAfterTheOther": "test_a_failing_loader_fails_all_who_wait_once",
    "RaisesOneErrorInAllThreads": "test_a_failing_loader_fails_all_who_wait_once",
    "KeepsFailures": "test_after_a_failure_nothing_is_kept_and_the_next_one_loads",
    "LoadsWhatIsThere": "test_what_is_there_is_not_loaded",
    "LoadsItself": "test_a_loader_that_needs_its_own_key_is_refused",
    # -- refused ---------------------------------------------------------------------------
    "ComplainsOfKeysAfterTheLoad": (
        "test_a_key_that_is_not_hashable_is_refused_before_the_loader_runs",
        ["secret"],
    ),
    "TellsTheKey": (
        "test_a_key_that_is_not_hashable_is_refused_before_the_loader_runs",
        ["secret"],
    ),
    "ComplainsOfTagsAfterTheLoad": (
        "test_a_tag_that_is_not_hashable_is_refused_before_the_loader_runs"
    ),
    "TakesAnyTimeToLive": ("test_a_time_to_live_that_is_none_is_refused", -1),
    "GivesWhatCannotBeCopied": "test_what_cannot_be_copied_is_refused_naming_its_type",
}
"""Each broken cache, and a test that finds it out, with its parameter."""

BROKEN: dict[str, Any] = {
    name: kind
    for name, kind in vars(broken_caches).items()
    if inspect.isclass(kind) and kind.__module__ == broken_caches.__name__
    if name not in ("Ignores", "WithHole")  # what others consist of
}


class Suite(CacheContract):
    """What each cache is held to. Its tests are called here, one by one."""

    __test__ = False

    def __init__(self) -> None:
        self.clock = Clock()

    def advance(self, seconds: float) -> None:
        self.clock.move(seconds)


def hold(kind: type[TTLCache], fault: str) -> None:
    """Call the test of the contract that finds this fault."""
    test, *parameters = FAULTS[fault] if isinstance(FAULTS[fault], tuple) else [FAULTS[fault]]
    suite = Suite()
    getattr(suite, test)(kind(1000, 600, timer=suite.clock), *parameters)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_test_of_the_contract_finds_the_fault(
    fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold(TTLCache, fault)  # what is not broken passes

    monkeypatch.setattr(threads, "PATIENCE", 1)
    with pytest.raises((Exception, pytest.fail.Exception)) as caught:
        hold(BROKEN[fault], fault)
    assert not isinstance(caught.value, AttributeError | NameError | TypeError), "broken too much"


def test_every_broken_cache_is_found_out() -> None:
    assert BROKEN.keys() == FAULTS.keys()
