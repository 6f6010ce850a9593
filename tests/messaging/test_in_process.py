"""Handlers in this process."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from domain import Event, Message, PersonJoinedTeam, new_id
from domain.errors import MessagingError, PublisherUnavailable, ValidationError
from domain.messages import Accepted, Refused, RetryAfter
from infrastructure.database.payloads import message_of
from infrastructure.messaging import InProcessPublisher


@dataclass(frozen=True, kw_only=True)
class Line:
    sku: str
    price: Decimal


@dataclass(frozen=True, kw_only=True)
class OrderPlaced(Event):
    event_type = "order.placed"
    event_version = 2

    order_id: UUID
    lines: tuple[Line, ...]
    due: date
    tags: dict[str, list[int]] = field(default_factory=dict)
    note: str | None = None


JOINED = PersonJoinedTeam(person_id=1, team_id=2)


def stored(event: Event) -> Message:
    return message_of(event, datetime.now(UTC))


@pytest.fixture
def handlers() -> InProcessPublisher:
    return InProcessPublisher()


def test_a_handler_gets_the_event_as_it_was_and_its_message(handlers: InProcessPublisher) -> None:
    found: list[Any] = []

    @handlers.on(OrderPlaced)
    def note(event: OrderPlaced, message: Message) -> None:
        found.append((event, message))

    event = OrderPlaced(
        order_id=new_id(),
        lines=(Line(sku="pen", price=Decimal("1.10")), Line(sku="ink", price=Decimal(3))),
        due=date(2030, 1, 2),
        tags={"a": [1, 2]},
    )
    message = stored(event)
    assert handlers.publish([message]) == [Accepted()]
    assert found == [(event, message)]


def test_the_function_stays_what_it_is(handlers: InProcessPublisher) -> None:
    def handle(event: PersonJoinedTeam, message: Message) -> None: ...

    assert handlers.on(PersonJoinedTeam)(handle) is handle


def test_each_message_has_an_outcome_of_its_own_in_the_same_order(
    handlers: InProcessPublisher,
) -> None:
    error = RuntimeError("not now")

    @handlers.on(PersonJoinedTeam)
    def handle(event: PersonJoinedTeam, message: Message) -> None:
        if event.person_id == 2:
            raise error

    events = [PersonJoinedTeam(person_id=n, team_id=1) for n in (1, 2, 3)]
    found = handlers.publish([stored(event) for event in events])
    assert found == [Accepted(), RetryAfter(error), Accepted()]


def test_handlers_are_called_in_order_and_the_first_that_fails_ends_it(
    handlers: InProcessPublisher,
) -> None:
    calls: list[int] = []

    def add(number: int, error: Exception | None = None) -> None:
        @handlers.on(PersonJoinedTeam)
        def handle(event: PersonJoinedTeam, message: Message) -> None:
            calls.append(number)
            if error is not None:
                raise error

    add(1)
    add(2)
    add(3, error := ValueError("no"))
    add(4)
    assert handlers.publish([stored(JOINED)]) == [RetryAfter(error)]
    assert calls == [1, 2, 3]


def test_an_error_that_no_attempt_can_cure_is_named_at_the_registration(
    handlers: InProcessPublisher,
) -> None:
    errors: list[Exception] = [ValidationError("Person", {}), KeyError("a"), ValueError("b")]

    @handlers.on(PersonJoinedTeam, refuse=(ValidationError, LookupError))
    def handle(event: PersonJoinedTeam, message: Message) -> None:
        raise errors[event.person_id]

    events = [PersonJoinedTeam(person_id=n, team_id=1) for n in range(3)]
    found = handlers.publish([stored(event) for event in events])
    assert found == [Refused(errors[0]), Refused(errors[1]), RetryAfter(errors[2])]


def test_an_error_may_say_when_to_try_again(handlers: InProcessPublisher) -> None:
    error = PublisherUnavailable("the printer is off", retry_after=30)

    @handlers.on(PersonJoinedTeam)
    def handle(event: PersonJoinedTeam, message: Message) -> None:
        raise error

    assert handlers.publish([stored(JOINED)]) == [RetryAfter(error, 30)]


def test_what_ends_the_process_goes_through(handlers: InProcessPublisher) -> None:
    @handlers.on(PersonJoinedTeam)
    def handle(event: PersonJoinedTeam, message: Message) -> None:
        raise SystemExit

    with pytest.raises(SystemExit):
        handlers.publish([stored(JOINED)])


# -- what there is no handler for ------------------------------------------------------------


def test_a_message_without_a_handler_is_refused_and_says_what_to_do(
    handlers: InProcessPublisher,
) -> None:
    (found,) = handlers.publish([stored(JOINED)])
    assert found == Refused(
        "no handler for 'person.joined_team' version 1: register one with on(), or "
        "ignore('person.joined_team'); then replay the message"
    )


def test_what_is_ignored_is_accepted(handlers: InProcessPublisher) -> None:
    handlers.ignore("person.joined_team", OrderPlaced)
    order = OrderPlaced(order_id=new_id(), lines=(), due=date(2030, 1, 1))
    assert handlers.publish([stored(JOINED), stored(order)]) == [Accepted()] * 2


def test_a_version_has_handlers_of_its_own(handlers: InProcessPublisher) -> None:
    @dataclass(frozen=True, kw_only=True)
    class OrderPlacedOnce(Event):
        event_type = "order.placed"
        order_id: int

    found: list[str] = []
    handlers.on(OrderPlaced)(lambda event, message: found.append("new"))
    handlers.on(OrderPlacedOnce)(lambda event, message: found.append("old"))
    order = OrderPlaced(order_id=new_id(), lines=(), due=date(2030, 1, 1))
    handlers.publish([stored(OrderPlacedOnce(order_id=1)), stored(order)])
    assert found == ["old", "new"]


def test_a_receiver_may_have_a_class_of_its_own_for_what_it_needs(
    handlers: InProcessPublisher,
) -> None:
    @dataclass(frozen=True, kw_only=True)
    class Joined(Event):
        event_type = "person.joined_team"
        team_id: int

    found: list[Any] = []
    handlers.on(Joined)(lambda event, message: found.append(event))
    handlers.on(PersonJoinedTeam)(lambda event, message: found.append(event))
    assert handlers.publish([stored(JOINED)]) == [Accepted()]
    assert found == [Joined(team_id=2), JOINED]


@pytest.mark.parametrize(
    "payload", ["", "{", "[]", "null", '{"person_id": "secret"}', '{"person_id": 1}']
)
def test_a_payload_that_does_not_fit_is_refused_without_its_values(
    handlers: InProcessPublisher, payload: str
) -> None:
    handlers.on(PersonJoinedTeam)(lambda event, message: None)
    message = Message(
        id=new_id(), type="person.joined_team", version=1, key=None, payload=payload,
        created_at=datetime.now(UTC),
    )  # fmt: skip
    (found,) = handlers.publish([message])
    assert isinstance(found, Refused)
    assert isinstance(found.error, MessagingError)
    assert found.error.event == "person.joined_team"
    assert found.error.errors
    assert "secret" not in str(found.error)


# -- what cannot be registered ---------------------------------------------------------------


@dataclass(frozen=True)
class NoEvent:
    number: int


class NoDataclass(Event):
    pass


@dataclass(frozen=True, kw_only=True)
class Strange(Event):
    callback: UUID.__class__ | Exception  # type: ignore[name-defined]


@pytest.mark.parametrize("kind", [NoEvent, NoDataclass, "person.joined_team", Event, JOINED])
def test_only_a_class_of_events_can_be_registered(handlers: InProcessPublisher, kind: Any) -> None:
    with pytest.raises(TypeError, match="a dataclass that is an Event"):
        handlers.on(kind)


def test_fields_that_cannot_be_read_are_found_at_once(handlers: InProcessPublisher) -> None:
    with pytest.raises(TypeError, match="Strange has fields that cannot be read"):
        handlers.on(Strange)


def no_parameter() -> None: ...


def one_parameter(event: Event) -> None: ...


def three_parameters(event: Event, message: Message, more: int) -> None: ...


def a_keyword(event: Event, message: Message, *, more: int) -> None: ...


@pytest.mark.parametrize("handler", [no_parameter, one_parameter, three_parameters, a_keyword])
def test_a_handler_takes_an_event_and_a_message(handlers: InProcessPublisher, handler: Any) -> None:
    with pytest.raises(TypeError, match=rf"{handler.__name__}: .+ handler\(event, message\)"):
        handlers.on(PersonJoinedTeam)(handler)


async def a_coroutine(event: Event, message: Message) -> None: ...


def a_generator(event: Event, message: Message) -> Any:
    yield


class CalledLater:
    async def __call__(self, event: Event, message: Message) -> None: ...


@pytest.mark.parametrize("handler", [a_coroutine, a_generator, CalledLater()])
def test_a_handler_is_done_when_it_returns(handlers: InProcessPublisher, handler: Any) -> None:
    with pytest.raises(TypeError, match="a plain function"):
        handlers.on(PersonJoinedTeam)(handler)


def test_a_handler_may_be_anything_that_can_be_called_like_that(
    handlers: InProcessPublisher,
) -> None:
    class Office:
        def __init__(self) -> None:
            self.found: list[Event] = []

        def welcome(self, event: Event, message: Message, greeting: str = "hello") -> None:
            self.found.append(event)

        def __call__(self, *both: Any) -> None:
            self.found.append(both[0])

    office = Office()
    handlers.on(PersonJoinedTeam)(office.welcome)
    handlers.on(PersonJoinedTeam)(office)
    handlers.publish([stored(JOINED)])
    assert office.found == [JOINED, JOINED]
