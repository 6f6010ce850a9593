"""Every error that an application on this kit may catch.

    KitError
    ├── ValidationError(entity, errors)              bad input, refused before SQL
    ├── EntityNotFound(entity, id)
    ├── MultipleEntitiesFound(entity)
    ├── ConflictError(entity, fields, constraint)    the database refused the row
    │   ├── UniqueViolation
    │   ├── ForeignKeyViolation
    │   ├── NotNullViolation
    │   ├── CheckViolation
    │   └── ConcurrencyConflict(entity, id)          somebody else was faster
    ├── TransientError                               the whole unit may be run again
    │   ├── SerializationFailure
    │   ├── Deadlock
    │   ├── LockTimeout
    │   └── DatabaseUnavailable
    ├── CommitOutcomeUnknown                         stored or not: the answer was lost
    ├── AfterCommitError(errors)                     stored, but a hook failed
    ├── UnitOfWorkError                              misuse of a unit of work
    ├── ReadOnlyViolation                            a write where only reading is allowed
    ├── CacheError
    ├── MessagingError(event, errors)                an event that cannot become a message
    │   └── PublisherUnavailable(retry_after)
    └── ExternalServiceError(service, outcome)       a remote service did not do what it was asked
        ├── ServiceUnavailable                       no connection, a lost one, or a 5xx
        ├── ServiceTimeout                           no answer in time
        ├── Throttled(retry_after)                   too many requests: ask again later
        ├── CircuitOpen(retry_after)                 it failed too often; nothing was sent
        ├── Rejected(status, problem)                it answered, and refused
        └── BadResponse(errors)                      it answered what cannot be understood

``UncommittedChangesWarning`` stands beside them. ``entity`` is always the name
of the domain class. Messages hold no values of fields, keys excepted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal

from domain.messages import Delivery
from domain.problem import Problem

Outcome = Literal["not_executed", "unknown", "executed"]
"""What became of a request to a remote service, as far as its caller can know."""


class KitError(Exception):
    """The root of all errors of this kit. Every one of them can be pickled."""

    driver_error: BaseException | None = None
    """What the database driver said, where it said something. May hold values of rows."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.args, dict(self.__dict__))


def _restore(cls: type[KitError], args: tuple[Any, ...], state: dict[str, Any]) -> KitError:
    error = cls.__new__(cls, *args)
    error.__dict__.update(state)
    return error


def _listed(errors: Mapping[str, str]) -> str:
    return "; ".join(f"{field}: {message}" for field, message in errors.items())


class ValidationError(KitError):
    """Values that cannot be stored, or a query that cannot be asked; nothing was written.

    ``errors`` maps the name of each field to what is wrong with it.
    """

    def __init__(self, entity: str, errors: Mapping[str, str]) -> None:
        self.entity = entity
        self.errors = dict(errors)
        super().__init__(f"{entity} is not valid: {_listed(self.errors)}")


class EntityNotFound(KitError):
    """There is no entity with this id, or none that satisfies the criteria (``id`` is None)."""

    def __init__(self, entity: str, id: Any = None) -> None:
        self.entity = entity
        self.id = id
        which = "satisfies the criteria" if id is None else f"has the id {id!r}"
        super().__init__(f"no {entity} {which}")


class MultipleEntitiesFound(KitError):
    """More than one entity where exactly one was asked for."""

    def __init__(self, entity: str) -> None:
        self.entity = entity
        super().__init__(
            f"more than one {entity} satisfies the criteria; narrow them, or ask for first()"
        )


class ConflictError(KitError):
    """The database refused a row because of a constraint.

    ``fields`` are names of attributes; ``constraint`` is the name in the
    database, or None where it has none.
    """

    reason: ClassVar[str] = "violates a constraint"

    def __init__(
        self, entity: str, fields: Iterable[str] = (), constraint: str | None = None
    ) -> None:
        self.entity = entity
        self.fields = tuple(fields)
        self.constraint = constraint
        named = f"{entity}.{', '.join(self.fields)}" if self.fields else entity
        by = f" (constraint {constraint})" if constraint else ""
        super().__init__(f"{named} {self.reason}{by}")


class UniqueViolation(ConflictError):
    """Another row has this value already."""

    reason = "is already taken; load that one, or choose another value"


class ForeignKeyViolation(ConflictError):
    """A reference to a row that does not exist, or a deleted row that is still referred to."""

    reason = "refers to a row that is not there; create it first, or remove what refers to it"


class NotNullViolation(ConflictError):
    """A column that needs a value got none."""

    reason = "must have a value"


class CheckViolation(ConflictError):
    """A check constraint of the database does not hold."""

    reason = "breaks a rule of the database"


class ConcurrencyConflict(ConflictError):
    """The version differs: the row was changed or deleted since it was loaded."""

    reason = "was changed by somebody else; load it again and repeat the change"

    def __init__(self, entity: str, id: Any = None) -> None:
        super().__init__(entity, ("version",))
        self.id = id
        which = entity if id is None else f"{entity} {id!r}"
        self.args = (f"{which} {self.reason}",)


class TransientError(KitError):
    """The whole unit may be run again, and may then succeed."""


class SerializationFailure(TransientError):
    """Another transaction came in between."""


class Deadlock(TransientError):
    """Two transactions waited for each other, and this one was chosen to end."""


class LockTimeout(TransientError):
    """A lock was not granted in time."""


class DatabaseUnavailable(TransientError):
    """No connection, a lost one, a full disk, or a file that cannot be used."""


class CommitOutcomeUnknown(KitError):
    """The connection was lost during COMMIT: the changes may be stored or not."""


class AfterCommitError(KitError):
    """The changes are stored, but an ``after_commit`` hook failed, or a cache was not told."""

    def __init__(self, errors: Iterable[Exception]) -> None:
        self.errors = tuple(errors)
        names = ", ".join(type(error).__name__ for error in self.errors)
        super().__init__(f"committed, but {len(self.errors)} after_commit hook(s) failed: {names}")


class UnitOfWorkError(KitError):
    """A unit of work was used in a way that would lose or mix up changes."""


class ReadOnlyViolation(KitError):
    """A write in a read-only unit, or to a database that is read-only."""


class CacheError(KitError):
    """A cache was misused, or what another thread loads takes too long."""


class MessagingError(KitError):
    """An event cannot become a message; what it tells of is not stored either.

    ``event`` is its type; ``errors`` maps names of fields to what is wrong with them.
    """

    def __init__(self, event: str, errors: Mapping[str, str]) -> None:
        self.event = event
        self.errors = dict(errors)
        super().__init__(f"the event {event} cannot be published: {_listed(self.errors)}")


class PublisherUnavailable(MessagingError):
    """No message can be published at present, whichever it is; none counts as tried.

    ``retry_after`` is in seconds, or None if nobody knows. ``delivered`` is what became
    of the first ones of a batch, before it was so.
    """

    def __init__(
        self,
        reason: str,
        *,
        retry_after: float | None = None,
        delivered: Sequence[Delivery] = (),
    ) -> None:
        super().__init__("", {})
        self.retry_after = retry_after
        self.delivered = tuple(delivered)
        self.args = (f"nothing can be published at present: {reason}",)


class ExternalServiceError(KitError):
    """A remote service could not be reached, or refused.

    ``outcome`` says what became of the request: ``not_executed`` may be repeated
    without harm, ``executed`` was done although the answer is lost, and ``unknown``
    is either. It counts for all ``attempts``, which took ``elapsed`` seconds.
    ``status`` is that of the answer and ``problem`` what it says of itself, where
    there is an answer. No header, query or credential is in it; a path is.
    """

    def __init__(
        self,
        reason: str,
        *,
        service: str = "the service",
        method: str = "",
        path: str = "",
        attempts: int = 0,
        elapsed: float = 0.0,
        outcome: Outcome = "unknown",
        status: int | None = None,
        problem: Problem | None = None,
    ) -> None:
        self.reason = reason
        self.service = service
        self.method = method
        self.path = path
        self.attempts = attempts
        self.elapsed = elapsed
        self.outcome: Outcome = outcome
        self.status = status
        self.problem = problem
        asked = f"{method} {path}: " if method else ""
        tries = "1 attempt" if attempts == 1 else f"{attempts} attempts"
        super().__init__(
            f"{service}: {asked}{reason} ({tries}, {elapsed:.2f} s, {outcome.replace('_', ' ')})"
        )


class ServiceUnavailable(ExternalServiceError):
    """No connection, one that was lost, or an answer of 5xx: it may work later."""


class ServiceTimeout(ExternalServiceError):
    """There was no answer in time."""


class Throttled(ExternalServiceError):
    """The service wants to be asked less often.

    ``retry_after`` is when to ask again, in seconds from now, or None if it did not say.
    """

    def __init__(self, reason: str, *, retry_after: float | None = None, **facts: Any) -> None:
        super().__init__(reason, **facts)
        self.retry_after = retry_after


class CircuitOpen(ExternalServiceError):
    """The service failed too often, so this request was not sent.

    ``retry_after`` is when one will be let through again, in seconds from now.
    """

    def __init__(self, reason: str, *, retry_after: float | None = None, **facts: Any) -> None:
        super().__init__(reason, **facts)
        self.retry_after = retry_after


class Rejected(ExternalServiceError):
    """The service understood, and refused: ``status`` says how, ``problem`` perhaps why."""


class BadResponse(ExternalServiceError):
    """The answer cannot be understood: no HTTP, no JSON, too long, or another form.

    ``errors`` maps fields of the answer to what is wrong with them; there are no values in it.
    """

    def __init__(
        self, reason: str, *, errors: Mapping[str, str] | None = None, **facts: Any
    ) -> None:
        super().__init__(reason, **facts)
        self.errors = dict(errors or {})


class UncommittedChangesWarning(UserWarning):
    """A block was left with unsaved writes: ``commit()`` was forgotten, they are gone."""
