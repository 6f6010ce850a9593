"""Shelves and books for tests: a table with versions, and one that refers to it."""

from dataclasses import dataclass
from typing import Any, ClassVar

from sqlmodel import Field

from domain import Entity
from infrastructure.database import BaseRepository, BaseUnitOfWork, Model, Versioned


@dataclass(eq=False, kw_only=True)
class Shelf(Entity):
    name: str
    size: int = 0
    id: int | None = None


class ShelfModel(Shelf, Versioned, Model, table=True):
    __tablename__: ClassVar[str] = "library_shelves"
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)


@dataclass(eq=False, kw_only=True)
class Book(Entity):
    name: str
    size: int = 0
    shelf_id: int | None = None
    id: int | None = None


class BookModel(Book, Model, table=True):
    __tablename__: ClassVar[str] = "library_books"
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)
    shelf_id: int | None = Field(default=None, foreign_key="library_shelves.id")


class ShelfRepository(BaseRepository[Shelf]):
    model = ShelfModel


class BookRepository(BaseRepository[Book]):
    model = BookModel


class Units(BaseUnitOfWork):
    shelves: ShelfRepository
    books: BookRepository


ENTITIES: dict[str, Any] = {"shelf": Shelf, "book": Book}
MODELS: dict[str, Any] = {"shelf": ShelfModel, "book": BookModel}
