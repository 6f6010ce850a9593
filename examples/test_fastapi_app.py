"""The application on FastAPI, tested with the fixtures of infrastructure.testing.

Requests run in other threads; a test leaves its own ``with uow:`` before it makes one.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from fastapi_app import create_app

from domain import Person, Team, where
from infrastructure.database import Database
from infrastructure.database.unit_of_work import UnitOfWork
from infrastructure.testing import MovableClock

ADA = {"name": "Ada", "email": "ada@example.com"}


@pytest.fixture
def client(database: Database) -> Iterator[TestClient]:
    with TestClient(create_app(database)) as client:
        yield client


def test_a_person_is_stored(client: TestClient, uow: UnitOfWork, clock: MovableClock) -> None:
    answer = client.post("/people", json=ADA)

    assert answer.status_code == 201
    stored = answer.json()
    assert datetime.fromisoformat(stored["created_at"]) == clock.now
    assert client.get(f"/people/{stored['id']}").json() == stored
    with uow:
        assert uow.people.require(stored["id"]).name == "Ada"


def test_a_full_team_takes_nobody(client: TestClient, uow: UnitOfWork) -> None:
    with uow:
        team = uow.teams.create(Team(name="Solo", member_limit=1))
        uow.people.create(Person(name="Ada", email="ada@example.com"))
        uow.people.create(Person(name="Grace", email="grace@example.com"))
        uow.commit()

    members = f"/teams/{team.id}/members"
    assert client.post(members, json={"email": "ada@example.com"}).json()["team_id"] == team.id
    refused = client.post(members, json={"email": "grace@example.com"})

    assert (refused.status_code, list(refused.json()["fields"])) == (422, ["member_limit"])
    with uow:
        assert uow.people.one(where("team_id") == team.id).name == "Ada"


def test_teams_are_listed_in_two_queries(
    client: TestClient, uow: UnitOfWork, assert_queries: Callable[..., AbstractContextManager[None]]
) -> None:
    with uow:
        for number in range(5):
            team = uow.teams.create(Team(name=f"Team {number}"))
            uow.people.create(Person(name="A", email=f"{number}@example.com", team_id=team.id))
        uow.commit()

    with assert_queries(max=2):
        answer = client.get("/teams")

    assert [team["members"] for team in answer.json()] == [["A"]] * 5


def test_errors_of_the_domain_and_the_database_have_a_status(client: TestClient) -> None:
    client.post("/people", json=ADA)

    taken = client.post("/people", json=ADA)
    invalid = client.post("/people", json={"name": " ", "email": "nowhere"})

    assert (taken.status_code, taken.json()["fields"]) == (409, ["email"])
    assert (invalid.status_code, set(invalid.json()["fields"])) == (422, {"name", "email"})
    assert client.get("/people/0").status_code == 404


def test_without_its_database_it_is_busy(tmp_path: Path) -> None:
    with Database(f"sqlite:///{tmp_path / 'missing' / 'app.db'}") as gone:
        answer = TestClient(create_app(gone)).get("/teams")

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")


def test_of_two_who_change_a_person_one_is_refused(
    committed_database: Database, uow: UnitOfWork
) -> None:
    with TestClient(create_app(committed_database)) as client, ThreadPoolExecutor() as pool:
        seen = client.post("/people", json=ADA).json()

        def rename(name: str) -> int:
            return client.put(f"/people/{seen['id']}", json=seen | {"name": name}).status_code

        told = list(pool.map(rename, ["Ada King", "Ada Byron"]))

    assert sorted(told) == [200, 409]
    with uow:
        winner = ["Ada King", "Ada Byron"][told.index(200)]
        assert uow.people.require(seen["id"]).name == winner
