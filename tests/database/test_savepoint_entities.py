"""What entities hold, and which ids they bear, after a savepoint was undone."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

import pytest
from sqlalchemy import text
from sqlmodel import Field

from domain import Entity
from domain.entity import new_id
from infrastructure.database import (
    BaseRepository,
    BaseUnitOfWork,
    Database,
    Model,
    Timestamped,
    Versioned,
)


@dataclass(eq=False, kw_only=True)
class SaveTask(Entity):
    """What has to be done."""

    name: str
    labels: list[str] = field(default_factory=list)
    id: int | None = None


class SaveTaskModel(SaveTask, Timestamped, Versioned, Model, table=True):
    __tablename__: ClassVar[str] = "save_tasks"
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True, max_length=20)


@dataclass(eq=False, kw_only=True)
class SaveNote(Entity):
    """Its id is born in the domain."""

    name: str
    id: uuid.UUID = field(default_factory=new_id)


class SaveNoteModel(SaveNote, Model, table=True):
    __tablename__: ClassVar[str] = "save_notes"
    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)


class TaskRepository(BaseRepository[SaveTask]):
    model = SaveTaskModel


class NoteRepository(BaseRepository[SaveNote]):
    model = SaveNoteModel


class Work(BaseUnitOfWork):
    tasks: TaskRepository
    notes: NoteRepository


class Undo(Exception):
    """What leaves a savepoint in these tests."""


@pytest.fixture
def tables() -> list[type]:
    return [SaveTaskModel, SaveNoteModel]


@pytest.fixture
def uow(database: Database) -> Iterator[Work]:
    """An open unit with one task, stored before."""
    with Work(database) as unit:
        unit.tasks.create(SaveTask(name="first", labels=["x"]))
        unit.commit()
    with Work(database) as unit:
        yield unit
        unit.rollback()


def names(uow: Work) -> list[str]:
    return [task.name for task in uow.tasks.get_all(order_by="name")]


# -- entities afterwards -------------------------------------------------------------------


def test_a_loaded_entity_has_the_values_of_before(uow: Work) -> None:
    task = uow.tasks.one()
    before, shown = task.model_dump(), repr(task)

    with pytest.raises(Undo), uow.savepoint():
        task.name = "changed"
        task.labels.append("y")
        uow.session.flush()
        task.name = "changed again"
        raise Undo

    assert task.model_dump() == before
    assert repr(task) == shown


def test_a_change_that_was_not_written_yet_is_undone_too(uow: Work) -> None:
    task = uow.tasks.one()
    before = task.model_dump()

    with pytest.raises(Undo), uow.savepoint():
        task.name = "changed"
        raise Undo

    assert task.model_dump() == before


def test_a_change_inside_a_list_that_was_not_written_yet_is_undone_too(uow: Work) -> None:
    task = uow.tasks.one()

    with pytest.raises(Undo), uow.savepoint():
        task.labels.append("y")
        raise Undo

    assert task.labels == ["x"]
    task.name = "second"
    uow.commit()
    assert uow.tasks.one().labels == ["x"]


def test_a_change_of_before_the_savepoint_survives_it(uow: Work) -> None:
    task = uow.tasks.one()
    task.name = "changed before"
    task.labels.append("before")

    with pytest.raises(Undo), uow.savepoint():
        task.name = "changed inside"
        task.labels.append("inside")
        uow.session.flush()
        raise Undo

    assert (task.name, task.labels) == ("changed before", ["x", "before"])
    uow.commit()
    assert (uow.tasks.one().name, uow.tasks.one().labels) == ("changed before", ["x", "before"])


def test_an_entity_is_tracked_on_after_the_savepoint_was_undone(uow: Work) -> None:
    task = uow.tasks.one()
    with pytest.raises(Undo), uow.savepoint():
        task.name = "inside"
        uow.session.flush()
        raise Undo

    assert uow.tasks.get_by_id(task.id) is task
    task.name = "afterwards"
    uow.commit()

    assert names(uow) == ["afterwards"]


def test_the_version_counts_on_from_what_is_stored(uow: Work) -> None:
    task = uow.tasks.one()
    for _ in range(3):
        with pytest.raises(Undo), uow.savepoint():
            task.name = "inside"
            uow.session.flush()
            raise Undo
    assert task.version == 1

    task.name = "afterwards"
    uow.commit()
    assert uow.tasks.one().version == 2


def test_what_was_loaded_inside_stays_readable(uow: Work) -> None:
    with pytest.raises(Undo), uow.savepoint():
        task = uow.tasks.one()
        before = task.model_dump()
        task.name = "inside"
        uow.session.flush()
        raise Undo

    assert task.model_dump() == before


def test_a_deleted_entity_is_back(uow: Work) -> None:
    task = uow.tasks.one()
    before = task.model_dump()

    with pytest.raises(Undo), uow.savepoint():
        uow.tasks.delete(task)
        raise Undo

    assert task.model_dump() == before
    assert uow.tasks.get_by_id(task.id) is task
    task.name = "back"
    uow.commit()
    assert names(uow) == ["back"]


def test_what_was_deleted_by_id_or_criteria_is_back(uow: Work) -> None:
    task = uow.tasks.one()
    for delete in (
        lambda: uow.tasks.delete(task.id),
        lambda: uow.tasks.delete_where(SaveTaskModel.name == "first"),
    ):
        with pytest.raises(Undo), uow.savepoint():
            delete()
            raise Undo
        assert uow.tasks.require(task.id).name == "first"


def test_what_update_where_changed_is_as_before(uow: Work) -> None:
    task = uow.tasks.one()
    before = task.model_dump()

    with pytest.raises(Undo), uow.savepoint():
        uow.tasks.update_where(SaveTaskModel.name == "first", name="changed")
        assert uow.tasks.require(task.id).name == "changed"
        raise Undo

    assert uow.tasks.require(task.id).model_dump() == before
    assert task.model_dump() == before


def test_what_was_loaded_inside_is_as_stored_afterwards(uow: Work) -> None:
    """A row read between a change by SQL and its undoing must not be served from memory."""
    with pytest.raises(Undo), uow.savepoint():
        uow.session.execute(text("UPDATE save_tasks SET name = 'changed'"))
        task = uow.tasks.one()
        assert task.name == "changed"
        raise Undo

    assert uow.tasks.require(task.id).name == "first"
    assert task.name == "first"


# -- ids -----------------------------------------------------------------------------------


def test_ids_are_taken_away_from_rows_and_plain_objects(uow: Work) -> None:
    plain, other, queued = SaveTask(name="a"), SaveTask(name="b"), SaveTask(name="c")

    with pytest.raises(Undo), uow.savepoint():
        rows = [uow.tasks.create(plain), *uow.tasks.create_many([other, SaveTask(name="d")])]
        rows.append(uow.tasks.create_deferred(queued))
        uow.session.flush()
        assert None not in [plain.id, other.id, queued.id, *(row.id for row in rows)]
        raise Undo

    assert [plain.id, other.id, queued.id] == [None] * 3
    assert [row.id for row in rows] == [None] * 4
    assert [row.name for row in rows] == ["a", "b", "d", "c"]


def test_ids_of_a_released_savepoint_are_taken_away_by_an_outer_rollback(uow: Work) -> None:
    plain = SaveTask(name="a")
    with uow.savepoint():
        row = uow.tasks.create(plain)
    assert plain.id == row.id is not None

    uow.rollback()

    assert plain.id is row.id is None


def test_ids_of_a_released_inner_savepoint_are_taken_away_by_the_outer_one(uow: Work) -> None:
    plain = SaveTask(name="a")
    with pytest.raises(Undo), uow.savepoint():
        with uow.savepoint():
            row = uow.tasks.create(plain)
        raise Undo

    assert plain.id is row.id is None


def test_ids_of_before_the_savepoint_stay(uow: Work) -> None:
    plain = SaveTask(name="before")
    row = uow.tasks.create(plain)
    with pytest.raises(Undo), uow.savepoint():
        uow.tasks.create(SaveTask(name="inside"))
        raise Undo

    assert plain.id == row.id is not None
    assert uow.tasks.get_by_id(row.id) is row


def test_ids_born_in_the_domain_or_given_stay(uow: Work) -> None:
    note, task = SaveNote(name="n"), SaveTask(name="t", id=77)
    born = note.id
    with pytest.raises(Undo), uow.savepoint():
        row = uow.notes.create(note)
        given = uow.tasks.create(task)
        raise Undo

    assert note.id == row.id == born
    assert task.id == given.id == 77


def test_what_was_undone_can_be_created_again(uow: Work) -> None:
    plain, note = SaveTask(name="a"), SaveNote(name="n")
    with pytest.raises(Undo), uow.savepoint():
        uow.tasks.create(plain)
        row = uow.tasks.create(SaveTask(name="b"))
        uow.notes.create(note)
        raise Undo

    assert uow.tasks.create(plain).id == plain.id is not None
    assert uow.tasks.create(row) is row
    assert uow.notes.create(note).id == note.id
    uow.commit()
    assert names(uow) == ["a", "b", "first"]


def test_a_plain_object_is_free_again_when_its_row_was_undone(uow: Work) -> None:
    """A later change of it loses nothing: it is stored nowhere."""
    plain = SaveTask(name="a")
    with pytest.raises(Undo), uow.savepoint():
        uow.tasks.create(plain)
        raise Undo

    plain.name = "other"
    uow.commit()
    assert names(uow) == ["first"]
