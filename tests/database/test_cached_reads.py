"""Repositories that are cached by one line: what is served, to whom, and what is not."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import pytest
from sqlalchemy import event, text, update
from sqlalchemy.orm import ORMExecuteState, Session
from sqlmodel import Field

from domain import Page
from domain.errors import CacheError, EntityNotFound, UnitOfWorkError, ValidationError
from infrastructure.cache import CachePolicy, TTLCache
from infrastructure.database import (
    BaseRepository,
    BaseUnitOfWork,
    Database,
    Model,
    cached_query,
)
from tests.database.cached_tables import (
    TABLES,
    Album,
    Card,
    CardModel,
    Cards,
    PlainCards,
    Shelf,
    Track,
    Unit,
)
from tests.support import statements

NAMES = ("ace", "king", "queen")
NOW = [0.0]
CLOCKED = TTLCache(1, 600, jitter=0, timer=lambda: NOW[0])
ASKED: list[int] = []


class Failing(Cards):
    calls: ClassVar[int] = 0

    @cached_query
    def fails_once(self) -> int:
        Failing.calls += 1
        if Failing.calls == 1:
            raise LookupError("once")
        return self.count()


class FailingUnit(BaseUnitOfWork):
    cards: Failing


class Others(PlainCards):
    cache = CachePolicy(ttl=5, cache=lambda: CLOCKED)


class OtherUnit(BaseUnitOfWork):
    cards: Others


class Slow(Cards):
    @cached_query
    def slow(self) -> int:
        ASKED.append(1)
        threading.Event().wait(0.2)
        return self.count()


class SlowUnit(BaseUnitOfWork):
    cards: Slow


@pytest.fixture
def tables() -> list[Any]:
    return TABLES


@pytest.fixture
def database(database: Database) -> Database:
    """With three cards, the first two on a shelf."""
    fill(database)
    return database


def fill(database: Database) -> None:
    with Unit(database) as uow:
        shelf = uow.shelves.create(Shelf(name="top"))
        places = (shelf.id, shelf.id, None)
        for id, (name, place) in enumerate(zip(NAMES, places, strict=True), 1):
            uow.cards.create(Card(name=name, shelf_id=place, id=id))
        uow.albums.create(Album(name="blue", tracks=[Track(name="one"), Track(name="two")]))
        uow.commit()


def read(database: Database, **options: Any) -> Unit:
    return Unit(database, read_only=True, **options)


def behind(database: Database, name: str, id: int = 1) -> None:
    """Change a name so that the cache cannot know."""
    with database.engine.begin() as connection:
        connection.execute(update(CardModel).where(CardModel.id == id).values(name=name))  # type: ignore[arg-type]


# -- by key ------------------------------------------------------------------------------------


def test_a_second_unit_reads_by_key_without_a_statement(database: Database) -> None:
    with read(database) as uow:
        first = uow.cards.require(1)
    with statements(database) as sent, read(database) as uow:
        again = uow.cards.get_by_id(1)
        assert uow.cards.require(1) is again
    assert not sent
    assert type(again) is Card
    assert vars(again) == vars(first)
    assert again is not first


def test_what_a_caller_changes_is_seen_by_no_other(database: Database) -> None:
    for _ in range(3):
        with read(database) as uow:
            card = uow.cards.require(1)
            assert (card.name, card.notes) == ("ace", {})
            card.name = "joker"
            card.notes["seen"] = True
            assert uow.cards.find_by_name("joker") is None
            found = uow.cards.find_by_name("ace")
            assert found is card  # in one unit there is one of each
    with read(database) as uow:
        assert [(c.name, c.notes) for c in uow.cards.on_shelf(1)] == [("ace", {}), ("king", {})]


def test_what_was_changed_before_a_query_is_not_kept(database: Database) -> None:
    with read(database) as uow:
        uow.cards.require(1).name = "joker"
        uow.cards.on_shelf(1)
        uow.cards.get_many([1, 2])
    with read(database) as uow:
        assert [card.name for card in uow.cards.on_shelf(1)] == ["ace", "king"]
        assert uow.cards.require(1).name == "ace"


def test_several_are_read_through_it_too(database: Database) -> None:
    with read(database) as uow:
        uow.cards.require(2)
    behind(database, "knave", 2)
    with statements(database) as sent, read(database) as uow:
        found = uow.cards.get_many([3, 2, 99, 2, 1])
        assert [card.name for card in found] == ["queen", "king", "king", "ace"]
        assert found[1] is found[2]
        assert uow.cards.get_many([1]) == [found[3]]
    assert len(sent) == 1
    with statements(database) as sent, read(database) as uow:
        assert [card.id for card in uow.cards.get_many([3, 1])] == [3, 1]
        assert uow.cards.get_many([]) == []
    assert not sent


def test_what_is_not_there_is_not_remembered(database: Database) -> None:
    with read(database) as uow:
        assert uow.cards.get_by_id(9) is None
        assert uow.cards.find_by_name("nine") is None
        with pytest.raises(EntityNotFound):
            uow.cards.require(9)
    with database.engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO cached_cards (id, name, text, notes, version) "
                "VALUES (9, 'nine', '', '{}', 1)"
            )
        )
    with read(database) as uow:
        assert uow.cards.require(9).name == "nine"
        assert uow.cards.find_by_name("nine") is uow.cards.require(9)


def test_an_aggregate_is_kept_whole_and_everybody_has_their_own(database: Database) -> None:
    with read(database) as uow:
        uow.albums.require(1).tracks.pop()
    with statements(database) as sent, read(database) as uow:
        album = uow.albums.require(1)
        assert [track.name for track in album.tracks] == ["one", "two"]
    assert not sent


def test_a_writing_unit_never_sees_the_cache_and_keeps_nothing_there(database: Database) -> None:
    with read(database) as uow:
        uow.cards.require(1)
        uow.cards.on_shelf(1)
    behind(database, "joker")
    with Unit(database) as uow:
        assert uow.cards.require(1).name == "joker"
        assert uow.cards.get_many([1])[0].name == "joker"
        assert uow.cards.on_shelf(1)[0].name == "joker"
        uow.cards.require(3)
        uow.rollback()
    behind(database, "knave", 3)
    with read(database) as uow:
        assert uow.cards.require(1).name == "ace"  # it could not know
        assert uow.cards.require(3).name == "knave"


def test_an_id_is_converted_before_it_is_looked_up(database: Database) -> None:
    with read(database) as uow:
        assert uow.cards.require("2") is uow.cards.require(2)
        with pytest.raises(ValidationError):
            uow.cards.get_by_id("two")
        with pytest.raises(ValidationError):
            uow.cards.get_by_id([1])


def test_a_hit_is_refused_in_a_unit_that_was_left_or_has_failed(database: Database) -> None:
    with read(database) as uow:
        cards = uow.cards
        cards.require(1)
    with pytest.raises(UnitOfWorkError):
        cards.get_by_id(1)
    with pytest.raises(UnitOfWorkError):
        cards.find_by_name("ace")
    with read(database) as uow:
        with pytest.raises(Exception, match="nothing_here"):
            uow.session.execute(text("SELECT * FROM nothing_here"))
        with pytest.raises(UnitOfWorkError):
            uow.cards.get_by_id(1)
        with pytest.raises(UnitOfWorkError):
            uow.cards.find_by_name("ace")


def test_a_unit_with_a_level_of_its_own_keeps_what_it_reads_and_is_not_served(
    shared_database: Database,
) -> None:
    fill(shared_database)
    with read(shared_database, isolation_level="SERIALIZABLE") as uow:
        uow.cards.require(1)
        uow.cards.on_shelf(1)
    with statements(shared_database) as sent, read(shared_database) as uow:
        uow.cards.require(1)
        uow.cards.on_shelf(1)
    assert not sent
    behind(shared_database, "joker")
    with read(shared_database, isolation_level="REPEATABLE READ") as uow:
        assert uow.cards.require(1).name == "joker"
        assert uow.cards.on_shelf(1)[0].name == "joker"


def test_a_session_whose_statements_somebody_changes_is_not_served(database: Database) -> None:
    with read(database) as uow:
        uow.cards.require(1)

    def hide(state: ORMExecuteState) -> None:
        if state.is_select:
            state.statement = state.statement.where(CardModel.id != 1)  # type: ignore[arg-type]

    event.listen(Session, "do_orm_execute", hide)
    try:
        with read(database) as uow:
            assert uow.cards.get_by_id(1) is None
            assert uow.cards.find_by_name("ace") is None
    finally:
        event.remove(Session, "do_orm_execute", hide)
    with read(database) as uow:
        assert uow.cards.find_by_name("ace") is not None


def test_more_relationships_or_another_repository_are_not_served_from_it(
    database: Database,
) -> None:
    with read(database) as uow:
        uow.cards.require(1)
    behind(database, "joker")
    with read(database) as uow:
        assert uow.plain_cards.require(1).name == "joker"
        assert uow.cards.loading().require(1).name == "joker"


# -- queries -----------------------------------------------------------------------------------


def test_queries_are_asked_once_for_equal_arguments(database: Database) -> None:
    with read(database) as uow:
        uow.cards.on_shelf(1)
        uow.cards.find_by_name("ace")
        uow.cards.on_shelves_named("top")
        uow.cards.number()
        uow.cards.first_page()
        uow.cards.on_shelf(None)
    with statements(database) as sent, read(database) as uow:
        assert [card.name for card in uow.cards.on_shelf(shelf_id=1)] == ["ace", "king"]
        assert [card.name for card in uow.cards.on_shelf(None)] == ["queen"]
        found = uow.cards.find_by_name("ace")
        assert found is uow.cards.on_shelf(1)[0]
        assert uow.cards.on_shelves_named("top") == ["ace", "king"]
        assert uow.cards.number() == 3
        page = uow.cards.first_page(2)
        assert isinstance(page, Page)
        assert (page.items[0], page.total) == (found, 3)
    assert not sent
    with statements(database) as sent, read(database) as uow:
        assert uow.cards.on_shelf(2) == []
    assert len(sent) == 1


def test_an_empty_list_and_zero_are_answers(database: Database) -> None:
    for count in (1, 0):
        with statements(database) as sent, read(database) as uow:
            assert uow.cards.on_shelf(7) == []
        assert len(sent) == count


def test_arguments_that_cannot_be_a_key_are_refused_by_name(database: Database) -> None:
    with read(database) as uow, pytest.raises(CacheError, match=r"on_shelf.+shelf_id.+list"):
        uow.cards.on_shelf([1])  # type: ignore[arg-type]


def test_rows_of_a_session_are_not_kept(database: Database) -> None:
    with read(database) as uow, pytest.raises(CacheError, match=r"rows.+entities"):
        uow.cards.rows()


def test_an_error_of_a_query_is_not_kept(database: Database) -> None:
    Failing.calls = 0
    with FailingUnit(database, read_only=True) as uow:
        with pytest.raises(LookupError):
            uow.cards.fails_once()
        assert uow.cards.fails_once() == 3
        assert uow.cards.fails_once() == 3
    assert Failing.calls == 2


# -- how it is declared ------------------------------------------------------------------------


def test_a_cache_needs_entities_of_the_domain() -> None:
    class CachedRow(Model, table=True):
        __tablename__: ClassVar[str] = "cached_rows"
        id: int | None = Field(default=None, primary_key=True)

    with pytest.raises(TypeError, match=r"rows belong to their session"):

        class Rows(BaseRepository[CachedRow]):
            cache = CachePolicy(ttl=1)


def test_a_cached_query_needs_a_cache() -> None:
    with pytest.raises(TypeError, match=r"Uncached\.everything is cached: give Uncached a cache"):

        class Uncached(BaseRepository[Card]):
            model = CardModel

            @cached_query
            def everything(self) -> list[Card]:
                return self.get_all()


def test_a_generator_cannot_be_cached() -> None:
    with pytest.raises(TypeError, match="generator"):

        @cached_query
        def everything(self: Cards) -> Any:
            yield from self.stream()


@pytest.mark.parametrize("wrong", [{"ttl": 0}, {"ttl": -1}, {"ttl": 1, "maxsize": 0}])
def test_a_policy_is_checked_when_it_is_written(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="CachePolicy"):
        CachePolicy(**wrong)


def test_another_cache_can_be_put_in_its_place(database: Database) -> None:
    CLOCKED.clear()
    with OtherUnit(database, read_only=True) as uow:
        uow.cards.require(1)
    behind(database, "joker")
    with OtherUnit(database, read_only=True) as uow:
        assert uow.cards.require(1).name == "ace"
    assert len(CLOCKED) == 1
    NOW[0] += 5.1
    with OtherUnit(database, read_only=True) as uow:
        assert uow.cards.require(1).name == "joker"
        uow.cards.require(2)
    assert len(CLOCKED) == 1


# -- who shares it -----------------------------------------------------------------------------


def test_two_objects_for_one_database_share_their_caches(
    shared_url: str, make_database: Any
) -> None:
    one, other = make_database(shared_url), make_database(shared_url)
    fill(one)
    with read(one) as uow:
        uow.cards.require(1)
    with Unit(other) as uow:
        uow.cards.require(1).name = "joker"
        uow.commit()
    with read(one) as uow:
        assert uow.cards.require(1).name == "joker"


def test_two_databases_share_nothing(make_database: Any) -> None:
    one, other = make_database("sqlite://"), make_database("sqlite://")
    fill(one)
    with read(one) as uow:
        uow.cards.require(1)
    with read(other) as uow:
        assert uow.cards.get_by_id(1) is None


def test_a_database_that_is_closed_forgets(shared_url: str, make_database: Any) -> None:
    database = make_database(shared_url)
    fill(database)
    with read(database) as uow:
        uow.cards.require(1)
    database.close()
    behind(database, "joker")
    with read(database) as uow:
        assert uow.cards.require(1).name == "joker"


def test_of_many_threads_that_miss_one_key_one_asks_the_database(
    shared_database: Database,
) -> None:
    fill(shared_database)
    ASKED.clear()
    together = threading.Barrier(16)

    def look(_: int) -> int:
        together.wait()
        with SlowUnit(shared_database, read_only=True) as uow:
            return uow.cards.slow()

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(look, range(16))) == [3] * 16
    assert len(ASKED) == 1
