"""How long to wait, how often to try, and when to stop trying. All times are in seconds."""

from __future__ import annotations

from dataclasses import dataclass, field

from domain.errors import ValidationError
from infrastructure.external_services import checks


@dataclass(frozen=True, kw_only=True)
class BreakerPolicy:
    """When a service that fails is left alone.

    ``failures`` in a row open the circuit: nothing is sent for ``cooldown``. Then
    ``probes`` requests are let through. If all of them succeed it closes; one that
    fails opens it again.
    """

    failures: int = 5
    cooldown: float = 30.0
    probes: int = 1

    def __post_init__(self) -> None:
        checks.count("BreakerPolicy", "failures", self.failures)
        checks.seconds("BreakerPolicy", "cooldown", self.cooldown)
        checks.count("BreakerPolicy", "probes", self.probes)


@dataclass(frozen=True, kw_only=True)
class RequestPolicy:
    """What one call may take.

    ``deadline`` ends the call, with all its attempts, redirects and pauses, whatever
    the peer does; the only thing that it cannot interrupt is the resolver of the
    operating system. Within it, an attempt waits for its connection, TLS included,
    at most ``connect_timeout``, and for the peer to send or take something at most
    ``read_timeout``.

    ``attempts`` counts the first one. The pause before the second is anything from
    zero to ``backoff``, and that limit doubles each time, up to ``longest_backoff``
    (full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
    A ``Retry-After`` of the service is added, or the call ends if there is no time for it.

    ``body_limit`` is how many bytes of an answer are accepted, after decompression.
    ``redirects`` is how many are followed, and only within the origin (scheme, host
    and port). ``breaker=None`` goes on asking a service that always fails.
    """

    connect_timeout: float = 5.0
    read_timeout: float = 15.0
    deadline: float = 30.0
    attempts: int = 3
    backoff: float = 0.2
    longest_backoff: float = 5.0
    body_limit: int = 10 * 1024 * 1024
    redirects: int = 0
    breaker: BreakerPolicy | None = field(default_factory=BreakerPolicy)

    def __post_init__(self) -> None:
        for name in ("connect_timeout", "read_timeout", "deadline", "backoff", "longest_backoff"):
            checks.seconds("RequestPolicy", name, getattr(self, name))
        checks.count("RequestPolicy", "attempts", self.attempts)
        checks.count("RequestPolicy", "body_limit", self.body_limit)
        checks.count("RequestPolicy", "redirects", self.redirects, least=0)
        if self.breaker is not None and not isinstance(self.breaker, BreakerPolicy):
            raise ValidationError("RequestPolicy", {"breaker": "must be a BreakerPolicy or None"})
