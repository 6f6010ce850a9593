"""What children cannot be: refused with the class, or with the first list, in words that help."""

from dataclasses import dataclass, field
from pathlib import Path
from subprocess import run
from sys import executable
from typing import Any, ClassVar

import pytest
from sqlmodel import Field

from domain import Entity
from domain.errors import NotNullViolation, UnitOfWorkError, ValidationError
from infrastructure.database import BaseRepository, BaseUnitOfWork, Children, Database, Model

ROOT = Path(__file__).parents[2]


@dataclass(eq=False, kw_only=True)
class Verse(Entity):
    text: str
    stress: int = 0
    id: int | None = None

    def __post_init__(self) -> None:
        if self.stress < 0:
            raise ValidationError("Verse", {"stress": "must not be negative"})


@dataclass(eq=False, kw_only=True)
class Poem(Entity):
    title: str
    verses: list[Verse] = field(default_factory=list)
    id: int | None = None


class PoemModel(Poem, Model, table=True):
    __tablename__: ClassVar[str] = "declared_poems"

    id: int | None = Field(default=None, primary_key=True)
    verses: list[Verse] = Children("VerseModel")


class VerseModel(Verse, Model, table=True):
    __tablename__: ClassVar[str] = "declared_verses"

    id: int | None = Field(default=None, primary_key=True)
    text: str = Field(max_length=20)
    poem_id: int = Field(foreign_key="declared_poems.id")


class PoemRepository(BaseRepository[Poem]):
    model = PoemModel


class Units(BaseUnitOfWork):
    poems: PoemRepository


@pytest.fixture
def tables() -> list[Any]:
    return [PoemModel, VerseModel]


@pytest.fixture
def poem_id(database: Database) -> Any:
    with Units(database) as uow:
        poem = uow.poems.create(Poem(title="Sea", verses=[Verse(text="a"), Verse(text="b")]))
        uow.commit()
    return poem.id


def texts(database: Database, id: Any) -> list[str]:
    with Units(database, read_only=True) as uow:
        return [verse.text for verse in uow.poems.require(id).verses]


# -- declarations -------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [None, 3, "", Verse, str])
def test_children_need_a_table(model: Any) -> None:
    with pytest.raises(TypeError, match=r"Children\("):
        Children(model)


def test_children_are_a_list() -> None:
    with pytest.raises(TypeError, match=r"OdeModel.verses: children are a list"):

        @dataclass(eq=False, kw_only=True)
        class Ode(Entity):
            verses: Verse | None = None
            id: int | None = None

        class OdeModel(Ode, Model, table=True):
            __tablename__: ClassVar[str] = "declared_odes"
            id: int | None = Field(default=None, primary_key=True)
            verses: Verse | None = Children("VerseModel")


BEGINNING = """
from dataclasses import dataclass, field
from typing import ClassVar
from sqlmodel import Field
from domain import Entity
from infrastructure.database import BaseRepository, BaseUnitOfWork, Children, Database, Model

@dataclass(eq=False, kw_only=True)
class Verse(Entity):
    id: int | None = None

@dataclass(eq=False, kw_only=True)
class Poem(Entity):
    verses: list[Verse] = field(default_factory=list)
    id: int | None = None

class PoemModel(Poem, Model, table=True):
    __tablename__: ClassVar[str] = "poems"
    id: int | None = Field(default=None, primary_key=True)
    verses: list[Verse] = Children("VerseModel" ORDER)
"""
CHILD = """
class VerseModel(Verse, Model, table=True):
    __tablename__: ClassVar[str] = "verses"
    id: int | None = Field(default=None, primary_key=True)
"""
LINK = '    poem_id: int = Field(foreign_key="poems.id")\n'
SECOND_ROOT = """
class TrackModel(Poem, Model, table=True):
    __tablename__: ClassVar[str] = "songs"
    id: int | None = Field(default=None, primary_key=True)
    verses: list[Verse] = Children("VerseModel")
"""
SECOND_LINK = '    song_id: int = Field(foreign_key="songs.id")\n'


@pytest.mark.parametrize(
    ("order", "rest", "said"),
    [
        ("", "", "PoemModel.verses: no table has a model called VerseModel; import the module"),
        ("", CHILD, "VerseModel has no foreign key to poems, and needs one: poem_id: int = Field("),
        (
            "",
            CHILD + LINK + LINK.replace("poem_id", "other_id"),
            "VerseModel has 2 foreign keys to poems",
        ),
        (', order_by="place"', CHILD + LINK, "PoemModel.verses: VerseModel has no column place"),
        (
            "",
            CHILD + LINK + SECOND_LINK + SECOND_ROOT,
            "VerseModel are the children of",
        ),
        (
            "",
            'PoemModel.__name__ = "VerseModel"',
            "a root cannot be among its own children",
        ),
    ],
    ids=["no table", "no link", "two links", "no such order", "two roots", "itself"],
)
def test_a_list_that_cannot_work_is_named_at_its_first_use(
    order: str, rest: str, said: str
) -> None:
    program = BEGINNING.replace(" ORDER", order) + rest + "\nPoemModel()\n"
    done = run(
        [executable, "-c", program],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "TypeError" in done.stderr
    assert said in done.stderr


def test_entities_and_value_objects_are_not_stored_without_a_word() -> None:
    with pytest.raises(TypeError, match=r'verses: list\[Verse\] = Children\("VerseModel"\)'):

        class Refused(Poem, Model, table=True):
            __tablename__: ClassVar[str] = "declared_refused"
            id: int | None = Field(default=None, primary_key=True)


def test_children_have_no_repository(database: Database) -> None:
    with Units(database) as uow, pytest.raises(TypeError, match="Verse belongs to Poem"):
        uow.repository(VerseModel)


# -- what is put into a list ----------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [None, 3, "verse", Poem(title="x"), object()])
def test_something_else_is_no_child(database: Database, poem_id: Any, wrong: Any) -> None:
    with Units(database) as uow:
        poem = uow.poems.require(poem_id)
        for put in (
            poem.verses.append,
            lambda child: poem.verses.insert(0, child),
            lambda child: poem.verses.__setitem__(0, child),
            lambda child: setattr(poem, "verses", [child]),
        ):
            with pytest.raises(ValidationError, match=r"Poem .*verses: must hold Verse objects"):
                put(wrong)
        uow.commit()
    assert texts(database, poem_id) == ["a", "b"]


@pytest.mark.parametrize("wrong", [None, 3, "verses", {1: 2}])
def test_a_list_of_children_is_a_list(database: Database, poem_id: Any, wrong: Any) -> None:
    with Units(database) as uow:
        poem = uow.poems.require(poem_id)
        with pytest.raises(ValidationError, match="verses: must be a list"):
            poem.verses = wrong
        with pytest.raises(ValidationError, match="verses: must be a list"):
            uow.poems.create({"title": "x", "verses": wrong})
        uow.commit()
    assert texts(database, poem_id) == ["a", "b"]


@pytest.mark.parametrize(
    ("verse", "field"),
    [({"text": "x", "stress": -1}, "stress"), ({"text": "x" * 21}, "text"), ({}, "text")],
)
def test_a_child_that_breaks_a_rule_is_refused_with_its_root(
    database: Database, poem_id: Any, verse: dict[str, Any], field: str
) -> None:
    with Units(database) as uow:
        with pytest.raises(ValidationError, match=rf"Verse .*{field}"):
            uow.poems.create({"title": "Sun", "verses": [{"text": "good"}, verse]})
        with pytest.raises(ValidationError, match=rf"Verse .*{field}"):
            uow.poems.require(poem_id).verses.append(verse)  # type: ignore[arg-type]
        uow.commit()
        assert uow.poems.count() == 1
    assert texts(database, poem_id) == ["a", "b"]


def test_a_loaded_child_that_breaks_a_rule_is_refused_at_the_flush(
    database: Database, poem_id: Any
) -> None:
    with Units(database) as uow:
        poem = uow.poems.require(poem_id)
        poem.title = "Moon"
        poem.verses[1].text = "x" * 21
        with pytest.raises(ValidationError, match=r"Verse .*text"):
            uow.commit()
        poem.verses[1].text = "c"
        uow.commit()
    assert texts(database, poem_id) == ["a", "c"]


def test_a_child_belongs_to_one_root(database: Database, poem_id: Any) -> None:
    with Units(database) as uow:
        poem, other = uow.poems.require(poem_id), uow.poems.create(Poem(title="Sun"))
        with pytest.raises(ValidationError, match="belongs to another Poem"):
            other.verses.append(poem.verses[0])
        with pytest.raises(ValidationError, match="belongs to another Poem"):
            other.verses = poem.verses
        uow.commit()
    assert texts(database, poem_id) == ["a", "b"]


def test_a_plain_child_is_put_into_one_list(database: Database, poem_id: Any) -> None:
    verse = Verse(text="c")
    with Units(database) as uow:
        uow.poems.require(poem_id).verses.append(verse)
        with pytest.raises(UnitOfWorkError, match="put into two lists"):
            uow.poems.create(Poem(title="Sun", verses=[verse]))
        uow.commit()
        assert uow.poems.count() == 1
    assert texts(database, poem_id) == ["a", "b", "c"]


def test_a_child_is_in_its_list_once(database: Database, poem_id: Any) -> None:
    with Units(database) as uow:
        poem = uow.poems.require(poem_id)
        poem.verses.append(poem.verses[0])
        with pytest.raises(ValidationError, match="holds the same Verse twice"):
            uow.commit()
        poem.verses.pop()
        uow.commit()
    assert texts(database, poem_id) == ["a", "b"]


def test_an_order_that_no_column_keeps_is_refused(database: Database, poem_id: Any) -> None:
    with Units(database) as uow:
        poem = uow.poems.require(poem_id)
        poem.verses.reverse()
        with pytest.raises(ValidationError, match=r"verses: has an order that no column keeps"):
            uow.commit()
        poem.verses.reverse()
        poem.verses.extend([Verse(text="c"), Verse(text="d")])
        uow.commit()
    assert texts(database, poem_id) == ["a", "b", "c", "d"]


def test_a_child_that_is_not_stored_with_the_root_is_refused(
    database: Database, poem_id: Any
) -> None:
    with Units(database) as uow:
        other = uow.poems.create(Poem(title="Sun", verses=[Verse(text="x")]))
        uow.commit()
    with Units(database, read_only=True) as uow:
        poem, sun = uow.poems.require(poem_id), uow.poems.require(other.id)
    poem.verses.append(sun.verses[0])
    with Units(database) as uow:
        with pytest.raises(ValidationError, match=r"verses: Verse 3 is not among those"):
            uow.poems.update(poem)
        uow.commit()
    assert texts(database, poem_id) == ["a", "b"]


def test_the_link_is_not_changed_by_hand(database: Database, poem_id: Any) -> None:
    with Units(database) as uow:
        verse: Any = uow.poems.require(poem_id).verses[0]
        verse.poem_id = 77
        with pytest.raises(ValidationError, match="poem_id: is given by the list"):
            uow.commit()
        uow.rollback()


def test_a_row_without_a_root_is_refused_by_the_database(database: Database) -> None:
    with pytest.raises(NotNullViolation), Units(database) as uow:
        uow.session.add(VerseModel(text="a"))  # type: ignore[call-arg]
        uow.commit()
