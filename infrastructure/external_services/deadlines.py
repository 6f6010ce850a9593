"""Sockets and connections that keep to the time and the number of bytes of an exchange.

A timeout of ``requests`` is one for each read, so that a peer which sends a byte now
and then is waited for without end. Here, a socket asks before each operation how
long it may still take. Nothing has to be called off afterwards: no timer can come too
late and end the request of somebody else.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterable
from time import monotonic
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from infrastructure.external_services.exchanges import Limits

_FRAMING = 256 * 1024
"""Bytes that may come beside twice the body: header fields, and the sizes of chunks."""


class TooMuch(Exception):
    """The peer sends more than is accepted."""


class Exchange:
    """The time and the bytes that one request and its answer have, and how far they are."""

    __slots__ = ("bytes_left", "connect_until", "query", "read", "sent", "status", "until")

    def __init__(self, limits: Limits, query: str = "") -> None:
        self.until = limits.until
        self.read = limits.read
        self.connect_until = min(limits.until, monotonic() + limits.connect)
        self.bytes_left = 2 * limits.body + _FRAMING
        self.query = query
        self.sent = False
        self.status: int | None = None

    def patience(self) -> float:
        """How long to wait for the peer now."""
        return min(self.read, _left(self.until))

    def connect_patience(self) -> float:
        """How long to wait for the connection."""
        return _left(self.connect_until)

    def received(self, count: int) -> int:
        """Take note of bytes; the number again."""
        self.bytes_left -= count
        if self.bytes_left < 0:
            raise TooMuch
        return count


def _left(until: float) -> float:
    left = until - monotonic()
    if left <= 0:
        raise TimeoutError("no time is left")
    return left


class _Current(threading.local):
    """urllib3 has no place for it in its calls, but they stay in the thread of the caller."""

    exchange: Exchange | None = None


CURRENT = _Current()


def current() -> Exchange:
    """The exchange of this thread."""
    if CURRENT.exchange is None:
        raise RuntimeError("a connection is used outside of an exchange")
    return CURRENT.exchange


class BoundedSocket(socket.socket):
    """A socket whose operations end with its exchange."""

    exchange: Exchange | None = None

    def recv_into(self, *args: Any, **options: Any) -> int:
        if self.exchange is None:
            return super().recv_into(*args, **options)
        self.settimeout(self.exchange.patience())
        return self.exchange.received(super().recv_into(*args, **options))

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        if self.exchange is None:
            return super().sendall(data, flags)
        rest = memoryview(data)
        while rest:  # one timeout for all of it would be too short for a long body
            self.settimeout(self.exchange.patience())
            rest = rest[self.send(rest, flags) :]
        return None


class BoundedTLSSocket(ssl.SSLSocket):
    """The same over TLS. The handshake, and each operation, has its timeout as a whole."""

    exchange: Exchange | None = None

    def recv_into(self, *args: Any, **options: Any) -> int:
        if self.exchange is None:
            return super().recv_into(*args, **options)
        self.settimeout(self.exchange.patience())
        return self.exchange.received(super().recv_into(*args, **options))

    def send(self, *args: Any, **options: Any) -> int:  # also what sendall() is made of
        if self.exchange is not None:
            self.settimeout(self.exchange.patience())
        return super().send(*args, **options)


class _Bounded(HTTPConnection):
    """Keeps to the exchange of the thread that uses the connection."""

    _ready = False

    def _new_conn(self) -> socket.socket:
        exchange = current()
        try:
            found = socket.getaddrinfo(self._dns_host, self.port, 0, socket.SOCK_STREAM)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from None
        except UnicodeError:  # a part of it is too long for a name
            raise NewConnectionError(self, "no such name") from None
        try:
            return _connected(found, self.socket_options or (), exchange)
        except TimeoutError:
            raise ConnectTimeoutError(self, "no connection in time") from None
        except OSError as error:
            raise NewConnectionError(self, "no connection") from error

    def connect(self) -> None:
        self._ready = False
        super().connect()
        self._ready = True
        self._bind(current())

    def request(self, *args: Any, **options: Any) -> None:
        if self.sock is not None:
            self._bind(current())
        super().request(*args, **options)

    def _bind(self, exchange: Exchange) -> None:
        if not isinstance(self.sock, BoundedSocket | BoundedTLSSocket):
            raise TypeError(f"a {type(self.sock).__name__} does not keep to a deadline")
        self.sock.exchange = exchange

    def putrequest(
        self, method: str, url: str, skip_host: bool = False, skip_accept_encoding: bool = False
    ) -> None:
        # Not before: urllib3 writes the URL that it knows into its log.
        super().putrequest(method, url + current().query, skip_host, skip_accept_encoding)

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        if self._ready:  # and not a word to a proxy
            current().sent = True
        super().send(data)


def _connected(found: list[Any], options: Iterable[Any], exchange: Exchange) -> socket.socket:
    """A connection to the first address that takes it; each gets its part of the time."""
    failed: OSError = OSError("the name has no address")
    for position, (family, kind, protocol, _, address) in enumerate(found):
        sock = BoundedSocket(family, kind, protocol)
        sock.exchange = exchange  # from the beginning: a proxy is talked to before TLS
        try:
            for option in options:
                sock.setsockopt(*option)
            sock.settimeout(exchange.connect_patience() / (len(found) - position))
            sock.connect(address)
            sock.settimeout(exchange.connect_patience())  # for the handshake
        except OSError as error:
            sock.close()
            failed = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failed


class BoundedConnection(_Bounded):
    """Over TCP."""


class BoundedTLSConnection(_Bounded, HTTPSConnection):
    """Over TLS."""


class BoundedPool(HTTPConnectionPool):
    """Connections over TCP."""

    ConnectionCls: Any = BoundedConnection


class BoundedTLSPool(HTTPSConnectionPool):
    """Connections over TLS."""

    ConnectionCls: Any = BoundedTLSConnection


POOLS = {"http": BoundedPool, "https": BoundedTLSPool}
