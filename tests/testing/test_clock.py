"""The clock that a test moves, and what goes by the clock of a database."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta, timezone

import pytest

from domain import Team
from domain.errors import Deadlock
from infrastructure.database.models.team import TeamModel
from infrastructure.database.unit_of_work import UnitOfWork
from infrastructure.testing.clock import MovableClock
from infrastructure.testing.sandbox import SandboxDatabase

NOON = datetime(2031, 5, 1, 12, tzinfo=UTC)


def test_it_stands_still_until_it_is_moved() -> None:
    clock = MovableClock(NOON)
    assert clock() == clock() == clock.now == NOON
    clock.move(days=1, hours=2, minutes=3, seconds=4.5)
    assert clock() - NOON == timedelta(days=1, hours=2, minutes=3, seconds=4.5)
    assert clock.monotonic() == 93784.5


def test_who_waits_moves_it() -> None:
    clock = MovableClock(NOON)
    clock.sleep(2)
    clock.sleep(1e-9)
    assert clock() > NOON + timedelta(seconds=2)
    assert clock.monotonic() > 2


def test_another_date_lets_no_time_pass() -> None:
    clock = MovableClock()
    clock.set(datetime(1999, 1, 1, tzinfo=timezone(timedelta(hours=2))))
    assert clock().tzinfo is UTC
    assert clock().year == 1998
    assert clock.monotonic() == 0


def test_what_no_clock_can_show_is_refused() -> None:
    clock = MovableClock(NOON)
    with pytest.raises(ValueError, match="set"):
        clock.move(seconds=-1)
    with pytest.raises(ValueError, match="aware"):
        clock.set(datetime(2030, 1, 1))
    with pytest.raises(ValueError, match="aware"):
        MovableClock(datetime(2030, 1, 1))
    assert clock() == NOON


def test_many_threads_move_it_together() -> None:
    clock = MovableClock(NOON)
    threads = [
        threading.Thread(target=lambda: [clock.sleep(1) for _ in range(200)]) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clock.monotonic() == 1600


def test_timestamps_go_by_it(database: SandboxDatabase, clock: MovableClock) -> None:
    with UnitOfWork(database) as uow:
        row = uow.repository(TeamModel).create(TeamModel(name="Core"))
        assert row.created_at == row.updated_at == clock.now
        clock.move(hours=1)
        row.name = "Kernel"
        uow.commit()
    with UnitOfWork(database) as uow:
        row = uow.repository(TeamModel).one()
        assert (row.updated_at, row.created_at) == (clock.now, clock.now - timedelta(hours=1))


@pytest.mark.parametrize("timeout", [0.3, 30, 60])
def test_attempts_go_by_it(database: SandboxDatabase, clock: MovableClock, timeout: float) -> None:
    began, attempts = clock.monotonic(), []

    def work(uow: UnitOfWork) -> None:
        uow.teams.create(Team(name="Core"))
        attempts.append(uow)
        raise Deadlock("again")

    with pytest.raises(Deadlock, match="again"):
        UnitOfWork(database).run(work, timeout=timeout)
    assert timeout <= clock.monotonic() - began < timeout + 0.01
    assert len(attempts) > 3


def test_a_function_tells_the_date_only(database: SandboxDatabase) -> None:
    before = database.clock
    database.clock = lambda: NOON
    try:
        assert database.clock() == NOON
        assert database.clock.monotonic() > 0
    finally:
        database.clock = before
