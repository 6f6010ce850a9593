"""What cannot be sent is refused before anything is; what cannot be read is named."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel, field_validator

from domain.errors import BadResponse, ValidationError
from infrastructure.external_services import (
    ApiClient,
    ApiKey,
    Basic,
    Bearer,
    BreakerPolicy,
    RequestPolicy,
)
from infrastructure.testing import Reply, ScriptedTransport

URL = "https://api.example.com/v1"


class PersonOut(BaseModel):
    id: int
    name: str


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.example.com",
        "/v1",
        "//api.example.com",
        "ftp://api.example.com",
        "file:///etc/passwd",
        "https:/api.example.com",
        "https:api.example.com",
        "https://",
        "https:///v1",
        "https://:443",
        "https://api.example.com:0",
        "https://api.example.com:99999",
        "https://api.example.com:port",
        "https://api..example.com",
        "https://-",
        "https://api example.com",
        " https://api.example.com",
        "https://api.example.com\n",
        "https://api.example.com\\@evil.example",
        "https://user@api.example.com",
        "https://user:password@api.example.com",
        "https://api.example.com?key=1",
        "https://api.example.com#part",
        "https://api.example.com/a/../b",
        "https://api.example.com/%2e%2e/b",
        "https://[::1",
        "https://[nonsense]/",
        None,
        b"https://api.example.com",
    ],
)
def test_a_base_url_that_is_none(url: Any) -> None:
    with pytest.raises(ValidationError) as raised:
        ApiClient(url)
    assert list(raised.value.errors) in (["base_url"], ["path"])
    assert raised.value.entity == "ApiClient"


@pytest.mark.parametrize(
    ("base", "path", "target"),
    [
        ("https://api.example.com", "people", "/people"),
        ("https://api.example.com/", "/people", "/people"),
        ("https://api.example.com/v1", "people/1", "/v1/people/1"),
        ("https://api.example.com/v1/", "people/", "/v1/people/"),
        ("HTTPS://API.EXAMPLE.COM:443/v1", "", "/v1"),
        ("https://api.example.com", "", "/"),
        ("https://api.example.com", "a b/é", "/a%20b/%C3%A9"),
        ("https://api.example.com", "a%20b%2Fc", "/a%20b%2Fc"),
        ("https://api.example.com", "100%", "/100%25"),
        ("https://api.example.com", "people:batch", "/people:batch"),
        ("https://api.example.com", "a..b/...", "/a..b/..."),
        ("https://bücher.example", "a", "/a"),
        ("http://[::1]:8000/v1", "a", "/v1/a"),
    ],
)
def test_a_path_is_below_the_base(base: str, path: str, target: str) -> None:
    with ScriptedTransport(Reply()) as service:
        ApiClient(base, transport=service).get(path)
    assert service.requests[0].path == target


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example",
        "///evil.example",
        "https://evil.example",
        "HTTP://evil.example/x",
        "javascript:/x",
        "..",
        "../x",
        "a/../../x",
        "a/./b",
        "%2e%2e/x",
        "%2E./x",
        "a/%2e",
        "..%2fx",
        "a%2f..%2fb",
        "%252e%252e/x",
        "%25252525252e",
        "a\\b",
        "\\\\evil.example",
        "%5c..%5cx",
        "a\nb",
        "a\rb",
        "a\x00b",
        "a%00b",
        "a%0d%0ab",
        "a\x7fb",
        "a?b=1",
        "a#b",
        "\ud800",
        None,
        7,
        b"people",
    ],
)
def test_a_path_that_leads_elsewhere(path: Any) -> None:
    with ScriptedTransport() as service:
        api = ApiClient(URL, transport=service)
        calls: list[Callable[[], Any]] = [
            lambda: api.get(path),
            lambda: api.post(path, json={}),
            lambda: api.pages(path, into=list[int]),
        ]
        for call in calls:
            with pytest.raises(ValidationError) as raised:
                call()
            assert list(raised.value.errors) == ["path"]


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Note": "a\nb"},
        {"X-Note": "a\r\nX-Evil: 1"},
        {"X-Note": "a\x00b"},
        {"X-Note": "日本"},
        {"X-Note": 7},
        {"X-Note": None},
        {"X-Note": b"bytes"},
        {"X Note": "a"},
        {"X-Note:": "a"},
        {"": "a"},
        {7: "a"},
        {"X\nNote": "a"},
        {"Host": "evil.example"},
        {"content-length": "7"},
        {"Transfer-Encoding": "chunked"},
        {"Connection": "close"},
        {"Accept-Encoding": "br"},
        {"Idempotency-Key": "x"},
        ["X-Note"],
        "X-Note: a",
    ],
)
def test_a_header_that_cannot_be_sent(headers: Any) -> None:
    with ScriptedTransport() as service:
        api = ApiClient(URL, transport=service)
        with pytest.raises(ValidationError, match="headers"):
            api.get("people", headers=headers)
        with pytest.raises(ValidationError, match="headers"):
            ApiClient(URL, headers=headers)
        with pytest.raises(ValidationError, match="auth"):
            ApiClient(URL, auth=lambda: headers, transport=service).get("people")


def test_pages_are_lists() -> None:
    with ScriptedTransport() as service, pytest.raises(ValidationError, match="into"):
        ApiClient(URL, transport=service).pages("people", into=PersonOut)  # type: ignore[arg-type]


def test_headers_are_sent_as_they_are_and_the_nearest_wins() -> None:
    with ScriptedTransport(Reply()) as service:
        api = ApiClient(
            URL,
            transport=service,
            auth=Bearer("token"),
            headers={"User-Agent": "shop/1.0", "X-Note": "é", "accept": "text/plain"},
        )
        api.get("people", headers={"x-note": " b ", "Authorization": "Custom 1"})
    sent = service.requests[0].headers
    assert (sent["User-Agent"], sent["X-Note"], sent["Accept"]) == ("shop/1.0", "b", "text/plain")
    assert sent["Authorization"] == "Custom 1"
    assert len([name for name in sent if name.lower() == "accept"]) == 1


@pytest.mark.parametrize(
    "content", [iter([b"a"]), (b for b in [b"a"]), io.BytesIO(b"a")], ids=["iter", "gen", "file"]
)
def test_a_body_that_can_be_sent_only_once(content: Any) -> None:
    with ScriptedTransport(Reply(), Reply()) as service:
        api = ApiClient(URL, transport=service)
        for call in (
            lambda: api.put("people/1", content=content),
            lambda: api.post("people", content=content, idempotency_key=True),
        ):
            with pytest.raises(ValidationError, match="sent only once"):
                call()
        assert api.post("people", content=content).status == 200
        once = ApiClient(URL, transport=service, policy=RequestPolicy(attempts=1))
        assert once.put("people/1", content=iter([b"a", b"b"])).status == 200
    assert [request.body for request in service.requests] == [b"a", b"ab"]


@pytest.mark.parametrize("value", [object(), math.nan, [math.inf], {"a": {1: object()}}, b"\xff"])
def test_what_json_cannot_express(value: Any) -> None:
    with pytest.raises(ValidationError, match="json"), ScriptedTransport() as service:
        ApiClient(URL, transport=service).post("people", json=value)


def test_a_text_that_only_looks_like_no_number_is_sent() -> None:
    with ScriptedTransport(Reply(json={"name": "NaN Infinity"})) as service:
        api = ApiClient(URL, transport=service)
        assert api.post("people", json={"name": "NaN"}, into=dict) == {"name": "NaN Infinity"}
    assert service.requests[0].json() == {"name": "NaN"}


@pytest.mark.parametrize(
    "options",
    [
        {"json": {}, "content": b""},
        {"content": 7},
        {"content": {"a": 1}},
        {"idempotency_key": ""},
        {"idempotency_key": " "},
        {"idempotency_key": "a\nb"},
        {"idempotency_key": 7},
        {"idempotency_key": "é"},
        {"params": [("a", 1)]},
        {"params": {"a": object()}},
        {"params": {"a": b"x"}},
        {"params": {1: "x"}},
        {"params": {"a": "\ud800"}},
        {"into": 7},
        {"into": "PersonOut"},
        {"into": {}},
    ],
)
def test_other_things_that_cannot_be_sent(options: dict[str, Any]) -> None:
    with ScriptedTransport() as service:
        api = ApiClient(URL, transport=service)
        with pytest.raises(ValidationError) as raised:
            api.post("people", **options)
        assert set(options) & {name.partition("[")[0] for name in raised.value.errors}


@pytest.mark.parametrize(
    "make",
    [
        lambda: RequestPolicy(deadline=0),
        lambda: RequestPolicy(deadline=math.inf),
        lambda: RequestPolicy(connect_timeout=-1),
        lambda: RequestPolicy(read_timeout=math.nan),
        lambda: RequestPolicy(read_timeout="1"),  # type: ignore[arg-type]
        lambda: RequestPolicy(attempts=0),
        lambda: RequestPolicy(attempts=1.5),  # type: ignore[arg-type]
        lambda: RequestPolicy(attempts=True),
        lambda: RequestPolicy(redirects=-1),
        lambda: RequestPolicy(body_limit=0),
        lambda: RequestPolicy(breaker=5),  # type: ignore[arg-type]
        lambda: BreakerPolicy(failures=0),
        lambda: BreakerPolicy(probes=0),
        lambda: BreakerPolicy(cooldown=0),
        lambda: ApiClient(URL, pool_size=0),
        lambda: ApiClient(URL, policy=3),  # type: ignore[arg-type]
        lambda: ApiClient(URL, auth=("user", "password")),  # type: ignore[arg-type]
        lambda: ApiClient(URL, ca_bundle=Path("/nowhere/ca.pem")),
        lambda: Bearer(""),
        lambda: Bearer(7),  # type: ignore[arg-type]
        lambda: Basic("a:b", "c"),
        lambda: Basic("a", None),  # type: ignore[arg-type]
        lambda: ApiKey("X-Key", " "),
    ],
)
def test_a_setting_that_is_none(make: Callable[[], Any]) -> None:
    with pytest.raises(ValidationError):
        make()


# -- answers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "application/json"),
        (b"<html>", "application/json"),
        (b'{"id": 1, "name": "Ada"}', "text/html"),
        (b'{"id": 1, "name": "Ada"', "application/json"),
        (b'{"id": NaN, "name": "Ada"}', "application/json"),
        (b'{"id": 1, "name": "Ada", "x": -Infinity}', "application/json"),
        (b'{"id": 1, "name": "\xe9"}', "application/json; charset=latin-1"),
        (b'{"id": 1, "name": "Ada"} {}', "application/json"),
        (b"[" * 100_000, "application/json"),
        ('{"id": 1, "name": "Ada"}'.encode("utf-16"), "application/json; charset=utf-16"),
    ],
)
def test_a_body_that_is_no_json(content: bytes, kind: str) -> None:
    reply = Reply(content=content, headers={"Content-Type": kind})
    with ScriptedTransport(reply) as service, pytest.raises(BadResponse) as raised:
        ApiClient(URL, transport=service).get("people/1", into=PersonOut)
    error = raised.value
    assert (error.status, error.outcome, error.attempts) == (200, "executed", 1)
    assert error.__cause__ is error.__context__ is None


class Cat(BaseModel):
    kind: Literal["cat"]


class Strict(BaseModel):
    age: int

    @field_validator("age")
    @classmethod
    def not_secret(cls, age: int) -> int:
        raise ValueError(f"{age} is what must not be repeated")


@pytest.mark.parametrize(
    ("value", "into", "fields"),
    [
        ({"id": "secret", "name": 7}, PersonOut, {"id", "name"}),
        ({}, PersonOut, {"id", "name"}),
        ([{"id": 1, "name": "Ada"}, {"id": 2}], list[PersonOut], {"1.name"}),
        ("secret", int, {"(all)"}),
        ({"age": 4711}, Strict, {"age"}),
        ({"kind": "secret"}, Cat, {"kind"}),
        ([], dict[str, int], {"(all)"}),
    ],
)
def test_a_body_that_does_not_fit_is_named_by_its_fields(
    value: Any, into: Any, fields: set[str]
) -> None:
    with ScriptedTransport(Reply(json=value)) as service, pytest.raises(BadResponse) as raised:
        ApiClient(URL, transport=service).get("people/1", into=into)
    assert set(raised.value.errors) == fields
    assert "secret" not in str(raised.value)
    assert "4711" not in str(raised.value)
    for field in fields:
        assert field in str(raised.value)


@dataclass
class Point:
    x: int
    y: int = 0


@pytest.mark.parametrize(
    ("value", "into", "expected"),
    [
        ({"id": 1, "name": "Ada"}, PersonOut, PersonOut(id=1, name="Ada")),
        ([{"id": 1, "name": "Ada"}], list[PersonOut], [PersonOut(id=1, name="Ada")]),
        ({"a": 1}, dict, {"a": 1}),
        ({"x": 3}, Point, Point(3)),
        ([1, 2], set[int], {1, 2}),
        (3, int, 3),
        ("a", str, "a"),
    ],
)
def test_a_body_becomes_what_is_asked_for(value: Any, into: Any, expected: Any) -> None:
    with ScriptedTransport(Reply(json=value), Reply(json=value)) as service:
        api = ApiClient(URL, transport=service)
        assert api.get("x", into=into) == expected
        assert api.get("x").into(into) == expected


def test_a_byte_order_mark_is_ignored_and_other_json_types_are_json() -> None:
    kinds = ["application/vnd.api+json", "text/json", "Application/JSON; charset=utf-8"]
    replies = [Reply(content=b"\xef\xbb\xbf[1]", headers={"content-type": kind}) for kind in kinds]
    with ScriptedTransport(*replies, Reply(content=b"[1]")) as service:
        api = ApiClient(URL, transport=service)
        assert [api.get("x", into=list[int]) for _ in range(4)] == [[1]] * 4
