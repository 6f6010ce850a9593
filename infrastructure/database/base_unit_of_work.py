"""One transaction, and the repositories that take part in it."""

from __future__ import annotations

import copy
import inspect
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self, TypeVar, cast, get_args, get_origin

from domain.errors import (
    AfterCommitError,
    KitError,
    ReadOnlyViolation,
    UncommittedChangesWarning,
    UnitOfWorkError,
    ValidationError,
)
from infrastructure.database import open_units, retrying
from infrastructure.database.base_repository import BaseRepository
from infrastructure.database.database import Database
from infrastructure.database.guards import TWO_THREADS
from infrastructure.database.session import UnitSession

E = TypeVar("E")
T = TypeVar("T")
_Repository = TypeVar("_Repository", bound=BaseRepository[Any])

_LEVELS = ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")


class BaseUnitOfWork:
    """A transaction that lives in a ``with`` block. Nothing is stored without ``commit()``.

    Repositories are declared by annotations and share the unit's session:

        class UnitOfWork(BaseUnitOfWork):
            people: SqlPersonRepository

    The transaction begins with the first statement. Leaving the block rolls
    back what was not committed. An instance can be entered again after it was
    left, and moved between threads, but not used by two at the same time.
    """

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
            if cast(Any, get_origin(annotation)) is BaseRepository:
                setattr(cls, name, _InjectedGeneric(*get_args(annotation)))
            elif isinstance(annotation, type) and issubclass(annotation, BaseRepository):
                setattr(cls, name, _Injected(annotation))

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
        self._database = database
        self._read_only = read_only
        self._isolation_level = isolation_level
        self._made_at = _place_of_caller()
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.RLock()
        self._session: UnitSession | None = None
        self._repositories: dict[Any, Any] = {}
        self._hooks: list[Callable[[], object]] = []
        self._was_left = self._stored = False

    # -- the block -------------------------------------------------------------------------

    def __enter__(self) -> Self:
        with self._lock:
            if self._session is not None:
                raise UnitOfWorkError("the unit is entered already; use savepoint() or another one")
            self._session = UnitSession(
                self._database or Database.default(),
                self._lock,
                read_only=self._read_only,
                isolation_level=self._isolation_level,
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        session = self._open()
        if isinstance(error, KitError) and error.driver_error is not None:
            error.__cause__ = None  # whoever used the connection itself
        busy = not self._lock.acquire(blocking=False)
        if busy:  # a statement of another thread is under way; its connection is in use
            self._lock.acquire()
        try:
            if error is None and not session.inherited:
                self._refuse_to_lose(session)
                if busy:
                    raise UnitOfWorkError(TWO_THREADS)
        finally:
            try:
                self._leave(session)
            finally:
                self._lock.release()

    def _leave(self, session: UnitSession) -> None:
        self._hooks.clear()
        self._repositories.clear()
        self._session, self._was_left = None, True
        session.leave()

    def __del__(self) -> None:
        session: UnitSession | None = self.__dict__.get("_session")
        if session is None or not session.is_open or sys.is_finalizing():
            return
        what = "a unit of work was thrown away inside its block; write: with UnitOfWork() as uow:"
        warnings.warn_explicit(what, ResourceWarning, *self._made_at)
        if session.has_unsaved():
            what = "a unit of work was thrown away without commit(): its changes are not stored"
            warnings.warn_explicit(what, UncommittedChangesWarning, *self._made_at)
        if self._is_unused():  # otherwise the pool takes the connection back, later
            self._leave(session)

    def _is_unused(self) -> bool:
        """Whether no statement is under way: of no thread, and not of this one, interrupted."""
        mine = cast(Any, self._lock)._is_owned()
        if mine or not self._lock.acquire(blocking=False):
            return False
        self._lock.release()
        return True

    def _refuse_to_lose(self, session: UnitSession) -> None:
        session.refuse_lost_changes()
        self._refuse_changes_when_reading(session)
        if session.judged and session.failure is None:
            session.finish_reading()
        if session.has_unsaved():
            warnings.warn(
                "the block was left without commit(): its changes are not stored",
                UncommittedChangesWarning,
                stacklevel=3,
            )

    def _refuse_changes_when_reading(self, session: UnitSession) -> None:
        if self._read_only and session.is_changed():
            raise ReadOnlyViolation(
                "an entity was changed in a read-only unit; open a writing one: UnitOfWork()"
            )

    # -- the transaction -------------------------------------------------------------------

    def commit(self) -> None:
        """Write everything, COMMIT, then run the hooks. In a read-only unit it stores nothing.

        What follows in the block is a new transaction with nothing loaded;
        entities of before stay readable.
        """
        session = self._usable()
        self._refuse_inside_savepoint(session, "commit")
        if self._read_only:
            self._refuse_changes_when_reading(session)
            session.finish_reading()
        else:
            session.store()
            self._stored = True
        self._run_hooks()

    def rollback(self) -> None:
        """Undo everything since the last commit. Afterwards the unit is usable, whatever was."""
        session = self._open()
        session.refuse_in_child()
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

    def after_commit(self, hook: Callable[[], object]) -> None:
        """Call this once, after the outermost COMMIT; not if what it belongs to is undone."""
        self._usable()
        self._hooks.append(hook)

    def run(
        self, work: Callable[[Self], T], *, attempts: int | None = None, timeout: float = 30.0
    ) -> T:
        """Call ``work(uow)`` in a fresh unit like this one, commit, and return what it returned.

        Where another transaction came in between (a serialization failure, a
        deadlock, a lock that was not granted, a changed version), the whole unit is
        run again: ``work`` must load what it needs itself, and have no effects
        elsewhere; those go into ``after_commit``. No attempt begins after
        ``timeout`` seconds or beyond ``attempts``; then the last error is raised.
        What ``work`` has committed itself is never run again.
        """
        database = self._database or Database.default()
        open_units.refuse_inside_another(database)
        limits = retrying.Attempts(attempts, timeout, database.clock)
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
    def _refuse_inside_savepoint(session: UnitSession, what: str) -> None:
        if session.depth:
            raise UnitOfWorkError(f"{what}() inside savepoint(): leave its block first")

    # -- what takes part in it -------------------------------------------------------------

    @property
    def session(self) -> UnitSession:
        """The SQLModel session, for what the repositories do not cover."""
        return self._usable()

    def repository(self, model: type[E]) -> BaseRepository[E]:
        """A repository for a table that has none of its own."""
        session = self._usable()
        if model not in self._repositories:
            self._repositories[model] = BaseRepository(session, model)
        repository: BaseRepository[E] = self._repositories[model]
        return repository

    def _injected(self, kind: type[_Repository]) -> _Repository:
        session = self._open()
        if kind not in self._repositories:
            self._repositories[kind] = kind(session)
        repository: _Repository = self._repositories[kind]
        return repository

    def _open(self) -> UnitSession:
        if self._session is None:
            what = "block of the unit was left" if self._was_left else "unit is not entered"
            raise UnitOfWorkError(f"the {what}; write: with UnitOfWork() as uow:")
        return self._session

    def _usable(self) -> UnitSession:
        session = self._open()
        session.check()
        return session


def _place_of_caller() -> tuple[str, int]:
    """Where a unit is made, in the words of ``warnings``: file and line."""
    frame = sys._getframe(1)
    while frame.f_code.co_name == "__init__" and frame.f_back is not None:
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno


class _Injected:
    """Gives a unit its repository of one kind."""

    def __init__(self, kind: type[BaseRepository[Any]]) -> None:
        self.kind = kind

    def __get__(self, unit: BaseUnitOfWork | None, owner: type | None = None) -> Any:
        return self if unit is None else unit._injected(self.kind)

    def __set__(self, unit: BaseUnitOfWork, value: object) -> None:
        raise AttributeError("repositories are made by the unit; declare another class instead")


class _InjectedGeneric(_Injected):
    """The same for ``tags: BaseRepository[Tag]``."""

    def __init__(self, model: type[Any]) -> None:
        if not hasattr(model, "__table__"):
            raise TypeError(f"BaseRepository[{model.__name__}]: that is no table")
        self.model = model

    def __get__(self, unit: BaseUnitOfWork | None, owner: type | None = None) -> Any:
        return self if unit is None else unit.repository(self.model)
