"""Errors as text, to be stored with a message."""

from __future__ import annotations

from collections.abc import Iterator

LONGEST_LINE = 1000
LONGEST = 4000
"""In characters."""

_DEEPEST = 20


def error_text(error: BaseException | str) -> str:
    """The error and what it came from, a line each: ``Type: message``."""
    lines = [error] if isinstance(error, str) else map(_line, _chain(error))
    text = "\n".join(line[:LONGEST_LINE] for line in lines)[:LONGEST]
    # What PostgreSQL cannot store, or nobody can encode, must not keep the error from being kept.
    return text.replace("\0", "�").encode("utf-8", "backslashreplace").decode()


def _chain(error: BaseException) -> Iterator[BaseException]:
    """As a traceback shows it, the last one first."""
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen and len(seen) < _DEEPEST:
        yield following
        seen.add(id(following))
        context = None if following.__suppress_context__ else following.__context__
        following = following.__cause__ or context


def _line(error: BaseException) -> str:
    try:
        message = str(error)
    except Exception:  # noqa: BLE001 -- an error that cannot be printed is an error nevertheless
        message = "(it has no text)"
    return f"{type(error).__name__}: {message}" if message else type(error).__name__
