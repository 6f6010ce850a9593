"""The ``Link`` header (RFC 8288)."""

from __future__ import annotations

import re

# A parameter is a token, and perhaps a value: a token as well, or a quoted string.
_TARGET = re.compile(r"\s*<([^>]*)>")
_PARAMETER = re.compile(r'\s*;\s*([^\s=;,]+)\s*(?:=\s*("(?:[^"\\]|\\.)*"|[^\s;,"]*))?')
_NEXT_LINK = re.compile(r"[^,<]*,")
_LONGEST = 64 * 1024


def parse(value: str) -> dict[str, str]:
    """The first target of each relation type, in lower case. What is malformed ends the list."""
    found: dict[str, str] = {}
    position = 0
    value = value[:_LONGEST]
    while target := _TARGET.match(value, position):
        position = target.end()
        relations, has_anchor = "", False
        while parameter := _PARAMETER.match(value, position):
            position = parameter.end()
            name, text = parameter[1].lower(), parameter[2] or ""
            if name == "rel" and not relations:  # only the first one counts: section 3.3
                relations = _unquoted(text)
            has_anchor = has_anchor or name == "anchor"
        for relation in relations.lower().split():
            if not has_anchor:  # such a link is one of another resource: section 3.2
                found.setdefault(relation, target[1].strip())
        separator = _NEXT_LINK.match(value, position)
        if separator is None:
            break
        position = separator.end()
    return found


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1]) if text.startswith('"') else text
