"""Whatever the peer does, a call ends with its deadline, and the next one works."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from domain.errors import ExternalServiceError, ServiceTimeout, ServiceUnavailable
from infrastructure.external_services import ApiClient, RequestPolicy
from infrastructure.external_services.deadlines import CURRENT, BoundedConnection
from infrastructure.external_services.transport import RequestsTransport
from tests.external_services.conftest import MakeClient, MakeServer
from tests.external_services.server import FullBacklog, Seen, Talk, chunked, head

SLACK = 0.3
"""Seconds that a call may take beyond its deadline."""

DEADLINE = 0.3
PATIENT = RequestPolicy(connect_timeout=20, read_timeout=20, deadline=DEADLINE)
"""Only the deadline can end it."""


def endless_headers(request: Seen, talk: Talk) -> None:
    talk.send(b"HTTP/1.1 200 OK\r\n")
    while not talk.server.stopped.wait(0.02):
        talk.send(b"X-Again: 1\r\n")


def endless_interim_answers(request: Seen, talk: Talk) -> None:
    while not talk.server.stopped.wait(0.01):
        talk.send(b"HTTP/1.1 100 Continue\r\n\r\n")


def endless_chunks(request: Seen, talk: Talk) -> None:
    talk.send(head(headers={"Transfer-Encoding": "chunked"}))
    while not talk.server.stopped.wait(0.02):
        talk.send(b"1\r\nx\r\n")


def then(first: bytes, act: Callable[[Talk], Any]) -> Callable[[Seen, Talk], None]:
    def behave(request: Seen, talk: Talk) -> None:
        talk.send(first)
        act(talk)

    return behave


LONG = head(length=1000)
CHUNKED = head(headers={"Transfer-Encoding": "chunked"})

PEERS: dict[str, Callable[[Seen, Talk], Any]] = {
    "stalls before the headers": lambda request, talk: talk.stall(),
    "drips the status line": lambda request, talk: talk.drip(b"HTTP/1.1 200 OK" * 50),
    "stalls in the headers": then(b"HTTP/1.1 200 OK\r\nX-One: 1\r\n", Talk.stall),
    "drips headers": then(b"HTTP/1.1 200 OK\r\nX-One: ", Talk.drip_without_end),
    "sends headers without end": endless_headers,
    "sends interim answers without end": endless_interim_answers,
    "stalls in the body": then(LONG + b"half", Talk.stall),
    "drips the body": then(LONG, Talk.drip_without_end),
    "drips a body without a length": then(head(), Talk.drip_without_end),
    "stalls between chunks": then(CHUNKED + b"4\r\nhalf\r\n", Talk.stall),
    "drips the size of a chunk": then(CHUNKED, lambda talk: talk.drip_without_end(b"0")),
    "drips the extension of a chunk": then(CHUNKED + b"4;", Talk.drip_without_end),
    "drips a chunk": then(CHUNKED + b"ffff\r\n", Talk.drip_without_end),
    "drips trailers": then(CHUNKED + b"4\r\nhalf\r\n0\r\nX-Trailer: ", Talk.drip_without_end),
    "sends chunks without end": endless_chunks,
    "drips the body of an error": then(head(404, length=1000), Talk.drip_without_end),
}


def timed(call: Callable[[], Any]) -> tuple[float, ExternalServiceError]:
    """How long it took until the error, and the error."""
    began = time.monotonic()
    with pytest.raises(ExternalServiceError) as raised:
        call()
    return time.monotonic() - began, raised.value


def on_time(call: Callable[[], Any]) -> tuple[ExternalServiceError, int]:
    """The error of a call that ended with its deadline; the try in which it did.

    A machine with other things to do may be late itself, but not each time.
    """
    took = []
    for tries in (1, 2, 3):
        seconds, error = timed(call)
        took.append(seconds)
        assert seconds > DEADLINE - 0.05
        if seconds < DEADLINE + SLACK:
            return error, tries
    raise AssertionError(f"it took {took} seconds, and not {DEADLINE}")


@pytest.mark.parametrize("peer", PEERS)
def test_a_peer_that_keeps_one_waiting_is_left_at_the_deadline(
    peer: str, serve_both: MakeServer, connect: MakeClient
) -> None:
    def behave(request: Seen, talk: Talk) -> None:
        if request.target == "/slow":
            PEERS[peer](request, talk)
        else:
            talk.reply()

    server = serve_both(behave)
    api = connect(server, policy=PATIENT)

    error, tries = on_time(lambda: api.get("slow"))

    assert error.attempts == 1
    if "error" not in peer:
        assert isinstance(error, ServiceTimeout)
    assert [api.get("fast").status for _ in range(3)] == [200] * 3
    assert server.connections == tries + 1, "what hung is not used again, the other one is"


@pytest.mark.parametrize("act", [Talk.stall, Talk.drip_without_end], ids=["stalls", "drips"])
def test_a_handshake_that_does_not_end_is_left_at_the_deadline(
    act: Callable[[Talk], Any], serve: MakeServer, tls: Any, connect: MakeClient
) -> None:
    well = threading.Event()

    def greet(talk: Talk) -> None:
        if not well.is_set():
            # A record of 16,000 bytes, so that bytes are waited for whatever they are.
            talk.send(b"\x16\x03\x03\x3e\x80\x02\x00\x3e\x7c")
            act(talk)

    api = connect(serve(tls=tls, greet=greet), policy=PATIENT)

    error, _ = on_time(lambda: api.get("people"))

    assert isinstance(error, ServiceTimeout)
    assert error.outcome == "not_executed"
    well.set()
    assert api.get("people").status == 200


def test_a_connection_that_is_not_made_is_left_at_the_deadline(connect: MakeClient) -> None:
    with FullBacklog() as port:
        error, _ = on_time(lambda: connect(port, policy=PATIENT).get("people"))

    assert isinstance(error, ServiceTimeout)
    assert error.outcome == "not_executed"


def test_a_body_that_nobody_reads_is_left_at_the_deadline(
    serve_both: MakeServer, connect: MakeClient
) -> None:
    api = connect(serve_both(settle=Talk.stall), policy=PATIENT)

    body = b"x" * 20_000_000

    error, _ = on_time(lambda: api.post("people", content=body))

    assert isinstance(error, ServiceTimeout)
    assert error.outcome == "unknown"


def test_a_pause_between_attempts_ends_with_the_deadline(
    serve: MakeServer, connect: MakeClient
) -> None:
    policy = RequestPolicy(
        deadline=DEADLINE, attempts=99, backoff=0.1, longest_backoff=0.1, breaker=None
    )
    api = connect(serve(lambda request, talk: talk.reply(503)), policy=policy)

    seconds, error = timed(lambda: api.get("people"))

    assert seconds < DEADLINE + SLACK
    assert isinstance(error, ServiceUnavailable)
    assert error.attempts > 1


def test_an_attempt_has_a_shorter_time_than_the_call(
    serve_both: MakeServer, connect: MakeClient
) -> None:
    def behave(request: Seen, talk: Talk) -> None:
        if len(server.requests) < 3:
            talk.stall()
        talk.reply()

    server = serve_both(behave)
    policy = RequestPolicy(read_timeout=0.2, deadline=5, backoff=0.01)
    began = time.monotonic()

    assert connect(server, policy=policy).get("people").status == 200
    assert time.monotonic() - began < 1
    assert server.connections == 3


def test_a_peer_that_drips_faster_than_the_read_timeout_is_not_silent(
    serve: MakeServer, connect: MakeClient
) -> None:
    server = serve(lambda request, talk: (talk.send(head(length=10)), talk.drip(b"0123456789")))
    policy = RequestPolicy(read_timeout=0.3, deadline=5)
    assert connect(server, policy=policy).get("people").content == b"0123456789"


def test_who_waits_for_a_free_connection_waits_no_longer_than_the_deadline(
    serve: MakeServer, connect: MakeClient
) -> None:
    transport = RequestsTransport(pool_size=1)
    api = connect(serve(), policy=PATIENT, transport=transport)
    transport._slots.acquire()
    error, _ = on_time(lambda: api.get("people"))
    transport._slots.release()

    assert isinstance(error, ServiceTimeout)
    assert "pool_size" in error.reason
    assert error.outcome == "not_executed"
    assert api.get("people").status == 200


@pytest.mark.timeout(1200)  # for the soak
def test_deadlines_that_pass_do_not_touch_requests_beside_them(
    serve: MakeServer, connect: MakeClient, soak: bool
) -> None:
    """Many calls end close to their deadline, before or after; the others never notice."""
    calls = 100_000 if soak else 2_000
    server = serve(answer_about_the_deadline)
    hasty = connect(
        server, policy=RequestPolicy(deadline=0.03, attempts=1, breaker=None), pool_size=8
    )
    steady = connect(server, policy=RequestPolicy(deadline=30, attempts=1, breaker=None))
    mixed = Mixed(hasty, steady, calls)

    mixed.run(hasty_threads=8, steady_threads=2)

    assert mixed.failed == []
    assert mixed.on_time + mixed.too_late == calls
    assert mixed.too_late > calls / 100, "some must have passed, or nothing was tried"
    assert mixed.on_time > calls / 100
    assert mixed.steady_calls > 100


def answer_about_the_deadline(request: Seen, talk: Talk) -> None:
    number = int(request.target.rpartition("/")[2])
    if request.target.startswith("/hasty") and number % 2:
        talk.stall(0.02 + number % 20 / 1000)
    talk.reply_json(number)


class Mixed:
    """Calls with short deadlines in some threads, and with long ones in others."""

    def __init__(self, hasty: ApiClient, steady: ApiClient, calls: int) -> None:
        self.hasty, self.steady = hasty, steady
        self.numbers = iter(range(calls))
        self.on_time = self.too_late = self.steady_calls = 0
        self.failed: list[object] = []
        self.lock = threading.Lock()
        self.done = threading.Event()

    def run(self, hasty_threads: int, steady_threads: int) -> None:
        steady = [threading.Thread(target=self.be_steady) for _ in range(steady_threads)]
        hasty = [threading.Thread(target=self.be_hasty) for _ in range(hasty_threads)]
        for thread in steady + hasty:
            thread.start()
        for thread in hasty:
            thread.join()
        self.done.set()
        for thread in steady:
            thread.join()

    def next_number(self) -> int | None:
        with self.lock:
            return next(self.numbers, None)

    def be_hasty(self) -> None:
        while (number := self.next_number()) is not None:
            try:
                right = self.hasty.get(f"hasty/{number}", into=int) == number
            except ServiceTimeout:
                with self.lock:
                    self.too_late += 1
            except Exception as error:  # noqa: BLE001 -- all others are what must not happen
                self.failed.append(error)
            else:
                if not right:
                    self.failed.append(number)
                with self.lock:
                    self.on_time += 1

    def be_steady(self) -> None:
        while not self.done.is_set():
            with self.lock:
                self.steady_calls += 1
                number = self.steady_calls
            try:
                if self.steady.get(f"steady/{number}", into=int) != number:
                    self.failed.append(number)
            except Exception as error:  # noqa: BLE001 -- none of them may happen
                self.failed.append(error)


def test_a_connection_is_of_use_only_within_an_exchange() -> None:
    assert CURRENT.exchange is None
    with pytest.raises(RuntimeError, match="outside of an exchange"):
        BoundedConnection("127.0.0.1", 1).connect()


def test_chunks_are_read_to_their_end(serve_both: MakeServer, connect: MakeClient) -> None:
    server = serve_both(lambda request, talk: talk.send(CHUNKED + chunked(b"[1,", b"2]")))
    api = connect(server)
    assert [api.get("people", into=list[int]) for _ in range(3)] == [[1, 2]] * 3
    assert server.connections == 1
