"""Events for the contracts, and what came of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from domain.entity import EVENTS, Entity
from domain.event import Event
from infrastructure.testing.contracts.subject import E, Subject, id_of


@dataclass(frozen=True, kw_only=True)
class Told(Event):
    """Something that tests tell apart by its text."""

    event_type = "contract.told"
    event_version = 3

    text: str
    key: str | None = None

    @property
    def ordering_key(self) -> str | None:
        """As the test says."""
        return self.key


class TellingSubject(Subject[E]):
    """What is asked about events."""

    def told(self) -> list[str]:
        """The texts of what was published since this was asked last, in their order."""
        return [json.loads(message.payload)["text"] for message in self.published()]

    def recording(self, number: int, *texts: str) -> Any:
        """A new entity that has recorded these."""
        entity = self.make(number)
        if not isinstance(entity, Entity):
            self._skip("entities that can record: a domain class")
        for text in texts:
            entity.record(Told(text=text))
        return entity

    def loadable(self, count: int) -> list[Any]:
        """The ids of stored entities that can record."""
        self.recording(1)
        return [id_of(entity) for entity in self.fill(count)]


def is_silent(entity: Any) -> bool:
    """Whether an entity bears nothing that is to be published."""
    return not vars(entity).get(EVENTS)
