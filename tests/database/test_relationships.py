"""SQLModel's relationships on tables of the kit: loaded with their row, or not at all."""

from dataclasses import dataclass
from typing import Any, ClassVar, Optional

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import selectinload
from sqlalchemy.orm.exc import DetachedInstanceError
from sqlmodel import Field, Relationship, Session, SQLModel, select

from domain import Entity
from domain.errors import UnitOfWorkError, ValidationError
from infrastructure.database import BaseRepository, BaseUnitOfWork, Database, Model, Versioned
from tests.support import statements


@dataclass(eq=False, kw_only=True)
class Song(Entity):
    title: str
    album_id: int | None = None
    id: int | None = None


class AlbumModel(Model, table=True):
    __tablename__: ClassVar[str] = "relations_albums"

    name: str
    id: int | None = Field(default=None, primary_key=True)
    songs: list["SongModel"] = Relationship(back_populates="album")
    cover: Optional["CoverModel"] = Relationship(back_populates="album")


class CoverModel(Model, table=True):
    __tablename__: ClassVar[str] = "relations_covers"

    colour: str
    id: int | None = Field(default=None, primary_key=True)
    album_id: int | None = Field(default=None, foreign_key="relations_albums.id")
    album: AlbumModel | None = Relationship(back_populates="cover")


class SongModel(Song, Versioned, Model, table=True):
    __tablename__: ClassVar[str] = "relations_songs"

    id: int | None = Field(default=None, primary_key=True)
    album_id: int | None = Field(default=None, foreign_key="relations_albums.id")
    album: AlbumModel | None = Relationship(back_populates="songs")


class AlbumRepository(BaseRepository[AlbumModel]):
    load = ("songs",)


class SongRepository(BaseRepository[SongModel]):
    load = ("album",)


class Units(BaseUnitOfWork):
    albums: AlbumRepository
    songs: SongRepository


@pytest.fixture
def tables() -> list[Any]:
    return [AlbumModel, CoverModel, SongModel]


@pytest.fixture
def album_id(database: Database) -> Any:
    with Units(database) as uow:
        album = AlbumModel(name="Revolver")
        album.songs = [SongModel(title=title) for title in ("Taxman", "Yellow")]
        uow.albums.create(album)
        uow.commit()
        return album.id


def test_a_quoted_class_name_is_a_relationship() -> None:
    class Owner(Model, table=True):
        __tablename__: ClassVar[str] = "relations_owners"
        id: int | None = Field(default=None, primary_key=True)
        thing_id: int | None = Field(default=None, foreign_key="relations_things.id")
        thing: "Thing" = Relationship()

    class Thing(Model, table=True):
        __tablename__: ClassVar[str] = "relations_things"
        id: int | None = Field(default=None, primary_key=True)

    thing = Thing()
    assert Owner(thing=thing).thing is thing


def test_related_rows_are_created_together(database: Database, album_id: int) -> None:
    with Units(database) as uow:
        songs = uow.songs.get_all(order_by="title")

    assert [(song.title, song.album_id) for song in songs] == [
        ("Taxman", album_id),
        ("Yellow", album_id),
    ]


def test_a_new_row_takes_its_relationships_in_the_constructor(database: Database) -> None:
    with Units(database) as uow:
        song = uow.songs.create(SongModel(title="Help!", album=AlbumModel(name="Help!")))
        uow.commit()

    assert song.album is not None
    assert song.album_id == song.album.id


@pytest.mark.parametrize("read_only", [False, True])
def test_what_was_loaded_is_readable_after_the_block(
    database: Database, album_id: int, read_only: bool
) -> None:
    with Units(database, read_only=read_only) as uow:
        album = uow.albums.require(album_id)
        song = uow.songs.get_all(order_by="title")[0]

    assert sorted(song.title for song in album.songs) == ["Taxman", "Yellow"]
    assert song.album is not None
    assert song.album.name == "Revolver"
    assert song.album.songs


def test_what_was_loaded_is_readable_after_a_commit(database: Database, album_id: int) -> None:
    with Units(database) as uow:
        album = uow.albums.require(album_id)
        album.name = "Rubber Soul"
        uow.commit()
        assert len(album.songs) == 2
    assert len(album.songs) == 2


def test_what_was_created_is_readable_after_the_block(database: Database) -> None:
    with Units(database) as uow:
        album = AlbumModel(name="Help!", songs=[SongModel(title="Help!")])
        uow.albums.create(album)
        uow.commit()

    assert [song.title for song in album.songs] == ["Help!"]
    assert album.songs[0].album is album


def test_an_empty_relationship_is_readable_after_the_block(database: Database) -> None:
    with Units(database) as uow:
        album = uow.albums.create(AlbumModel(name="Help!"))
        song = uow.songs.create(SongModel(title="Yesterday"))
        uow.commit()
    with Units(database) as uow:
        again, single = uow.albums.require(album.id), uow.songs.require(song.id)

    assert again.songs == []
    assert single.album is None


@pytest.mark.parametrize("how", ["inside", "after commit", "after the block"])
@pytest.mark.parametrize("read_only", [False, True])
def test_what_was_not_loaded_is_named_with_the_fix(
    database: Database, album_id: int, how: str, read_only: bool
) -> None:
    def refused(album: AlbumModel) -> None:
        with pytest.raises(UnitOfWorkError, match=r'AlbumModel\.songs .*load = \("songs",\)'):
            len(album.songs)
        with pytest.raises(UnitOfWorkError, match=r'AlbumModel\.cover .*loading\("cover"\)'):
            album.cover

    with Units(database, read_only=read_only) as uow:
        album = uow.repository(AlbumModel).require(album_id)
        if how == "inside":
            refused(album)
        uow.commit()
        if how == "after commit":
            refused(album)
    if how == "after the block":
        refused(album)


def test_the_entity_is_named_by_its_domain_class(database: Database, album_id: int) -> None:
    with Units(database) as uow:
        song = uow.repository(SongModel).first()
    assert song is not None

    with pytest.raises(UnitOfWorkError, match=r"^Song\.album "):
        song.album


def test_reading_what_was_not_loaded_leaves_the_unit_usable(
    database: Database, album_id: int
) -> None:
    with Units(database) as uow:
        album = uow.repository(AlbumModel).require(album_id)
        with pytest.raises(UnitOfWorkError):
            album.songs
        album.name = "Help!"
        uow.commit()
    with Units(database) as uow:
        assert uow.albums.require(album_id).name == "Help!"


def test_repr_and_model_dump_load_nothing_and_raise_nothing(
    database: Database, album_id: int
) -> None:
    with Units(database) as uow:
        album = uow.repository(AlbumModel).require(album_id)
        with statements(database) as sent:
            assert "Revolver" in repr(album)
            assert album.model_dump() == {"id": album_id, "name": "Revolver"}
    assert sent == []
    assert "Revolver" in repr(album)


def test_loading_for_one_use(database: Database, album_id: int) -> None:
    with Units(database) as uow:
        plain = uow.repository(AlbumModel)
        album = plain.loading("songs", "cover").require(album_id)

    assert len(album.songs) == 2
    assert album.cover is None


def test_options_of_sqlalchemy_load_as_well(database: Database, album_id: int) -> None:
    query = select(AlbumModel).options(selectinload(AlbumModel.songs))  # type: ignore[arg-type]
    with Units(database) as uow:
        album = uow.session.exec(query).one()

    assert len(album.songs) == 2


def test_many_rows_load_their_relationships_in_one_query(database: Database) -> None:
    with Units(database) as uow:
        uow.albums.create_many(
            [AlbumModel(name=str(n), songs=[SongModel(title="a")]) for n in range(20)]
        )
        uow.commit()
    with Units(database) as uow, statements(database) as sent:
        albums = uow.albums.get_all()
        assert sum(len(album.songs) for album in albums) == 20

    assert len(sent) == 2


def test_a_reference_to_a_row_that_is_loaded_needs_no_query(
    database: Database, album_id: int
) -> None:
    with Units(database) as uow:
        album = uow.repository(AlbumModel).require(album_id)
        song = uow.repository(SongModel).first()
        assert song is not None
        with statements(database) as sent:
            assert song.album is album
    assert sent == []
    assert song.album is album


def test_changes_through_a_relationship_are_written(database: Database, album_id: int) -> None:
    with Units(database) as uow:
        album = uow.albums.require(album_id)
        album.songs.append(SongModel(title="Tomorrow"))
        album.songs.remove(next(song for song in album.songs if song.title == "Taxman"))
        uow.commit()
    with Units(database) as uow:
        titles = {song.title for song in uow.albums.require(album_id).songs}
        loose = uow.songs.one(SongModel.title == "Taxman")  # type: ignore[arg-type]

    assert titles == {"Yellow", "Tomorrow"}
    assert loose.album_id is None


def test_a_wrong_row_that_is_related_is_refused_before_sql(
    database: Database, album_id: int
) -> None:
    with Units(database) as uow:
        album = uow.albums.require(album_id)
        song: Any = SongModel(title="Tomorrow")
        song.title = None
        album.songs.append(song)
        with statements(database) as sent, pytest.raises(ValidationError, match=r"Song .*title"):
            uow.commit()
        assert sent == []
        song.title = "Tomorrow Never Knows"
        uow.commit()
    with Units(database) as uow:
        assert len(uow.albums.require(album_id).songs) == 3


class BareAlbum(SQLModel, table=True):
    __tablename__ = "relations_bare_albums"
    id: int | None = Field(default=None, primary_key=True)
    songs: list["BareSong"] = Relationship(back_populates="album")


class BareSong(SQLModel, table=True):
    __tablename__ = "relations_bare_songs"
    id: int | None = Field(default=None, primary_key=True)
    album_id: int | None = Field(default=None, foreign_key="relations_bare_albums.id")
    album: BareAlbum | None = Relationship(back_populates="songs")


def test_a_bare_sqlmodel_fails_late_and_does_not_name_the_fix(sqlite_url: str) -> None:
    engine = create_engine(sqlite_url)
    tables = [BareAlbum.__table__, BareSong.__table__]  # type: ignore[attr-defined]
    SQLModel.metadata.create_all(engine, tables=tables)
    with Session(engine) as session:
        session.add(BareAlbum(id=1))
        session.commit()
    with Session(engine) as session:
        album = session.get_one(BareAlbum, 1)
    engine.dispose()

    with pytest.raises(DetachedInstanceError):
        len(album.songs)


def test_a_new_row_may_refer_to_one_that_is_loaded_and_changed(
    database: Database, album_id: Any
) -> None:
    with Units(database) as uow:
        album = uow.albums.require(album_id)
        album.name = "changed"
        song = uow.songs.create(SongModel(title="Eleanor", album=album))
        assert song.album_id == album_id
        assert song in album.songs
        uow.commit()
    with Units(database) as uow:
        album = uow.albums.require(album_id)
        assert (album.name, len(album.songs)) == ("changed", 3)
