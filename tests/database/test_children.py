"""A root and its children in units of work: one whole, whatever is changed and however."""

from __future__ import annotations

import copy
import pickle
import random
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select, update

from domain import where
from domain.errors import (
    ConcurrencyConflict,
    ReadOnlyViolation,
    UncommittedChangesWarning,
    UniqueViolation,
    UnitOfWorkError,
    ValidationError,
)
from infrastructure.database import Database
from tests.database.aggregate_tables import TABLES, BasketModel, PartModel, Units
from tests.database.aggregates import Basket, Item, Part, a_basket, shape
from tests.support import statements

pytestmark = pytest.mark.thorough(6)


@pytest.fixture
def tables() -> list[Any]:
    return TABLES


@pytest.fixture
def basket_id(database: Database) -> Any:
    with Units(database) as uow:
        basket = uow.baskets.create(a_basket("a", "b", "c"))
        uow.commit()
    return basket.id


def stored(database: Database, id: Any) -> Basket:
    with Units(database, read_only=True) as uow:
        return uow.baskets.require(id)


def version_of(database: Database, id: Any) -> int:
    with Units(database) as uow:
        return uow.repository(BasketModel).require(id).version


def count_parts(database: Database) -> int:
    with database.engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(PartModel)) or 0


# -- every way to change it, in every kind of unit -------------------------------------------


def swap(basket: Basket) -> None:
    items = basket.items
    items[0], items[2] = items[2], items[0]


CHANGES: dict[str, Callable[[Basket], Any]] = {
    "a field of a child": lambda basket: setattr(basket.items[1], "amount", 5),
    "inside a list of a child": lambda basket: basket.items[1].tags.append("red"),
    "a field of a grandchild": lambda basket: setattr(basket.items[1].parts[0], "name", "Q"),
    "append": lambda basket: basket.items.append(Item(name="d")),
    "append to a child": lambda basket: basket.items[0].parts.append(Part(name="Z")),
    "extend": lambda basket: basket.items.extend([Item(name="d"), Item(name="e")]),
    "insert": lambda basket: basket.items.insert(1, Item(name="d")),
    "pop": lambda basket: basket.items.pop(0),
    "remove": lambda basket: basket.items.remove(basket.items[1]),
    "clear": lambda basket: basket.items.clear(),
    "clear of a child": lambda basket: basket.items[0].parts.clear(),
    "del": lambda basket: basket.items.__delitem__(slice(0, 2)),
    "replace one": lambda basket: basket.items.__setitem__(1, Item(name="d")),
    "replace a slice": lambda basket: basket.items.__setitem__(slice(1), [Item(name="d")]),
    "swap": swap,
    "move": lambda basket: basket.items.insert(0, basket.items.pop()),
    "sort": lambda basket: basket.items.sort(key=lambda item: item.name, reverse=True),
    "reverse": lambda basket: basket.items.reverse(),
    "shuffle": lambda basket: random.Random(1).shuffle(basket.items),
    "assign a part": lambda basket: setattr(basket, "items", basket.items[::2]),
    "assign another order": lambda basket: setattr(basket, "items", basket.items[::-1]),
    "assign others": lambda basket: setattr(basket, "items", [Item(name="d"), basket.items[1]]),
}

Change = Callable[[Basket], Any]


@pytest.fixture(params=CHANGES.values(), ids=CHANGES.keys())
def change(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def wanted(database: Database, basket_id: int, change: Change) -> list[Any]:
    """What a plain object would be after the change."""
    basket = stored(database, basket_id)
    change(basket)
    return shape(basket)


BEFORE = [("a", 0, [], ["A"]), ("b", 0, [], ["B"]), ("c", 0, [], ["C"])]


def test_a_change_is_stored(
    database: Database, basket_id: int, change: Change, wanted: list[Any]
) -> None:
    with Units(database) as uow:
        basket = uow.baskets.require(basket_id)
        change(basket)
        assert shape(basket) == wanted
        uow.commit()

    assert shape(basket) == wanted
    assert shape(stored(database, basket_id)) == wanted
    assert version_of(database, basket_id) == 2
    assert count_parts(database) == sum(len(parts) for *_, parts in wanted)


def test_a_change_of_a_plain_one_is_stored_by_update(
    database: Database, basket_id: int, change: Change, wanted: list[Any]
) -> None:
    basket = stored(database, basket_id)
    change(basket)
    with Units(database) as uow:
        uow.baskets.update(basket)
        uow.commit()
    assert shape(stored(database, basket_id)) == wanted
    assert version_of(database, basket_id) == 2

    basket.items.append(Item(name="later"))  # it bears the new version, and its children have ids
    with Units(database) as uow:
        uow.baskets.update(basket)
        uow.commit()
    assert shape(stored(database, basket_id)) == [*wanted, ("later", 0, [], [])]


def test_a_change_of_a_detached_one_is_stored_by_update(
    database: Database, basket_id: int, change: Change, wanted: list[Any]
) -> None:
    with Units(database) as uow:
        basket = uow.baskets.require(basket_id)
    change(basket)
    with Units(database) as uow:
        uow.baskets.update(basket)
        uow.commit()

    assert shape(basket) == wanted
    assert shape(stored(database, basket_id)) == wanted


def test_a_savepoint_undoes_a_change(
    database: Database, basket_id: int, change: Change, wanted: list[Any]
) -> None:
    with Units(database) as uow:
        basket = uow.baskets.require(basket_id)
        with pytest.raises(KeyError), uow.savepoint():
            change(basket)
            uow.session.flush()
            raise KeyError
        assert shape(basket) == BEFORE
        change(basket)
        with uow.savepoint():
            uow.session.flush()
        uow.commit()

    assert shape(stored(database, basket_id)) == wanted


def test_a_rollback_stores_nothing_and_leaves_it_readable(
    database: Database, basket_id: int, change: Change, wanted: list[Any]
) -> None:
    with Units(database) as uow:
        basket = uow.baskets.require(basket_id)
        change(basket)
        uow.session.flush()
        uow.rollback()
        assert shape(basket) == wanted
    assert shape(stored(database, basket_id)) == BEFORE


def test_a_change_after_the_commit_is_noticed(
    database: Database, basket_id: int, change: Change, wanted: list[Any]
) -> None:
    with Units(database) as uow:
        basket = uow.baskets.require(basket_id)
        uow.commit()
        change(basket)
        with pytest.raises(UnitOfWorkError, match=r"Basket.* was changed after its transaction"):
            uow.commit()
        uow.baskets.update(basket)
        uow.commit()
    assert shape(stored(database, basket_id)) == wanted


def test_leaving_a_change_behind_warns(database: Database, basket_id: int, change: Change) -> None:
    with pytest.warns(UncommittedChangesWarning), Units(database) as uow:
        change(uow.baskets.require(basket_id))


def test_a_change_in_a_read_only_unit_is_refused(
    database: Database, basket_id: int, change: Change
) -> None:
    with pytest.raises(ReadOnlyViolation), Units(database, read_only=True) as uow:
        change(uow.repository(BasketModel).require(basket_id))


# -- create, read, delete ----------------------------------------------------------------------


def test_all_of_a_plain_root_get_their_ids(database: Database) -> None:
    basket = a_basket("a", "b")
    with Units(database) as uow:
        row = uow.baskets.create(basket)
        uow.commit()

    assert basket.id == row.id
    assert [item.id for item in basket.items] == [item.id for item in row.items]
    assert None not in [part.id for item in basket.items for part in item.parts]


@pytest.mark.parametrize("given", [{"items": [{"name": "a", "parts": [{"name": "A"}]}]}])
def test_a_mapping_may_hold_children(database: Database, given: dict[str, Any]) -> None:
    with Units(database) as uow:
        basket = uow.baskets.create(given)
        uow.commit()
    assert basket.id is not None
    assert shape(stored(database, basket.id)) == [("a", 0, [], ["A"])]


def test_a_rollback_takes_all_ids_away_and_the_root_can_be_created_again(
    database: Database,
) -> None:
    basket = a_basket("a", "b")
    with Units(database) as uow:
        uow.baskets.create(basket)
        uow.rollback()
        ids = [basket.id, *(item.id for item in basket.items), basket.items[0].parts[0].id]
        assert ids == [None, None, None, None]
        uow.baskets.create(basket)
        uow.commit()
    assert basket.id is not None
    assert shape(stored(database, basket.id)) == shape(basket)


def test_many_roots_are_created_in_few_statements(database: Database) -> None:
    with Units(database) as uow, statements(database) as sent:
        uow.baskets.create_many(a_basket(f"{n}a", f"{n}b") for n in range(50))
        uow.commit()
    assert len(sent) <= 6
    with Units(database, read_only=True) as uow:
        names = [[item.name for item in basket.items] for basket in uow.baskets.get_all()]
    assert sorted(names) == sorted([f"{n}a", f"{n}b"] for n in range(50))


def test_a_root_that_fails_at_its_last_child_leaves_nothing(
    database: Database, basket_id: int
) -> None:
    with pytest.raises(UniqueViolation), Units(database) as uow:
        uow.baskets.create_deferred(a_basket("x", "y", "a"))
        uow.commit()
    with Units(database) as uow:
        assert uow.baskets.count() == 1
    assert count_parts(database) == 3


def test_a_read_only_unit_gives_plain_children(database: Database, basket_id: int) -> None:
    basket = stored(database, basket_id)
    assert type(basket.items) is list
    assert type(basket.items[0]) is Item
    assert type(basket.items[0].parts[0]) is Part


def test_a_loaded_root_is_read_once(database: Database, basket_id: int) -> None:
    with Units(database) as uow:
        with statements(database) as sent:
            basket = uow.baskets.require(basket_id)
        assert len(sent) == 3
        with statements(database) as sent:
            assert uow.baskets.require(basket_id) is basket
            assert shape(basket) == BEFORE
        assert sent == []
        assert uow.baskets.require(basket_id, for_update=True) is basket


def test_the_specifications_are_those_of_the_root(database: Database, basket_id: int) -> None:
    with Units(database, read_only=True) as uow:
        assert uow.baskets.one(where("id") == basket_id).items
        with pytest.raises(ValidationError, match="items: is a relationship"):
            uow.baskets.get_all(where("items").is_none())


def test_a_deleted_root_takes_its_children_along(database: Database, basket_id: int) -> None:
    with Units(database) as uow:
        basket = uow.baskets.require(basket_id)
        uow.baskets.delete(basket)
        uow.rollback()
        assert shape(basket) == BEFORE
        with pytest.raises(KeyError), uow.savepoint():
            uow.baskets.delete(basket_id)
            raise KeyError
        assert shape(uow.baskets.require(basket_id)) == BEFORE
        uow.baskets.delete(basket_id)
        uow.commit()
    assert count_parts(database) == 0


def test_delete_where_takes_the_children_along(database: Database, basket_id: int) -> None:
    with Units(database) as uow:
        uow.baskets.create(a_basket("x"))
        basket = uow.baskets.require(basket_id)
        assert uow.baskets.delete_where(where("id") == basket_id) == 1
        assert uow.baskets.get_by_id(basket_id) is None
        uow.commit()
    assert shape(basket) == BEFORE
    assert count_parts(database) == 1


# -- two users, two objects --------------------------------------------------------------------


def test_changes_of_two_children_conflict(database: Database, basket_id: int) -> None:
    mine, yours = stored(database, basket_id), stored(database, basket_id)
    mine.items[0].amount = 1
    yours.items[2].parts[0].name = "Q"
    with Units(database) as uow:
        uow.baskets.update(mine)
        uow.commit()
    with Units(database) as uow, pytest.raises(ConcurrencyConflict, match=f"Basket {basket_id}"):
        uow.baskets.update(yours)


def test_changes_of_two_children_conflict_at_the_flush(
    shared_database: Database,
) -> None:
    with Units(shared_database) as uow:
        basket = uow.baskets.create(a_basket("a", "b"))
        uow.commit()
    conflict = pytest.raises(ConcurrencyConflict, match=f"Basket {basket.id}")
    with conflict, Units(shared_database) as uow:
        mine = uow.baskets.require(basket.id)
        uow.session.connection().execute(update(BasketModel).values(version=7))
        mine.items[0].amount = 1
        uow.commit()


def test_a_plain_child_that_is_changed_afterwards_is_refused(
    database: Database, basket_id: int
) -> None:
    child = Item(name="d")
    with Units(database) as uow:
        uow.baskets.require(basket_id).items.append(child)
        child.amount = 3
        with pytest.raises(UnitOfWorkError, match="changed afterwards"):
            uow.commit()
        child.amount = 0
        uow.commit()
        assert child.id is not None
        child.amount = 3
        with pytest.raises(UnitOfWorkError, match=r"^Item \d+ was changed"):
            uow.commit()
        child.amount = 0


def test_a_plain_root_that_gets_a_child_afterwards_is_refused(database: Database) -> None:
    basket = a_basket("a")
    with Units(database) as uow:
        uow.baskets.create(basket)
        basket.items.append(Item(name="b"))
        with pytest.raises(UnitOfWorkError, match="changed afterwards"):
            uow.commit()
        uow.rollback()


def test_a_child_can_move_to_another_root(database: Database, basket_id: int) -> None:
    with Units(database) as uow:
        basket, other = uow.baskets.require(basket_id), uow.baskets.create(Basket())
        other.items.append(basket.items.pop(0))
        uow.commit()
    assert shape(stored(database, basket_id)) == BEFORE[1:]
    assert shape(stored(database, other.id)) == BEFORE[:1]


def test_copies_have_children_of_their_own(database: Database, basket_id: int) -> None:
    with Units(database) as uow:
        basket = uow.baskets.require(basket_id)
    for copied in (
        pickle.loads(pickle.dumps(basket)),
        copy.copy(basket),
        copy.deepcopy(basket),
    ):
        assert shape(copied) == BEFORE
        assert copied.items[0] is not basket.items[0]
        assert "'a'" in repr(copied)
