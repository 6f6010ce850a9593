"""The guards of the kit, how to turn each one off, and which test notices it.

``test_guards.py`` turns them off, one at a time. Whoever adds a guard adds a line here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

from infrastructure.database import database, forks, open_units, retrying
from infrastructure.database.base_unit_of_work import BaseUnitOfWork
from infrastructure.database.blocks import Block
from infrastructure.database.database import Database
from infrastructure.database.dialects import postgresql, postgresql_outcome, sqlite, sqlite_connect
from infrastructure.database.flushing import Tracker
from infrastructure.database.session import UnitSession
from infrastructure.database.versions import Bases


class Guard(NamedTuple):
    """One guard; ``red`` is a test that fails without it, or a file that has such a test."""

    turn_off: Callable[[], None]
    red: str
    server: bool = False


def replaced(owner: Any, name: str, substitute: Any) -> Callable[[], None]:
    """Put something else in its place."""
    return lambda: setattr(owner, name, substitute)


def nothing(*_: Any, **__: Any) -> Any:
    """What is left of a guard that is turned off."""


def always(value: Any) -> Callable[..., Any]:
    return lambda *_, **__: value


def spoken_otherwise(owner: Any, name: str, *changes: tuple[str, str]) -> Callable[[], None]:
    """A listener whose SQL is another one; it is called with something that executes SQL."""
    original = getattr(owner, name)

    class Changed:
        def __init__(self, inner: Any) -> None:
            self.inner = inner

        def __getattr__(self, attribute: str) -> Any:
            found = getattr(self.inner, attribute)
            if attribute not in ("exec_driver_sql", "execute"):
                return found

            def say(statement: str, *rest: Any) -> Any:
                for old, new in changes:
                    statement = statement.replace(old, new)
                return found(statement, *rest)

            return say

    @functools.wraps(original)
    def listener(*args: Any, **options: Any) -> Any:
        return original(Changed(args[0]), *args[1:], **options)

    return lambda: setattr(owner, name, listener)


def without_argument(name: str) -> Callable[[], None]:
    """Engines of PostgreSQL that are made without one of their settings."""
    make = postgresql.create_engine

    def made(*args: Any, **options: Any) -> Any:
        options.pop(name, None)
        options["connect_args"].pop(name, None)
        return make(*args, **options)

    return replaced(postgresql, "create_engine", made)


def connecting_without(pragma: str) -> Callable[[], None]:
    """Connections of SQLite after whose making a pragma is taken back."""
    connect = sqlite_connect.Connect.__call__

    def undone(self: Any, connection: Any, record: Any) -> None:
        connect(self, connection, record)
        connection.execute(pragma)

    return replaced(sqlite_connect.Connect, "__call__", undone)


def forgetting_bounds(name: str, value: Any) -> Callable[[], None]:
    begin = retrying.Attempts.__init__

    def unbound(self: Any, attempts: Any, timeout: Any) -> None:
        begin(self, attempts, timeout)
        setattr(self, name, value)

    return replaced(retrying.Attempts, "__init__", unbound)


def _set_not_local() -> None:
    call = postgresql._Begin.__call__

    def leaking(self: Any, connection: Any) -> None:
        self.commands = self.commands.replace("SET LOCAL", "SET SESSION")
        call(self, connection)

    postgresql._Begin.__call__ = leaking  # type: ignore[method-assign]


def _no_incarnations() -> None:
    postgresql_outcome._ASK_INCARNATION = "SELECT NULL"
    postgresql_outcome._ASK_STATUS = "SELECT pg_xact_status(%s::text::xid8), NULL"


def _rollback_that_raises(self: Any) -> None:
    super(UnitSession, self).rollback()


def _identity_map_that_outlives_commit() -> None:
    UnitSession.settle = nothing  # type: ignore[method-assign]
    Tracker.settle = nothing  # type: ignore[method-assign]


def _hooks_at_once(self: Any, hook: Callable[[], object]) -> None:
    hook()


_T = "tests/transactions/"
_D = "tests/database/"

GUARDS: dict[str, Guard] = {
    "BEGIN IMMEDIATE": Guard(
        spoken_otherwise(sqlite, "begin", ("IMMEDIATE", "DEFERRED")),
        f"{_D}test_races.py::test_units_of_many_threads_on_one_database_lose_nothing[sqlite-file]",
    ),
    "our own BEGIN": Guard(
        spoken_otherwise(sqlite, "begin", ("BEGIN IMMEDIATE", "SELECT 1")),
        f"{_D}test_unit_of_work.py",
    ),
    "foreign keys": Guard(connecting_without("PRAGMA foreign_keys=OFF"), f"{_D}test_conflicts.py"),
    "WAL": Guard(
        replaced(sqlite_connect.Connect, "_use_wal", nothing),
        f"{_D}test_sqlite_connections.py",
    ),
    "query_only": Guard(
        connecting_without("PRAGMA query_only=OFF"),
        f"{_D}test_read_only_units.py",
    ),
    "query_only is taken back": Guard(
        replaced(sqlite, "reset", nothing), f"{_D}test_sqlite_connections.py"
    ),
    "read-only sessions of PostgreSQL": Guard(
        replaced(postgresql, "_READ_ONLY", ""), f"{_D}test_read_only_units.py", server=True
    ),
    "pool_pre_ping": Guard(
        without_argument("pool_pre_ping"),
        f"{_T}test_restarts.py::test_no_unit_fails_after_a_restart[fast]",
        server=True,
    ),
    "no prepared statements behind PgBouncer": Guard(
        without_argument("prepare_threshold"),
        f"{_T}test_bouncer.py::test_480_of_480_units_succeed",
        server=True,
    ),
    "SET LOCAL": Guard(
        _set_not_local,
        f"{_T}test_bouncer.py::test_timeouts_hold_and_do_not_reach_others",
        server=True,
    ),
    "rollback-only": Guard(replaced(UnitSession, "fail", nothing), f"{_D}test_failed_units.py"),
    "what SQLite has ended is not healed": Guard(
        replaced(sqlite.SQLite, "has_ended", always(False)),
        f"{_T}test_faults_at_every_statement.py::"
        "test_a_savepoint_does_not_heal_a_transaction_that_sqlite_has_ended",
    ),
    "versions are taken back": Guard(
        replaced(Bases, "restore", nothing),
        f"{_T}test_state_machine.py::test_a_version_that_was_rolled_back_hides_no_change_of_others",
    ),
    "no values in the words of others": Guard(
        replaced(database, "hide_values", nothing), f"{_T}test_secrets.py", server=True
    ),
    "the error of the block": Guard(
        replaced(UnitSession, "_send_rollback", _rollback_that_raises),
        f"{_D}test_lost_connections.py",
        server=True,
    ),
    "nothing is loaded after COMMIT": Guard(
        _identity_map_that_outlives_commit, f"{_D}test_settled_entities.py"
    ),
    "one thread at a time": Guard(
        replaced(UnitSession, "check", nothing), f"{_D}test_units_and_threads.py"
    ),
    "no second writing unit": Guard(
        replaced(open_units, "refuse_beside_others", nothing),
        f"{_D}test_units_in_one_context.py::"
        "test_a_second_writing_unit_is_refused_at_its_first_statement[postgresql-read]",
        server=True,
    ),
    "run() not inside a unit": Guard(
        replaced(open_units, "refuse_inside_another", nothing), f"{_T}test_run_refused.py"
    ),
    "no lazy work": Guard(
        replaced(retrying, "refuse_lazy_result", nothing),
        f"{_T}test_run_refused.py::test_work_that_would_run_later_is_refused",
    ),
    "what is run again": Guard(
        replaced(retrying, "RUN_AGAIN", (Exception,)),
        f"{_T}test_run.py::test_nothing_else_is_run_again",
    ),
    "bound of attempts": Guard(
        forgetting_bounds("_most", None), f"{_T}test_run.py::test_attempts_bound_it"
    ),
    "bound of time": Guard(
        forgetting_bounds("_timeout", 10**9), f"{_T}test_run.py::test_time_bounds_it"
    ),
    "jitter": Guard(
        replaced(retrying.Attempts, "_pause", always(0.01)),
        f"{_T}test_run.py::test_attempts_keep_a_distance_that_grows_and_varies",
    ),
    "what is committed is not run again": Guard(
        replaced(BaseUnitOfWork, "_stored", property(always(False), nothing)),
        f"{_T}test_run.py::test_what_the_work_committed_itself_is_never_run_again",
    ),
    "hooks after COMMIT": Guard(
        replaced(BaseUnitOfWork, "after_commit", _hooks_at_once), f"{_D}test_after_commit.py"
    ),
    "the outcome of COMMIT is looked up": Guard(
        replaced(Database, "was_committed", always(False)),
        f"{_T}test_commit_outcomes.py::test_nothing_is_stored_twice_and_nothing_is_told_wrongly[after]",
        server=True,
    ),
    "a crash gives numbers again": Guard(
        _no_incarnations,
        f"{_T}test_commit_outcomes.py::test_a_server_that_crashed_says_yes_only_if_it_must_be_so",
        server=True,
    ),
    "who is not heard of any more is ended": Guard(
        replaced(postgresql_outcome, "_END", "SELECT %s"),
        f"{_T}test_commit_outcomes.py::test_whoever_is_not_heard_of_any_more_is_ended",
        server=True,
    ),
    "readers at SERIALIZABLE end with COMMIT": Guard(
        replaced(UnitSession, "judged", property(always(False), nothing)),
        f"{_T}test_anomalies.py::"
        "test_what_happens_is_what_the_table_says[postgresql-G2, reader-SERIALIZABLE]",
        server=True,
    ),
    "fork hook": Guard(
        replaced(forks, "_tell_all", nothing),
        f"{_D}test_fork.py::test_children_and_their_parent_work_at_the_same_time[postgresql]",
        server=True,
    ),
    "units stay with the parent": Guard(
        replaced(UnitSession, "inherited", property(always(False))),
        f"{_D}test_fork.py::test_a_child_cannot_harm_the_open_units_of_its_parent[sqlite]",
    ),
    "units thrown away": Guard(lambda: delattr(Block, "__del__"), f"{_T}test_abandoned_units.py"),
    "a failed unit is left whole": Guard(
        replaced(UnitSession, "undo", nothing), f"{_D}test_unit_of_work.py"
    ),
}
