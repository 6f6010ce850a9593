"""The Link header, as RFC 8288 writes it and as it is written."""

from __future__ import annotations

import time

import pytest

from infrastructure.external_services import links


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", {}),
        ('<https://a.example/?page=2>; rel="next"', {"next": "https://a.example/?page=2"}),
        ("<b>;rel=next", {"next": "b"}),
        ("< b >;REL=NEXT", {"next": "b"}),
        ('<b>; rel="next last"', {"next": "b", "last": "b"}),
        ('<b>; title="a, <c>; rel=next"; rel=prev', {"prev": "b"}),
        ('<b>; title="say \\"rel\\""; rel="next"', {"next": "b"}),
        ('<b>; rel="prev", <c>; rel="next"', {"prev": "b", "next": "c"}),
        ('<b,c>; rel="next"', {"next": "b,c"}),
        ("<b>; rel=next, <c>; rel=next", {"next": "b"}),
        ("<b>; rel=prev; rel=next", {"prev": "b"}),
        ('<b>; rel="next"; anchor="#other"', {}),
        ("<b>; rel=next; async", {"next": "b"}),
        ("<b>", {}),
        ("<b>; rel", {}),
        ("<>; rel=next", {"next": ""}),
        ("b; rel=next", {}),
        ("<b; rel=next", {}),
        ('<b>; rel="next', {}),
        ("<b>; rel=next; =x, <c>; rel=last", {"next": "b", "last": "c"}),
    ],
)
def test_a_header(value: str, expected: dict[str, str]) -> None:
    assert links.parse(value) == expected


@pytest.mark.parametrize(
    "value", ["<" * 100_000, "<a>;" * 50_000, "<a>; " + 'x="\\' * 50_000, "<a>" + " " * 100_000]
)
def test_a_hostile_header_takes_no_time(value: str) -> None:
    began = time.monotonic()
    links.parse(value)
    assert time.monotonic() - began < 1
