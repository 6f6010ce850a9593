"""What came of an attempt, whether another one is worth it, and when."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from domain.errors import (
    BadResponse,
    CircuitOpen,
    ExternalServiceError,
    Outcome,
    Rejected,
    ServiceTimeout,
    ServiceUnavailable,
    Throttled,
)
from domain.problem import Problem
from infrastructure.external_services.exchanges import Answer, Failure, Fault
from infrastructure.external_services.policy import RequestPolicy

SAFE_TO_REPEAT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
"""Idempotent methods (RFC 9110, section 9.2.2)."""

WORTH_REPEATING = frozenset({408, 429, 500, 502, 503, 504})
"""Statuses that may be another one the next time."""

Throttling = Callable[[int, Mapping[str, str]], "Pause | None"]
"""Says of a status and its headers whether the service asks for fewer requests."""

_WEIGHT: dict[Outcome, int] = {"not_executed": 0, "unknown": 1, "executed": 2}
_KINDS: dict[Fault, type[ExternalServiceError]] = {
    "unavailable": ServiceUnavailable,
    "timeout": ServiceTimeout,
    "garbage": BadResponse,
}
_MOST_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Pause:
    """The service is to be left alone, for so many seconds if it said how many."""

    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Setback:
    """An attempt that failed, and what is known of it.

    ``healthy`` is what it says of the service: True, False, or None for nothing.
    """

    kind: type[ExternalServiceError]
    reason: str
    outcome: Outcome
    sent: bool = True
    again: bool = False
    healthy: bool | None = True
    status: int | None = None
    problem: Problem | None = None
    retry_after: float | None = None

    def error(self, **facts: Any) -> ExternalServiceError:
        """The error for the caller; the facts, its outcome too, are those of all attempts."""
        known: dict[str, Any] = {"status": self.status, "problem": self.problem}
        if issubclass(self.kind, Throttled | CircuitOpen):
            known["retry_after"] = self.retry_after
        return self.kind(self.reason, **known, **facts)


def from_failure(failure: Failure) -> Setback:
    """There was no answer, or none that can be used. What came shows that the service is there."""
    came = failure.fault == "garbage" and failure.status is not None
    return Setback(
        _KINDS[failure.fault],
        failure.reason,
        outcome_of(failure.status) if failure.sent else "not_executed",
        sent=failure.sent,
        again=failure.fault != "garbage",
        healthy=came if failure.peer else None,
        status=failure.status,
    )


def from_answer(
    answer: Answer, throttling: Throttling, problem: Callable[[Answer], Problem | None]
) -> Setback | None:
    """An answer that is an error; None if it is what was asked for."""
    status = answer.status
    if 200 <= status < 300 or status == 304:
        return None
    again = status in WORTH_REPEATING
    healthy: bool | None = status < 500
    pause = throttling(status, answer.headers)
    if pause is not None:
        kind: type[ExternalServiceError] = Throttled
        reason = f"asks for fewer requests, by status {status}"
        again, healthy = True, False if status >= 500 else None
    elif status >= 500:
        kind, reason = ServiceUnavailable, f"failed with status {status}"
    else:
        kind, reason = Rejected, f"refused with status {status}"
    found = problem(answer)
    if found is not None and found.title:
        reason = f"{reason}, {found.title[:120]!r}"
    return Setback(
        kind,
        reason,
        outcome_of(status),
        again=again,
        healthy=healthy,
        status=status,
        problem=found,
        retry_after=None if pause is None else pause.seconds,
    )


def outcome_of(status: int | None) -> Outcome:
    """What a status says of a request that was sent; None if there was none.

    What a proxy answers with 5xx, the service behind it may have done. 301 and 302
    come before and after, as they are used; 303 is sent after it was done.
    """
    if status is not None and (200 <= status < 300 or status == 303):
        return "executed"
    if status is None or status >= 500 or 300 <= status < 307:
        return "unknown"
    return "not_executed"


def worse(one: Outcome, other: Outcome) -> Outcome:
    """That of both together: what was done once, is done."""
    return max(one, other, key=_WEIGHT.__getitem__)


def pause_before_next(
    setback: Setback, policy: RequestPolicy, *, attempts: int, left: float, repeatable: bool
) -> float | None:
    """Seconds until the next attempt; None if there is none.

    What is not safe to repeat is repeated only if nothing of it was ever sent.
    """
    if attempts >= policy.attempts or not setback.again or (setback.sent and not repeatable):
        return None
    limit = min(policy.longest_backoff, policy.backoff * 2.0 ** min(attempts - 1, 60))
    pause = random.uniform(0, limit)  # noqa: S311 -- no secret
    if setback.retry_after is not None:
        asked = setback.retry_after
        pause = asked + pause if asked + pause < left else asked
    return pause if pause < left else None


def throttling(status: int, headers: Mapping[str, str]) -> Pause | None:
    """429, and 503 that says when to come back (RFC 6585, RFC 9110)."""
    seconds = retry_after(headers)
    if status == 429 or (status == 503 and seconds is not None):
        return Pause(seconds)
    return None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """``Retry-After`` in seconds from now; None if it is missing or malformed.

    A date is held against the ``Date`` of the answer: the clock here may be wrong.
    """
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value) if len(value) <= _MOST_DIGITS else None
    moment = _moment(value)
    return None if moment is None else max(0.0, moment - sent_at(headers))


def sent_at(headers: Mapping[str, str]) -> float:
    """When an answer was sent, in seconds since 1970."""
    return _moment(headers.get("Date", "")) or time.time()


def _moment(value: str) -> float | None:
    try:
        return parsedate_to_datetime(value).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
