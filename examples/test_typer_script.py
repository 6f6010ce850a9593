"""The program, tested with the fixtures of infrastructure.testing.

It asks for ``Database.default()``, which is that of the test.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager

from typer.testing import CliRunner, Result
from typer_script import app

from domain import Person, Team, where
from infrastructure.database.unit_of_work import UnitOfWork


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def test_teams_and_people_are_added_and_listed(uow: UnitOfWork) -> None:
    done = [
        run("add-team", "Core"),
        run("add-team", "Pair", "--limit", "2"),
        run("add-person", "Ada", "ada@example.com", "--team", "Pair"),
        run("add-person", "Grace", "grace@example.com"),
        run("join", "grace@example.com", "Pair"),
    ]

    assert [result.exit_code for result in done] == [0] * 5
    assert run("list").stdout.splitlines() == ["Core (0)", "Pair (2 of 2): Ada, Grace"]
    with uow:
        assert uow.people.count() == 2


def test_whoever_cannot_join_is_not_added_either(uow: UnitOfWork) -> None:
    with uow:
        uow.teams.create(Team(name="Core"))
        uow.commit()

    result = run("add-person", "Ada", "ada@example.com", "--team", "Nowhere")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Error: no Team satisfies the criteria\n"
    with uow:
        assert not uow.people.exists(where("email") == "ada@example.com")


def test_errors_have_a_status_and_a_message(uow: UnitOfWork) -> None:
    with uow:
        team = uow.teams.create(Team(name="Solo", member_limit=1))
        uow.people.create(Person(name="Ada", email="ada@example.com", team_id=team.id))
        uow.people.create(Person(name="Grace", email="grace@example.com"))
        uow.commit()

    taken = run("add-team", "Solo")
    invalid = run("add-person", "Nobody", "nowhere")
    full = run("join", "grace@example.com", "Solo")

    assert [result.exit_code for result in (taken, invalid, full)] == [1, 1, 1]
    assert "Team.name is already taken" in taken.stderr
    assert "email: must look like name@example.com" in invalid.stderr
    assert "the team is full" in full.stderr


def test_many_teams_are_listed_in_two_queries(
    uow: UnitOfWork, assert_queries: Callable[..., AbstractContextManager[None]]
) -> None:
    with uow:
        uow.teams.create_many([Team(name=f"Team {number}") for number in range(20)])
        uow.commit()

    with assert_queries(max=2):
        result = run("list")

    assert len(result.stdout.splitlines()) == 20
