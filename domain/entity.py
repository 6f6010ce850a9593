"""What makes an entity one: its identity."""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast
from uuid import UUID

from domain.errors import ValidationError
from domain.event import Event

EVENTS = "_kit_events"
"""Where an entity bears what it has recorded, beside its fields."""

_count = itertools.count()


class Entity:
    """Something with an identity that outlives its values.

    Equal are two entities of the same domain class with the same id. Without
    an id an entity equals only itself and cannot be hashed, because its hash
    would change once it is stored.

    Subclasses are written ``@dataclass(eq=False)`` and have a field ``id``.
    """

    __entity_class__: ClassVar[type[Any]]
    """The domain class: what adapters derive from it counts as the same."""

    if TYPE_CHECKING:
        id: Any

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.__entity_class__ = cls

    def record(self, event: Event | Callable[[Self], Event]) -> None:
        """Say what happened; it is published if, and only if, this entity is stored.

        A function of the entity makes the event when it is stored and its id is known.
        Raises ``ValidationError`` for anything else.
        """
        if not callable(event):
            require_event(event)
        # A list of its own: a copy of this entity has the old one.
        self.__dict__[EVENTS] = [*self.__dict__.get(EVENTS, ()), (next_number(), event)]

    def _identity(self) -> Any:
        return getattr(self, "id", None)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Entity) or self.__entity_class__ is not other.__entity_class__:
            return NotImplemented
        identity = self._identity()
        return identity is not None and bool(identity == other._identity())

    def __hash__(self) -> int:
        identity = self._identity()
        if identity is None:
            name = self.__entity_class__.__name__
            raise TypeError(f"{name} has no id yet and cannot be hashed; store it first")
        return hash((self.__entity_class__, identity))


def id_of(entity: Entity) -> Any:
    """The id of an entity that is stored. Raises ``ValidationError`` if it has none yet."""
    identity = entity._identity()
    if identity is None:
        name = entity.__entity_class__.__name__
        raise ValidationError(name, {"id": "is not known yet; store it first"})
    return identity


def next_number() -> int:
    """Events are published in the order in which they were recorded."""
    return next(_count)


def require_event(event: object) -> Event:
    """The event, if it is one that cannot be changed any more. Raises ``ValidationError``."""
    if not isinstance(event, Event):
        message = f"must be an Event, or a function that makes one, not a {type(event).__name__}"
        raise ValidationError("Event", {"event": message})
    parameters = getattr(event, "__dataclass_params__", None)
    if parameters is None or not cast(Any, parameters).frozen:
        message = "must be frozen; write @dataclass(frozen=True, kw_only=True) above the class"
        raise ValidationError(type(event).__name__, {"event": message})
    return event


def new_id() -> UUID:
    """A UUIDv7 (RFC 9562): unique, and ordered by the time of its making.

    Microseconds go where the RFC allows a finer clock (section 6.2, method 3).
    """
    milliseconds, nanoseconds = divmod(time.time_ns(), 1_000_000)
    fraction = nanoseconds * 4096 // 1_000_000
    high = (milliseconds << 16 | 0x7000 | fraction) & (1 << 64) - 1
    low = 0b10 << 62 | secrets.randbits(62)
    return UUID(int=high << 64 | low)
