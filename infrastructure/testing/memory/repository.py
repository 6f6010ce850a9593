"""All entities of one kind, in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar, cast, get_args, get_origin

from domain.errors import EntityNotFound, MultipleEntitiesFound, ReadOnlyViolation
from domain.specification import Specification
from infrastructure.testing.memory.dataclass_kind import DataclassKind
from infrastructure.testing.memory.kinds import Kind
from infrastructure.testing.memory.session import MemorySession
from infrastructure.testing.memory.store import InMemoryStore
from infrastructure.testing.memory.table_kind import TableKind

E = TypeVar("E")


class InMemoryRepository(Generic[E]):
    """Everything that ``domain.ports.Repository`` promises. Made by a unit of work.

        class InMemoryPersonRepository(InMemoryRepository[Person]):
            model = PersonModel

    With a table, as ``model`` or as the type argument, its rules hold: types and
    lengths, defaults, unique keys, references, version and times. CHECK
    constraints and partial indexes cannot be evaluated here. Without one it is
    the constructor's rules, ``unique`` and ``references``:

        class InMemoryTagRepository(InMemoryRepository[Tag]):
            unique = (("name",),)
            references = {"team_id": Team}

    Of a domain class, plain objects are handed out; of a table, rows of it.
    """

    model: type[Any] | None = None
    unique: ClassVar[Sequence[Sequence[str]]] = ()
    references: ClassVar[Mapping[str, type[Any]]] = {}
    _entity: ClassVar[type[Any] | None] = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for base in getattr(cls, "__orig_bases__", ()):
            argument = get_args(base)[0] if get_args(base) else None
            if isinstance(get_origin(base), type) and isinstance(argument, type):
                cls._bind(argument)

    @classmethod
    def _bind(cls, entity: type[Any]) -> None:
        cls._entity = entity
        model = cls.model
        if model is not None and not hasattr(model, "__table__"):
            raise TypeError(f"{cls.__name__}: {model.__name__} is no table; set model to one")
        if model is not None and not issubclass(model, entity):
            raise TypeError(f"{cls.__name__}: {model.__name__} is no {entity.__name__}")
        if model is None and not hasattr(entity, "__table__"):
            DataclassKind(entity, cls.unique, cls.references)

    def __init__(self, session: MemorySession, entity: type[E] | None = None) -> None:
        self._unit = session
        self._kind = self.kind_in(session.database, entity)
        self._rows = hasattr(entity or self._entity, "__table__")

    @classmethod
    def kind_in(cls, store: InMemoryStore, entity: type[Any] | None = None) -> Kind:
        """How the entities are kept in a store."""
        of: Any = entity if entity is not None else cls._entity
        if of is None:
            raise TypeError(f"{cls.__name__}: of what? class …(InMemoryRepository[Person])")
        model = of if hasattr(of, "__table__") else cls.model
        if model is not None:
            return store.register(TableKind.of(model))
        known = store.of_domain(of)
        if known is not None and not (cls.unique or cls.references):
            return known
        return store.register(DataclassKind(of, cls.unique, cls.references))

    # -- reading -----------------------------------------------------------------------------

    def get_by_id(self, id: Any, /) -> E | None:
        """The entity with this id, or None; twice in one unit the same object."""
        self._unit.check()
        key = self._kind.parse_key(id)
        return cast("E | None", self._unit.find(self._kind, key, self._rows))

    def require(self, id: Any, /) -> E:
        """``get_by_id``, but raises ``EntityNotFound``."""
        found = self.get_by_id(id)
        if found is None:
            raise EntityNotFound(self._kind.entity, id)
        return found

    def get_all(
        self,
        *criteria: Specification,
        order_by: str | Sequence[str] = (),
        limit: int | None = None,
        offset: int | None = None,
    ) -> list[E]:
        """All that satisfy the criteria. Text is ordered by code point, None is the greatest."""
        self._checked(criteria)
        order = self._kind.parse_order(order_by)
        most = self._kind.number("limit", limit)
        first = self._kind.number("offset", offset) or 0
        part = slice(first, None if most is None else first + most)
        return self._unit.load(self._kind, criteria, order, part, self._rows)

    def first(self, *criteria: Specification, order_by: str | Sequence[str] = ()) -> E | None:
        """The first one in this order, or None."""
        found = self.get_all(*criteria, order_by=order_by, limit=1)
        return found[0] if found else None

    def one(self, *criteria: Specification) -> E:
        """The only one; raises ``EntityNotFound`` or ``MultipleEntitiesFound``."""
        found = self.get_all(*criteria, limit=2)
        if not found:
            raise EntityNotFound(self._kind.entity)
        if len(found) > 1:
            raise MultipleEntitiesFound(self._kind.entity)
        return found[0]

    def count(self, *criteria: Specification) -> int:
        """How many satisfy the criteria."""
        self._checked(criteria)
        return len(self._unit.select(self._kind, criteria))

    def exists(self, *criteria: Specification) -> bool:
        """Whether any satisfies the criteria."""
        return self.count(*criteria) > 0

    # -- writing -----------------------------------------------------------------------------

    def create(self, entity: E, /) -> E:
        """Store a new entity now, and return the tracked one; both have their id afterwards."""
        return self.create_many([entity])[0]

    def create_many(self, entities: Iterable[E], /) -> list[E]:
        """Store all of them or none; the tracked ones in their order."""
        self._writing()
        return self._unit.insert(self._kind, entities, self._rows)

    def delete(self, entity_or_id: E | Any, /) -> None:
        """Remove an entity; raises ``EntityNotFound``."""
        self._writing()
        self._unit.delete(self._kind, entity_or_id)

    # -- how ---------------------------------------------------------------------------------

    def _checked(self, criteria: Sequence[Any]) -> None:
        self._unit.check()
        self._kind.check_criteria(criteria)

    def _writing(self) -> None:
        self._unit.check()
        if self._unit.read_only:
            raise ReadOnlyViolation("the unit is read-only; open a writing one: UnitOfWork()")
        self._unit.ready()
