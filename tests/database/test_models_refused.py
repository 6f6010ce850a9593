"""What a table cannot be made of: refused when the class is made, in words that say why."""

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import InitVar, dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest
from pydantic import model_validator
from sqlmodel import Field, Relationship

from domain import Entity
from infrastructure.database import BaseUnitOfWork, Database, Model, Versioned


@dataclass(eq=False, kw_only=True)
class Good(Entity):
    name: str
    id: int | None = None


@dataclass(eq=False, kw_only=True)
class Other(Entity):
    title: str
    id: int | None = None


@dataclass(kw_only=True)
class ComparedByValue(Entity):
    name: str
    id: int | None = None


class NoDataclass(Entity):
    name: str
    id: int | None = None


@dataclass(eq=False, kw_only=True, slots=True)
class Slotted(Entity):
    name: str
    id: int | None = None


@dataclass(eq=False, kw_only=True)
class WithInitVar(Entity):
    name: str
    seed: InitVar[int] = 0
    id: int | None = None


def _compared_by_value() -> None:
    class Refused(ComparedByValue, Model, table=True):
        id: int | None = Field(default=None, primary_key=True)


def _no_dataclass() -> None:
    class Refused(NoDataclass, Model, table=True):
        id: int | None = Field(default=None, primary_key=True)


def _slotted() -> None:
    class Refused(Slotted, Model, table=True):
        id: int | None = Field(default=None, primary_key=True)


def _init_var() -> None:
    class Refused(WithInitVar, Model, table=True):
        id: int | None = Field(default=None, primary_key=True)


def _entity_last() -> None:
    class Refused(Model, Good, table=True):
        id: int | None = Field(default=None, primary_key=True)


def _entity_after_a_mixin() -> None:
    class Refused(Versioned, Good, Model, table=True):
        id: int | None = Field(default=None, primary_key=True)


def _two_domain_classes() -> None:
    class Refused(Good, Other, Model, table=True):
        id: int | None = Field(default=None, primary_key=True)


def _validator_after() -> None:
    class Refused(Model, table=True):
        id: int | None = Field(default=None, primary_key=True)

        @model_validator(mode="after")
        def _rule(self) -> "Refused":
            return self


def _validator_before() -> None:
    class Refused(Good, Model, table=True):
        id: int | None = Field(default=None, primary_key=True)

        @model_validator(mode="before")
        @classmethod
        def _rule(cls, values: Any) -> Any:
            return values


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (_compared_by_value, r"ComparedByValue.*@dataclass\(eq=False\)"),
        (_no_dataclass, r"NoDataclass.*@dataclass\(eq=False\)"),
        (_slotted, r"Slotted.*slots"),
        (_init_var, r"WithInitVar\.seed.*InitVar"),
        (_entity_last, r"first.*class Refused\(Good, Model, table=True\)"),
        (_entity_after_a_mixin, r"first.*class Refused\(Good, "),
        (_two_domain_classes, "two domain classes"),
        (_validator_after, "model validator.*__post_init__"),
        (_validator_before, "model validator.*__post_init__"),
    ],
)
def test_what_cannot_work_is_refused_and_says_why(make: Callable[[], None], why: str) -> None:
    with pytest.raises(TypeError, match=why) as caught:
        make()

    assert "Refused" in str(caught.value)
    assert "refused" not in Model.metadata.tables, "a refused class leaves no table behind"


def test_a_refused_class_can_be_mended_under_the_same_name() -> None:
    with pytest.raises(TypeError):
        _validator_after()

    class Refused(Model, table=True):
        __tablename__: ClassVar[str] = "refused_mended"
        id: int | None = Field(default=None, primary_key=True)
        others: list["RefusedOther"] = Relationship(back_populates="owner")

    class RefusedOther(Model, table=True):
        __tablename__: ClassVar[str] = "refused_others"
        id: int | None = Field(default=None, primary_key=True)
        owner_id: int | None = Field(default=None, foreign_key="refused_mended.id")
        owner: Refused | None = Relationship(back_populates="others")

    assert RefusedOther(owner=Refused()).owner is not None


RELATED = """
{future}
from sqlmodel import Field, Relationship

from infrastructure.database import Model


class {name}Parent(Model, table=True):
    __tablename__ = "{name}_parents"
    id: int | None = Field(default=None, primary_key=True)
    children: list["{name}Child"] = Relationship(back_populates="parent")


class {name}Child(Model, table=True):
    __tablename__ = "{name}_children"
    id: int | None = Field(default=None, primary_key=True)
    parent_id: int | None = Field(default=None, foreign_key="{name}_parents.id")
    parent: {name}Parent | None = Relationship(back_populates="children")
"""

ALONE = """
from __future__ import annotations

from dataclasses import dataclass

from sqlmodel import Field

from domain import Entity
from infrastructure.database import Model


@dataclass(eq=False, kw_only=True)
class Alone(Entity):
    name: str
    tags: list[str] | None = None
    id: int | None = None


class AloneModel(Alone, Model, table=True):
    __tablename__ = "refused_alone"
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(max_length=5)
"""


def _import(path: Path, source: str, name: str) -> ModuleType:
    (path / f"{name}.py").write_text(source)
    spec = importlib.util.spec_from_file_location(name, path / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_relationships_in_a_module_with_string_annotations_are_refused(tmp_path: Path) -> None:
    source = RELATED.format(future="from __future__ import annotations", name="Strings")

    with pytest.raises(TypeError, match=r"StringsParent\.children.*from __future__"):
        _import(tmp_path, source, "refused_strings")


def test_the_same_module_without_that_line_works(tmp_path: Path) -> None:
    module = _import(tmp_path, RELATED.format(future="", name="Fine"), "refused_fine")

    parent = module.FineParent()
    assert module.FineChild(parent=parent).parent is parent


def test_string_annotations_without_relationships_work(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "refused_alone_module.py").write_text(ALONE)
    module = importlib.import_module("refused_alone_module")

    row = module.AloneModel(name="a", tags=["x"])
    assert (row.id, row.name, row.tags) == (None, "a", ["x"])


@dataclass(eq=False, kw_only=True)
class Base(Entity):
    code: str
    id: int | None = None


@dataclass(eq=False, kw_only=True)
class Derived(Base):
    size: int = 3
    doubled: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.doubled = self.size * 2


@dataclass(eq=False)
class Positional(Entity):
    code: str
    id: int | None = None


class DerivedModel(Derived, Model, table=True):
    __tablename__: ClassVar[str] = "refused_derived"
    id: int | None = Field(default=None, primary_key=True)


class PositionalModel(Positional, Versioned, Model, table=True):
    __tablename__: ClassVar[str] = "refused_positional"
    id: int | None = Field(default=None, primary_key=True)


@pytest.fixture
def tables() -> list[Any]:
    return [DerivedModel, PositionalModel]


def test_a_domain_class_may_inherit_its_fields(database: Database) -> None:
    with BaseUnitOfWork(database) as uow:
        created = uow.repository(DerivedModel).create(DerivedModel(code="a", size=4))
        assert created.doubled == 8
        uow.commit()
    with BaseUnitOfWork(database) as uow:
        found = uow.repository(DerivedModel).require(created.id)
        assert (found.code, found.size, found.doubled) == ("a", 4, 8)


def test_a_domain_class_may_be_made_by_position(database: Database) -> None:
    plain: Any = Positional("a")
    with BaseUnitOfWork(database) as uow:
        created = uow.repository(PositionalModel).create(plain)
        uow.commit()

    assert created == plain
    assert (created.code, created.version) == ("a", 1)
