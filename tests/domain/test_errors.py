"""The error tree: its shape, its messages, and that it crosses processes."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
import sqlite3
from typing import Any

import pytest

from domain import errors
from domain.errors import (
    AfterCommitError,
    BadResponse,
    ConcurrencyConflict,
    ConflictError,
    EntityNotFound,
    KitError,
    MessagingError,
    MultipleEntitiesFound,
    PublisherUnavailable,
    ServiceUnavailable,
    Throttled,
    UniqueViolation,
    ValidationError,
)
from domain.problem import Problem

TREE = {
    "KitError": "Exception",
    "ValidationError": "KitError",
    "EntityNotFound": "KitError",
    "MultipleEntitiesFound": "KitError",
    "ConflictError": "KitError",
    "UniqueViolation": "ConflictError",
    "ForeignKeyViolation": "ConflictError",
    "NotNullViolation": "ConflictError",
    "CheckViolation": "ConflictError",
    "ConcurrencyConflict": "ConflictError",
    "TransientError": "KitError",
    "SerializationFailure": "TransientError",
    "Deadlock": "TransientError",
    "LockTimeout": "TransientError",
    "DatabaseUnavailable": "TransientError",
    "CommitOutcomeUnknown": "KitError",
    "AfterCommitError": "KitError",
    "UnitOfWorkError": "KitError",
    "ReadOnlyViolation": "KitError",
    "CacheError": "KitError",
    "MessagingError": "KitError",
    "PublisherUnavailable": "MessagingError",
    "ExternalServiceError": "KitError",
    "ServiceUnavailable": "ExternalServiceError",
    "ServiceTimeout": "ExternalServiceError",
    "Throttled": "ExternalServiceError",
    "CircuitOpen": "ExternalServiceError",
    "Rejected": "ExternalServiceError",
    "BadResponse": "ExternalServiceError",
    "UncommittedChangesWarning": "UserWarning",
}

CLASSES: dict[str, Any] = {
    name: kind
    for name, kind in vars(errors).items()
    if inspect.isclass(kind) and kind.__module__ == errors.__name__
}

CONFLICT = ("Person", ("email",), "uq_people_email")
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "ValidationError": ("Person", {"email": "must look like name@example.com", "name": "is blank"}),
    "EntityNotFound": ("Person", 7),
    "MultipleEntitiesFound": ("Person",),
    "ConcurrencyConflict": ("Person", 7),
    "AfterCommitError": ([ValueError("one"), KeyError("two")],),
    "MessagingError": ("person.joined_team", {"thing": "no JSON can be made of a socket"}),
} | {name: CONFLICT for name in TREE if name == "ConflictError" or name.endswith("Violation")}
ARGUMENTS["ReadOnlyViolation"] = ("the unit is read-only",)


def make(name: str) -> KitError:
    error: KitError = CLASSES[name](*ARGUMENTS.get(name, ("what happened",)))
    return error


every_error = pytest.mark.parametrize("name", [n for n in TREE if not n.endswith("Warning")])


def test_the_tree_is_the_documented_one() -> None:
    assert {name: kind.__base__.__name__ for name, kind in CLASSES.items()} == TREE


def test_the_docstring_draws_the_whole_tree() -> None:
    drawn: dict[str, str] = {}
    path: list[str] = []
    pattern = re.compile(r"^    (?P<lines>[│ ]*)(?:[├└]── )?(?P<name>[A-Z]\w+)", re.MULTILINE)
    drawing = (errors.__doc__ or "").split("``UncommittedChangesWarning``")[0]
    for match in pattern.finditer(drawing):
        depth = 0 if not path else len(match["lines"]) // 4 + 1
        path[depth:] = [match["name"]]
        drawn[match["name"]] = path[depth - 1] if depth else "Exception"
    assert drawn == {name: base for name, base in TREE.items() if base != "UserWarning"}


@every_error
def test_every_error_survives_pickling_with_all_it_knows(name: str) -> None:
    error = make(name)
    error.driver_error = sqlite3.IntegrityError("UNIQUE constraint failed: people.email")
    error.add_note("while importing")
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert describe(again) == describe(error)


def describe(error: KitError) -> dict[str, str]:
    """Exceptions are equal only to themselves, so their descriptions are compared."""
    assert error.driver_error is not None
    return {key: repr(value) for key, value in vars(error).items()}


@every_error
def test_every_error_has_a_message_and_knows_of_no_driver_at_first(name: str) -> None:
    error = make(name)
    assert str(error)
    assert error.driver_error is None


@every_error
def test_no_message_repeats_what_the_driver_said(name: str) -> None:
    error = make(name)
    error.driver_error = sqlite3.IntegrityError("DETAIL: (secret@example.com) exists")
    assert "secret" not in str(error) + repr(error)


def test_a_validation_error_names_every_wrong_field_and_what_is_wrong() -> None:
    given = {"name": "is blank", "email": "is no address"}
    error = ValidationError("Person", given)
    given.clear()
    assert error.errors == {"name": "is blank", "email": "is no address"}
    assert str(error) == "Person is not valid: name: is blank; email: is no address"


def test_a_missing_entity_is_named_with_its_id() -> None:
    error = EntityNotFound("Person", 7)
    assert (error.entity, error.id) == ("Person", 7)
    assert str(error) == "no Person has the id 7"
    assert str(EntityNotFound("Person")) == "no Person satisfies the criteria"


def test_too_many_entities_come_with_the_next_step() -> None:
    error = MultipleEntitiesFound("Person")
    assert error.entity == "Person"
    assert "first()" in str(error)


def test_a_conflict_names_entity_fields_and_constraint() -> None:
    error = UniqueViolation("Person", ["team_id", "email"], "uq_people_team_id_email")
    assert error.entity == "Person"
    assert error.fields == ("team_id", "email")
    assert error.constraint == "uq_people_team_id_email"
    assert str(error).startswith("Person.team_id, email is already taken")
    assert str(error).endswith("(constraint uq_people_team_id_email)")
    assert str(ConflictError("Person")) == "Person violates a constraint"


def test_a_concurrency_conflict_knows_which_entity_was_changed() -> None:
    error = ConcurrencyConflict("Person", 7)
    assert (error.entity, error.id, error.fields) == ("Person", 7, ("version",))
    assert error.constraint is None
    assert str(error).startswith("Person 7 was changed by somebody else")


def test_a_failed_hook_is_counted_and_named_but_not_quoted() -> None:
    error = AfterCommitError([ValueError("secret"), KeyError("secret")])
    assert [type(e) for e in error.errors] == [ValueError, KeyError]
    assert "2" in str(error)
    assert "ValueError, KeyError" in str(error)
    assert "secret" not in str(error)


def test_an_event_that_can_be_no_message_is_named_with_its_fields() -> None:
    error = MessagingError("person.joined_team", {"thing": "has no JSON"})
    assert (error.event, error.errors) == ("person.joined_team", {"thing": "has no JSON"})
    assert str(error) == "the event person.joined_team cannot be published: thing: has no JSON"


def test_a_publisher_that_is_down_says_when_to_try_again_if_it_knows() -> None:
    error = PublisherUnavailable("the broker is restarting", retry_after=2.5)
    assert error.retry_after == 2.5
    assert "the broker is restarting" in str(error)
    assert PublisherUnavailable("nobody knows").retry_after is None


def test_an_error_of_a_service_says_what_was_asked_how_often_and_what_became_of_it() -> None:
    error = ServiceUnavailable(
        "the connection was refused",
        service="api.example.com",
        method="GET",
        path="/v1/people/1",
        attempts=3,
        elapsed=1.234,
        outcome="not_executed",
    )
    assert str(error) == (
        "api.example.com: GET /v1/people/1: the connection was refused "
        "(3 attempts, 1.23 s, not executed)"
    )
    assert (error.attempts, error.elapsed, error.outcome) == (3, 1.234, "not_executed")
    assert (error.status, error.problem) == (None, None)


def test_what_only_some_errors_of_a_service_know_survives_pickling() -> None:
    problem = Problem(title="Too many", status=429, extensions={"limit": 5})
    throttled = Throttled("too many", retry_after=3.5, status=429, problem=problem, attempts=1)
    again = pickle.loads(pickle.dumps(throttled))
    assert (again.retry_after, again.status, again.problem) == (3.5, 429, problem)
    bad = BadResponse("does not fit", errors={"age": "must be a number"}, outcome="executed")
    assert pickle.loads(pickle.dumps(bad)).errors == {"age": "must be a number"}
