"""Tables whose repositories are cached."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

from sqlmodel import Field, select

from domain import Entity, Page, where
from infrastructure.cache import CachePolicy
from infrastructure.database import (
    BaseRepository,
    BaseUnitOfWork,
    Children,
    Model,
    Versioned,
    cached_query,
)


@dataclass(eq=False, kw_only=True)
class Shelf(Entity):
    name: str
    id: int | None = None


@dataclass(eq=False, kw_only=True)
class Card(Entity):
    name: str
    text: str = ""
    shelf_id: int | None = None
    notes: dict[str, Any] = field(default_factory=dict)
    id: int | None = None


@dataclass(eq=False, kw_only=True)
class Track(Entity):
    name: str
    id: int | None = None


@dataclass(eq=False, kw_only=True)
class Album(Entity):
    name: str
    tracks: list[Track] = field(default_factory=list)
    id: int | None = None


class ShelfModel(Shelf, Model, table=True):
    __tablename__: ClassVar[str] = "cached_shelves"

    id: int | None = Field(default=None, primary_key=True)


class CardModel(Card, Versioned, Model, table=True):
    __tablename__: ClassVar[str] = "cached_cards"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)
    shelf_id: int | None = Field(
        default=None, foreign_key="cached_shelves.id", ondelete="SET NULL", index=True
    )


class AlbumModel(Album, Versioned, Model, table=True):
    __tablename__: ClassVar[str] = "cached_albums"

    id: int | None = Field(default=None, primary_key=True)
    tracks: list[Track] = Children("TrackModel", order_by="position")


class TrackModel(Track, Model, table=True):
    __tablename__: ClassVar[str] = "cached_tracks"

    id: int | None = Field(default=None, primary_key=True)
    album_id: int = Field(foreign_key="cached_albums.id", index=True)
    position: int


TABLES: list[Any] = [ShelfModel, CardModel, AlbumModel, TrackModel]


class PlainCards(BaseRepository[Card]):
    model = CardModel


class Cards(BaseRepository[Card]):
    model = CardModel
    cache = CachePolicy(ttl=600)

    @cached_query
    def find_by_name(self, name: str, /) -> Card | None:
        return self.first(where("name") == name)

    @cached_query
    def on_shelf(self, shelf_id: int | None) -> list[Card]:
        return self.get_all(where("shelf_id") == shelf_id, order_by="name")

    @cached_query
    def on_shelves_named(self, name: str) -> list[str]:
        query = select(CardModel.name).join(ShelfModel).where(ShelfModel.name == name)
        return list(self.session.scalars(query.order_by(CardModel.name)))

    @cached_query
    def number(self) -> int:
        return self.count()

    @cached_query
    def first_page(self, size: int = 2) -> Page[Card]:
        return self.page(order_by="name", size=size)

    @cached_query
    def as_text(self) -> list[str]:
        from sqlalchemy import text

        return list(self.session.scalars(text("SELECT text FROM cached_cards ORDER BY text")))

    @cached_query
    def rows(self) -> list[CardModel]:
        return list(self.session.scalars(select(CardModel)))


class Shelves(BaseRepository[Shelf]):
    model = ShelfModel


class Albums(BaseRepository[Album]):
    model = AlbumModel
    cache = CachePolicy(ttl=600)

    @cached_query
    def with_track(self, name: str) -> list[Album]:
        has_it = AlbumModel.id == TrackModel.album_id  # type: ignore[comparison-overlap]
        found = self.session.scalars(
            select(AlbumModel.id).where(has_it, TrackModel.name == name)  # type: ignore[arg-type]
        )
        return self.get_many(list(found))


class Unit(BaseUnitOfWork):
    cards: Cards
    plain_cards: PlainCards
    shelves: Shelves
    albums: Albums
