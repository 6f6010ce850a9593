"""Every way in which a list of Python can change is stored as Python did it."""

import bisect
import copy
import pickle
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
from sqlalchemy import func, select
from sqlmodel import Field

from domain import Entity
from infrastructure.database import (
    BaseRepository,
    BaseUnitOfWork,
    Children,
    Database,
    Model,
    Versioned,
)

pytestmark = pytest.mark.thorough(12)


@dataclass(eq=False, kw_only=True)
class Song(Entity):
    title: str
    stars: int = 0
    id: int | None = None


@dataclass(eq=False, kw_only=True)
class Album(Entity):
    songs: list[Song] = field(default_factory=list)
    id: int | None = None


class RecordModel(Album, Versioned, Model, table=True):
    __tablename__: ClassVar[str] = "childlists_albums"

    id: int | None = Field(default=None, primary_key=True)
    songs: list[Song] = Children("TrackModel", order_by="position")


class TrackModel(Song, Model, table=True):
    __tablename__: ClassVar[str] = "childlists_songs"

    id: int | None = Field(default=None, primary_key=True)
    album_id: int = Field(foreign_key="childlists_albums.id", index=True)
    position: int


class Albums(BaseRepository[Album]):
    model = RecordModel


class Units(BaseUnitOfWork):
    albums: Albums


@pytest.fixture
def tables() -> list[Any]:
    return [RecordModel, TrackModel]


def an_album(titles: str) -> Album:
    return Album(songs=[Song(title=title, stars=ord(title) % 3) for title in titles])


def titles(album: Album) -> str:
    return "".join(song.title for song in album.songs)


def stored(database: Database, id: Any) -> Album:
    with Units(database, read_only=True) as uow:
        return uow.albums.require(id)


def rows(database: Database) -> int:
    with database.engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(TrackModel)) or 0


@pytest.fixture
def album_id(database: Database) -> Any:
    with Units(database) as uow:
        album = uow.albums.create(an_album("dbace"))
        uow.commit()
    return album.id


# -- the ways ------------------------------------------------------------------------------------


def title_of(song: Song) -> str:
    return song.title


def song(title: str) -> Song:
    return Song(title=title)


def swap(album: Album) -> None:
    album.songs[0], album.songs[3] = album.songs[3], album.songs[0]


def swap_twice(album: Album) -> None:
    swap(album)
    album.songs[-1], album.songs[0] = album.songs[0], album.songs[-1]


def rotate(album: Album) -> None:
    songs = album.songs
    songs[0], songs[1], songs[2] = songs[1], songs[2], songs[0]


def add_in_place(album: Album) -> None:
    album.songs += [song("x"), song("y")]


def add_in_place_twice(album: Album) -> None:
    songs = album.songs
    songs += [song("x")]
    songs += (song("y"),)


def remove_while_walking(album: Album) -> None:
    for one in list(album.songs):
        if one.title in "ace":
            album.songs.remove(one)


def remove_an_equal_one(album: Album) -> None:
    one = album.songs[2]
    album.songs.remove(one if one.id is None else Song(title="another", id=one.id))


def out_and_in_again(album: Album) -> None:
    songs = list(album.songs)
    album.songs.clear()
    album.songs.extend(reversed(songs))


def emptied_and_filled(album: Album) -> None:
    songs = album.songs
    album.songs = []
    album.songs = songs[1:] + songs[:1]


def new_ones_change_places(album: Album) -> None:
    album.songs.extend([song("x"), song("y"), song("z")])
    songs = album.songs
    songs[-1], songs[-3] = songs[-3], songs[-1]
    songs.insert(0, songs.pop())


def a_new_one_comes_and_goes(album: Album) -> None:
    album.songs.append(song("x"))
    album.songs.remove(album.songs[-1])
    album.songs.insert(1, song("y"))
    album.songs.pop(1)


def set_songs(change: Callable[[list[Song]], Any]) -> Callable[[Album], None]:
    return lambda album: setattr(album, "songs", change(album.songs))


WAYS: dict[str, Callable[[Album], Any]] = {
    "append": lambda a: a.songs.append(song("x")),
    "append twice": lambda a: [a.songs.append(song("x")), a.songs.append(song("y"))],
    "extend": lambda a: a.songs.extend([song("x"), song("y")]),
    "extend by a generator": lambda a: a.songs.extend(song(title) for title in "xyz"),
    "extend by nothing": lambda a: a.songs.extend([]),
    "insert first": lambda a: a.songs.insert(0, song("x")),
    "insert twice": lambda a: [a.songs.insert(2, song("x")), a.songs.insert(2, song("y"))],
    "insert far behind": lambda a: a.songs.insert(99, song("x")),
    "insert before the last": lambda a: a.songs.insert(-1, song("x")),
    "pop": lambda a: a.songs.pop(),
    "pop the first": lambda a: a.songs.pop(0),
    "pop all": lambda a: [a.songs.pop() for _ in range(5)],
    "remove": lambda a: a.songs.remove(a.songs[2]),
    "remove an equal one": remove_an_equal_one,
    "remove while walking": remove_while_walking,
    "del": lambda a: a.songs.__delitem__(1),
    "del the last": lambda a: a.songs.__delitem__(-1),
    "del a slice": lambda a: a.songs.__delitem__(slice(1, 3)),
    "del every second": lambda a: a.songs.__delitem__(slice(None, None, 2)),
    "del all": lambda a: a.songs.__delitem__(slice(None)),
    "replace one": lambda a: a.songs.__setitem__(2, song("x")),
    "replace the last": lambda a: a.songs.__setitem__(-1, song("x")),
    "replace one by itself": lambda a: a.songs.__setitem__(2, a.songs[2]),
    "replace a slice by more": lambda a: a.songs.__setitem__(slice(1, 2), map(song, "xyz")),
    "replace a slice by less": lambda a: a.songs.__setitem__(slice(1, 4), [song("x")]),
    "replace every second": lambda a: a.songs.__setitem__(slice(None, None, 2), map(song, "xyz")),
    "insert by a slice": lambda a: a.songs.__setitem__(slice(2, 2), [song("x"), song("y")]),
    "reverse by a slice": lambda a: a.songs.__setitem__(slice(None), a.songs[::-1]),
    "swap": swap,
    "swap twice": swap_twice,
    "rotate": rotate,
    "move first": lambda a: a.songs.insert(0, a.songs.pop()),
    "move last": lambda a: a.songs.append(a.songs.pop(0)),
    "sort": lambda a: a.songs.sort(key=title_of),
    "sort in reverse": lambda a: a.songs.sort(key=title_of, reverse=True),
    "reverse": lambda a: a.songs.reverse(),
    "shuffle": lambda a: random.Random(3).shuffle(a.songs),
    "insort": lambda a: bisect.insort(a.songs, song("c"), lo=2, key=title_of),
    "clear": lambda a: a.songs.clear(),
    "clear and fill": lambda a: [a.songs.clear(), a.songs.extend(map(song, "xy"))],
    "add in place": add_in_place,
    "add in place to the list": add_in_place_twice,
    "times nothing": lambda a: a.songs.__imul__(0),
    "times one": lambda a: a.songs.__imul__(1),
    "out and in again": out_and_in_again,
    "emptied and filled": emptied_and_filled,
    "new ones change places": new_ones_change_places,
    "a new one comes and goes": a_new_one_comes_and_goes,
    "itself": set_songs(lambda songs: songs),
    "a copy": set_songs(list),
    "copy()": set_songs(lambda songs: songs.copy()),
    "none": set_songs(lambda songs: []),
    "filtered": set_songs(lambda songs: [one for one in songs if one.title > "b"]),
    "sorted": set_songs(lambda songs: sorted(songs, key=title_of)),
    "sum": set_songs(lambda songs: songs + [song("x")]),  # noqa: RUF005
    "sum from the left": set_songs(lambda songs: [song("x")] + songs),  # noqa: RUF005
    "others": set_songs(lambda songs: [song("x"), songs[3], song("y")]),
    "as a tuple": set_songs(lambda songs: tuple(songs[1:])),
}

Way = Callable[[Album], Any]


@pytest.fixture(params=WAYS.values(), ids=WAYS.keys())
def way(request: pytest.FixtureRequest) -> Any:
    return request.param


def as_python_does(way: Way, start: str = "dbace") -> str:
    album = Album(songs=[Song(title=title, id=at) for at, title in enumerate(start)])
    way(album)
    return titles(album)


def test_a_list_is_stored_as_it_was_changed(database: Database, album_id: int, way: Way) -> None:
    with Units(database) as uow:
        album = uow.albums.require(album_id)
        ids = {one.title: one.id for one in album.songs}
        way(album)
        uow.commit()

    after = stored(database, album_id)
    assert titles(album) == titles(after) == as_python_does(way)
    assert rows(database) == len(after.songs)
    kept = [one for one in after.songs if one.title in ids and "c" not in one.title]
    assert [one.id for one in kept] == [ids[one.title] for one in kept]


def test_a_list_is_changed_twice_in_one_unit(database: Database, album_id: int, way: Way) -> None:
    with Units(database) as uow:
        album = uow.albums.require(album_id)
        way(album)
        album.songs.extend([song("m"), song("k")])
        uow.session.flush()
        album.songs.sort(key=title_of)
        uow.commit()

    wanted = "".join(sorted(as_python_does(way) + "mk"))
    assert titles(stored(database, album_id)) == wanted
    assert rows(database) == len(wanted)


def test_the_list_of_a_root_that_waits_may_change(database: Database, way: Way) -> None:
    with Units(database) as uow:
        album = uow.albums.create_deferred(an_album("dbace"))
        way(album)
        uow.commit()
    assert titles(stored(database, album.id)) == as_python_does(way)
    assert rows(database) == len(album.songs)


def test_the_list_of_a_new_root_may_change(database: Database, way: Way) -> None:
    with Units(database) as uow:
        album = uow.albums.create(an_album("dbace"))
        way(album)
        uow.commit()
    assert titles(stored(database, album.id)) == as_python_does(way)
    assert rows(database) == len(album.songs)


def test_a_plain_list_is_stored_by_update(database: Database, album_id: int, way: Way) -> None:
    album = stored(database, album_id)
    way(album)
    with Units(database) as uow:
        uow.albums.update(album)
        uow.commit()
    assert titles(stored(database, album_id)) == as_python_does(way)
    assert rows(database) == len(album.songs)


def test_only_a_changed_list_advances_the_version(database: Database, album_id: int) -> None:
    for way in ("itself", "a copy", "times one", "a new one comes and goes"):
        with Units(database) as uow:
            WAYS[way](uow.albums.require(album_id))
            uow.commit()
    with Units(database) as uow:
        assert uow.repository(RecordModel).require(album_id).version == 1


# -- what Python refuses ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (lambda songs: songs.pop(99), IndexError),
        (lambda songs: songs.__delitem__(99), IndexError),
        (lambda songs: songs.__setitem__(99, song("x")), IndexError),
        (lambda songs: songs.remove(song("x")), ValueError),
        (lambda songs: songs.insert("first", song("x")), TypeError),
        (lambda songs: songs.__setitem__("first", song("x")), TypeError),
        (lambda songs: songs.__setitem__(slice(None, None, 2), [song("x")]), ValueError),
        (lambda songs: songs.sort(key=lambda one: one.nothing), AttributeError),
        (lambda songs: songs.extend(5), TypeError),
        (lambda songs: songs.extend(song(1 / 0) for _ in "x"), ZeroDivisionError),  # type: ignore[arg-type]
    ],
    ids=range(10),
)
def test_what_python_refuses_changes_nothing(
    database: Database, album_id: int, wrong: Any, error: type[Exception]
) -> None:
    with Units(database) as uow:
        album = uow.albums.require(album_id)
        with pytest.raises(error):
            wrong(album.songs)
        assert titles(album) == "dbace"
        uow.commit()
    assert titles(stored(database, album_id)) == "dbace"
    assert rows(database) == 5


@pytest.mark.parametrize(
    "make",
    [
        list,
        copy.copy,
        copy.deepcopy,
        lambda songs: songs.copy(),
        lambda songs: songs[:],
        lambda songs: pickle.loads(pickle.dumps(songs)),
    ],
    ids=["list", "copy", "deepcopy", "copy()", "slice", "pickle"],
)
def test_a_copy_of_a_list_is_a_list_of_its_own(
    database: Database, album_id: int, make: Callable[[Any], Any]
) -> None:
    with Units(database) as uow:
        album = uow.albums.require(album_id)
        copied = make(album.songs)
        copied.append(song("x"))
        del copied[0]
        assert "".join(one.title for one in copied) == "bacex"
        assert titles(album) == "dbace"
        uow.commit()
    assert titles(stored(database, album_id)) == "dbace"
    assert rows(database) == 5
