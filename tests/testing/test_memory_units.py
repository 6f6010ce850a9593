"""Units in memory: their stores, their threads, and their blocks."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from domain import Team
from domain.errors import (
    AfterCommitError,
    ConcurrencyConflict,
    LockTimeout,
    UncommittedChangesWarning,
    UnitOfWorkError,
    ValidationError,
)
from infrastructure.testing.memory import InMemoryStore
from infrastructure.testing.memory.unit_of_work import InMemoryUnitOfWork as Units
from tests.testing.people import Stop, ada


@pytest.fixture
def uow(store: InMemoryStore) -> Units:
    return Units(store)


# -- stores and threads --------------------------------------------------------------------------


def test_a_unit_keeps_what_it_committed(uow: Units) -> None:
    with uow:
        ada(uow)
        uow.commit()
    with uow:
        assert uow.people.count() == 1
    assert Units().store is not uow.store
    with Units() as other:
        assert other.people.count() == 0


def test_a_reader_sees_what_was_committed_when_it_began(store: InMemoryStore) -> None:
    with Units(store, read_only=True) as reader:
        assert reader.people.count() == 0
        with Units(store) as uow:
            ada(uow)
            with Units(store, read_only=True) as other:
                assert other.people.count() == 0
            uow.commit()
        assert reader.people.count() == 0
        reader.commit()
        assert reader.people.count() == 1


def test_a_reader_that_commits_asks_again(uow: Units, store: InMemoryStore) -> None:
    with uow:
        person = ada(uow)
        uow.commit()
    with Units(store, read_only=True) as reader:
        before = reader.people.require(person.id)
        with uow:
            uow.people.require(person.id).name = "Grace"
            uow.commit()
        assert reader.people.require(person.id) is before
        reader.commit()
        assert reader.people.require(person.id).name == "Grace"
        assert before.name == "Ada"


def test_a_second_writing_unit_in_the_same_context_is_refused(store: InMemoryStore) -> None:
    with Units(store) as uow, Units(store) as second:
        ada(uow)
        with pytest.raises(UnitOfWorkError, match="savepoint"):
            second.people.count()
        with Units() as elsewhere:
            assert elsewhere.people.count() == 0
        uow.rollback()


def in_a_thread(work: Callable[[], Any]) -> Any:
    found: list[Any] = []

    def run() -> None:
        try:
            found.append(work())
        except Exception as error:  # noqa: BLE001 -- the test looks at it
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found[0]


def test_another_thread_waits_for_the_writing_unit_and_gives_up() -> None:
    store = InMemoryStore(busy_timeout=0.05)

    def write() -> int:
        with Units(store) as other:
            return other.people.count()

    def read() -> int:
        with Units(store, read_only=True) as other:
            return other.people.count()

    with Units(store) as uow:
        ada(uow)
        assert isinstance(in_a_thread(write), LockTimeout)
        assert in_a_thread(read) == 0
        uow.commit()
        assert in_a_thread(write) == 1


def test_a_unit_is_used_by_one_thread_at_a_time(uow: Units) -> None:
    with uow:
        uow._lock.acquire()
        try:
            assert isinstance(in_a_thread(uow.people.count), UnitOfWorkError)
        finally:
            uow._lock.release()
        assert in_a_thread(uow.people.count) == 0


def test_no_increment_of_many_threads_is_lost(store: InMemoryStore) -> None:
    with Units(store) as uow:
        uow.teams.create(Team(name="a", member_limit=1))
        uow.commit()

    def raise_limit(uow: Units) -> None:
        team = uow.teams.require(1)
        team.member_limit = (team.member_limit or 0) + 1

    def work() -> None:
        for _ in range(25):
            Units(store).run(raise_limit)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Units(store) as uow:
        assert uow.teams.require(1).member_limit == 101


def test_a_wrong_busy_timeout_is_refused() -> None:
    for wrong in (0, -1.0, True, float("inf")):
        with pytest.raises(ValidationError, match="busy_timeout"):
            InMemoryStore(busy_timeout=wrong)


# -- the block -----------------------------------------------------------------------------------


def test_run_commits_and_returns_what_was_returned(store: InMemoryStore) -> None:
    assert Units(store).run(lambda uow: ada(uow).id) == 1
    with Units(store) as uow:
        assert uow.people.count() == 1
        with pytest.raises(UnitOfWorkError, match="run"):
            Units(store).run(lambda uow: uow.people.count())


def test_run_does_a_unit_again_after_a_conflict(store: InMemoryStore) -> None:
    stale = Units(store).run(ada)
    tries: list[int] = []

    def work(uow: Units) -> None:
        tries.append(1)
        if len(tries) == 1:
            raise ConcurrencyConflict("Person", stale.id)
        uow.people.require(stale.id).name = "Grace"

    Units(store).run(work)
    assert len(tries) == 2
    with pytest.raises(ConcurrencyConflict):
        Units(store).run(lambda uow: uow.people.delete(stale), attempts=2)


def test_run_refuses_what_is_run_later(uow: Units) -> None:
    with pytest.raises(UnitOfWorkError, match="generator"):
        uow.run(lambda uow: (person for person in uow.people.get_all()))


def test_all_hooks_run_after_the_commit_in_their_order(uow: Units, store: InMemoryStore) -> None:
    called: list[Any] = []

    def fail() -> None:
        raise Stop

    def look() -> None:
        called.append(Units(store, read_only=True).run(lambda uow: uow.people.count()))

    with uow:
        ada(uow)
        uow.after_commit(lambda: called.append("first"))
        with pytest.raises(Stop), uow.savepoint():
            uow.after_commit(lambda: called.append("undone"))
            raise Stop
        uow.after_commit(fail)
        uow.after_commit(lambda: called.append("last"))
        with pytest.raises(AfterCommitError) as caught:
            uow.commit()
        uow.commit()
    look()
    assert called == ["first", "last", 1]
    assert isinstance(caught.value.errors[0], Stop)


def test_a_warning_names_the_line_of_the_block(uow: Units) -> None:
    with pytest.warns(UncommittedChangesWarning) as caught, uow:
        ada(uow)
    assert caught[0].filename == __file__


def test_a_unit_that_is_thrown_away_lets_others_write() -> None:
    store = InMemoryStore(busy_timeout=0.05)

    def forget() -> None:
        unit = Units(store)
        ada(unit.__enter__())

    with (
        pytest.warns(ResourceWarning, match="thrown away"),
        pytest.warns(UncommittedChangesWarning, match="not stored"),
    ):
        in_a_thread(forget)
    with Units(store) as uow:
        assert uow.people.count() == 0


def test_a_settled_entity_is_not_to_be_changed(uow: Units) -> None:
    with uow:
        person = ada(uow)
        uow.commit()
        person.name = "late"
        with pytest.raises(UnitOfWorkError, match="Person 1"):
            uow.commit()
        person.name = "Ada"
        uow.commit()
    person.name = "nobody's business"
    with uow:
        assert uow.people.one().name == "Ada"


def test_importing_the_mechanism_registers_no_table() -> None:
    code = (
        "import infrastructure.testing.memory\n"
        "from infrastructure.database import Model\n"
        "assert not Model.metadata.tables, Model.metadata.tables"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
