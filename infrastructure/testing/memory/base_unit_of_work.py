"""One transaction in memory, and the repositories that take part in it."""

from __future__ import annotations

import inspect
from typing import Any, ClassVar, TypeVar

from infrastructure.database.blocks import Block
from infrastructure.testing.memory.dataclass_kind import DataclassKind
from infrastructure.testing.memory.repository import InMemoryRepository
from infrastructure.testing.memory.session import MemorySession
from infrastructure.testing.memory.store import InMemoryStore

E = TypeVar("E")


class BaseInMemoryUnitOfWork(Block[MemorySession]):
    """A transaction that lives in a ``with`` block. Nothing is stored without ``commit()``.

    Repositories are declared by annotations; one line is enough for a table or
    a domain dataclass:

        class InMemoryUnitOfWork(BaseInMemoryUnitOfWork):
            people: InMemoryPersonRepository
            tags: InMemoryRepository[Tag]

    What it guarantees is what ``BaseUnitOfWork`` of the database does. It keeps
    what was committed in its store: its own, or one that several units share.
    """

    _repository_class: ClassVar[type[Any]] = InMemoryRepository
    _declared: ClassVar[tuple[type[InMemoryRepository[Any]], ...]] = ()
    """The repositories that have a class of their own: what they declare holds from the start."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        found = inspect.get_annotations(cls, eval_str=True).values()
        own = [
            one for one in found if isinstance(one, type) and issubclass(one, InMemoryRepository)
        ]
        cls._declared = (*cls._declared, *own)

    def __init__(self, store: InMemoryStore | None = None, *, read_only: bool = False) -> None:
        self.store = InMemoryStore() if store is None else store
        super().__init__(read_only=read_only)

    @classmethod
    def _refuse_unfit(cls, entity: type[Any]) -> None:
        if not hasattr(entity, "__table__"):
            DataclassKind(entity)

    def _storage(self) -> InMemoryStore:
        return self.store

    def _new_session(self) -> MemorySession:
        for kind in self._declared:
            kind.kind_in(self.store)
        return MemorySession(self.store, self._lock, read_only=self._read_only)

    def repository(self, entity: type[E]) -> InMemoryRepository[E]:
        """A repository for a table or a domain class that has none of its own."""
        session = self._usable()
        if entity not in self._repositories:
            self._repositories[entity] = InMemoryRepository(session, entity)
        repository: InMemoryRepository[E] = self._repositories[entity]
        return repository
