"""A server of plain sockets and threads, which can do all that a service must not do."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, NamedTuple, Self

LONGEST = 60.0
"""Seconds that a stall takes, if the server is not stopped before."""


class Seen(NamedTuple):
    """A request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int

    def json(self) -> Any:
        return json.loads(self.body)


class Talk:
    """One connection, from the side of the server."""

    def __init__(self, server: Server, sock: socket.socket, number: int) -> None:
        self.server = server
        self.sock = sock
        self.number = number
        self.is_open = True
        self._pending = b""

    # -- what a service does ---------------------------------------------------------------

    def reply(
        self,
        status: int = 200,
        body: bytes = b"{}",
        headers: dict[str, str] | Iterable[tuple[str, str]] = (),
        *,
        kind: str = "application/json",
    ) -> None:
        self.send(head(status, headers, kind=kind, length=len(body)) + body)

    def reply_json(
        self, value: Any, status: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        self.reply(status, json.dumps(value).encode(), headers or {})

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    # -- what it must not do ---------------------------------------------------------------

    def stall(self, seconds: float = LONGEST) -> None:
        """Nothing happens."""
        self.server.stopped.wait(seconds)

    def drip(self, data: bytes, every: float = 0.05) -> None:
        """A byte now and then."""
        for at in range(len(data)):
            if self.server.stopped.wait(every):
                return
            self.send(data[at : at + 1])

    def drip_without_end(self, byte: bytes = b"x", every: float = 0.05) -> None:
        while not self.server.stopped.wait(every):
            self.send(byte)

    def close(self) -> None:
        """An orderly end, wherever the answer was."""
        self.is_open = False
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()

    def reset(self) -> None:
        """The end of a peer that has crashed."""
        self.is_open = False
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    # -- what it reads ---------------------------------------------------------------------

    def read_request(self) -> Seen | None:
        """The next request on this connection; None if it has ended."""
        lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        if not lines[0]:
            return None
        method, target, _ = lines[0].split(" ")
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines[1:] if line)
        }
        return Seen(method, target, headers, self._body(headers), self.number)

    def _body(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(self._until(b"\r\n"), 16):
                body += self._exactly(size + 2)[:-2]
            self._exactly(2)
            return body
        return self._exactly(int(headers.get("content-length", 0)))

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._pending:
            if not self._more():
                return b""
        found, _, self._pending = self._pending.partition(mark)
        return found

    def _exactly(self, size: int) -> bytes:
        while len(self._pending) < size:
            if not self._more():
                raise ConnectionError("the request was cut short")
        found, self._pending = self._pending[:size], self._pending[size:]
        return found

    def _more(self) -> bool:
        data = self.sock.recv(65536)
        self._pending += data
        return bool(data)


Behaviour = Callable[[Seen, Talk], object]


def head(
    status: int = 200,
    headers: dict[str, str] | Iterable[tuple[str, str]] = (),
    *,
    kind: str | None = "application/json",
    length: int | None = None,
) -> bytes:
    """The first lines of an answer."""
    pairs = list(headers.items() if isinstance(headers, dict) else headers)
    if kind is not None and not any(name.lower() == "content-type" for name, _ in pairs):
        pairs.append(("Content-Type", kind))
    if length is not None:
        pairs.append(("Content-Length", str(length)))
    lines = [f"HTTP/1.1 {status} Whatever", *(f"{name}: {value}" for name, value in pairs)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def chunked(*pieces: bytes) -> bytes:
    """The pieces as chunks, and the last one."""
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


class Server:
    """Answers each request as ``behave`` does; ``greet`` comes before TLS, ``settle`` after it."""

    def __init__(
        self,
        behave: Behaviour | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        greet: Callable[[Talk], object] | None = None,
        settle: Callable[[Talk], object] | None = None,
    ) -> None:
        self.behave = behave or (lambda request, talk: talk.reply())
        self.greet = greet
        self.settle = settle
        self.requests: list[Seen] = []
        self.connections = 0
        self.stopped = threading.Event()
        self.errors: list[BaseException] = []
        self._tls = tls
        self._talks: list[Talk] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"{'http' if self._tls is None else 'https'}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def close_listener(self) -> None:
        """From now on, connections are refused."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def stop(self) -> None:
        self.stopped.set()
        self.close_listener()
        for talk in list(self._talks):
            talk.close()
        for thread in self._threads:
            thread.join(5)
        assert not self.errors, self.errors

    def _accept(self) -> None:
        while not self.stopped.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            talk = Talk(self, sock, self.connections)
            self._talks.append(talk)
            thread = threading.Thread(target=self._serve, args=(talk,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, talk: Talk) -> None:
        try:
            self._converse(talk)
        except (OSError, ValueError):  # the client has gone, or the test is over
            pass
        except BaseException as error:  # noqa: BLE001 -- shown by the test that stops the server
            self.errors.append(error)
        finally:
            with suppress(OSError):
                talk.sock.close()

    def _converse(self, talk: Talk) -> None:
        if self.greet is not None:
            self.greet(talk)
        if self._tls is not None and talk.is_open:
            talk.sock = self._tls.wrap_socket(talk.sock, server_side=True)
        if self.settle is not None and talk.is_open:
            self.settle(talk)
        while talk.is_open and (request := talk.read_request()) is not None:
            self.requests.append(request)
            self.behave(request, talk)


class FullBacklog:
    """A port that nobody accepts at: once its queue is full, a connection is not made."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=0)
        self.port = self._listener.getsockname()[1]
        self._waiting = []
        for _ in range(4):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", self.port))
            self._waiting.append(sock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for sock in [*self._waiting, self._listener]:
            sock.close()


PEAK = """
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
"""
"""The most memory, in MB, that a program has had (getrusage begins with that of its parent)."""


def unused_port() -> int:
    """One at which connections are refused."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
