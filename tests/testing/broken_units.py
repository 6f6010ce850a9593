"""Units of work that break the contract, each in one way.

They are the kit's own, made worse.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from domain.errors import (
    Deadlock,
    KitError,
    UncommittedChangesWarning,
    UnitOfWorkError,
)
from infrastructure.database.unit_of_work import UnitOfWork


class KeepsWhatIsRolledBack(UnitOfWork):
    def rollback(self) -> None:
        self.commit()


class StoresWithoutCommit(UnitOfWork):
    def __exit__(self, *error: object) -> None:
        if error[0] is None:
            self.commit()
        super().__exit__(*error)


class NeverWarns(UnitOfWork):
    def __exit__(self, *error: object) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            super().__exit__(*error)


class WarnsWhateverHappened(UnitOfWork):
    def __exit__(self, *error: object) -> None:
        warnings.warn("something may be lost", UncommittedChangesWarning, stacklevel=2)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            super().__exit__(*error)


class SwallowsExceptions(UnitOfWork):
    def __exit__(self, *error: object) -> Any:
        super().__exit__(*error)
        return True


class ReplacesExceptions(UnitOfWork):
    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        if error[0] is not None:
            raise RuntimeError("the unit was rolled back") from error[1]


class StoresInspiteOfAnException(UnitOfWork):
    def __exit__(self, *error: object) -> None:
        self.commit()
        super().__exit__(*error)


class WritesWhereItOnlyReads(UnitOfWork):
    def __init__(self, database: Any, *, read_only: bool = False) -> None:
        super().__init__(database)


class MayBeEnteredTwice(UnitOfWork):
    def __enter__(self) -> Any:
        with suppress(UnitOfWorkError):
            super().__enter__()
        return self


class MayBeUsedAfterLeaving(UnitOfWork):
    def commit(self) -> None:
        if self._session is not None:
            super().commit()


class KeepsSettledChangesToItself(UnitOfWork):
    def __enter__(self) -> Any:
        entered = super().__enter__()
        self._open().refuse_lost_changes = lambda: None  # type: ignore[method-assign]
        return entered


class UndoesEverythingAtASavepoint(UnitOfWork):
    @contextmanager
    def savepoint(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.rollback()
            raise


class UndoesNothingAtASavepoint(UnitOfWork):
    @contextmanager
    def savepoint(self) -> Iterator[None]:
        yield


class CommitsAtASavepoint(UnitOfWork):
    @contextmanager
    def savepoint(self) -> Iterator[None]:
        with super().savepoint():
            yield
        self.commit()


class KeepsHooksOfASavepoint(UnitOfWork):
    @contextmanager
    def savepoint(self) -> Iterator[None]:
        with self._usable().savepoint():
            yield


class RunsHooksAtOnce(UnitOfWork):
    def after_commit(self, hook: Callable[[], object]) -> None:
        hook()


class RunsHooksAtASavepoint(UnitOfWork):
    @contextmanager
    def savepoint(self) -> Iterator[None]:
        with super().savepoint():
            yield
        self._run_hooks(())


class RunsHooksBackwards(UnitOfWork):
    def _run_hooks(self, unheard: Sequence[Exception]) -> None:
        self._hooks.reverse()
        super()._run_hooks(unheard)


class RunsHooksAgain(UnitOfWork):
    def _run_hooks(self, unheard: Sequence[Exception]) -> None:
        hooks = [*self._hooks]
        super()._run_hooks(unheard)
        self._hooks = hooks


class KeepsHooksOfARollback(UnitOfWork):
    def rollback(self) -> None:
        hooks = [*self._hooks]
        super().rollback()
        self._hooks = hooks


class StopsAtTheFirstHookThatFails(UnitOfWork):
    def _run_hooks(self, unheard: Sequence[Exception]) -> None:
        hooks, self._hooks = self._hooks, []
        for hook in hooks:
            hook()


class Runs(UnitOfWork):
    """A ``run`` that may be wrong in several ways."""

    again: Any = ()

    def run(self, work: Any, /, **options: Any) -> Any:
        for _ in range(3):
            with suppress(*self.again):
                return self.once(self._anew(), work)
        return self.once(self._anew(), work)

    def once(self, unit: Any, work: Any) -> Any:
        with unit as uow:
            result = work(uow)
            uow.commit()
        return result


class RunsOnlyOnce(Runs):
    pass


class RunsAgainWhateverHappened(Runs):
    again = (Exception,)


class RunsAgainWithoutBound(Runs):
    again = (KitError,)


class RunsInsideAnOpenUnit(Runs):
    pass


class RunsWhatIsDoneTooLate(Runs):
    pass


class RunsWithoutCommit(Runs):
    def once(self, unit: Any, work: Any) -> Any:
        with unit as uow:
            result = work(uow)
            uow.rollback()
        return result


class RunsInTheSameUnit(Runs):
    again = (Deadlock,)

    def _anew(self) -> Any:
        return self
