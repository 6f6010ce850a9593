"""One transaction in memory, and the repositories that take part in it."""

from __future__ import annotations

import copy
import inspect
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, ClassVar, Self, TypeVar, cast, get_args, get_origin

from domain.errors import (
    AfterCommitError,
    KitError,
    ReadOnlyViolation,
    UncommittedChangesWarning,
    UnitOfWorkError,
)
from infrastructure.database import open_units, retrying
from infrastructure.database.guards import TWO_THREADS
from infrastructure.testing.memory.dataclass_kind import DataclassKind
from infrastructure.testing.memory.repository import InMemoryRepository
from infrastructure.testing.memory.session import MemorySession
from infrastructure.testing.memory.store import InMemoryStore

E = TypeVar("E")
T = TypeVar("T")


class BaseInMemoryUnitOfWork:
    """A transaction that lives in a ``with`` block. Nothing is stored without ``commit()``.

    Repositories are declared by annotations; one line is enough for a table or
    a domain dataclass:

        class InMemoryUnitOfWork(BaseInMemoryUnitOfWork):
            people: InMemoryPersonRepository
            tags: InMemoryRepository[Tag]

    What it guarantees is what ``BaseUnitOfWork`` of the database does. It keeps
    what was committed in its store: its own, or one that several units share.
    """

    _declared: ClassVar[tuple[type[InMemoryRepository[Any]], ...]] = ()
    """The repositories that have a class of their own: what they declare holds from the start."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        try:
            annotations = inspect.get_annotations(cls, eval_str=True)
        except (AttributeError, NameError, SyntaxError) as error:
            raise TypeError(
                f"{cls.__name__}: {error}; import the repositories at run time, not under "
                "TYPE_CHECKING"
            ) from error
        for name, annotation in annotations.items():
            if cast(Any, get_origin(annotation)) is InMemoryRepository:
                setattr(cls, name, _InjectedGeneric(*get_args(annotation)))
            elif isinstance(annotation, type) and issubclass(annotation, InMemoryRepository):
                setattr(cls, name, _Injected(annotation))
                cls._declared = (*cls._declared, annotation)

    def __init__(self, store: InMemoryStore | None = None, *, read_only: bool = False) -> None:
        self.store = InMemoryStore() if store is None else store
        self._read_only = read_only
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.RLock()
        self._session: MemorySession | None = None
        self._repositories: dict[Any, InMemoryRepository[Any]] = {}
        self._hooks: list[Callable[[], object]] = []
        self._was_left = self._stored = False

    # -- the block ---------------------------------------------------------------------------

    def __enter__(self) -> Self:
        with self._lock:
            if self._session is not None:
                raise UnitOfWorkError("the unit is entered already; use savepoint() or another one")
            for kind in self._declared:
                kind.kind_in(self.store)
            self._session = MemorySession(self.store, self._lock, read_only=self._read_only)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        session = self._open()
        busy = not self._lock.acquire(blocking=False)
        if busy:  # a statement of another thread is under way
            self._lock.acquire()
        try:
            if error is None:
                self._refuse_to_lose(session)
                if busy:
                    raise UnitOfWorkError(TWO_THREADS)
        finally:
            try:
                self._leave(session)
            finally:
                self._lock.release()

    def _leave(self, session: MemorySession) -> None:
        self._hooks.clear()
        self._repositories.clear()
        self._session, self._was_left = None, True
        session.leave()

    def __del__(self) -> None:
        session: MemorySession | None = self.__dict__.get("_session")
        if session is None or sys.is_finalizing():
            return
        what = "a unit of work was thrown away inside its block; write: with UnitOfWork() as uow:"
        warnings.warn(what, ResourceWarning, stacklevel=2)
        self._leave(session)

    def _refuse_to_lose(self, session: MemorySession) -> None:
        session.refuse_lost_changes()
        self._refuse_changes_when_reading(session)
        if session.has_unsaved():
            warnings.warn(
                "the block was left without commit(): its changes are not stored",
                UncommittedChangesWarning,
                stacklevel=3,
            )

    def _refuse_changes_when_reading(self, session: MemorySession) -> None:
        if self._read_only and session.is_changed():
            raise ReadOnlyViolation(
                "an entity was changed in a read-only unit; open a writing one: UnitOfWork()"
            )

    # -- the transaction ---------------------------------------------------------------------

    def commit(self) -> None:
        """Write everything, then run the hooks. In a read-only unit it stores nothing.

        What follows in the block is a new transaction with nothing loaded;
        entities of before stay readable.
        """
        session = self._usable()
        self._refuse_inside_savepoint(session, "commit")
        if self._read_only:
            self._refuse_changes_when_reading(session)
            session.finish_reading()
        else:
            session.store_all()
            self._stored = True
        self._run_hooks()

    def rollback(self) -> None:
        """Undo everything since the last commit. Afterwards the unit is usable, whatever was."""
        session = self._open()
        self._refuse_inside_savepoint(session, "rollback")
        if not self._lock.acquire(blocking=False):
            raise UnitOfWorkError(TWO_THREADS)
        try:
            self._hooks.clear()
            session.undo()
        finally:
            self._lock.release()

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """A block whose own part is undone if an exception leaves it."""
        session = self._usable()
        before = len(self._hooks)
        try:
            with session.savepoint():
                yield
        except BaseException:
            del self._hooks[before:]
            raise

    def after_commit(self, hook: Callable[[], object], /) -> None:
        """Call this once, after the commit; not if what it belongs to is undone."""
        self._usable()
        self._hooks.append(hook)

    def run(
        self, work: Callable[[Self], T], /, *, attempts: int | None = None, timeout: float = 30.0
    ) -> T:
        """Call ``work(uow)`` in a fresh unit like this one, commit, and return what it returned.

        As with a database, the whole unit is run again where another one came in
        between: a changed version, or a lock that was not granted.
        """
        open_units.refuse_inside_another(cast(Any, self.store))
        limits = retrying.Attempts(attempts, timeout, self.store.clock)
        while True:
            unit = self._anew()
            try:
                return unit._run_once(work)
            except KitError as error:
                if unit._stored or not limits.again(error):
                    raise

    def _anew(self) -> Self:
        unit = copy.copy(self)
        unit._reset()
        return unit

    def _run_once(self, work: Callable[[Self], T]) -> T:
        with self:
            result = work(self)
            retrying.refuse_lazy_result(result)
            self.commit()
        return result

    def _run_hooks(self) -> None:
        hooks, self._hooks = self._hooks, []
        errors = []
        for hook in hooks:
            try:
                hook()
            except Exception as error:  # noqa: BLE001 -- all run; the caller gets every failure
                errors.append(error)
        if errors:
            raise AfterCommitError(errors) from errors[0]

    @staticmethod
    def _refuse_inside_savepoint(session: MemorySession, what: str) -> None:
        if session.depth:
            raise UnitOfWorkError(f"{what}() inside savepoint(): leave its block first")

    # -- what takes part in it ---------------------------------------------------------------

    def repository(self, entity: type[E]) -> InMemoryRepository[E]:
        """A repository for a table or a domain class that has none of its own."""
        return self._generic(self._usable(), entity)

    def _generic(self, session: MemorySession, entity: type[E]) -> InMemoryRepository[E]:
        if entity not in self._repositories:
            self._repositories[entity] = InMemoryRepository(session, entity)
        return self._repositories[entity]

    def _injected(self, kind: type[InMemoryRepository[Any]]) -> InMemoryRepository[Any]:
        session = self._open()
        if kind not in self._repositories:
            self._repositories[kind] = kind(session)
        return self._repositories[kind]

    def _open(self) -> MemorySession:
        if self._session is None:
            what = "block of the unit was left" if self._was_left else "unit is not entered"
            raise UnitOfWorkError(f"the {what}; write: with UnitOfWork() as uow:")
        return self._session

    def _usable(self) -> MemorySession:
        session = self._open()
        session.check()
        return session


class _Injected:
    """Gives a unit its repository of one kind."""

    def __init__(self, kind: type[InMemoryRepository[Any]]) -> None:
        self.kind = kind

    def __get__(self, unit: BaseInMemoryUnitOfWork | None, owner: type | None = None) -> Any:
        return self if unit is None else unit._injected(self.kind)

    def __set__(self, unit: BaseInMemoryUnitOfWork, value: object) -> None:
        raise AttributeError("repositories are made by the unit; declare another class instead")


class _InjectedGeneric(_Injected):
    """The same for ``tags: InMemoryRepository[Tag]``."""

    def __init__(self, entity: type[Any]) -> None:
        if not hasattr(entity, "__table__"):
            DataclassKind(entity)
        self.entity = entity

    def __get__(self, unit: BaseInMemoryUnitOfWork | None, owner: type | None = None) -> Any:
        return self if unit is None else unit.repository(self.entity)
