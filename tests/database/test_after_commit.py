"""Hooks that run after the outermost COMMIT, and only then."""

from collections.abc import Callable
from typing import ClassVar

import pytest
from sqlalchemy import ForeignKeyConstraint
from sqlmodel import Field

from domain.errors import (
    AfterCommitError,
    ForeignKeyViolation,
    KitError,
    UncommittedChangesWarning,
    UniqueViolation,
    UnitOfWorkError,
)
from infrastructure.database import BaseRepository, BaseUnitOfWork, Database, Model


class HookTag(Model, table=True):
    __tablename__: ClassVar[str] = "hook_tags"
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)


class HookLink(Model, table=True):
    """A reference that is checked at COMMIT."""

    __tablename__: ClassVar[str] = "hook_links"
    __table_args__ = (
        ForeignKeyConstraint(["tag_id"], ["hook_tags.id"], deferrable=True, initially="DEFERRED"),
    )
    id: int | None = Field(default=None, primary_key=True)
    tag_id: int


class TagRepository(BaseRepository[HookTag]):
    pass


class Tags(BaseUnitOfWork):
    tags: TagRepository


class Stop(Exception):
    """What ends a block in these tests."""


class Calls(list[str]):
    """What the hooks did, in order."""

    def hook(self, name: str) -> Callable[[], None]:
        return lambda: self.append(name)

    def failing(self, name: str, error: BaseException) -> Callable[[], None]:
        def hook() -> None:
            self.append(name)
            raise error

        return hook


@pytest.fixture
def tables() -> list[type]:
    return [HookTag, HookLink]


@pytest.fixture
def calls() -> Calls:
    return Calls()


def stored(database: Database) -> list[str]:
    with Tags(database, read_only=True) as uow:
        return [tag.name for tag in uow.tags.get_all(order_by="name")]


# -- when ----------------------------------------------------------------------------------


def test_hooks_run_in_order_after_commit(database: Database, calls: Calls) -> None:
    with Tags(database) as uow:
        uow.after_commit(calls.hook("one"))
        uow.tags.create(HookTag(name="a"))
        uow.after_commit(calls.hook("two"))
        uow.after_commit(calls.hook("three"))
        assert calls == []
        uow.commit()
        assert calls == ["one", "two", "three"]


def test_hooks_run_once(database: Database, calls: Calls) -> None:
    with Tags(database) as uow:
        uow.after_commit(calls.hook("one"))
        uow.commit()
        uow.after_commit(calls.hook("two"))
        uow.tags.create(HookTag(name="a"))
        uow.commit()
        uow.commit()

    assert calls == ["one", "two"]


def test_the_same_hook_added_twice_runs_twice(database: Database, calls: Calls) -> None:
    hook = calls.hook("x")
    with Tags(database) as uow:
        uow.after_commit(hook)
        uow.after_commit(hook)
        uow.commit()

    assert calls == ["x", "x"]


def test_a_flush_is_no_commit(database: Database, calls: Calls) -> None:
    with Tags(database) as uow:
        uow.after_commit(calls.hook("x"))
        uow.tags.create_deferred(HookTag(name="a"))
        uow.session.flush()
        assert calls == []
        uow.rollback()


def test_the_end_of_a_savepoint_is_no_commit(database: Database, calls: Calls) -> None:
    with Tags(database) as uow:
        with uow.savepoint():
            with uow.savepoint():
                uow.tags.create(HookTag(name="a"))
                uow.after_commit(calls.hook("inner"))
            uow.after_commit(calls.hook("outer"))
            assert calls == []
        assert calls == []
        uow.commit()

    assert calls == ["inner", "outer"]


def test_the_connection_has_been_returned(database: Database) -> None:
    out: list[int] = []
    with Tags(database) as uow:
        uow.tags.create(HookTag(name="a"))
        assert database.engine.pool.checkedout() == 1
        uow.after_commit(lambda: out.append(database.engine.pool.checkedout()))
        uow.commit()

    assert out == [0]


def test_what_was_committed_is_there(database: Database) -> None:
    seen: list[list[str]] = []
    with Tags(database) as uow:
        uow.tags.create(HookTag(name="a"))
        uow.after_commit(lambda: seen.append(stored(database)))
        uow.commit()

    assert seen == [["a"]]


def test_entities_are_readable_in_a_hook(database: Database) -> None:
    seen: list[object] = []
    with Tags(database) as uow:
        tag = uow.tags.create(HookTag(name="a"))
        uow.after_commit(lambda: seen.append((tag.id, tag.name)))
        uow.commit()

    assert seen == [(1, "a")]


# -- when not ------------------------------------------------------------------------------


def test_rollback_drops_them(database: Database, calls: Calls) -> None:
    with Tags(database) as uow:
        uow.after_commit(calls.hook("dropped"))
        uow.tags.create(HookTag(name="a"))
        uow.rollback()
        uow.after_commit(calls.hook("kept"))
        uow.commit()

    assert calls == ["kept"]


@pytest.mark.filterwarnings("ignore::domain.errors.UncommittedChangesWarning")
def test_leaving_without_commit_drops_them(database: Database, calls: Calls) -> None:
    unit = Tags(database)
    with unit:
        unit.after_commit(calls.hook("left"))
        unit.tags.create(HookTag(name="a"))
    with pytest.raises(Stop), unit:
        unit.after_commit(calls.hook("raised"))
        raise Stop
    with unit:
        unit.commit()

    assert calls == []


def test_a_savepoint_that_is_undone_drops_its_own(database: Database, calls: Calls) -> None:
    with Tags(database) as uow:
        uow.after_commit(calls.hook("before"))
        with pytest.raises(Stop), uow.savepoint():
            uow.after_commit(calls.hook("outer"))
            with uow.savepoint():
                uow.after_commit(calls.hook("released into what is undone"))
            raise Stop
        with uow.savepoint():
            uow.after_commit(calls.hook("released"))
            with pytest.raises(Stop), uow.savepoint():
                uow.after_commit(calls.hook("undone inside"))
                raise Stop
        uow.after_commit(calls.hook("later"))
        uow.commit()

    assert calls == ["before", "released", "later"]


def test_a_savepoint_that_fails_at_its_end_drops_its_own(database: Database, calls: Calls) -> None:
    with Tags(database) as uow:
        uow.tags.create(HookTag(name="a"))
        with pytest.raises(UniqueViolation), uow.savepoint():
            uow.after_commit(calls.hook("x"))
            uow.tags.create_deferred(HookTag(name="a"))
        uow.commit()

    assert calls == []


def test_a_commit_whose_flush_fails_runs_none(database: Database, calls: Calls) -> None:
    with Tags(database) as uow:
        uow.after_commit(calls.hook("x"))
        uow.tags.create(HookTag(name="a"))
        uow.tags.create_deferred(HookTag(name="a"))
        with pytest.raises(UniqueViolation):
            uow.commit()
        uow.rollback()
        uow.commit()

    assert calls == []


def test_a_commit_that_the_database_refuses_runs_none(database: Database, calls: Calls) -> None:
    """COMMIT itself fails, because a deferred reference dangles."""
    with Tags(database) as uow:
        uow.after_commit(calls.hook("x"))
        uow.tags.create(HookTag(name="a"))
        uow.repository(HookLink).create(HookLink(tag_id=99))
        with pytest.raises(ForeignKeyViolation) as first:
            uow.commit()
        with pytest.raises(UnitOfWorkError) as refused:
            uow.commit()
        assert refused.value.__cause__ is first.value
        uow.rollback()
        uow.commit()

    assert calls == []
    assert stored(database) == []
    assert database.engine.pool.checkedout() == 0


# -- hooks that fail -----------------------------------------------------------------------


def test_all_run_though_one_fails(database: Database, calls: Calls) -> None:
    first, second = Stop("first"), ValueError("second")
    with Tags(database) as uow:
        uow.tags.create(HookTag(name="a"))
        uow.after_commit(calls.hook("one"))
        uow.after_commit(calls.failing("two", first))
        uow.after_commit(calls.hook("three"))
        uow.after_commit(calls.failing("four", second))
        uow.after_commit(calls.hook("five"))
        with pytest.raises(AfterCommitError) as caught:
            uow.commit()

    assert calls == ["one", "two", "three", "four", "five"]
    assert caught.value.errors == (first, second)
    assert isinstance(caught.value, KitError)
    assert stored(database) == ["a"]


def test_a_failing_hook_leaves_what_was_stored_and_the_unit_usable(
    database: Database, calls: Calls
) -> None:
    with Tags(database) as uow:
        uow.tags.create(HookTag(name="a"))
        uow.after_commit(calls.failing("x", Stop()))
        with pytest.raises(AfterCommitError):
            uow.commit()
        uow.tags.create(HookTag(name="b"))
        uow.commit()

    assert calls == ["x"]
    assert stored(database) == ["a", "b"]


def test_a_failing_hook_may_leave_the_block(database: Database, calls: Calls) -> None:
    with pytest.raises(AfterCommitError), Tags(database) as uow:
        uow.tags.create(HookTag(name="a"))
        uow.after_commit(calls.failing("x", Stop()))
        uow.commit()

    assert stored(database) == ["a"]
    assert database.engine.pool.checkedout() == 0


# -- hooks that use units ------------------------------------------------------------------


def test_a_hook_may_use_another_unit(database: Database) -> None:
    def write() -> None:
        with Tags(database) as other:
            other.tags.create(HookTag(name="by the hook"))
            other.commit()

    with Tags(database) as uow:
        uow.tags.create(HookTag(name="a"))
        uow.after_commit(write)
        uow.commit()
        assert uow.tags.count() == 2

    assert stored(database) == ["a", "by the hook"]


def test_an_error_of_a_unit_in_a_hook_is_that_of_the_hook(database: Database) -> None:
    def write() -> None:
        with Tags(database) as other:
            other.tags.create(HookTag(name="a"))

    with Tags(database) as uow:
        uow.tags.create(HookTag(name="a"))
        uow.after_commit(write)
        with pytest.raises(AfterCommitError) as caught:
            uow.commit()
        assert [type(error) for error in caught.value.errors] == [UniqueViolation]
        assert uow.tags.count() == 1


def test_a_hook_may_begin_a_new_transaction_of_its_own_unit(
    database: Database, calls: Calls
) -> None:
    with Tags(database) as uow:

        def again() -> None:
            calls.append("again")
            uow.tags.create(HookTag(name="b"))
            uow.commit()

        uow.tags.create(HookTag(name="a"))
        uow.after_commit(again)
        uow.after_commit(calls.hook("last"))
        uow.commit()

    assert sorted(calls) == ["again", "last"]
    assert stored(database) == ["a", "b"]


def test_what_a_hook_does_not_commit_is_warned_of(database: Database) -> None:
    with pytest.warns(UncommittedChangesWarning), Tags(database) as uow:
        uow.after_commit(lambda: uow.tags.create(HookTag(name="b")))
        uow.commit()

    assert stored(database) == []


def test_a_hook_that_is_added_by_a_hook_runs_once(database: Database, calls: Calls) -> None:
    """At once, or after the next COMMIT; but never twice, and it is not forgotten."""
    with Tags(database) as uow:
        uow.after_commit(lambda: uow.after_commit(calls.hook("added")))
        uow.after_commit(calls.hook("other"))
        uow.commit()
        uow.commit()
        uow.commit()

    assert sorted(calls) == ["added", "other"]


def test_a_hook_that_adds_itself_is_no_endless_loop(database: Database, calls: Calls) -> None:
    with Tags(database) as uow:

        def again() -> None:
            calls.append("x")
            uow.after_commit(again)

        uow.after_commit(again)
        for _ in range(3):
            uow.tags.create_deferred(HookTag(name=f"tag {len(calls)}"))
            uow.commit()

    assert calls == ["x"] * 3
