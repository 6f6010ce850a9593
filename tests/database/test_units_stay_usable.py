"""Errors that are raised before SQL leave the unit of work usable."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import pytest
from sqlmodel import Field

from domain import Entity
from domain.errors import (
    EntityNotFound,
    MultipleEntitiesFound,
    UnitOfWorkError,
    ValidationError,
)
from infrastructure.database import BaseRepository, BaseUnitOfWork, Database, Model, Versioned


@dataclass(eq=False, kw_only=True)
class StayJob(Entity):
    """Something whose name is taken only once."""

    name: str
    parent_id: int | None = None
    id: int | None = None


class StayJobModel(StayJob, Versioned, Model, table=True):
    __tablename__: ClassVar[str] = "stay_jobs"
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)
    parent_id: int | None = Field(default=None, foreign_key="stay_jobs.id")


class JobRepository(BaseRepository[StayJob]):
    model = StayJobModel


class Office(BaseUnitOfWork):
    jobs: JobRepository


@pytest.fixture
def tables() -> list[type]:
    return [StayJobModel]


@pytest.fixture
def office(database: Database) -> Database:
    """A database with one job, ``taken``."""
    with Office(database) as uow:
        uow.jobs.create(StayJob(name="taken"))
        uow.commit()
    return database


def stored(database: Database) -> list[str]:
    with Office(database, read_only=True) as uow:
        return [job.name for job in uow.jobs.get_all(order_by="name")]


def invalid(uow: Office) -> None:
    uow.jobs.create({"name": None})


def unknown_field(uow: Office) -> None:
    uow.jobs.get_all(order_by="nowhere")


def invalid_change(uow: Office) -> None:
    job = uow.jobs.require(1)
    job.name = None  # type: ignore[assignment]
    try:
        uow.session.flush()
    finally:
        job.name = "taken"


def not_found(uow: Office) -> None:
    uow.jobs.require(999)


def nothing_to_delete(uow: Office) -> None:
    uow.jobs.delete(999)


def none_of_them(uow: Office) -> None:
    uow.jobs.one(StayJobModel.name == "nowhere")


def more_than_one(uow: Office) -> None:
    uow.jobs.create(StayJob(name="second"))
    uow.jobs.one()


HARMLESS: list[tuple[Callable[[Office], None], type[Exception]]] = [
    (invalid, ValidationError),
    (unknown_field, ValidationError),
    (invalid_change, ValidationError),
    (not_found, EntityNotFound),
    (nothing_to_delete, EntityNotFound),
    (none_of_them, EntityNotFound),
    (more_than_one, MultipleEntitiesFound),
]


@pytest.mark.parametrize(("error", "kind"), HARMLESS, ids=[error.__name__ for error, _ in HARMLESS])
def test_errors_raised_before_sql_leave_the_unit_usable(
    office: Database, error: Callable[[Office], None], kind: type[Exception]
) -> None:
    with Office(office) as uow:
        uow.jobs.create(StayJob(name="before"))
        with pytest.raises(kind):
            error(uow)
        uow.jobs.create(StayJob(name="later"))
        uow.commit()

    assert {"before", "later", "taken"} <= set(stored(office))


def test_misuse_leaves_the_unit_usable(office: Database) -> None:
    with Office(office) as uow:
        uow.jobs.create(StayJob(name="before"))
        with pytest.raises(UnitOfWorkError):
            uow.session.commit()
        with pytest.raises(UnitOfWorkError), Office(office) as second:
            second.jobs.count()
        uow.commit()

    assert stored(office) == ["before", "taken"]
