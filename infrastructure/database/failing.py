"""What failed in a unit, and how deep in its savepoints: until that is undone, it is refused."""

from __future__ import annotations

from typing import NoReturn

from domain.errors import KitError, UnitOfWorkError


class Failing:
    """What a session remembers of a failure."""

    depth: int = 0
    """How many savepoints are open."""

    failure: BaseException | None = None
    failed_at: int = 0

    def fail(self, error: BaseException, *, wholly: bool = False) -> None:
        """Remember the first failure; it holds until a rollback.

        ``wholly``: nothing is left of the transaction, so that no savepoint can be gone back to.
        """
        if self.failure is None:
            self.failure = error
            self.failed_at = self.depth
        if wholly:
            self.failed_at = 0

    def failed_with(self, error: KitError) -> KitError:
        """``fail``, for an error that is about to be raised."""
        self.fail(error)
        return error

    def refuse_failed(self) -> NoReturn:
        """Raise for any use of a unit that has failed."""
        raise UnitOfWorkError(
            "the unit has failed; call rollback(), or leave the block and begin again"
        ) from self.failure

    def refuse_failed_savepoint(self) -> None:
        """Raise at the end of a savepoint in which something failed that was caught."""
        if self.failure is not None:
            raise UnitOfWorkError(
                "a statement in this savepoint failed, so that the savepoint was rolled back; "
                "let the error leave the block"
            ) from self.failure
