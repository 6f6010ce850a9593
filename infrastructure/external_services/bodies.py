"""Reading a body without ever holding more of it than is accepted."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator

from infrastructure.external_services.deadlines import TooMuch
from infrastructure.external_services.headers import Headers

CODINGS = "gzip"
"""What is asked for. ``deflate`` is understood as well."""

_PIECE = 64 * 1024
_MOST_CODINGS = 3
_GZIP, _ZLIB, _RAW = 31, 15, -15

_ERROR_BODY = 64 * 1024
"""Bytes that are read of the body of an error."""

Pieces = Iterable[bytes]


class Undecodable(Exception):
    """The body is not in the coding that its header names, or in an unknown one."""


def content_of(pieces: Pieces, headers: Headers, status: int, limit: int) -> bytes:
    """The decoded body of an answer; raises ``TooMuch`` and ``Undecodable``."""
    most = limit if status < 300 else min(limit, _ERROR_BODY)
    return read(pieces, headers.get("Content-Encoding", ""), most)


def read(pieces: Pieces, coding: str, limit: int) -> bytes:
    """The decoded body; raises ``TooMuch`` beyond the limit, and ``Undecodable``."""
    names = [name for part in coding.split(",") if (name := part.strip().lower()) != "identity"]
    names = [name for name in names if name]
    if len(names) > _MOST_CODINGS:
        raise Undecodable("too many codings, one in the other")
    bounded = _bounded(pieces, limit)
    for name in reversed(names):
        decode = _DECODERS.get(name)
        if decode is None:
            raise Undecodable("the coding of the body was not asked for")
        bounded = _bounded(decode(bounded), limit)
    return b"".join(bounded)


def _bounded(pieces: Pieces, limit: int) -> Iterator[bytes]:
    left = limit
    for piece in pieces:
        left -= len(piece)
        if left < 0:
            raise TooMuch
        yield piece


def _gunzip(pieces: Pieces) -> Iterator[bytes]:
    """Members, one after the other (RFC 1952)."""
    decoder, begun = zlib.decompressobj(_GZIP), False
    for piece in pieces:
        data = piece
        while data:
            begun = True
            yield from _inflated(decoder, data)
            data = decoder.unused_data
            if decoder.eof:
                decoder, begun = zlib.decompressobj(_GZIP), False
    if begun:
        raise Undecodable("the compressed body is cut short")


def _inflate(pieces: Pieces) -> Iterator[bytes]:
    """With the header of zlib (RFC 9110), or as some send it, without."""
    decoder, first = None, b""
    for piece in pieces:
        data = piece
        if decoder is None:
            first += piece
            if len(first) < 2:
                continue
            has_header = first[0] & 15 == 8 and int.from_bytes(first[:2], "big") % 31 == 0
            decoder = zlib.decompressobj(_ZLIB if has_header else _RAW)
            data = first
        yield from _inflated(decoder, data)
    if first and (decoder is None or not decoder.eof):
        raise Undecodable("the compressed body is cut short")


def _inflated(decoder: zlib._Decompress, data: bytes) -> Iterator[bytes]:
    """What comes of it, a piece at a time: all of it could be a thousand times as much."""
    try:
        while not decoder.eof:
            piece = decoder.decompress(data, _PIECE)
            yield piece
            data = decoder.unconsumed_tail
            if not data and len(piece) < _PIECE:
                return
    except zlib.error:
        raise Undecodable("the body is not in the coding that its header names") from None


_DECODERS: dict[str, Callable[[Pieces], Iterator[bytes]]] = {
    "gzip": _gunzip,
    "x-gzip": _gunzip,
    "deflate": _inflate,
}
