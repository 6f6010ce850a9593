"""Several units in one context: a second writing one is refused, because it would wait for ever."""

import asyncio
import contextvars
import gc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import pytest
from sqlmodel import Field

from domain.errors import UnitOfWorkError
from infrastructure.database import BaseRepository, BaseUnitOfWork, Database, Model
from tests.conftest import MakeDatabase


class CtxTag(Model, table=True):
    __tablename__: ClassVar[str] = "ctx_tags"
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)


class TagRepository(BaseRepository[CtxTag]):
    pass


class Tags(BaseUnitOfWork):
    tags: TagRepository


@pytest.fixture
def tables() -> list[type]:
    return [CtxTag]


def stored(database: Database) -> list[str]:
    with Tags(database, read_only=True) as uow:
        return [tag.name for tag in uow.tags.get_all(order_by="name")]


def write(database: Database, name: str) -> None:
    with Tags(database) as uow:
        uow.tags.create(CtxTag(name=name))
        uow.commit()


FIRST_STATEMENTS: dict[str, Callable[[Tags], object]] = {
    "read": lambda uow: uow.tags.count(),
    "get": lambda uow: uow.tags.get_by_id(1),
    "create": lambda uow: uow.tags.create(CtxTag(name="b")),
    "connection": lambda uow: uow.session.connection(),
    "savepoint": lambda uow: uow.savepoint().__enter__(),
}


@pytest.mark.parametrize("statement", FIRST_STATEMENTS)
def test_a_second_writing_unit_is_refused_at_its_first_statement(
    database: Database, statement: str
) -> None:
    with Tags(database) as outer:
        outer.tags.create(CtxTag(name="a"))
        with Tags(database) as inner, pytest.raises(UnitOfWorkError, match=r"savepoint\(\)"):
            FIRST_STATEMENTS[statement](inner)
        outer.commit()

    assert stored(database) == ["a"]


def test_a_second_writing_unit_is_refused_at_commit_of_what_is_queued(database: Database) -> None:
    with Tags(database) as outer:
        outer.tags.create(CtxTag(name="a"))
        with Tags(database) as inner:
            inner.tags.create_deferred(CtxTag(name="b"))
            with pytest.raises(UnitOfWorkError, match=r"savepoint\(\)"):
                inner.commit()
            inner.rollback()
        outer.commit()

    assert stored(database) == ["a"]


def test_a_unit_that_only_reads_counts_as_writing_unless_it_says_read_only(
    database: Database,
) -> None:
    with Tags(database) as outer:
        outer.tags.count()
        with Tags(database) as inner, pytest.raises(UnitOfWorkError, match=r"read_only|savepoint"):
            inner.tags.count()


def test_entering_a_second_unit_is_no_statement(database: Database) -> None:
    with Tags(database) as outer, Tags(database):
        outer.tags.create(CtxTag(name="a"))
        outer.commit()

    assert stored(database) == ["a"]


def test_a_refused_unit_can_be_used_when_the_other_one_has_ended(database: Database) -> None:
    with Tags(database) as inner:
        with Tags(database) as outer:
            outer.tags.create(CtxTag(name="a"))
            with pytest.raises(UnitOfWorkError):
                inner.tags.count()
            outer.commit()
        assert inner.tags.count() == 1
        inner.tags.create(CtxTag(name="b"))
        inner.commit()

    assert stored(database) == ["a", "b"]


def test_what_was_refused_is_not_stored_later(database: Database) -> None:
    """The caller was told that it failed."""
    with Tags(database) as inner:
        with Tags(database) as outer:
            outer.tags.create(CtxTag(name="a"))
            with pytest.raises(UnitOfWorkError):
                inner.tags.create(CtxTag(name="b"))
            outer.commit()
        inner.commit()

    assert stored(database) == ["a"]


def test_another_database_object_for_the_same_database_is_refused_as_well(
    shared_url: str, make_database: MakeDatabase
) -> None:
    one, two = make_database(shared_url), make_database(shared_url)
    with Tags(one) as outer:
        outer.tags.create(CtxTag(name="a"))
        with Tags(two) as inner, pytest.raises(UnitOfWorkError):
            inner.tags.count()
        outer.commit()


def test_a_unit_on_another_database_is_allowed(
    database: Database, make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = make_database(f"sqlite:///{tmp_path_factory.mktemp('other') / 'other.db'}")
    with Tags(database) as outer, Tags(other) as inner:
        outer.tags.create(CtxTag(name="a"))
        inner.tags.create(CtxTag(name="b"))
        inner.commit()
        outer.commit()

    assert (stored(database), stored(other)) == (["a"], ["b"])


def test_a_read_only_unit_beside_a_writing_one_sees_what_is_committed(
    shared_database: Database,
) -> None:
    with Tags(shared_database) as uow:
        uow.tags.create(CtxTag(name="a"))
        assert stored(shared_database) == []
        uow.commit()
        assert stored(shared_database) == ["a"]


def test_a_writing_unit_beside_a_read_only_one_is_allowed(shared_database: Database) -> None:
    with Tags(shared_database, read_only=True) as reader:
        assert reader.tags.count() == 0
        write(shared_database, "a")
        with Tags(shared_database, read_only=True) as second:
            assert second.tags.count() == 1

    assert stored(shared_database) == ["a"]


def test_a_writing_unit_under_a_reader_under_a_writer_is_refused(shared_database: Database) -> None:
    """The reader in between hides nothing."""
    with Tags(shared_database) as outer:
        outer.tags.count()
        with Tags(shared_database, read_only=True) as reader:
            reader.tags.count()
            with Tags(shared_database) as inner, pytest.raises(UnitOfWorkError):
                inner.tags.count()
        with Tags(shared_database) as inner, pytest.raises(UnitOfWorkError):
            inner.tags.count()


# -- what holds nothing does not count -----------------------------------------------------


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_a_unit_holds_nothing_after_commit_or_rollback(database: Database, end: str) -> None:
    with Tags(database) as uow:
        uow.tags.create(CtxTag(name="a"))
        getattr(uow, end)()
        assert database.engine.pool.checkedout() == 0
        write(database, "b")
        with ThreadPoolExecutor(1) as pool:
            pool.submit(write, database, "c").result(20)
        uow.tags.create(CtxTag(name="d"))
        uow.commit()

    assert [name for name in stored(database) if name != "a"] == ["b", "c", "d"]


def test_the_roles_may_change_after_commit(database: Database) -> None:
    """The unit that was first is now the second one, and is refused in its turn."""
    with Tags(database) as one, Tags(database) as two:
        one.tags.create(CtxTag(name="a"))
        one.commit()
        two.tags.create(CtxTag(name="b"))
        with pytest.raises(UnitOfWorkError, match=r"savepoint\(\)"):
            one.tags.count()
        two.commit()
        assert one.tags.count() == 2


def test_a_unit_that_was_left_by_an_exception_does_not_count(database: Database) -> None:
    with pytest.raises(KeyboardInterrupt), Tags(database) as uow:
        uow.tags.create(CtxTag(name="a"))
        raise KeyboardInterrupt
    write(database, "b")

    assert stored(database) == ["b"]


def test_a_failed_unit_still_counts_until_it_is_rolled_back(database: Database) -> None:
    """Its transaction is open: on SQLite it holds the lock."""
    with Tags(database) as outer:
        outer.tags.create(CtxTag(name="a"))
        with pytest.raises(Exception, match="nowhere"):
            outer.session.connection().exec_driver_sql("SELECT * FROM nowhere")
        with Tags(database) as inner, pytest.raises(UnitOfWorkError):
            inner.tags.count()
        outer.rollback()
        write(database, "b")

    assert stored(database) == ["b"]


def test_a_unit_that_was_forgotten_does_not_count_for_ever(shared_database: Database) -> None:
    unit = Tags(shared_database, read_only=True)
    unit.__enter__()
    unit.tags.count()
    unit.__exit__(None, None, None)
    del unit
    gc.collect()
    write(shared_database, "a")

    assert stored(shared_database) == ["a"]


def test_many_units_one_after_the_other_do_not_pile_up(database: Database) -> None:
    for number in range(100):
        write(database, str(number))

    assert len(stored(database)) == 100


# -- contexts that are copied --------------------------------------------------------------


def test_a_copied_context_knows_the_open_units(database: Database) -> None:
    with Tags(database) as outer:
        outer.tags.create(CtxTag(name="a"))
        with pytest.raises(UnitOfWorkError, match=r"savepoint\(\)"):
            contextvars.copy_context().run(write, database, "b")
        outer.commit()

    assert stored(database) == ["a"]


def test_a_thread_with_a_copied_context_is_refused_as_well(database: Database) -> None:
    """As ``asyncio.to_thread`` does it: the caller waits for the thread, and the thread for it."""

    async def main() -> None:
        await asyncio.to_thread(write, database, "b")

    with Tags(database) as outer:
        outer.tags.create(CtxTag(name="a"))
        with pytest.raises(UnitOfWorkError, match=r"savepoint\(\)"):
            asyncio.run(main())
        outer.commit()

    assert stored(database) == ["a"]


def test_a_copied_context_does_not_keep_units_that_have_ended(database: Database) -> None:
    with Tags(database) as uow:
        uow.tags.create(CtxTag(name="a"))
        copied = contextvars.copy_context()
        uow.commit()
    copied.run(write, database, "b")

    assert stored(database) == ["a", "b"]


def test_a_unit_that_began_in_a_copied_context_is_none_of_the_original(
    shared_database: Database,
) -> None:
    """Each context has its own units; the reader there does not hinder the writer here."""
    unit = Tags(shared_database, read_only=True)
    copied = contextvars.copy_context()
    copied.run(unit.__enter__)
    copied.run(unit.tags.count)
    write(shared_database, "a")
    copied.run(unit.__exit__, None, None, None)

    assert stored(shared_database) == ["a"]


def test_tasks_that_use_units_in_threads_do_not_hinder_one_another(
    shared_database: Database,
) -> None:
    async def main() -> None:
        names = map(str, range(10))
        await asyncio.gather(*(asyncio.to_thread(write, shared_database, name) for name in names))

    asyncio.run(main())

    assert len(stored(shared_database)) == 10
