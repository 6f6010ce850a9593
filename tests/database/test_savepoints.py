"""Savepoints: they undo their own part on an exception, and the rest goes on."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest
from sqlalchemy import create_engine, func, select, text
from sqlmodel import Field, Session

from domain import Entity
from domain.entity import new_id
from domain.errors import UniqueViolation, UnitOfWorkError, ValidationError
from infrastructure.database import (
    BaseRepository,
    BaseUnitOfWork,
    Database,
    Model,
    Timestamped,
    Versioned,
)


@dataclass(eq=False, kw_only=True)
class SavTask(Entity):
    """What has to be done."""

    name: str
    labels: list[str] = field(default_factory=list)
    id: int | None = None


class SavTaskModel(SavTask, Timestamped, Versioned, Model, table=True):
    __tablename__: ClassVar[str] = "sav_tasks"
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True, max_length=20)


@dataclass(eq=False, kw_only=True)
class SavNote(Entity):
    """Its id is born in the domain."""

    name: str
    id: uuid.UUID = field(default_factory=new_id)


class SavNoteModel(SavNote, Model, table=True):
    __tablename__: ClassVar[str] = "sav_notes"
    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)


class TaskRepository(BaseRepository[SavTask]):
    model = SavTaskModel


class NoteRepository(BaseRepository[SavNote]):
    model = SavNoteModel


class Work(BaseUnitOfWork):
    tasks: TaskRepository
    notes: NoteRepository


class Undo(Exception):
    """What leaves a savepoint in these tests."""


@pytest.fixture
def tables() -> list[type]:
    return [SavTaskModel, SavNoteModel]


@pytest.fixture
def uow(database: Database) -> Iterator[Work]:
    """An open unit with one task, stored before."""
    with Work(database) as unit:
        unit.tasks.create(SavTask(name="first", labels=["x"]))
        unit.commit()
    with Work(database) as unit:
        yield unit
        unit.rollback()


def names(uow: Work) -> list[str]:
    return [task.name for task in uow.tasks.get_all(order_by="name")]


def stored(database: Database) -> list[str]:
    with Work(database, read_only=True) as uow:
        return names(uow)


# -- what is undone and what stays ---------------------------------------------------------


def test_a_bare_engine_keeps_a_released_savepoint_after_an_outer_rollback(tmp_path: Path) -> None:
    """The trap, on SQLite; without it the next tests could not fail."""
    engine = create_engine(f"sqlite:///{tmp_path / 'bare.db'}")
    Model.metadata.create_all(engine, tables=[SavNoteModel.__table__])
    with Session(engine) as session:
        with session.begin_nested():
            session.add(SavNoteModel(name="released"))
        session.rollback()
        assert session.scalar(select(func.count()).select_from(SavNoteModel)) == 1
    engine.dispose()


def test_a_released_savepoint_followed_by_rollback_leaves_nothing(database: Database) -> None:
    with Work(database) as uow:
        with uow.savepoint():
            uow.tasks.create(SavTask(name="released"))
        uow.rollback()
        assert names(uow) == []

    assert stored(database) == []


def test_a_released_savepoint_followed_by_an_exception_leaves_nothing(database: Database) -> None:
    with pytest.raises(Undo), Work(database) as uow:
        with uow.savepoint():
            uow.tasks.create(SavTask(name="released"))
        raise Undo

    assert stored(database) == []


def test_a_released_savepoint_is_stored_by_commit(database: Database) -> None:
    with Work(database) as uow:
        with uow.savepoint():
            uow.tasks.create(SavTask(name="inside"))
        uow.commit()

    assert stored(database) == ["inside"]


def test_an_exception_undoes_the_part_and_the_rest_goes_on(database: Database) -> None:
    error = Undo()
    with Work(database) as uow:
        uow.tasks.create(SavTask(name="before"))
        with pytest.raises(Undo) as caught, uow.savepoint():
            uow.tasks.create(SavTask(name="inside"))
            raise error
        uow.tasks.create(SavTask(name="later"))
        uow.commit()

    assert caught.value is error
    assert stored(database) == ["before", "later"]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_every_exception_undoes_the_part(uow: Work, kind: type[BaseException]) -> None:
    with pytest.raises(kind), uow.savepoint():
        uow.tasks.create(SavTask(name="inside"))
        raise kind

    assert names(uow) == ["first"]


def test_savepoints_may_be_nested(database: Database) -> None:
    with Work(database) as uow:
        with uow.savepoint():
            uow.tasks.create(SavTask(name="outer"))
            with pytest.raises(Undo), uow.savepoint():
                uow.tasks.create(SavTask(name="inner"))
                raise Undo
            uow.tasks.create(SavTask(name="outer again"))
        uow.commit()

    assert stored(database) == ["outer", "outer again"]


def test_an_outer_savepoint_takes_a_released_inner_one_with_it(database: Database) -> None:
    with Work(database) as uow:
        uow.tasks.create(SavTask(name="before"))
        with pytest.raises(Undo), uow.savepoint():
            with uow.savepoint():
                uow.tasks.create(SavTask(name="inner"))
            raise Undo
        uow.commit()

    assert stored(database) == ["before"]


def test_what_is_queued_belongs_to_the_part_in_which_it_was_queued(database: Database) -> None:
    with Work(database) as uow:
        uow.tasks.create_deferred(SavTask(name="before"))
        with pytest.raises(Undo), uow.savepoint():
            uow.tasks.create_deferred(SavTask(name="inside"))
            raise Undo
        uow.commit()

    assert stored(database) == ["before"]


def test_a_part_that_does_nothing_changes_nothing(database: Database) -> None:
    with Work(database) as uow:
        with uow.savepoint():
            pass
        with pytest.raises(Undo), uow.savepoint():
            raise Undo
        uow.tasks.create(SavTask(name="a"))
        uow.commit()

    assert stored(database) == ["a"]


def test_sql_of_the_session_is_undone_too(uow: Work) -> None:
    with pytest.raises(Undo), uow.savepoint():
        uow.session.execute(text("DELETE FROM sav_tasks"))
        raise Undo

    assert names(uow) == ["first"]


def test_sql_of_the_driver_is_undone_too(uow: Work) -> None:
    """SAVEPOINT is sent when the block begins, not with its first statement."""
    raw: Any = uow.session.connection().connection.driver_connection

    with pytest.raises(Undo), uow.savepoint():
        raw.execute("DELETE FROM sav_tasks")
        raise Undo

    assert names(uow) == ["first"]


# -- failures inside -----------------------------------------------------------------------


def test_a_failed_statement_inside_leaves_the_rest_usable(database: Database) -> None:
    with Work(database) as uow:
        uow.tasks.create(SavTask(name="a"))
        with pytest.raises(UniqueViolation), uow.savepoint():
            uow.tasks.create(SavTask(name="b"))
            uow.tasks.create(SavTask(name="a"))
        uow.tasks.create(SavTask(name="c"))
        uow.commit()

    assert stored(database) == ["a", "c"]


def test_a_failure_swallowed_inside_a_savepoint_is_no_success(database: Database) -> None:
    """What the block did is gone, so it cannot end as if it were there."""
    with Work(database) as uow:
        uow.tasks.create(SavTask(name="a"))
        with pytest.raises(UnitOfWorkError) as caught, uow.savepoint():
            uow.tasks.create(SavTask(name="b"))
            with pytest.raises(UniqueViolation):
                uow.tasks.create(SavTask(name="a"))
        assert isinstance(caught.value.__cause__, UniqueViolation)

        uow.tasks.create(SavTask(name="c"))
        uow.commit()

    assert stored(database) == ["a", "c"]


def test_a_savepoint_that_failed_refuses_every_further_use_until_its_end(uow: Work) -> None:
    with pytest.raises(UniqueViolation) as first, uow.savepoint():
        try:
            uow.tasks.create(SavTask(name="first"))
        except UniqueViolation:
            for use in (
                uow.tasks.count,
                lambda: uow.savepoint().__enter__(),
            ):
                with pytest.raises(UnitOfWorkError) as refused:
                    use()
            raise
    assert refused.value.__cause__ is first.value
    assert uow.tasks.count() == 1


def test_a_failure_in_an_inner_savepoint_does_not_harm_the_outer_one(uow: Work) -> None:
    with uow.savepoint():
        uow.tasks.create(SavTask(name="outer"))
        with pytest.raises(UniqueViolation), uow.savepoint():
            uow.tasks.create(SavTask(name="outer"))
        uow.tasks.create(SavTask(name="outer again"))

    assert names(uow) == ["first", "outer", "outer again"]


def test_a_failure_outside_is_not_healed_by_a_later_savepoint(uow: Work) -> None:
    with pytest.raises(UniqueViolation):
        uow.tasks.create(SavTask(name="first"))

    with pytest.raises(UnitOfWorkError), uow.savepoint():
        pytest.fail("the unit has failed")
    with pytest.raises(UnitOfWorkError):
        uow.commit()


def test_a_failure_of_the_outer_savepoint_after_the_inner_one_heals_at_its_end(uow: Work) -> None:
    with pytest.raises(UniqueViolation), uow.savepoint():
        with uow.savepoint():
            uow.tasks.create(SavTask(name="inner"))
        uow.tasks.create(SavTask(name="inner"))

    assert names(uow) == ["first"]


def test_a_loaded_entity_is_as_before_after_a_failed_flush_inside(uow: Work) -> None:
    task = uow.tasks.one()
    before = task.model_dump()

    with pytest.raises(UniqueViolation), uow.savepoint():
        task.name = "changed"
        uow.session.flush()
        uow.tasks.create(SavTask(name="changed"))

    assert task.model_dump() == before
    task.name = "afterwards"
    uow.commit()
    assert names(uow) == ["afterwards"]


def test_a_change_that_cannot_be_stored_is_refused_at_the_end_of_its_savepoint(uow: Work) -> None:
    task = uow.tasks.one()

    with pytest.raises(ValidationError, match="name"), uow.savepoint():
        task.name = "x" * 21

    assert task.name == "first"
    uow.commit()
    assert names(uow) == ["first"]


# -- what belongs elsewhere ----------------------------------------------------------------


@pytest.mark.parametrize("method", ["commit", "rollback"])
def test_the_transaction_does_not_end_inside_a_savepoint(uow: Work, method: str) -> None:
    with uow.savepoint():
        uow.tasks.create(SavTask(name="inside"))
        with pytest.raises(UnitOfWorkError, match=rf"{method}\(\) inside savepoint"):
            getattr(uow, method)()
    uow.commit()

    assert names(uow) == ["first", "inside"]


def test_hooks_are_dropped_with_the_part_that_added_them(uow: Work) -> None:
    called: list[str] = []
    uow.after_commit(lambda: called.append("before"))
    with pytest.raises(Undo), uow.savepoint():
        uow.after_commit(lambda: called.append("undone"))
        raise Undo
    with uow.savepoint():
        uow.after_commit(lambda: called.append("released"))
    uow.commit()

    assert called == ["before", "released"]


def test_a_read_only_unit_may_have_savepoints(database: Database, uow: Work) -> None:
    uow.commit()
    with Work(database, read_only=True) as reader:
        with reader.savepoint():
            assert reader.tasks.count() == 1
        with pytest.raises(Undo), reader.savepoint():
            reader.tasks.count()
            raise Undo
        assert reader.tasks.count() == 1
