"""A service that says what a test has written down, in place of the network.

    with ScriptedTransport(Reply(503), Reply(json={"id": 1})) as service:
        api = ApiClient("https://api.example.com", transport=service)
        assert api.get("people/1", into=dict) == {"id": 1}
    assert [request.path for request in service.requests] == ["/people/1", "/people/1"]

Time is the script's own: pauses and delays take none, and deadlines pass all the same.
"""

from __future__ import annotations

import json as json_text
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs

from infrastructure.external_services.bodies import Undecodable, content_of
from infrastructure.external_services.deadlines import TooMuch
from infrastructure.external_services.exchanges import Answer, Failure, Limits, Request
from infrastructure.external_services.failing import (
    CUT,
    LOST,
    NO_ANSWER,
    NO_CONNECTION,
    REFUSED,
    too_long,
)
from infrastructure.external_services.headers import Headers

_NOTHING: Any = object()


@dataclass(frozen=True)
class Reply:
    """An answer, ``after`` so many seconds. ``json`` is sent as JSON, or ``content`` as it is."""

    status: int = 200
    json: Any = _NOTHING
    content: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    after: float = 0.0

    @property
    def fields(self) -> Headers:
        kind = {} if self.json is _NOTHING else {"Content-Type": "application/json"}
        return Headers(kind | dict(self.headers))

    @property
    def body(self) -> bytes:
        return self.content if self.json is _NOTHING else json_text.dumps(self.json).encode()


@dataclass(frozen=True)
class NoConnection:
    """It refuses to be connected to, so that nothing is sent."""

    after: float = 0.0


@dataclass(frozen=True)
class LostConnection:
    """The request was sent, and then the connection is lost: in the answer, if it has a status."""

    status: int | None = None
    after: float = 0.0


@dataclass(frozen=True)
class NoAnswer:
    """The request was sent, and nothing comes back until the client gives up."""

    after: float = float("inf")


Event = Reply | NoConnection | LostConnection | NoAnswer


@dataclass(frozen=True)
class Asked:
    """A request as the service got it."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: Headers
    body: bytes

    def json(self) -> Any:
        return json_text.loads(self.body)


class ScriptedTransport:
    """What happens to each request, in order. To be given to ``ApiClient(transport=…)``.

    A request too many is an ``AssertionError``, and so is an event that is left over
    at the end of the ``with`` block. ``requests`` are those that came, ``pauses`` the
    seconds that were waited between them.
    """

    def __init__(self, *events: Event) -> None:
        self.requests: list[Asked] = []
        self.pauses: list[float] = []
        self._events = list(events)
        self._unexpected: list[str] = []
        self._time = 1_000_000.0
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        if exc is None:
            self.assert_done()

    def assert_done(self) -> None:
        """Everything in the script has happened, and nothing else."""
        if self._unexpected:
            raise AssertionError(f"not in the script: {', '.join(self._unexpected)}")
        if self._events:
            raise AssertionError(f"never asked for: {self._events}")

    # -- what a client asks of a transport -------------------------------------------------

    def now(self) -> float:
        return self._time

    def sleep(self, seconds: float, /) -> None:
        with self._lock:
            self.pauses.append(seconds)
            self._time += seconds

    def close(self) -> None:
        """There is nothing to give up."""

    def exchange(self, request: Request, limits: Limits, /) -> Answer:
        with self._lock:
            event = self._next(request)
            if isinstance(event, NoConnection):
                self._pass(event.after, min(limits.connect, limits.until - self._time), sent=False)
                raise Failure("unavailable", REFUSED, sent=False)
            self._pass(event.after, min(limits.read, limits.until - self._time), sent=True)
        if isinstance(event, Reply):
            return _answer(event, limits)
        status = event.status if isinstance(event, LostConnection) else None
        if status is not None and status >= 300:
            return Answer(status, Headers())  # the status of an error says enough
        raise Failure("unavailable", LOST if status is None else CUT, status=status)

    def _next(self, request: Request) -> Event:
        if not self._events:
            self._unexpected.append(f"{request.method} {request.path}")
            raise AssertionError(f"not in the script: {request.method} {request.path}")
        body = request.body if isinstance(request.body, bytes) else b"".join(request.body or ())
        query = parse_qs(request.query, keep_blank_values=True)
        headers = Headers(request.headers)
        self.requests.append(Asked(request.method, request.path, query, headers, body))
        return self._events.pop(0)

    def _pass(self, seconds: float, at_most: float, *, sent: bool) -> None:
        self._time += min(seconds, at_most)
        if seconds >= at_most:
            raise Failure("timeout", NO_ANSWER if sent else NO_CONNECTION, sent=sent)


def _answer(reply: Reply, limits: Limits) -> Answer:
    pieces: Iterable[bytes] = [reply.body]
    try:
        content = content_of(pieces, reply.fields, reply.status, limits.body)
    except TooMuch:
        failure = Failure("garbage", too_long(limits.body), status=reply.status)
    except Undecodable as error:
        failure = Failure("garbage", str(error), status=reply.status)
    else:
        return Answer(reply.status, reply.fields, content)
    if reply.status >= 300:
        return Answer(reply.status, reply.fields)
    raise failure
