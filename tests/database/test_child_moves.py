"""Children that move from list to list, and children of children."""

from dataclasses import dataclass, field
from typing import Any, ClassVar
from uuid import UUID

import pytest
from sqlalchemy import func, select
from sqlmodel import Field

from domain import Entity
from domain.entity import new_id
from domain.errors import KitError, ValidationError
from infrastructure.database import (
    BaseRepository,
    BaseUnitOfWork,
    Children,
    Database,
    Model,
    Versioned,
)

pytestmark = pytest.mark.thorough


@dataclass(eq=False, kw_only=True)
class Leaf(Entity):
    name: str
    id: UUID = field(default_factory=new_id)


@dataclass(eq=False, kw_only=True)
class Twig(Entity):
    name: str
    leaves: list[Leaf] = field(default_factory=list)
    id: int | None = None


@dataclass(eq=False, kw_only=True)
class Tree(Entity):
    twigs: list[Twig] = field(default_factory=list)
    id: int | None = None


class TreeModel(Tree, Versioned, Model, table=True):
    """Numbered children, which have numbered children."""

    __tablename__: ClassVar[str] = "childmoves_trees"

    id: int | None = Field(default=None, primary_key=True)
    twigs: list[Twig] = Children("TwigModel", order_by="place")


class TwigModel(Twig, Model, table=True):
    __tablename__: ClassVar[str] = "childmoves_twigs"

    id: int | None = Field(default=None, primary_key=True)
    tree_id: int = Field(foreign_key="childmoves_trees.id", index=True)
    place: int
    leaves: list[Leaf] = Children("LeafModel", order_by="place")


class LeafModel(Leaf, Model, table=True):
    __tablename__: ClassVar[str] = "childmoves_leaves"

    id: UUID = Field(primary_key=True)
    twig_id: int = Field(foreign_key="childmoves_twigs.id", index=True)
    place: int


class Trees(BaseRepository[Tree]):
    model = TreeModel


class Units(BaseUnitOfWork):
    trees: Trees


@pytest.fixture
def tables() -> list[Any]:
    return [TreeModel, TwigModel, LeafModel]


def count(database: Database, model: Any) -> int:
    with database.engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(model)) or 0


def a_tree(shape: dict[str, str]) -> Tree:
    return Tree(twigs=[Twig(name=k, leaves=[Leaf(name=n) for n in v]) for k, v in shape.items()])


def shape_of(tree: Tree) -> dict[str, str]:
    return {twig.name: "".join(leaf.name for leaf in twig.leaves) for twig in tree.twigs}


def shape(database: Database, id: Any) -> dict[str, str]:
    with Units(database, read_only=True) as uow:
        return shape_of(uow.trees.require(id))


def versions(database: Database, *ids: Any) -> list[int]:
    with Units(database) as uow:
        return [uow.repository(TreeModel).require(id).version for id in ids]


@pytest.fixture
def ids(database: Database) -> Any:
    with Units(database) as uow:
        shapes = [{"a": "12", "b": "34", "c": ""}, {"d": "56"}, {}]
        made = uow.trees.create_many([a_tree(one) for one in shapes])
        uow.commit()
    return [tree.id for tree in made]


def test_a_child_moves_with_its_own_children(database: Database, ids: list[int]) -> None:
    with Units(database) as uow:
        one, two, three = uow.trees.get_many(ids)
        moved = [one.twigs.pop(1), two.twigs.pop()]
        two.twigs.insert(0, moved[0])
        three.twigs.extend(moved[1:])
        uow.commit()
    assert [list(shape(database, id).items()) for id in ids] == [
        [("a", "12"), ("c", "")],
        [("b", "34")],
        [("d", "56")],
    ]
    assert versions(database, *ids) == [2, 2, 2]
    assert (count(database, TwigModel), count(database, LeafModel)) == (4, 6)


def test_two_roots_exchange_all_their_children(database: Database, ids: list[int]) -> None:
    with Units(database) as uow:
        one, two = uow.trees.get_many(ids[:2])
        first, second = list(one.twigs), list(two.twigs)
        one.twigs, two.twigs = [], []
        one.twigs, two.twigs = second, first
        uow.commit()
    assert shape(database, ids[0]) == {"d": "56"}
    assert shape(database, ids[1]) == {"a": "12", "b": "34", "c": ""}
    assert versions(database, *ids) == [2, 2, 1]


def test_grandchildren_move_between_children(database: Database, ids: list[int]) -> None:
    with Units(database) as uow:
        one, two, _ = uow.trees.get_many(ids)
        a, b, c = one.twigs
        c.leaves.append(a.leaves.pop(0))
        two.twigs[0].leaves.insert(1, b.leaves.pop())
        b.leaves.append(two.twigs[0].leaves.pop(0))
        uow.commit()
    assert shape(database, ids[0]) == {"a": "2", "b": "35", "c": "1"}
    assert shape(database, ids[1]) == {"d": "46"}
    assert versions(database, *ids) == [2, 2, 1]
    assert count(database, LeafModel) == 6


def test_grandchildren_survive_the_child_that_they_left(database: Database, ids: list[int]) -> None:
    with Units(database) as uow:
        tree = uow.trees.require(ids[0])
        b = tree.twigs.pop(1)
        leaves, b.leaves = list(b.leaves), []
        tree.twigs.append(Twig(name="n", leaves=[Leaf(name="0"), *leaves]))
        uow.commit()
    assert shape(database, ids[0]) == {"a": "12", "c": "", "n": "034"}
    assert count(database, LeafModel) == 7


def test_a_removed_child_takes_its_children_along(database: Database, ids: list[int]) -> None:
    with Units(database) as uow:
        one, two, _ = uow.trees.get_many(ids)
        del one.twigs[0]
        two.twigs = [Twig(name="n", leaves=[Leaf(name="7")])]
        uow.commit()
    assert shape(database, ids[0]) == {"b": "34", "c": ""}
    assert shape(database, ids[1]) == {"n": "7"}
    assert (count(database, TwigModel), count(database, LeafModel)) == (3, 3)


def test_an_order_of_grandchildren_is_kept_and_advances_the_version(
    database: Database, ids: list[int]
) -> None:
    with Units(database) as uow:
        uow.trees.require(ids[0]).twigs[1].leaves.reverse()
        uow.commit()
    assert shape(database, ids[0])["b"] == "43"
    assert versions(database, ids[0]) == [2]


def test_a_moved_child_is_in_one_list_only(database: Database, ids: list[int]) -> None:
    with Units(database) as uow:
        one, two, _ = uow.trees.get_many(ids)
        twig = one.twigs.pop(0)
        two.twigs.append(twig)
        with pytest.raises(ValidationError, match="belongs to another Tree"):
            one.twigs.append(twig)
        uow.commit()
    assert shape(database, ids[0]) == {"b": "34", "c": ""}
    assert shape(database, ids[1]) == {"d": "56", "a": "12"}


def test_a_child_that_moved_and_came_back_is_where_it_was(
    database: Database, ids: list[int]
) -> None:
    with Units(database) as uow:
        one, two, _ = uow.trees.get_many(ids)
        two.twigs.append(one.twigs.pop(0))
        one.twigs.insert(0, two.twigs.pop())
        uow.commit()
    assert list(shape(database, ids[0]).items()) == [("a", "12"), ("b", "34"), ("c", "")]


def test_a_child_that_a_query_deleted_meanwhile_can_come_back(
    database: Database, ids: list[int]
) -> None:
    with Units(database) as uow:
        one, two, _ = uow.trees.get_many(ids)
        twig = one.twigs.pop(0)
        assert uow.trees.count() == 3  # the query writes what is waiting
        two.twigs.append(twig)
        uow.commit()
    assert shape(database, ids[0]) == {"b": "34", "c": ""}
    assert shape(database, ids[1]) == {"d": "56", "a": "12"}


@pytest.mark.parametrize("flush", [False, True])
def test_a_plain_child_takes_the_place_of_its_row(
    database: Database, ids: list[int], flush: bool
) -> None:
    with Units(database, read_only=True) as uow:
        plain = uow.trees.require(ids[0]).twigs[2]
    with Units(database) as uow:
        tree = uow.trees.require(ids[0])
        tree.twigs.remove(plain)
        if flush:
            uow.session.flush()
        tree.twigs.insert(0, plain)
        uow.commit()
    assert list(shape(database, ids[0]).items()) == [("c", ""), ("a", "12"), ("b", "34")]
    assert count(database, TwigModel) == 4


@pytest.mark.parametrize("flush", [False, True])
def test_a_plain_child_with_an_id_of_the_domain_is_moved_by_equality(
    database: Database, ids: list[int], flush: bool
) -> None:
    leaf = Leaf(name="7")
    with Units(database) as uow:
        leaves = uow.trees.require(ids[0]).twigs[0].leaves
        leaves.append(leaf)
        if flush:
            uow.session.flush()
        leaves.remove(leaf)
        leaves.insert(0, leaf)
        uow.commit()
    assert shape(database, ids[0])["a"] == "712"


def test_a_row_of_an_earlier_unit_is_no_other_child(database: Database, ids: list[int]) -> None:
    with Units(database) as uow:
        before = uow.trees.require(ids[0]).twigs[2]
    with Units(database) as uow:
        tree = uow.trees.require(ids[0])
        with pytest.raises(KitError):
            tree.twigs.append(before)
            uow.session.flush()
        uow.rollback()
    assert list(shape(database, ids[0])) == ["a", "b", "c"]
    assert count(database, TwigModel) == 4


def test_grandchildren_of_a_plain_root_move(database: Database, ids: list[int]) -> None:
    with Units(database, read_only=True) as uow:
        tree = uow.trees.require(ids[0])
    a, b, c = tree.twigs
    c.leaves = [a.leaves.pop(), *b.leaves]
    b.leaves = [Leaf(name="7")]
    tree.twigs = [c, b, a]
    with Units(database) as uow:
        uow.trees.update(tree)
        uow.commit()
    assert list(shape(database, ids[0]).items()) == [("c", "234"), ("b", "7"), ("a", "1")]
    assert count(database, LeafModel) == 7
