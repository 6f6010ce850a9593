"""A block that is left with unsaved writes and no exception warns."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest
from sqlalchemy import delete, insert, select, text, update
from sqlmodel import Field

from domain import ALL, Entity
from domain.errors import (
    EntityNotFound,
    KitError,
    UncommittedChangesWarning,
    UniqueViolation,
    ValidationError,
)
from infrastructure.database import BaseRepository, BaseUnitOfWork, Database, Model

pytestmark = pytest.mark.thorough(6)


@dataclass(eq=False, kw_only=True)
class WarnNote(Entity):
    """Something with a field that can be changed in place."""

    name: str
    words: list[str] = field(default_factory=list)
    id: int | None = None


class WarnNoteModel(WarnNote, Model, table=True):
    __tablename__: ClassVar[str] = "warn_notes"
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)


class NoteRepository(BaseRepository[WarnNote]):
    model = WarnNoteModel


class Notes(BaseUnitOfWork):
    notes: NoteRepository


class Stop(Exception):
    """What ends a block in these tests."""


@pytest.fixture
def tables() -> list[type]:
    return [WarnNoteModel]


@pytest.fixture
def notes(database: Database) -> Database:
    """A database with one note."""
    with Notes(database) as uow:
        uow.notes.create(WarnNote(name="old", words=["a"]))
        uow.commit()
    return database


def names(database: Database) -> list[tuple[str, list[str]]]:
    with Notes(database, read_only=True) as uow:
        return [(note.name, note.words) for note in uow.notes.get_all(order_by="id")]


INSERT = "INSERT INTO warn_notes (name, words) VALUES ('new', '[]')"


def in_a_released_savepoint(uow: Notes) -> None:
    with uow.savepoint():
        uow.notes.create(WarnNote(name="new"))


def after_a_commit(uow: Notes) -> None:
    uow.commit()
    uow.notes.create(WarnNote(name="new"))


def after_a_rollback(uow: Notes) -> None:
    uow.rollback()
    uow.notes.create(WarnNote(name="new"))


def before_a_savepoint_that_was_undone(uow: Notes) -> None:
    uow.notes.create(WarnNote(name="new"))
    with pytest.raises(Stop), uow.savepoint():
        raise Stop


UNSAVED: dict[str, Callable[[Notes], Any]] = {
    "create": lambda uow: uow.notes.create(WarnNote(name="new")),
    "create_many": lambda uow: uow.notes.create_many([WarnNote(name="new")]),
    "create_deferred": lambda uow: uow.notes.create_deferred(WarnNote(name="new")),
    "change": lambda uow: setattr(uow.notes.require(1), "name", "new"),
    "change in place": lambda uow: uow.notes.require(1).words.append("b"),
    "update": lambda uow: uow.notes.update(1, name="new"),
    "delete": lambda uow: uow.notes.delete(1),
    "update_where": lambda uow: uow.notes.update_where(ALL, name="new"),
    "delete_where": lambda uow: uow.notes.delete_where(ALL),
    "add": lambda uow: uow.session.add(WarnNoteModel(name="new")),
    "session delete": lambda uow: uow.session.delete(uow.session.get_one(WarnNoteModel, 1)),
    "insert": lambda uow: uow.session.execute(insert(WarnNoteModel).values(name="new", words=[])),
    "core insert": lambda uow: uow.session.execute(
        insert(WarnNoteModel.__table__).values(name="new", words=[])
    ),
    "core update": lambda uow: uow.session.execute(
        update(WarnNoteModel.__table__).values(name="n")
    ),
    "core delete": lambda uow: uow.session.execute(delete(WarnNoteModel.__table__)),
    "text": lambda uow: uow.session.execute(text(INSERT)),
    "text in lower case": lambda uow: uow.session.execute(text(f"\n  {INSERT.lower()}")),
    "text after a comment": lambda uow: uow.session.execute(text(f"/* why */ {INSERT}")),
    "text after WITH": lambda uow: uow.session.execute(
        text(
            "WITH fresh AS (SELECT name FROM warn_notes) "
            "INSERT INTO warn_notes (name, words) SELECT name || '2', '[]' FROM fresh"
        )
    ),
    "connection": lambda uow: uow.session.connection().execute(
        insert(WarnNoteModel.__table__).values(name="new", words=[])
    ),
    "connection's text": lambda uow: uow.session.connection().exec_driver_sql(INSERT),
    "bulk": lambda uow: uow.session.bulk_insert_mappings(
        WarnNoteModel, [{"name": "new", "words": []}]
    ),
    "released savepoint": in_a_released_savepoint,
    "after a commit": after_a_commit,
    "after a rollback": after_a_rollback,
    "before an undone savepoint": before_a_savepoint_that_was_undone,
}


@pytest.mark.parametrize("write", UNSAVED)
def test_unsaved_writes_are_warned_of(notes: Database, write: str) -> None:
    with pytest.warns(UncommittedChangesWarning, match=r"commit\(\)") as caught:
        leave_after(notes, UNSAVED[write])

    assert len(caught) == 1
    assert names(notes) == [("old", ["a"])]


def leave_after(database: Database, work: Callable[[Notes], Any]) -> None:
    with Notes(database) as uow:
        work(uow)


@pytest.mark.parametrize("write", UNSAVED)
def test_what_was_committed_is_not_warned_of(notes: Database, write: str) -> None:
    with Notes(notes) as uow:
        UNSAVED[write](uow)
        uow.commit()

    assert names(notes) != [("old", ["a"])]


@pytest.mark.parametrize("write", UNSAVED)
def test_what_was_rolled_back_is_not_warned_of(notes: Database, write: str) -> None:
    with Notes(notes) as uow:
        UNSAVED[write](uow)
        uow.rollback()

    assert names(notes) == [("old", ["a"])]


@pytest.mark.parametrize("write", UNSAVED)
def test_an_exception_says_enough(notes: Database, write: str) -> None:
    with pytest.raises(Stop), Notes(notes) as uow:
        UNSAVED[write](uow)
        raise Stop

    assert names(notes) == [("old", ["a"])]


ABOUT_THE_WHOLE_UNIT = ("after a", "before", "released")


@pytest.mark.parametrize(
    "write", [name for name in UNSAVED if not name.startswith(ABOUT_THE_WHOLE_UNIT)]
)
def test_what_an_undone_savepoint_wrote_is_not_warned_of(notes: Database, write: str) -> None:
    """It was undone on purpose; there is nothing left to commit."""
    with Notes(notes) as uow, pytest.raises(Stop), uow.savepoint():
        UNSAVED[write](uow)
        raise Stop

    assert names(notes) == [("old", ["a"])]


def refused_by_validation(uow: Notes) -> None:
    with pytest.raises(ValidationError):
        uow.notes.create({"name": None})


def not_found(uow: Notes) -> None:
    with pytest.raises(EntityNotFound):
        uow.notes.delete(99)


def changed_and_changed_back(uow: Notes) -> None:
    note = uow.notes.require(1)
    note.name = "other"
    note.words.append("b")
    note.name = "old"
    note.words.remove("b")


def failed_in_a_savepoint(uow: Notes) -> None:
    with pytest.raises(UniqueViolation), uow.savepoint():
        uow.notes.create(WarnNote(name="old"))


NOTHING_UNSAVED: dict[str, Callable[[Notes], Any]] = {
    "nothing": lambda uow: None,
    "get": lambda uow: uow.notes.require(1).words,
    "get_all": lambda uow: uow.notes.get_all(),
    "lock": lambda uow: uow.notes.require(1, for_update=True),
    "select": lambda uow: uow.session.execute(select(WarnNoteModel)),
    "text": lambda uow: uow.session.execute(text("SELECT 1")),
    "text in lower case": lambda uow: uow.session.execute(text("\n select 1")),
    "text after a comment": lambda uow: uow.session.execute(text("-- why\nSELECT 1")),
    "text in brackets": lambda uow: uow.session.execute(text("SELECT * FROM (SELECT 1) AS x")),
    "text after WITH": lambda uow: uow.session.execute(
        text("WITH x AS (SELECT 1) SELECT * FROM x")
    ),
    "connection": lambda uow: uow.session.connection().execute(text("SELECT 1")),
    "refused": refused_by_validation,
    "not found": not_found,
    "changed and changed back": changed_and_changed_back,
    "failed in a savepoint": failed_in_a_savepoint,
}


@pytest.mark.parametrize("work", NOTHING_UNSAVED)
def test_where_nothing_is_unsaved_nothing_is_said(notes: Database, work: str) -> None:
    """Warnings are errors in these tests."""
    with Notes(notes) as uow:
        NOTHING_UNSAVED[work](uow)

    assert names(notes) == [("old", ["a"])]


def test_the_warning_points_to_the_block(notes: Database) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        leave_after(notes, UNSAVED["create"])

    assert [Path(each.filename).name for each in caught] == [Path(__file__).name]
    lines = Path(__file__).read_text().splitlines()
    assert "with Notes(database) as uow:" in lines[caught[0].lineno - 1]


def test_the_warning_stands_beside_the_errors() -> None:
    assert issubclass(UncommittedChangesWarning, Warning)
    assert not issubclass(UncommittedChangesWarning, KitError)


def test_a_warning_that_is_an_error_leaves_nothing_behind(notes: Database) -> None:
    unit = Notes(notes)
    with pytest.raises(UncommittedChangesWarning), unit:
        unit.notes.create(WarnNote(name="new"))

    assert notes.engine.pool.checkedout() == 0
    assert names(notes) == [("old", ["a"])]
    with unit:
        unit.notes.create(WarnNote(name="later"))
        unit.commit()
