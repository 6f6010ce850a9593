"""Who joins a team is welcomed: if the joining was stored, and never otherwise.

    python examples/welcome.py

``person.join(team)`` records an event, and ``commit()`` stores it with the change. A relay
takes it from there to a handler. It uses the database of ``DATABASE_URL``, or one in memory.
"""

from collections.abc import Callable
from os import environ
from pathlib import Path
from uuid import UUID

from services import join_team

from domain import Message, Person, PersonJoinedTeam, Team
from domain.ports import Outbox
from domain.unit_of_work import UnitOfWork as Units
from infrastructure.database import Database
from infrastructure.database.alembic import upgrade
from infrastructure.database.outbox import SqlOutbox
from infrastructure.database.unit_of_work import UnitOfWork
from infrastructure.messaging import InProcessPublisher, OutboxRelay

PROJECT = Path(__file__).parents[1]


class Mailbox:
    """Stands for a mail server. A message may arrive twice, and is sent once."""

    def __init__(self) -> None:
        self._sent: dict[UUID, str] = {}

    def send(self, id: UUID, text: str) -> None:
        """Send this, unless it was sent already."""
        self._sent.setdefault(id, text)

    @property
    def sent(self) -> list[str]:
        """All that was sent."""
        return [*self._sent.values()]


def handlers_for(units: Callable[[], Units], mailbox: Mailbox) -> InProcessPublisher:
    """What is done about which event."""
    handlers = InProcessPublisher()

    @handlers.on(PersonJoinedTeam)
    def welcome(event: PersonJoinedTeam, message: Message) -> None:
        with units() as uow:
            person = uow.people.require(event.person_id)
            team = uow.teams.require(event.team_id)
        mailbox.send(message.id, f"to {person.email}: welcome to {team.name}, {person.name}!")

    return handlers


def waiting(outbox: Outbox) -> str:
    """How much there is to be delivered."""
    return f"messages that wait: {outbox.status().pending}"


def main() -> None:
    """Tell what happens."""
    with Database(environ.get("DATABASE_URL", "sqlite://")) as database:
        upgrade(database, project=PROJECT)
        outbox, mailbox = SqlOutbox(database), Mailbox()
        handlers = handlers_for(lambda: UnitOfWork(database, read_only=True), mailbox)
        relay = OutboxRelay(
            outbox, handlers
        )  # in production: python -m infrastructure outbox relay

        with UnitOfWork(database) as uow:
            uow.teams.create(Team(name="Core"))
            uow.people.create(Person(name="Ada", email="ada@example.com"))
            uow.commit()

        with UnitOfWork(database) as uow:
            join_team(uow, "ada@example.com", "Core")
            uow.rollback()
        print("rolled back:", waiting(outbox))

        with UnitOfWork(database) as uow:
            join_team(uow, "ada@example.com", "Core")
            uow.commit()
        print("committed:", waiting(outbox))

        relay.run_once()
        print("delivered:", waiting(outbox))
        print(*mailbox.sent, sep="\n")


if __name__ == "__main__":
    main()
