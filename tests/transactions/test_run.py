"""``run()``: a whole unit, again if another transaction came in between."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from domain.errors import (
    AfterCommitError,
    CheckViolation,
    CommitOutcomeUnknown,
    ConcurrencyConflict,
    DatabaseUnavailable,
    Deadlock,
    EntityNotFound,
    KitError,
    LockTimeout,
    ReadOnlyViolation,
    SerializationFailure,
    TransientError,
    UniqueViolation,
    UnitOfWorkError,
    ValidationError,
)
from infrastructure.database import BaseUnitOfWork, Database
from infrastructure.database.dialects import RUN_AGAIN
from infrastructure.database.dialects.failures import FAILURES
from tests.conftest import MakeDatabase
from tests.transactions.accounts import (
    TABLES,
    FailsAtFirst,
    TxAccount,
    TxEntry,
    TxSheet,
    assert_whole,
    balance_of,
    in_threads,
    names_in,
    open_accounts,
)

Unit = BaseUnitOfWork


@pytest.fixture
def tables() -> list[Any]:
    return TABLES


def test_run_commits_and_returns_what_the_work_returned(database: Database) -> None:
    def work(uow: Unit) -> TxEntry:
        return uow.repository(TxEntry).create(TxEntry(name="a"))

    entry = BaseUnitOfWork(database).run(work)

    assert entry.name == "a"
    assert names_in(database) == ["a"]
    assert_whole(database)


@pytest.mark.parametrize("kind", RUN_AGAIN, ids=lambda kind: kind.__name__)
def test_a_whole_unit_is_run_again_after_an_error_that_may_go_away(
    database: Database, kind: type[KitError]
) -> None:
    work = FailsAtFirst(kind("entity"), times=3)

    assert BaseUnitOfWork(database).run(work) == 4
    assert names_in(database) == ["attempt 4"]


OTHERS: list[BaseException] = [
    AfterCommitError([ValueError()]),
    CheckViolation("Person"),
    CommitOutcomeUnknown("?"),
    DatabaseUnavailable("gone"),
    EntityNotFound("Person", 1),
    ReadOnlyViolation("no"),
    TransientError("a timeout"),
    UniqueViolation("Person"),
    UnitOfWorkError("misuse"),
    ValidationError("Person", {}),
    ValueError("the work's own"),
    KeyboardInterrupt(),
]


@pytest.mark.parametrize("error", OTHERS, ids=lambda error: type(error).__name__)
def test_nothing_else_is_run_again(database: Database, error: BaseException) -> None:
    work = FailsAtFirst(error, times=1)

    with pytest.raises(type(error)) as caught:
        BaseUnitOfWork(database).run(work)

    assert caught.value is error
    assert work.calls == 1
    assert names_in(database) == []
    assert_whole(database)


def test_the_table_says_the_same_of_an_error_wherever_it_comes_from() -> None:
    """What is run again is decided by the kind of an error: one kind, one answer."""
    again = {failure.error for failure in FAILURES.values() if failure.again}
    never = {failure.error for failure in FAILURES.values() if not failure.again}

    assert again == {SerializationFailure, Deadlock, LockTimeout}
    assert {*again, ConcurrencyConflict} == set(RUN_AGAIN)
    assert not again & never
    assert all(failure.why for failure in FAILURES.values())
    assert not any(issubclass(kind, RUN_AGAIN) for kind in never)


def test_each_attempt_sees_the_database_anew(database: Database) -> None:
    open_accounts(database, 1, balance=10)
    seen: list[int] = []

    def work(uow: Unit) -> None:
        account = uow.repository(TxAccount).require(1)
        seen.append(account.balance)
        account.balance += 1
        uow.session.flush()
        if len(seen) < 3:
            raise SerializationFailure("again")

    BaseUnitOfWork(database).run(work)

    assert seen == [10, 10, 10]
    assert balance_of(database) == 11


def test_attempts_bound_it(database: Database) -> None:
    work = FailsAtFirst(Deadlock("a deadlock"), times=9)

    with pytest.raises(Deadlock) as caught:
        BaseUnitOfWork(database).run(work, attempts=4)

    assert work.calls == 4
    assert "gave up after 4 attempts" in caught.value.__notes__[0]
    assert pickle.loads(pickle.dumps(caught.value)).__notes__ == caught.value.__notes__
    assert names_in(database) == []


def test_one_attempt_is_no_retry(database: Database) -> None:
    work = FailsAtFirst(Deadlock("a deadlock"), times=1)

    with pytest.raises(Deadlock):
        BaseUnitOfWork(database).run(work, attempts=1)

    assert work.calls == 1


def test_time_bounds_it(database: Database) -> None:
    work = FailsAtFirst(LockTimeout("a lock"), times=25)
    began = time.monotonic()

    with pytest.raises(LockTimeout):
        BaseUnitOfWork(database).run(work, timeout=0.5)

    assert 0.5 <= time.monotonic() - began < 2
    assert work.calls > 2


def test_attempts_keep_a_distance_that_grows_and_varies(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("infrastructure.database.clock.time.sleep", pauses.append)

    BaseUnitOfWork(database).run(FailsAtFirst(Deadlock("again"), times=60))

    assert len(pauses) == 60
    assert all(pause <= 0.01 * 2**number for number, pause in enumerate(pauses))
    assert max(pauses) <= 0.5
    assert min(pauses[10:]) < 0.1 < 0.25 < max(pauses[10:])


@pytest.mark.parametrize("attempts", [0, -1, 1.5, True, "3"])
def test_a_wrong_number_of_attempts_is_refused(database: Database, attempts: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        BaseUnitOfWork(database).run(FailsAtFirst(ValueError(), 0), attempts=attempts)

    assert set(caught.value.errors) == {"attempts"}


@pytest.mark.parametrize("timeout", [0, -1, float("inf"), float("nan"), None, "1", True])
def test_a_wrong_timeout_is_refused(database: Database, timeout: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        BaseUnitOfWork(database).run(FailsAtFirst(ValueError(), 0), timeout=timeout)

    assert set(caught.value.errors) == {"timeout"}


# -- what is done cannot be done again -----------------------------------------------------


def test_what_the_work_committed_itself_is_never_run_again(database: Database) -> None:
    calls: list[int] = []

    def work(uow: Unit) -> None:
        calls.append(1)
        uow.repository(TxEntry).create(TxEntry(name="kept"))
        uow.commit()
        raise SerializationFailure("too late")

    with pytest.raises(SerializationFailure):
        BaseUnitOfWork(database).run(work)

    assert calls == [1]
    assert names_in(database) == ["kept"]


def test_work_may_commit_as_its_last_act_and_is_still_run_again_before(database: Database) -> None:
    calls: list[int] = []

    def work(uow: Unit) -> None:
        calls.append(1)
        uow.repository(TxEntry).create(TxEntry(name="once"))
        if len(calls) < 3:
            raise ConcurrencyConflict("Person")
        uow.commit()

    BaseUnitOfWork(database).run(work)

    assert names_in(database) == ["once"]


def test_nothing_is_run_again_after_a_hook_failed(database: Database) -> None:
    calls: list[int] = []

    def hook() -> None:
        raise SerializationFailure("of another system")

    def work(uow: Unit) -> None:
        calls.append(1)
        uow.repository(TxEntry).create(TxEntry(name="stored"))
        uow.after_commit(hook)

    with pytest.raises(AfterCommitError):
        BaseUnitOfWork(database).run(work)

    assert calls == [1]
    assert names_in(database) == ["stored"]


def test_hooks_of_attempts_that_failed_are_forgotten(database: Database) -> None:
    told: list[int] = []
    calls: list[int] = []

    def work(uow: Unit) -> None:
        calls.append(1)
        number = len(calls)
        uow.after_commit(lambda: told.append(number))
        if number < 3:
            raise Deadlock("again")

    BaseUnitOfWork(database).run(work)

    assert told == [3]


def test_a_failure_that_the_work_swallowed_is_what_counts(shared_database: Database) -> None:
    """The unit has failed, whatever the work made of the error; commit() is refused for it."""
    calls: list[int] = []

    def work(uow: Unit) -> int:
        calls.append(1)
        if len(calls) < 3:
            uow.session.fail(Deadlock("swallowed"))
        uow.repository(TxEntry).count()
        return len(calls)

    assert BaseUnitOfWork(shared_database).run(work) == 3


def test_read_only_settings_hold_for_each_attempt(database: Database) -> None:
    calls: list[int] = []

    def work(uow: Unit) -> None:
        calls.append(1)
        if len(calls) == 1:
            raise Deadlock("again")
        uow.repository(TxEntry).create(TxEntry(name="never"))

    with pytest.raises(ReadOnlyViolation):
        BaseUnitOfWork(database, read_only=True).run(work)

    assert len(calls) == 2


class Shop(BaseUnitOfWork):
    """A unit with arguments of its own."""

    def __init__(self, tenant: str, database: Database) -> None:
        super().__init__(database, isolation_level="SERIALIZABLE")
        self.tenant = tenant


def test_a_subclass_with_a_constructor_of_its_own_is_run_as_it_is(database: Database) -> None:
    def work(uow: Shop) -> tuple[str, str]:
        uow.repository(TxEntry).create(TxEntry(name=uow.tenant))
        level = text("SHOW transaction_isolation")
        on_server = uow.session.bind.dialect.name == "postgresql"  # type: ignore[union-attr]
        return uow.tenant, uow.session.scalar(level) if on_server else "serializable"

    assert Shop("acme", database).run(work) == ("acme", "serializable")
    assert names_in(database) == ["acme"]


def test_conflicts_of_versions_are_run_again(database: Database) -> None:
    open_accounts(database, 1)

    def add(uow: Unit) -> None:
        uow.repository(TxSheet).require(1).value += 1

    def work(_: int) -> None:
        for _ in range(5):
            BaseUnitOfWork(database).run(add)

    in_threads(8, work)

    with BaseUnitOfWork(database, read_only=True) as uow:
        assert uow.repository(TxSheet).require(1).value == 40
        assert uow.repository(TxSheet).require(1).version == 41


@pytest.mark.postgresql
def test_deadlocks_are_run_again(postgresql_url: str, make_database: MakeDatabase) -> None:
    database = make_database(postgresql_url)
    open_accounts(database, 2, balance=100)

    def work(number: int) -> None:
        first, second = (1, 2) if number else (2, 1)

        def move(uow: Unit) -> None:
            uow.session.exec(text("SET LOCAL deadlock_timeout = '20ms'"))  # type: ignore[call-overload]
            uow.repository(TxAccount).require(first, for_update=True).balance -= 1
            time.sleep(0.01)
            uow.repository(TxAccount).require(second, for_update=True).balance += 1

        for _ in range(10):
            BaseUnitOfWork(database).run(move)

    in_threads(2, work)

    assert (balance_of(database, 1), balance_of(database, 2)) == (100, 100)


def test_a_lock_that_is_not_granted_in_time_is_asked_for_again(
    shared_url: str, make_database: MakeDatabase
) -> None:
    database = make_database(shared_url, lock_timeout=0.05)
    open_accounts(database, 1)
    tried: list[int] = []

    def add(uow: Unit) -> None:
        tried.append(1)
        uow.repository(TxAccount).require(1, for_update=True).balance += 1

    with BaseUnitOfWork(database) as holder:
        holder.repository(TxAccount).require(1, for_update=True).balance += 10
        holder.session.flush()
        in_threads(1, lambda _: expect_lock_timeout(database, add))
        holder.commit()
    BaseUnitOfWork(database).run(add)

    assert len(tried) > 3
    assert balance_of(database) == 11


def expect_lock_timeout(database: Database, work: Callable[[Unit], None]) -> None:
    with pytest.raises(LockTimeout):
        BaseUnitOfWork(database).run(work, timeout=0.6)
