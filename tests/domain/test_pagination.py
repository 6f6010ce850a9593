"""What a page and a window tell about the rest."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from domain import Page, Window


@pytest.mark.parametrize(
    ("total", "size", "pages"), [(0, 10, 0), (1, 10, 1), (10, 10, 1), (11, 10, 2), (3, 1, 3)]
)
def test_a_page_knows_how_many_pages_there_are(total: int, size: int, pages: int) -> None:
    assert Page([], number=1, size=size, total=total).pages == pages


@pytest.mark.parametrize(
    ("number", "previous", "following"),
    [(1, False, True), (2, True, True), (3, True, False), (9, True, False)],
)
def test_a_page_knows_its_neighbours(number: int, previous: bool, following: bool) -> None:
    page: Page[int] = Page([], number=number, size=10, total=25)
    assert (page.has_previous, page.has_next) == (previous, following)


def test_the_only_page_has_no_neighbours() -> None:
    page: Page[int] = Page([], number=1, size=10, total=0)
    assert not page.has_previous
    assert not page.has_next


def test_a_window_knows_whether_it_goes_on() -> None:
    first: Window[int] = Window([1, 2], next="opaque", previous=None)
    assert first.has_next
    assert not first.has_previous


@pytest.mark.parametrize(
    "part", [Page([1, 2], number=1, size=2, total=5), Window([1, 2], next=None, previous=None)]
)
def test_both_are_read_like_their_items(part: Page[int] | Window[int]) -> None:
    assert list(part) == [1, 2]
    assert len(part) == 2
    assert 2 in part


def test_both_are_values_that_do_not_change() -> None:
    page = Page((1,), number=1, size=1, total=1)
    window = Window((1,), next=None, previous=None)
    assert page == Page((1,), number=1, size=1, total=1)
    assert window == Window((1,), next=None, previous=None)
    assert hash(page)
    assert hash(window)
    with pytest.raises(FrozenInstanceError):
        setattr(page, "total", 2)  # noqa: B010  # type checkers refuse the plain form
    with pytest.raises(FrozenInstanceError):
        setattr(window, "next", "x")  # noqa: B010  # as above
