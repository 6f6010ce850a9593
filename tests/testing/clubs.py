"""A small application of clubs, outside the kit, whose lines are known."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, ClassVar

from sqlmodel import Field

from infrastructure.database import BaseRepository, BaseUnitOfWork, Database, Model
from infrastructure.testing.queries import Queries

SERVICES = """\
from dataclasses import dataclass
from statistics import mean

from domain import where


@dataclass
class Name:
    name: str


def one_by_one(uow):
    for id in (1, 2, 3, 4):
        uow.clubs.require(id)  # a loop


def in_a_comprehension(uow):
    return [
        uow.clubs.require(id).name  # a comprehension
        for id in (1, 2, 3, 4)
    ]


def in_a_lambda(uow):
    sorted((1, 2, 3, 4), key=lambda id: uow.clubs.require(id).name)  # a lambda


class Prices:
    def __init__(self, uow):
        self.uow = uow

    def of(self, id):
        return self.uow.clubs.count(where("id") == id)  # a method that a library calls

    def mean(self):
        return mean(self.of(id) for id in (1, 2, 3, 4))


def rename(uow):
    club = uow.clubs.require(1)
    club.name = "renamed"
    uow.commit()  # a commit


def rename_in_a_savepoint(uow):
    club = uow.clubs.require(1)
    with uow.savepoint():  # a savepoint
        club.name = "renamed"


def its_own_stream(uow):
    for club in uow.clubs.stream(batch_size=1):  # a stream of the application
        yield club.name


def consume(rows):
    for _ in rows:  # a stream of the kit
        pass


def with_a_hook(uow):
    def look():
        with type(uow)(uow._database) as other:
            other.clubs.count()  # a hook

    uow.after_commit(look)
    uow.commit()


def a_view(uow):
    return uow.clubs.view(Name)  # a view
"""


class QueryClub(Model, table=True):
    __tablename__: ClassVar[str] = "query_clubs"

    name: str = Field(unique=True)
    id: int | None = Field(default=None, primary_key=True)


class ClubRepository(BaseRepository[QueryClub]):
    pass


class Clubs(BaseUnitOfWork):
    clubs: ClubRepository


def filled(database: Database) -> Database:
    """With four clubs."""
    with Clubs(database) as uow:
        uow.clubs.create_many([QueryClub(name=f"{n}") for n in range(1, 5)])
        uow.commit()
    return database


def line_of(comment: str) -> int:
    """Where this stands in the application."""
    (line,) = [n for n, code in enumerate(SERVICES.splitlines(), 1) if code.endswith(comment)]
    return line


def places(queries: Queries) -> list[str]:
    return [query.place for query in queries.statements]


def loaded(folder: Path, source: str = SERVICES) -> Any:
    """The module ``shop/services.py`` in this folder, with this source."""
    file = folder / "shop" / "services.py"
    file.parent.mkdir()
    file.write_text(source)
    spec = importlib.util.spec_from_file_location("shop.services", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
