"""JSON and models in both directions."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, TypeVar, get_args

import pydantic
from pydantic import TypeAdapter
from pydantic_core import PydanticSerializationError, from_json, to_json
from pydantic_core.core_schema import ErrorType

from domain.errors import ValidationError
from infrastructure.external_services.headers import Headers

T = TypeVar("T")

_MOST_ERRORS = 20
_QUOTES = {"value_error", "assertion_error", "union_tag_invalid"}
_SAFE_WORDS = frozenset(get_args(ErrorType)) - _QUOTES
"""What pydantic itself says of a value without quoting it. A model's own validator may."""


class Unreadable(Exception):
    """A body that is no JSON, or does not fit; ``errors`` names fields, and no values."""

    def __init__(self, reason: str, errors: dict[str, str] | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.errors = errors or {}


def encoded(value: Any) -> bytes:
    """A JSON text for a model, a dataclass, or what they are made of."""
    text = _text(value)
    if text is None:
        message = (
            f"cannot be sent as JSON: {type(value).__name__} holds something that JSON has not"
        )
        raise ValidationError("ApiClient", {"json": message})
    return text


def _text(value: Any) -> bytes | None:
    """None if there is none: the error of pydantic quotes the value, and must not be seen."""
    try:
        text = to_json(value, by_alias=True)
        if _may_hold_no_number(text):
            from_json(text, allow_inf_nan=False)
    except (PydanticSerializationError, ValueError, TypeError, RecursionError):
        return None
    return text


def body(json: Any, content: Any) -> tuple[Any, str | None]:
    """What is sent, and its media type."""
    if json is not None and content is not None:
        raise ValidationError("ApiClient", {"content": "give either json or content"})
    if json is not None:
        return encoded(json), "application/json"
    if content is None or isinstance(content, bytes):
        return content, None if content is None else "application/octet-stream"
    if isinstance(content, bytearray | memoryview):
        return bytes(content), "application/octet-stream"
    if isinstance(content, str):
        return content.encode(), "text/plain; charset=utf-8"
    if isinstance(content, Iterable) and not isinstance(content, Mapping):
        return content, "application/octet-stream"
    message = f"must be bytes, text or an iterable of bytes, and is {type(content).__name__}"
    raise ValidationError("ApiClient", {"content": message})


def key(given: Any) -> str:
    """An idempotency key: the one given, or a new one for ``True``."""
    if given is True:
        return str(uuid.uuid4())
    if not (isinstance(given, str) and given.strip() and given.isascii() and given.isprintable()):
        message = "must be True, or printable ASCII text that is not blank"
        raise ValidationError("ApiClient", {"idempotency_key": message})
    return given


def is_json(headers: Headers) -> bool:
    """Whether the media type is JSON, or not said."""
    kind = headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    return kind in {"application/json", "text/json"} or kind.endswith("+json")


def decoded(content: bytes) -> Any:
    """The JSON text as Python knows it; raises ``Unreadable``."""
    try:
        return from_json(_without_mark(content), allow_inf_nan=False)
    except ValueError:
        raise Unreadable("the body is not JSON") from None


def parsed(content: bytes, headers: Headers, into: type[T]) -> T:
    """The body as this type; raises ``Unreadable``."""
    if not content:
        raise Unreadable("the answer has no body")
    if not is_json(headers):
        raise Unreadable("the body is not JSON by its media type")
    if _may_hold_no_number(content):
        decoded(content)
    found: T
    try:
        found = adapter(into).validate_json(_without_mark(content))
    except pydantic.ValidationError as error:
        failed = _unreadable(error)
    else:
        return found
    raise failed


def adapter(into: Any) -> TypeAdapter[Any]:
    """What reads this type; raises ``ValidationError`` if pydantic cannot."""
    try:
        if not isinstance(into, str):
            return _adapter(into)
    except (pydantic.errors.PydanticUserError, NameError, TypeError):
        pass
    message = "must be a type that pydantic can read, such as a model or list[model]"
    raise ValidationError("ApiClient", {"into": message})


_adapter = lru_cache(maxsize=512)(TypeAdapter)


def _unreadable(error: pydantic.ValidationError) -> Unreadable:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    if any(one["type"] == "json_invalid" for one in found):
        return Unreadable("the body is not JSON")
    errors = {
        ".".join(str(part)[:40] for part in one["loc"]) or "(all)": (
            one["msg"] if one["type"] in _SAFE_WORDS else "is refused by the model"
        )
        for one in found[:_MOST_ERRORS]
    }
    listed = "; ".join(f"{field}: {message}" for field, message in errors.items())
    return Unreadable(f"the body does not fit: {listed}", errors)


def _may_hold_no_number(text: bytes) -> bool:
    """Whether NaN or Infinity may be in it, which JSON does not have (RFC 8259)."""
    return b"NaN" in text or b"Infinity" in text


def _without_mark(text: bytes) -> bytes:
    return text.removeprefix(b"\xef\xbb\xbf")  # a byte order mark may be ignored (RFC 8259)
