"""How a relay goes about its work."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

from domain.errors import ValidationError


@dataclass(frozen=True, kw_only=True)
class RelayPolicy:
    """Numbers that suit most; times are in seconds. Raises ``ValidationError``, naming the field.

    What failed waits between 0 and ``backoff`` seconds, then up to twice as long, and
    so on up to ``backoff_cap``: full jitter, as in Marc Brooker, "Exponential Backoff
    And Jitter" (AWS Architecture Blog, 2015).
    """

    batch: int = 50
    """How many messages are claimed at once."""

    lease: float = 60.0
    """How long they are had. Longer than the slowest handler takes, or it is called twice."""

    attempts: int = 12
    """How often a message may fail before it is parked."""

    losses: int = 20
    """How often a message may take its relay along before it is parked untried."""

    backoff: float = 2.0
    backoff_cap: float = 3600.0

    poll: float = 1.0
    """How long to wait when nothing is due, unless somebody in this process stores something."""

    pause_cap: float = 60.0
    """The longest pause while the publisher or the storage is down and does not say how long."""

    settle_every: float = 1.0
    """What was sent is told to the storage at least as often, and a call takes about as long."""

    parked_head: Literal["block", "skip"] = "block"
    """Whether a parked message holds up those behind it that have its key."""

    def __post_init__(self) -> None:
        errors = {
            **_unlike(_is_count, "must be a whole number from 1", self, _COUNTS),
            **_unlike(_is_time, "must be a number of seconds above zero", self, _TIMES),
        }
        if self.parked_head not in ("block", "skip"):
            errors["parked_head"] = 'must be "block" or "skip"'
        if errors:
            raise ValidationError("RelayPolicy", errors)

    def wait(self, attempts: int, random: Random) -> float:
        """Seconds until the next attempt, after so many."""
        return full_jitter(self.backoff, self.backoff_cap, attempts, random)


class Pauses:
    """Pauses that grow, from about a second, as long as something is down."""

    def __init__(self, cap: float, random: Random) -> None:
        self._cap = cap
        self._random = random
        self._count = 0

    def next(self, at_least: float | None = None) -> float:
        """Seconds. What somebody asked for is kept, up to an hour."""
        self._count += 1
        asked = as_seconds(at_least, most=_LONGEST_PAUSE)
        return max(asked, full_jitter(1.0, self._cap, self._count, self._random))

    def end(self) -> None:
        """It is not down any more."""
        self._count = 0


def full_jitter(base: float, cap: float, count: int, random: Random) -> float:
    """Between 0 and ``base``, doubled with each time but the first."""
    doublings = min(count - 1, 60)  # beyond that it is no float any more
    return random.uniform(0, min(cap, base * 2**doublings))


def as_seconds(given: Any, *, most: float) -> float:
    """What a publisher says may be anything."""
    return min(float(given), most) if _is_time(given) or given == math.inf else 0.0


_LONGEST_PAUSE = 3600.0
_COUNTS = ("batch", "attempts", "losses")
_TIMES = ("lease", "backoff", "backoff_cap", "poll", "pause_cap", "settle_every")


def _unlike(is_fit: Any, message: str, policy: RelayPolicy, names: tuple[str, ...]) -> Any:
    return {name: message for name in names if not is_fit(getattr(policy, name))}


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_time(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and 0 < value < math.inf
