"""A failed statement fails the unit, on every database alike; errors before SQL do not."""

import contextvars
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
from sqlalchemy import create_engine, func, insert, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlmodel import Field, Session

from domain import Entity
from domain.errors import (
    ConcurrencyConflict,
    ForeignKeyViolation,
    NotNullViolation,
    UncommittedChangesWarning,
    UniqueViolation,
    UnitOfWorkError,
)
from infrastructure.database import BaseRepository, BaseUnitOfWork, Database, Model, Versioned

pytestmark = pytest.mark.thorough


@dataclass(eq=False, kw_only=True)
class FailJob(Entity):
    """Something whose name is taken only once."""

    name: str
    parent_id: int | None = None
    id: int | None = None


class FailJobModel(FailJob, Versioned, Model, table=True):
    __tablename__: ClassVar[str] = "fail_jobs"
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)
    parent_id: int | None = Field(default=None, foreign_key="fail_jobs.id")


class JobRepository(BaseRepository[FailJob]):
    model = FailJobModel


class Office(BaseUnitOfWork):
    jobs: JobRepository


@pytest.fixture
def tables() -> list[type]:
    return [FailJobModel]


@pytest.fixture
def office(database: Database) -> Database:
    """A database with one job, ``taken``."""
    with Office(database) as uow:
        uow.jobs.create(FailJob(name="taken"))
        uow.commit()
    return database


def stored(database: Database) -> list[str]:
    with Office(database, read_only=True) as uow:
        return [job.name for job in uow.jobs.get_all(order_by="name")]


def a_duplicate(uow: Office) -> None:
    uow.jobs.create(FailJob(name="taken"))


def a_duplicate_among_many(uow: Office) -> None:
    uow.jobs.create_many([FailJob(name="a"), FailJob(name="taken")])


def a_duplicate_by_change(uow: Office) -> None:
    uow.jobs.create(FailJob(name="other")).name = "taken"
    uow.session.flush()


def a_duplicate_by_update_where(uow: Office) -> None:
    uow.jobs.create(FailJob(name="other"))
    uow.jobs.update_where(FailJobModel.name == "other", name="taken")


def a_duplicate_by_sql(uow: Office) -> None:
    uow.session.execute(text("INSERT INTO fail_jobs (name, version) VALUES ('taken', 1)"))


def a_duplicate_by_the_connection(uow: Office) -> None:
    sql = "INSERT INTO fail_jobs (name, version) VALUES ('taken', 1)"
    uow.session.connection().exec_driver_sql(sql)


def a_dangling_reference(uow: Office) -> None:
    uow.jobs.create(FailJob(name="child", parent_id=999))


def a_missing_value(uow: Office) -> None:
    uow.session.execute(insert(FailJobModel).values(name=None))


def a_stale_version(uow: Office) -> None:
    job = uow.jobs.require(1)
    uow.session.execute(text("UPDATE fail_jobs SET version = 9"))
    job.name = "changed"
    uow.session.flush()


def a_stale_version_on_delete(uow: Office) -> None:
    job = uow.jobs.require(1)
    uow.session.execute(text("UPDATE fail_jobs SET version = 9"))
    uow.jobs.delete(job)


def an_unexpected_version(uow: Office) -> None:
    uow.jobs.update(1, version=9, name="changed")


def a_query_without_table(uow: Office) -> None:
    uow.session.execute(text("SELECT * FROM fail_nowhere"))


def a_query_of_the_connection(uow: Office) -> None:
    uow.session.connection().exec_driver_sql("SELECT * FROM fail_nowhere")


def a_criterion_that_cannot_be_read(uow: Office) -> None:
    uow.jobs.get_all(text("fail_nowhere = 1"))


FAILURES: list[tuple[Callable[[Office], None], type[Exception]]] = [
    (a_duplicate, UniqueViolation),
    (a_duplicate_among_many, UniqueViolation),
    (a_duplicate_by_change, UniqueViolation),
    (a_duplicate_by_update_where, UniqueViolation),
    (a_duplicate_by_sql, UniqueViolation),
    (a_duplicate_by_the_connection, UniqueViolation),
    (a_dangling_reference, ForeignKeyViolation),
    (a_missing_value, NotNullViolation),
    (a_stale_version, ConcurrencyConflict),
    (a_stale_version_on_delete, ConcurrencyConflict),
    (an_unexpected_version, ConcurrencyConflict),
    (a_query_without_table, DBAPIError),
    (a_query_of_the_connection, DBAPIError),
    (a_criterion_that_cannot_be_read, DBAPIError),
]

failures = pytest.mark.parametrize(
    ("failure", "kind"), FAILURES, ids=[failure.__name__ for failure, _ in FAILURES]
)


def test_a_bare_session_commits_nothing_without_a_word(postgresql_url: str) -> None:
    """The trap: the server answers COMMIT with ROLLBACK, and nobody looks."""
    engine = create_engine(postgresql_url)
    FailJobModel.metadata.create_all(engine, tables=[FailJobModel.__table__])
    with Session(engine) as session:
        connection = session.connection()
        connection.execute(insert(FailJobModel).values(name="good", version=1))
        with pytest.raises(IntegrityError):
            connection.execute(insert(FailJobModel).values(name="good", version=1))
        session.commit()
        assert session.scalar(select(func.count()).select_from(FailJobModel)) == 0
    engine.dispose()


# -- what fails the unit -------------------------------------------------------------------


@failures
def test_a_swallowed_failure_makes_commit_raise(
    office: Database, failure: Callable[[Office], None], kind: type[Exception]
) -> None:
    with Office(office) as uow:
        uow.jobs.create(FailJob(name="good"))
        with pytest.raises(kind) as first:
            failure(uow)
        with pytest.raises(UnitOfWorkError, match=r"rollback\(\)") as refused:
            uow.commit()
        assert refused.value.__cause__ is first.value
        uow.rollback()

    assert stored(office) == ["taken"]


@failures
def test_rollback_heals(
    office: Database, failure: Callable[[Office], None], kind: type[Exception]
) -> None:
    with Office(office) as uow:
        with pytest.raises(kind):
            failure(uow)
        uow.rollback()
        uow.jobs.create(FailJob(name="later"))
        uow.commit()

    assert stored(office) == ["later", "taken"]


@failures
def test_the_end_of_an_enclosing_savepoint_heals(
    office: Database, failure: Callable[[Office], None], kind: type[Exception]
) -> None:
    with Office(office) as uow:
        uow.jobs.create(FailJob(name="before"))
        with pytest.raises(kind), uow.savepoint():
            failure(uow)
        uow.jobs.create(FailJob(name="later"))
        uow.commit()

    assert stored(office) == ["before", "later", "taken"]


@failures
def test_leaving_by_the_error_lets_it_through(
    office: Database, failure: Callable[[Office], None], kind: type[Exception]
) -> None:
    with pytest.raises(kind), Office(office) as uow:
        uow.jobs.create(FailJob(name="good"))
        failure(uow)

    assert stored(office) == ["taken"]


def test_an_error_at_commit_fails_the_unit_and_stores_nothing(office: Database) -> None:
    with Office(office) as uow:
        uow.jobs.create_deferred(FailJob(name="good"))
        uow.jobs.create_deferred(FailJob(name="taken"))
        with pytest.raises(UniqueViolation) as first:
            uow.commit()
        with pytest.raises(UnitOfWorkError) as refused:
            uow.commit()
        assert refused.value.__cause__ is first.value
        uow.rollback()

    assert stored(office) == ["taken"]


def test_an_error_of_sql_in_a_read_only_unit_fails_it_too(office: Database) -> None:
    with Office(office, read_only=True) as uow:
        with pytest.raises(DBAPIError) as first:
            a_query_without_table(uow)
        with pytest.raises(UnitOfWorkError) as refused:
            uow.jobs.count()
        assert refused.value.__cause__ is first.value
        uow.rollback()
        assert uow.jobs.count() == 1


def test_a_version_that_another_unit_has_raised_fails_the_unit(office: Database) -> None:
    with Office(office) as uow:
        old = uow.jobs.require(1)
    with Office(office) as uow:
        uow.jobs.require(1).name = "newer"
        uow.commit()

    old.name = "older"
    with Office(office) as uow:
        with pytest.raises(ConcurrencyConflict, match="FailJob 1"):
            uow.jobs.update(old)
        with pytest.raises(UnitOfWorkError):
            uow.jobs.count()
        uow.rollback()

    assert stored(office) == ["newer"]


USES: dict[str, Callable[[Office], Any]] = {
    "commit": lambda uow: uow.commit(),
    "savepoint": lambda uow: uow.savepoint().__enter__(),
    "after_commit": lambda uow: uow.after_commit(print),
    "session": lambda uow: uow.session,
    "repository": lambda uow: uow.repository(FailJobModel),
    "get_by_id": lambda uow: uow.jobs.get_by_id(1),
    "get_many": lambda uow: uow.jobs.get_many([]),
    "get_all": lambda uow: uow.jobs.get_all(),
    "count": lambda uow: uow.jobs.count(),
    "create": lambda uow: uow.jobs.create(FailJob(name="x")),
    "create_many": lambda uow: uow.jobs.create_many([]),
    "create_deferred": lambda uow: uow.jobs.create_deferred(FailJob(name="x")),
    "update": lambda uow: uow.jobs.update(1, name="x"),
    "delete": lambda uow: uow.jobs.delete(1),
}


@pytest.mark.parametrize("use", USES)
def test_every_further_use_is_refused_with_the_first_error_as_its_cause(
    office: Database, use: str
) -> None:
    with Office(office) as uow:
        uow.jobs.require(1)
        with pytest.raises(UniqueViolation) as first:
            a_duplicate(uow)
        for _ in range(2):
            with pytest.raises(UnitOfWorkError, match="failed") as refused:
                USES[use](uow)
            assert refused.value.__cause__ is first.value
        uow.rollback()


def test_what_was_taken_from_the_unit_before_is_refused_as_well(office: Database) -> None:
    with Office(office) as uow:
        jobs, session = uow.jobs, uow.session
        with pytest.raises(UniqueViolation):
            a_duplicate(uow)
        for use in (
            jobs.count,
            lambda: session.get(FailJobModel, 1),
            lambda: session.execute(text("SELECT 1")),
            lambda: session.add(FailJobModel(name="x")),
        ):
            with pytest.raises(UnitOfWorkError, match="failed"):
                use()
        uow.rollback()
        assert jobs.count() == 1


def test_leaving_a_failed_unit_is_no_further_use(office: Database) -> None:
    """But what it had written is lost, which the block is told."""
    with pytest.warns(UncommittedChangesWarning), Office(office) as uow:
        uow.jobs.create(FailJob(name="good"))
        with pytest.raises(UniqueViolation):
            a_duplicate(uow)

    assert office.engine.pool.checkedout() == 0
    assert stored(office) == ["taken"]


def test_leaving_after_a_failed_query_loses_nothing_and_says_nothing(office: Database) -> None:
    with Office(office) as uow, pytest.raises(DBAPIError):
        a_query_without_table(uow)

    assert office.engine.pool.checkedout() == 0


def test_a_unit_that_failed_can_be_entered_again(office: Database) -> None:
    unit = Office(office)
    with pytest.raises(UniqueViolation), unit:
        a_duplicate(unit)
    with unit:
        unit.jobs.create(FailJob(name="later"))
        unit.commit()

    assert stored(office) == ["later", "taken"]


def test_hooks_of_a_failed_unit_are_dropped(office: Database) -> None:
    called: list[str] = []
    with Office(office) as uow:
        uow.after_commit(lambda: called.append("x"))
        with pytest.raises(UniqueViolation):
            a_duplicate(uow)
        with pytest.raises(UnitOfWorkError):
            uow.commit()
        uow.rollback()
        uow.commit()

    assert called == []


def test_a_failed_unit_does_not_fail_another_one(shared_database: Database) -> None:
    with Office(shared_database) as uow:
        uow.jobs.create(FailJob(name="taken"))
        uow.commit()
        with pytest.raises(DBAPIError):
            a_query_without_table(uow)
        with Office(shared_database, read_only=True) as reader:
            assert reader.jobs.count() == 1
        uow.rollback()


def test_a_failure_in_another_context_is_that_of_its_unit(shared_database: Database) -> None:
    """The units are told apart by their connections, not by the context."""
    with Office(shared_database, read_only=True) as reader:
        assert reader.jobs.count() == 0

        def fail() -> None:
            with Office(shared_database) as uow:
                a_query_without_table(uow)

        with pytest.raises(DBAPIError):
            contextvars.copy_context().run(fail)
        assert reader.jobs.count() == 0
