"""What a request knows and nobody else shall: it is taken out of whatever a service says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from infrastructure.external_services.exchanges import Request

HIDDEN = "***"

_SHORTEST = 4
"""Shorter values, such as a page number, are no secrets, and are part of other words."""

_PLAIN = {"accept", "content-type", "user-agent"}


class Secrets:
    """The values of header fields and of the query."""

    def __init__(self, request: Request) -> None:
        values: set[str] = set()
        for name, value in request.headers.items():
            if name.lower() not in _PLAIN:
                values |= {value, *value.split()}
        for part in request.query.split("&"):
            values.add(part.partition("=")[2])
        values |= {value for _, value in parse_qsl(request.query)}
        found = sorted((v for v in values if len(v) >= _SHORTEST), key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, found))) if found else None

    def hide(self, value: Any) -> Any:
        """The same text, list or mapping without them."""
        if self._pattern is None:
            return value
        if isinstance(value, str):
            return self._pattern.sub(HIDDEN, value)
        if isinstance(value, Mapping):
            return {self.hide(key): self.hide(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self.hide(one) for one in value]
        return value
