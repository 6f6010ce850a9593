"""Relays that are killed at any moment: nothing is lost, invented, or out of order."""

from __future__ import annotations

import multiprocessing
import random
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from infrastructure.database import Database
from infrastructure.database.models.outbox_message import OutboxMessage
from infrastructure.database.outbox import SqlOutbox
from infrastructure.testing.contracts.threads import Threads
from tests.conftest import MakeDatabase
from tests.messaging.doomed import PHASES, Doom, Job, work
from tests.messaging.shop import Shop, Ticked
from tests.messaging.verdicts import WINDOWS, Told, Verdict, judge, read

ROWS = 12
PRODUCERS = 2
BACKLOG = 300
LEASE = 1.0
"""Seconds: nobody can have what a killed relay had, before."""

pytestmark = pytest.mark.timeout(3000)  # hundreds of processes in a soak

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["tests.messaging.doomed"])


@pytest.fixture
def tables() -> list[Any]:
    return [OutboxMessage]


class Producer:
    """Commits and rolls back units, each with some events, until it is stopped."""

    def __init__(self, database: Database, name: str) -> None:
        self._database = database
        self._rows = [f"{name} {number}" for number in range(ROWS // PRODUCERS)]
        self._numbers: Counter[str | None] = Counter()
        self._random = random.Random(name)
        self.committed: list[Told] = []

    def run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            self._unit()
            time.sleep(0.01)
            while len(self.committed) % 10 == 0 and self._is_far_ahead and not stop.is_set():
                time.sleep(0.1)

    @property
    def _is_far_ahead(self) -> bool:
        return SqlOutbox(self._database).status().pending > BACKLOG

    def _unit(self) -> None:
        told = self._next(self._random.randint(1, 4))
        with suppress(ZeroDivisionError), Shop(self._database) as uow:
            if self._random.random() < 0.2:
                self._tell(uow, [(self._rows[0], -1)])
                1 / 0  # and nothing of it was ever true
            self._tell(uow, told)
            uow.commit()
            self._numbers.update(row for row, _ in told)
            self.committed += told

    def _tell(self, uow: Shop, told: list[Told]) -> None:
        for row, number in told:
            uow.publish(Ticked(row=row, number=number))

    def _next(self, count: int) -> list[Told]:
        numbers, told = self._numbers.copy(), list[Told]()
        for _ in range(count):
            row = self._random.choice([*self._rows, None])
            numbers[row] += 1
            told.append((row, numbers[row] if row else self._random.getrandbits(60)))
        return told


class Relays:
    """So many relays at work. One that is killed is replaced, as long as others are to be."""

    def __init__(self, job: Job, dooms: list[Doom]) -> None:
        self._job = job
        self._waiting = deque(dooms)
        self._alive: dict[Any, Doom | None] = {}

    def start(self, count: int) -> None:
        for _ in range(count):
            self._start()

    def _start(self) -> None:
        doom = self._waiting.popleft() if self._waiting else None
        process = _processes.Process(target=work, args=(self._job._replace(doom=doom),))
        process.start()
        self._alive[process] = doom

    @property
    def are_doomed(self) -> bool:
        """Whether one of them is still to be killed."""
        return any(self._alive.values())

    def replace(self) -> None:
        """Those that were killed, by others."""
        for process in [one for one in self._alive if not one.is_alive()]:
            assert process.exitcode == -signal.SIGKILL, "a relay has ended by itself"
            assert self._alive.pop(process), "a relay was killed that was not to be"
            process.close()
            self._start()

    def stop(self) -> None:
        """All of them end as they should."""
        for process in self._alive:
            process.terminate()
        for process in self._alive:
            process.join(30)
            assert process.exitcode == 0, "a relay did not stop"
            process.close()


def until(happens: Callable[[], object], meanwhile: Callable[[], object], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not happens():
        meanwhile()
        time.sleep(0.01)
        assert time.monotonic() < end, "it did not happen"


def run(database: Database, job: Job, dooms: list[Doom], *, relays: int) -> Verdict:
    """Produce, publish and kill, until there is nothing left to be published."""
    outbox, stop = SqlOutbox(database), threading.Event()
    producers = [Producer(database, f"producer {number}") for number in range(PRODUCERS)]
    team = Relays(job, dooms)
    team.start(relays)
    with Threads() as threads:
        workers = [threads.start(lambda one=one: one.run(stop)) for one in producers]
        try:
            begun = time.monotonic()
            until(
                lambda: not team.are_doomed and time.monotonic() > begun + 0.5,
                team.replace,
                len(dooms) * 5 + 20,
            )
        finally:
            stop.set()
    for worker in workers:
        worker.value()
    until(lambda: outbox.status().pending == 0, team.replace, 60)
    team.stop()
    return judge(Path(job.log), [told for one in producers for told in one.committed])


def dooms(times: int) -> list[Doom]:
    """Each phase so often, in any order."""
    chance = random.Random(times)
    found = [Doom(phase, chance.randint(1, 4)) for phase in PHASES for _ in range(times)]
    chance.shuffle(found)
    return found


@pytest.mark.parametrize("relays", [2, 8])
def test_killed_relays_lose_nothing_and_keep_the_order_of_each_key(
    shared_url: str,
    make_database: MakeDatabase,
    tmp_path: Path,
    relays: int,
    soak: bool,
    record_property: Any,
) -> None:
    job = Job(shared_url, str(tmp_path / "log"), LEASE)
    times = 100 if soak else 1
    verdict = run(make_database(shared_url), job, dooms(times), relays=relays)
    assert verdict.is_good, verdict
    assert set(verdict.duplicates) <= set(WINDOWS)
    assert verdict.duplicates, "nobody was killed between"
    record_property("duplicates", dict(verdict.duplicates))


def test_without_a_kill_nothing_comes_twice(
    shared_url: str, make_database: MakeDatabase, tmp_path: Path
) -> None:
    job = Job(shared_url, str(tmp_path / "log"), lease=60)
    verdict = run(make_database(shared_url), job, [], relays=4)
    assert verdict.is_good, verdict
    assert not verdict.duplicates


# -- a test that cannot fail is worthless -------------------------------------------------------

FAULTS = {"settles first": "lost", "forgets keys": "disordered", "forgets to settle": "unexplained"}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_relay_that_breaks_its_promise_is_found_out(
    sqlite_url: str, make_database: MakeDatabase, tmp_path: Path, fault: str
) -> None:
    doomed = [Doom("while publishing", 1)] * 3 if fault == "settles first" else []
    job = Job(sqlite_url, str(tmp_path / "log"), LEASE, fault=fault)
    verdict = run(make_database(sqlite_url), job, doomed, relays=2)
    assert getattr(verdict, FAULTS[fault])


def test_what_was_never_committed_is_found_out_when_it_arrives(
    sqlite_url: str, make_database: MakeDatabase, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    run(make_database(sqlite_url), Job(sqlite_url, str(log), lease=60), [], relays=1)
    told = [arrival.told for arrival in read(log)]
    assert judge(log, told).is_good
    assert judge(log, told[1:]).untrue == {told[0]}
    assert judge(log, [*told, (None, 1)]).lost == {(None, 1)}
