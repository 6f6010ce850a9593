"""What must not be seen is in no error, log line, representation, cause or pickle."""

from __future__ import annotations

import base64
import logging
import os
import pickle
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from domain.errors import ExternalServiceError, KitError, ValidationError
from infrastructure.external_services import (
    ApiClient,
    ApiKey,
    Basic,
    Bearer,
    Hooks,
    RequestPolicy,
)
from tests.external_services.conftest import QUICK, MakeClient, MakeServer
from tests.external_services.server import Seen, Talk, head
from tests.external_services.test_outcomes import FAULTS

CANARY = "canary+7d1f/e5"
FORMS = [
    CANARY,
    "canary%2B7d1f%2Fe5",
    "7d1f",
    base64.b64encode(f"user:{CANARY}".encode()).decode(),
]


def echo(request: Seen, talk: Talk) -> None:
    """A service that repeats whatever it was told."""
    authorization = request.headers.get("authorization", "")
    problem = {
        "title": f"no {authorization}",
        "detail": [request.target, request.headers, authorization.partition(" ")[2]],
        request.headers.get("x-api-key", "?"): {"again": request.headers.get("x-api-key")},
    }
    talk.reply_json(problem, 422, {"X-Echo": request.headers.get("x-api-key", "")})


def malformed(request: Seen, talk: Talk) -> None:
    talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nno colon here\r\nX: 1\r\n\r\n{}")


PEERS: dict[str, Callable[[Seen, Talk], Any]] = {name: f.behave for name, f in FAULTS.items()} | {
    "echo": echo,
    "malformed headers": malformed,
    "redirect with secrets": lambda request, talk: talk.reply(
        302, b"", {"Location": f"https://evil.example/{CANARY}"}
    ),
    "not json": lambda request, talk: talk.reply(200, CANARY.encode()),
    "does not fit": lambda request, talk: talk.reply_json({"value": CANARY}),
    "works": lambda request, talk: talk.reply_json({"value": 1}),
}


def everything_of(error: BaseException | None) -> str:
    """All that somebody may print, log or send of an error."""
    texts = []
    while error is not None:
        texts += [str(error), repr(error), repr(error.args), repr(vars(error))]
        texts += traceback.format_exception(error)
        if isinstance(error, KitError):
            texts.append(pickle.dumps(error).decode("latin-1"))
        assert error.__cause__ is None
        error = error.__context__
    return "\n".join(texts)


@pytest.mark.parametrize("peer", PEERS)
def test_a_secret_stays_where_it_belongs(
    peer: str, serve_both: MakeServer, connect: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(1)
    events: list[Any] = []
    server = serve_both(PEERS[peer])
    policy = RequestPolicy(read_timeout=0.4, deadline=5, attempts=2, backoff=0.01, body_limit=1000)
    api = connect(
        server,
        policy=policy,
        auth=Bearer(CANARY),
        headers={"X-Api-Key": CANARY},
        hooks=Hooks(on_attempt=events.append, on_retry=events.append),
    )
    caught: ExternalServiceError | None = None
    shown = ""
    try:
        shown = repr(api.get("people", params={"key": CANARY}, into=dict[str, int]))
    except ExternalServiceError as error:
        caught = error

    assert server.requests[0].headers["authorization"] == f"Bearer {CANARY}"
    assert "canary%2B7d1f%2Fe5" in server.requests[0].target
    shown += everything_of(caught) + repr(api) + repr(events) + repr(api._up.auth)
    shown += "\n".join(logged(record) for record in caplog.records)
    for form in FORMS:
        assert form not in shown
    assert (caught is None) == (peer in {"works", "malformed headers"})


def logged(record: logging.LogRecord) -> str:
    text = logging.Formatter().format(record)
    return f"{text} {record.args!r}"


def test_urllib3_logs_that_there_was_a_request(
    serve: MakeServer, connect: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Or the test above would be blind."""
    caplog.set_level(logging.DEBUG)
    connect(serve()).get("people", params={"key": CANARY})
    assert any(record.name == "urllib3.connectionpool" for record in caplog.records)
    assert "/people" in caplog.text


def test_what_could_not_be_sent_is_not_shown_either(connect: MakeClient) -> None:
    class Nowhere:
        url = "http://nowhere.invalid"

    api = connect(Nowhere, auth=Basic("user", CANARY))
    with pytest.raises(ExternalServiceError) as raised:
        api.get("people", params={"key": CANARY}, headers={"X-Api-Key": CANARY})
    for form in FORMS:
        assert form not in everything_of(raised.value)


@pytest.mark.parametrize(
    "misuse",
    [
        lambda: ApiClient(f"https://user:{CANARY}@api.example.com"),
        lambda: ApiClient(f"https://api.example.com?key={CANARY}"),
        lambda: ApiClient(f"https://api.example.com/{CANARY}/../x"),
        lambda: ApiClient("https://api.example.com", headers={"X-Key": f"{CANARY}\n"}),
        lambda: ApiClient("https://api.example.com", headers={f"X {CANARY}": "x"}),
        lambda: ApiClient("https://api.example.com").get(f"/{CANARY}/../x"),
        lambda: ApiClient("https://api.example.com").get(f"people?key={CANARY}"),
        lambda: ApiClient("https://api.example.com").get("x", params={"key": {CANARY}}),
        lambda: ApiClient("https://api.example.com").post("x", json={"key": {object(): CANARY}}),
        lambda: ApiClient("https://api.example.com", auth=Bearer(f"{CANARY}\r\nX: y")).get("x"),
        lambda: ApiClient("https://api.example.com").post("x", idempotency_key=f"{CANARY}\n"),
    ],
)
def test_misuse_is_told_without_the_value(misuse: Callable[[], Any]) -> None:
    with pytest.raises(ValidationError) as raised:
        misuse()
    for form in FORMS:
        assert form not in everything_of(raised.value)


@pytest.mark.parametrize(
    "auth", [Bearer(CANARY), Basic("user", CANARY), ApiKey("X-Api-Key", CANARY)]
)
def test_credentials_have_no_representation(auth: Any) -> None:
    assert repr(auth) == str(auth) == f"{type(auth).__name__}(***)"


def test_requests_and_responses_have_none(serve: MakeServer, connect: MakeClient) -> None:
    server = serve(
        lambda request, talk: talk.reply(200, CANARY.encode(), {"Set-Cookie": f"id={CANARY}"})
    )
    response = connect(server).get("people")
    assert CANARY in response.text + response.headers["set-cookie"]
    assert CANARY not in repr(response) + repr(response.headers)


NETRC = """
import sys
from infrastructure.external_services import ApiClient, Bearer

url, how = sys.argv[1:]
options = {"trusted": {"trust_environment": True}}.get(how, {})
if how == "explicit":
    options = {"trust_environment": True, "auth": Bearer("explicit")}
api = ApiClient(url, **options)
try:
    print(api.get("people").status)
except Exception as error:
    import traceback
    traceback.print_exc()
    print(repr(error), vars(error))
"""


@pytest.mark.parametrize("how", ["by default", "trusted", "explicit"])
@pytest.mark.parametrize("status", [200, 422, 500])
def test_netrc_counts_only_if_it_is_asked_for(
    how: str, status: int, serve: MakeServer, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine 127.0.0.1 login user password {CANARY}\n")
    netrc.chmod(0o600)
    server = serve(
        lambda request, talk: echo(request, talk) if status == 422 else talk.reply(status)
    )
    environment = os.environ | {"NETRC": str(netrc), "HOME": str(tmp_path)}
    run = subprocess.run(
        [sys.executable, "-c", NETRC, server.url, how],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    expected = {"by default": None, "explicit": "Bearer explicit"}
    given = server.requests[0].headers.get("authorization")
    assert given == expected.get(how, f"Basic {FORMS[-1]}")
    for form in FORMS:
        assert form not in run.stdout + run.stderr


PROXY = """
import sys
from infrastructure.external_services import ApiClient

api = ApiClient("http://service.invalid", trust_environment=sys.argv[1] == "trusted")
try:
    print(api.get("people", params={"a": 1}).status)
except Exception as error:
    print(type(error).__name__)
"""


@pytest.mark.parametrize("how", ["trusted", "not"])
def test_a_proxy_counts_only_if_it_is_asked_for(how: str, serve: MakeServer) -> None:
    proxy = serve()
    environment = os.environ | {"HTTP_PROXY": proxy.url, "http_proxy": proxy.url}
    run = subprocess.run(
        [sys.executable, "-c", PROXY, how],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert run.stdout.strip() == ("200" if how == "trusted" else "ServiceUnavailable")
    seen = [request.target for request in proxy.requests]
    assert seen == (["http://service.invalid/people?a=1"] if how == "trusted" else [])


TUNNEL = """
import sys
from infrastructure.external_services import ApiClient, RequestPolicy

url, bundle = sys.argv[1:]
policy = RequestPolicy(deadline=1, connect_timeout=9, read_timeout=9)
api = ApiClient(url, trust_environment=True, ca_bundle=bundle, policy=policy)
try:
    print(api.get("people", params={"key": "hidden"}).status)
except Exception as error:
    print(type(error).__name__, error.outcome, error.elapsed < 1.3)
"""


@pytest.mark.parametrize("way", ["works", "drips", "drips in the handshake", "refuses"])
def test_a_proxy_of_https_keeps_to_the_deadline(
    way: str, serve: MakeServer, tls: Any, ca_bundle: Path
) -> None:
    def behave(request: Seen, talk: Talk) -> None:
        if request.method == "GET":
            return talk.reply()
        if way == "drips":
            return talk.drip_without_end()
        if way == "refuses":
            return talk.reply(407)
        talk.send(b"HTTP/1.1 200 Connected\r\n\r\n")
        if way == "drips in the handshake":
            talk.sock.recv(1)  # it is for the client to begin
            talk.send(b"\x16\x03\x03\x3e\x80\x02\x00\x3e\x7c")
            return talk.drip_without_end()
        talk.sock = tls.wrap_socket(talk.sock, server_side=True)
        return None

    proxy = serve(behave)
    run = subprocess.run(
        [sys.executable, "-c", TUNNEL, "https://127.0.0.1:1", str(ca_bundle)],
        env=os.environ | {"HTTPS_PROXY": proxy.url, "https_proxy": proxy.url, "no_proxy": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    expected = {"works": "200", "refuses": "ServiceUnavailable not_executed True"}
    assert run.stdout.strip() == expected.get(way, "ServiceTimeout not_executed True")
    assert proxy.requests[0][:2] == ("CONNECT", "127.0.0.1:1")
    told = [request.target for request in proxy.requests if request.method == "GET"]
    assert told == (["/people?key=hidden"] if way == "works" else [])


def test_no_other_origin_is_told(serve: MakeServer, connect: MakeClient) -> None:
    other = serve()

    def behave(request: Seen, talk: Talk) -> None:
        if request.target.startswith("/pages"):
            link = f'<{other.url}/pages?page=2>; rel="next"'
            talk.reply_json([1], headers={"Link": link})
        else:
            talk.send(head(307, {"Location": f"{other.url}/new"}, length=0))

    policy = RequestPolicy(redirects=5)
    api = connect(serve(behave), auth=Bearer(CANARY), policy=policy)
    for call in (lambda: list(api.pages("pages", into=list[int])), lambda: api.get("old")):
        with pytest.raises(ExternalServiceError):
            call()
    assert other.connections == 0


def test_cookies_are_not_kept(serve: MakeServer, connect: MakeClient) -> None:
    server = serve(lambda request, talk: talk.reply(200, b"{}", {"Set-Cookie": "id=1; Path=/"}))
    api = connect(server, policy=QUICK)
    api.get("people")
    api.get("people")
    assert "cookie" not in server.requests[1].headers
