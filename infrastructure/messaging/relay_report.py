"""What came of one pass of a relay."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayReport:
    """How many messages were claimed, and what became of them."""

    claimed: int = 0
    sent: int = 0
    retried: int = 0
    """They failed and wait for their next attempt."""
    parked: int = 0
    released: int = 0
    """Given back untried: those behind a failure, or because of a pause or the end."""
    lost: int = 0
    """Not settled in time: another relay may have published them, too."""
    unavailable: bool = False
    """Whether the publisher could publish nothing; then the next pass tries a single one."""
