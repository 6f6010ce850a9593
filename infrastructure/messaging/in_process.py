"""Handlers in this process as those whom messages are for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, is_dataclass
from typing import Any, Generic, NamedTuple, TypeVar

import pydantic

from domain.errors import MessagingError
from domain.event import Event
from domain.messages import Accepted, Delivery, Message, Refused, RetryAfter

Ev = TypeVar("Ev", bound=Event)

Handler = Callable[[Ev, Message], object]
"""Does something about an event. What it returns is of no interest."""


class _Kind(NamedTuple):
    """What a message is read by."""

    type: str
    version: int


class InProcessPublisher:
    """Calls functions of this process, which are registered for a class of events.

        handlers = InProcessPublisher()

        @handlers.on(PersonJoinedTeam, refuse=(ValidationError,))
        def welcome(event: PersonJoinedTeam, message: Message) -> None: ...

    A message is accepted when all handlers of its event have returned. They are called
    in the order in which they were registered; one that raises ends the attempt, and
    the next attempt calls all of them again. So they are to be made for that: a handler
    that must do a thing once notes ``message.id`` with what it does.
    """

    def __init__(self) -> None:
        self._routes: dict[_Kind, list[_Route[Any]]] = {}
        self._ignored: set[str] = set()

    def on(
        self, kind: type[Ev], *, refuse: tuple[type[Exception], ...] = ()
    ) -> Callable[[Handler[Ev]], Handler[Ev]]:
        """Register the function below it for events of this class.

        What it raises has the message tried again, after ``retry_after`` seconds if the
        error has them. After an error of ``refuse`` no attempt can succeed.
        """
        reader = _reader(kind)
        name = _Kind(kind.event_type, kind.event_version)

        def register(handler: Handler[Ev]) -> Handler[Ev]:
            _require_handler(handler)
            self._routes.setdefault(name, []).append(_Route(kind, reader, handler, refuse))
            return handler

        return register

    def ignore(self, *types: str | type[Event]) -> None:
        """Accept messages of these types, of each version, that have no handler."""
        names = (one if isinstance(one, str) else one.event_type for one in types)
        self._ignored.update(names)

    def publish(self, messages: Sequence[Message], /) -> list[Delivery]:
        """Have each of them handled, one after the other."""
        return [self._deliver(message) for message in messages]

    def _deliver(self, message: Message) -> Delivery:
        routes = self._routes.get(_Kind(message.type, message.version), ())
        if not routes and message.type not in self._ignored:
            return Refused(
                f"no handler for {message.type!r} version {message.version}: register one "
                f"with on(), or ignore({message.type!r}); then replay the message"
            )
        for route in routes:
            if (failure := route.failure(message)) is not None:
                return failure
        return Accepted()


@dataclass(frozen=True)
class _Route(Generic[Ev]):
    """From a message to one handler."""

    kind: type[Ev]
    reader: pydantic.TypeAdapter[Ev]
    handler: Handler[Ev]
    refuse: tuple[type[Exception], ...]

    def failure(self, message: Message) -> RetryAfter | Refused | None:
        """Call the handler; how it failed, if it did."""
        try:
            event = self.reader.validate_json(message.payload)
        except pydantic.ValidationError as error:
            return Refused(MessagingError(message.type, _unfit(error)))
        try:
            self.handler(event, message)
        except self.refuse as error:
            return Refused(error)
        except Exception as error:  # noqa: BLE001 -- whatever it is, it was not handled
            return RetryAfter(error, getattr(error, "retry_after", None))
        return None


def _reader(kind: type[Ev]) -> pydantic.TypeAdapter[Ev]:
    given: Any = kind
    if not (isinstance(given, type) and issubclass(given, Event) and is_dataclass(given)):
        found = getattr(given, "__name__", given)
        raise TypeError(f"on() is for a dataclass that is an Event, and {found!r} is not one")
    try:
        return pydantic.TypeAdapter(kind)
    except (pydantic.errors.PydanticUserError, NameError) as error:
        raise TypeError(f"{kind.__name__} has fields that cannot be read from JSON") from error


def _require_handler(handler: Any) -> None:
    name = getattr(handler, "__qualname__", type(handler).__name__)
    for each in (handler, getattr(handler, "__call__", None)):  # noqa: B004 -- what it does
        if inspect.iscoroutinefunction(each) or inspect.isgeneratorfunction(each):
            raise TypeError(f"{name}: a handler is a plain function, done when it returns")
    try:
        inspect.signature(handler).bind(None, None)
    except TypeError:
        message = f"{name}: a handler takes the event and the message: handler(event, message)"
        raise TypeError(message) from None


def _unfit(error: pydantic.ValidationError) -> dict[str, str]:
    """What does not fit, without the values."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return {".".join(map(str, one["loc"])) or "payload": one["msg"] for one in found}
