"""Lists that many processes append to, while clients, connections and the server are killed.

What the clients were told must be what some serial execution would have told them,
and nothing that was acknowledged may be missing at the end.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar, get_args

import psycopg
import pytest
from sqlalchemy import make_url

from infrastructure.database import Database
from tests.transactions.histories import Outcome, Read, Transaction, anomalies_of, report
from tests.transactions.link import Cut, Link
from tests.transactions.list_append import (
    STOP,
    TABLES,
    How,
    Lists,
    Order,
    history_of,
    is_busy,
    serve,
    values_of,
)
from tests.transactions.servers import Cluster

PROCESSES = 6

T = TypeVar("T")


class Worker:
    """A process that obeys orders."""

    def __init__(self) -> None:
        spawning = multiprocessing.get_context("spawn")
        self._orders, theirs = spawning.Pipe()
        self._process = spawning.Process(target=serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    def send(self, order: Order) -> None:
        self._orders.send(order)

    def wait_until_done(self) -> None:
        assert self._orders.poll(60), "the worker does not answer"
        self._orders.recv()

    def kill(self) -> None:
        """SIGKILL, in the middle of whatever it does."""
        self._process.kill()
        self._process.join()
        self._orders.close()


class Crew:
    """Workers, each with a log of its own. Whoever is killed is replaced."""

    def __init__(self, workers: list[Worker], url: str, folder: Path, how: How) -> None:
        self._workers, self._url, self._folder, self._how = workers, url, folder, how
        self._logs: list[tuple[int, Path]] = []
        for role in range(PROCESSES):
            self._send(role)

    def __enter__(self) -> Self:
        self._wait(lambda: all(log.stat().st_size for _, log in self._logs))
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:  # they work still, and the next test needs them
            for role in range(PROCESSES):
                self._replace(role)

    def kill_one(self) -> None:
        """In the middle of a transaction."""
        role = random.choice(self._wait(self._busy))
        self._replace(role)
        self._send(role)

    def stop(self) -> list[Transaction]:
        """What all of them did, once each has ended what it had begun."""
        (self._folder / STOP).touch()
        for worker in self._workers:
            worker.wait_until_done()
        return [each for role, log in self._logs for each in history_of(log, role)]

    def _send(self, role: int) -> None:
        number = len(self._logs) + 1
        log = self._folder / f"{number}.log"
        log.touch()
        self._logs.append((role, log))
        self._workers[role].send(Order(self._url, log, number, self._how))

    def _replace(self, role: int) -> None:
        self._workers[role].kill()
        self._workers[role] = Worker()

    def _busy(self) -> list[int]:
        return [role for role, log in dict(self._logs).items() if is_busy(log)]

    def _wait(self, ask: Callable[[], T]) -> T:
        """The answer, once there is one."""
        deadline = time.monotonic() + 60
        while not (answer := ask()):
            assert time.monotonic() < deadline, "the workers do not begin"
            time.sleep(0.02)
        return answer


# -- what goes wrong: a nemesis is let loose round after round, and says what it did -------

Nemesis = Callable[[Crew], list[str]]


def nothing(_: Crew) -> list[str]:
    time.sleep(0.1)
    return []


def kill_clients(crew: Crew) -> list[str]:
    time.sleep(0.7)
    crew.kill_one()
    return ["client killed"]


def cut_commits(link: Link, *kinds: Cut) -> Nemesis:
    """Cut connections at COMMIT, and kill a client now and then."""

    def nemesis(crew: Crew) -> list[str]:
        done: list[str] = []
        for _ in range(50):
            time.sleep(0.02)
            if link.cut is None:
                link.cut = random.choice(kinds)
                done.append(link.cut)
        crew.kill_one()
        link.cut = None  # whoever comes after the last round
        return [*done, "client killed"]

    return nemesis


def break_server(cluster: Cluster) -> Nemesis:
    """Terminate backends all the time; in between kill a client, or the whole server."""
    backends = Backends(cluster.url)
    blows: list[tuple[str, Callable[[Crew], object]]] = [
        ("client killed", Crew.kill_one),
        ("server restarted", lambda _: cluster.restart()),
        ("server crashed", lambda _: cluster.restart("immediate")),
        ("client killed", Crew.kill_one),
        ("backend killed", lambda _: backends.kill()),
    ]

    def nemesis(crew: Crew) -> list[str]:
        done: list[str] = []
        for name, blow in blows:
            for _ in range(8):
                time.sleep(0.04)
                done += ["backend terminated"] * backends.terminate()
            blow(crew)
            done.append(name)
        return done

    return nemesis


def forgetting(url: str) -> str:
    """A server that soon ends transactions of which it does not hear any more."""
    options = {"options": "-cidle_in_transaction_session_timeout=2000"}
    return make_url(url).update_query_dict(options).render_as_string(hide_password=False)


class Backends:
    """Those of one database that serve clients; the ones that work come first."""

    _ALL = (
        "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' "
        "AND datname = current_database() AND pid <> pg_backend_pid() "
        "ORDER BY state = 'idle', random()"
    )
    _ONE = f"{_ALL} LIMIT 1"
    _END = "SELECT count(pg_terminate_backend(pid, 5000)) FROM"

    def __init__(self, url: str) -> None:
        plain = make_url(url).set(drivername="postgresql")
        self._url = plain.render_as_string(hide_password=False)

    def terminate(self) -> int:
        """How many it was: there may be none just now."""
        return int(self._ask(f"{self._END} ({self._ONE}) one"))

    def terminate_all(self) -> None:
        self._ask(f"{self._END} ({self._ALL}) each")

    def kill(self) -> None:
        """SIGKILL; the server ends all the others then, and recovers."""
        while (pid := self._ask(self._ONE)) is None:
            time.sleep(0.02)
        os.kill(pid, signal.SIGKILL)

    def _ask(self, question: str) -> Any:
        deadline = time.monotonic() + 60
        while True:
            try:
                with psycopg.connect(self._url, autocommit=True) as connection:
                    row = connection.execute(question).fetchone()
                    return None if row is None else row[0]
            except psycopg.OperationalError:  # it recovers
                assert time.monotonic() < deadline, "the server does not answer"
                time.sleep(0.02)


# -- a run ---------------------------------------------------------------------------------


class Run(NamedTuple):
    """What the clients were told, and how often each fault happened."""

    history: list[Transaction]
    faults: Counter[str]

    def count(self, outcome: Outcome) -> int:
        return sum(each.outcome is outcome for each in self.history)

    def anomalies(self) -> Counter[str]:
        return Counter(each.kind for each in anomalies_of(self.history))

    def assert_clean(self) -> None:
        found = anomalies_of(self.history)
        assert not found, report(found)


Start = Callable[..., Run]


@pytest.fixture(scope="module")
def workers() -> Iterator[list[Worker]]:
    workers = [Worker() for _ in range(PROCESSES)]
    yield workers
    for worker in workers:
        worker.kill()


@pytest.fixture
def start(workers: list[Worker], tmp_path: Path) -> Start:
    """Lets the workers work for some seconds; the last transaction reads all there is."""

    def run(url: str, seconds: float, how: How = SERIALIZABLE, nemesis: Nemesis = nothing) -> Run:
        create_lists(url)
        faults: Counter[str] = Counter()
        with Crew(workers, url, tmp_path, how) as crew:
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                faults.update(nemesis(crew))
            history = crew.stop()
        if not url.startswith("sqlite"):
            Backends(url).terminate_all()  # some do not know yet that their client is gone
        return Run([*history, last_read(url, history)], faults)

    return run


def create_lists(url: str) -> None:
    tables = [model.__table__ for model in TABLES]
    with Database(url) as database:
        TABLES[0].metadata.drop_all(database.engine, tables=tables)
        TABLES[0].metadata.create_all(database.engine, tables=tables)


def last_read(url: str, history: list[Transaction]) -> Transaction:
    """One transaction that reads all lists, after all others."""
    keys = sorted({operation.key for each in history for operation in each.operations})

    def read(uow: Lists) -> list[Read]:
        return [Read(key, values_of(uow, key)) for key in keys]

    with Database(url) as database:
        begun = time.monotonic()
        reads = Lists(database, isolation_level="SERIALIZABLE").run(read)
    return Transaction("last", PROCESSES, reads, start=begun, end=time.monotonic())


SERIALIZABLE = How()


@pytest.fixture
def seconds(soak: bool) -> float:
    return 75 if soak else 2


# -- what the kit promises -----------------------------------------------------------------


@pytest.mark.timeout(300)
def test_on_sqlite_nothing_is_lost_where_clients_are_killed(
    start: Start, sqlite_url: str, seconds: float
) -> None:
    run = start(sqlite_url, seconds, nemesis=kill_clients)

    run.assert_clean()
    assert run.faults["client killed"] >= 2
    assert run.count(Outcome.UNKNOWN) >= 1
    assert run.count(Outcome.OK) >= 20


@pytest.mark.postgresql
@pytest.mark.timeout(300)
def test_on_postgresql_nothing_is_lost_where_backends_and_the_server_are_killed(
    start: Start, cluster: Cluster, seconds: float
) -> None:
    run = start(cluster.url, seconds, nemesis=break_server(cluster))

    run.assert_clean()
    assert run.faults["backend terminated"] >= 10
    assert run.faults.keys() >= {"server restarted", "server crashed", "backend killed"}
    assert run.faults["client killed"] >= 2
    assert run.count(Outcome.FAIL) >= 5
    assert run.count(Outcome.UNKNOWN) >= 1
    assert run.count(Outcome.OK) >= 20


@pytest.mark.postgresql
@pytest.mark.timeout(300)
def test_on_postgresql_nothing_is_lost_or_done_twice_where_connections_break_at_commit(
    start: Start, link: tuple[Link, str], seconds: float
) -> None:
    broken, url = link
    run = start(forgetting(url), seconds, nemesis=cut_commits(broken, *get_args(Cut)))

    run.assert_clean()
    assert run.faults.keys() >= {*get_args(Cut), "client killed"}
    assert run.count(Outcome.FAIL) >= 5
    assert run.count(Outcome.UNKNOWN) >= 1
    assert run.count(Outcome.OK) >= 10


@pytest.mark.postgresql
def test_a_version_is_enough_for_units_that_change_one_row(
    start: Start, postgresql_url: str
) -> None:
    """At READ COMMITTED, without a lock."""
    versions = ["change a version", "update a version"]
    run = start(postgresql_url, 2, How(isolation="READ COMMITTED", forms=versions, steps=1))

    run.assert_clean()
    assert run.count(Outcome.OK) >= 20


# -- the controls: otherwise the tests above might prove nothing ---------------------------


def test_bare_sessions_on_sqlite_lose_what_was_acknowledged(start: Start, sqlite_url: str) -> None:
    run = start(sqlite_url, 2, How(client="bare", forms=["change"]))

    assert run.anomalies()["lost write"] > 0


@pytest.mark.postgresql
def test_without_version_and_lock_read_committed_loses_what_was_acknowledged(
    start: Start, postgresql_url: str
) -> None:
    run = start(postgresql_url, 2, How(isolation="READ COMMITTED", forms=["change", "update"]))

    assert run.anomalies()["lost write"] > 0


@pytest.mark.postgresql
def test_repeatable_read_allows_write_skew(start: Start, postgresql_url: str) -> None:
    """Nothing is lost, but two change what the other has read."""
    forms = ["change", "change a version"]
    how = How(isolation="REPEATABLE READ", forms=forms, steps=3, pause=0.02)
    run = start(postgresql_url, 4, how)

    assert run.anomalies()["G2"] > 0
    assert run.anomalies()["lost write"] == 0


@pytest.mark.postgresql
def test_who_repeats_after_a_lost_answer_does_it_twice(
    start: Start, link: tuple[Link, str]
) -> None:
    broken, url = link
    run = start(url, 2, How(client="naive", forms=["change"]), cut_commits(broken, "after"))

    assert run.anomalies()["duplicate"] > 0
