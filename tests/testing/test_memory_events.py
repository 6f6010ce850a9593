"""What units in memory publish: of aggregates, in the order of their commits, by one clock."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from orders import OrderLineModel, OrderModel, Shop
from orders_domain import Money, OrderLine

from domain import Entity, Event, Person, Team
from domain.entity import EVENTS
from domain.errors import UnitOfWorkError
from domain.ports import Outbox
from infrastructure.database import Database, Model
from infrastructure.database.models.outbox_message import OutboxMessage
from infrastructure.database.outbox import SqlOutbox
from infrastructure.testing import MovableClock
from infrastructure.testing.memory import (
    BaseInMemoryUnitOfWork,
    InMemoryRepository,
    InMemoryStore,
)
from infrastructure.testing.memory.unit_of_work import InMemoryUnitOfWork
from tests.testing.people import Stop, ada
from tests.testing.test_memory_aggregates import InMemoryRows, InMemoryShop, Units, an_order


@dataclass(frozen=True, kw_only=True)
class Said(Event):
    text: str


@dataclass(eq=False, kw_only=True)
class MemStop(Entity):
    """A place on a route."""

    name: str
    id: int | None = None


@dataclass(eq=False, kw_only=True)
class MemRoute(Entity):
    """An aggregate without a table."""

    name: str
    stops: list[MemStop] = field(default_factory=list)
    id: int | None = None


class Routes(BaseInMemoryUnitOfWork):
    routes: InMemoryRepository[MemRoute]


def say(entity: Any, text: str) -> None:
    """Let it record this, with the id that it has when it is stored."""
    entity.record(lambda one: Said(text=f"{text} {one.id}"))


def said(store: InMemoryStore) -> list[str]:
    """What was published, from the beginning."""
    return [message.payload[9:-2] for message in store.outbox.messages]


# -- aggregates without a table ------------------------------------------------------------------


def test_an_aggregate_publishes_what_its_members_have_recorded(store: InMemoryStore) -> None:
    route = MemRoute(name="a", stops=[MemStop(name="x")])
    say(route.stops[0], "stop")
    say(route, "route")
    with Routes(store) as uow:
        kept = uow.routes.create(route)
        kept.stops.append(MemStop(name="y"))
        say(kept.stops[1], "new stop")
        say(kept.stops[0], "old stop")
        uow.commit()
    assert said(store) == ["stop 1", "route 1", "new stop 2", "old stop 1"]
    with Routes(store) as uow:
        found = uow.routes.one()
        assert not any(EVENTS in vars(one) for one in (found, *found.stops, *kept.stops))
        found.name = "b"
        say(found.stops[0], "only said")
        uow.commit()
    assert said(store)[4:] == ["only said 1"]


def test_a_rollback_gives_members_of_a_new_aggregate_their_events_back(
    store: InMemoryStore,
) -> None:
    route = MemRoute(name="a", stops=[MemStop(name="x")])
    say(route.stops[0], "stop")
    with Routes(store) as uow:
        for _ in range(2):
            uow.routes.create(route)
            uow.routes.count()
            uow.rollback()
        kept = uow.routes.create(route)
        uow.commit()
    assert said(store) == [f"stop {kept.stops[0].id}"]


def test_what_a_member_recorded_in_an_undone_savepoint_is_not_published(
    store: InMemoryStore,
) -> None:
    with Routes(store) as uow:
        kept = uow.routes.create(MemRoute(name="a", stops=[MemStop(name="x")]))
        with pytest.raises(Stop), uow.savepoint():
            say(kept.stops[0], "undone")
            raise Stop
        say(kept.stops[0], "kept")
        uow.commit()
    assert said(store) == ["kept 1"]


# -- aggregates with one -------------------------------------------------------------------------


class SqlShop(Shop):
    """The same in a database."""

    outbox = OutboxMessage


class Counter(NamedTuple):
    """Where orders are placed, and where one hears of them."""

    units: Units
    outbox: Outbox

    def said(self) -> list[str]:
        """What was published since this was asked last."""
        claim = self.outbox.claim(100, lease=60.0)
        self.outbox.settle(claim, sent=[message.id for message in claim.messages])
        return [message.payload[9:-2] for message in claim.messages]


@pytest.fixture(params=["sql", "plain", "rows"])
def counter(request: pytest.FixtureRequest) -> Iterator[Counter]:
    """One of each kind."""
    if request.param != "sql":
        store = InMemoryStore()
        kind = {"plain": InMemoryShop, "rows": InMemoryRows}[request.param]
        yield Counter(lambda **options: kind(store, **options), store.outbox)
        return
    with Database("sqlite://") as database:
        models: list[Any] = [OrderModel, OrderLineModel, OutboxMessage]
        Model.metadata.create_all(database.engine, tables=[one.__table__ for one in models])
        yield Counter(lambda **options: SqlShop(database, **options), SqlOutbox(database))


def a_line(sku: str) -> OrderLine:
    line = OrderLine(sku=sku, quantity=1, price=Money(Decimal(1)))
    line.record(Said(text=f"new {sku}"))
    return line


@pytest.fixture
def order_id(counter: Counter) -> Any:
    """The id of a stored order of a and b, of which was heard already."""
    with counter.units() as uow:
        order = uow.orders.create(an_order("a", "b"))
        uow.commit()
        return order.id


def test_an_order_publishes_what_its_lines_have_recorded(counter: Counter, order_id: Any) -> None:
    with counter.units() as uow:
        order = uow.orders.require(order_id)
        order.lines[1].record(Said(text="only said"))
        uow.commit()
    assert counter.said() == ["only said"]
    with counter.units() as uow:
        order = uow.orders.require(order_id)
        order.lines[1].quantity = 9
        order.lines[1].record(Said(text="changed"))
        order.lines[0].record(Said(text="removed"))
        order.remove("a")
        uow.commit()
    assert counter.said() == ["changed", "removed"]
    with counter.units() as uow:
        order = uow.orders.require(order_id)
        order.lines[0].record(Said(text="deleted"))
        uow.orders.delete(order)
        uow.commit()
    assert counter.said() == ["deleted"]


def test_new_lines_of_an_order_publish_with_it(counter: Counter) -> None:
    order = an_order("a")
    order.lines[0].record(Said(text="first"))
    with counter.units() as uow:
        kept = uow.orders.create(order)
        kept.lines.append(a_line("b"))
        kept.lines[1].record(Said(text="of the order"))
        uow.commit()
        assert not any(EVENTS in vars(one) for one in (*order.lines, *kept.lines))
    assert counter.said() == ["first", "new b", "of the order"]


def test_a_rollback_gives_new_lines_their_events_back(counter: Counter, order_id: Any) -> None:
    line = a_line("c")
    with counter.units() as uow:
        uow.orders.require(order_id).lines.append(line)
        uow.orders.count()
        uow.rollback()
        uow.commit()
        uow.orders.require(order_id).lines.append(line)
        uow.commit()
    assert counter.said() == ["new c"]


def test_a_line_that_records_too_late_is_refused(counter: Counter, order_id: Any) -> None:
    original = an_order("x")
    with counter.units() as uow:
        order = uow.orders.require(order_id)
        uow.commit()
        order.lines[0].record(Said(text="too late"))
        with pytest.raises(UnitOfWorkError, match="Order"):
            uow.commit()
        del vars(order.lines[0])[EVENTS]
        uow.orders.create(original)
        original.lines[0].record(Said(text="on the original"))
        with pytest.raises(UnitOfWorkError, match="Order"):
            uow.commit()
        uow.rollback()
        uow.orders.create(original)
        uow.commit()
    assert counter.said() == ["on the original"]


@pytest.mark.parametrize("shop", [InMemoryShop, InMemoryRows])
def test_lines_of_a_deleted_order_of_another_unit_publish_too(shop: Units) -> None:
    store = InMemoryStore()
    with shop(store) as uow:
        order = uow.orders.create(an_order("a"))
        uow.commit()
    order.lines[0].record(Said(text="of another unit"))
    with shop(store) as uow:
        uow.orders.delete(order)
        uow.commit()
    assert said(store) == ["of another unit"]


# -- the store -----------------------------------------------------------------------------------


def test_messages_have_the_time_of_the_store_whichever_clock_it_has() -> None:
    store, moment = InMemoryStore(), datetime(2024, 1, 1, tzinfo=UTC)
    store.clock = clock = MovableClock(moment)
    with InMemoryUnitOfWork(store) as uow:
        uow.publish(Said(text="a"))
        uow.commit()
    assert [message.created_at for message in store.outbox.messages] == [moment]
    clock.move(seconds=5)
    assert store.outbox.status().oldest_pending == 5.0


def test_messages_lie_in_the_order_of_the_commits(store: InMemoryStore) -> None:
    """Each commit reads what it publishes from the store, so that the order is known."""

    def work(uow: InMemoryUnitOfWork) -> None:
        team = uow.teams.require(1)
        team.member_limit = number = (team.member_limit or 0) + 1
        team.record(Said(text=str(number)))

    def repeat() -> None:
        for _ in range(25):
            InMemoryUnitOfWork(store).run(work)

    with InMemoryUnitOfWork(store) as uow:
        uow.teams.create(Team(name="a"))
        uow.commit()
    in_threads(*[repeat] * 4)
    assert said(store) == [str(number) for number in range(1, 101)]


def in_threads(*works: Callable[[], None]) -> None:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_whoever_is_woken_may_publish_in_turn(store: InMemoryStore) -> None:
    texts = iter(["second", "third"])

    def answer() -> None:
        for text in texts:
            with InMemoryUnitOfWork(store) as other:
                other.publish(Said(text=text))
                other.commit()

    store.outbox.subscribe(answer)
    with InMemoryUnitOfWork(store) as uow:
        uow.publish(Said(text="first"))
        uow.commit()
    assert said(store) == ["first", "second", "third"]


def test_a_unit_without_events_leaves_the_outbox_alone(store: InMemoryStore) -> None:
    with InMemoryUnitOfWork(store) as uow:
        ada(uow)
        uow.commit()
    assert store.outbox.status().pending == 0
    assert said(store) == []


def test_joining_a_team_is_told_to_others(store: InMemoryStore) -> None:
    with InMemoryUnitOfWork(store) as uow:
        team = uow.teams.create(Team(name="Core"))
        person = Person(name="Ada", email="ada@example.com")
        person.join(team)
        created = uow.people.create(person)
        uow.commit()
    (message,) = store.outbox.messages
    assert (message.type, message.key) == ("person.joined_team", f"person {created.id}")
    assert message.payload == f'{{"person_id":{created.id},"team_id":{team.id}}}'
