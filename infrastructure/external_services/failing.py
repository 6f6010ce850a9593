"""What requests, urllib3 and the standard library raise, in words that hold no URL."""

from __future__ import annotations

import errno
import http.client
import os
import socket
import ssl
from collections.abc import Iterator

import requests
import urllib3.exceptions

from infrastructure.external_services.bodies import Undecodable
from infrastructure.external_services.deadlines import Exchange, TooMuch
from infrastructure.external_services.exchanges import Failure, Fault

_GARBAGE = (
    urllib3.exceptions.InvalidHeader,
    http.client.BadStatusLine,
    http.client.LineTooLong,
    http.client.UnknownProtocol,
)
_CUT = (
    http.client.IncompleteRead,
    http.client.RemoteDisconnected,
    urllib3.exceptions.IncompleteRead,
    ssl.SSLEOFError,
    ssl.SSLZeroReturnError,
)


NO_CONNECTION = "there was no connection in time"
REFUSED = "the connection failed: connection refused"
NO_ANSWER = "no answer in time"
UNFINISHED = "the answer did not end in time"
LOST = "the connection was lost before the answer"
CUT = "the answer was cut short"
NO_HTTP = "the answer is not HTTP"


def too_long(limit: int) -> str:
    """What is said of a body beyond the limit, in bytes."""
    return f"the answer is longer than {limit} bytes; see RequestPolicy(body_limit=…)"


def failure_of(error: BaseException, exchange: Exchange, limit: int) -> Failure:
    """The one place where errors of the libraries below are translated."""
    fault, reason = _described(list(_chain(error)), exchange, limit)
    return Failure(fault, reason, sent=exchange.sent, status=exchange.status)


def _described(found: list[BaseException], exchange: Exchange, limit: int) -> tuple[Fault, str]:
    if any(isinstance(one, TooMuch) for one in found):
        return "garbage", too_long(limit)
    for one in found:
        if isinstance(one, Undecodable):
            return "garbage", str(one)
        if isinstance(one, ssl.SSLCertVerificationError):
            return "unavailable", f"its certificate is not valid: {one.verify_message}"
        if isinstance(one, socket.gaierror | urllib3.exceptions.NameResolutionError):
            return "unavailable", "its name could not be resolved"
        if _is_timeout(one):
            return "timeout", _too_late(exchange)
    return _broken(found, exchange)


def _is_timeout(error: BaseException) -> bool:
    if isinstance(error, urllib3.exceptions.NewConnectionError):
        return False  # one of them by its bases only
    return isinstance(error, TimeoutError | urllib3.exceptions.TimeoutError)


def _broken(found: list[BaseException], exchange: Exchange) -> tuple[Fault, str]:
    if any(isinstance(one, urllib3.exceptions.InvalidChunkLength) for one in found):
        return "garbage", NO_HTTP  # by its bases, it is an incomplete read as well
    if any(isinstance(one, _CUT) for one in found):
        return "unavailable", _cut(exchange)
    if any(isinstance(one, _GARBAGE) for one in found):
        return "garbage", NO_HTTP
    for one in found:
        if isinstance(one, requests.exceptions.InvalidProxyURL):
            return "unavailable", "its proxy is not an http:// one, which alone keeps to a deadline"
        if isinstance(one, ssl.SSLError):
            return "unavailable", f"TLS failed: {one.reason or type(one).__name__}"
        if isinstance(one, OSError) and one.errno is not None:
            if one.errno in (errno.ECONNRESET, errno.EPIPE):
                return "unavailable", _cut(exchange)
            return "unavailable", f"the connection failed: {os.strerror(one.errno).lower()}"
        if isinstance(one, http.client.HTTPException):
            return "garbage", NO_HTTP
    if any(isinstance(one, urllib3.exceptions.ProtocolError) for one in found):
        return "unavailable", _cut(exchange)
    return "unavailable", f"the request failed with {type(found[0]).__name__}"


def _too_late(exchange: Exchange) -> str:
    if not exchange.sent:
        return NO_CONNECTION
    return NO_ANSWER if exchange.status is None else UNFINISHED


def _cut(exchange: Exchange) -> str:
    return LOST if exchange.status is None else CUT


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and all that it holds, each once."""
    waiting, seen = [error], set[int]()
    while waiting:
        one = waiting.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        held = [*one.args, one.__cause__, one.__context__, getattr(one, "reason", None)]
        waiting += [other for other in held if isinstance(other, BaseException)]
