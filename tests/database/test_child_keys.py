"""Children whose key has two parts, one of which is that of their root."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
from sqlalchemy import func, select
from sqlmodel import Field

from domain import Entity
from domain.errors import UniqueViolation, ValidationError
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
class Row(Entity):
    line_no: int
    text: str


@dataclass(eq=False, kw_only=True)
class Bill(Entity):
    rows: list[Row] = field(default_factory=list)
    id: int | None = None


class BillModel(Bill, Versioned, Model, table=True):
    """Its children have a key of two parts, of which this gives the first."""

    __tablename__: ClassVar[str] = "childkeys_bills"

    id: int | None = Field(default=None, primary_key=True)
    rows: list[Row] = Children("RowModel")


class RowModel(Row, Model, table=True):
    __tablename__: ClassVar[str] = "childkeys_rows"

    bill_id: int = Field(foreign_key="childkeys_bills.id", primary_key=True)
    line_no: int = Field(primary_key=True)


class Bills(BaseRepository[Bill]):
    model = BillModel


class Units(BaseUnitOfWork):
    bills: Bills


@pytest.fixture
def tables() -> list[Any]:
    return [BillModel, RowModel]


def count(database: Database, model: Any) -> int:
    with database.engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(model)) or 0


def bill(database: Database, id: Any) -> list[tuple[int, str]]:
    with Units(database, read_only=True) as uow:
        return [(row.line_no, row.text) for row in uow.bills.require(id).rows]


@pytest.fixture
def bill_id(database: Database) -> Any:
    with Units(database) as uow:
        rows = [Row(line_no=number, text=text) for number, text in enumerate("abc", start=1)]
        made = uow.bills.create_many([Bill(rows=rows), Bill(rows=[Row(line_no=1, text="x")])])
        uow.commit()
    return made[0].id


def test_children_with_composite_keys_are_added_changed_and_removed(
    database: Database, bill_id: int
) -> None:
    with Units(database) as uow:
        rows = uow.bills.require(bill_id).rows
        del rows[1]
        rows[1].text = "C"
        rows.extend([Row(line_no=4, text="d"), Row(line_no=7, text="g")])
        uow.commit()
    assert bill(database, bill_id) == [(1, "a"), (3, "C"), (4, "d"), (7, "g")]
    assert bill(database, bill_id + 1) == [(1, "x")]


def test_a_child_with_the_key_of_a_removed_one_takes_its_place(
    database: Database, bill_id: int
) -> None:
    with Units(database) as uow:
        uow.bills.require(bill_id).rows[1] = Row(line_no=2, text="B")
        uow.commit()
    assert bill(database, bill_id) == [(1, "a"), (2, "B"), (3, "c")]


def test_a_plain_list_with_composite_keys_is_numbered_anew(
    database: Database, bill_id: int
) -> None:
    with Units(database, read_only=True) as uow:
        loaded = uow.bills.require(bill_id)
    loaded.rows.reverse()
    loaded.rows.insert(1, Row(line_no=0, text="n"))
    loaded.rows.pop()
    for number, row in enumerate(loaded.rows, start=1):
        row.line_no = number
    with Units(database) as uow:
        uow.bills.update(loaded)
        uow.commit()
    assert bill(database, bill_id) == [(1, "c"), (2, "n"), (3, "b")]


def test_a_key_of_a_stored_child_is_not_changed(database: Database, bill_id: int) -> None:
    with Units(database) as uow:
        loaded = uow.bills.require(bill_id)
        loaded.rows[2].line_no = 9
        with pytest.raises(ValidationError, match=r"Row .*line_no: is the key"):
            uow.commit()
        loaded.rows[2].line_no = 3
        uow.commit()
    assert bill(database, bill_id) == [(1, "a"), (2, "b"), (3, "c")]


@pytest.mark.parametrize("numbers", [(5, 4), (4, 5), (1, 0)])
def test_new_children_in_another_order_than_that_of_their_keys_are_refused(
    database: Database, numbers: tuple[int, int]
) -> None:
    new = Bill(rows=[Row(line_no=number, text="n") for number in numbers])
    with Units(database) as uow:
        if numbers == (4, 5):
            uow.bills.create(new)
        else:
            with pytest.raises(ValidationError, match=r"Bill .*rows: has an order"):
                uow.bills.create(new)
        uow.commit()
    assert count(database, RowModel) == (2 if numbers == (4, 5) else 0)


@pytest.mark.parametrize("stored", [False, True])
def test_two_children_with_one_key_are_refused(
    database: Database, bill_id: int, stored: bool
) -> None:
    with Units(database) as uow:
        loaded = uow.bills.require(bill_id) if stored else uow.bills.create(Bill())
        loaded.rows.append(Row(line_no=3, text="d"))
        if not stored:
            loaded.rows.append(Row(line_no=3, text="e"))
        with pytest.raises((UniqueViolation, ValidationError), match=r"Row|rows"):
            uow.commit()
        uow.rollback()
    assert bill(database, bill_id) == [(1, "a"), (2, "b"), (3, "c")]


def test_a_child_with_a_composite_key_moves(database: Database, bill_id: int) -> None:
    with Units(database) as uow:
        one, two = uow.bills.get_many([bill_id, bill_id + 1])
        two.rows.append(one.rows.pop(1))
        uow.commit()
        two.rows[1].text = "B"
        two.rows[0].text = "X"
        uow.bills.update(two)
        uow.commit()
    assert bill(database, bill_id) == [(1, "a"), (3, "c")]
    assert bill(database, bill_id + 1) == [(1, "X"), (2, "B")]


def test_the_key_is_in_the_order_in_which_the_table_declares_it(database: Database) -> None:
    table: Any = RowModel
    assert [column.name for column in table.__table__.primary_key] == ["bill_id", "line_no"]


def test_a_deleted_root_takes_children_with_composite_keys_along(
    database: Database, bill_id: int
) -> None:
    with Units(database) as uow:
        uow.bills.delete(bill_id)
        uow.commit()
    assert count(database, RowModel) == 1
