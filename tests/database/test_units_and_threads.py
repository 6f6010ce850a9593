"""Units and threads: one thread at a time, moving is fine, memory serves one unit at a time."""

import contextvars
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, ClassVar

import pytest
from sqlalchemy import event, text
from sqlmodel import Field

from domain.errors import LockTimeout, UnitOfWorkError
from infrastructure.database import BaseRepository, BaseUnitOfWork, Database, Model
from tests.conftest import MakeDatabase

PATIENCE = 20.0
"""Seconds until a test gives up waiting for another thread."""


class ThrTag(Model, table=True):
    __tablename__: ClassVar[str] = "thr_tags"
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)


class TagRepository(BaseRepository[ThrTag]):
    pass


class Tags(BaseUnitOfWork):
    tags: TagRepository


class Stop(Exception):
    """What ends a block in these tests."""


@pytest.fixture
def tables() -> list[type]:
    return [ThrTag]


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def elsewhere(work: Callable[[], Any]) -> Any:
    """Call this in a thread, and with a context, of its own."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result(PATIENCE)


def stored(database: Database) -> list[str]:
    with Tags(database, read_only=True) as uow:
        return [tag.name for tag in uow.tags.get_all(order_by="name")]


# -- two threads at the same time ----------------------------------------------------------


class Slow:
    """A statement that is under way until it is told to end."""

    SQL = text("SELECT 1 AS slow")

    def __init__(self) -> None:
        self.started = threading.Event()
        self.may_end = threading.Event()

    def __call__(self, connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if statement == str(self.SQL):
            self.started.set()
            assert self.may_end.wait(PATIENCE)


@contextmanager
def under_way(database: Database, uow: Tags) -> Iterator["Future[Any]"]:
    """A block during which another thread uses the unit."""
    slow = Slow()
    event.listen(database.engine, "before_cursor_execute", slow)
    try:
        with ThreadPoolExecutor(1) as pool:
            session = uow.session
            result = pool.submit(lambda: session.execute(Slow.SQL).scalar_one())
            assert slow.started.wait(PATIENCE)
            try:
                yield result
            finally:
                slow.may_end.set()
    finally:
        event.remove(database.engine, "before_cursor_execute", slow)


USES: dict[str, Callable[[Tags], Any]] = {
    "read": lambda uow: uow.tags.count(),
    "get": lambda uow: uow.tags.get_by_id(1),
    "create": lambda uow: uow.tags.create(ThrTag(name="b")),
    "create_deferred": lambda uow: uow.tags.create_deferred(ThrTag(name="b")),
    "commit": lambda uow: uow.commit(),
    "rollback": lambda uow: uow.rollback(),
    "savepoint": lambda uow: uow.savepoint().__enter__(),
    "session": lambda uow: uow.session.execute(text("SELECT 1")),
    "add": lambda uow: uow.session.add(ThrTag(name="b")),
}


@pytest.mark.parametrize("use", USES)
def test_use_by_two_threads_at_the_same_time_is_refused(database: Database, use: str) -> None:
    with Tags(database) as uow:
        uow.tags.create(ThrTag(name="a"))
        with (
            under_way(database, uow) as result,
            pytest.raises(UnitOfWorkError, match="two threads"),
        ):
            USES[use](uow)
        assert result.result(PATIENCE) == 1
        uow.commit()

    assert stored(database) == ["a"]


def leave_while_in_use(database: Database, error: Exception | None = None) -> "Future[Any]":
    """Leave the block while a statement of another thread is under way."""
    slow = Slow()
    event.listen(database.engine, "before_cursor_execute", slow)
    pool = ThreadPoolExecutor(1)
    try:
        with Tags(database) as uow:
            uow.tags.create(ThrTag(name="a"))
            session = uow.session
            result = pool.submit(lambda: session.execute(Slow.SQL).scalar_one())
            assert slow.started.wait(PATIENCE)
            threading.Timer(0.3, slow.may_end.set).start()
            if error is not None:
                raise error
    finally:
        pool.shutdown()
        event.remove(database.engine, "before_cursor_execute", slow)
    return result


@pytest.mark.filterwarnings("ignore::domain.errors.UncommittedChangesWarning")
def test_leaving_while_another_thread_uses_the_unit_is_refused(database: Database) -> None:
    """The connection is in use: it is given back when that statement has ended."""
    with pytest.raises(UnitOfWorkError, match="two threads"):
        leave_while_in_use(database)

    assert database.engine.pool.checkedout() == 0
    assert stored(database) == []


def test_the_exception_of_the_block_is_not_replaced_by_that_of_two_threads(
    database: Database,
) -> None:
    error = Stop()
    with pytest.raises(Stop) as caught:
        leave_while_in_use(database, error)

    assert caught.value is error
    assert database.engine.pool.checkedout() == 0
    assert stored(database) == []


def test_many_threads_that_share_a_unit_corrupt_nothing(database: Database) -> None:
    """Each call succeeds or is refused, and as many rows are there as calls succeeded."""
    start = threading.Barrier(4)

    def create(uow: Tags, number: int) -> int:
        start.wait(PATIENCE)
        done = 0
        for turn in range(20):
            with suppress(UnitOfWorkError):
                uow.tags.create(ThrTag(name=f"{number} {turn}"))
                done += 1
        return done

    with Tags(database) as uow, ThreadPoolExecutor(4) as pool:
        uow.tags.count()
        done = sum(pool.map(lambda number: create(uow, number), range(4), timeout=PATIENCE))
        uow.commit()

    assert len(stored(database)) == done > 0


def test_two_threads_that_enter_at_once_do_not_both_get_in(database: Database) -> None:
    def enter(unit: Tags, start: threading.Barrier) -> bool:
        start.wait(PATIENCE)
        with suppress(UnitOfWorkError):
            unit.__enter__()
            return True
        return False

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(50):
            unit, start = Tags(database), threading.Barrier(2)
            with ThreadPoolExecutor(2) as pool:
                entered = [pool.submit(enter, unit, start) for _ in range(2)]
            assert sorted(each.result(PATIENCE) for each in entered) == [False, True]
            unit.__exit__(None, None, None)
    finally:
        sys.setswitchinterval(interval)


# -- moving --------------------------------------------------------------------------------


def test_a_unit_may_move_between_threads(database: Database) -> None:
    """Entered, used, committed and left in threads and contexts of their own."""
    unit = Tags(database)
    elsewhere(unit.__enter__)
    tag = elsewhere(lambda: unit.tags.create(ThrTag(name="a")))
    assert elsewhere(lambda: unit.tags.get_by_id(tag.id)) is tag
    elsewhere(unit.commit)
    elsewhere(lambda: unit.__exit__(None, None, None))

    assert stored(database) == ["a"]
    assert database.engine.pool.checkedout() == 0


def test_a_unit_may_move_with_an_exception(database: Database) -> None:
    unit, error = Tags(database), Stop()
    elsewhere(unit.__enter__)
    elsewhere(lambda: unit.tags.create(ThrTag(name="a")))
    assert not elsewhere(lambda: unit.__exit__(Stop, error, None))

    assert stored(database) == []


def test_a_savepoint_may_be_left_in_another_thread(database: Database) -> None:
    with Tags(database) as uow:
        part = uow.savepoint()
        elsewhere(part.__enter__)
        uow.tags.create(ThrTag(name="a"))
        elsewhere(lambda: part.__exit__(None, None, None))
        uow.commit()

    assert stored(database) == ["a"]


def test_a_unit_entered_in_one_context_and_left_in_another_leaves_no_trace(
    database: Database,
) -> None:
    """What remembers the open units of a context must not remember one that was left."""
    one, two = contextvars.copy_context(), contextvars.copy_context()
    for _ in range(3):
        unit = Tags(database)
        one.run(unit.__enter__)
        one.run(unit.tags.count)
        two.run(unit.__exit__, None, None, None)

        for context in (one, two):
            with Tags(database) as uow:
                assert context.run(uow.tags.count) == 0
        assert stored(database) == []


def test_a_unit_may_outlive_the_thread_that_began_it(database: Database) -> None:
    with Tags(database) as uow:
        elsewhere(uow.tags.count)
    assert stored(database) == []


# -- units in several threads --------------------------------------------------------------


def test_a_second_thread_may_have_a_writing_unit_of_its_own(
    shared_database: Database, threads: ThreadPoolExecutor
) -> None:
    """On SQLite it waits for the first one to end."""

    def write() -> None:
        with Tags(shared_database) as uow:
            uow.tags.create(ThrTag(name="b"))
            uow.commit()

    with Tags(shared_database) as uow:
        uow.tags.create(ThrTag(name="a"))
        writing = threads.submit(write)
        uow.commit()
        writing.result(PATIENCE)

    assert stored(shared_database) == ["a", "b"]


def test_a_reader_in_another_thread_does_not_wait_for_a_writer(shared_database: Database) -> None:
    with Tags(shared_database) as uow:
        uow.tags.create(ThrTag(name="a"))
        assert elsewhere(lambda: stored(shared_database)) == []
        uow.commit()
        assert elsewhere(lambda: stored(shared_database)) == ["a"]


# -- a memory database ---------------------------------------------------------------------


@pytest.fixture
def memory(make_database: MakeDatabase) -> Database:
    return make_database("sqlite://", busy_timeout=PATIENCE)


@pytest.mark.parametrize("read_only", [False, True])
def test_another_thread_waits_for_the_memory_database(
    memory: Database, threads: ThreadPoolExecutor, *, read_only: bool
) -> None:
    waiting = threading.Event()

    def count() -> int:
        with Tags(memory, read_only=read_only) as uow:
            waiting.set()
            return uow.tags.count()

    with Tags(memory) as uow:
        uow.tags.create(ThrTag(name="a"))
        counted = threads.submit(count)
        assert waiting.wait(PATIENCE)
        with pytest.raises(TimeoutError):
            counted.result(0.2)
        uow.commit()
        assert counted.result(PATIENCE) == 1


def test_another_thread_does_not_wait_for_ever(make_database: MakeDatabase) -> None:
    memory = make_database("sqlite://", busy_timeout=0.2)
    with Tags(memory) as uow:
        uow.tags.create(ThrTag(name="a"))
        with pytest.raises(LockTimeout, match="memory"):
            elsewhere(lambda: stored(memory))
        uow.commit()

    assert elsewhere(lambda: stored(memory)) == ["a"]


def test_a_thread_that_waited_in_vain_has_a_failed_unit(make_database: MakeDatabase) -> None:
    memory = make_database("sqlite://", busy_timeout=0.2)

    def wait_in_vain() -> None:
        with Tags(memory) as uow:
            with pytest.raises(LockTimeout) as first:
                uow.tags.count()
            with pytest.raises(UnitOfWorkError) as refused:
                uow.tags.count()
            assert refused.value.__cause__ is first.value

    with Tags(memory) as uow:
        uow.tags.count()
        elsewhere(wait_in_vain)


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("second", [False, True])
def test_a_memory_database_serves_one_unit_at_a_time(
    memory: Database, *, first: bool, second: bool
) -> None:
    """In the same context the second would wait for itself: it is refused at once."""
    with Tags(memory, read_only=first) as uow:
        uow.tags.count()
        with Tags(memory, read_only=second) as inner, pytest.raises(UnitOfWorkError):
            inner.tags.count()
        assert uow.tags.count() == 0


def test_two_memory_databases_are_two_databases(make_database: MakeDatabase) -> None:
    one, two = make_database("sqlite://"), make_database("sqlite://")
    with Tags(one) as outer, Tags(two) as inner:
        outer.tags.create(ThrTag(name="a"))
        assert inner.tags.count() == 0
        outer.commit()


def test_threads_that_share_a_memory_database_lose_nothing(
    memory: Database, threads: ThreadPoolExecutor
) -> None:
    """With one connection for all, one thread would roll back what another had stored."""

    def write(number: int) -> None:
        for turn in range(10):
            with Tags(memory) as uow:
                uow.tags.create(ThrTag(name=f"{number} {turn}"))
                uow.commit()
            with pytest.raises(Stop), Tags(memory) as uow:
                uow.tags.create(ThrTag(name=f"{number} {turn} undone"))
                raise Stop

    list(threads.map(write, range(4), timeout=PATIENCE))

    assert len(stored(memory)) == 40
