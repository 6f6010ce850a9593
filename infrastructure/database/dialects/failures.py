"""What a driver's error means, and whether the unit may be run again: one table.

PostgreSQL is known by SQLSTATE, SQLite by ``sqlite_errorname``; never by words,
which a locale changes. A code that is not found is looked for by its family: the
first two characters of a SQLSTATE, the first two words of a name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from domain import errors


class Failure(NamedTuple):
    """The error of the domain, whether ``run()`` runs the unit again, and why."""

    error: type[errors.KitError]
    again: bool
    why: str


_GONE = "nobody knows when it will be back; whoever called decides"
_FULL = "it does not go away by itself"
_BUG = "the same values would be refused again"

FAILURES: Mapping[str, Failure] = {
    # -- somebody else was in the way: the next time may be better
    "40001": Failure(errors.SerializationFailure, True, "another transaction came in between"),
    "40P01": Failure(errors.Deadlock, True, "the other transaction went on; locks are free again"),
    "55P03": Failure(errors.LockTimeout, True, "whoever holds the lock will leave"),
    "SQLITE_BUSY": Failure(errors.LockTimeout, True, "whoever writes will leave"),
    "SQLITE_BUSY_SNAPSHOT": Failure(
        errors.SerializationFailure, True, "another connection wrote since the unit began to read"
    ),
    "SQLITE_LOCKED": Failure(errors.LockTimeout, True, "whoever has the table will leave"),
    # -- it was stopped: it would take as long again
    "57014": Failure(errors.TransientError, False, "a timeout or an operator ended it on purpose"),
    "SQLITE_INTERRUPT": Failure(errors.TransientError, False, "a timeout ended it on purpose"),
    # -- there is no database to use
    "08": Failure(errors.DatabaseUnavailable, False, _GONE),
    "25P03": Failure(errors.DatabaseUnavailable, False, "the unit stood idle for too long"),
    "25P04": Failure(errors.DatabaseUnavailable, False, "the unit took too long"),
    "53": Failure(errors.DatabaseUnavailable, False, _FULL),
    "57P01": Failure(errors.DatabaseUnavailable, False, _GONE),
    "57P02": Failure(errors.DatabaseUnavailable, False, _GONE),
    "57P03": Failure(errors.DatabaseUnavailable, False, _GONE),
    "57P05": Failure(errors.DatabaseUnavailable, False, "the session stood idle for too long"),
    "58": Failure(errors.DatabaseUnavailable, False, _FULL),
    "SQLITE_CANTOPEN": Failure(errors.DatabaseUnavailable, False, _FULL),
    "SQLITE_CORRUPT": Failure(errors.DatabaseUnavailable, False, _FULL),
    "SQLITE_FULL": Failure(errors.DatabaseUnavailable, False, _FULL),
    "SQLITE_IOERR": Failure(errors.DatabaseUnavailable, False, _FULL),
    "SQLITE_NOMEM": Failure(errors.DatabaseUnavailable, False, _FULL),
    "SQLITE_NOTADB": Failure(errors.DatabaseUnavailable, False, _FULL),
    "SQLITE_PERM": Failure(errors.DatabaseUnavailable, False, _FULL),
    # -- the database refused the row
    "23000": Failure(errors.ConflictError, False, _BUG),
    "23001": Failure(errors.ForeignKeyViolation, False, _BUG),
    "23502": Failure(errors.NotNullViolation, False, _BUG),
    "23503": Failure(errors.ForeignKeyViolation, False, _BUG),
    "23505": Failure(errors.UniqueViolation, False, _BUG),
    "23514": Failure(errors.CheckViolation, False, _BUG),
    "23P01": Failure(errors.ConflictError, False, _BUG),
    "SQLITE_CONSTRAINT": Failure(errors.ConflictError, False, _BUG),
    "SQLITE_CONSTRAINT_CHECK": Failure(errors.CheckViolation, False, _BUG),
    "SQLITE_CONSTRAINT_FOREIGNKEY": Failure(errors.ForeignKeyViolation, False, _BUG),
    "SQLITE_CONSTRAINT_NOTNULL": Failure(errors.NotNullViolation, False, _BUG),
    "SQLITE_CONSTRAINT_PRIMARYKEY": Failure(errors.UniqueViolation, False, _BUG),
    "SQLITE_CONSTRAINT_ROWID": Failure(errors.UniqueViolation, False, _BUG),
    "SQLITE_CONSTRAINT_UNIQUE": Failure(errors.UniqueViolation, False, _BUG),
    # -- a write where only reading is allowed
    "25006": Failure(errors.ReadOnlyViolation, False, "the unit would be read-only again"),
    "SQLITE_READONLY": Failure(errors.ReadOnlyViolation, False, "it would be read-only again"),
}

RUN_AGAIN: tuple[type[errors.KitError], ...] = (
    *dict.fromkeys(failure.error for failure in FAILURES.values() if failure.again),
    errors.ConcurrencyConflict,  # no code of a database: a version check of the kit
)
"""The errors after which ``run()`` runs the whole unit again; it does so after no other."""


def error_for(code: str, family: str) -> type[errors.KitError] | None:
    """The domain's error for a code, or for its family; None for what is a bug."""
    found = FAILURES.get(code) or FAILURES.get(family)
    return None if found is None else found.error
