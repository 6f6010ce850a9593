"""One client for many threads, for processes that fork, and until it is closed."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from domain.errors import ExternalServiceError, ServiceUnavailable
from infrastructure.external_services import (
    ApiClient,
)
from tests.external_services.conftest import MakeClient, MakeServer
from tests.external_services.server import Seen, Talk


def test_one_client_serves_many_threads(serve_both: MakeServer, connect: MakeClient) -> None:
    server = serve_both(lambda request, talk: talk.reply_json(request.target))
    api = connect(server, pool_size=4)
    wrong: list[object] = []

    def work(number: int) -> None:
        for turn in range(50):
            try:
                path = f"/people/{number}/{turn}"
                if api.get(path, into=str) != path:
                    wrong.append(path)
            except Exception as error:  # noqa: BLE001 -- none of them may happen
                wrong.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(server.requests) == 600
    assert server.connections <= 4


def test_nothing_is_logged_above_info(
    serve: MakeServer, connect: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(1)
    api = connect(serve(lambda request, talk: talk.reply(503)), pool_size=1)
    with pytest.raises(ServiceUnavailable):
        api.get("people")
    assert {record.levelno for record in caplog.records} <= {logging.DEBUG, logging.INFO}


def test_a_closed_client_says_so(serve: MakeServer, connect: MakeClient) -> None:
    server = serve()
    with connect(server) as api:
        assert api.get("people").status == 200
    with pytest.raises(ExternalServiceError, match="closed") as raised:
        api.get("people")
    assert raised.value.outcome == "not_executed"
    api.close()
    assert len(server.requests) == 1


def test_closing_lets_a_call_come_to_its_end(serve: MakeServer, connect: MakeClient) -> None:
    arrived, go = threading.Event(), threading.Event()

    def behave(request: Seen, talk: Talk) -> None:
        arrived.set()
        go.wait(5)
        talk.reply_json("done" if request.target == "/last" else {})

    server = serve(behave)
    api = connect(server)
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(api.get("last", into=str)))
    thread.start()
    arrived.wait(5)
    api.close()
    go.set()
    thread.join()
    assert found == ["done"]


def test_closing_ends_the_attempts(serve: MakeServer, connect: MakeClient) -> None:
    api: ApiClient

    def behave(request: Seen, talk: Talk) -> None:
        api.close()
        talk.reply(503)

    server = serve(behave)
    api = connect(server)
    with pytest.raises(ServiceUnavailable) as raised:
        api.get("people")
    assert raised.value.attempts == 1
    assert len(server.requests) == 1


FORK = """
import os, sys, threading
from infrastructure.external_services import ApiClient

url, bundle = sys.argv[1:]
api = ApiClient(url, ca_bundle=bundle)
held = threading.Event()

def hold():
    with api._up.breaker._lock:
        for _ in range(20):
            api._up.transport._slots.acquire()
        held.set()
        threading.Event().wait()

def in_child(work):
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException as error:
            print(type(error), error, flush=True)
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

assert api.get("parent", into=str) == "/parent"
for number in range(3):
    path = f"/child{number}"
    in_child(lambda: [api.get(path, into=str) == path or 1 / 0 for _ in "ab"])
    assert api.get("parent", into=str) == "/parent"
threading.Thread(target=hold, daemon=True).start()
held.wait()
in_child(lambda: api.get("locked", into=str) == "/locked" or 1 / 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_has_connections_of_its_own(serve_both: MakeServer, ca_bundle: Path) -> None:
    server = serve_both(lambda request, talk: talk.reply_json(request.target))
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK, server.url, str(ca_bundle)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    of = {request.target: set[int]() for request in server.requests}
    for request in server.requests:
        of[request.target].add(request.connection)
    assert of == {"/parent": {1}, "/child0": {2}, "/child1": {3}, "/child2": {4}, "/locked": {5}}
