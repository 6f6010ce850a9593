"""get_or_create() and upsert(): one row for one key, however many try."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from domain import Person, Team, where
from domain.errors import (
    SerializationFailure,
    TransientError,
    UniqueViolation,
    UnitOfWorkError,
    ValidationError,
)
from infrastructure.database import Database
from infrastructure.database.models.person import PersonModel
from infrastructure.database.unit_of_work import UnitOfWork
from tests.support import statements

EMAIL = "ada@example.com"


def ada(**fields: Any) -> Person:
    return Person(**{"name": "Ada", "email": EMAIL} | fields)


def names(database: Database) -> list[str]:
    with UnitOfWork(database, read_only=True) as uow:
        return [person.name for person in uow.people.get_all(order_by="id")]


@pytest.mark.parametrize("on", ["email", ("email",), ["email"]])
def test_the_second_one_is_the_first(database: Database, on: Any) -> None:
    with UnitOfWork(database) as uow:
        given = ada()
        first, created = uow.people.get_or_create(given, on=on)
        assert created
        assert given.id == first.id
        again, created = uow.people.get_or_create(ada(name="Other"), on=on)
        assert not created
        assert again is first
        uow.commit()
    with UnitOfWork(database) as uow, statements(database) as sent:
        found, created = uow.people.get_or_create({"name": "x", "email": EMAIL}, on=on)
        assert (found.name, created) == ("Ada", False)
        assert len(sent) == 1
    assert names(database) == ["Ada"]


def test_upsert_creates_or_writes_over(database: Database) -> None:
    with UnitOfWork(database) as uow:
        team = uow.teams.create(Team(name="Core"))
        first = uow.people.upsert(ada(team_id=team.id), on="email")
        uow.commit()
    other = ada(name="Countess")
    with UnitOfWork(database) as uow:
        second: Any = uow.people.upsert(other, on="email")
        assert second.id == first.id == other.id
        assert (second.name, second.team_id, second.version) == ("Countess", None, 2)
        assert second.created_at < second.updated_at
        third: Any = uow.people.upsert({"email": EMAIL, "team_id": team.id}, on="email")
        assert third is second
        assert (third.name, third.team_id, third.version) == ("Countess", team.id, 3)
        other.name = "lost?"
        with pytest.raises(UnitOfWorkError, match="changed afterwards"):
            uow.commit()
        other.name = "Countess"
        uow.commit()
    assert names(database) == ["Countess"]


def test_a_row_keeps_the_time_of_its_creation(database: Database) -> None:
    with UnitOfWork(database) as uow:
        first: Any = uow.people.create(ada())
        uow.commit()
        again: Any = uow.people.upsert(PersonModel(name="Row", email=EMAIL), on="email")
        assert (again.name, again.created_at) == ("Row", first.created_at)
        uow.commit()


@pytest.mark.parametrize(
    ("given", "on", "said"),
    [
        (ada(), "name", r"on: must be a unique key: \(email\) or \(id\)"),
        (ada(), (), "on: must be a unique key"),
        (ada(), "nope", "nope: is no field"),
        (ada(), "id", "id: must have a value"),
        ({"name": "Ada"}, "email", "email: must have a value"),
        ({"name": "Ada", "email": None}, "email", "email: must have a value"),
        (3, "email", "entity: must be a Person"),
    ],
)
def test_what_is_no_key_is_refused(database: Database, given: Any, on: Any, said: str) -> None:
    with UnitOfWork(database) as uow:
        for write in (uow.people.get_or_create, uow.people.upsert):
            with pytest.raises(ValidationError, match=said):
                write(given, on=on)
        uow.commit()
    assert names(database) == []


def test_a_wrong_entity_is_refused_and_nothing_is_stored(database: Database) -> None:
    with UnitOfWork(database) as uow:
        for write in (uow.people.get_or_create, uow.people.upsert):
            with pytest.raises(ValidationError, match="name"):
                write({"name": " ", "email": EMAIL}, on="email")
        uow.people.create(ada())
        with pytest.raises(ValidationError, match="name"):
            uow.people.upsert({"name": "x" * 201, "email": EMAIL}, on="email")
        uow.commit()
    assert names(database) == ["Ada"]


def test_another_key_that_is_taken_is_an_error(database: Database) -> None:
    with UnitOfWork(database) as uow:
        person = uow.people.create(ada())
        uow.commit()
    for write in ("get_or_create", "upsert"):
        with UnitOfWork(database) as uow:
            with pytest.raises(UniqueViolation) as raised:
                getattr(uow.people, write)(ada(email="b@example.com", id=person.id), on="email")
            assert raised.value.fields == ("id",)
            with pytest.raises(UnitOfWorkError, match="failed"):
                uow.commit()


def together(count: int, work: Callable[[int], Any]) -> list[Any]:
    """What each of several threads returned, begun at the same moment."""
    barrier = threading.Barrier(count)
    results: list[Any] = [None] * count

    def run(number: int) -> None:
        barrier.wait()
        try:
            results[number] = work(number)
        except Exception as error:  # noqa: BLE001 -- looked at by the test
            results[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_of_four_at_once_one_creates(shared_database: Database, soak: bool) -> None:
    for turn in range(100 if soak else 10):

        def work(number: int, turn: int = turn) -> bool:
            with UnitOfWork(shared_database) as uow:
                person = ada(name=f"{number}", email=f"{turn}@example.com")
                _, created = uow.people.get_or_create(person, on="email")
                uow.commit()
            return created

        assert sorted(map(str, together(4, work))) == ["False", "False", "False", "True"]
    with UnitOfWork(shared_database) as uow:
        assert uow.people.count() == turn + 1


def test_of_four_at_once_all_upsert_one_row(shared_database: Database, soak: bool) -> None:
    for turn in range(100 if soak else 10):

        def work(number: int, turn: int = turn) -> int | None:
            with UnitOfWork(shared_database) as uow:
                person = ada(name=f"{number}", email=f"{turn}@example.com")
                stored = uow.people.upsert(person, on="email")
                uow.commit()
            return stored.id

        assert len(set(together(4, work))) == 1
    with UnitOfWork(shared_database) as uow:
        assert uow.people.count() == turn + 1
        assert {row.version for row in uow.repository(PersonModel).get_all()} == {4}


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_where_the_winner_cannot_be_seen_the_unit_may_be_run_again(
    shared_database: Database, level: str
) -> None:
    def work(number: int) -> bool:
        with UnitOfWork(shared_database, isolation_level=level) as uow:
            _, created = uow.people.get_or_create(ada(name=f"{number}"), on="email")
            uow.commit()
        return created

    results = together(4, work)
    assert results.count(True) == 1
    assert all(
        result is True or result is False or isinstance(result, TransientError)
        for result in results
    ), results
    assert issubclass(SerializationFailure, TransientError)
    with UnitOfWork(shared_database) as uow:
        assert uow.people.count(where("email") == EMAIL) == 1
