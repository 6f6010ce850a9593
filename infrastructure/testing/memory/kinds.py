"""What is known of one kind of entity, whether it has a table or not."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from domain.errors import ValidationError
from domain.specification import Specification
from infrastructure.database.dialects import dialect_named
from infrastructure.database.query import Translator
from infrastructure.testing.memory.constraints import Reference, Row, Token, Unique
from infrastructure.testing.memory.images import Image
from infrastructure.testing.memory.state import Key, State

NextId = Callable[[Token], int]
OnUndo = Callable[[Callable[[], None]], None]


@dataclass
class Draft:
    """A new entity, validated, before it has a row.

    ``own`` is the object that becomes the tracked one; None if one is made for it.
    """

    given: Any
    values: dict[str, Any]
    own: Any = None
    children: dict[str, list[Draft]] = field(default_factory=dict)
    generated: bool = False
    """Whether the store gave it its id."""


@dataclass
class Write:
    """What a flush has to do for one changed aggregate."""

    updates: list[tuple[Image, dict[str, Any]]] = field(default_factory=list)
    """Images, each with the values that are new."""

    inserts: list[tuple[Kind, dict[str, Any], Image]] = field(default_factory=list)
    deletes: list[Image] = field(default_factory=list)
    adopted: list[tuple[Any, Any]] = field(default_factory=list)
    """Objects of which rows were made when they were put into a list, and these rows."""

    finish: list[Callable[[], None]] = field(default_factory=list)
    """What remains to be done once all is written."""


class Kind(ABC):
    """Entities of one kind: their fields, their rules, and how they become rows and objects."""

    token: Token
    entity: str
    domain: type[Any]
    keys: tuple[str, ...] = ("id",)
    version: str | None = None
    generated: str | None = None
    """The key that the store gives where there is none."""

    unique: tuple[Unique, ...] = ()
    references: tuple[Reference, ...] = ()
    required: tuple[str, ...] = ()

    def key_of(self, row: Row, /) -> Key:
        """The key of a row."""
        return tuple(row[name] for name in self.keys)

    # -- what is given -----------------------------------------------------------------------

    @abstractmethod
    def drafts(self, given: Iterable[Any], known: Callable[[Any], object]) -> list[Draft]:
        """New entities of what was given, each once; ``known`` tells those created already."""

    @abstractmethod
    def is_entity(self, given: Any) -> bool:
        """Whether this is an entity, and not an id; one of another kind is refused."""

    @abstractmethod
    def given_key(self, entity: Any) -> Key:
        """The key of an entity; ``ValidationError`` if it has none yet."""

    @abstractmethod
    def parse_key(self, id: Any) -> Key:
        """A key as it is stored, of an id as it was given."""

    def borne_version(self, entity: Any) -> Any:
        """The version that an entity bears, or None."""
        return None

    @abstractmethod
    def stamp(self, values: dict[str, Any], now: datetime, *, own: Any = None) -> None:
        """What the kit itself writes into a new row."""

    @abstractmethod
    def touch(self, values: dict[str, Any], now: datetime) -> None:
        """What the kit itself writes into a changed row."""

    # -- objects -----------------------------------------------------------------------------

    @abstractmethod
    def make(self, row: Row, state: State, *, rows: bool) -> Image:
        """An entity of its own for a row: one of the table, or one of the domain class."""

    @abstractmethod
    def write(self, image: Image) -> None:
        """Let the entity of an image hold what is stored."""

    @abstractmethod
    def adopt(self, draft: Draft) -> Image:
        """Track the very object that was given; what the store gave to its row goes to it, too."""

    @abstractmethod
    def identify(self, given: Any, image: Image, *, generated: bool) -> Callable[[], None]:
        """Give an original what identifies its row; what takes that away again."""

    def parts(self, entity: Any) -> Iterator[Any]:
        """An entity, and those that are stored inside of its row."""
        yield entity

    def bearers(self, entity: Any) -> Iterator[Any]:
        """An entity, and all that belong to it: whatever may have recorded something."""
        yield from self.parts(entity)

    @abstractmethod
    def release(self, entity: Any, *, generated: bool) -> None:
        """Let an entity be new again; an id that the store gave is taken away."""

    @abstractmethod
    def bear(self, entity: Any, row: Row) -> None:
        """Let an entity bear the version of a row, and change nothing else of it."""

    # -- keys and children ---------------------------------------------------------------------

    def name(self, values: dict[str, Any], next_id: NextId) -> bool:
        """Give a new row its key, if it has none; whether it got one."""
        generated = self.generated is not None and values[self.generated] is None
        if generated:
            values[str(self.generated)] = next_id(self.token)
        return generated

    @abstractmethod
    def name_members(
        self, values: dict[str, Any], entity: Any, next_id: NextId, on_undo: OnUndo
    ) -> None:
        """Give ids to what is stored inside of a row."""

    def complete(self, draft: Draft) -> list[tuple[Kind, list[Draft]]]:
        """The new children of a new row, which has its key now."""
        return []

    @abstractmethod
    def link(self, image: Image) -> None:
        """Let new children refer to their root, which has its key now."""

    def members(self, row: Row, state: State) -> Iterator[tuple[Kind, Key]]:
        """The children of a row, the innermost first."""
        return iter(())

    # -- changes -------------------------------------------------------------------------------

    @abstractmethod
    def is_changed(self, image: Image) -> bool:
        """Whether a flush would write something."""

    @abstractmethod
    def plan(self, image: Image, write: Write, now: datetime) -> bool:
        """Validate what changed, and add what is to be done; whether there is anything."""

    @abstractmethod
    def held(self, entity: Any) -> Any:
        """What an object holds at this moment, to be compared with what it holds later."""

    # -- questions ---------------------------------------------------------------------------

    @abstractmethod
    def check_criteria(self, criteria: Sequence[Any]) -> None:
        """Refuse what means nothing, whether there are rows or not."""

    @abstractmethod
    def parse_order(self, order_by: Any) -> list[tuple[str, bool]]:
        """The fields of an order, and whether each descends."""

    def number(self, name: str, value: Any) -> int | None:
        """A limit or an offset: a whole number from 0."""
        return Translator(cast(Any, self), SQLITE).number(name, value)

    def satisfies(self, row: Row, criteria: Sequence[Specification]) -> bool:
        """Whether a row is among those that were asked for."""
        seen = self._view()
        seen.__dict__.update(row)
        return all(criterion.is_satisfied_by(seen) for criterion in criteria)

    def sortable(self, value: Any, name: str) -> Any:
        """What a value is sorted by."""
        return value

    def refused(self, name: str, message: str) -> ValidationError:
        """An error about a field of this kind."""
        return ValidationError(self.entity, {name: message})

    def only_specification(self, criterion: Any) -> None:
        """Refuse what only a database understands."""
        if not isinstance(criterion, Specification):
            kind = type(criterion).__name__
            raise self.refused("criteria", f"cannot be a {kind} in memory; use where()")

    def _view(self) -> Any:
        return object.__new__(type(self.entity, (), {"__entity_class__": self.domain}))


SQLITE = dialect_named("sqlite")
"""For what a database would refuse; the SQL itself is thrown away."""
