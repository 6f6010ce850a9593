"""What a contract has to be told about the adapter that is held to it, and about its entities."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, ClassVar, Generic, NoReturn, TypeVar, cast

import pytest

from domain.messages import Message
from domain.ports import Outbox, Repository, UnitOfWork
from domain.specification import Field, Specification, where

E = TypeVar("E")
T = TypeVar("T")

Units = Callable[..., UnitOfWork]
"""Makes units on one and the same storage; ``read_only=True`` makes one that only reads."""


_NOT_ITS_OWN = ("version", "created_at", "updated_at")


class Stop(Exception):
    """What leaves a block in these tests."""


class Subject(Generic[E]):
    """The hooks of every contract. A class that overrides them is a suite of tests.

        class TestProducts(RepositoryContract[Product]):
            def repository(self, uow):
                return uow.products

            def make(self, number):
                return Product(name=f"product {number:03}", sku=f"P{number}")

            rising = "name"
            unique = ("sku",)

    ``repository`` and ``make`` are required. Of the others, each that is missing
    skips the tests that need it. The storage comes from a fixture
    ``uow_factory``, and the plugin has one; a class for another storage
    overrides it, with one that returns something like ``Units``. So it is with
    the fixture ``outbox``, where the units put what they publish. The storage
    has none of these entities at first. What they refer to is stored by that
    fixture, or by another of the class.
    """

    rising: str = ""
    """A field whose values rise with the number, from 1 to 9. Of text, more is asked."""

    unique: Sequence[str] = ()
    """The fields of a unique key besides the id."""

    nullable: str = ""
    """A field that may be None, but never is in what ``make`` gives."""

    reference: tuple[str, Any] | None = None
    """A field that refers to another aggregate, and a value of it that refers to nothing."""

    invalid: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    """Fields, each with a value that it must not have: one that can be assigned, but not stored."""

    versioned: bool = False
    """Whether an entity that was changed meanwhile is refused."""

    units: Units
    messages: Outbox
    _walks: list[Generator[Any, None, None]]

    def repository(self, uow: Any, /) -> Repository[E]:
        """The repository of the unit that is held to the contract."""
        raise NotImplementedError(f"{type(self).__name__} must define repository()")

    def make(self, number: int, /) -> E:
        """A new entity that can be stored beside those of other numbers; always the same one."""
        raise NotImplementedError(f"{type(self).__name__} must define make()")

    def change(self, entity: E, /) -> None:
        """Change at least one field of an entity, as the application would: by a method of it."""
        self._skip("change()")

    def referred(self, uow: Any, /) -> Repository[Any]:
        """Where that is kept to which ``reference`` refers."""
        self._skip("referred()")

    # -- for the tests ---------------------------------------------------------------------

    @pytest.fixture(autouse=True)
    def _take_units(self, uow_factory: Units, outbox: Outbox) -> Iterator[None]:
        with self.using(uow_factory, outbox):
            yield

    @contextmanager
    def using(self, units: Units, outbox: Outbox) -> Iterator[None]:
        """Where the tests may be called; its end leaves the units in which one has failed."""
        self.units, self.messages, self._walks = units, outbox, []
        try:
            yield
        finally:
            for walk in self._walks:
                walk.close()

    def _skip(self, hook: str) -> NoReturn:
        pytest.skip(f"{type(self).__name__} does not define {hook}")

    def needs(self, *hooks: str) -> None:
        """Skip the test if one of these hooks is missing."""
        for hook in hooks:
            if not getattr(self, hook):
                self._skip(hook)

    def fill(self, count: int, *, without: Iterable[int] = ()) -> list[E]:
        """Store the entities from number 1, not in this order; ``without`` have ``nullable`` None.

        They are returned as an earlier unit has left them.
        """
        numbers = [*range(2, count + 1, 2), *range(1, count + 1, 2)]
        made = {number: self.make(number) for number in numbers}
        for number in without:
            setattr(made[number], self.nullable, None)
        with self.units() as uow:
            stored = self.repository(uow).create_many(made.values())
            uow.commit()
        found = dict(zip(numbers, stored, strict=True))
        return [found[number] for number in sorted(found)]

    def numbers(self, stored: Sequence[E], found: Iterable[E]) -> list[int]:
        """Which of the stored ones were found, counted from 1."""
        ids = [id_of(entity) for entity in stored]
        return [ids.index(id_of(entity)) + 1 for entity in found]

    def each(self) -> Iterator[Repository[E]]:
        """The repository of a unit that only reads, and of one that may write as well."""

        def walk() -> Generator[Repository[E], None, None]:
            for read_only in (True, False):
                with self.units(read_only=read_only) as uow:
                    yield self.repository(uow)

        self._walks.append(walk())
        return cast("Iterator[Repository[E]]", self._walks[-1])

    def ask(self, question: Callable[[Repository[E]], T]) -> T:
        """What a unit that only reads answers, and one that may write as well."""
        answers = [question(kept) for kept in self.each()]
        assert answers[0] == answers[1], "a reading unit and a writing one answer differently"
        return answers[0]

    def found(self, stored: Sequence[E], *criteria: Specification, **options: Any) -> list[int]:
        """The numbers of what ``get_all`` finds; sorted if no order is asked for."""
        found = self.ask(lambda kept: self.numbers(stored, kept.get_all(*criteria, **options)))
        return found if "order_by" in options else sorted(found)

    def count(self) -> int:
        """How many are stored: asked in a unit of its own."""
        with self.units(read_only=True) as uow:
            return self.repository(uow).count()

    def stored(self, id: Any) -> dict[str, Any]:
        """The fields of a stored entity: asked in a unit of its own."""
        with self.units(read_only=True) as uow:
            return values_of(self.repository(uow).require(id))

    def published(self) -> list[Message]:
        """What was published since this was asked last, in that order. No unit may be open."""
        claim = self.messages.claim(1000, lease=60.0)
        self.messages.settle(claim, sent=[message.id for message in claim.messages])
        return [*claim.messages]

    def changed(self, entity: E) -> dict[str, Any]:
        """Change an entity; the fields that have other values now."""
        before = values_of(entity)
        self.change(entity)
        after = values_of(entity)
        different = {name: value for name, value in after.items() if value != before[name]}
        assert different, f"{type(self).__name__}.change() changes no field"
        return different

    def value(self, number: int) -> Any:
        """What the entity of this number has in ``rising``."""
        return getattr(self.make(number), self.rising)

    @property
    def rises(self) -> Field:
        """The field ``rising``, in conditions."""
        return where(self.rising)

    def twin(self, number: int, *, of: int) -> E:
        """An entity with the unique key of another one."""
        entity, other = self.make(number), self.make(of)
        for field in self.unique:
            setattr(entity, field, getattr(other, field))
        return entity

    def name(self) -> str:
        """What errors call these entities."""
        return str(_kind(self.make(1)).__name__)


def id_of(entity: Any) -> Any:
    """The id of an entity, which is never None where it is asked for."""
    assert entity.id is not None
    return entity.id


def values_of(entity: Any) -> dict[str, Any]:
    """The fields of an entity by name; of a table those of its domain class, if it has one.

    Not among them are those that an adapter writes itself.
    """
    kind = _kind(entity)
    if dataclasses.is_dataclass(kind):
        names: Iterable[str] = [field.name for field in dataclasses.fields(kind)]
    else:
        public = [name for name in vars(entity) if not name.startswith("_")]
        names = getattr(kind, "model_fields", public)
    return {name: getattr(entity, name) for name in names if name not in _NOT_ITS_OWN}


def _kind(entity: Any) -> type[Any]:
    kind = type(entity)
    return cast("type[Any]", getattr(kind, "__entity_class__", kind))
