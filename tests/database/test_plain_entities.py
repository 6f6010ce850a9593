"""What a repository of a domain class hands out: plain entities where nothing can be written."""

from dataclasses import dataclass, field
from typing import ClassVar

import pytest
from sqlmodel import Field

from domain import Entity
from infrastructure.database import BaseRepository, BaseUnitOfWork, Database, Model, Versioned


@dataclass(eq=False, kw_only=True)
class PlainPoem(Entity):
    """Counts how often its constructor ran."""

    title: str
    words: list[str] = field(default_factory=list)
    id: int | None = None

    made: ClassVar[list[int]] = []

    def __post_init__(self) -> None:
        self.made.append(1)


class PlainPoemModel(PlainPoem, Versioned, Model, table=True):
    __tablename__: ClassVar[str] = "plain_poems"
    id: int | None = Field(default=None, primary_key=True)


class PoemRepository(BaseRepository[PlainPoem]):
    model = PlainPoemModel


class PoemRowRepository(BaseRepository[PlainPoemModel]):
    """The same table, but rows are what it hands out."""


class Library(BaseUnitOfWork):
    poems: PoemRepository
    rows: PoemRowRepository


@pytest.fixture
def tables() -> list[type]:
    return [PlainPoemModel]


@pytest.fixture
def library(database: Database) -> Database:
    """A database with one poem."""
    with Library(database) as uow:
        uow.poems.create(PlainPoem(title="Jabberwocky", words=["brillig"]))
        uow.commit()
    return database


def test_a_repository_of_a_domain_class_hands_out_plain_entities(library: Database) -> None:
    with Library(library, read_only=True) as uow:
        found = [
            uow.poems.require(1),
            uow.poems.get_by_id(1),
            uow.poems.one(),
            uow.poems.first(),
            *uow.poems.get_all(),
            *uow.poems.get_many([1]),
        ]

    assert [type(poem) for poem in found] == [PlainPoem] * 6
    assert found[0] is found[1]
    for poem in found:
        assert poem is not None
        assert (poem.id, poem.title, poem.words) == (1, "Jabberwocky", ["brillig"])


def test_a_writing_unit_hands_out_tracked_rows(library: Database) -> None:
    with Library(library) as uow:
        assert type(uow.poems.require(1)) is PlainPoemModel


def test_a_repository_of_a_table_always_hands_out_rows(library: Database) -> None:
    for read_only in (False, True):
        with Library(library, read_only=read_only) as uow:
            assert type(uow.rows.require(1)) is PlainPoemModel


def test_plain_entities_are_made_without_their_constructor(library: Database) -> None:
    before = len(PlainPoem.made)
    with Library(library, read_only=True) as uow:
        uow.poems.require(1)
        uow.poems.get_all()

    assert len(PlainPoem.made) == before


def test_plain_entities_are_not_tracked(library: Database) -> None:
    with Library(library, read_only=True) as uow:
        poem = uow.poems.require(1)
        assert not any(each is poem for each in uow.session)
        poem.title = "changed"
        poem.words.append("changed")
        uow.commit()
    with Library(library) as uow:
        assert (uow.poems.one().title, uow.poems.one().words) == ("Jabberwocky", ["brillig"])


def test_a_plain_entity_bears_its_version_in_no_field(library: Database) -> None:
    with Library(library, read_only=True) as uow:
        poem = uow.poems.require(1)

    assert not hasattr(poem, "version")
    assert "version" not in repr(poem)
    poem.title = "changed"
    with Library(library) as uow:
        uow.poems.update(poem)
        uow.commit()
        assert uow.rows.require(1).version == 2


def test_a_plain_entity_equals_its_row(library: Database) -> None:
    with Library(library, read_only=True) as uow:
        poem = uow.poems.require(1)
    with Library(library) as uow:
        assert uow.poems.require(1) == poem
        assert hash(uow.poems.require(1)) == hash(poem)
