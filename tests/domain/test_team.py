"""The rules of a team."""

from __future__ import annotations

from typing import Any, get_type_hints

import pytest

from domain import Team
from domain.errors import ValidationError


def test_a_team_has_a_name_and_no_limit_unless_one_is_given() -> None:
    team = Team(name="Core")
    assert (team.name, team.member_limit, team.id) == ("Core", None, None)


@pytest.mark.parametrize("name", ["", " ", "\t\n", "\u00a0", None, 1, b"Core"])
def test_a_name_must_not_be_blank(name: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        Team(name=name)
    assert caught.value.entity == "Team"
    assert set(caught.value.errors) == {"name"}


@pytest.mark.parametrize("limit", [0, -1, True, 1.5, "3"])
def test_a_limit_is_a_whole_number_and_one_at_least(limit: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        Team(name="Core", member_limit=limit)
    assert set(caught.value.errors) == {"member_limit"}


def test_all_wrong_fields_are_told_at_once() -> None:
    wrong: Any = "x"
    with pytest.raises(ValidationError) as caught:
        Team(name=" ", member_limit=0, id=wrong)
    assert set(caught.value.errors) == {"name", "member_limit", "id"}


def test_values_are_kept_as_they_were_given() -> None:
    assert Team(name=" Core ").name == " Core "


@pytest.mark.parametrize(
    ("limit", "members", "full"), [(None, 10**6, False), (2, 1, False), (2, 2, True), (2, 3, True)]
)
def test_a_team_is_full_when_its_limit_is_reached(
    limit: int | None, members: int, full: bool
) -> None:
    assert Team(name="Core", member_limit=limit).is_full(members) is full


def test_its_fields_have_types_that_can_be_read_at_run_time() -> None:
    hints = get_type_hints(Team)
    assert hints["member_limit"] == int | None
