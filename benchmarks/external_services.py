"""What a request of the client costs: python -m benchmarks.external_services.

Beside a bare session of requests, which has no deadline and no limit, and beside one
that is set up as its documentation and that of urllib3 suggest.

The server is a process of its own, on this machine, and answers at once. All are
measured in turns, each on one connection that is kept.
"""

from __future__ import annotations

import json
import multiprocessing
import socket
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from infrastructure.external_services import ApiClient

REQUESTS = 200
"""For each turn."""

SECONDS = 20.0
BODIES = {
    "a small answer": {"id": 1, "name": "Ada Lovelace"},
    "100 kB of JSON": [{"id": number, "name": "Ada Lovelace"} for number in range(2_500)],
}


def answer(ready: Connection) -> None:
    """A server that knows the bodies by their number, and nothing else."""
    answers = [_answer(json.dumps(body).encode()) for body in BODIES.values()]
    listener = socket.create_server(("127.0.0.1", 0))
    ready.send(listener.getsockname()[1])
    connections: dict[int, socket.socket] = {}
    import selectors  # noqa: PLC0415 -- in the process of the server alone

    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is listener:
                sock, _ = listener.accept()
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connections[sock.fileno()] = sock
                selector.register(sock, selectors.EVENT_READ)
                continue
            sock = connections[key.fd]
            request = sock.recv(65536)
            if not request:
                selector.unregister(sock)
                connections.pop(key.fd).close()
                continue
            sock.sendall(answers[int(request[5:6])])


def _answer(body: bytes) -> bytes:
    head = (
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nServer: benchmark\r\n"
        "Date: Fri, 27 Nov 2026 02:00:00 GMT\r\nCache-Control: no-store\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


@contextmanager
def server() -> Iterator[str]:
    """The URL of one."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=answer, args=(theirs,), daemon=True
    )
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.terminate()
        process.join()


Get = Callable[[str], Any]


@contextmanager
def contenders(url: str) -> Iterator[dict[str, Get]]:
    """Each gets a path, and gives the JSON that it holds."""
    bare, careful = requests.Session(), requests.Session()
    retries = Retry(3, status_forcelist=[429, 502, 503, 504], backoff_factor=0.2)
    careful.mount("http://", HTTPAdapter(max_retries=retries))
    careful.trust_env = False

    def checked(path: str) -> Any:
        response = careful.get(f"{url}/{path}", timeout=(5, 15), allow_redirects=False)
        response.raise_for_status()
        return response.json()

    with ApiClient(url) as api:
        yield {
            "requests.Session": lambda path: bare.get(f"{url}/{path}").json(),
            "Session, Retry, timeout": checked,
            "ApiClient": lambda path: api.get(path).json(),
        }


def timed(get: Get, path: str) -> float:
    """Seconds for one request."""
    begun = time.perf_counter()
    for _ in range(REQUESTS):
        get(path)
    return (time.perf_counter() - begun) / REQUESTS


def measure(all_of_them: dict[str, Get], path: str) -> dict[str, float]:
    """The median of each."""
    found: dict[str, list[float]] = {name: [] for name in all_of_them}
    for get in all_of_them.values():
        timed(get, path)  # its connection is there now
    end = time.perf_counter() + SECONDS / len(BODIES)
    while time.perf_counter() < end:
        for name, get in all_of_them.items():
            found[name].append(timed(get, path))
    return {name: statistics.median(seconds) for name, seconds in found.items()}


def main() -> None:
    """Measure and print."""
    with server() as url, contenders(url) as all_of_them:
        for number, (title, body) in enumerate(BODIES.items()):
            for name, get in all_of_them.items():
                if get(str(number)) != body:
                    raise AssertionError(f"{name} reads something else")
            print(f"GET, {title}:")
            medians = measure(all_of_them, str(number))
            for name, seconds in medians.items():
                ratio = seconds / medians["requests.Session"]
                print(f"  {name:24} {seconds * 1e6:6.0f} µs  {ratio:5.2f} ×")


if __name__ == "__main__":
    main()
