"""What happened, in the words of the domain."""

from __future__ import annotations

import inspect
from typing import Any, ClassVar

_OURS = ("event_type", "event_version", "ordering_key")


class Event:
    """Something that happened and is of interest to others.

    Subclasses are written ``@dataclass(frozen=True, kw_only=True)``. Their fields
    become the payload of a message, so they hold values and no entities.

    Messages with the same ``ordering_key`` are delivered in the order in which
    they were stored; those without one in any order. It is a property:

        @dataclass(frozen=True, kw_only=True)
        class PersonJoinedTeam(Event):
            event_type = "person.joined_team"
            person_id: int

            @property
            def ordering_key(self) -> str:
                return f"person {self.person_id}"
    """

    event_type: ClassVar[str] = "Event"
    """Its name for others, which outlives that of the class; without one, that of the class."""

    event_version: ClassVar[int] = 1
    """To be raised when the meaning of its fields changes."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        fields = inspect.get_annotations(cls)
        for name in _OURS:
            if name in fields and "ClassVar" not in str(fields[name]):
                raise TypeError(
                    f"{cls.__name__}: {name} belongs to Event; call the field otherwise"
                )
        if "event_type" not in cls.__dict__:
            cls.event_type = cls.__name__

    @property
    def ordering_key(self) -> str | None:
        """What it has to be in order with, or None."""
        return None
