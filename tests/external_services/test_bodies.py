"""A body takes no more memory than is allowed, whatever it unfolds to."""

from __future__ import annotations

import gzip
import subprocess
import sys
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from domain.errors import BadResponse, Rejected
from infrastructure.external_services import RequestPolicy
from infrastructure.external_services.bodies import Undecodable, read
from infrastructure.external_services.deadlines import TooMuch
from tests.external_services.conftest import MakeClient, MakeServer
from tests.external_services.server import PEAK, Seen, Talk, chunked, head

MANY = 50 * 1024 * 1024
LIMIT = 1024 * 1024
POLICY = RequestPolicy(body_limit=LIMIT, attempts=3, backoff=0.01)


def packed(data: bytes) -> bytes:
    """The same each time: gzip notes the time otherwise."""
    return gzip.compress(data, 9, mtime=0)


def deflated(data: bytes, bits: int) -> bytes:
    packer = zlib.compressobj(9, wbits=bits)
    return packer.compress(data) + packer.flush()


@pytest.fixture(scope="module")
def bomb() -> bytes:
    """About 50 kB that unfold to 50 MB."""
    return packed(bytes(MANY))


PROGRAM = """
import sys
from domain.errors import BadResponse, Rejected
from infrastructure.external_services import ApiClient, RequestPolicy

policy = RequestPolicy(body_limit=1024 * 1024, attempts=1, breaker=None)
api = ApiClient(sys.argv[1], policy=policy)
api.get("small")
before = peak()
for status in ("200", "400"):
    for kind in sys.argv[2:]:
        try:
            api.get(f"{status}/{kind}")
            print(kind, "is not cut")
        except (BadResponse, Rejected) as error:
            print(status, type(error).__name__)
print(round(peak() - before))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_bombs_are_cut_with_little_memory(bomb: bytes, serve: MakeServer) -> None:
    def behave(request: Seen, talk: Talk) -> None:
        _, first, *rest = request.target.split("/")
        if first == "small":
            return talk.reply()
        status, kind = int(first), rest[0]
        if kind == "negative":
            talk.send(head(status, {"Transfer-Encoding": "chunked"}) + b"-1\r\n")
            return talk.send(bytes(MANY))
        if kind == "chunked":
            fields = {"Transfer-Encoding": "chunked", "Content-Encoding": "gzip"}
            return talk.send(head(status, fields) + chunked(bomb[:20000], bomb[20000:]))
        coding, body = BOMBS[kind](bomb)
        return talk.reply(status, body, {"Content-Encoding": coding} if coding else {})

    server = serve(behave)
    kinds = [*BOMBS, "negative", "chunked"]
    run = subprocess.run(
        [sys.executable, "-c", PEAK + PROGRAM, server.url, *kinds],
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    *outcomes, megabytes = run.stdout.splitlines()

    assert outcomes == ["200 BadResponse"] * len(kinds) + ["400 Rejected"] * len(kinds)
    assert int(megabytes) < 10


BOMBS: dict[str, Callable[[bytes], tuple[str, bytes]]] = {
    "gzip": lambda bomb: ("gzip", bomb),
    "deflate": lambda bomb: ("deflate", deflated(bytes(MANY), 15)),
    "raw": lambda bomb: ("Deflate", deflated(bytes(MANY), -15)),
    "twice": lambda bomb: ("gzip, x-gzip", packed(bomb)),
    "plain": lambda bomb: ("", bytes(MANY)),
}


def test_the_bomb_is_one(bomb: bytes) -> None:
    assert len(bomb) < 60_000
    assert len(gzip.decompress(bomb)) == MANY


def test_what_was_cut_is_not_asked_for_again_and_its_connection_is_not_used(
    bomb: bytes, serve_both: MakeServer, connect: MakeClient
) -> None:
    def behave(request: Seen, talk: Talk) -> None:
        if request.target == "/bomb":
            talk.reply(200, bomb, {"Content-Encoding": "gzip"})
        else:
            talk.reply()

    server = serve_both(behave)
    api = connect(server, policy=POLICY)
    with pytest.raises(BadResponse, match="body_limit") as raised:
        api.get("bomb")
    assert (raised.value.attempts, raised.value.outcome) == (1, "executed")
    assert [api.get("people").status for _ in range(2)] == [200, 200]
    assert server.connections == 2


def test_a_body_of_just_the_limit_is_taken(serve: MakeServer, connect: MakeClient) -> None:
    body = b"x" * LIMIT
    short = packed(body)
    server = serve(lambda _, talk: talk.reply(200, short, {"Content-Encoding": "gzip"}))
    assert connect(server, policy=POLICY).get("people").content == body


def test_an_error_whose_body_is_too_long_is_still_that_error(
    serve: MakeServer, connect: MakeClient
) -> None:
    server = serve(
        lambda _, talk: talk.reply(404, b'{"title": "' + b"x" * 100_000 + b'"}'),
    )
    with pytest.raises(Rejected) as raised:
        connect(server).get("people")
    assert (raised.value.status, raised.value.problem) == (404, None)


TEXT = b'{"name": "Ada"}' * 10


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("", TEXT),
        ("identity", TEXT),
        ("gzip", packed(TEXT)),
        ("GZIP", packed(TEXT)),
        ("x-gzip", packed(TEXT)),
        ("gzip", packed(TEXT[:70]) + packed(TEXT[70:])),
        ("deflate", deflated(TEXT, 15)),
        ("deflate", deflated(TEXT, -15)),
        ("gzip, gzip", packed(packed(TEXT))),
        ("deflate, gzip", packed(deflated(TEXT, 15))),
        ("gzip, identity", packed(TEXT)),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_codings(coding: str, body: bytes, size: int) -> None:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    assert read(pieces, coding, 10_000) == TEXT


@pytest.mark.parametrize("coding", ["", "gzip", "deflate", "gzip, gzip"])
def test_an_empty_body_is_empty_in_any_coding(coding: str) -> None:
    assert read([], coding, 10) == b""


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("br", b"x"),
        ("zstd", b"x"),
        ("gzip, br", b"x"),
        ("gzip", b"x"),
        ("deflate", b"x"),
        ("deflate", b"\xff\xff\xff"),
        ("gzip", packed(TEXT)[:-1]),
        ("gzip", packed(TEXT)[:-4] + b"0000"),
        ("gzip", packed(TEXT) + b"more"),
        ("deflate", deflated(TEXT, 15)[:-1]),
        ("gzip, gzip, gzip, gzip", b"x"),
    ],
)
def test_what_cannot_be_decoded(coding: str, body: bytes) -> None:
    with pytest.raises(Undecodable):
        read([body], coding, 10_000)


def test_what_unfolds_in_the_middle_counts_as_well() -> None:
    """A gzip of a gzip that holds nothing."""
    inner = packed(b"") * 100_000
    outer: Any = packed(inner)
    with pytest.raises(TooMuch):
        read([outer], "gzip, gzip", 1_000_000)
