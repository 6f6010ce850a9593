"""What a client gives to a transport, and what it gets back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from infrastructure.external_services.headers import Headers

Fault = Literal["unavailable", "timeout", "garbage"]


@dataclass(frozen=True, slots=True, repr=False)
class Request:
    """One request, ready to be sent. ``path`` and ``query`` are encoded already."""

    method: str
    origin: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Iterable[bytes] | None = None

    @property
    def target(self) -> str:
        """Path and query, as they stand in the first line of the request."""
        return f"{self.path}?{self.query}" if self.query else self.path

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.origin}{self.path}>"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one exchange may take: seconds, a point on the clock of the transport, and bytes."""

    until: float
    connect: float
    read: float
    body: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. The content is decoded, and empty if that of an error is unreadable."""

    status: int
    headers: Headers
    content: bytes = field(default=b"", repr=False)


class Failure(Exception):
    """There is no answer, or none that can be used.

    ``sent`` is whether a part of the request may have reached the peer, ``status``
    that of the answer, if it came so far, and ``peer`` whether the peer is to blame.
    """

    def __init__(
        self,
        fault: Fault,
        reason: str,
        *,
        sent: bool = True,
        status: int | None = None,
        peer: bool = True,
    ) -> None:
        super().__init__(reason)
        self.fault: Fault = fault
        self.reason = reason
        self.sent = sent
        self.status = status
        self.peer = peer


class Transport(Protocol):
    """Carries requests to one service, and tells the time. To be shared between threads."""

    def exchange(self, request: Request, limits: Limits, /) -> Answer:
        """Send it once, and read the answer; raises ``Failure``."""
        ...

    def now(self) -> float:
        """Seconds on a clock that never goes back."""
        ...

    def sleep(self, seconds: float, /) -> None:
        """Let the time pass."""
        ...

    def close(self) -> None:
        """Give up connections that are not in use."""
        ...
