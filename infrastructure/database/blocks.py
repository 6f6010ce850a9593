"""A ``with`` block that is a transaction: entering and leaving it, its hooks, running it again.

What is stored, and how, is the business of its session.
"""

from __future__ import annotations

import copy
import inspect
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar, cast, get_args, get_origin

from domain.entity import require_event
from domain.errors import (
    AfterCommitError,
    KitError,
    ReadOnlyViolation,
    UncommittedChangesWarning,
    UnitOfWorkError,
)
from domain.event import Event
from infrastructure.database import open_units, retrying
from infrastructure.database.clock import Clock
from infrastructure.database.guards import TWO_THREADS


class BlockSession(Protocol):
    """What a block asks of its session: the transactions in it, one after the other."""

    depth: int
    judged: bool
    """Whether what was only read counts no more than its COMMIT."""

    @property
    def failure(self) -> BaseException | None: ...
    @property
    def is_open(self) -> bool: ...
    @property
    def inherited(self) -> bool: ...

    def check(self) -> None: ...
    def refuse_in_child(self) -> None: ...
    def refuse_lost_changes(self) -> None: ...
    def has_nothing(self) -> bool: ...
    def is_changed(self) -> bool: ...
    def has_unsaved(self) -> bool: ...
    def store(self) -> Sequence[Exception]: ...
    def finish_reading(self) -> None: ...
    def undo(self) -> None: ...
    def leave(self) -> None: ...
    def savepoint(self) -> AbstractContextManager[None]: ...
    def publish(self, event: Event) -> None: ...


class Storage(open_units.Shared, Protocol):
    """Where units store, each for itself."""

    @property
    def clock(self) -> Clock: ...


S = TypeVar("S", bound=BlockSession)
T = TypeVar("T")


class Block(Generic[S]):
    """The mechanism of a unit of work, whatever it stores in."""

    _repository_class: ClassVar[type[Any]]
    """What an annotation must be, to declare a repository."""

    _repository_names: ClassVar[frozenset[str]] = frozenset()
    """The names of the repositories."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        try:
            annotations = inspect.get_annotations(cls, eval_str=True)
        except (AttributeError, NameError, SyntaxError) as error:
            raise TypeError(
                f"{cls.__name__}: {error}; import the repositories at run time, not under "
                "TYPE_CHECKING"
            ) from error
        declared = set()
        for name, annotation in annotations.items():
            if cast(Any, get_origin(annotation)) is cls._repository_class:
                (entity,) = get_args(annotation)
                cls._refuse_unfit(entity)
                setattr(cls, name, _InjectedGeneric(name, entity))
                declared.add(name)
            elif isinstance(annotation, type) and issubclass(annotation, cls._repository_class):
                setattr(cls, name, _Injected(name, annotation))
                declared.add(name)
        cls._repository_names = cls._repository_names | declared

    @classmethod
    def _refuse_unfit(cls, entity: type[Any]) -> None:
        """Refuse the type argument of a repository that has no class of its own."""

    _read_only: bool
    _made_at: tuple[str, int]
    _lock: threading.RLock
    _session: S | None
    _repositories: dict[Any, Any]
    _hooks: list[Callable[[], object]]
    _was_left: bool
    _stored: bool

    def __init__(self, *, read_only: bool) -> None:
        # one by one, each would be asked whether it is a repository
        vars(self).update(_read_only=read_only, _made_at=_place_of_caller())
        self._reset()

    def _reset(self) -> None:
        vars(self).update(
            _lock=threading.RLock(),
            _session=None,
            _repositories={},
            _hooks=[],
            _was_left=False,
            _stored=False,
        )

    def _storage(self) -> Storage:
        """Where this unit stores."""
        raise NotImplementedError

    def _new_session(self) -> S:
        raise NotImplementedError

    # -- the block -------------------------------------------------------------------------

    def __enter__(self) -> Self:
        with self._lock:
            if self._session is not None:
                raise UnitOfWorkError("the unit is entered already; use savepoint() or another one")
            self._session = self._new_session()
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

    def _leave(self, session: S) -> None:
        self._hooks.clear()
        self._repositories.clear()
        self._forget_injected()
        vars(self).update(_session=None, _was_left=True)
        session.leave()

    def __del__(self) -> None:
        session: S | None = self.__dict__.get("_session")
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

    def _refuse_to_lose(self, session: S) -> None:
        session.refuse_lost_changes()
        if session.has_nothing():
            return
        self._refuse_changes_when_reading(session)
        if session.judged and session.failure is None:
            session.finish_reading()
        if session.has_unsaved():
            warnings.warn(
                "the block was left without commit(): its changes are not stored",
                UncommittedChangesWarning,
                stacklevel=3,
            )

    def _refuse_changes_when_reading(self, session: S) -> None:
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
            self._run_hooks(())
        else:
            unheard = session.store()
            vars(self)["_stored"] = True
            self._run_hooks(unheard)

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

    def publish(self, event: Event) -> None:
        """Tell others of this if, and only if, the unit is committed."""
        session = self._usable()
        if self._read_only:
            raise ReadOnlyViolation("the unit is read-only; open a writing one: UnitOfWork()")
        session.publish(require_event(event))

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
        storage = self._storage()
        open_units.refuse_inside_another(storage)
        limits = retrying.Attempts(attempts, timeout, storage.clock)
        while True:
            unit = self._anew()
            try:
                return unit._run_once(work)
            except KitError as error:
                if unit._stored or not limits.again(error):
                    raise

    def _anew(self) -> Self:
        unit = copy.copy(self)
        unit._forget_injected()
        unit._reset()
        return unit

    def _run_once(self, work: Callable[[Self], T]) -> T:
        with self:
            result = work(self)
            retrying.refuse_lazy_result(result)
            self.commit()
        return result

    def _run_hooks(self, unheard: Sequence[Exception]) -> None:
        if not (self._hooks or unheard):
            return
        hooks, self._hooks = self._hooks, []
        errors = [*unheard]
        for hook in hooks:
            try:
                hook()
            except Exception as error:  # noqa: BLE001 -- all run; the caller gets every failure
                errors.append(error)
        if errors:
            raise AfterCommitError(errors) from errors[0]

    @staticmethod
    def _refuse_inside_savepoint(session: S, what: str) -> None:
        if session.depth:
            raise UnitOfWorkError(f"{what}() inside savepoint(): leave its block first")

    # -- what takes part in it -------------------------------------------------------------

    def repository(self, entity: type[Any]) -> Any:
        """A repository for what has none of its own."""
        raise NotImplementedError

    def _injected(self, kind: type[Any]) -> Any:
        session = self._open()
        if kind not in self._repositories:
            self._repositories[kind] = kind(session)
        return self._repositories[kind]

    def _forget_injected(self) -> None:
        for name in self._repository_names:
            self.__dict__.pop(name, None)

    def __setattr__(self, name: str, value: object) -> None:
        if name in self._repository_names:
            raise AttributeError("repositories are made by the unit; declare another class instead")
        super().__setattr__(name, value)

    def _open(self) -> S:
        if self._session is None:
            what = "block of the unit was left" if self._was_left else "unit is not entered"
            raise UnitOfWorkError(f"the {what}; write: with UnitOfWork() as uow:")
        return self._session

    def _usable(self) -> S:
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
    """Gives a unit its repository of one kind, once for each block."""

    def __init__(self, name: str, kind: type[Any]) -> None:
        self.name = name
        self.kind = kind

    def __get__(self, unit: Block[Any] | None, owner: type | None = None) -> Any:
        if unit is None:
            return self
        repository = unit.__dict__[self.name] = self.made(unit)
        return repository

    def made(self, unit: Block[Any]) -> Any:
        return unit._injected(self.kind)


class _InjectedGeneric(_Injected):
    """The same for ``tags: BaseRepository[Tag]``."""

    def made(self, unit: Block[Any]) -> Any:
        return unit.repository(self.kind)
