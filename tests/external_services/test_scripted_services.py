"""The double is held to the network: the same events, the same calls, the same results."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from domain.errors import ExternalServiceError, ServiceTimeout
from infrastructure.external_services import ApiClient, RequestPolicy
from infrastructure.testing import (
    LostConnection,
    NoAnswer,
    NoConnection,
    Reply,
    ScriptedTransport,
)
from tests.external_services.conftest import MakeClient, MakeServer
from tests.external_services.server import Seen, Talk, head, unused_port
from tests.external_services.test_outcomes import At

POLICY = RequestPolicy(
    read_timeout=5, deadline=20, attempts=2, backoff=0.01, body_limit=1000, breaker=None
)


def packed(data: bytes) -> bytes:
    """The same each time: gzip notes the time otherwise."""
    return gzip.compress(data, 9, mtime=0)


def play(event: Any, talk: Talk) -> None:
    """The event, over a real socket."""
    talk.stall(min(getattr(event, "after", 0), 60))
    if isinstance(event, Reply):
        fields = dict(event.fields)
        kind = fields.pop("Content-Type", None)
        talk.send(head(event.status, fields, kind=kind, length=len(event.body)) + event.body)
    elif isinstance(event, LostConnection):
        if event.status is not None:
            talk.send(head(event.status, length=10))
        talk.close()


SCRIPTS: dict[str, list[Any]] = {
    "an answer": [Reply(json={"a": 1})],
    "an empty answer": [Reply(204)],
    "text": [Reply(content=b"text", headers={"Content-Type": "text/plain"})],
    "gzip": [Reply(content=packed(b"text"), headers={"Content-Encoding": "gzip"})],
    "no gzip": [Reply(content=b"text", headers={"Content-Encoding": "gzip"})],
    "too much": [Reply(content=b"x" * 1001)],
    "a bomb": [Reply(content=packed(bytes(99999)), headers={"Content-Encoding": "gzip"})],
    "too much of an error": [Reply(404, content=b"x" * 1001)],
    "refused": [Reply(400, json={"title": "no"})],
    "recovers": [Reply(503), Reply(json=1)],
    "does not recover": [Reply(503), Reply(502)],
    "throttled": [Reply(429, headers={"Retry-After": "50"})],
    "throttled for now": [Reply(429, headers={"Retry-After": "0"}), Reply(json=1)],
    "lost": [LostConnection(), LostConnection()],
    "lost in the answer": [LostConnection(200), LostConnection(200)],
    "lost in an error": [LostConnection(404)],
    "lost once": [LostConnection(), Reply(json=1)],
    "no answer": [NoAnswer(), NoAnswer()],
    "no answer once": [NoAnswer(), Reply(json=1)],
    "late": [Reply(json=1, after=0.05)],
    "too late": [Reply(json=1, after=0.7), Reply(json=2)],
    "redirect": [Reply(302, headers={"Location": "/x"})],
}

SLOW = {"no answer", "no answer once", "too late"}

CALLS: dict[str, Callable[[ApiClient], Any]] = {
    "get": lambda api: api.get("people", params={"a": [1, 2]}),
    "post": lambda api: api.post("people", json={"a": 1}),
    "keyed post": lambda api: api.post("people", json={"a": 1}, idempotency_key="k"),
}


def result(api: ApiClient, call: str) -> Any:
    """All that a caller can see."""
    try:
        response = CALLS[call](api)
    except ExternalServiceError as error:
        facts = vars(error) | {"service": "", "elapsed": 0}
        return type(error), {name: repr(value) for name, value in facts.items()}
    fields = {name.lower(): value for name, value in response.headers.items()}
    fields.pop("content-length", None)
    return response.status, response.content, fields


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("script", SCRIPTS)
def test_it_does_what_the_network_does(
    script: str, call: str, serve: MakeServer, connect: MakeClient
) -> None:
    events = list(SCRIPTS[script])
    policy = replace(POLICY, read_timeout=0.4) if script in SLOW else POLICY
    server = serve(lambda request, talk: play(events.pop(0), talk))
    real = result(connect(server, policy=policy), call)

    service = ScriptedTransport(*SCRIPTS[script])
    played = result(ApiClient("https://api.example.com", policy=policy, transport=service), call)

    assert played == real
    assert [same(one) for one in service.requests] == [same(one) for one in server.requests]
    assert len(service._events) == len(events)


def same(request: Any) -> Any:
    """What is alike in a request that was recorded, here and there."""
    path = request.target.partition("?")[0] if isinstance(request, Seen) else request.path
    names = {name.lower(): value for name, value in request.headers.items()}
    kept = ("accept", "content-type", "idempotency-key", "user-agent")
    return request.method, path, {k: names.get(k) for k in kept}, request.body


def test_a_connection_that_is_refused(connect: MakeClient) -> None:
    real = result(connect(At(f"http://127.0.0.1:{unused_port()}"), policy=POLICY), "post")
    with ScriptedTransport(NoConnection(), NoConnection()) as service:
        played = result(
            ApiClient("https://api.example.com", policy=POLICY, transport=service), "post"
        )
    assert played == real


def test_the_example_in_its_docstring_holds() -> None:
    with ScriptedTransport(Reply(503), Reply(json={"id": 1})) as service:
        api = ApiClient("https://api.example.com", transport=service)
        assert api.get("people/1", into=dict) == {"id": 1}
    assert [request.path for request in service.requests] == ["/people/1", "/people/1"]


def test_what_was_asked_is_recorded() -> None:
    with ScriptedTransport(Reply(201)) as service:
        api = ApiClient("https://api.example.com/v1", transport=service)
        api.post("people", json={"name": "Ada"}, params={"dry": True, "tag": ["a", "b"]})
    (asked,) = service.requests
    assert (asked.method, asked.path) == ("POST", "/v1/people")
    assert asked.query == {"dry": ["true"], "tag": ["a", "b"]}
    assert asked.headers["content-type"] == "application/json"
    assert asked.json() == {"name": "Ada"}


def test_a_request_too_many_is_an_error_even_if_it_is_swallowed() -> None:
    unexpected = pytest.raises(AssertionError, match="not in the script: GET /people")
    with unexpected, ScriptedTransport() as service:
        api = ApiClient("https://api.example.com", transport=service)
        with pytest.raises(AssertionError, match="not in the script: GET /people"):
            api.get("people")


def test_an_event_that_is_left_over_is_an_error() -> None:
    left_over = pytest.raises(AssertionError, match="never asked for")
    with left_over, ScriptedTransport(Reply(), Reply()) as service:
        ApiClient("https://api.example.com", transport=service).get("people")


def test_an_error_in_the_block_is_the_one_that_is_seen() -> None:
    with pytest.raises(ZeroDivisionError), ScriptedTransport(Reply()):
        1 / 0


def test_time_passes_without_being_waited_for() -> None:
    with ScriptedTransport(NoAnswer(), NoAnswer(), NoConnection(after=999)) as service:
        api = ApiClient(
            "https://api.example.com",
            transport=service,
            policy=RequestPolicy(read_timeout=600, connect_timeout=500, deadline=3600),
        )
        with pytest.raises(ServiceTimeout) as raised:
            api.get("people")
        assert raised.value.elapsed > 1200
    assert raised.value.attempts == 3
