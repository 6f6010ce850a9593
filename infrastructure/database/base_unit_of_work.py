"""One transaction in a database, and the repositories that take part in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, TypeVar

from domain.errors import ValidationError
from infrastructure.database.base_repository import BaseRepository
from infrastructure.database.blocks import Block
from infrastructure.database.database import Database
from infrastructure.database.payloads import PAYLOAD_LIMIT
from infrastructure.database.session import UnitSession

E = TypeVar("E")

_LEVELS = ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")


class BaseUnitOfWork(Block[UnitSession]):
    """A transaction that lives in a ``with`` block. Nothing is stored without ``commit()``.

    Repositories are declared by annotations and share the unit's session:

        class UnitOfWork(BaseUnitOfWork):
            people: SqlPersonRepository

    The transaction begins with the first statement. Leaving the block rolls
    back what was not committed. An instance can be entered again after it was
    left, and moved between threads, but not used by two at the same time.
    """

    _repository_class: ClassVar[type[Any]] = BaseRepository

    _cached: ClassVar[Sequence[type[Any]]] = ()
    """The classes of its repositories that have a cache."""

    outbox: ClassVar[type[Any] | None] = None
    """Where messages are stored: ``outbox = OutboxMessage``."""

    payload_limit: ClassVar[int] = PAYLOAD_LIMIT
    """The greatest payload of a message, in octets."""

    _database: Database | None
    _isolation_level: str | None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        kinds = [getattr(cls, name).kind for name in cls._repository_names]
        cls._cached = [kind for kind in kinds if getattr(kind, "cache", None) is not None]

    def __init__(
        self,
        database: Database | None = None,
        *,
        read_only: bool = False,
        isolation_level: str | None = None,
    ) -> None:
        if isolation_level is not None and isolation_level not in _LEVELS:
            raise ValidationError(
                "UnitOfWork", {"isolation_level": f"must be one of {', '.join(_LEVELS)}"}
            )
        vars(self).update(_database=database, _isolation_level=isolation_level)
        super().__init__(read_only=read_only)

    @classmethod
    def _refuse_unfit(cls, entity: type[Any]) -> None:
        if not hasattr(entity, "__table__"):
            raise TypeError(f"BaseRepository[{entity.__name__}]: that is no table")

    def _storage(self) -> Database:
        return self._database or Database.default()

    def _new_session(self) -> UnitSession:
        storage = self._storage()
        for kind in self._cached if self._read_only else ():  # before anything is read
            storage.caches.of(kind, kind.cache)
        return UnitSession(
            storage,
            self._lock,
            read_only=self._read_only,
            isolation_level=self._isolation_level,
            publishing=type(self),
        )

    @property
    def session(self) -> UnitSession:
        """The SQLModel session, for what the repositories do not cover."""
        return self._usable()

    def repository(self, entity: type[E]) -> BaseRepository[E]:
        """A repository for a table that has none of its own."""
        session = self._usable()
        if entity not in self._repositories:
            self._repositories[entity] = BaseRepository(session, entity)
        repository: BaseRepository[E] = self._repositories[entity]
        return repository
