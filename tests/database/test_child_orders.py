"""The order in which children come back where the kit does not number them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
from sqlmodel import Field

from domain import Entity
from domain.errors import ValidationError
from infrastructure.database import (
    BaseRepository,
    BaseUnitOfWork,
    Children,
    Database,
    Model,
)

pytestmark = pytest.mark.thorough


@dataclass(eq=False, kw_only=True)
class Ranked(Entity):
    name: str
    weight: int | None = None
    id: int | None = None


@dataclass(eq=False, kw_only=True)
class Ranking(Entity):
    rising: list[Ranked] = field(default_factory=list)
    falling: list[Ranked] = field(default_factory=list)
    unordered: list[Ranked] = field(default_factory=list)
    id: int | None = None


class RankingModel(Ranking, Model, table=True):
    __tablename__: ClassVar[str] = "childorders_rankings"

    id: int | None = Field(default=None, primary_key=True)
    rising: list[Ranked] = Children("RisingModel", order_by="weight")
    falling: list[Ranked] = Children("FallingModel", order_by=("-weight", "name"))
    unordered: list[Ranked] = Children("UnorderedModel")


class RisingModel(Ranked, Model, table=True):
    __tablename__: ClassVar[str] = "childorders_rising"

    id: int | None = Field(default=None, primary_key=True)
    ranking_id: int = Field(foreign_key="childorders_rankings.id", index=True)


class FallingModel(Ranked, Model, table=True):
    __tablename__: ClassVar[str] = "childorders_falling"

    id: int | None = Field(default=None, primary_key=True)
    ranking_id: int = Field(foreign_key="childorders_rankings.id", index=True)


class UnorderedModel(Ranked, Model, table=True):
    __tablename__: ClassVar[str] = "childorders_unordered"

    id: int | None = Field(default=None, primary_key=True)
    ranking_id: int = Field(foreign_key="childorders_rankings.id", index=True)


class Rankings(BaseRepository[Ranking]):
    model = RankingModel


class Units(BaseUnitOfWork):
    rankings: Rankings


@pytest.fixture
def tables() -> list[Any]:
    return [RankingModel, RisingModel, FallingModel, UnorderedModel]


def names(children: list[Any]) -> str:
    return "".join(child.name for child in children)


def ranked(weights: dict[str, int | None]) -> list[Ranked]:
    return [Ranked(name=name, weight=weight) for name, weight in weights.items()]


WEIGHTS: dict[str, int | None] = {"a": 2, "b": None, "c": 3, "d": 1, "e": 2}


def ranking(database: Database, id: Any) -> Ranking:
    with Units(database, read_only=True) as uow:
        return uow.rankings.require(id)


@pytest.fixture
def ranking_id(database: Database) -> Any:
    with Units(database) as uow:
        rising, falling, unordered = (ranked(WEIGHTS) for _ in range(3))
        made = uow.rankings.create(Ranking(rising=rising, falling=falling, unordered=unordered))
        uow.commit()
    return made.id


def test_children_are_sorted_by_a_field_when_they_are_loaded(
    database: Database, ranking_id: int
) -> None:
    loaded = ranking(database, ranking_id)
    assert names(loaded.rising) == "daecb"
    assert names(loaded.falling) == "bcaed"
    assert names(loaded.unordered) == "abcde"


def test_a_sorted_list_may_be_in_any_order_until_it_is_loaded_again(
    database: Database, ranking_id: int
) -> None:
    with Units(database) as uow:
        loaded = uow.rankings.require(ranking_id)
        loaded.rising.reverse()
        loaded.falling.insert(0, Ranked(name="x", weight=0))
        loaded.falling = loaded.falling[::-1]
        loaded.rising[0].weight = 0
        uow.commit()
        assert names(loaded.rising) == "bcead"
    loaded = ranking(database, ranking_id)
    assert names(loaded.rising) == "bdaec"
    assert names(loaded.falling) == "bcaedx"


REORDERED: dict[str, Callable[[list[Ranked]], Any]] = {
    "swap": lambda held: held.__setitem__(slice(0, 2), [held[1], held[0]]),
    "sort": lambda held: held.sort(key=lambda one: one.name, reverse=True),
    "reverse": lambda held: held.reverse(),
    "move": lambda held: held.insert(0, held.pop()),
    "insert a new one first": lambda held: held.insert(0, Ranked(name="x")),
    "insert a new one in between": lambda held: held.insert(2, Ranked(name="x")),
    "replace one": lambda held: held.__setitem__(1, Ranked(name="x")),
    "two new ones, of which the second goes first": lambda held: [
        held.append(Ranked(name="x")),
        held.insert(5, Ranked(name="y")),
    ],
    "new ones, of which the last goes and comes first": lambda held: [
        held.extend(ranked({"x": 1, "y": 1})),
        held.insert(5, held.pop(6)),
    ],
    "new ones, of which one goes and comes again": lambda held: [
        held.extend(ranked({"x": 1, "y": 1})),
        held.insert(5, held.pop(5)),
    ],
    "two new ones in reverse": lambda held: [
        held.extend(ranked({"x": 1, "y": 1})),
        held.insert(6, held.pop(5)),
    ],
}


@pytest.mark.parametrize("plain", [False, True], ids=["tracked", "plain"])
@pytest.mark.parametrize("change", REORDERED.values(), ids=REORDERED.keys())
def test_an_order_that_would_be_lost_is_refused(
    database: Database, ranking_id: int, change: Callable[[list[Ranked]], Any], plain: bool
) -> None:
    with Units(database, read_only=plain) as uow:
        loaded = uow.rankings.require(ranking_id)
        change(loaded.unordered)
        wanted = names(loaded.unordered)
        refused = None
        if not plain:
            try:
                uow.commit()
            except ValidationError as error:
                refused = error
                uow.rollback()
    if plain:
        try:
            with Units(database) as uow:
                uow.rankings.update(loaded)
                uow.commit()
        except ValidationError as error:
            refused = error
    if refused is None:
        assert names(ranking(database, ranking_id).unordered) == wanted
    else:
        assert (refused.entity, list(refused.errors)) == ("Ranking", ["unordered"])
        assert names(ranking(database, ranking_id).unordered) == "abcde"


def test_what_keeps_the_order_of_the_keys_is_stored(database: Database, ranking_id: int) -> None:
    with Units(database) as uow:
        held = uow.rankings.require(ranking_id).unordered
        del held[1]
        held.extend(ranked({"x": 1, "y": 1}))
        held.append(Ranked(name="z"))
        held.pop(-2)
        uow.commit()
    assert names(ranking(database, ranking_id).unordered) == "acdexz"


def test_a_refused_order_can_be_mended(database: Database, ranking_id: int) -> None:
    with Units(database) as uow:
        loaded = uow.rankings.require(ranking_id)
        loaded.unordered.reverse()
        with pytest.raises(ValidationError, match=r"Ranking .*unordered"):
            uow.commit()
        loaded.unordered = sorted(loaded.unordered, key=lambda one: one.id or 0)
        loaded.unordered.append(Ranked(name="x"))
        uow.commit()
    assert names(ranking(database, ranking_id).unordered) == "abcdex"
