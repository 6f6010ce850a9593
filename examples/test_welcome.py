"""The handlers, tested in memory and with the fixtures of infrastructure.testing."""

from collections.abc import Callable

from services import join_team
from welcome import Mailbox, handlers_for

from domain import Person, Team
from domain.ports import Outbox
from domain.unit_of_work import UnitOfWork
from infrastructure.messaging import OutboxRelay
from infrastructure.testing import InMemoryStore, InMemoryUnitOfWork

WELCOME = "to ada@example.com: welcome to Core, Ada!"


def join(units: Callable[[], UnitOfWork], *, commit: bool) -> None:
    """Ada joins Core."""
    with units() as uow:
        uow.teams.create(Team(name="Core"))
        uow.people.create(Person(name="Ada", email="ada@example.com"))
        join_team(uow, "ada@example.com", "Core")
        if commit:
            uow.commit()
        else:
            uow.rollback()


def deliver(outbox: Outbox, units: Callable[[], UnitOfWork]) -> list[str]:
    """What a relay has sent."""
    mailbox = Mailbox()
    OutboxRelay(outbox, handlers_for(units, mailbox)).run_once()
    return mailbox.sent


def test_who_joins_a_team_is_welcomed_once() -> None:
    store = InMemoryStore()

    def units() -> UnitOfWork:
        return InMemoryUnitOfWork(store)

    join(units, commit=True)

    assert deliver(store.outbox, units) == [WELCOME]
    assert deliver(store.outbox, units) == []


def test_the_database_does_the_same(uow_factory: Callable[[], UnitOfWork], outbox: Outbox) -> None:
    join(uow_factory, commit=True)

    assert deliver(outbox, uow_factory) == [WELCOME]
    assert deliver(outbox, uow_factory) == []


def test_nobody_is_welcomed_whose_joining_was_not_stored(
    uow_factory: Callable[[], UnitOfWork], outbox: Outbox
) -> None:
    join(uow_factory, commit=False)

    assert deliver(outbox, uow_factory) == []


def test_a_message_that_arrives_twice_is_sent_once() -> None:
    store, mailbox = InMemoryStore(), Mailbox()

    def units() -> UnitOfWork:
        return InMemoryUnitOfWork(store)

    join(units, commit=True)
    (message,) = store.outbox.messages
    for _ in range(2):
        handlers_for(units, mailbox).publish([message])

    assert mailbox.sent == [WELCOME]
