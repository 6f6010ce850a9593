"""Cursors: where a window ended, as opaque text that belongs to one query."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, NamedTuple
from uuid import UUID

_CHECK = 8


class Cursor(NamedTuple):
    """The sort values of a row, and whether the row itself is meant, too."""

    values: Sequence[Any]
    inclusive: bool = False


def write(cursor: Cursor, query: str) -> str:
    """The text of a cursor of this query."""
    values = [_packed(value) for value in cursor.values]
    content = json.dumps([cursor.inclusive, values], separators=(",", ":")).encode()
    return _text(_check(content, query) + content)


def read(text: str, query: str, enums: Mapping[int, type[Enum]]) -> Cursor:
    """The cursor of a text; ``ValueError`` if it is damaged, or belongs to another query.

    ``enums`` says at which places which enums stand.
    """
    raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    check, content = raw[:_CHECK], raw[_CHECK:]
    if check != _check(content, query) or text != _text(raw):
        raise ValueError("not written for this query")
    inclusive, values = json.loads(content)
    unpacked = [_unpacked(value) for value in values]
    members = {at: enum[unpacked[at]] for at, enum in enums.items() if unpacked[at] is not None}
    return Cursor([members.get(at, value) for at, value in enumerate(unpacked)], inclusive)


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _check(content: bytes, query: str) -> bytes:
    return hashlib.blake2b(content, digest_size=_CHECK, key=_key(query)).digest()


@functools.lru_cache(maxsize=256)
def _key(query: str) -> bytes:
    return hashlib.blake2b(query.encode("utf-8", "surrogatepass")).digest()


_PACK: dict[type[Any], tuple[str, Callable[[Any], Any], Callable[[Any], Any]]] = {
    float: ("f", float.hex, float.fromhex),
    Decimal: ("n", str, Decimal),
    datetime: ("t", datetime.isoformat, datetime.fromisoformat),
    date: ("d", date.isoformat, date.fromisoformat),
    time: ("c", time.isoformat, time.fromisoformat),
    timedelta: ("i", lambda v: v // timedelta(microseconds=1), lambda v: timedelta(microseconds=v)),
    UUID: ("u", lambda v: v.hex, UUID),
    bytes: ("b", bytes.hex, bytes.fromhex),
}
_UNPACK = {tag: unpack for tag, _, unpack in _PACK.values()}


def _packed(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.name
    if value is None or type(value) in (str, int, bool):
        return value
    for kind, (tag, pack, _) in _PACK.items():
        if isinstance(value, kind):
            return [tag, pack(value)]
    raise TypeError(f"a window cannot be ordered by a {type(value).__name__}")


def _unpacked(value: Any) -> Any:
    return _UNPACK[value[0]](value[1]) if isinstance(value, list) else value
