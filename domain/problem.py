"""What an HTTP service says of a request that it did not do (RFC 9457)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Problem:
    """Problem details. ``type`` is what a program decides by; ``detail`` is for people.

    ``extensions`` are the members that the RFC does not name.
    """

    type: str = "about:blank"
    title: str | None = None
    status: int | None = None
    detail: str | None = None
    instance: str | None = None
    extensions: dict[str, Any] = field(default_factory=dict)
