"""One call: its attempts and redirects, and what is known of it in the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from domain.errors import CircuitOpen, Outcome, Rejected
from infrastructure.external_services import headers, problems, retrying
from infrastructure.external_services.auth import Auth
from infrastructure.external_services.breaker import Breaker, Permit
from infrastructure.external_services.exchanges import Answer, Failure, Limits, Request, Transport
from infrastructure.external_services.hooks import AttemptEnded, Hooks, RetryPlanned
from infrastructure.external_services.policy import RequestPolicy
from infrastructure.external_services.redacting import Secrets
from infrastructure.external_services.redirects import next_request
from infrastructure.external_services.responses import ApiResponse
from infrastructure.external_services.retrying import Setback, Throttling
from infrastructure.external_services.targets import Base


@dataclass(slots=True)
class Upstream:
    """What all calls to one service have in common."""

    base: Base
    policy: RequestPolicy
    transport: Transport
    breaker: Breaker | None
    auth: Auth | None
    hooks: Hooks
    throttling: Throttling
    is_closed: bool = False


class Call:
    """A request that is sent until it is answered, refused, or out of time."""

    __slots__ = ("_attempts", "_began", "_outcome", "_repeatable", "_request", "_until", "_up")

    def __init__(self, up: Upstream, request: Request, *, repeatable: bool) -> None:
        self._up = up
        self._request = request
        self._repeatable = repeatable
        self._began = up.transport.now()
        self._until = self._began + up.policy.deadline
        self._attempts = 0
        self._outcome: Outcome = "not_executed"

    def run(self) -> ApiResponse:
        """The answer; raises the ``ExternalServiceError`` of the last attempt."""
        last: Setback | None = None
        while True:
            found = self._attempt()
            if isinstance(found, Answer):
                return ApiResponse(found.status, found.headers, found.content, self._facts())
            if last is None or found.kind is not CircuitOpen:
                last = found  # else: the circuit opened meanwhile, and why is known better here
            pause = self._pause(found)
            if pause is None:
                break
            self._up.transport.sleep(pause)
            if self._up.is_closed:
                break
        raise last.error(**self._facts())

    def _pause(self, setback: Setback) -> float | None:
        pause = retrying.pause_before_next(
            setback,
            self._up.policy,
            attempts=self._attempts,
            left=self._until - self._up.transport.now(),
            repeatable=self._repeatable,
        )
        if pause is not None:
            event = RetryPlanned(*self._names(), self._attempts, pause, setback.reason)
            self._up.hooks.retry_planned(event)
        return pause

    def _facts(self) -> dict[str, Any]:
        service, method, path = self._names()
        return {
            "service": service,
            "method": method,
            "path": path,
            "attempts": self._attempts,
            "elapsed": self._up.transport.now() - self._began,
            "outcome": self._outcome,
        }

    def _names(self) -> tuple[str, str, str]:
        return self._up.base.service, self._request.method, self._request.path

    # -- one attempt -----------------------------------------------------------------------

    def _attempt(self) -> Answer | Setback:
        breaker = self._up.breaker
        if breaker is None:
            return self._told(None)
        permit = breaker.admit()
        if not isinstance(permit, Permit):
            reason = f"the circuit is open, for {permit:.1f} s: it failed too often"
            return Setback(
                CircuitOpen, reason, "not_executed", sent=False, healthy=None, retry_after=permit
            )
        try:
            return self._told(permit)
        finally:
            permit.give_back()  # unless it was said how it went: the thread may be stopped

    def _told(self, permit: Permit | None) -> Answer | Setback:
        began = self._up.transport.now()
        self._attempts += 1
        found = self._send()
        if permit is not None:
            _report(permit, found)
        outcome = found.outcome if isinstance(found, Setback) else "executed"
        self._outcome = retrying.worse(self._outcome, outcome)
        self._up.hooks.attempt_ended(
            AttemptEnded(
                *self._names(),
                number=self._attempts,
                seconds=self._up.transport.now() - began,
                status=found.status,
                error=found.reason if isinstance(found, Setback) else None,
                outcome=outcome,
            )
        )
        return found

    def _send(self) -> Answer | Setback:
        """Send it, and follow redirects as far as the policy goes."""
        request = self._with_auth(self._request)
        outcome: Outcome = "not_executed"
        for hops in range(self._up.policy.redirects + 1):
            found = self._exchange(request)
            if isinstance(found, Setback):
                outcome = retrying.worse(outcome, found.outcome)
                return replace(found, outcome=outcome, sent=found.sent or hops > 0)
            after = next_request(request, found, self._up.base)
            if after is None:
                return found
            outcome = retrying.worse(outcome, retrying.outcome_of(found.status))
            if isinstance(after, str) or hops == self._up.policy.redirects:
                reason = after if isinstance(after, str) else self._too_many()
                return Setback(Rejected, reason, outcome, status=found.status)
            request = after
        raise AssertionError("the last hop returns")

    def _too_many(self) -> str:
        most = self._up.policy.redirects
        return f"it redirects, and RequestPolicy(redirects={most}) follows no more"

    def _with_auth(self, request: Request) -> Request:
        if self._up.auth is None:
            return request
        fields: Mapping[str, str] = headers.checked(self._up.auth(), name="auth")
        known = {name.lower() for name in request.headers}
        added = {name: value for name, value in fields.items() if name.lower() not in known}
        return replace(request, headers={**request.headers, **added})

    def _exchange(self, request: Request) -> Answer | Setback:
        policy = self._up.policy
        limits = Limits(self._until, policy.connect_timeout, policy.read_timeout, policy.body_limit)
        try:
            answer = self._up.transport.exchange(request, limits)
        except Failure as failure:
            return retrying.from_failure(failure)
        setback = None
        if not 200 <= answer.status < 400:
            setback = retrying.from_answer(
                answer,
                self._up.throttling,
                lambda found: problems.problem_of(found, Secrets(request)),
            )
        return answer if setback is None else setback


def _report(permit: Permit, found: Answer | Setback) -> None:
    if isinstance(found, Answer) or found.healthy:
        permit.succeed()
    elif found.healthy is False:
        permit.fail()
    else:
        permit.give_back()
