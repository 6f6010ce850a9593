"""What type checkers know of messaging: an ignore that is not needed is an error, too."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_type

from domain import Event, Message, PersonJoinedTeam
from domain.errors import ValidationError
from domain.messages import Accepted, Delivery, RetryAfter
from domain.ports import MessagePublisher, Outbox
from infrastructure.database.outbox import SqlOutbox
from infrastructure.messaging import InProcessPublisher, OutboxRelay, RelayPolicy, RelayReport
from infrastructure.testing import InMemoryOutbox

# -- the adapters fit the ports: stated here, and nowhere else -------------------------------------


def the_adapters_fit_the_ports(
    sql: SqlOutbox, memory: InMemoryOutbox, handlers: InProcessPublisher
) -> None:
    an_outbox: Outbox = sql
    another: Outbox = memory
    a_publisher: MessagePublisher = handlers
    del an_outbox, another, a_publisher


class Broker:
    def publish(self, messages: Sequence[Message], /) -> list[Delivery]:
        return [RetryAfter("no", 3) if one.key else Accepted() for one in messages]


def a_relay(outbox: Outbox, handlers: InProcessPublisher) -> None:
    relay = OutboxRelay(outbox, Broker(), policy=RelayPolicy(batch=10, parked_head="skip"))
    assert_type(relay.run_once(), RelayReport)
    relay.run_once(threading.Event())
    relay.run(threading.Event())
    OutboxRelay(outbox, handlers, observe=lambda report: report.sent)


# -- handlers --------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class OrderPlaced(Event):
    order_id: int


HANDLERS = InProcessPublisher()


@HANDLERS.on(PersonJoinedTeam, refuse=(ValidationError,))
def welcome(event: PersonJoinedTeam, message: Message) -> int:
    return event.person_id + len(message.payload)


@HANDLERS.on(OrderPlaced)
def note(event: Event, message: Message) -> None: ...


def of_orders(event: OrderPlaced, message: Message) -> None: ...


def without_message(event: OrderPlaced) -> None: ...


HANDLERS.on(OrderPlaced)(of_orders)
HANDLERS.ignore("cart.emptied", OrderPlaced)


# -- what is rejected ------------------------------------------------------------------------------


def wrong_uses(outbox: Outbox, relay: OutboxRelay) -> None:
    HANDLERS.on(PersonJoinedTeam)(of_orders)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    HANDLERS.on(OrderPlaced)(without_message)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    HANDLERS.on(Message)  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]
    HANDLERS.on("order.placed")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    HANDLERS.on(OrderPlaced, refuse=(3,))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    OutboxRelay(outbox, print)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    OutboxRelay(HANDLERS, HANDLERS)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    RelayPolicy(parked_head="jump")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    RelayPolicy(10)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    relay.run()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    relay.run_once().sent = 3  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
