"""Changes of loaded entities: noticed, validated before SQL, and written by the flush."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar

import pytest
from pydantic import field_validator
from sqlalchemy import create_engine, text
from sqlmodel import Field, Session, SQLModel

from domain import Entity
from domain.errors import ValidationError
from infrastructure.database import BaseRepository, BaseUnitOfWork, Database, Model, Versioned
from tests.support import statements


@dataclass(eq=False, kw_only=True)
class Note(Entity):
    title: str
    stars: int = 0
    price: Decimal = Decimal(0)
    tags: list[str] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)
    seen_at: datetime | None = None
    id: int | None = None

    def praise(self) -> None:
        self.stars += 1


class NoteModel(Note, Versioned, Model, table=True):
    __tablename__: ClassVar[str] = "changes_notes"

    title: str = Field(max_length=10)
    id: int | None = Field(default=None, primary_key=True)

    @field_validator("title")
    @classmethod
    def _without_spaces_around(cls, value: str) -> str:
        return value.strip()


class NoteRepository(BaseRepository[Note]):
    model = NoteModel


class Units(BaseUnitOfWork):
    notes: NoteRepository


@pytest.fixture
def tables() -> list[Any]:
    return [NoteModel]


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


# -- what is written ----------------------------------------------------------------------------


def test_a_changed_attribute_is_written_by_commit(database: Database, note_id: int) -> None:
    with Units(database) as uow:
        note = uow.notes.require(note_id)
        note.title = "second"
        note.praise()
        uow.commit()

    assert (stored(database, note_id).title, stored(database, note_id).stars) == ("second", 1)


def test_only_what_changed_is_in_the_update(database: Database, note_id: int) -> None:
    with Units(database) as uow:
        uow.notes.require(note_id).title = "second"
        with statements(database) as sent:
            uow.commit()

    assert len(sent) == 1
    assert "title" in sent[0]
    assert "stars" not in sent[0]


def test_what_did_not_change_is_not_written(database: Database, note_id: int) -> None:
    with Units(database) as uow:
        note: Any = uow.notes.require(note_id)
        repr(note), note.model_dump(), note.tags, note.data["deep"]
        with statements(database) as sent:
            uow.commit()

    assert sent == []


def test_the_same_value_again_is_no_change(database: Database, note_id: int) -> None:
    with Units(database) as uow:
        note: Any = uow.notes.require(note_id)
        note.title = "first"
        note.stars = 0
        note.tags = ["a", "b"]
        note.price = Decimal("0.0")
        with statements(database) as sent:
            uow.commit()
        assert note.version == 1

    assert not any(statement.startswith("UPDATE") for statement in sent)


def test_a_change_is_seen_by_the_next_query_of_the_unit(database: Database, note_id: int) -> None:
    with Units(database) as uow:
        note = uow.notes.require(note_id)
        note.title = "second"
        assert uow.notes.count(NoteModel.title == "second") == 1
        assert uow.notes.get_all() == [note]
        uow.commit()


# -- what is refused ----------------------------------------------------------------------------


WRONG: list[tuple[str, Any]] = [
    ("title", "longer than ten"),
    ("title", 3),
    ("title", None),
    ("title", "a\0b"),
    ("title", "\ud800"),
    ("stars", "many"),
    ("stars", 1.5),
    ("stars", 2**63),
    ("price", Decimal("NaN")),
    ("price", "cheap"),
    ("tags", "no list"),
    ("tags", [1]),
    ("data", {"n": float("nan")}),
    ("data", {"n": {1, 2}}),
    ("seen_at", datetime(2020, 1, 1)),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_value_is_refused_before_sql_and_the_unit_goes_on(
    database: Database, note_id: int, name: str, value: Any
) -> None:
    with Units(database) as uow:
        note = uow.notes.require(note_id)
        before = getattr(note, name)
        setattr(note, name, value)
        with statements(database) as sent, pytest.raises(ValidationError) as caught:
            uow.commit()
        assert sent == []
        assert caught.value.entity == "Note"
        assert {field.partition(".")[0] for field in caught.value.errors} == {name}

        setattr(note, name, before)
        note.stars = 5
        uow.commit()

    assert stored(database, note_id).stars == 5


def test_a_wrong_value_is_refused_at_the_query_that_would_write_it(
    database: Database, note_id: int
) -> None:
    with Units(database) as uow:
        note = uow.notes.require(note_id)
        note.title = "longer than ten"
        with pytest.raises(ValidationError, match="title"):
            uow.notes.count()
        note.title = "short"
        assert uow.notes.count() == 1
        uow.commit()


def test_a_refused_change_can_be_left_by_rollback(database: Database, note_id: int) -> None:
    with Units(database) as uow:
        note: Any = uow.notes.require(note_id)
        note.stars = "many"
        with pytest.raises(ValidationError):
            uow.commit()
        uow.rollback()
        assert uow.notes.require(note_id).stars == 0


def test_a_new_row_is_validated_again_at_the_flush(database: Database) -> None:
    with Units(database) as uow:
        note: Any = uow.notes.create_deferred(Note(title="new"))
        note.stars = "many"
        with pytest.raises(ValidationError, match="stars"):
            uow.commit()
        note.stars = "3"
        uow.commit()
        assert note.stars == 3

    assert stored(database, note.id).stars == 3


@pytest.mark.parametrize(
    ("name", "given", "kept"),
    [
        ("stars", "5", 5),
        ("stars", 5.0, 5),
        ("title", " five ", "five"),
        ("price", "1.50", Decimal("1.50")),
        ("tags", ("x", "y"), ["x", "y"]),
        ("seen_at", "2020-01-01T12:00:00+02:00", datetime(2020, 1, 1, 10, tzinfo=UTC)),
    ],
)
def test_the_converted_value_is_kept(
    database: Database, note_id: int, name: str, given: Any, kept: Any
) -> None:
    with Units(database) as uow:
        note = uow.notes.require(note_id)
        setattr(note, name, given)
        uow.session.flush()
        assert getattr(note, name) == kept
        assert type(getattr(note, name)) is type(kept)
        uow.commit()
        assert getattr(note, name) == kept

    assert getattr(stored(database, note_id), name) == kept


@pytest.mark.parametrize("name", ["id", "version"])
def test_the_key_and_the_version_are_not_changed_by_hand(
    database: Database, note_id: int, name: str
) -> None:
    with Units(database) as uow:
        note = uow.notes.require(note_id)
        before = getattr(note, name)
        setattr(note, name, 77)
        with pytest.raises(ValidationError) as caught:
            uow.commit()
        assert caught.value.errors.keys() == {name}
        setattr(note, name, before)
        note.title = "second"
        uow.commit()

    assert stored(database, note_id).title == "second"


def test_an_attribute_that_is_no_field_is_not_written_in_silence(
    database: Database, note_id: int
) -> None:
    with Units(database) as uow:
        note: Any = uow.notes.require(note_id)
        with pytest.raises((ValueError, AttributeError, ValidationError)):
            note.titel = "misspelt"


def test_a_plain_sqlmodel_table_stores_wrong_values(tmp_path: Any) -> None:
    class LooseNote(SQLModel, table=True):
        __tablename__ = "changes_loose"
        id: int | None = Field(default=None, primary_key=True)
        title: str = Field(max_length=3)
        stars: int = 0

    engine = create_engine(f"sqlite:///{tmp_path / 'loose.db'}")
    SQLModel.metadata.create_all(engine, tables=[LooseNote.__table__])  # type: ignore[attr-defined]
    with Session(engine) as session:
        session.add(LooseNote(id=1, title="abc"))
        session.commit()
        note: Any = session.get_one(LooseNote, 1)
        note.title, note.stars = "much too long", "many"
        session.commit()
    with engine.connect() as connection:
        row = connection.execute(text("SELECT title, stars FROM changes_loose")).one()
    engine.dispose()

    assert tuple(row) == ("much too long", "many")
