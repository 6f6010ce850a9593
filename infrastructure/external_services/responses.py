"""An answer as users get it when they do not ask for a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from domain.errors import BadResponse
from infrastructure.external_services import links, payloads
from infrastructure.external_services.headers import Headers

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """A status from 200 to 299, or 304. Read to its end, and decoded."""

    status: int
    headers: Headers = field(repr=False)
    content: bytes = field(repr=False)
    facts: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """What an error says of the call."""

    def json(self) -> Any:
        """What the JSON text holds; raises ``BadResponse``."""
        return self._read(lambda: payloads.decoded(self.content))

    def into(self, kind: type[T], /) -> T:
        """The body as this type; raises ``BadResponse``."""
        found: T = self._read(lambda: payloads.parsed(self.content, self.headers, kind))
        return found

    @property
    def text(self) -> str:
        """As text, in the charset that is named, else UTF-8; what does not fit is replaced."""
        named = self.headers.get("Content-Type", "").lower().partition("charset=")[2]
        charset = named.partition(";")[0].strip(" \"'") or "utf-8"
        try:
            return self.content.decode(charset, errors="replace")
        except LookupError:
            return self.content.decode("utf-8", errors="replace")

    @property
    def links(self) -> dict[str, str]:
        """Targets by relation, from the ``Link`` header (RFC 8288), as the service wrote them."""
        return links.parse(self.headers.get("Link", ""))

    def bad(self, reason: str, errors: Mapping[str, str] | None = None) -> BadResponse:
        """The error that says so."""
        return BadResponse(reason, errors=errors, status=self.status, **self.facts)

    def _read(self, reading: Any) -> Any:
        try:
            return reading()
        except payloads.Unreadable as error:
            failed = self.bad(error.reason, error.errors)
        raise failed  # not in the except: what caused it holds the body
