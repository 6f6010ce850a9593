"""Lists and dicts that are changed in place: noticed, validated and written."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
from sqlalchemy import create_engine
from sqlmodel import Field, Session

from domain import Entity
from domain.errors import UncommittedChangesWarning, ValidationError
from infrastructure.database import BaseRepository, BaseUnitOfWork, Database, Model, Versioned


@dataclass(eq=False, kw_only=True)
class Note(Entity):
    title: str
    tags: list[str] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)
    id: int | None = None


class NoteModel(Note, Versioned, Model, table=True):
    __tablename__: ClassVar[str] = "json_notes"

    id: int | None = Field(default=None, primary_key=True)


class SimpleModel(Model, table=True):
    """Without a domain class and a version."""

    __tablename__: ClassVar[str] = "json_simple"

    name: str = Field(max_length=10)
    id: int | None = Field(default=None, primary_key=True)
    tags: list[str] | None = None


class NoteRepository(BaseRepository[Note]):
    model = NoteModel


class Units(BaseUnitOfWork):
    notes: NoteRepository


@pytest.fixture
def tables() -> list[Any]:
    return [NoteModel, SimpleModel]


@pytest.fixture
def note_id(database: Database) -> Any:
    with Units(database) as uow:
        note = uow.notes.create(
            Note(title="first", tags=["a", "b"], data={"deep": {"list": [1, 2]}, "n": 1})
        )
        uow.commit()
        return note.id


def stored(database: Database, id: Any) -> Note:
    with Units(database, read_only=True) as uow:
        return uow.notes.require(id)


def append(note: Note) -> None:
    note.tags.append("c")


def set_key(note: Note) -> None:
    note.data["n"] = 2


def deep_append(note: Note) -> None:
    note.data["deep"]["list"].append(3)


def delete_key(note: Note) -> None:
    del note.data["deep"]["list"]


def reorder(note: Note) -> None:
    note.tags.reverse()


IN_PLACE = [append, set_key, deep_append, delete_key, reorder]


@pytest.mark.parametrize("change", IN_PLACE)
def test_json_that_is_changed_in_place_is_written(
    database: Database, note_id: int, change: Callable[[Note], None]
) -> None:
    with Units(database) as uow:
        note = uow.notes.require(note_id)
        change(note)
        uow.commit()

    found = stored(database, note_id)
    assert (found.tags, found.data) == (note.tags, note.data)
    assert found.tags != ["a", "b"] or found.data != {"deep": {"list": [1, 2]}, "n": 1}


@pytest.mark.parametrize("change", IN_PLACE)
def test_json_of_a_created_row_is_watched_as_well(
    database: Database, change: Callable[[Note], None]
) -> None:
    with Units(database) as uow:
        note = uow.notes.create(
            Note(title="new", tags=["a", "b"], data={"deep": {"list": [1, 2]}, "n": 1})
        )
        change(note)
        uow.session.flush()
        if change is not delete_key:
            change(note)
        uow.commit()

    found = stored(database, note.id)
    assert (found.tags, found.data) == (note.tags, note.data)


def test_json_that_is_changed_in_place_raises_the_version(database: Database, note_id: int) -> None:
    with Units(database) as uow:
        note: Any = uow.notes.require(note_id)
        note.tags.append("c")
        uow.commit()

    assert note.version == 2


def test_json_found_by_a_query_is_watched(database: Database, note_id: int) -> None:
    with Units(database) as uow:
        uow.notes.get_all()[0].tags.append("c")
        uow.commit()

    assert stored(database, note_id).tags == ["a", "b", "c"]


def test_json_that_was_none_may_become_a_list_and_grow(database: Database) -> None:
    with Units(database) as uow:
        row = uow.repository(SimpleModel).create(SimpleModel(name="a"))
        uow.commit()
    with Units(database) as uow:
        loaded = uow.repository(SimpleModel).require(row.id)
        assert loaded.tags is None
        loaded.tags = ["x"]
        uow.session.flush()
        loaded.tags.append("y")
        uow.commit()
    with Units(database) as uow:
        assert uow.repository(SimpleModel).require(row.id).tags == ["x", "y"]


def test_json_changed_in_place_counts_as_unsaved(database: Database, note_id: int) -> None:
    with pytest.warns(UncommittedChangesWarning), Units(database) as uow:
        uow.notes.require(note_id).data["deep"]["list"].append(3)


def test_the_bare_session_loses_what_changed_inside(tmp_path: Any) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'bare.db'}")
    SimpleModel.metadata.create_all(engine, tables=[SimpleModel.__table__])  # type: ignore[attr-defined]
    with Session(engine) as session:
        session.add(SimpleModel(id=1, name="a", tags=["x"]))
        session.commit()
    with Session(engine) as session:
        row = session.get_one(SimpleModel, 1)
        assert row.tags is not None
        row.tags.append("y")
        session.commit()
    with Session(engine) as session:
        assert session.get_one(SimpleModel, 1).tags == ["x"]
    engine.dispose()


def test_a_wrong_value_inside_json_is_refused_as_well(database: Database, note_id: int) -> None:
    with Units(database) as uow:
        note: Any = uow.notes.require(note_id)
        note.tags.append(3)
        with pytest.raises(ValidationError) as caught:
            uow.commit()
        assert [name.partition(".")[0] for name in caught.value.errors] == ["tags"]
        note.tags.pop()
        note.data["n"] = 7
        uow.commit()

    assert stored(database, note_id).data["n"] == 7
