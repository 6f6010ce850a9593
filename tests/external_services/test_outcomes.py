"""What is repeated, and what the caller learns of the request: one table for all faults."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import pytest

from domain.errors import (
    BadResponse,
    ExternalServiceError,
    Rejected,
    ServiceTimeout,
    ServiceUnavailable,
    Throttled,
)
from infrastructure.external_services import RequestPolicy
from tests.external_services.conftest import MakeClient, MakeServer
from tests.external_services.server import FullBacklog, Seen, Talk, head, unused_port

POLICY = RequestPolicy(
    connect_timeout=5,
    read_timeout=5,
    deadline=20,
    attempts=3,
    backoff=0.01,
    body_limit=1000,
    breaker=None,
)
IMPATIENT = replace(POLICY, connect_timeout=0.15, read_timeout=0.15)
"""For those who never answer."""

AGAIN = POLICY.attempts


class Fault(NamedTuple):
    """What a peer does to every request, and what comes of it.

    ``repeated`` is how often something that may be repeated is sent.
    """

    behave: Callable[[Seen, Talk], Any]
    error: type[ExternalServiceError]
    outcome: str
    repeated: int = AGAIN


def status(number: int, **headers: str) -> Callable[[Seen, Talk], Any]:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda request, talk: talk.reply(number, b"{}", fields)


def sent(data: bytes, act: Callable[[Talk], Any] = Talk.close) -> Callable[[Seen, Talk], Any]:
    def behave(request: Seen, talk: Talk) -> None:
        talk.send(data)
        act(talk)

    return behave


OK = head(length=100)
CHUNKED = head(headers={"Transfer-Encoding": "chunked"})

FAULTS = {
    # -- the request was sent, and there is no status --------------------------------------
    "closes": Fault(lambda _, talk: talk.close(), ServiceUnavailable, "unknown"),
    "resets": Fault(lambda _, talk: talk.reset(), ServiceUnavailable, "unknown"),
    "stalls": Fault(lambda _, talk: talk.stall(), ServiceTimeout, "unknown"),
    "closes in the status line": Fault(sent(b"HTTP/1.1 2"), BadResponse, "unknown", 1),
    "resets in the headers": Fault(
        sent(b"HTTP/1.1 200 OK\r\nX-A: 1\r\n", Talk.reset), ServiceUnavailable, "unknown"
    ),
    "sends garbage": Fault(sent(b"\x00\xff garbage\r\n\r\n"), BadResponse, "unknown", 1),
    "sends a line without end": Fault(
        sent(b"HTTP/1.1 200 " + b"x" * 70000), BadResponse, "unknown", 1
    ),
    "sends too many headers": Fault(
        sent(b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 200 + b"\r\n"), BadResponse, "unknown", 1
    ),
    # -- the status says that it was done, and the rest is missing -------------------------
    "closes in the body": Fault(sent(OK + b"half"), ServiceUnavailable, "executed"),
    "resets in the body": Fault(sent(OK + b"half", Talk.reset), ServiceUnavailable, "executed"),
    "stalls in the body": Fault(sent(OK + b"half", Talk.stall), ServiceTimeout, "executed"),
    "closes in a chunk": Fault(sent(CHUNKED + b"5\r\nab"), ServiceUnavailable, "executed"),
    "closes between chunks": Fault(sent(CHUNKED + b"2\r\nab\r\n"), ServiceUnavailable, "executed"),
    "sends a bad chunk": Fault(sent(CHUNKED + b"zz\r\nab\r\n"), BadResponse, "executed", 1),
    "sends a negative chunk": Fault(
        sent(CHUNKED + b"-1\r\n" + b"x" * 1_000_000), BadResponse, "executed", 1
    ),
    "sends too much": Fault(
        lambda _, talk: talk.reply(200, b"x" * 1001), BadResponse, "executed", 1
    ),
    "sends no gzip": Fault(
        lambda _, talk: talk.reply(200, b"no", {"Content-Encoding": "gzip"}),
        *(BadResponse, "executed", 1),
    ),
    "sends an unknown coding": Fault(
        lambda _, talk: talk.reply(200, b"no", {"Content-Encoding": "br"}),
        *(BadResponse, "executed", 1),
    ),
    # -- it answers with an error ----------------------------------------------------------
    "400": Fault(status(400), Rejected, "not_executed", 1),
    "401": Fault(status(401), Rejected, "not_executed", 1),
    "404": Fault(status(404), Rejected, "not_executed", 1),
    "408": Fault(status(408), Rejected, "not_executed"),
    "409": Fault(status(409), Rejected, "not_executed", 1),
    "422": Fault(status(422), Rejected, "not_executed", 1),
    "429": Fault(status(429), Throttled, "not_executed"),
    "429 for now": Fault(status(429, Retry_After="0"), Throttled, "not_executed"),
    "429 for long": Fault(status(429, Retry_After="60"), Throttled, "not_executed", 1),
    "500": Fault(status(500), ServiceUnavailable, "unknown"),
    "501": Fault(status(501), ServiceUnavailable, "unknown", 1),
    "502": Fault(status(502), ServiceUnavailable, "unknown"),
    "503": Fault(status(503), ServiceUnavailable, "unknown"),
    "503 for long": Fault(status(503, Retry_After="60"), Throttled, "unknown", 1),
    "504": Fault(status(504), ServiceUnavailable, "unknown"),
    "302": Fault(status(302, Location="/other"), Rejected, "unknown", 1),
    "303": Fault(status(303, Location="/other"), Rejected, "executed", 1),
    "307": Fault(status(307, Location="/other"), Rejected, "not_executed", 1),
    "cut error": Fault(sent(head(500, length=9)), ServiceUnavailable, "unknown"),
}

CALLS: dict[str, tuple[bool, dict[str, Any]]] = {
    "GET": (True, {}),
    "PUT": (True, {"json": {"a": 1}}),
    "DELETE": (True, {}),
    "POST": (False, {"json": {"a": 1}}),
    "PATCH": (False, {"json": {"a": 1}}),
    "POST with a key": (True, {"json": {"a": 1}, "idempotency_key": True}),
    "PATCH with a key": (True, {"json": {"a": 1}, "idempotency_key": "mine"}),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault(fault: str, call: str, serve: MakeServer, connect: MakeClient) -> None:
    behave, kind, outcome, repeated = FAULTS[fault]
    may_be_repeated, options = CALLS[call]
    server = serve(behave)
    policy = IMPATIENT if "stalls" in fault else POLICY
    send = getattr(connect(server, policy=policy), call.partition(" ")[0].lower())

    with pytest.raises(ExternalServiceError) as raised:
        send("people", **options)

    times = repeated if may_be_repeated else 1
    assert type(raised.value) is kind, raised.value
    assert raised.value.outcome == outcome
    assert len(server.requests) == raised.value.attempts == times
    keys = {request.headers.get("idempotency-key") for request in server.requests}
    assert len(keys) == 1, "a key is made once for all attempts"
    assert (keys == {None}) == ("with a key" not in call)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("peer", ["refuses", "has no room", "has no name", "is not trusted"])
def test_what_was_never_sent_is_not_executed_and_is_always_tried_again(
    peer: str, call: str, serve: MakeServer, tls: Any, connect: MakeClient
) -> None:
    options: dict[str, Any] = {"policy": POLICY}
    server: Any = serve(tls=tls)
    if peer == "refuses":
        server = At(f"http://127.0.0.1:{unused_port()}")
    elif peer == "has no name":
        server = At("http://nowhere.invalid")
    elif peer == "is not trusted":
        options["ca_bundle"] = None
    backlog = FullBacklog()
    if peer == "has no room":
        server, options["policy"] = backlog, IMPATIENT

    with backlog, pytest.raises((ServiceUnavailable, ServiceTimeout)) as raised:
        send = getattr(connect(server, **options), call.partition(" ")[0].lower())
        send("people", **CALLS[call][1])

    assert raised.value.outcome == "not_executed"
    assert raised.value.attempts == AGAIN
    assert (peer == "has no room") == isinstance(raised.value, ServiceTimeout)


class At(NamedTuple):
    url: str


@pytest.mark.parametrize("call", CALLS)
def test_what_the_peer_closed_while_it_was_idle_is_not_used(
    call: str, serve_both: MakeServer, connect: MakeClient
) -> None:
    def behave(request: Seen, talk: Talk) -> None:
        talk.reply()
        talk.close()  # without a word about it

    server = serve_both(behave)
    api = connect(server, policy=POLICY)
    for _ in range(3):
        response = getattr(api, call.partition(" ")[0].lower())("people", **CALLS[call][1])
        assert response.status == 200
        wait_until_closed(api)
    assert len(server.requests) == 3


def wait_until_closed(api: Any) -> None:
    """Until the end of the connection has come through."""
    time.sleep(0.05)


def test_what_may_have_been_done_in_one_attempt_may_have_been_done(
    serve: MakeServer, connect: MakeClient
) -> None:
    def behave(request: Seen, talk: Talk) -> None:
        if len(server.requests) == 1:
            talk.close()
        else:
            talk.reply(409)

    server = serve(behave)
    with pytest.raises(Rejected) as raised:
        connect(server, policy=POLICY).put("people/1", json={})

    assert (raised.value.status, raised.value.attempts) == (409, 2)
    assert raised.value.outcome == "unknown", "the first one may be what the second one met"


def test_a_post_is_tried_again_until_something_of_it_was_sent(
    serve: MakeServer, tls: Any, connect: MakeClient
) -> None:
    def greet(talk: Talk) -> None:
        if talk.number == 1:
            talk.reset()

    server = serve(lambda _, talk: talk.close(), tls=tls, greet=greet)
    with pytest.raises(ServiceUnavailable) as raised:
        connect(server, policy=POLICY).post("people", json={})

    assert (raised.value.attempts, raised.value.outcome) == (2, "unknown")
    assert len(server.requests) == 1


@pytest.mark.parametrize("call", ["GET", "PUT", "DELETE", "POST with a key"])
def test_a_service_that_recovers_is_not_noticed(
    call: str, serve: MakeServer, connect: MakeClient
) -> None:
    def behave(request: Seen, talk: Talk) -> None:
        if len(server.requests) == 1:
            talk.close()
        elif len(server.requests) == 2:
            talk.reply(503, b"{}", {"Retry-After": "0"})
        else:
            talk.reply_json({"done": True})

    server = serve(behave)
    send = getattr(connect(server, policy=POLICY), call.partition(" ")[0].lower())
    assert send("people", into=dict, **CALLS[call][1]) == {"done": True}
    assert len(server.requests) == 3
    assert len({request.body for request in server.requests}) == 1
