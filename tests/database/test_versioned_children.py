"""Children that count versions of their own, under a root that has none."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
from sqlmodel import Field

from domain import Entity
from domain.errors import ConcurrencyConflict, UnitOfWorkError
from infrastructure.database import (
    BaseRepository,
    BaseUnitOfWork,
    Children,
    Database,
    Model,
    Versioned,
)


@dataclass(eq=False, kw_only=True)
class Step(Entity):
    text: str
    id: int | None = None


@dataclass(eq=False, kw_only=True)
class Recipe(Entity):
    steps: list[Step] = field(default_factory=list)
    id: int | None = None


class RecipeModel(Recipe, Model, table=True):
    __tablename__: ClassVar[str] = "versioned_recipes"

    id: int | None = Field(default=None, primary_key=True)
    steps: list[Step] = Children("RecipeStepModel")


class RecipeStepModel(Step, Versioned, Model, table=True):
    __tablename__: ClassVar[str] = "versioned_steps"

    id: int | None = Field(default=None, primary_key=True)
    recipe_id: int = Field(foreign_key="versioned_recipes.id")


class RecipeRepository(BaseRepository[Recipe]):
    model = RecipeModel


class Units(BaseUnitOfWork):
    recipes: RecipeRepository


@pytest.fixture
def tables() -> list[Any]:
    return [RecipeModel, RecipeStepModel]


def test_an_older_child_fails_the_unit(database: Database) -> None:
    with Units(database) as uow:
        stored = uow.recipes.create(Recipe(steps=[Step(text="boil")]))
        uow.commit()
    with Units(database, read_only=True) as uow:
        older = uow.recipes.require(stored.id)
    with Units(database) as uow:
        uow.recipes.require(stored.id).steps[0].text = "fry"
        uow.commit()

    older.steps[0].text = "bake"
    with Units(database) as uow:
        with pytest.raises(ConcurrencyConflict, match="Step"):
            uow.recipes.update(older)
        with pytest.raises(UnitOfWorkError, match="failed"):
            uow.commit()
    with Units(database, read_only=True) as uow:
        assert uow.recipes.require(stored.id).steps[0].text == "fry"
