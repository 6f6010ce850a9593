"""Python source, laid out as ``ruff format`` does it with its default settings."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

WIDTH = 88


@dataclass(frozen=True)
class Call:
    """Something in brackets whose parts stand in one line, or each in a line of its own."""

    opening: str
    parts: Sequence[Source]
    closing: str = ")"

    def __bool__(self) -> bool:
        return True


@dataclass(frozen=True)
class Named:
    """``name=value``, or ``"name": value`` where the name says so."""

    prefix: str
    value: Source


Source = str | Call | Named


def call(function: str, /, *parts: Source, **named: Source) -> Call:
    """``function(part, key=value)``."""
    return Call(
        f"{function}(", [*parts, *(Named(f"{key}=", value) for key, value in named.items())]
    )


def many(parts: Iterable[Source]) -> Call:
    """A list."""
    return Call("[", list(parts), "]")


def pairs(items: Iterable[tuple[str, Source]]) -> Call:
    """A dict whose keys are texts."""
    return Call("{", [Named(f"{literal(key)}: ", value) for key, value in items], "}")


def group(parts: Sequence[Source]) -> Call:
    """A tuple."""
    return Call("(", parts, ",)" if len(parts) == 1 else ")")


def flat(source: Source) -> str:
    """All in one line."""
    match source:
        case str():
            return source
        case Named(prefix, value):
            return prefix + flat(value)
        case Call(opening, parts, closing):
            return opening + ", ".join(map(flat, parts)) + closing


def lines(
    prefix: str, source: Source, suffix: str = "", indent: int = 4, *, forced: bool = False
) -> list[str]:
    """In one line if it fits and is not ``forced``, else with each part in a line of its own."""
    margin = " " * indent
    if isinstance(source, Named):
        return lines(prefix + source.prefix, source.value, suffix, indent, forced=forced)
    whole = f"{margin}{prefix}{flat(source)}{suffix}"
    fits = _width(whole) <= WIDTH and not forced
    if isinstance(source, str) or not source.parts or fits:
        return [whole]
    # The comma of a tuple of one is no reason to keep it open; those inside of it are.
    only = source.closing == ",)"
    inner = [
        line for part in source.parts for line in lines("", part, ",", indent + 4, forced=only)
    ]
    closing = source.closing.lstrip(",")
    return [f"{margin}{prefix}{source.opening}", *inner, f"{margin}{closing}{suffix}"]


def statement(name: str, annotation: str, value: Source) -> list[str]:
    """``name: annotation = value``, in as few lines as there is room for."""
    usual = lines(f"{name}: {annotation} = ", value)
    if _width(usual[0]) <= WIDTH:
        return usual
    if isinstance(value, str) and " " not in annotation:
        whole = [f"    {name}: {annotation} = (", f"        {value}", "    )"]
        return whole if _width(whole[1]) <= WIDTH else usual
    if " | " in annotation:
        return [f"    {name}: (", f"        {annotation}", *lines(") = ", value)]
    outer, bracket, inner = annotation.partition("[")
    if bracket:
        return [f"    {name}: {outer}[", f"        {inner[:-1]}", *lines("] = ", value)]
    return usual


def in_order(name: str) -> tuple[int, list[tuple[bool, int | str]]]:
    """By what isort sorts: constants first, then classes, then the rest; numbers by their size."""
    rank = 0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2
    return rank, by_number(name.lower() if rank else name)


def by_number(name: str) -> list[tuple[bool, int | str]]:
    """By letters, and by the size of the numbers in between."""
    parts = re.split(r"([0-9]+)", name)
    return [(part.isdigit(), int(part) if part.isdigit() else part) for part in parts if part]


def _width(line: str) -> int:
    wide = sum(1 for letter in line if letter >= "\u1100" and _is_wide(letter))
    return len(line) + wide


def _is_wide(letter: str) -> bool:
    import unicodedata  # noqa: PLC0415 -- few names need it

    return unicodedata.east_asian_width(letter) in "WF"


def literal(value: object) -> str:
    """A value as it is written, texts in the quotes that need the fewest escapes."""
    if not isinstance(value, str):
        return repr(value)
    plain = repr(value + "\"'")[1:-1]  # both kinds of quotes: the single one is escaped
    body = plain[:-3].replace("\\'", "'")
    quote = "'" if body.count('"') > body.count("'") else '"'
    return quote + body.replace(quote, f"\\{quote}") + quote


def docstring(text: str, indent: int = 4) -> list[str]:
    """A text in three quotes; empty if it says nothing."""
    cleaned = [line.rstrip() for line in text.expandtabs().strip().splitlines()]
    body = textwrap.dedent("\n".join(["", *cleaned[1:]]))[1:].splitlines()
    written = [_in_quotes(line) for line in [cleaned[0].strip(), *body]] if cleaned else []
    if not written:
        return []
    margin = " " * indent
    first = f" {written[0]}" if written[0].startswith('"') else written[0]
    if len(written) == 1:
        end = " " if first.endswith(('"', "\\")) else ""
        return [f'{margin}"""{first}{end}"""']
    rest = [f"{margin}{line}" if line else "" for line in written[1:]]
    return [f'{margin}"""{first}', *rest, f'{margin}"""']


def _in_quotes(line: str) -> str:
    printable = "".join(letter if letter.isprintable() else " " for letter in line).rstrip()
    return printable.replace("\\", "\\\\").replace('"""', "'''")
