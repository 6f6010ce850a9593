"""``update_where`` and ``delete_where``: many rows at once, and what is loaded follows."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, ClassVar

import pytest
from sqlmodel import Field, col, select

from domain import ALL, NONE, Entity, where
from domain.errors import (
    ForeignKeyViolation,
    UniqueViolation,
    UnitOfWorkError,
    ValidationError,
)
from infrastructure.database import (
    BaseRepository,
    BaseUnitOfWork,
    Database,
    Model,
    Timestamped,
    Versioned,
)
from tests.support import statements


class Stage(Enum):
    OPEN = "open"
    DONE = "done"


@dataclass(eq=False, kw_only=True)
class SetTask(Entity):
    title: str
    effort: int | None = None
    price: Decimal = Decimal("1.10")
    stage: Stage = Stage.OPEN
    tags: list[str] = field(default_factory=list)
    due: datetime | None = None
    id: int | None = None


class SetTaskModel(SetTask, Timestamped, Versioned, Model, table=True):
    __tablename__: ClassVar[str] = "set_tasks"

    id: int | None = Field(default=None, primary_key=True)
    title: str = Field(max_length=20, unique=True)


class SetComment(Model, table=True):
    id: int | None = Field(default=None, primary_key=True)
    task_id: int = Field(foreign_key="set_tasks.id")


class SetReply(Model, table=True):
    """Goes with its comment: ON DELETE CASCADE."""

    id: int | None = Field(default=None, primary_key=True)
    comment_id: int = Field(foreign_key="setcomment.id", ondelete="CASCADE")


class Tasks(BaseRepository[SetTask]):
    model = SetTaskModel


class Board(BaseUnitOfWork):
    tasks: Tasks


@pytest.fixture
def tables() -> list[Any]:
    return [SetTaskModel, SetComment, SetReply]


@pytest.fixture
def board(database: Database) -> Database:
    """Five tasks, of an effort of 1 to 4 and unknown."""
    efforts = [1, 2, 3, 4, None]
    with Board(database) as uow:
        uow.tasks.create_many(
            [SetTask(title=f"task {n}", effort=effort) for n, effort in enumerate(efforts, 1)]
        )
        uow.commit()
    return database


def stored(database: Database) -> dict[Any, Any]:
    with BaseUnitOfWork(database, read_only=True) as uow:
        return {row.id: row for row in uow.repository(SetTaskModel).get_all()}


def test_all_that_satisfy_are_changed_and_counted(board: Database) -> None:
    with Board(board) as uow:
        assert uow.tasks.update_where(where("effort") >= 3, effort=9, stage=Stage.DONE) == 2
        assert uow.tasks.update_where(col(SetTaskModel.title) == "task 1", effort=8) == 1
        assert uow.tasks.update_where(where("effort") > 99, effort=0) == 0
        assert uow.tasks.update_where(NONE, effort=0) == 0
        uow.commit()
    rows = stored(board)
    assert [rows[n].effort for n in (1, 2, 3, 4, 5)] == [8, 2, 9, 9, None]
    assert [rows[n].version for n in (1, 2, 3, 4, 5)] == [2, 1, 2, 2, 1]
    assert rows[3].stage is Stage.DONE


def test_every_kind_of_value_is_converted_like_elsewhere(board: Database) -> None:
    due = datetime(2030, 5, 1, 12, 30, 0, 5, tzinfo=UTC)
    with Board(board) as uow:
        count = uow.tasks.update_where(
            ALL, price="2.50", stage="done", tags=["a", "ü"], due=due, effort="7"
        )
        assert count == 5
        uow.commit()
    for row in stored(board).values():
        assert (row.price, row.stage, row.tags) == (Decimal("2.50"), Stage.DONE, ["a", "ü"])
        assert (row.due, row.effort) == (due, 7)
    with Board(board) as uow:
        uow.tasks.update_where(ALL, due=None)
        uow.commit()
    assert all(row.due is None for row in stored(board).values())


def test_loaded_entities_show_the_new_values(board: Database) -> None:
    with Board(board) as uow:
        one, five = uow.tasks.require(1), uow.tasks.require(5)
        uow.tasks.update_where(where("effort") == 1, effort=10, title="renamed")
        assert (one.effort, one.title, five.effort) == (10, "renamed", None)
        one.effort = 11
        uow.commit()
    assert (stored(board)[1].effort, stored(board)[1].version) == (11, 3)


def test_own_changes_are_written_before(board: Database) -> None:
    with Board(board) as uow:
        task = uow.tasks.require(1)
        task.effort = 50
        uow.tasks.create_deferred(SetTask(title="new", effort=50))
        assert uow.tasks.update_where(where("effort") == 50, stage=Stage.DONE) == 2
        assert uow.tasks.delete_where(where("stage") == Stage.DONE) == 2
        uow.commit()
    assert set(stored(board)) == {2, 3, 4, 5}


def test_a_list_of_ids_may_be_long_or_empty(board: Database) -> None:
    with Board(board) as uow:
        many, none = where("id").in_(range(2, 70_002)), where("id").in_([])
        with statements(board) as sent:
            assert uow.tasks.update_where(many, effort=5) == 4
            assert uow.tasks.delete_where(many) == 4
            assert uow.tasks.update_where(none, effort=5) == 0
            assert uow.tasks.delete_where(none) == 0
        assert len(sent) <= 4
        uow.rollback()


def test_version_and_time_advance(board: Database) -> None:
    moment = datetime(2040, 1, 1, tzinfo=UTC)
    before = stored(board)[1]
    board.clock = lambda: moment
    with Board(board) as uow:
        uow.tasks.update_where(where("id") == 1, effort=5)
        uow.commit()
    after = stored(board)
    assert (after[1].version, after[1].updated_at) == (2, moment)
    assert after[1].created_at == before.created_at
    assert (after[2].version, after[2].updated_at < moment) == (1, True)


@pytest.mark.parametrize("method", ["update_where", "delete_where"])
def test_no_criteria_are_refused_all_must_be_said(board: Database, method: str) -> None:
    changes = {"effort": 0} if method == "update_where" else {}
    with Board(board) as uow:
        with statements(board) as sent, pytest.raises(ValidationError) as caught:
            getattr(uow.tasks, method)(**changes)
        assert (caught.value.entity, set(caught.value.errors)) == ("SetTask", {"criteria"})
        assert sent == []
        assert getattr(uow.tasks, method)(ALL, **changes) == 5
        uow.rollback()


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({}, {"changes"}),
        ({"efort": 1}, {"efort"}),
        ({"effort": "x"}, {"effort"}),
        ({"effort": 2**31}, {"effort"}),
        ({"title": None}, {"title"}),
        ({"title": "x" * 21}, {"title"}),
        ({"title": "a\0b"}, {"title"}),
        ({"title": "\ud800"}, {"title"}),
        ({"price": Decimal("NaN")}, {"price"}),
        ({"tags": [float("nan")]}, {"tags"}),
        ({"id": 1}, {"id"}),
        ({"version": 1}, {"version"}),
        ({"version": 7, "effort": 1}, {"version"}),
    ],
    ids=repr,
)
def test_wrong_changes_are_refused_before_sql(
    board: Database, changes: dict[str, Any], fields: set[str]
) -> None:
    with Board(board) as uow:
        with statements(board) as sent, pytest.raises(ValidationError) as caught:
            uow.tasks.update_where(ALL, **changes)
        assert caught.value.entity == "SetTask"
        assert {name.split(".")[0] for name in caught.value.errors} == fields
        assert sent == []
        assert uow.tasks.update_where(where("id") == 1, effort=6) == 1
        uow.commit()
    assert [row.effort for row in stored(board).values()].count(6) == 1


def test_all_that_satisfy_are_deleted_and_counted(board: Database) -> None:
    with Board(board) as uow:
        assert uow.tasks.delete_where(where("effort") > 2) == 2
        assert uow.tasks.delete_where(col(SetTaskModel.effort).is_(None)) == 1
        assert uow.tasks.delete_where(where("effort") > 99) == 0
        assert uow.tasks.delete_where(NONE) == 0
        uow.commit()
    assert set(stored(board)) == {1, 2}


def test_deleted_entities_leave_the_unit(board: Database) -> None:
    with Board(board) as uow:
        one, two = uow.tasks.require(1), uow.tasks.require(2)
        assert uow.tasks.delete_where(where("id") == 1) == 1
        assert uow.tasks.get_by_id(1) is None
        assert uow.tasks.get_by_id(2) is two
        assert one.title == "task 1"  # readable still
        assert uow.tasks.get_many([1, 2]) == [two]
        uow.tasks.create(SetTask(title="again", id=1))
        uow.commit()
    assert stored(board)[1].title == "again"


def test_what_the_database_deletes_along_is_gone_too(board: Database) -> None:
    with BaseUnitOfWork(board) as uow:
        comments, replies = uow.repository(SetComment), uow.repository(SetReply)
        comment = comments.create(SetComment(task_id=1))
        reply = replies.create(SetReply(comment_id=comment.id))
        assert comments.delete_where(where("task_id") == 1) == 1
        assert replies.count() == 0
        assert replies.get_many([reply.id]) in ([], [reply])  # it was not asked for again
        uow.commit()


def test_violations_name_entity_and_fields(board: Database) -> None:
    with Board(board) as uow:
        uow.repository(SetComment).create(SetComment(task_id=2))
        uow.commit()
        with pytest.raises(UniqueViolation) as unique, uow.savepoint():
            uow.tasks.update_where(ALL, title="same")
        assert (unique.value.entity, unique.value.fields) == ("SetTask", ("title",))
        with pytest.raises(ForeignKeyViolation) as used, uow.savepoint():
            uow.tasks.delete_where(ALL)
        assert (used.value.entity, used.value.fields) == ("SetComment", ("task_id",))
        with pytest.raises(ForeignKeyViolation) as dangling, uow.savepoint():
            uow.repository(SetComment).update_where(ALL, task_id=99)
        assert (dangling.value.entity, dangling.value.fields) == ("SetComment", ("task_id",))
        assert uow.tasks.count() == 5
        uow.commit()
    assert len({row.title for row in stored(board).values()}) == 5


def test_a_violation_fails_the_unit(board: Database) -> None:
    with Board(board) as uow:
        with pytest.raises(UniqueViolation):
            uow.tasks.update_where(ALL, title="same")
        with pytest.raises(UnitOfWorkError):
            uow.tasks.count()
        uow.rollback()
        assert uow.tasks.count() == 5


def test_a_subquery_of_another_table_may_be_a_criterion(board: Database) -> None:
    with Board(board) as uow:
        uow.repository(SetComment).create(SetComment(task_id=2))
        with_comment = col(SetTaskModel.id).in_(select(SetComment.task_id))
        assert uow.tasks.update_where(with_comment, effort=77) == 1
        assert uow.tasks.delete_where(~with_comment) == 4
        assert [task.effort for task in uow.tasks.get_all()] == [77]
        uow.commit()


@pytest.mark.parametrize("criterion", [True, "effort > 1", 5, None, {"effort": 1}, [ALL], Stage])
def test_what_is_no_criterion_is_refused(board: Database, criterion: Any) -> None:
    with Board(board) as uow:
        for write in (
            lambda: uow.tasks.update_where(criterion, effort=1),
            lambda: uow.tasks.delete_where(criterion),
        ):
            with pytest.raises(ValidationError) as caught:
                write()
            assert caught.value.entity == "SetTask"
        assert uow.tasks.count() == 5


def test_another_table_as_criterion_is_refused(board: Database) -> None:
    with Board(board) as uow:
        other: Any = col(SetComment.task_id) == 1
        for write in (
            lambda: uow.tasks.update_where(other, effort=1),
            lambda: uow.tasks.delete_where(other),
        ):
            with pytest.raises(ValidationError) as caught:
                write()
            assert caught.value.entity == "SetTask"
        assert uow.tasks.count() == 5
