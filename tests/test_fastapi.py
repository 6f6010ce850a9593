"""A synchronous FastAPI application whose requests have a unit of work each."""

# No `from __future__ import annotations`: FastAPI reads the annotations of the functions below.

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated

import pytest
from fastapi import Depends, FastAPI
from fastapi.responses import JSONResponse
from fastapi.testclient import TestClient
from pydantic import BaseModel
from starlette.requests import Request

from domain import Person, Team, where
from domain.errors import (
    ConflictError,
    EntityNotFound,
    KitError,
    UncommittedChangesWarning,
    ValidationError,
)
from infrastructure.database import Database
from infrastructure.database.unit_of_work import UnitOfWork

REQUESTS = 200


class NewPerson(BaseModel):
    name: str
    email: str


class PersonOut(BaseModel):
    id: int
    name: str
    team_id: int | None


class Threads:
    """Which threads entered, used and left the unit of each request."""

    def __init__(self) -> None:
        self.entered: list[int] = []
        self.moved = 0

    def enter(self) -> int:
        self.entered.append(threading.get_ident())
        return self.entered[-1]

    def use(self, entered_in: int) -> None:
        self.moved += threading.get_ident() != entered_in


def application(database: Database, *, limited: bool = True) -> FastAPI:
    """A small application as one would write it: commits stand in the body.

    A body that does not commit keeps its connection until the dependency is left. Before that
    FastAPI needs a thread once more, and they may all wait in bodies for a connection. So
    the number of units is limited, below that of connections; or (not ``limited``) every body
    commits, which gives its connection back.
    """
    app = FastAPI()
    app.state.threads = threads = Threads()

    def unit_of_work(request: Request) -> Iterator[UnitOfWork]:
        request.state.entered_in = threads.enter()
        with UnitOfWork(database) as uow:
            yield uow
        threads.use(request.state.entered_in)

    depends = Depends(unit_of_work, max_concurrency=10 if limited else None)
    Uow = Annotated[UnitOfWork, depends]  # noqa: N806 -- a type

    def has_read(uow: UnitOfWork) -> None:
        if not limited:
            uow.commit()

    @app.exception_handler(KitError)
    def say_what_went_wrong(request: Request, error: Exception) -> JSONResponse:
        status = {EntityNotFound: 404, ValidationError: 422}.get(type(error), 500)
        status = 409 if isinstance(error, ConflictError) else status
        return JSONResponse({"error": type(error).__name__}, status)

    @app.post("/people", status_code=201)
    def add(person: NewPerson, uow: Uow, request: Request) -> PersonOut:
        threads.use(request.state.entered_in)
        created = uow.people.create(Person(name=person.name, email=person.email))
        uow.commit()
        return PersonOut.model_validate(created, from_attributes=True)

    @app.get("/people/{id}")
    def show(id: int, uow: Uow, request: Request) -> PersonOut:
        threads.use(request.state.entered_in)
        person = uow.people.require(id)
        has_read(uow)
        return PersonOut.model_validate(person, from_attributes=True)

    @app.get("/people")
    def find(uow: Uow, prefix: str = "") -> list[PersonOut]:
        found = uow.people.get_all(where("name").startswith(prefix), order_by="name", limit=5)
        has_read(uow)
        return [PersonOut.model_validate(person, from_attributes=True) for person in found]

    @app.post("/teams/{team_id}/members/{id}")
    def join(team_id: int, id: int, uow: Uow) -> PersonOut:
        team = uow.teams.require(team_id, for_update=True)
        person = uow.people.require(id)
        person.join(team, members=uow.people.count_in_team(team_id))
        uow.commit()
        return PersonOut.model_validate(person, from_attributes=True)

    @app.post("/broken")
    def break_off(person: NewPerson, uow: Uow) -> None:
        uow.people.create(Person(name=person.name, email=person.email))
        raise RuntimeError("in the middle of a request")

    @app.post("/forgetful")
    def forget_to_commit(person: NewPerson, uow: Uow) -> None:
        uow.people.create(Person(name=person.name, email=person.email))

    @app.get("/of-a-unit-that-ended")
    def read_after_commit(uow: Uow) -> PersonOut:
        person = uow.people.create(Person(name="Late", email="late@example.org"))
        uow.commit()
        return PersonOut.model_validate(person, from_attributes=True)

    return app


@pytest.fixture
def client(shared_database: Database) -> Iterator[TestClient]:
    """The application in one event loop, as on a server: each request takes threads of a pool."""
    with TestClient(application(shared_database), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def ids(shared_database: Database) -> list[int]:
    """Three people who are there already, in this order, and a team with room for two of them."""
    names = ("Ada", "Grace", "Katherine")
    with UnitOfWork(shared_database) as uow:
        uow.teams.create(Team(name="Pair", member_limit=2))
        people = uow.people.create_many(
            [Person(name=name, email=f"{name.lower()}@example.org") for name in names]
        )
        uow.commit()
    return [person.id for person in people if person.id is not None]


def all_at_once(request: Callable[[int], int], count: int) -> list[int]:
    """The status of each of so many requests, all of which are under way together."""
    start = threading.Barrier(count)

    def send(number: int) -> int:
        start.wait(timeout=30)
        return request(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(send, range(count)))


def count_people(database: Database) -> int:
    with UnitOfWork(database, read_only=True) as uow:
        return uow.people.count()


@pytest.mark.parametrize("limited", [True, False], ids=["few-units", "every-body-commits"])
def test_concurrent_requests_that_read_and_write_all_succeed(
    shared_database: Database, ids: list[int], limited: bool
) -> None:
    with TestClient(application(shared_database, limited=limited)) as client:

        def request(number: int) -> int:
            match number % 4:
                case 0 | 1:
                    person = {"name": f"Person {number}", "email": f"p{number}@example.org"}
                    return client.post("/people", json=person).status_code
                case 2:
                    return client.get(f"/people/{ids[number % 3]}").status_code
                case _:
                    return client.get("/people", params={"prefix": "Person"}).status_code

        told = all_at_once(request, REQUESTS)

    assert told == [201, 201, 200, 200] * (REQUESTS // 4)
    assert count_people(shared_database) == len(ids) + REQUESTS // 2


def test_a_unit_is_entered_used_and_left_in_different_threads(
    client: TestClient, ids: list[int]
) -> None:
    """The control for the test above: this is what FastAPI does, and the unit must bear it."""
    told = all_at_once(lambda _: client.get(f"/people/{ids[0]}").status_code, 40)

    threads = client.app.state.threads  # type: ignore[attr-defined]
    assert told == [200] * 40
    assert threads.moved > 0
    assert len(set(threads.entered)) > 1


def test_requests_on_a_memory_database_wait_for_each_other(make_database) -> None:
    database = make_database("sqlite://")
    with TestClient(application(database)) as client:

        def request(number: int) -> int:
            person = {"name": f"Person {number}", "email": f"p{number}@example.org"}
            return client.post("/people", json=person).status_code

        assert all_at_once(request, 20) == [201] * 20
    assert count_people(database) == 20


def test_the_last_seat_is_given_once(
    client: TestClient, shared_database: Database, ids: list[int]
) -> None:
    told = all_at_once(lambda n: client.post(f"/teams/1/members/{ids[n]}").status_code, 3)

    assert sorted(told) == [200, 200, 422]
    with UnitOfWork(shared_database, read_only=True) as uow:
        assert uow.people.count_in_team(1) == 2


def test_an_error_in_the_body_rolls_back(client: TestClient, shared_database: Database) -> None:
    answer = client.post("/broken", json={"name": "Nobody", "email": "nobody@example.org"})

    assert answer.status_code == 500
    assert count_people(shared_database) == 0


def test_an_error_of_the_kit_rolls_back_and_reaches_the_handler(
    client: TestClient, shared_database: Database, ids: list[int]
) -> None:
    taken = client.post("/people", json={"name": "Ada", "email": "ada@example.org"})
    invalid = client.post("/people", json={"name": " ", "email": "blank@example.org"})
    missing = client.get("/people/999999")

    assert (taken.status_code, taken.json()) == (409, {"error": "UniqueViolation"})
    assert (invalid.status_code, invalid.json()) == (422, {"error": "ValidationError"})
    assert (missing.status_code, missing.json()) == (404, {"error": "EntityNotFound"})
    assert count_people(shared_database) == len(ids)


def test_the_application_goes_on_after_many_errors_at_once(
    client: TestClient, shared_database: Database, ids: list[int]
) -> None:
    """More failures than the pool has connections: each must have given its own back."""
    taken = {"name": "Ada", "email": "ada@example.org"}

    told = all_at_once(lambda _: client.post("/people", json=taken).status_code, 40)

    assert told == [409] * 40
    fine = client.post("/people", json={"name": "Mary", "email": "mary@example.org"})
    assert fine.status_code == 201
    assert count_people(shared_database) == len(ids) + 1


def test_a_request_that_forgets_to_commit_stores_nothing_and_warns(
    shared_database: Database,
) -> None:
    with (
        TestClient(application(shared_database)) as client,
        pytest.warns(UncommittedChangesWarning),
    ):
        client.post("/forgetful", json={"name": "Nobody", "email": "nobody@example.org"})

    assert count_people(shared_database) == 0


def test_what_was_committed_is_readable_until_the_answer_is_written(
    client: TestClient,
) -> None:
    answer = client.get("/of-a-unit-that-ended")

    assert answer.json() == {"id": 1, "name": "Late", "team_id": None}
