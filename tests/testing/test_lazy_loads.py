"""Relationships that nobody asked to load, on tables that are plain SQLModel."""

import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import immediateload, selectinload
from sqlmodel import Field, Relationship, SQLModel, select

from infrastructure.database import BaseRepository, BaseUnitOfWork, Children, Database, Model
from infrastructure.testing.lazy_loads import no_lazy_loads
from infrastructure.testing.queries import count_queries
from tests.conftest import MakeDatabase
from tests.testing.clubs import loaded

SERVICES = """\
def titles(uow):
    return [
        song.album.name  # here
        for song in uow.session.exec(uow.songs_query)
    ]
"""


class LazyAlbum(SQLModel, table=True):
    __tablename__ = "lazy_albums"

    id: int | None = Field(default=None, primary_key=True)
    name: str
    songs: list["LazySong"] = Relationship(back_populates="album")


class LazySong(SQLModel, table=True):
    __tablename__ = "lazy_songs"

    id: int | None = Field(default=None, primary_key=True)
    title: str
    album_id: int | None = Field(default=None, foreign_key="lazy_albums.id")
    album: LazyAlbum | None = Relationship(back_populates="songs")


class LazyOrder(Model, table=True):
    id: int | None = Field(default=None, primary_key=True)
    lines: list["LazyLine"] = Children("LazyLine")


class LazyLine(Model, table=True):
    id: int | None = Field(default=None, primary_key=True)
    order_id: int | None = Field(default=None, foreign_key="lazyorder.id")
    sku: str


class SongRepository(BaseRepository[LazySong]):
    load = ("album",)


class Units(BaseUnitOfWork):
    albums: BaseRepository[LazyAlbum]
    orders: BaseRepository[LazyOrder]
    songs: SongRepository
    songs_query = select(LazySong)


@pytest.fixture
def tables() -> list[Any]:
    return [LazyAlbum, LazySong, LazyOrder, LazyLine]


def _filled(database: Database) -> Database:
    with Units(database) as uow:
        album = LazyAlbum(id=1, name="Revolver")
        album.songs = [LazySong(id=1, title="Taxman"), LazySong(id=2, title="Yellow")]
        uow.session.add(album)
        uow.orders.create(LazyOrder(lines=[LazyLine(sku="a"), LazyLine(sku="b")]))
        uow.commit()
    return database


@pytest.fixture
def database(url: str, make_database: MakeDatabase) -> Database:
    return _filled(make_database(url))


@pytest.fixture
def memory(make_database: MakeDatabase) -> Database:
    return _filled(make_database("sqlite://"))


def _song(uow: Units) -> LazySong:
    return uow.session.exec(select(LazySong).where(LazySong.id == 1)).one()


def test_without_it_a_relationship_is_loaded_lazily(memory: Database) -> None:
    with Units(memory) as uow:
        song = _song(uow)
        with count_queries(memory) as queries:
            assert song.album is not None
    assert len(queries) == 1


@pytest.mark.parametrize("read_only", [False, True])
def test_reading_what_was_not_loaded_fails_and_leaves_the_unit_usable(
    database: Database, read_only: bool
) -> None:
    with no_lazy_loads(), Units(database, read_only=read_only) as uow:
        song = _song(uow)
        with count_queries(database) as queries, pytest.raises(AssertionError):
            song.album
        assert len(queries) == 0
        assert [song.title for song in uow.songs.get_all(order_by="title")] == ["Taxman", "Yellow"]
        if not read_only:
            song.title = "Help!"
        uow.commit()


def test_the_message_names_the_relationship_the_line_and_what_to_write(
    memory: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    services = loaded(tmp_path, SERVICES)

    with Units(memory) as uow, no_lazy_loads(), pytest.raises(AssertionError) as caught:
        services.titles(uow)

    message = str(caught.value)
    assert message.startswith("LazySong.album was loaded lazily by shop/services.py:3 in titles:")
    assert 'load = ("album",) on the repository' in message
    assert 'loading("album")' in message


def test_a_list_is_refused_as_well(memory: Database) -> None:
    with no_lazy_loads(), Units(memory) as uow:
        album = uow.albums.require(1)
        with pytest.raises(AssertionError, match=r"LazyAlbum\.songs .*test_a_list_is_refused"):
            album.songs.append(LazySong(title="Help!"))


def test_entities_from_before_the_block_are_refused_too(memory: Database) -> None:
    with Units(memory) as uow:
        song = _song(uow)
        with no_lazy_loads(), pytest.raises(AssertionError):
            song.album
        assert song.album is not None


def test_what_was_asked_for_is_loaded(database: Database) -> None:
    with no_lazy_loads(), Units(database) as uow:
        assert [song.album.name for song in uow.songs.get_all() if song.album] == ["Revolver"] * 2
        assert len(uow.albums.loading("songs").require(1).songs) == 2
        assert [line.sku for line in uow.orders.get_all()[0].lines] == ["a", "b"]


@pytest.mark.parametrize("option", [selectinload, immediateload])
def test_options_of_sqlalchemy_load_as_well(memory: Database, option: Any) -> None:
    with no_lazy_loads(), Units(memory) as uow:
        query = select(LazyAlbum).options(option(LazyAlbum.songs))
        assert len(uow.session.exec(query).one().songs) == 2


def test_a_relationship_to_what_is_loaded_needs_no_statement(memory: Database) -> None:
    with no_lazy_loads(), Units(memory) as uow:
        album = uow.albums.require(1)
        assert _song(uow).album is album


def test_explicit_queries_and_expired_columns_are_no_lazy_loads(database: Database) -> None:
    with no_lazy_loads(), Units(database) as uow:
        song = _song(uow)
        uow.session.expire(song)
        assert song.title == "Taxman"
        uow.session.refresh(song)
        uow.session.refresh(song, ["album"])
        assert song.album is not None


def test_what_a_flush_needs_is_no_lazy_load(database: Database) -> None:
    """SQLAlchemy looks for the songs of an album that goes, to let them go from it."""
    with no_lazy_loads(), Units(database) as uow:
        uow.session.delete(uow.albums.require(1))
        uow.commit()
    with Units(database) as uow:
        assert [song.album_id for song in uow.songs.get_all()] == [None, None]


def test_other_threads_are_watched(memory: Database) -> None:
    failures: list[BaseException] = []

    def read() -> None:
        with Units(memory) as uow:
            try:
                _song(uow).album
            except AssertionError as error:
                failures.append(error)

    with no_lazy_loads():
        thread = threading.Thread(target=read)
        thread.start()
        thread.join()

    (failure,) = failures
    assert "in read:" in str(failure)


def test_blocks_in_blocks(memory: Database) -> None:
    with Units(memory) as uow:
        song = _song(uow)
        with no_lazy_loads():
            with no_lazy_loads(), pytest.raises(AssertionError):
                song.album
            with pytest.raises(AssertionError):
                song.album
        assert song.album is not None


def test_after_an_exception_it_is_gone(memory: Database) -> None:
    with Units(memory) as uow:
        with pytest.raises(ZeroDivisionError), no_lazy_loads():
            1 / 0
        assert _song(uow).album is not None
