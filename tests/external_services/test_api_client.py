"""What a client does when all goes well."""

from __future__ import annotations

import os
import pickle
import ssl
import subprocess
import sys
import time
from datetime import date
from typing import Any

import pytest
from pydantic import BaseModel, Field

from domain.errors import BadResponse, Rejected, ServiceUnavailable
from domain.problem import Problem
from infrastructure.external_services import (
    ApiClient,
    ApiKey,
    ApiResponse,
    AttemptEnded,
    Basic,
    Bearer,
    BreakerChanged,
    BreakerPolicy,
    Hooks,
    RequestPolicy,
    RetryPlanned,
)
from infrastructure.testing import Reply, ScriptedTransport
from tests.external_services.conftest import MakeClient, MakeServer
from tests.external_services.server import Seen, Talk

URL = "https://api.example.com/v1"


class PersonIn(BaseModel):
    name: str
    born: date = Field(serialization_alias="bornOn")


class PersonOut(BaseModel):
    id: int
    name: str


def test_everything_that_can_be_asked(serve_both: MakeServer, connect: MakeClient) -> None:
    def behave(request: Seen, talk: Talk) -> None:
        if request.method == "DELETE":
            talk.send(b"HTTP/1.1 204 No Content\r\n\r\n")
        elif request.method == "GET":
            talk.reply_json({"id": 1, "name": request.target})
        else:
            talk.reply_json({"id": 2, "name": request.json()["name"]}, 201)

    server = serve_both(behave)
    api = connect(server, "/v1", auth=Bearer("token"))
    ada = PersonIn(name="Ada", born=date(1815, 12, 10))

    assert api.get("people/1", into=PersonOut) == PersonOut(id=1, name="/v1/people/1")
    query = {"q": "a b&c", "page": 2, "all": True, "tag": ["x", "y"], "none": None}
    assert api.get("people", params=query).json()["name"] == (
        "/v1/people?q=a+b%26c&page=2&all=true&tag=x&tag=y"
    )
    assert api.post("people", json=ada, into=PersonOut).name == "Ada"
    assert api.put("people/1", json={"name": "Grace"}, into=PersonOut).name == "Grace"
    assert api.patch("people/1", json={"name": "Alan"}).status == 201
    response = api.delete("people/1")
    assert (response.status, response.content, response.text) == (204, b"", "")
    assert server.connections == 1, "all of it on one connection"
    sent = server.requests[2]
    assert sent.json() == {"name": "Ada", "bornOn": "1815-12-10"}
    assert sent.headers["content-type"] == "application/json"
    assert sent.headers["authorization"] == "Bearer token"
    assert sent.headers["accept-encoding"] == "gzip"
    assert sent.headers["user-agent"] == "infrastructure-kit"
    assert "idempotency-key" not in sent.headers


@pytest.mark.parametrize(
    ("content", "kind", "body"),
    [
        (b"\x00\x01", "application/octet-stream", b"\x00\x01"),
        (bytearray(b"ab"), "application/octet-stream", b"ab"),
        ("é", "text/plain; charset=utf-8", "é".encode()),
        (lambda: iter([b"a", b"bc"]), "application/octet-stream", b"abc"),
    ],
)
def test_content_is_sent_as_it_is(
    content: Any, kind: str, body: bytes, serve_both: MakeServer, connect: MakeClient
) -> None:
    server = serve_both()
    connect(server).post("files", content=content() if callable(content) else content)
    assert (server.requests[0].body, server.requests[0].headers["content-type"]) == (body, kind)


def test_a_large_body_goes_both_ways(serve_both: MakeServer, connect: MakeClient) -> None:
    large = os.urandom(3_000_000)
    server = serve_both(lambda request, talk: talk.reply(200, request.body))
    assert connect(server).put("files/1", content=large).content == large


def test_a_body_may_be_made_of_other_calls(serve: MakeServer, connect: MakeClient) -> None:
    server = serve(lambda request, talk: talk.reply(200, request.body or b"part"))
    api = connect(server)
    parts = (api.get(f"parts/{number}").content for number in range(3))
    assert api.post("whole", content=parts).content == b"partpartpart"


def test_ways_to_say_who_one_is() -> None:
    tokens = iter(["one", "two"])
    for auth, name, expected in [
        (Bearer("t"), "Authorization", ["Bearer t", "Bearer t"]),
        (Bearer(lambda: next(tokens)), "Authorization", ["Bearer one", "Bearer two"]),
        (Basic("user", "pass word"), "Authorization", ["Basic dXNlcjpwYXNzIHdvcmQ="] * 2),
        (ApiKey("X-Key", "k"), "X-Key", ["k", "k"]),
        (lambda: {"X-Sign": "s"}, "X-Sign", ["s", "s"]),
    ]:
        with ScriptedTransport(Reply(503), Reply()) as service:
            ApiClient(URL, auth=auth, transport=service).get("people")
        assert [request.headers[name] for request in service.requests] == expected


def test_a_response_is_small_and_cannot_be_changed() -> None:
    fields = {"Content-Type": "text/plain; charset=ISO-8859-1", "X-A": "1", "Link": "<b>; rel=next"}
    with ScriptedTransport(Reply(content=b"\xe9", headers=fields)) as service:
        response = ApiClient(URL, transport=service).get("people")
    assert isinstance(response, ApiResponse)
    assert (response.status, response.text, response.links) == (200, "é", {"next": "b"})
    assert response.headers["x-a"] == response.headers["X-A"] == "1"
    assert "X-a" in response.headers
    assert len(response.headers) == 3
    with pytest.raises(BadResponse, match="not JSON"):
        response.json()
    with pytest.raises(AttributeError):
        response.status = 201  # type: ignore[misc]
    with pytest.raises(TypeError):
        response.headers["X-A"] = "2"  # type: ignore[index]
    assert pickle.loads(pickle.dumps(response)) == response


def test_a_charset_that_nobody_knows_is_read_as_utf_8() -> None:
    fields = {"Content-Type": 'text/plain; charset="klingon"'}
    with ScriptedTransport(Reply(content="é".encode(), headers=fields)) as service:
        assert ApiClient(URL, transport=service).get("people").text == "é"


def test_a_problem_is_told(serve: MakeServer, connect: MakeClient) -> None:
    members = {
        "type": "https://example.com/probs/credit",
        "title": "Not enough credit",
        "detail": "Your balance is 30",
        "instance": 7,
        "status": 403,
        "balance": 30,
    }
    server = serve(
        lambda request, talk: talk.reply_json(
            members, 403, {"Content-Type": "application/problem+json"}
        )
    )
    with pytest.raises(Rejected, match="'Not enough credit'") as raised:
        connect(server).post("orders", json={})
    assert raised.value.status == 403
    assert raised.value.problem == Problem(
        "https://example.com/probs/credit",
        "Not enough credit",
        403,
        "Your balance is 30",
        extensions={"balance": 30},
    )
    assert pickle.loads(pickle.dumps(raised.value)).problem == raised.value.problem


@pytest.mark.parametrize(
    ("content", "kind", "problem"),
    [
        (b'{"message": "no"}', "application/json", Problem(extensions={"message": "no"})),
        (b'{"status": true}', "application/problem+json", Problem()),
        (b"[]", "application/problem+json", None),
        (b"nothing", "application/problem+json", None),
        (b"<html>", "text/html", None),
        (b"", "application/json", None),
    ],
)
def test_what_is_no_problem(content: bytes, kind: str, problem: Problem | None) -> None:
    reply = Reply(400, content=content, headers={"Content-Type": kind})
    with ScriptedTransport(reply) as service, pytest.raises(Rejected) as raised:
        ApiClient(URL, transport=service).get("people")
    assert raised.value.problem == problem


# -- TLS, hooks, imports ------------------------------------------------------------------------


def test_a_certificate_must_be_trusted_and_of_this_host(
    serve: MakeServer, authority: Any, tls: Any, connect: MakeClient
) -> None:
    other = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("other.example").configure_cert(other)
    for options, server in [({"ca_bundle": None}, serve(tls=tls)), ({}, serve(tls=other))]:
        with pytest.raises(ServiceUnavailable, match="certificate is not valid") as raised:
            connect(server, **options).get("people")
        assert raised.value.outcome == "not_executed"
        assert server.requests == []


def test_hooks_are_told_what_happens() -> None:
    events: list[Any] = []
    hooks = Hooks(on_attempt=events.append, on_retry=events.append, on_breaker=events.append)
    policy = RequestPolicy(attempts=2, breaker=BreakerPolicy(failures=2, cooldown=9), backoff=0.1)
    with ScriptedTransport(Reply(503), Reply(502, after=1), Reply(json=1)) as service:
        api = ApiClient(URL, hooks=hooks, policy=policy, transport=service)
        with pytest.raises(ServiceUnavailable):
            api.get("people", params={"key": "hidden"})
        service.sleep(10)
        api.get("people")
    pause = service.pauses[0]
    what = ("api.example.com", "GET", "/v1/people")
    assert events == [
        AttemptEnded(*what, 1, 0.0, 503, "failed with status 503", "unknown"),
        RetryPlanned(*what, 1, pause, "failed with status 503"),
        BreakerChanged("api.example.com", "closed", "open"),
        AttemptEnded(*what, 2, 1.0, 502, "failed with status 502", "unknown"),
        BreakerChanged("api.example.com", "open", "half_open"),
        BreakerChanged("api.example.com", "half_open", "closed"),
        AttemptEnded(*what, 1, 0.0, 200, None, "executed"),
    ]


def test_a_hook_that_fails_is_logged_and_no_more(caplog: pytest.LogCaptureFixture) -> None:
    def fail(event: object) -> None:
        raise ValueError("of no interest")

    with ScriptedTransport(Reply(503), Reply(json=1)) as service:
        hooks = Hooks(on_attempt=fail, on_retry=fail, on_breaker=fail)
        assert ApiClient(URL, hooks=hooks, transport=service).get("people", into=int) == 1
    assert caplog.text.count("a hook failed with ValueError") == 3


def test_importing_it_starts_nothing_and_the_database_does_without_it() -> None:
    program = (
        "import sys, threading\n"
        "import infrastructure.database, infrastructure.cache, infrastructure.testing\n"
        "assert 'requests' not in sys.modules\n"
        "import infrastructure.external_services\n"
        "assert threading.active_count() == 1\n"
        "assert 'sqlalchemy.orm' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
    alone = (
        "import sys, infrastructure.external_services\n"
        "assert not [name for name in sys.modules if name.startswith(('sqlalchemy', 'sqlmodel'))]\n"
    )
    subprocess.run([sys.executable, "-c", alone], check=True, timeout=60)


def test_a_call_is_over_at_once_when_all_is_well(serve: MakeServer, connect: MakeClient) -> None:
    api = connect(serve())
    api.get("people")
    began = time.monotonic()
    for _ in range(20):
        api.get("people")
    assert time.monotonic() - began < 1
