"""What a client tells those who log and measure."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

from domain.errors import Outcome

State = Literal["closed", "open", "half_open"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """One attempt: ``status`` if there was an answer, ``error`` what went wrong, if it did."""

    service: str
    method: str
    path: str
    number: int
    seconds: float
    status: int | None
    error: str | None
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class RetryPlanned:
    """Attempt ``number`` failed, and the next one follows after ``pause`` seconds."""

    service: str
    method: str
    path: str
    number: int
    pause: float
    error: str


@dataclass(frozen=True, slots=True)
class BreakerChanged:
    """The circuit of a service went from one state to another."""

    service: str
    before: State
    after: State


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """Functions that are called in the thread of the call. One that fails is logged, no more."""

    on_attempt: Callable[[AttemptEnded], object] | None = None
    on_retry: Callable[[RetryPlanned], object] | None = None
    on_breaker: Callable[[BreakerChanged], object] | None = None

    def attempt_ended(self, event: AttemptEnded) -> None:
        told = event.error or event.status
        logger.debug("%s: %s %s: %s", event.service, event.method, event.path, told)
        _tell(self.on_attempt, event)

    def retry_planned(self, event: RetryPlanned) -> None:
        logger.info(
            "%s: %s %s: %s; again in %.2f s",
            *(event.service, event.method, event.path, event.error, event.pause),
        )
        _tell(self.on_retry, event)

    def breaker_changed(self, event: BreakerChanged) -> None:
        logger.info("%s: the circuit was %s and is %s", event.service, event.before, event.after)
        _tell(self.on_breaker, event)


E = TypeVar("E")


def _tell(hook: Callable[[E], object] | None, event: E) -> None:
    if hook is None:
        return
    try:
        hook(event)
    except Exception as error:  # noqa: BLE001 -- whoever watches must not break what is watched
        logger.warning("a hook failed with %s", type(error).__name__)
