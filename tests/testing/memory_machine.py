"""The same caller in two worlds at once: in memory, and in a database that is right."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine
from sqlalchemy import delete

from domain import ALL, NONE, Person, Team, where
from domain.errors import KitError, MessagingError, UncommittedChangesWarning, ValidationError
from infrastructure.database import Database
from infrastructure.database.clock import Clock
from infrastructure.database.models.person import PersonModel
from infrastructure.database.models.plain import VERSION
from infrastructure.database.models.team import TeamModel
from infrastructure.database.unit_of_work import UnitOfWork
from infrastructure.testing.memory import InMemoryStore
from infrastructure.testing.memory.unit_of_work import InMemoryUnitOfWork

MISSING = 1_000_000
FIELDS = ("id", "name", "email", "member_limit", "team_id")
MODELS: dict[str, Any] = {"people": PersonModel, "teams": TeamModel}

names = st.sampled_from([*("a", "b", "B", "é", "𐀀", "\uffff", "c") * 3, "x" * 201])
new = st.sampled_from([True, True, True, False])
"""Whether a unique value is one that nobody has; or one that somebody may have."""

kinds = st.sampled_from(["people", "people", "teams"])
picks = st.integers(0, 7)
teams = st.sampled_from([None, None, *range(6), *range(6), MISSING])
limits = st.sampled_from([None, 1, 2])

CHANGES: dict[str, list[tuple[str, Any]]] = {
    "people": [
        *(("name", value) for value in ("a", "b", "é", "new", "a", "b", "c")),
        *(("email", f"{value}@example.com") for value in ("a", "b", "u3", "u4", "else")),
        *(("team_id", value) for value in ("some", "some", "some", None, "1")),
    ],
    "teams": [
        *(("name", value) for value in ("a", "b", "u1", "u2", "else")),
        *(("member_limit", value) for value in (1, 2, None, "3")),
    ],
}
WRONG: dict[str, list[tuple[str, Any]]] = {
    "people": [
        *(("name", value) for value in ("x" * 201, 5, None, "\0")),
        *(("team_id", value) for value in ("two", 2**40)),
        ("id", 77),
    ],
    "teams": [("name", None), ("member_limit", "many"), ("member_limit", 2**31), ("id", 78)],
}

CRITERIA: dict[str, list[Callable[[], Any]]] = {
    "people": [
        lambda: where("name") == "a",
        lambda: where("name") > "b",
        lambda: where("name") <= "é",
        lambda: where("email").in_(["a@example.com", "b@example.com"]),
        lambda: where("email").contains("B", ignore_case=True),
        lambda: where("email").startswith("b"),
        lambda: where("team_id").is_none(),
        lambda: ~(where("team_id") == 1),
        lambda: where("team_id").in_([]),
        lambda: where("id").between(1, 40),
        lambda: where("version") > 1,
        lambda: where("email") == 5,
        lambda: where("team_id") == "1",
        lambda: where("no_such") == 1,
        lambda: where("team_id").contains("1"),
        lambda: (where("name") == "a") | (where("team_id") > 0),
        lambda: where("name") != "a",
        lambda: ALL,
        lambda: ALL,
        lambda: ALL,
        lambda: NONE,
        lambda: "name",
    ],
    "teams": [
        lambda: where("name") == "a",
        lambda: where("member_limit") >= 2,
        lambda: ~(where("member_limit") < 2),
        lambda: where("member_limit").is_none(),
        lambda: where("name").endswith("b") & (where("id") > 0),
        lambda: where("id") == 2**40,
        lambda: where("member_limit") < 1.5,
        lambda: where("limit") == 2,
        lambda: where("created_at").is_none(),
    ],
}
ORDERS: dict[str, list[Any]] = {
    "people": [
        "id",
        ("-updated_at", "id"),
        ("name", "id"),
        ("-team_id", "-id"),
        ("team_id", "id"),
        ("-email",),
    ],
    "teams": [
        "id",
        ("created_at", "-id"),
        ("-member_limit", "id"),
        ("member_limit", "name"),
        "-name",
    ],
}
BAD_ORDERS = ["no_such", "", "--name", ("id", 5)]
LIMITS = [*(None, None, 0, 1, 2, 50) * 6, -1, True, "3", 2**70]


class Stop(Exception):
    """What leaves a block."""


class Outcome(NamedTuple):
    """What a step did: its value, or its error with what the error says."""

    value: Any = None
    error: tuple[Any, ...] | None = None


class World:
    """One storage, and what its caller has in hands."""

    def __init__(self, make: Callable[..., Any]) -> None:
        self.make = make
        self.uow: Any = None
        self.held: list[Any] = []
        self.savepoints: list[AbstractContextManager[None]] = []

    def outcome(self, step: Callable[[World], Any]) -> Outcome:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                value = step(self)
            except KitError as error:
                return Outcome(None, (*_told(error), _warned(caught)))
        return Outcome((self.describe(value), _warned(caught)))

    def close(self) -> None:
        """Leave whatever is open, whatever it says."""
        error = Stop()
        for block in reversed(self.savepoints):
            with suppress(Exception):
                block.__exit__(Stop, error, None)
        with suppress(Exception):
            self.uow.__exit__(Stop, error, None)

    def describe(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self.describe(one) for one in value]
        if isinstance(value, Person | Team):
            same = [at for at, one in enumerate(self.held) if one is value]
            return (*values_of(value), same)
        return value

    def repository(self, kind: str) -> Any:
        return getattr(self.uow, kind)


def _told(error: KitError) -> tuple[Any, ...]:
    names = ("entity", "id", "fields", "constraint", "event")
    wrong = sorted(error.errors) if isinstance(error, ValidationError | MessagingError) else []
    cause = type(error.__cause__).__name__ if error.__cause__ is not None else None
    return (type(error).__name__, [getattr(error, name, None) for name in names], wrong, cause)


def _warned(caught: list[warnings.WarningMessage]) -> int:
    return sum(issubclass(one.category, UncommittedChangesWarning) for one in caught)


def values_of(entity: Any) -> tuple[Any, ...]:
    """What an entity holds, its version included; what is not stored has none that counts."""
    held = entity.__dict__
    version = None if held.get("id") is None else held.get("version", held.get(VERSION))
    return (*(held.get(name) for name in FIELDS), version)


def is_emptied(entity: Any) -> bool:
    """Whether it is unreadable until its savepoint, in which a statement failed, has ended."""
    return "name" not in entity.__dict__


class Wish(NamedTuple):
    """A new entity."""

    kind: str
    name: str
    new: bool
    team: int | None
    limit: int | None


wishes = st.builds(Wish, kinds, names, new, teams, limits)


class Caller(RuleBasedStateMachine):
    """Does everything twice, and compares."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        with database.engine.begin() as connection:
            connection.execute(delete(PersonModel))
            connection.execute(delete(TeamModel))
        self.store = InMemoryStore()
        self.database = database
        self.sql = World(lambda **options: UnitOfWork(database, **options))
        self.memory = World(lambda **options: InMemoryUnitOfWork(self.store, **options))
        self.kinds: list[str] = []
        self.changes: list[tuple[int, str, Any]] = []
        """What was changed since the transaction began, and what it was before."""
        self.refused = self.numbered = self.seconds = 0
        database.clock = self.store.clock = Clock(self._now)
        self.is_open = self.read_only = self.is_spoiled = False
        self.depth = 0
        self.agrees = True

    def _now(self) -> datetime:
        return datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)

    @property
    def has_failed(self) -> bool:
        """Whether a statement of the unit has failed."""
        session = self.sql.uow._session if self.is_open else None
        return session is not None and session.failure is not None

    # -- both ----------------------------------------------------------------------------------

    def both(
        self, step: Callable[[World], Any], kind: str | None = None, *, creates: bool = False
    ) -> Outcome:
        """Take a step in both worlds; what it gives is held from now on."""
        self.agrees = False
        self.seconds += 1
        given: list[Any] = []
        results = []
        for world in (self.sql, self.memory):
            results.append(world.outcome(lambda world: given.append(step(world)) or given[-1]))
            if world is self.sql and creates and kind is not None:
                self._follow(kind, given[0] if given else [])
        ours, theirs = results[1], results[0]
        assert ours == theirs, f"memory: {ours}\nsql: {theirs}"
        if kind is not None and theirs.error is None:
            self._hold(kind, given)
        self._compare_held()
        self.agrees = True
        self._mend(theirs)
        return theirs

    def _mend(self, outcome: Outcome) -> None:
        """Do not let one mistake stop everything that follows."""
        error = None if outcome.error is None else outcome.error[0]
        self.refused = self.refused + 1 if error in ("ValidationError", "UnitOfWorkError") else 0
        if self.refused < 2 or self.has_failed:
            return
        for at, name, before in reversed(self.changes):
            if not is_emptied(self.sql.held[at]):
                self.set(at, name, before)
        self.ended()

    def set(self, at: int, name: str, value: Any) -> None:
        """Change what both worlds have in hands."""
        for world in (self.sql, self.memory):
            setattr(world.held[at], name, value)

    def _follow(self, kind: str, created: Any) -> None:
        """Let memory give the ids that the database gave."""
        rows = created if isinstance(created, list) else [created]
        ids = [row.id for row in rows if isinstance(row, Person | Team)]
        unused = MISSING * (1 + self.seconds)  # where the database gave none
        self.store._ids[MODELS[kind].__table__] = min(ids, default=unused) - 1

    def _hold(self, kind: str, given: list[Any]) -> None:
        sql, memory = (one if isinstance(one, list) else [one] for one in given)
        for theirs, ours in zip(sql, memory, strict=True):
            known = any(one is theirs for one in self.sql.held)
            if isinstance(theirs, Person | Team) and not known and len(self.kinds) < 40:
                self.hold(kind, theirs, ours)

    def hold(self, kind: str, theirs: Any, ours: Any) -> None:
        self.sql.held.append(theirs)
        self.memory.held.append(ours)
        self.kinds.append(kind)

    def _compare_held(self) -> None:
        # How far a failed flush came is known to nobody before the rollback.
        counts = slice(None, -1 if self.has_failed else None)
        for at, (theirs, ours) in enumerate(zip(self.sql.held, self.memory.held, strict=True)):
            if not is_emptied(theirs):
                right, found = values_of(theirs)[counts], values_of(ours)[counts]
                assert found == right, f"{self.kinds[at]} {at}, memory: {found}\nsql: {right}"

    def pick(self, number: int, kind: str | None = None) -> int | None:
        held = enumerate(zip(self.kinds, self.sql.held, strict=True))
        found = [at for at, (k, one) in held if kind in (None, k) and not is_emptied(one)]
        return found[-1 - number % len(found)] if found else None

    def an_id(self, kind: str, number: int | None) -> Any:
        if number is None or number == MISSING:
            return number
        at = self.pick(number, kind)
        id = None if at is None else self.sql.held[at].__dict__.get("id")
        return MISSING if id is None else id

    def ended(self) -> None:
        """Nothing that was changed so far can be wrong any more."""
        self.is_spoiled = False
        self.changes.clear()

    def teardown(self) -> None:
        try:
            if self.agrees:
                self._finish()
        finally:
            for world in (self.sql, self.memory):
                world.close()

    def _finish(self) -> None:
        while self.depth:
            self.undo_savepoint()
        if self.is_open:
            self.leave_by_exception()
        self.compare_stored()

    def compare_stored(self) -> None:
        def everything(world: World) -> Any:
            with world.make(read_only=True) as uow:
                orders = ("id", ("-updated_at", "id"), ("created_at", "-id"))
                found = [
                    kept.get_all(order_by=order)
                    for kept in (uow.teams, uow.people)
                    for order in orders
                ]
                return [[values_of(one) for one in many] for many in found]

        ours, theirs = self.memory.outcome(everything), self.sql.outcome(everything)
        assert ours == theirs, f"memory: {ours}\nsql: {theirs}"

    # -- blocks --------------------------------------------------------------------------------

    def enter(self, *, read_only: bool = False) -> None:
        def step(world: World) -> None:
            world.uow = world.make(read_only=read_only)
            world.uow.__enter__()

        self.both(step)
        self.is_open, self.read_only = True, read_only

    def leave(self) -> None:
        self.both(lambda world: world.uow.__exit__(None, None, None))
        self.is_open = False
        self.ended()
        self.compare_stored()

    def leave_by_exception(self) -> None:
        error = Stop()
        self.both(lambda world: world.uow.__exit__(Stop, error, None))
        self.is_open = False
        self.ended()

    def commit(self) -> None:
        if self.both(lambda world: world.uow.commit()).error is None:
            self.ended()

    def rollback(self) -> None:
        if self.both(lambda world: world.uow.rollback()).error is None:
            self.ended()

    def savepoint(self) -> None:
        def step(world: World) -> None:
            block = world.uow.savepoint()
            block.__enter__()
            world.savepoints.append(block)

        if self.both(step).error is None:
            self.depth += 1

    def release(self) -> None:
        self.both(lambda world: world.savepoints.pop().__exit__(None, None, None))
        self.depth -= 1

    def undo_savepoint(self) -> None:
        def step(world: World) -> None:
            error = Stop()
            left = world.savepoints.pop().__exit__(Stop, error, error.__traceback__)
            assert not left

        self.both(step)
        self.depth -= 1
