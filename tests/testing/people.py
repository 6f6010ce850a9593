"""People, as the contracts want to know them."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import delete, insert

from domain import Person, Team
from infrastructure.database import BaseUnitOfWork, Database
from infrastructure.database.models.outbox_message import OutboxMessage
from infrastructure.database.models.person import PersonModel
from infrastructure.database.models.team import TeamModel
from infrastructure.testing.contracts import Units
from infrastructure.testing.memory import BaseInMemoryUnitOfWork, InMemoryStore

TEAMS = range(1, 10)


class Stop(Exception):
    """What ends a block in tests."""


def ada(uow: Any) -> Person:
    """Create her."""
    created: Person = uow.people.create(Person(name="Ada", email="ada@example.com"))
    return created


class People:
    """How people are made, each of whom belongs to a team of their own."""

    rising = "name"
    unique = ("email",)
    nullable = "team_id"
    reference = ("team_id", 999_999)
    invalid: ClassVar[dict[str, Any]] = {"name": 5, "team_id": "x"}
    versioned = True

    def repository(self, uow: Any) -> Any:
        return uow.people

    def referred(self, uow: Any) -> Any:
        return uow.teams

    def make(self, number: int) -> Person:
        return Person(name=f"Ada {number}", email=f"ada{number}@example.com", team_id=number)

    def change(self, person: Person) -> None:
        person.name += "!"
        person.leave()


def units(database: Database, kind: type[BaseUnitOfWork]) -> Units:
    """Makes units on a database that has the teams, and nobody in them."""
    teams = [{"id": number, "name": f"team {number}", "version": 1} for number in TEAMS]
    with database.engine.begin() as connection:
        for model in (OutboxMessage, PersonModel, TeamModel):
            connection.execute(delete(model))
        connection.execute(insert(TeamModel), teams)
    return lambda **options: kind(database, **options)


def units_in_memory(store: InMemoryStore, kind: type[BaseInMemoryUnitOfWork]) -> Units:
    """The same in memory."""
    with kind(store) as uow:
        uow.repository(Team).create_many([Team(name=f"team {n}", id=n) for n in TEAMS])
        uow.commit()
    return lambda **options: kind(store, **options)
