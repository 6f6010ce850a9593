"""The services, tested in memory: no database is opened."""

import pytest
from services import close_team, join_team, teams_with_members

from domain import Person, Team
from domain.errors import EntityNotFound, ValidationError
from domain.unit_of_work import UnitOfWork
from infrastructure.testing import InMemoryUnitOfWork


@pytest.fixture
def uow() -> UnitOfWork:
    """Ada and Grace are in no team; Core takes any number, Pair one more after Alan."""
    uow = InMemoryUnitOfWork()
    with uow:
        uow.teams.create(Team(name="Core"))
        pair = uow.teams.create(Team(name="Pair", member_limit=2))
        uow.people.create(Person(name="Ada", email="ada@example.com"))
        uow.people.create(Person(name="Grace", email="grace@example.com"))
        uow.people.create(Person(name="Alan", email="alan@example.com", team_id=pair.id))
        uow.commit()
    return uow


def members_of(uow: UnitOfWork) -> dict[str, list[str]]:
    """What is stored, by the names of the teams."""
    with uow:
        found = teams_with_members(uow)
    return {team.name: [person.name for person in members] for team, members in found}


def test_somebody_joins_a_team(uow: UnitOfWork) -> None:
    with uow:
        join_team(uow, "ada@example.com", "Core")
        uow.commit()

    assert members_of(uow) == {"Core": ["Ada"], "Pair": ["Alan"]}


def test_a_full_team_takes_nobody(uow: UnitOfWork) -> None:
    with uow:
        join_team(uow, "ada@example.com", "Pair")
        with pytest.raises(ValidationError, match="the team is full"):
            join_team(uow, "grace@example.com", "Pair")
        join_team(uow, "ada@example.com", "Pair")  # she is in it, and may say so again
        uow.commit()

    assert members_of(uow) == {"Core": [], "Pair": ["Ada", "Alan"]}


@pytest.mark.parametrize(
    ("email", "team", "missing"),
    [("nobody@example.com", "Core", "Person"), ("ada@example.com", "Nowhere", "Team")],
)
def test_who_or_what_is_not_there_is_not_found(
    uow: UnitOfWork, email: str, team: str, missing: str
) -> None:
    with uow, pytest.raises(EntityNotFound) as raised:
        join_team(uow, email, team)

    assert raised.value.entity == missing


def test_a_team_is_closed_and_its_members_have_none(uow: UnitOfWork) -> None:
    with uow:
        left = close_team(uow, "Pair")
        uow.commit()

    assert [(person.name, person.team_id) for person in left] == [("Alan", None)]
    assert members_of(uow) == {"Core": []}


def test_a_successor_takes_the_members(uow: UnitOfWork) -> None:
    with uow:
        close_team(uow, "Pair", successor="Core")
        uow.commit()

    assert members_of(uow) == {"Core": ["Alan"]}


def test_a_team_whose_members_do_not_fit_in_stays(uow: UnitOfWork) -> None:
    with uow:
        join_team(uow, "ada@example.com", "Core")
        join_team(uow, "grace@example.com", "Core")
        uow.commit()

    with pytest.raises(ValidationError, match="the team is full"), uow:
        close_team(uow, "Core", successor="Pair")

    assert members_of(uow) == {"Core": ["Ada", "Grace"], "Pair": ["Alan"]}
