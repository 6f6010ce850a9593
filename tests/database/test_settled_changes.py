"""Changes of entities whose transaction has ended: refused, never lost in silence."""

import gc
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
from sqlmodel import Field

from domain import Entity
from domain.errors import UncommittedChangesWarning, UnitOfWorkError
from infrastructure.database import (
    BaseRepository,
    BaseUnitOfWork,
    Database,
    Model,
    Timestamped,
    Versioned,
)

pytestmark = pytest.mark.thorough


@dataclass(eq=False, kw_only=True)
class ChangeItem(Entity):
    """Something with fields that can be changed in place."""

    name: str
    labels: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    id: int | None = None


class ChangeItemModel(ChangeItem, Timestamped, Versioned, Model, table=True):
    __tablename__: ClassVar[str] = "change_items"
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)


class ItemRepository(BaseRepository[ChangeItem]):
    model = ChangeItemModel


class Shop(BaseUnitOfWork):
    items: ItemRepository


class Stop(Exception):
    """What ends a block in these tests."""


@pytest.fixture
def tables() -> list[type]:
    return [ChangeItemModel]


@pytest.fixture
def shop(database: Database) -> Database:
    """A database with one item."""
    with Shop(database) as uow:
        uow.items.create(an_item("lamp"))
        uow.commit()
    return database


def an_item(name: str) -> ChangeItem:
    return ChangeItem(name=name, labels=["a", "b"], facts={"k": [1]})


# -- changed -------------------------------------------------------------------------------


def set_an_attribute(item: Any) -> None:
    item.name = "changed"


def append_to_a_list(item: Any) -> None:
    item.labels.append("c")


def set_a_nested_value(item: Any) -> None:
    item.facts["k"].append(2)


def set_a_list(item: Any) -> None:
    item.labels = ["z"]


CHANGES = [set_an_attribute, append_to_a_list, set_a_nested_value, set_a_list]

changes = pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)


def created(uow: Shop) -> Any:
    return uow.items.create(an_item("new"))


def loaded(uow: Shop) -> Any:
    return uow.items.require(1)


origins = pytest.mark.parametrize("origin", [created, loaded])


@changes
@origins
def test_changing_a_settled_one_is_refused_at_commit(
    shop: Database, change: Callable[[Any], None], origin: Callable[[Shop], Any]
) -> None:
    with Shop(shop) as uow:
        item = origin(uow)
        uow.commit()
        change(item)
        with pytest.raises(UnitOfWorkError, match=rf"ChangeItem {item.id}\b.*update\(\)"):
            uow.commit()
        uow.items.update(item)
        uow.commit()


@changes
@origins
def test_changing_a_settled_one_is_refused_at_the_end_of_the_block(
    shop: Database, change: Callable[[Any], None], origin: Callable[[Shop], Any]
) -> None:
    with pytest.raises(UnitOfWorkError, match=r"ChangeItem \d\b.*update\(\)"), Shop(shop) as uow:
        item = origin(uow)
        uow.commit()
        change(item)

    assert shop.engine.pool.checkedout() == 0


@changes
def test_changing_one_that_was_settled_by_rollback_is_refused(
    shop: Database, change: Callable[[Any], None]
) -> None:
    with Shop(shop) as uow:
        item = uow.items.one()
        uow.rollback()
        change(item)
        with pytest.raises(UnitOfWorkError, match=r"ChangeItem 1\b.*update\(\)"):
            uow.commit()
        uow.items.update(item)
        uow.commit()


@changes
def test_a_change_is_refused_although_nobody_holds_the_entity_any_more(
    shop: Database, change: Callable[[Any], None]
) -> None:
    with pytest.raises(UnitOfWorkError, match=r"update\(\)"), Shop(shop) as uow:
        item = uow.items.one()
        uow.commit()
        change(item)
        del item
        gc.collect()
        uow.commit()


def test_nothing_is_stored_by_the_commit_that_refuses(shop: Database) -> None:
    with pytest.raises(UnitOfWorkError, match="update"), Shop(shop) as uow:
        item = uow.items.one()
        uow.commit()
        item.name = "changed"
        uow.items.create(an_item("new"))
        uow.commit()

    with Shop(shop, read_only=True) as uow:
        assert [item.name for item in uow.items.get_all()] == ["lamp"]


def test_hooks_do_not_run_in_the_commit_that_refuses(shop: Database) -> None:
    called: list[str] = []
    with pytest.raises(UnitOfWorkError, match="update"), Shop(shop) as uow:
        item = uow.items.one()
        uow.commit()
        item.name = "changed"
        uow.after_commit(lambda: called.append("x"))
        uow.commit()

    assert called == []


def test_one_that_was_settled_several_commits_ago_is_watched_too(shop: Database) -> None:
    with pytest.raises(UnitOfWorkError, match=r"ChangeItem 1\b"), Shop(shop) as uow:
        item = uow.items.one()
        for number in range(3):
            uow.commit()
            uow.items.create(an_item(f"new {number}"))
        uow.commit()
        item.labels.append("late")
        uow.commit()


def test_the_exception_of_the_block_is_not_replaced(shop: Database) -> None:
    with pytest.raises(Stop), Shop(shop) as uow:
        item = uow.items.one()
        uow.commit()
        item.name = "changed"
        raise Stop


def test_reading_a_settled_one_is_no_change(shop: Database) -> None:
    with Shop(shop) as uow:
        item = uow.items.one()
        uow.commit()
        repr(item), item.model_dump(), item.labels, item.facts["k"]
        uow.commit()


def test_setting_the_same_value_is_no_change(shop: Database) -> None:
    with Shop(shop) as uow:
        item = uow.items.one()
        uow.commit()
        item.name = "lamp"
        item.labels = ["a", "b"]
        uow.commit()


def test_a_change_of_before_the_commit_is_stored_and_no_late_one(shop: Database) -> None:
    with Shop(shop) as uow:
        item = uow.items.one()
        item.labels.append("c")
        item.name = "changed"
        uow.commit()
        uow.commit()

    assert (item.name, item.labels) == ("changed", ["a", "b", "c"])


def test_a_change_that_was_rolled_back_is_no_late_one(shop: Database) -> None:
    with Shop(shop) as uow:
        item = uow.items.one()
        item.name = "changed"
        item.labels.append("c")
        uow.rollback()
        uow.commit()


def test_after_the_block_an_entity_is_an_object_like_any_other(shop: Database) -> None:
    with Shop(shop) as uow:
        item = uow.items.one()
    item.name = "changed"
    item.labels.append("c")

    with Shop(shop) as uow:
        uow.items.update(item)
        uow.commit()
        again = uow.items.one()
        assert (again.name, again.labels) == ("changed", ["a", "b", "c"])


# -- update() ------------------------------------------------------------------------------


@changes
def test_update_stores_a_settled_one_that_was_changed(
    shop: Database, change: Callable[[Any], None]
) -> None:
    with Shop(shop) as uow:
        item = uow.items.one()
        uow.commit()
        change(item)
        uow.items.update(item)
        uow.commit()

    with Shop(shop) as uow:
        again = uow.items.one()
        assert (again.name, again.labels, again.facts) == (item.name, item.labels, item.facts)


def test_a_change_after_update_is_refused_again(shop: Database) -> None:
    with Shop(shop) as uow:
        item = uow.items.one()
        uow.commit()
        item.name = "changed"
        uow.items.update(item)
        item.name = "changed again"
        with pytest.raises(UnitOfWorkError, match="ChangeItem 1"):
            uow.commit()
        uow.rollback()


def test_a_settled_one_can_be_updated_and_settled_again_and_again(shop: Database) -> None:
    with Shop(shop) as uow:
        item = uow.items.one()
        uow.commit()
        for number in range(3):
            item.name = f"name {number}"
            item = uow.items.update(item)
            uow.commit()

    with Shop(shop) as uow:
        assert uow.items.one().name == "name 2"


def test_a_settled_one_can_be_deleted(shop: Database) -> None:
    with Shop(shop) as uow:
        item = uow.items.one()
        uow.commit()
        uow.items.delete(item)
        uow.commit()
        assert uow.items.count() == 0


def test_one_that_a_rollback_made_new_again_can_be_changed_and_created(shop: Database) -> None:
    with Shop(shop) as uow:
        item = uow.items.create(an_item("new"))
        uow.rollback()
        item.name = "newer"
        assert uow.items.create(item).id is not None
        uow.commit()
        assert uow.items.count(ChangeItemModel.name == "newer") == 1


# -- the plain objects that were given to create() -----------------------------------------


def test_changing_a_plain_object_before_the_commit_is_refused(shop: Database) -> None:
    with Shop(shop) as uow:
        plain = an_item("new")
        uow.items.create(plain)
        plain.labels.append("c")
        with pytest.raises(UnitOfWorkError, match="ChangeItem 2"):
            uow.commit()
        uow.rollback()


@changes
def test_changing_a_plain_object_after_the_commit_is_refused(
    shop: Database, change: Callable[[Any], None]
) -> None:
    with Shop(shop) as uow:
        plain = an_item("new")
        uow.items.create(plain)
        uow.commit()
        change(plain)
        with pytest.raises(UnitOfWorkError, match="ChangeItem 2"):
            uow.commit()
        uow.items.update(plain)
        uow.commit()


def test_leaving_after_a_plain_object_was_changed_is_refused(shop: Database) -> None:
    with pytest.raises(UnitOfWorkError, match="ChangeItem 2"), Shop(shop) as uow:
        plain = an_item("new")
        uow.items.create(plain)
        uow.commit()
        plain.name = "changed"


def test_a_change_that_nobody_stored_is_warned_of_where_the_block_ends(shop: Database) -> None:
    with pytest.warns(UncommittedChangesWarning), Shop(shop) as uow:
        uow.items.one().labels.append("c")
