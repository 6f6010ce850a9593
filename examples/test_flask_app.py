"""The application on Flask, tested with the fixtures of infrastructure.testing.

What a test stores is gone at its end, however often the application commits.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from flask_app import create_app

from domain import Person, Team
from infrastructure.database import Database
from infrastructure.database.unit_of_work import UnitOfWork
from infrastructure.testing import MovableClock

ADA = {"name": "Ada", "email": "ada@example.com"}


@pytest.fixture
def client(database: Database) -> FlaskClient:
    app = create_app(database)
    app.testing = True  # a bug fails the test with its traceback, and is not just a 500
    return app.test_client()


def test_a_person_is_stored(client: FlaskClient, uow: UnitOfWork, clock: MovableClock) -> None:
    answer = client.post("/people", json=ADA)

    assert answer.status_code == 201
    assert datetime.fromisoformat(answer.get_json()["created_at"]) == clock.now
    assert client.get(f"/people/{answer.get_json()['id']}").get_json() == answer.get_json()
    with uow:
        assert uow.people.require(answer.get_json()["id"]).name == "Ada"


def test_somebody_joins_a_team(client: FlaskClient, uow: UnitOfWork) -> None:
    with uow:
        team = uow.teams.create(Team(name="Core"))
        ada = uow.people.create(Person(name="Ada", email="ada@example.com"))
        uow.commit()

    answer = client.post(f"/teams/{team.id}/members", json={"email": ada.email})
    assert (answer.status_code, answer.get_json()["team_id"]) == (200, team.id)

    with uow:
        assert uow.people.require(ada.id).team_id == team.id


def test_teams_are_listed_in_two_queries(
    client: FlaskClient,
    uow: UnitOfWork,
    assert_queries: Callable[..., AbstractContextManager[None]],
) -> None:
    with uow:
        for number in range(5):
            team = uow.teams.create(Team(name=f"Team {number}"))
            uow.people.create(Person(name="A", email=f"{number}@example.com", team_id=team.id))
        uow.commit()

    with assert_queries(max=2):
        answer = client.get("/teams")

    assert [team["members"] for team in answer.get_json()] == [["A"]] * 5


def test_what_is_wrong_is_said_by_field(client: FlaskClient, uow: UnitOfWork) -> None:
    answer = client.post("/people", json={"email": "nowhere"})

    assert answer.status_code == 422
    assert set(answer.get_json()["fields"]) == {"name", "email"}
    assert client.post("/people", json=[]).status_code == 422
    assert client.put("/people/1", json=ADA).status_code == 422  # without a version
    with uow:
        assert uow.people.count() == 0


def test_what_is_taken_is_a_conflict_and_what_is_not_there_not_found(client: FlaskClient) -> None:
    client.post("/people", json=ADA)

    answer = client.post("/people", json=ADA)

    assert (answer.status_code, answer.get_json()["fields"]) == (409, ["email"])
    assert client.get("/people/0").status_code == 404


def test_without_its_database_it_is_busy(tmp_path: Path) -> None:
    with Database(f"sqlite:///{tmp_path / 'missing' / 'app.db'}") as gone:
        answer = create_app(gone).test_client().get("/teams")

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")


def test_of_two_who_change_a_person_the_second_is_refused(
    committed_database: Database, uow: UnitOfWork
) -> None:
    client = create_app(committed_database).test_client()
    seen = client.post("/people", json=ADA).get_json()

    with ThreadPoolExecutor() as pool, uow:
        uow.people.update(seen["id"], name="Ada King")
        answer = pool.submit(client.put, f"/people/{seen['id']}", json=seen)  # waits for the row
        uow.commit()

    assert answer.result().status_code == 409
    assert client.get(f"/people/{seen['id']}").get_json()["name"] == "Ada King"
