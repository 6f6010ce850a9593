"""Events as messages: an object of JSON, which can be read back as the event that it was."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from functools import cache
from typing import Any, cast

import pydantic
from pydantic_core import to_json

from domain.entity import new_id, require_event
from domain.errors import MessagingError
from domain.event import Event
from domain.messages import Message
from infrastructure.database.models import columns

PAYLOAD_LIMIT = 256 * 1024
"""The greatest payload, in octets of UTF-8."""


def message_of(event: Event, now: datetime, limit: int = PAYLOAD_LIMIT) -> Message:
    """The message that tells of an event. Raises ``MessagingError`` if there can be none."""
    require_event(event)
    payload = _payload(event)
    if len(payload) > limit:
        message = f"{len(payload)} octets of JSON, and {limit} are the limit; refer to what is big"
        raise MessagingError(event.event_type, {"payload": message})
    return Message(
        id=new_id(),
        type=event.event_type,
        version=event.event_version,
        key=_key_of(event),
        payload=payload.decode(),
        created_at=now,
    )


def _payload(event: Event) -> bytes:
    try:
        payload = to_json(cast(Any, event), inf_nan_mode="strings")
    except ValueError:
        raise MessagingError(event.event_type, _unfit(event)) from None
    if not _comes_back(event, payload):
        raise MessagingError(event.event_type, _changed(event, payload))
    return payload


def _key_of(event: Event) -> str | None:
    key: Any = event.ordering_key  # whatever the domain gives
    wrong = None if key is None else _wrong_with(key)
    if wrong is not None:
        raise MessagingError(event.event_type, {"ordering_key": wrong})
    return cast("str | None", key)


def _wrong_with(key: Any) -> str | None:
    if not isinstance(key, str):
        return f"must be text, or None, not {type(key).__name__}"
    return _check_text(key)


_check_text = columns.text(None)


def _comes_back(event: Event, payload: bytes) -> bool:
    try:
        again = _read(event, payload)
    except pydantic.ValidationError:
        return False
    return bool(_fields_of(again) == _fields_of(event))


def _read(event: Event, payload: bytes) -> Any:
    kind: Any = type(event)
    return _reader_of(kind).validate_json(payload)


@cache
def _reader_of(kind: Any) -> pydantic.TypeAdapter[Any]:
    """What makes events of one kind of JSON. Raises ``MessagingError``."""
    try:
        return pydantic.TypeAdapter(kind)
    except (pydantic.errors.PydanticUserError, NameError) as error:
        message = f"its fields have types that cannot be read back: {type(error).__name__}"
        raise MessagingError(kind.event_type, {"event": message}) from error


def _fields_of(event: Any) -> dict[str, Any]:
    return {field.name: getattr(event, field.name) for field in dataclasses.fields(event)}


def _unfit(event: Event) -> dict[str, str]:
    """Which fields no JSON can be made of."""
    unfit = {}
    for name, value in _fields_of(event).items():
        try:
            to_json(value, inf_nan_mode="strings")
        except ValueError:
            unfit[name] = f"no JSON can be made of a {type(value).__name__}; give plain values"
    return unfit or {"event": "no JSON can be made of it"}


def _changed(event: Event, payload: bytes) -> dict[str, str]:
    """Which fields would not come back as they are."""
    message = "would not come back as it is; give the field the type of its value"
    try:
        again = _fields_of(_read(event, payload))
    except pydantic.ValidationError as error:
        return {str(one["loc"][0]) if one["loc"] else "event": message for one in error.errors()}
    held = _fields_of(event)
    return {name: message for name in held if again[name] != held[name]} or {"event": message}
