"""A contract that cannot fail is worthless: each of these adapters breaks one of its promises."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import pytest

from domain import Person
from domain.errors import Deadlock
from infrastructure.database import BaseRepository, Database, Model
from infrastructure.database.models.outbox_message import OutboxMessage
from infrastructure.database.models.person import PersonModel
from infrastructure.database.models.team import TeamModel
from infrastructure.database.outbox import SqlOutbox
from infrastructure.database.repositories.team import SqlTeamRepository
from infrastructure.database.unit_of_work import UnitOfWork
from infrastructure.testing.contracts import RepositoryContract, UnitOfWorkContract
from infrastructure.testing.contracts.publishing import ODD, TOO_BIG
from infrastructure.testing.contracts.sql_recording import SqlRecordingContract
from infrastructure.testing.memory import BaseInMemoryUnitOfWork, InMemoryStore
from infrastructure.testing.memory.unit_of_work import InMemoryUnitOfWork
from tests.testing import broken_publishing, broken_repositories, broken_units
from tests.testing.people import People, units, units_in_memory

FAULTS: dict[str, Any] = {
    # -- finding ---------------------------------------------------------------------------
    "IgnoresLimit": "test_limits_beyond_the_end_and_at_nothing",
    "TakesZeroForNoLimit": "test_limits_beyond_the_end_and_at_nothing",
    "IgnoresOffset": "test_limit_and_offset_take_a_part_of_the_order",
    "TakesNegativeForNoLimit": ("test_what_is_no_whole_number_from_0_is_no_limit", "limit"),
    "SortsNoneFirst": "test_none_is_the_greatest_value",
    "IgnoresOrder": "test_first_is_the_first_in_the_order",
    "IgnoresUnknownFields": ("test_an_unknown_field_in_criteria_is_refused", "get_all"),
    "FindsNothingForUnknownFields": ("test_an_unknown_field_in_criteria_is_refused", "count"),
    "IgnoresUnknownOrders": "test_an_unknown_field_in_an_order_is_refused",
    "CountsEverything": "test_count_and_exists_go_by_the_criteria",
    "FindsThatAnyExists": "test_count_and_exists_go_by_the_criteria",
    "JoinsCriteriaByOr": "test_several_criteria_must_all_be_satisfied",
    "TakesTheFirstOfMany": "test_one_of_many_is_refused",
    "RequiresNothing": "test_what_is_required_must_be_there",
    "DoesNotSayWhichIdIsMissing": "test_what_is_required_must_be_there",
    "NamesTheTable": "test_what_is_required_must_be_there",
    "LosesIdentity": "test_an_entity_is_one_object_within_a_unit",
    "SharesObjects": "test_each_unit_gives_an_object_of_its_own",
    "TracksNothing": "test_changes_of_loaded_entities_are_stored_at_commit_and_only_then",
    "KnowsTwoTruths": (
        "test_a_comparison_with_none_is_unknown_and_so_is_its_opposite",
        "==",
    ),
    "TakesNoneForUnequal": (
        "test_a_comparison_with_none_is_unknown_and_so_is_its_opposite",
        "!=",
    ),
    "LeavesTheEndsOut": "test_between_includes_both_ends",
    "TakesNoValuesForAll": "test_in_no_values_is_nothing_and_its_opposite_everything",
    "AlwaysIgnoresCase": "test_case_matters_unless_it_is_ignored",
    "KnowsWildcards": "test_there_are_no_wildcards",
    # -- writing ---------------------------------------------------------------------------
    "GivesNoId": "test_a_created_entity_has_its_id_at_once_and_so_has_the_original",
    "ForgetsTheOriginal": "test_a_created_entity_has_its_id_at_once_and_so_has_the_original",
    "LosesChangesOfTheOriginal": (
        "test_a_changed_original_is_refused_because_its_change_would_be_lost"
    ),
    "StoresSomeOfMany": "test_an_invalid_one_among_many_stores_none_and_leaves_the_unit_usable",
    "ReturnsManyInAnotherOrder": "test_many_come_back_in_the_order_given",
    "DoesNotSayWhatIsTaken": "test_a_unique_key_that_is_taken_is_refused_naming_its_fields",
    "DeletesWhatIsMissing": "test_what_is_not_there_cannot_be_deleted",
    "DeletesNothing": ("test_what_is_deleted_is_gone", "id"),
    "DeletesOldVersions": "test_an_entity_that_was_changed_meanwhile_is_not_deleted",
    "ForgetsWhatAnUpdateTells": ("test_an_update_publishes_what_a_detached_entity_had_recorded"),
    "GoesOnAfterAFailure": "test_a_failed_unit_refuses_everything_until_rollback",
    # -- units -----------------------------------------------------------------------------
    "KeepsWhatIsRolledBack": "test_commit_and_rollback_may_be_called_again_and_again",
    "StoresWithoutCommit": "test_leaving_without_commit_stores_nothing_and_warns",
    "NeverWarns": "test_leaving_without_commit_stores_nothing_and_warns",
    "WarnsWhateverHappened": "test_there_is_no_warning_where_nothing_is_lost",
    "SwallowsExceptions": ("test_an_exception_rolls_back_and_goes_on_unchanged", KeyError),
    "ReplacesExceptions": ("test_an_exception_rolls_back_and_goes_on_unchanged", KeyError),
    "StoresInspiteOfAnException": ("test_an_exception_rolls_back_and_goes_on_unchanged", KeyError),
    "WritesWhereItOnlyReads": "test_a_unit_that_only_reads_refuses_to_write_and_goes_on",
    "MayBeEnteredTwice": "test_entering_twice_is_refused_and_harms_nothing",
    "MayBeUsedAfterLeaving": "test_use_after_leaving_is_refused",
    "KeepsSettledChangesToItself": "test_a_change_of_a_settled_entity_is_refused_not_lost",
    "UndoesEverythingAtASavepoint": "test_an_exception_undoes_the_part_of_its_savepoint_alone",
    "UndoesNothingAtASavepoint": "test_an_exception_undoes_the_part_of_its_savepoint_alone",
    "CommitsAtASavepoint": "test_what_a_savepoint_kept_is_lost_with_the_unit",
    "KeepsHooksOfASavepoint": "test_hooks_of_a_savepoint_go_with_it_and_wait_for_the_commit",
    "RunsHooksAtOnce": "test_hooks_are_called_after_the_commit_once_and_in_order",
    "RunsHooksAtASavepoint": "test_hooks_of_a_savepoint_go_with_it_and_wait_for_the_commit",
    "RunsHooksBackwards": "test_hooks_are_called_after_the_commit_once_and_in_order",
    "RunsHooksAgain": "test_hooks_are_called_after_the_commit_once_and_in_order",
    "KeepsHooksOfARollback": "test_hooks_of_what_is_not_stored_are_dropped",
    "StopsAtTheFirstHookThatFails": (
        "test_all_hooks_are_called_though_some_fail_and_one_error_carries_the_failures"
    ),
    "RunsOnlyOnce": (
        "test_the_whole_unit_is_run_again_if_another_came_between",
        Deadlock,
    ),
    "RunsAgainWhateverHappened": "test_an_exception_stores_nothing_and_goes_on_unchanged",
    "RunsAgainWithoutBound": "test_attempts_bound_it",
    "RunsInsideAnOpenUnit": "test_run_inside_an_open_unit_is_refused",
    "RunsWhatIsDoneTooLate": "test_work_that_would_be_done_too_late_is_refused",
    "RunsWithoutCommit": "test_run_commits_and_returns_what_the_work_returned",
    "RunsInTheSameUnit": (
        "test_the_whole_unit_is_run_again_if_another_came_between",
        Deadlock,
    ),
    # -- what is published -----------------------------------------------------------------
    "PublishesAtOnce": "test_what_is_not_committed_is_not_published",
    "PublishesAtTheFlush": "test_recording_without_commit_publishes_nothing_and_warns",
    "PublishesWhatIsUndone": "test_an_undone_savepoint_takes_its_part_along_and_nothing_else",
    "PublishesWhatIsRolledBack": "test_what_is_not_committed_is_not_published",
    "PublishesAgain": "test_what_is_published_leaves_with_its_commit_once_and_in_order",
    "PublishesThoughTheCommitFailed": "test_a_commit_that_fails_publishes_nothing",
    "PublishesAllAttempts": (
        "test_each_attempt_of_run_publishes_anew_and_only_the_last_one_counts"
    ),
    "DropsEverythingAtASavepoint": (
        "test_an_undone_savepoint_takes_its_part_along_and_nothing_else"
    ),
    "DropsWhatASavepointKept": "test_an_undone_savepoint_takes_its_part_along_and_nothing_else",
    "PublishesInTheOrderOfWriting": (
        "test_many_entities_publish_in_the_order_in_which_they_recorded"
    ),
    "PublishesWhatWasSaidByTheUnitLast": (
        "test_many_entities_publish_in_the_order_in_which_they_recorded"
    ),
    "PublishesAnything": (
        "test_what_is_no_event_is_refused_at_once_and_the_unit_goes_on",
        "one that can be changed",
    ),
    "PublishesWhereItOnlyReads": "test_a_unit_that_only_reads_refuses_to_publish_and_goes_on",
    "PublishesOutsideItsBlock": "test_use_before_entering_is_refused",
    "DropsWhatHasNoJson": ("test_an_event_that_can_be_no_message_fails_the_commit", ODD, "thing"),
    "DropsWhatIsTooBig": (
        "test_an_event_that_can_be_no_message_fails_the_commit",
        TOO_BIG,
        "payload",
    ),
    "StoresWhatCannotBeToldOf": (
        "test_an_event_that_can_be_no_message_fails_the_commit",
        ODD,
        "thing",
    ),
    "GoesOnAfterAnUnfitEvent": (
        "test_an_event_that_can_be_no_message_fails_the_commit",
        ODD,
        "thing",
    ),
    "WakesNobody": "test_those_who_wait_for_messages_are_woken_after_a_commit_that_has_some",
    "WakesInsideTheTransaction": (
        "test_whoever_is_woken_may_open_a_unit_and_finds_what_was_committed"
    ),
    "WakesForNothing": "test_those_who_wait_for_messages_are_woken_after_a_commit_that_has_some",
    # -- what entities record --------------------------------------------------------------
    "ForgetsWhatOnlyRecords": ("test_an_entity_that_only_records_publishes_too_and_is_not_changed"),
    "WarnsOfNoEvent": "test_recording_without_commit_publishes_nothing_and_warns",
    "CopiesWhatWasRecorded": "test_what_a_new_entity_has_recorded_is_published_with_it",
    "LosesWhatWasRecorded": "test_what_a_new_entity_has_recorded_is_published_with_it",
    "GivesNothingBack": "test_a_rollback_gives_a_new_entity_its_events_back",
    "GivesNothingBackAfterASavepoint": (
        "test_an_undone_savepoint_gives_a_new_entity_its_events_back"
    ),
    "GivesBackWhatWasRecordedLater": (
        "test_a_unit_that_is_run_again_publishes_what_a_new_entity_had_recorded_once"
    ),
    "KeepsWhatIsRecordedInASavepoint": (
        "test_an_undone_savepoint_undoes_what_was_recorded_within_alone"
    ),
    "CallsFunctionsAtOnce": (
        "test_a_function_is_called_once_with_what_is_stored_when_its_id_is_known"
    ),
    "CallsFunctionsTwice": (
        "test_a_function_is_called_once_with_what_is_stored_when_its_id_is_known"
    ),
    "IgnoresWhatFunctionsGive": "test_a_function_that_fails_stores_and_publishes_nothing",
    "IgnoresWhatIsRecordedTooLate": "test_a_settled_entity_that_records_is_refused_not_lost",
    "IgnoresWhatOriginalsRecord": (
        "test_what_an_original_records_afterwards_is_refused_because_it_would_be_lost"
    ),
    "ForgetsWhatIsDeleted": "test_what_is_deleted_publishes_what_it_had_recorded",
    "PublishesForReaders": "test_what_is_recorded_in_a_unit_that_only_reads_is_not_published",
}
"""Each broken adapter, and a test that finds it out, with its parameter."""


BROKEN: dict[str, Any] = {
    name: kind
    for module in (broken_repositories, broken_units, broken_publishing)
    for name, kind in vars(module).items()
    if inspect.isclass(kind) and kind.__module__ == module.__name__
    if name not in ("Understands", "Runs", "Publishes")  # what others derive from
}


class Suite(
    People,
    RepositoryContract[Person],
    UnitOfWorkContract[Person],
    SqlRecordingContract[Person],
):
    """What each adapter is held to. Its tests are called here, one by one."""

    __test__ = False


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    with Database("sqlite://") as database:
        Model.metadata.create_all(
            database.engine,
            tables=[TeamModel.__table__, PersonModel.__table__, OutboxMessage.__table__],
        )
        yield database


def hold(database: Database, kind: type[Any], fault: str) -> None:
    """Call the test of the contract that finds this fault."""
    test, *parameters = FAULTS[fault] if isinstance(FAULTS[fault], tuple) else [FAULTS[fault]]
    suite, store = Suite(), InMemoryStore()
    if issubclass(kind, BaseInMemoryUnitOfWork):
        using = suite.using(units_in_memory(store, kind), store.outbox)
    else:
        using = suite.using(units(database, kind), SqlOutbox(database))
    with using:
        getattr(suite, test)(*parameters)


def unit_with(adapter: type[Any]) -> type[Any]:
    """A unit of work with this repository; a unit is one already."""
    if not issubclass(adapter, BaseRepository):
        return adapter
    annotations = {"people": adapter, "teams": SqlTeamRepository}
    return type("Unit", (UnitOfWork,), {"__annotations__": annotations})


@pytest.mark.filterwarnings("ignore::domain.errors.UncommittedChangesWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_test_of_the_contract_finds_the_fault(database: Database, fault: str) -> None:
    in_memory = issubclass(BROKEN[fault], BaseInMemoryUnitOfWork)
    right = InMemoryUnitOfWork if in_memory else UnitOfWork
    hold(database, right, fault)  # what is not broken passes

    with pytest.raises((Exception, pytest.fail.Exception)) as caught:
        hold(database, unit_with(BROKEN[fault]), fault)
    assert not isinstance(caught.value, AttributeError | NameError | TypeError), "broken too much"


def test_every_broken_adapter_is_found_out() -> None:
    assert BROKEN.keys() == FAULTS.keys()
