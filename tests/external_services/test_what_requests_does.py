"""The traps are real: a bare session of requests walks into them. Or the other tests were blind."""

from __future__ import annotations

import gzip
import logging
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from tests.external_services.conftest import MakeServer
from tests.external_services.server import PEAK, Seen, Talk, head, unused_port


def test_its_timeout_does_not_end_a_drip(serve: MakeServer) -> None:
    server = serve(lambda request, talk: (talk.send(head(length=20)), talk.drip(b"x" * 20)))
    began = time.monotonic()
    with requests.Session() as session:
        assert session.get(server.url, timeout=0.3).content == b"x" * 20
    assert time.monotonic() - began > 0.9


def test_a_key_follows_a_redirect_to_another_origin(serve: MakeServer) -> None:
    other = serve()
    server = serve(lambda request, talk: talk.reply(302, b"", {"Location": other.url}))
    with requests.Session() as session:
        session.get(server.url, headers={"X-Api-Key": "canary"})
    assert other.requests[0].headers["x-api-key"] == "canary"


def test_netrc_takes_the_place_of_a_header(
    serve: MakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login user password canary\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    server = serve()
    with requests.Session() as session:
        session.get(server.url, headers={"Authorization": "Bearer explicit"})
    assert server.requests[0].headers["authorization"].startswith("Basic ")


def test_its_errors_and_the_log_show_the_query(
    serve: MakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with requests.Session() as session:
        session.get(serve().url, params={"key": "canary"})
        with pytest.raises(requests.ConnectionError, match="canary"):
            session.get(f"http://127.0.0.1:{unused_port()}", params={"key": "canary"})
    assert "canary" in caplog.text


BOMB = """
import sys, requests
session = requests.Session()
session.get(sys.argv[1] + "/small").content
before = peak()
session.get(sys.argv[1]).content
print(round(peak() - before))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_it_unfolds_whatever_comes(serve: MakeServer) -> None:
    bomb = gzip.compress(bytes(50 * 1024 * 1024))

    def behave(request: Seen, talk: Talk) -> None:
        small = request.target == "/small"
        talk.reply(200, b"{}" if small else bomb, {} if small else {"Content-Encoding": "gzip"})

    run = subprocess.run(
        [sys.executable, "-c", PEAK + BOMB, serve(behave).url],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert int(run.stdout) > 40
