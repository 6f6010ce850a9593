"""Whatever a unit has written is not served from a cache afterwards, however it was written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import (
    Column,
    ForeignKey,
    Integer,
    MetaData,
    Table,
    delete,
    insert,
    text,
    update,
)

from domain import ALL, where
from domain.errors import AfterCommitError, UniqueViolation
from infrastructure.cache import CachePolicy, NullCache
from infrastructure.database import BaseUnitOfWork, Database, cache_tags, caches
from infrastructure.database.written import Written
from tests.database.cached_tables import (
    TABLES,
    Album,
    Card,
    CardModel,
    PlainCards,
    Shelf,
    ShelfModel,
    Track,
    TrackModel,
    Unit,
)
from tests.support import statements

Change = Callable[[Unit], object]


class Deaf(NullCache):
    def invalidate(self, tags: Any) -> None:
        raise ConnectionError("the cache is away")


class DeafCards(PlainCards):
    cache = CachePolicy(ttl=1, cache=Deaf)


class DeafUnit(BaseUnitOfWork):
    cards: DeafCards


@pytest.fixture
def tables() -> list[Any]:
    return TABLES


@pytest.fixture
def database(database: Database) -> Database:
    """Five cards, of which three are on a shelf, and two albums; all of it is cached."""
    with Unit(database) as uow:
        shelf = uow.shelves.create(Shelf(name="top"))
        uow.shelves.create(Shelf(name="low"))
        cards = [Card(name=f"card {n}", shelf_id=shelf.id if n < 4 else None) for n in range(1, 6)]
        assert [card.id for card in uow.cards.create_many(cards)] == [1, 2, 3, 4, 5]
        for number in (1, 2):
            tracks = [Track(name=f"track {number}{place}") for place in (1, 2)]
            assert uow.albums.create(Album(name=f"album {number}", tracks=tracks)).id == number
        uow.commit()
    seen(database)
    return database


def seen(database: Database) -> Any:
    """All that the cached repositories have to say."""
    with Unit(database, read_only=True) as uow:
        cards = [uow.cards.get_by_id(id) for id in (*range(1, 10), 5000)]
        return (
            [None if card is None else _values(card) for card in cards],
            [_values(card) for card in uow.cards.get_many(range(1, 10))],
            [_values(card) for card in uow.cards.on_shelf(1)],
            uow.cards.on_shelves_named("top"),
            uow.cards.number(),
            uow.cards.as_text(),
            [_values(card) for card in uow.cards.first_page(100).items],
            [_album(uow.albums.get_by_id(id)) for id in (1, 2, 3)],
            [_album(album) for album in uow.albums.with_track("track 11")],
        )


def _values(card: Card) -> tuple[Any, ...]:
    return card.id, card.name, card.text, card.shelf_id


def _album(album: Album | None) -> Any:
    return album and (album.id, album.name, [(track.id, track.name) for track in album.tracks])


def truth(database: Database) -> Any:
    """The same, as a database with other caches says it."""
    own, database.caches = database.caches, caches.Caches()
    try:
        return seen(database)
    finally:
        database.caches = own


def new(id: int | None = None, name: str = "new", **values: Any) -> Card:
    return Card(name=name, id=id, **values)


def _change_attribute(uow: Unit) -> None:
    uow.cards.require(1).name = "changed"


def _update_entity(uow: Unit) -> None:
    card = uow.cards.require(1)
    card.name = "changed"
    uow.cards.update(card)


def _change_several(uow: Unit) -> None:
    for card in uow.cards.get_all():
        card.text = "changed"


def _change_through_another_repository(uow: Unit) -> None:
    uow.plain_cards.require(1).name = "changed"


def _fail_and_go_on(uow: Unit) -> None:
    with pytest.raises(UniqueViolation), uow.savepoint():
        uow.cards.require(1).text = "undone"
        uow.cards.create(new(name="card 2"))
    uow.cards.require(2).text = "stored"


def _in_savepoint(uow: Unit) -> None:
    with uow.savepoint():
        uow.cards.update(1, text="changed")
        with uow.savepoint():
            uow.cards.delete(2)


def _on_connection(uow: Unit) -> None:
    uow.session.connection().exec_driver_sql("UPDATE cached_cards SET text = 'raw'")


def _raw(sql: str) -> Change:
    return lambda uow: uow.session.execute(text(sql))


def _core(statement: Any) -> Change:
    return lambda uow: uow.session.execute(statement)


def _with_cte(uow: Unit) -> None:
    if uow.session.get_bind().dialect.name == "sqlite":
        return
    gone = delete(CardModel).where(CardModel.id == 1).returning(CardModel.id).cte("gone")  # type: ignore[arg-type]
    from sqlalchemy import select

    uow.session.execute(select(gone.c.id)).all()


def _replace_tracks(uow: Unit) -> None:
    album = uow.albums.require(1)
    album.tracks.pop(0)
    album.tracks.append(Track(name="new"))


def _raw_child(uow: Unit) -> None:
    uow.session.add(TrackModel(name="added", album_id=2, position=3))


def _change_child(uow: Unit) -> None:
    uow.albums.require(1).tracks[0].name = "changed"


def _loaded_child(uow: Unit) -> None:
    track = uow.session.get(TrackModel, 1)
    assert track is not None
    track.name = "changed"


CHANGES: dict[str, Change] = {
    "create": lambda uow: uow.cards.create(new()),
    "create with an id": lambda uow: uow.cards.create(new(9)),
    "create many": lambda uow: uow.cards.create_many([new(name=f"n{n}") for n in range(3)]),
    "create thousands": lambda uow: uow.cards.create_many(
        [new(name=f"n{n}", id=n + 6) for n in range(5000)]
    ),
    "create later": lambda uow: uow.cards.create_deferred(new()),
    "create a mapping": lambda uow: uow.cards.create({"name": "new"}),
    "change": _change_attribute,
    "change several": _change_several,
    "change through another": _change_through_another_repository,
    "update an entity": _update_entity,
    "update by id": lambda uow: uow.cards.update(1, name="changed"),
    "delete": lambda uow: uow.cards.delete(1),
    "get or create": lambda uow: uow.cards.get_or_create(new(), on="name"),
    "upsert a new one": lambda uow: uow.cards.upsert(new(), on="name"),
    "upsert": lambda uow: uow.cards.upsert(new(name="card 1", text="changed"), on="name"),
    "update where": lambda uow: uow.cards.update_where(where("id") < 3, text="changed"),
    "delete where": lambda uow: uow.cards.delete_where(where("id") < 3),
    "bulk create": lambda uow: uow.cards.bulk_create([new(name=f"b{n}") for n in range(200)]),
    "bulk update": lambda uow: uow.cards.bulk_update([{"id": 1, "text": "changed"}]),
    "bulk upsert": lambda uow: uow.cards.bulk_upsert(
        [{"name": "card 1", "text": "changed"}, {"name": "new", "text": "new"}], on="name"
    ),
    "text": _raw("UPDATE cached_cards SET text = 'raw' WHERE id = 1"),
    "text that deletes": _raw("DELETE FROM cached_cards WHERE id = 1"),
    "text that gives something back": lambda uow: uow.session.execute(
        text("UPDATE cached_cards SET text = 'raw' RETURNING id").columns(CardModel.id)  # type: ignore[arg-type]
    ).all(),
    "core update": _core(update(CardModel).values(text="core")),
    "core insert": _core(insert(CardModel).values(name="core", text="", notes={}, version=1)),
    "core delete": _core(delete(CardModel).where(CardModel.id == 1)),  # type: ignore[arg-type]
    "a write in a cte": _with_cte,
    "on the connection": _on_connection,
    "in savepoints": _in_savepoint,
    "beside a savepoint that failed": _fail_and_go_on,
    "the database sets null": lambda uow: uow.shelves.delete(1),
    "the database sets null, set-based": lambda uow: uow.shelves.delete_where(ALL),
    "the database sets null, by text": _raw("DELETE FROM cached_shelves WHERE id = 1"),
    "the database sets null, by core": _core(delete(ShelfModel)),
    "another table of a join": lambda uow: uow.shelves.update(1, name="bottom"),
    "children": _replace_tracks,
    "a child": _change_child,
    "a child, loaded alone": _loaded_child,
    "a child, added alone": _raw_child,
    "children by core": _core(update(TrackModel).values(name="core")),
    "an aggregate": lambda uow: uow.albums.delete(1),
    "aggregates": lambda uow: uow.albums.delete_where(ALL),
    "the root": lambda uow: uow.albums.update(1, name="changed"),
}


@pytest.mark.parametrize("how", CHANGES)
def test_what_was_written_is_read_again(database: Database, how: str) -> None:
    before = seen(database)
    with Unit(database) as uow:
        CHANGES[how](uow)
        uow.commit()
    after = truth(database)
    assert seen(database) == after
    if how != "a write in a cte":
        assert after != before


@pytest.mark.parametrize("how", CHANGES)
def test_what_was_undone_is_still_right(database: Database, how: str) -> None:
    before = seen(database)
    with Unit(database) as uow:
        CHANGES[how](uow)
        uow.session.flush()
        uow.rollback()
    assert seen(database) == before == truth(database)


@pytest.mark.parametrize("how", ["change", "update by id", "delete", "create with an id", "upsert"])
def test_a_row_that_nobody_has_touched_stays(database: Database, how: str) -> None:
    with Unit(database) as uow:
        CHANGES[how](uow)
        uow.commit()
    with statements(database) as sent, Unit(database, read_only=True) as uow:
        assert uow.cards.require(5).name == "card 5"
        assert uow.albums.require(2).name == "album 2"
        assert [album.id for album in uow.albums.with_track("track 11")] == [1]
    assert not sent


def test_an_aggregate_beside_the_one_that_was_changed_stays(database: Database) -> None:
    for change in (_replace_tracks, _change_child, lambda uow: uow.albums.delete(1)):
        with Unit(database) as uow:
            change(uow)
            uow.commit()
        with statements(database) as sent, Unit(database, read_only=True) as uow:
            assert uow.albums.require(2).name == "album 2"
        assert not sent


def test_a_block_goes_on_after_its_commit(database: Database) -> None:
    with Unit(database) as uow:
        uow.cards.update(1, text="first")
        uow.commit()
        uow.cards.update(2, text="second")
        uow.commit()
        uow.cards.update(3, text="third")
        uow.rollback()
    assert seen(database) == truth(database)


def test_hooks_after_the_commit_read_what_is_stored(shared_database: Database) -> None:
    found: list[str] = []

    def look() -> None:
        with Unit(shared_database, read_only=True) as uow:
            found.append(uow.cards.require(1).text)

    with Unit(shared_database) as uow:
        uow.cards.create(Card(name="one"))
        uow.commit()
    look()
    with Unit(shared_database) as uow:
        uow.cards.update(1, text="changed")
        uow.after_commit(look)
        uow.commit()
    assert found == ["", "changed"]


def test_what_is_not_committed_is_served_to_nobody(shared_database: Database) -> None:
    def texts() -> list[str]:
        with Unit(shared_database, read_only=True) as uow:
            return [uow.cards.require(1).text, *uow.cards.as_text()]

    with Unit(shared_database) as uow:
        uow.cards.create(Card(name="one"))
        uow.commit()
    with Unit(shared_database) as uow:
        uow.cards.update(1, text="changed")
        uow.session.flush()
        assert texts() == ["", ""]  # and this is kept
        with uow.savepoint():
            uow.cards.update(1, text="changed again")
        assert texts() == ["", ""]
        uow.commit()
        assert texts() == ["changed again"] * 2


def test_a_unit_that_is_older_than_the_first_cache_invalidates_too(
    shared_database: Database,
) -> None:
    with Unit(shared_database) as uow:
        uow.plain_cards.create(Card(name="one"))
        uow.commit()
    shared_database.caches = caches.Caches()
    with Unit(shared_database) as writing:
        writing.plain_cards.update(1, text="changed")
        with Unit(shared_database, read_only=True) as uow:
            assert uow.cards.require(1).text == ""
        writing.commit()
    with Unit(shared_database, read_only=True) as uow:
        assert uow.cards.require(1).text == "changed"


def test_a_cache_that_cannot_be_told_does_not_hide_that_the_unit_is_stored(
    database: Database,
) -> None:
    database.caches = caches.Caches()  # other tests are not to meet this one
    with DeafUnit(database, read_only=True) as uow:
        uow.cards.require(1)
    called: list[int] = []
    with DeafUnit(database) as uow:
        uow.cards.update(1, text="changed")
        uow.after_commit(lambda: called.append(1))
        with pytest.raises(AfterCommitError, match="ConnectionError"):
            uow.commit()
    assert called == [1]
    assert seen(database) == truth(database)


def test_a_read_only_unit_invalidates_nothing(database: Database) -> None:
    before = database.caches.sequences()
    with Unit(database, read_only=True) as uow:
        uow.session.execute(text("SELECT 'UPDATE'"))
        uow.commit()
    assert database.caches.sequences() == before


def test_nothing_is_noted_where_nothing_is_cached(make_database: Any) -> None:
    database = make_database("sqlite://")
    with Unit(database) as uow:
        uow.plain_cards.create(Card(name="one"))
        assert uow.session.written is None
        uow.commit()


def test_the_schema_is_changed(database: Database) -> None:
    with Unit(database) as uow:
        uow.session.execute(text("DROP TABLE cached_tracks"))
        uow.session.execute(text("DELETE FROM cached_cards"))
        uow.commit()
    with Unit(database, read_only=True) as uow:
        assert uow.cards.get_by_id(1) is None
        assert uow.cards.number() == 0


def test_what_refers_to_a_table_is_known_though_others_are_not_there() -> None:
    """As where the model of a team is not imported, and that of a person is."""
    metadata = MetaData()
    gone = Table("gone", metadata, Column("id", Integer, primary_key=True))
    link = ForeignKey("gone.id", ondelete="CASCADE")
    Table("along", metadata, Column("id", Integer, primary_key=True), Column("gone_id", link))
    Table("other", metadata, Column("missing_id", ForeignKey("missing.id", ondelete="CASCADE")))

    written = Written()
    written.note_statements([delete(gone)])
    found = written.tags() or set()
    assert {cache_tags.rows("gone"), cache_tags.rows("along")} <= found
    assert cache_tags.rows("other") not in found
