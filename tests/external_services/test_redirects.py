"""Redirects: none by default, and none that leads away."""

from __future__ import annotations

from typing import Any

import pytest

from domain.errors import Rejected, ServiceUnavailable
from infrastructure.external_services import Bearer, RequestPolicy
from tests.external_services.conftest import MakeClient, MakeServer
from tests.external_services.server import Seen, Server, Talk

FOLLOW = RequestPolicy(redirects=2, backoff=0.01, read_timeout=1, deadline=3)


def moving(serve: MakeServer, status: int, location: str = "/new?a=1") -> Server:
    """Sends everybody from /old elsewhere."""

    def behave(request: Seen, talk: Talk) -> None:
        if request.target.startswith("/old"):
            talk.reply(status, b"", {"Location": location})
        else:
            talk.reply_json({"target": request.target, "method": request.method})

    return serve(behave)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed_unless_it_is_allowed(
    status: int, serve: MakeServer, connect: MakeClient
) -> None:
    server = moving(serve, status)
    with pytest.raises(Rejected, match=r"RequestPolicy\(redirects=0\)") as raised:
        connect(server).get("old")
    assert (raised.value.status, raised.value.attempts) == (status, 1)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_get_is_followed_within_the_origin(
    status: int, serve_both: MakeServer, connect: MakeClient
) -> None:
    server = moving(serve_both, status)
    api = connect(server, policy=FOLLOW, auth=Bearer("token"))
    assert api.get("old", into=dict) == {"target": "/new?a=1", "method": "GET"}
    assert server.requests[1].headers["authorization"] == "Bearer token"
    assert server.connections == 1


def test_303_makes_a_get_of_a_post(serve: MakeServer, connect: MakeClient) -> None:
    server = moving(serve, 303)
    api = connect(server, policy=FOLLOW)
    assert api.post("old", json={"a": 1}, idempotency_key=True, into=dict)["method"] == "GET"
    first, second = server.requests
    assert (first.body, second.body) == (b'{"a":1}', b"")
    assert {"content-type", "idempotency-key"} <= set(first.headers) - set(second.headers)


@pytest.mark.parametrize("status", [307, 308])
def test_307_and_308_keep_method_and_body(
    status: int, serve: MakeServer, connect: MakeClient
) -> None:
    server = moving(serve, status)
    api = connect(server, policy=FOLLOW)
    assert api.post("old", json={"a": 1}, into=dict)["method"] == "POST"
    assert [request.body for request in server.requests] == [b'{"a":1}'] * 2


@pytest.mark.parametrize("status", [301, 302])
def test_301_and_302_do_not_say_what_becomes_of_a_post(
    status: int, serve: MakeServer, connect: MakeClient
) -> None:
    server = moving(serve, status)
    with pytest.raises(Rejected, match="ambiguous") as raised:
        connect(server, policy=FOLLOW).post("old", json={})
    assert raised.value.outcome == "unknown"
    assert len(server.requests) == 1


def test_a_body_that_is_gone_is_not_sent_again(serve: MakeServer, connect: MakeClient) -> None:
    server = moving(serve, 307)
    with pytest.raises(Rejected, match="cannot be sent twice"):
        connect(server, policy=FOLLOW).post("old", content=iter([b"a", b"b"]))
    assert len(server.requests) == 1


def test_no_more_are_followed_than_allowed(serve: MakeServer, connect: MakeClient) -> None:
    server = moving(serve, 302, "/old/again")
    with pytest.raises(Rejected, match=r"redirects=2\) follows no more"):
        connect(server, policy=FOLLOW).get("old")
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1:1/new",
        "//127.0.0.1:1/new",
        "http://localhost:{port}/new",
        "https://127.0.0.1:{port}/new",
        "http://user:pass@127.0.0.1:{port}/new",
        "http://127.0.0.1:{port}\\@evil.example/new",
        "ftp://127.0.0.1/new",
        "javascript:alert(1)",
        "http://[::1/new",
        "http://127.0.0.1:99999/new",
        "/a\tb",
        "/new/%2e%2e/x",
        "/n\xe9w",
    ],
)
def test_no_redirect_is_followed_to_another_origin(
    location: str, serve: MakeServer, connect: MakeClient
) -> None:
    server = moving(serve, 302, "")
    answers: Any = location.format(port=server.port)
    server.behave = lambda request, talk: talk.reply(302, b"", {"Location": answers})
    with pytest.raises(Rejected, match="another origin") as raised:
        connect(server, policy=FOLLOW, auth=Bearer("token")).get("old")
    assert len(server.requests) == 1
    assert raised.value.status == 302


def test_from_https_to_http_is_another_origin(
    serve: MakeServer, tls: Any, connect: MakeClient
) -> None:
    plain = serve()
    secure = serve(
        lambda request, talk: talk.reply(307, b"", {"Location": f"{plain.url}/new"}), tls=tls
    )
    with pytest.raises(Rejected, match="another origin"):
        connect(secure, policy=FOLLOW, auth=Bearer("token")).get("old")
    assert plain.requests == []


def test_a_redirect_that_leads_nowhere_is_a_refusal(serve: MakeServer, connect: MakeClient) -> None:
    server = serve(lambda request, talk: talk.reply(302, b""))
    with pytest.raises(Rejected, match="refused with status 302"):
        connect(server, policy=FOLLOW).get("old")


def test_what_was_not_modified_is_an_answer(serve: MakeServer, connect: MakeClient) -> None:
    server = serve(lambda request, talk: talk.send(b"HTTP/1.1 304 Not Modified\r\n\r\n"))
    api = connect(server)
    response = api.get("people", headers={"If-None-Match": '"1"'})
    assert (response.status, response.content) == (304, b"")
    assert api.get("people").status == 304
    assert server.connections == 1


def test_a_post_that_was_redirected_is_not_sent_again_from_the_beginning(
    serve: MakeServer, connect: MakeClient
) -> None:
    def behave(request: Seen, talk: Talk) -> None:
        talk.server.close_listener()  # so that nothing can be sent to the new place
        talk.reply(307, b"", {"Location": "/new", "Connection": "close"})
        talk.close()

    server = serve(behave)
    with pytest.raises(ServiceUnavailable) as raised:
        connect(server, policy=FOLLOW).post("old", json={})
    assert (raised.value.attempts, raised.value.outcome) == (1, "not_executed")
    assert len(server.requests) == 1


def test_a_fault_after_a_redirect_begins_again_from_the_beginning(
    serve: MakeServer, connect: MakeClient
) -> None:
    def behave(request: Seen, talk: Talk) -> None:
        if request.target == "/old":
            talk.reply(307, b"", {"Location": "/new"})
        elif len(server.requests) < 3:
            talk.close()
        else:
            talk.reply_json(1)

    server = serve(behave)
    assert connect(server, policy=FOLLOW).get("old", into=int) == 1
    assert [request.target for request in server.requests] == ["/old", "/new"] * 2
