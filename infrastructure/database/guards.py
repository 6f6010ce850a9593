"""What stands before every use of a session."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

from sqlalchemy import exc as sql_errors
from sqlalchemy.orm.exc import StaleDataError

from domain.errors import DatabaseUnavailable, KitError, UnitOfWorkError
from infrastructure.database.database import Database

TWO_THREADS = "two threads use this unit at the same time; give each a unit of its own"

_Method = TypeVar("_Method", bound=Callable[..., Any])


def guarded(method: _Method, *, begins: bool = True) -> _Method:
    """Refuse misuse, allow one thread at a time, and let errors out without the driver's.

    For methods of a ``UnitSession``.
    """

    @functools.wraps(method)
    def call(self: Any, *args: Any, **options: Any) -> Any:
        if not self.lock.acquire(blocking=False):
            raise UnitOfWorkError(TWO_THREADS)
        try:
            self.check()
            if begins and not self.begun:
                self.begin_unit()
            return method(self, *args, **options)
        except StaleDataError:
            raise self.failed_with(self.tracker.conflict()) from None
        except sql_errors.TimeoutError:
            raise self.failed_with(_no_connection(self.database)) from None
        except (KitError, sql_errors.SQLAlchemyError) as error:
            first = _first_of(self, error)
            if first is not error:
                raise first from None
            raise
        finally:
            self.lock.release()

    return cast(_Method, call)


def noted(method: _Method) -> _Method:
    """Tell what is read of which tables, for methods whose first argument says it, if any does."""

    @functools.wraps(method)
    def call(self: Any, *args: Any, **options: Any) -> Any:
        self.note_read(*args[:1])
        return method(self, *args, **options)

    return cast(_Method, call)


def forgetful(method: _Method) -> _Method:
    """For methods after which an entity is no longer what its id stands for."""

    @functools.wraps(method)
    def call(self: Any, *args: Any, **options: Any) -> Any:
        self.forget_known()
        return method(self, *args, **options)

    return cast(_Method, call)


def _no_connection(database: Database) -> KitError:
    """The error for a pool that had nothing to give."""
    if database.exclusive:
        dialect = database.dialect
        return dialect.busy(f"{dialect.serves_one}, and another thread is using it")
    return DatabaseUnavailable(
        f"{database.url}: no connection was free in time; leave units sooner, or raise pool_size"
    )


def _first_of(session: Any, error: Exception) -> BaseException:
    """What failed the unit, where an attempt to undo it failed, too, and came in its place."""
    if isinstance(error, KitError) and error.driver_error is None:
        return error
    first: BaseException = session.failure or error
    if isinstance(first, KitError):
        first.__cause__ = None  # its text may hold values of the row
        session.fail(first)
    return first


def owned(instead: str) -> Callable[..., Any]:
    """In place of a method that would go behind the unit's back."""

    def refuse(*_: Any, **__: Any) -> Any:
        raise UnitOfWorkError(f"the unit owns the transaction; use {instead}")

    return refuse
