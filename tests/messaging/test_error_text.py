"""Errors as they are stored with a message."""

from __future__ import annotations

from itertools import pairwise

import pytest

from infrastructure.messaging.error_text import LONGEST, LONGEST_LINE, error_text


def raised(*errors: Exception, how: str = "from") -> Exception:
    """The last of these, each raised from the one before it, or while that was handled."""
    for cause, error in pairwise(errors):
        error.__context__ = cause
        if how != "while":
            error.__cause__ = cause if how == "from" else None  # and the context is suppressed
    return errors[-1]


@pytest.mark.parametrize("how", ["from", "while"])
def test_the_chain_is_a_line_each(how: str) -> None:
    error = raised(OSError("port 7"), ValueError("no"), RuntimeError(), how=how)
    assert error_text(error) == "RuntimeError\nValueError: no\nOSError: port 7"


def test_what_was_hidden_stays_hidden() -> None:
    assert error_text(raised(OSError("a"), ValueError("b"), how="from None")) == "ValueError: b"


def test_a_text_is_a_text() -> None:
    assert error_text("nobody there") == "nobody there"


def test_a_circle_ends() -> None:
    one, two = ValueError("one"), ValueError("two")
    one.__cause__, two.__cause__ = two, one
    assert error_text(one) == "ValueError: one\nValueError: two"


def test_it_is_never_too_long() -> None:
    assert len(error_text("x" * 10**6)) == LONGEST_LINE
    chain = raised(*(ValueError(str(n) * 1000) for n in range(9)))
    assert len(error_text(chain)) == LONGEST


class Wordless(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def test_an_error_that_cannot_be_printed_is_one() -> None:
    assert error_text(Wordless()) == "Wordless: (it has no text)"


@pytest.mark.parametrize("text", ["a\0b", "a\ud800b"])
def test_what_no_database_takes_is_replaced(text: str) -> None:
    stored = error_text(ValueError(text))
    assert "\0" not in stored
    assert stored.encode().startswith(b"ValueError: a")
