"""Entities whose transaction has ended are readable for ever; asking again reads anew."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar

import pytest
from sqlmodel import Field, Relationship

from domain import Entity
from domain.errors import KitError, UniqueViolation
from infrastructure.database import (
    BaseRepository,
    BaseUnitOfWork,
    Database,
    Model,
    Timestamped,
    Versioned,
)
from tests.support import statements

pytestmark = pytest.mark.thorough


class SetShelf(Model, table=True):
    __tablename__: ClassVar[str] = "set_shelves"
    id: int | None = Field(default=None, primary_key=True)
    name: str


@dataclass(eq=False, kw_only=True)
class SetItem(Entity):
    """One field of each kind."""

    name: str
    price: Decimal = Decimal("1.50")
    labels: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    seen: datetime | None = None
    shelf_id: int | None = None
    id: int | None = None


class SetItemModel(SetItem, Timestamped, Versioned, Model, table=True):
    __tablename__: ClassVar[str] = "set_items"
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)
    shelf_id: int | None = Field(default=None, foreign_key="set_shelves.id")
    shelf: SetShelf | None = Relationship()


class ItemRepository(BaseRepository[SetItem]):
    model = SetItemModel


class Shop(BaseUnitOfWork):
    items: ItemRepository


@pytest.fixture
def tables() -> list[type]:
    return [SetShelf, SetItemModel]


@pytest.fixture
def shop(database: Database) -> Database:
    """A database with one item on a shelf."""
    with Shop(database) as uow:
        shelf = uow.repository(SetShelf).create(SetShelf(name="top"))
        uow.items.create(an_item("lamp", shelf_id=shelf.id))
        uow.commit()
    return database


def an_item(name: str, **values: Any) -> SetItem:
    seen = datetime(2024, 2, 29, 12, tzinfo=UTC)
    return SetItem(name=name, labels=["a", "b"], facts={"k": [1]}, seen=seen, **values)


def values_of(item: Any) -> dict[str, Any]:
    """Every attribute, read one by one."""
    return {name: getattr(item, name) for name in SetItemModel.model_fields}


# -- readable ------------------------------------------------------------------------------


class Stop(Exception):
    """What ends a block in these tests."""


@contextmanager
def committed(uow: Shop) -> Iterator[None]:
    yield
    uow.commit()


@contextmanager
def rolled_back(uow: Shop) -> Iterator[None]:
    yield
    uow.rollback()


@contextmanager
def failed_and_rolled_back(uow: Shop) -> Iterator[None]:
    yield
    with pytest.raises(UniqueViolation):
        uow.items.create_many([an_item("twice"), an_item("twice")])
    uow.rollback()


@contextmanager
def left_after_a_failure(uow: Shop) -> Iterator[None]:
    yield
    uow.items.create_many([an_item("twice"), an_item("twice")])


@contextmanager
def left_by_an_exception(uow: Shop) -> Iterator[None]:
    yield
    raise Stop


@contextmanager
def left_after_a_commit(uow: Shop) -> Iterator[None]:
    yield
    uow.commit()
    raise Stop


@contextmanager
def left(uow: Shop) -> Iterator[None]:
    yield


@contextmanager
def savepoint_undone(uow: Shop) -> Iterator[None]:
    with suppress(Stop), uow.savepoint():
        yield
        raise Stop


@contextmanager
def savepoint_failed(uow: Shop) -> Iterator[None]:
    with suppress(UniqueViolation), uow.savepoint():
        yield
        uow.items.create_many([an_item("twice"), an_item("twice")])


ENDS = [
    committed,
    rolled_back,
    failed_and_rolled_back,
    left_after_a_failure,
    left_by_an_exception,
    left_after_a_commit,
    left,
    savepoint_undone,
    savepoint_failed,
]

ends = pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)


@ends
@pytest.mark.filterwarnings("ignore::domain.errors.UncommittedChangesWarning")
def test_a_loaded_entity_stays_readable(shop: Database, end: Callable[..., Any]) -> None:
    with suppress(Stop, UniqueViolation), Shop(shop) as uow, end(uow):
        item = uow.items.one()
        values, dump, shown = values_of(item), item.model_dump(), repr(item)

    assert values_of(item) == values
    assert item.model_dump() == dump == values
    assert repr(item) == shown
    assert "lamp" in shown
    assert "2024" in item.model_dump_json()


@ends
@pytest.mark.filterwarnings("ignore::domain.errors.UncommittedChangesWarning")
def test_a_changed_entity_stays_readable(shop: Database, end: Callable[..., Any]) -> None:
    with suppress(Stop, UniqueViolation), Shop(shop) as uow, end(uow):
        item = uow.items.one()
        known = item.model_dump()
        item.price = Decimal("9.00")
        item.labels.append("c")
        uow.session.flush()

    assert values_of(item).keys() == known.keys()
    assert item.model_dump() == values_of(item)
    assert (item.id, item.name) == (known["id"], "lamp")
    assert repr(item) != "SetItemModel()"
    assert item.price in (Decimal("1.50"), Decimal("9.00"))


@ends
@pytest.mark.filterwarnings("ignore::domain.errors.UncommittedChangesWarning")
def test_a_created_entity_stays_readable(shop: Database, end: Callable[..., Any]) -> None:
    """It may have lost its id, and nothing else."""
    plain = an_item("new")
    with suppress(Stop, UniqueViolation), Shop(shop) as uow, end(uow):
        item = uow.items.create(plain)
        values = values_of(item)

    undone = end not in (committed, left_after_a_commit)
    assert values_of(item) == (values | {"id": None} if undone else values)
    assert item.model_dump() == values_of(item)
    assert "new" in repr(item)
    assert plain.id == item.id


@ends
@pytest.mark.filterwarnings("ignore::domain.errors.UncommittedChangesWarning")
def test_a_deleted_entity_stays_readable(shop: Database, end: Callable[..., Any]) -> None:
    with suppress(Stop, UniqueViolation), Shop(shop) as uow, end(uow):
        item = uow.items.one()
        values = values_of(item)
        uow.items.delete(item)

    assert values_of(item) == values
    assert item.model_dump() == values
    assert "lamp" in repr(item)


@ends
@pytest.mark.filterwarnings("ignore::domain.errors.UncommittedChangesWarning")
def test_an_entity_that_update_where_changed_stays_readable(
    shop: Database, end: Callable[..., Any]
) -> None:
    """It is marked for reload, which is not possible any more afterwards."""
    with suppress(Stop, UniqueViolation), Shop(shop) as uow, end(uow):
        item = uow.items.one()
        known = item.model_dump().keys()
        uow.items.update_where(SetItemModel.name == "lamp", price=Decimal(2))

    assert values_of(item).keys() == item.model_dump().keys() == known
    assert (item.id, item.name) == (1, "lamp")


def test_a_loaded_relationship_stays_readable(shop: Database) -> None:
    class Loading(BaseRepository[SetItemModel]):
        load = ("shelf",)

    class LoadingShop(BaseUnitOfWork):
        items: Loading

    with LoadingShop(shop) as uow:
        committed_item = uow.items.one()
        uow.commit()
        left_item = uow.items.one()

    for item in (committed_item, left_item):
        assert item.shelf is not None
        assert item.shelf.name == "top"
        assert "top" in repr(item.shelf)


@ends
@pytest.mark.filterwarnings("ignore::domain.errors.UncommittedChangesWarning")
def test_a_relationship_that_was_not_loaded_names_itself_and_the_fix(
    shop: Database, end: Callable[..., Any]
) -> None:
    with suppress(Stop, UniqueViolation), Shop(shop) as uow, end(uow):
        item: Any = uow.items.one()

    with pytest.raises(KitError, match=r"shelf.*load"):
        item.shelf


# -- asking again --------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_asking_again_reads_the_database(shop: Database, end: str) -> None:
    with Shop(shop) as uow:
        item = uow.items.one()
        getattr(uow, end)()
        with statements(shop) as sent:
            again = uow.items.require(item.id)

    assert len(sent) == 1
    assert again is not item
    assert again == item


def test_asking_again_sees_what_others_have_stored(shop: Database) -> None:
    with Shop(shop) as uow:
        item = uow.items.one()
        uow.commit()
        with Shop(shop) as other:
            other.items.one().name = "by another"
            other.commit()
        assert uow.items.require(item.id).name == "by another"
        assert item.name == "lamp"
        uow.commit()


def test_a_counter_that_is_asked_for_again_loses_nothing(shop: Database) -> None:
    """Two units take turns and commit after each step."""
    with Shop(shop) as one, Shop(shop) as two:
        for _ in range(5):
            for uow in (one, two):
                item = uow.items.require(1)
                item.price += 1
                uow.commit()

        assert one.items.require(1).price == Decimal("11.50")
