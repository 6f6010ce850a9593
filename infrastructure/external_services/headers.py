"""Header fields: those that come, and what is refused of those that go (RFC 9110)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from domain.errors import ValidationError

_NAME = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+")
_FORBIDDEN = re.compile(r"[^\t\x20-\x7e\xa0-\xff]")

_OURS = {
    "accept-encoding": "the client decodes what it asks for",
    "connection": "the client keeps its connections",
    "content-length": "it follows from the body",
    "expect": "the client does not wait for an interim answer",
    "host": "it follows from the base URL",
    "idempotency-key": "give idempotency_key=",
    "te": "the client decodes what it asks for",
    "trailer": "the client sends none",
    "transfer-encoding": "it follows from the body",
    "upgrade": "the client speaks HTTP/1.1 only",
}


class Headers(Mapping[str, str]):
    """Header fields of an answer: read-only, and the case of a name does not matter.

    Fields that came several times are joined by a comma.
    """

    __slots__ = ("_fields",)

    def __init__(self, pairs: Mapping[str, str] | Iterable[tuple[str, str]] = ()) -> None:
        items: Any = pairs.items() if isinstance(pairs, Mapping) else pairs
        fields: dict[str, tuple[str, str]] = {}
        for name, value in items:
            key = name.lower()
            fields[key] = (name, f"{fields[key][1]}, {value}" if key in fields else value)
        self._fields = fields

    def __getitem__(self, name: str) -> str:
        return self._fields[name.lower()][1]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._fields

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._fields.values())

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        return f"<Headers {', '.join(self)}>"  # a value may be a secret, such as a cookie


def checked(headers: Any, *, name: str = "headers") -> dict[str, str]:
    """The same fields, if they can be sent. The error says which is wrong, and not its value."""
    if headers is None:
        return {}
    if not isinstance(headers, Mapping):
        raise ValidationError("ApiClient", {name: "must be a mapping of text to text"})
    errors: dict[str, str] = {}
    for field, value in headers.items():
        if not isinstance(field, str) or not _NAME.fullmatch(field):
            errors[name] = "has a field whose name is no token"
        elif field.lower() in _OURS:
            errors[f"{name}[{field}]"] = f"cannot be set: {_OURS[field.lower()]}"
        elif not isinstance(value, str):
            errors[f"{name}[{field}]"] = f"must be text, and is {type(value).__name__}"
        elif _FORBIDDEN.search(value):
            errors[f"{name}[{field}]"] = "has a line break or another character not allowed there"
    if errors:
        raise ValidationError("ApiClient", errors)
    return {field: value.strip(" \t") for field, value in headers.items()}
