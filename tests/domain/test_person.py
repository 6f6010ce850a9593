"""The rules and the behaviour of a person."""

from __future__ import annotations

from typing import Any, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import Person, Team
from domain.errors import ValidationError


def ada(**values: Any) -> Person:
    given: dict[str, Any] = {"name": "Ada Lovelace", "email": "ada@example.com"} | values
    return Person(**given)


def test_a_person_has_a_name_an_address_and_no_team_at_first() -> None:
    person = ada()
    assert (person.name, person.email) == ("Ada Lovelace", "ada@example.com")
    assert person.team_id is None
    assert person.id is None


@pytest.mark.parametrize(
    "email",
    ["a@b.c", "ada.l+kit@mail.example.co.uk", "ädä@bücher.example", "O'Neil@example.com"],
)
def test_plausible_addresses_are_accepted_as_they_are(email: str) -> None:
    assert ada(email=email).email == email


@pytest.mark.parametrize(
    "email",
    [
        "",
        "ada",
        "@example.com",
        "ada@",
        "ada@example",
        "ada@.com",
        "ada@example.",
        "ada@example..com",
        "ada@@example.com",
        "ada@home@example.com",
        "ada lovelace@example.com",
        " ada@example.com",
        "ada@example.com\n",
        None,
        42,
        b"ada@example.com",
    ],
)
def test_implausible_addresses_are_refused(email: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        ada(email=email)
    assert caught.value.entity == "Person"
    assert set(caught.value.errors) == {"email"}


@pytest.mark.parametrize("name", ["", "  ", "\n", None, 7])
def test_a_name_must_not_be_blank(name: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        ada(name=name)
    assert set(caught.value.errors) == {"name"}


def test_all_wrong_fields_are_told_at_once_and_their_values_are_not() -> None:
    with pytest.raises(ValidationError) as caught:
        ada(name=" ", email="secret", team_id="secret", id=True)
    assert set(caught.value.errors) == {"name", "email", "team_id", "id"}
    assert "secret" not in str(caught.value)


anything = st.none() | st.booleans() | st.integers() | st.text() | st.binary() | st.lists(st.none())


@given(name=anything, email=anything, team_id=anything, id=anything)
def test_whatever_is_given_is_either_kept_or_refused(**values: Any) -> None:
    kept, refused = dict(values), set[str]()
    try:
        kept = vars(Person(**values))
    except ValidationError as error:
        refused = set(error.errors)
    assert kept == values
    assert refused <= set(values)


def test_joining_a_team_is_belonging_to_it_alone() -> None:
    person = ada()
    person.join(Team(id=1, name="Core"))
    person.join(Team(id=2, name="Docs"))
    assert person.team_id == 2


def test_leaving_is_belonging_to_no_team() -> None:
    person = ada(team_id=1)
    person.leave()
    person.leave()
    assert person.team_id is None


def test_a_team_must_be_stored_before_it_is_joined() -> None:
    person = ada(team_id=1)
    with pytest.raises(ValidationError, match="store it first") as caught:
        person.join(Team(name="Core"))
    assert set(caught.value.errors) == {"team_id"}
    assert person.team_id == 1


def test_a_full_team_cannot_be_joined() -> None:
    person = ada()
    with pytest.raises(ValidationError, match="full") as caught:
        person.join(Team(id=1, name="Core", member_limit=2), members=2)
    assert (caught.value.entity, set(caught.value.errors)) == ("Team", {"member_limit"})
    assert person.team_id is None


def test_the_last_place_can_be_taken() -> None:
    person = ada()
    person.join(Team(id=1, name="Core", member_limit=2), members=1)
    assert person.team_id == 1


def test_a_team_with_a_limit_cannot_be_joined_without_a_count() -> None:
    person = Person(name="Ada", email="ada@example.com")
    with pytest.raises(ValidationError) as caught:
        person.join(Team(id=1, name="Core", member_limit=2))
    assert caught.value.errors.keys() == {"member_limit"}
    assert person.team_id is None


def test_a_member_may_join_again_even_if_the_team_is_full() -> None:
    person = ada(team_id=1)
    person.join(Team(id=1, name="Core", member_limit=2), members=2)
    assert person.team_id == 1


def test_a_team_without_a_limit_is_never_full() -> None:
    person = ada()
    person.join(Team(id=1, name="Core"), members=10**6)
    assert person.team_id == 1


def test_its_fields_have_types_that_can_be_read_at_run_time() -> None:
    hints = get_type_hints(Person)
    assert (hints["email"], hints["team_id"]) == (str, int | None)
