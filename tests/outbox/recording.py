"""Entities that record events, and a unit of work that stores these."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

from sqlmodel import Field

from domain import Entity, Event
from infrastructure.database import (
    BaseRepository,
    BaseUnitOfWork,
    Children,
    Model,
    Timestamped,
    Versioned,
)
from infrastructure.database.models.outbox_message import OutboxMessage


@dataclass(frozen=True, kw_only=True)
class ShelfFilled(Event):
    event_type = "shelf.filled"
    shelf: int
    note: str = ""

    @property
    def ordering_key(self) -> str:
        return f"shelf {self.shelf}"


@dataclass(frozen=True, kw_only=True)
class JarOpened(Event):
    jar: int


@dataclass(frozen=True, kw_only=True)
class Unreadable(Event):
    value: Any = None


@dataclass(eq=False, kw_only=True)
class Jar(Entity):
    content: str
    id: int | None = None

    def open(self) -> None:
        self.record(lambda jar: JarOpened(jar=jar.id))


@dataclass(eq=False, kw_only=True)
class Shelf(Entity):
    name: str
    jars: list[Jar] = field(default_factory=list)
    id: int | None = None

    def fill(self, note: str = "") -> None:
        self.record(lambda shelf: ShelfFilled(shelf=shelf.id, note=note))


@dataclass(eq=False, kw_only=True)
class Cup(Entity):
    name: str
    id: int | None = None

    def fill(self, note: str = "") -> None:
        self.record(lambda cup: ShelfFilled(shelf=cup.id, note=note))


class JarModel(Jar, Model, table=True):
    __tablename__: ClassVar[str] = "recording_jars"
    id: int | None = Field(default=None, primary_key=True)
    shelf_id: int = Field(foreign_key="recording_shelves.id", index=True)


class ShelfModel(Shelf, Timestamped, Versioned, Model, table=True):
    __tablename__: ClassVar[str] = "recording_shelves"
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)
    jars: list[Jar] = Children(JarModel)


class CupModel(Cup, Versioned, Model, table=True):
    __tablename__: ClassVar[str] = "recording_cups"
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)


class Shelves(BaseRepository[Shelf]):
    model = ShelfModel


class Cups(BaseRepository[Cup]):
    model = CupModel


class Kitchen(BaseUnitOfWork):
    outbox = OutboxMessage

    shelves: Shelves
    cups: Cups


class Garage(BaseUnitOfWork):
    """Nobody hears of what happens there."""

    cups: Cups


TABLES: list[Any] = [ShelfModel, JarModel, CupModel, OutboxMessage]
