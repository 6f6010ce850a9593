"""What ``run()`` refuses: to be inside a unit, and work that would be done too late."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from domain.errors import Deadlock, UnitOfWorkError
from infrastructure.database import BaseUnitOfWork, Database
from tests.conftest import MakeDatabase
from tests.transactions.accounts import (
    TABLES,
    FailsAtFirst,
    TxAccount,
    TxEntry,
    assert_whole,
    balance_of,
    in_threads,
    names_in,
    open_accounts,
)

Unit = BaseUnitOfWork


@pytest.fixture
def tables() -> list[Any]:
    return TABLES


# -- inside another unit -------------------------------------------------------------------


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("begun", [False, True])
def test_run_inside_an_open_unit_is_refused(
    shared_database: Database, *, read_only: bool, begun: bool
) -> None:
    work = FailsAtFirst(ValueError(), times=0)
    with BaseUnitOfWork(shared_database, read_only=read_only) as uow:
        if begun:
            uow.repository(TxEntry).count()
        for runner in (BaseUnitOfWork(shared_database), uow):
            with pytest.raises(UnitOfWorkError, match=r"run\(\) inside an open unit"):
                runner.run(work)

    assert work.calls == 0
    assert BaseUnitOfWork(shared_database).run(work) == 1


def test_run_inside_run_is_refused_and_the_outer_one_says_so(database: Database) -> None:
    with pytest.raises(UnitOfWorkError, match="inside an open unit"):
        BaseUnitOfWork(database).run(lambda uow: uow.run(len))


def test_a_unit_of_another_database_may_be_open(
    database: Database, make_database: MakeDatabase
) -> None:
    with BaseUnitOfWork(make_database("sqlite://")) as other:
        other.repository(TxEntry).count()
        assert BaseUnitOfWork(database).run(FailsAtFirst(Deadlock("again"), 1)) == 2


def test_another_thread_may_run_beside_an_open_unit(shared_database: Database) -> None:
    with BaseUnitOfWork(shared_database, read_only=True) as uow:
        uow.repository(TxEntry).count()
        in_threads(1, lambda _: BaseUnitOfWork(shared_database).run(FailsAtFirst(ValueError(), 0)))

    assert names_in(shared_database) == ["attempt 1"]


def test_threads_may_share_what_they_run(database: Database) -> None:
    """Each attempt is a unit of its own: the object is only its settings."""
    open_accounts(database, 1)
    unit = BaseUnitOfWork(database)

    def add(uow: Unit) -> None:
        uow.repository(TxAccount).require(1, for_update=True).balance += 1

    in_threads(4, lambda _: [unit.run(add) for _ in range(5)])  # type: ignore[arg-type]

    assert balance_of(database) == 20


def test_after_run_in_vain_a_block_can_be_opened(database: Database) -> None:
    with pytest.raises(ValueError, match="no"):
        BaseUnitOfWork(database).run(FailsAtFirst(ValueError("no"), 1))
    with BaseUnitOfWork(database) as uow:
        uow.repository(TxEntry).create(TxEntry(name="b"))
        uow.commit()

    assert names_in(database) == ["b"]


# -- work that would do nothing, or too late -----------------------------------------------


def generator(uow: Unit) -> Iterator[int]:
    uow.repository(TxEntry).create(TxEntry(name="lost"))
    yield 1


async def coroutine(uow: Unit) -> None:
    uow.repository(TxEntry).create(TxEntry(name="lost"))


async def async_generator(uow: Unit) -> AsyncIterator[int]:
    yield 1


class Awaited:
    async def __call__(self, uow: Unit) -> None: ...


LAZY: dict[str, Callable[[Unit], Any]] = {
    "generator": generator,
    "coroutine": coroutine,
    "async generator": async_generator,
    "partial": functools.partial(generator),
    "object": Awaited(),
    "bound method": Awaited().__call__,
    "function that returns a coroutine": lambda uow: [coroutine(uow)][0],
    "function that returns a generator": lambda uow: [generator(uow)][0],
    "stream": lambda uow: uow.repository(TxEntry).stream(),
    "map": lambda uow: map(str, [uow]),
}


@pytest.mark.parametrize("work", LAZY.values(), ids=LAZY)
def test_work_that_would_run_later_is_refused(
    database: Database, work: Callable[[Unit], Any]
) -> None:
    with pytest.raises(UnitOfWorkError, match="plain function"):
        BaseUnitOfWork(database).run(work)

    assert names_in(database) == []
    assert_whole(database)


def test_work_that_cannot_be_called_is_refused(database: Database) -> None:
    with pytest.raises(TypeError, match="not callable"):
        BaseUnitOfWork(database).run(3)  # type: ignore[arg-type]
