"""Running a whole unit again: after which errors, how often, and how long apart."""

from __future__ import annotations

import inspect
import math
import random
from collections.abc import AsyncIterator, Awaitable, Generator

from domain.errors import KitError, UnitOfWorkError, ValidationError
from infrastructure.database.clock import Clock
from infrastructure.database.dialects import RUN_AGAIN

_FIRST = 0.005
_LONGEST = 0.5


class Attempts:
    """Bounded by number and by time. ``timeout`` is in seconds, for all of them together."""

    def __init__(self, attempts: int | None, timeout: float, clock: Clock) -> None:
        errors = {}
        if attempts is not None and (not _is_whole(attempts) or attempts < 1):
            errors["attempts"] = "must be a whole number above zero, or None for no bound"
        if not _is_number(timeout) or not 0 < timeout < math.inf:
            errors["timeout"] = "must be a number of seconds above zero"
        if errors:
            raise ValidationError("run()", errors)
        self._most = attempts
        self._made = 0
        self._clock = clock
        self._began = clock.monotonic()
        self._timeout = timeout

    def again(self, error: KitError) -> bool:
        """Wait before the next attempt; False if there is to be none."""
        if not isinstance(_first_error(error), RUN_AGAIN):
            return False
        self._made += 1
        spent = self._clock.monotonic() - self._began
        if self._made == self._most or spent >= self._timeout:
            error.add_note(f"run() gave up after {self._made} attempts in {spent:.1f} s")
            return False
        self._clock.sleep(min(self._pause(), self._timeout - spent))
        return True

    def _pause(self) -> float:
        # Full jitter: those who met are not to meet again. Exponential Backoff And Jitter,
        # AWS Architecture Blog, 2015.
        longest = min(_LONGEST, _FIRST * 2 ** min(self._made, 20))
        return random.uniform(0, longest)  # noqa: S311 -- not a secret


def _first_error(error: KitError) -> BaseException:
    """What failed the unit, also where the work went on after it and was refused."""
    if isinstance(error, UnitOfWorkError) and isinstance(error.__cause__, KitError):
        return error.__cause__
    return error


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return _is_whole(value) or isinstance(value, float)


_LAZY = "run() needs a plain function: a generator or coroutine would run after the unit was left"


def refuse_lazy_result(result: object) -> None:
    """Refuse what has still to be run: the unit is over by then."""
    if isinstance(result, (Generator, map, filter, Awaitable, AsyncIterator)):
        if inspect.iscoroutine(result):
            result.close()
        raise UnitOfWorkError(f"{_LAZY}; return a list instead of {type(result).__name__}")
