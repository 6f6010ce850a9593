"""No error tells a secret: not one of the URL, nor of a column, nor of a parameter."""

from __future__ import annotations

import gc
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Integer, cast, insert, text
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

from domain import where
from domain.errors import (
    AfterCommitError,
    CheckViolation,
    ConcurrencyConflict,
    ConflictError,
    ForeignKeyViolation,
    NotNullViolation,
    ReadOnlyViolation,
    UncommittedChangesWarning,
    UniqueViolation,
    ValidationError,
)
from infrastructure.database import Database
from infrastructure.database.alembic import upgrade
from tests.conftest import MakeDatabase
from tests.migrations.conftest import MODELS
from tests.migrations.projects import Project
from tests.transactions.secrets_everywhere import (
    CANARY,
    Cases,
    error_of,
    kept_silent,
    leaks_in,
    leaks_in_all,
    leaks_of,
    lines_of,
    raised_in,
)
from tests.transactions.vault_cases import (
    CHANGES,
    CONFLICTS,
    CRITERIA,
    DANGLING,
    NEGATIVE,
    QUERIES,
    SQL_NULL,
    TABLE,
    WRITES,
    WRONG,
    WRONG_ITEMS,
    Entry,
    in_core,
)
from tests.transactions.vault_misuses import BUGS, MISUSES, WRITES_WHEN_READING, sql
from tests.transactions.vaults import (
    NEW,
    OTHER,
    TABLES,
    Bank,
    VaultModel,
    bare,
    beside,
    planted,
    stored,
)


@pytest.fixture
def tables() -> list[Any]:
    return TABLES


@pytest.fixture(autouse=True)
def silence(caplog: Any, capfd: Any) -> Iterator[None]:
    yield from kept_silent(caplog, capfd)


@pytest.fixture
def vaults(shared_database: Database) -> Database:
    """Vaults full of secrets."""
    return stored(shared_database)


@pytest.fixture
def postgresql(postgresql_url: str, make_database: MakeDatabase) -> Database:
    """The same, on PostgreSQL."""
    return stored(make_database(postgresql_url))


# -- what is refused before SQL -------------------------------------------------------------------


def refused(database: Database, entry: Entry, **more: Any) -> Iterator[tuple[str, Exception]]:
    """What is raised for each wrong value of each field."""
    unit = Bank(database)
    for field, values in (WRONG | more).items():
        for value in values:
            with unit as uow:
                error = error_of(lambda: entry(uow, field, value))  # noqa: B023 -- called at once
                uow.rollback()
            if error is not None:
                yield field, error


def test_no_error_about_an_entity_tells_its_values(vaults: Database) -> None:
    for entry in WRITES.values():
        errors = list(refused(vaults, entry, items=WRONG_ITEMS))
        assert {type(error) for _, error in errors} == {ValidationError}
        assert len(errors) == sum(map(len, WRONG.values())) + len(WRONG_ITEMS)
        assert [leak for _, error in errors for leak in leaks_of(error)] == []


def test_no_error_about_a_change_tells_its_values(vaults: Database) -> None:
    for entry in CHANGES.values():
        errors = list(refused(vaults, entry))
        assert {type(error) for _, error in errors} == {ValidationError}
        assert len(errors) == sum(map(len, WRONG.values()))
        assert [leak for _, error in errors for leak in leaks_of(error)] == []


def test_no_error_about_a_specification_tells_what_was_compared(vaults: Database) -> None:
    for name, entry in CRITERIA.items():
        errors = list(refused(vaults, entry))
        assert {ValidationError} <= {type(error) for _, error in errors}, name
        assert [leak for _, error in errors for leak in leaks_of(error)] == []


def test_no_error_about_a_query_tells_what_was_asked(vaults: Database) -> None:
    assert leaks_in_all(Bank(vaults), QUERIES) == {}


# -- what the database refuses --------------------------------------------------------------------


def test_no_conflict_tells_the_row(vaults: Database) -> None:
    assert leaks_in_all(Bank(vaults), CONFLICTS) == {}


KINDS: dict[type[ConflictError], tuple[Any, dict[str, Any]]] = {
    UniqueViolation: (insert(TABLE), planted(version=1)),
    ForeignKeyViolation: (insert(TABLE), DANGLING | {"version": 1}),
    CheckViolation: (insert(TABLE), NEGATIVE | {"version": 1}),
    NotNullViolation: (SQL_NULL, {"email": CANARY.text}),
}


def test_a_bare_session_tells_it(vaults: Database, caplog: Any) -> None:
    """The control: what is looked for would be found, in the error and in the log."""
    for kind, (statement, parameters) in KINDS.items():
        caplog.clear()
        with bare(vaults, hide_parameters=False) as connection, Session(connection) as session:
            error = error_of(lambda: session.execute(statement, parameters))  # noqa: B023

        wanted = {"text", "end of text"}
        if kind is not NotNullViolation:
            wanted |= {"whole", "big", "amount", "ratio"}
        assert CANARY.found_in(str(error)) >= wanted
        assert CANARY.found_in("".join(lines_of(caplog.get_records("call")))) >= wanted
    caplog.clear()


@pytest.mark.postgresql
def test_the_detail_of_postgresql_is_kept_for_those_who_ask(postgresql: Database) -> None:
    """The control: ``driver_error`` has the whole row, and is not where anybody would meet it."""
    for kind, (statement, parameters) in KINDS.items():
        error = raised_in(
            Bank(postgresql),
            lambda uow: uow.session.execute(statement, parameters),  # noqa: B023
        )
        assert isinstance(error, kind)
        assert "text" in CANARY.found_in(error.driver_error.diag.message_detail)


@pytest.mark.postgresql
def test_no_exclusion_constraint_tells_the_row(postgresql: Database) -> None:
    with postgresql.engine.begin() as connection:
        connection.execute(text("DELETE FROM vaults WHERE id = 2"))
        connection.execute(text("ALTER TABLE vaults ADD EXCLUDE (facts WITH =)"))

    create = lambda uow: uow.vaults.create(planted(email=NEW))  # noqa: E731
    assert leaks_in(Bank(postgresql), ConflictError, create) == []


# -- misuse, and bugs -----------------------------------------------------------------------------


def test_no_misuse_of_a_unit_tells_what_it_holds(vaults: Database) -> None:
    assert leaks_in_all(Bank(vaults), MISUSES) == {}


def test_no_write_where_only_reading_is_allowed_tells_what_it_was(vaults: Database) -> None:
    unit = Bank(vaults, read_only=True)
    assert leaks_in_all(unit, WRITES_WHEN_READING) == {}
    left = raised_in(unit, lambda uow: setattr(uow.session.get(VaultModel, 1), "name", NEW))
    assert isinstance(left, ReadOnlyViolation)
    assert leaks_of(left) == []


def test_no_bug_in_sql_tells_its_parameters(vaults: Database) -> None:
    assert leaks_in_all(Bank(vaults), BUGS) == {}


def test_no_unit_that_gives_up_tells_what_it_tried(vaults: Database) -> None:
    def stale(uow: Bank) -> None:
        uow.vaults.update(1, version=CANARY.whole, name=OTHER)

    error = error_of(lambda: Bank(vaults).run(stale, attempts=2))

    assert isinstance(error, ConcurrencyConflict)
    assert "gave up" in str(error.__notes__)
    assert leaks_of(error) == []


def test_no_count_of_failed_hooks_tells_why_they_failed(vaults: Database) -> None:
    """The errors of the hooks are the application's own, and stand beside it."""

    def fail(uow: Bank) -> None:
        uow.after_commit(lambda: int(CANARY.text))
        uow.commit()

    error = raised_in(Bank(vaults), fail)
    assert isinstance(error, AfterCommitError)
    assert CANARY.found_in(str(error) + repr(error)) == set()


def test_no_warning_tells_what_is_lost(vaults: Database) -> None:
    def forgotten() -> None:
        with Bank(vaults) as uow:
            uow.vaults.create(planted(email=NEW))

    def thrown_away() -> None:
        uow = Bank(vaults)
        uow.__enter__()
        uow.vaults.update(1, name=OTHER)

    with pytest.warns() as warned:
        forgotten()
        thrown_away()
        gc.collect()

    assert {one.category for one in warned} == {ResourceWarning, UncommittedChangesWarning}
    assert [one for one in warned if CANARY.found_in(str(one.message))] == []


def test_no_echo_tells_what_is_written_and_read(
    vaults: Database, make_database: MakeDatabase, caplog: Any
) -> None:
    """Where rows are to be seen, too, somebody has set SQLAlchemy's own logger to DEBUG."""
    for logger in ("sqlalchemy", "sqlalchemy.engine"):
        caplog.set_level(logging.NOTSET, logger=logger)
    loud = make_database(vaults.settings.url, echo=True)
    caplog.clear()
    with Bank(loud) as uow:
        assert len(uow.vaults.get_all(where("email") != NEW)) == 2
        assert leaks_of(error_of(lambda: uow.vaults.create(planted()))) == []

    said = [record.getMessage() for record in caplog.get_records("call")]
    assert [line for line in said if line.startswith("INSERT INTO vaults")] != []
    assert [line for line in said if CANARY.found_in(line)] == []


# -- where values come into the words of others ---------------------------------------------------

KEYS: list[tuple[str, Any]] = [
    ("limits", {CANARY.head: CANARY.tail}),
    ("limits", {CANARY.whole: 1}),
    ("facts", {CANARY.uuid: 1}),
]


def test_no_key_of_a_dict_is_told(vaults: Database) -> None:
    """It is as much a value of the field as what stands behind it."""
    for entry in (WRITES | CHANGES).values():
        for field, value in KEYS:
            with Bank(vaults) as uow:
                error = error_of(lambda: entry(uow, field, value))  # noqa: B023 -- called at once
                uow.rollback()
            assert isinstance(error, ValidationError)
            assert leaks_of(error) == []


AROUND_THE_SESSION: Cases = {
    "its connection": (
        UniqueViolation,
        lambda uow: uow.session.connection().execute(insert(TABLE), planted(version=1)),
    ),
    "mappings": (
        UniqueViolation,
        lambda uow: uow.session.bulk_insert_mappings(VaultModel, [planted(version=1)]),
    ),
    "objects": (
        CheckViolation,
        lambda uow: uow.session.bulk_save_objects([VaultModel(**NEGATIVE)]),
    ),
}


def test_no_connection_of_a_unit_tells_the_row_that_was_refused(vaults: Database) -> None:
    """PostgreSQL's DETAIL prints it, and SQLAlchemy chains the driver's error."""
    assert leaks_in_all(Bank(vaults), AROUND_THE_SESSION) == {}


def test_no_connection_of_the_engine_tells_the_row_that_was_refused(vaults: Database) -> None:
    with vaults.engine.connect() as connection:
        error = error_of(lambda: connection.execute(insert(TABLE), planted(version=1)))

    assert isinstance(error, UniqueViolation)
    assert leaks_of(error) == []


def test_no_migration_tells_the_rows_that_are_in_its_way(vaults: Database, tmp_path: Path) -> None:
    unique = uuid4().hex[:8]
    project = Project(tmp_path / "project", f"bank_{unique}", MODELS.format(unique=unique))
    project.revision("op.create_table('notes', sa.Column('email', sa.String))")
    upgrade(vaults, project=project.root)
    beside(vaults, text("INSERT INTO notes VALUES (:email), (:email)"), {"email": CANARY.text})
    project.revision("op.create_index('ux_notes', 'notes', ['email'], unique=True)")
    error = error_of(lambda: upgrade(vaults, project=project.root))

    assert isinstance(error, UniqueViolation)
    assert leaks_of(error) == []


def streamed(uow: Bank) -> None:
    """The value is converted when its row is fetched."""
    list(uow.vaults.stream(cast(VaultModel.email, Integer) > 0))


UNFIT: Cases = {
    "SQL": (DBAPIError, sql("SELECT CAST(:text AS integer)")),
    "Core": (DBAPIError, in_core(planted(email=NEW, day=CANARY.text))),
    "criterion": (DBAPIError, lambda uow: uow.vaults.count(VaultModel.badge == CANARY.text)),
    "stored": (DBAPIError, lambda uow: uow.vaults.count(cast(VaultModel.email, Integer) > 0)),
    "streamed": (DBAPIError, streamed),
}


@pytest.mark.postgresql
def test_no_value_that_postgresql_cannot_convert_is_told(postgresql: Database) -> None:
    """SQLAlchemy hides parameters, and prints the words of the server, which have them."""
    assert leaks_in_all(Bank(postgresql), UNFIT) == {}


SURROGATE = f"{CANARY.text}\ud800"

UNSPEAKABLE: Cases = {
    "enum": (Exception, lambda uow: uow.vaults.count(VaultModel.colour == CANARY.text)),
    "enum in Core": (Exception, in_core(planted(email=NEW, colour=CANARY.text))),
    "surrogate": (Exception, lambda uow: uow.vaults.count(VaultModel.name == SURROGATE)),
    "surrogate in SQL": (Exception, sql("SELECT :surrogate", surrogate=SURROGATE)),
}


def test_no_value_that_is_none_of_its_type_is_told(vaults: Database) -> None:
    """Column expressions are not validated: what Python says of them has the value."""
    assert leaks_in_all(Bank(vaults), UNSPEAKABLE) == {}


STORED_BY_OTHERS = {
    "moment": CANARY.head,
    "day": CANARY.head,
    "amount": CANARY.head,
    "badge": CANARY.head,
    "facts": CANARY.head,
    "colour": CANARY.tail,
    "price": json.dumps({"amount": CANARY.text}),
}


@pytest.mark.parametrize("read_only", [False, True])
def test_no_stored_value_that_cannot_be_read_is_told(vaults: Database, read_only: bool) -> None:
    """Another program wrote it, or an older version of this one."""
    lax = vaults.engine.dialect.name == "sqlite"
    unit, leaks = Bank(vaults, read_only=read_only), {}
    for field in STORED_BY_OTHERS if lax else ("colour", "price"):
        damage = text(f"UPDATE vaults SET {field} = :value WHERE id = 2")
        mend = text(f"UPDATE vaults SET {field} = (SELECT {field} FROM vaults WHERE id = 1)")
        beside(vaults, damage, {"value": STORED_BY_OTHERS[field]})
        leaks[field] = leaks_in(unit, Exception, lambda uow: uow.vaults.require(2))
        beside(vaults, mend, {})

    assert {field: found for field, found in leaks.items() if found} == {}
