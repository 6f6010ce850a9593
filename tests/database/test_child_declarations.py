"""Declarations of children: those that cannot work say why, and unusual ones work."""

from dataclasses import dataclass, field
from pathlib import Path
from subprocess import run
from sys import executable
from typing import Any, ClassVar

import pytest
from sqlmodel import Field

from domain import Entity
from infrastructure.database import BaseRepository, BaseUnitOfWork, Children, Database, Model

ROOT = Path(__file__).parents[2]


@dataclass(eq=False, kw_only=True)
class Seed(Entity):
    name: str
    id: int | None = None


@dataclass(eq=False, kw_only=True)
class Meadow(Entity):
    name: str
    seeds: list[Seed] = field(default_factory=list)
    id: int | None = None


class SeedModel(Seed, Model, table=True):
    __tablename__: ClassVar[str] = "childdecl_seeds"

    id: int | None = Field(default=None, primary_key=True)
    meadow_name: str = Field(foreign_key="childdecl_meadows.name")


class Stone(Model, table=True):
    """No domain class, and known to its root's table only."""

    __tablename__: ClassVar[str] = "childdecl_stones"

    id: int | None = Field(default=None, primary_key=True)
    weight: int
    meadow_id: int = Field(foreign_key="childdecl_meadows.id")


class MeadowModel(Meadow, Model, table=True):
    __tablename__: ClassVar[str] = "childdecl_meadows"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)
    seeds: list[Seed] = Children(SeedModel)
    stones: list[Stone] = Children(Stone, order_by="-weight")


class Meadows(BaseRepository[Meadow]):
    model = MeadowModel


class MeadowRows(BaseRepository[MeadowModel]):
    pass


class SeedRepository(BaseRepository[Seed]):
    model = SeedModel


class Units(BaseUnitOfWork):
    meadows: Meadows
    rows: MeadowRows


class WrongUnits(BaseUnitOfWork):
    seeds: SeedRepository


@pytest.fixture
def tables() -> list[Any]:
    return [MeadowModel, SeedModel, Stone]


def test_children_refer_to_any_unique_column_and_are_named_by_class(database: Database) -> None:
    with Units(database) as uow:
        made = uow.meadows.create(Meadow(name="east", seeds=[Seed(name="a"), Seed(name="b")]))
        made.seeds.pop(0)
        made.seeds.append(Seed(name="c"))
        uow.commit()
    with Units(database, read_only=True) as uow:
        assert [seed.name for seed in uow.meadows.require(made.id).seeds] == ["b", "c"]


def test_a_root_whose_children_refer_to_its_name_is_updated(
    database: Database,
) -> None:
    with Units(database) as uow:
        made = uow.meadows.create(Meadow(name="east", seeds=[Seed(name="a")]))
        uow.commit()
    with Units(database, read_only=True) as uow:
        plain = uow.meadows.require(made.id)
    plain.seeds.append(Seed(name="b"))
    with Units(database) as uow:
        uow.meadows.update(plain)
        uow.commit()
    with Units(database, read_only=True) as uow:
        assert [seed.name for seed in uow.meadows.require(made.id).seeds] == ["a", "b"]


def test_children_that_the_domain_does_not_know_survive_an_update_of_a_plain_root(
    database: Database,
) -> None:
    with Units(database) as uow:
        made = uow.rows.create(MeadowModel(name="east", stones=[Stone(weight=n) for n in (1, 3)]))
        uow.commit()
    with Units(database, read_only=True) as uow:
        plain = uow.meadows.require(made.id)
    plain.name = "east"
    plain.seeds.append(Seed(name="a"))
    with Units(database) as uow:
        uow.meadows.update(plain)
        uow.rows.require(made.id).stones.append(Stone(weight=2))
        uow.commit()
    with Units(database, read_only=True) as uow:
        assert [stone.weight for stone in uow.rows.require(made.id).stones] == [3, 2, 1]


def test_a_repository_of_children_is_refused(database: Database) -> None:
    with pytest.raises(TypeError, match="Seed belongs to Meadow"), WrongUnits(database) as uow:
        uow.seeds.get_all()


@pytest.mark.parametrize(
    "annotation", [list, tuple[Seed, ...], set[Seed], dict[int, Seed], list[Seed] | None, Seed]
)
def test_children_are_annotated_as_a_list(annotation: Any) -> None:
    with pytest.raises(TypeError, match=r"RefusedModel\.parts: children are a list"):

        class RefusedModel(Model, table=True):
            __tablename__: ClassVar[str] = "childdecl_refused"
            id: int | None = Field(default=None, primary_key=True)
            parts: annotation = Children("PartModel")


# -- in a process of their own, because its tables are broken afterwards ----------------------

BEGINNING = """
from typing import ClassVar
from sqlmodel import Field, SQLModel
from infrastructure.database import Children, Model

class Leaf(Model, table=True):
    __tablename__: ClassVar[str] = "leaves"
    id: int | None = Field(default=None, primary_key=True)
    tree_id: int = Field(foreign_key="trees.id")
    twig_id: int | None = Field(default=None, foreign_key="twigs.id")
    twigs: list["Twig"] = MORE

class Twig(Model, table=True):
    __tablename__: ClassVar[str] = "twigs"
    id: int | None = Field(default=None, primary_key=True)
    POINTER
    leaves: list[Leaf] = Children("Leaf")

class Schema(SQLModel):
    name: str

class Tree(Model, table=True):
    __tablename__: ClassVar[str] = "trees"
    id: int | None = Field(default=None, primary_key=True)
    leaves: list[Leaf] = Children(LEAF)
"""
POINTER = 'leaf_id: int | None = Field(default=None, foreign_key="leaves.id")'
ONE = BEGINNING.replace('    twigs: list["Twig"] = MORE\n', "").replace("    POINTER\n", "")
LONE = ONE.replace('    leaves: list[Leaf] = Children("Leaf")\n', "")
SECOND = """
class Leaf(Model, table=True):
    __tablename__: ClassVar[str] = "other_leaves"
    id: int | None = Field(default=None, primary_key=True)
"""
ENDING = """
for _ in range(2):
    try:
        Tree()
    except Exception as error:
        print(type(error).__name__, error)
"""


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (LONE.replace("LEAF", '"Schema"'), "Tree.leaves: no table has a model called Schema"),
        (LONE.replace("LEAF", '"leaves"'), "Tree.leaves: no table has a model called leaves"),
        (LONE.replace("LEAF", '"Twig"'), "Tree.leaves: Twig has no foreign key to trees"),
        (LONE.replace("LEAF", '"Tree"'), "Tree.leaves: a root cannot be among its own children"),
        (LONE.replace("LEAF", '"Leaf"') + SECOND, "several tables have a model called Leaf"),
        (LONE.replace("LEAF", '"Leaf", order_by="size"'), "Leaf has no column size"),
        (LONE.replace("LEAF", '"Leaf", order_by="--id"'), "Leaf has no column -id"),
        (LONE.replace("LEAF", '"Leaf", order_by="twigs"'), "Leaf has no column twigs"),
        (ONE.replace("LEAF", '"Leaf"'), "Leaf are the children of"),
        (
            BEGINNING.replace("MORE", 'Children("Twig")')
            .replace("POINTER", POINTER)
            .replace("    leaves: list[Leaf] = Children(LEAF)\n", ""),
            "children",
        ),
    ],
    ids=[
        "no table",
        "name of the table",
        "no link",
        "itself",
        "two of one name",
        "no column",
        "two signs",
        "a relationship",
        "two roots",
        "each is the child of the other",
    ],
)
def test_what_cannot_work_says_so_each_time(program: str, said: str) -> None:
    done = run(
        [executable, "-c", program + ENDING],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first.startswith("TypeError")
    assert said in first
    assert said in second


@pytest.mark.parametrize("wrong", ["Schema", "int", "lambda: Leaf", "b'Leaf'", "[Leaf]"])
def test_what_is_no_table_is_refused_with_the_class(wrong: str) -> None:
    done = run(
        [executable, "-c", LONE.replace("LEAF", wrong)],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr.splitlines()[-1].startswith("TypeError: Children(")


def test_a_root_may_refer_to_one_of_its_children() -> None:
    program = BEGINNING.replace("POINTER", POINTER).replace('    twigs: list["Twig"] = MORE\n', "")
    program = program.replace("    leaves: list[Leaf] = Children(LEAF)\n", "")
    done = run(
        [executable, "-c", program + "print(len(Twig(leaves=[Leaf(tree_id=1)]).leaves))"],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "1\n", done.stderr
