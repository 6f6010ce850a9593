"""A service that keeps failing is left alone, and asked again with care."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from domain.errors import (
    BadResponse,
    CircuitOpen,
    ExternalServiceError,
    Rejected,
    ServiceTimeout,
    ServiceUnavailable,
    Throttled,
)
from infrastructure.external_services import ApiClient, BreakerPolicy, RequestPolicy
from infrastructure.external_services.breaker import Breaker, Permit
from infrastructure.testing import NoAnswer, NoConnection, Reply, ScriptedTransport
from tests.cache.clocks import Clock
from tests.external_services.conftest import MakeClient, MakeServer
from tests.external_services.server import Seen, Talk

URL = "https://api.example.com"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def changes() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def breaker(clock: Clock, changes: list[tuple[str, str]]) -> Breaker:
    policy = BreakerPolicy(failures=3, cooldown=10, probes=2)
    tell: Callable[[Any, Any], Any] = lambda *change: changes.append(change)  # noqa: E731
    return Breaker(policy, clock=clock, lease=5, tell=tell)


def permit(breaker: Breaker) -> Permit:
    found = breaker.admit()
    assert isinstance(found, Permit)
    return found


def open_it(breaker: Breaker) -> None:
    for _ in range(3):
        permit(breaker).fail()
    assert breaker.state == "open"


def half_open(breaker: Breaker, clock: Clock) -> Permit:
    open_it(breaker)
    clock.move(10)
    found = permit(breaker)
    assert breaker.state == "half_open"
    return found


def test_failures_in_a_row_open_it(breaker: Breaker, changes: list[tuple[str, str]]) -> None:
    for _ in range(2):
        permit(breaker).fail()
    permit(breaker).succeed()
    for _ in range(2):
        permit(breaker).fail()
    assert breaker.state == "closed"
    permit(breaker).fail()
    assert breaker.state == "open"
    assert changes == [("closed", "open")]


def test_what_says_nothing_does_not_count(breaker: Breaker) -> None:
    for _ in range(2):
        permit(breaker).fail()
    permit(breaker).give_back()
    assert breaker.state == "closed"
    permit(breaker).fail()
    assert breaker.state == "open"


def test_an_open_one_lets_nothing_through_and_says_for_how_long(
    breaker: Breaker, clock: Clock
) -> None:
    open_it(breaker)
    assert breaker.admit() == 10
    clock.move(9.5)
    assert breaker.admit() == 0.5
    clock.move(0.5)
    assert isinstance(breaker.admit(), Permit)


def test_half_open_lets_exactly_the_probes_through(breaker: Breaker, clock: Clock) -> None:
    first = half_open(breaker, clock)
    second = permit(breaker)
    assert not isinstance(breaker.admit(), Permit)
    first.succeed()
    assert breaker.state == "half_open"
    assert not isinstance(breaker.admit(), Permit), "one has succeeded, one is on its way"
    second.succeed()
    assert breaker.state == "closed"
    assert isinstance(breaker.admit(), Permit)


def test_half_open_lets_exactly_the_probes_through_however_many_threads_ask(
    breaker: Breaker, clock: Clock
) -> None:
    for _ in range(50):
        open_it(breaker)
        clock.move(10)
        probes = [one for one in asked_at_once(breaker, 8) if isinstance(one, Permit)]
        assert len(probes) == 2
        for probe in probes:
            probe.succeed()
        assert breaker.state == "closed"


def asked_at_once(breaker: Breaker, threads: int) -> list[Any]:
    gate, admitted = threading.Barrier(threads), list[Any]()

    def ask() -> None:
        gate.wait()
        admitted.append(breaker.admit())

    running = [threading.Thread(target=ask) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return admitted


def test_a_probe_that_fails_opens_it_again(breaker: Breaker, clock: Clock) -> None:
    half_open(breaker, clock).fail()
    assert breaker.state == "open"
    assert breaker.admit() == 10


def test_a_probe_that_is_given_back_is_free_for_another(breaker: Breaker, clock: Clock) -> None:
    first = half_open(breaker, clock)
    second = permit(breaker)
    second.give_back()
    second.give_back()
    third = permit(breaker)
    assert not isinstance(breaker.admit(), Permit)
    first.succeed()
    third.succeed()
    assert breaker.state == "closed"


def test_probes_that_never_report_do_not_wedge_it(breaker: Breaker, clock: Clock) -> None:
    lost = [half_open(breaker, clock), permit(breaker)]
    assert breaker.admit() == 5
    clock.move(5)
    found = [permit(breaker), permit(breaker)]
    assert not isinstance(breaker.admit(), Permit)
    for one in found:
        one.succeed()
    assert breaker.state == "closed"
    for one in lost:
        one.fail()
    assert breaker.state == "closed"


def test_late_results_of_an_earlier_time_do_not_count(breaker: Breaker, clock: Clock) -> None:
    late = [permit(breaker) for _ in range(9)]
    first = half_open(breaker, clock)
    late[0].succeed()
    late[1].fail()
    assert breaker.state == "half_open"
    first.succeed()
    permit(breaker).succeed()
    for one in late[2:]:
        one.fail()
    assert breaker.state == "closed"


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, RuntimeError])
def test_a_thread_that_is_stopped_gives_its_probe_back(error: type[BaseException]) -> None:
    policy = RequestPolicy(attempts=1, breaker=BreakerPolicy(failures=1, cooldown=5))
    stop = [False]

    def auth() -> dict[str, str]:
        if stop[0]:
            raise error
        return {}

    with ScriptedTransport(Reply(500), Reply(json=1)) as service:
        api = ApiClient(URL, policy=policy, auth=auth, transport=service)
        with pytest.raises(ServiceUnavailable):
            api.get("people")
        service.sleep(5)
        stop[0] = True
        with pytest.raises(error):
            api.get("people")
        stop[0] = False
        assert api.get("people", into=int) == 1


# -- in a client -----------------------------------------------------------------------------------


def test_an_open_one_sends_nothing_and_says_so() -> None:
    policy = RequestPolicy(attempts=1, breaker=BreakerPolicy(failures=2, cooldown=30))
    events = [NoConnection(), NoAnswer(), Reply(json=1), Reply(json=2)]
    with ScriptedTransport(*events) as service:
        api = ApiClient(URL, policy=policy, transport=service)
        for kind in (ServiceUnavailable, ServiceTimeout):
            with pytest.raises(kind):
                api.get("people")
        service.sleep(10)
        with pytest.raises(CircuitOpen) as raised:
            api.post("people", json={})
        assert (raised.value.attempts, raised.value.outcome) == (0, "not_executed")
        assert raised.value.retry_after == 20
        assert len(service.requests) == 2
        service.sleep(20)
        assert [api.get("people", into=int) for _ in range(2)] == [1, 2]


@pytest.mark.parametrize(
    ("status", "opens"),
    [(400, False), (404, False), (409, False), (429, False), (500, True), (501, True), (503, True)],
)
def test_what_opens_it(status: int, opens: bool) -> None:
    policy = RequestPolicy(attempts=1, breaker=BreakerPolicy(failures=3))
    with ScriptedTransport(*[Reply(status)] * 3) as service:
        api = ApiClient(URL, policy=policy, transport=service)
        for _ in range(3):
            with pytest.raises((Rejected, ServiceUnavailable, Throttled)):
                api.get("people")
        assert api._up.breaker is not None
        assert (api._up.breaker.state == "open") == opens


def test_an_answer_that_is_too_long_is_a_sign_of_life() -> None:
    policy = RequestPolicy(attempts=1, body_limit=1, breaker=BreakerPolicy(failures=2))
    with ScriptedTransport(*[Reply(json="long")] * 3) as service:
        api = ApiClient(URL, policy=policy, transport=service)
        for _ in range(3):
            with pytest.raises(BadResponse):
                api.get("people")


def test_being_throttled_neither_opens_nor_closes_it() -> None:
    policy = RequestPolicy(attempts=1, breaker=BreakerPolicy(failures=2))
    with ScriptedTransport(Reply(500), Reply(429), Reply(500)) as service:
        api = ApiClient(URL, policy=policy, transport=service)
        for _ in range(3):
            with pytest.raises(ExternalServiceError):
                api.get("people")
        with pytest.raises(CircuitOpen):
            api.get("people")


def test_it_does_not_serialise_calls(serve: MakeServer, connect: MakeClient) -> None:
    server = serve(lambda request, talk: (talk.stall(0.2), talk.reply()))
    api = connect(server)
    took = []
    for _ in range(3):  # a machine with other things to do may be late itself, but not each time
        threads = [threading.Thread(target=lambda: api.get("people")) for _ in range(8)]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took.append(time.monotonic() - began)
        if took[-1] < 0.4:
            break
    assert min(took) < 0.4
    assert len(server.requests) == 8 * len(took)


def test_a_real_service_is_left_alone_and_found_again(
    serve: MakeServer, connect: MakeClient
) -> None:
    broken = [True]

    def behave(request: Seen, talk: Talk) -> None:
        talk.reply(503 if broken[0] else 200)

    server = serve(behave)
    policy = RequestPolicy(attempts=1, breaker=BreakerPolicy(failures=3, cooldown=0.2, probes=2))
    api = connect(server, policy=policy)
    for kind in [ServiceUnavailable] * 3 + [CircuitOpen] * 20:
        with pytest.raises(kind):
            api.get("people")
    assert len(server.requests) == 3
    broken[0] = False
    time.sleep(0.25)
    assert [api.get("people").status for _ in range(5)] == [200] * 5
