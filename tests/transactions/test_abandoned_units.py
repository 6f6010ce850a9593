"""A unit that is thrown away inside its block warns, and gives its connection back."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text

from domain.errors import UncommittedChangesWarning, UnitOfWorkError
from infrastructure.database import BaseUnitOfWork, Database
from tests.conftest import MakeDatabase
from tests.transactions.accounts import TABLES, TxEntry, assert_whole, in_threads, names_in

HERE = Path(__file__).name


@pytest.fixture
def tables() -> list[Any]:
    return TABLES


class Shop(BaseUnitOfWork):
    """A subclass with a constructor: it is not the place that matters."""

    def __init__(self, database: Database, **settings: Any) -> None:
        super().__init__(database, **settings)


def thrown_away(unit: BaseUnitOfWork, *, write: bool = False) -> list[warnings.WarningMessage]:
    """What is said when this unit, entered, is not held any more."""
    units = [unit]
    del unit
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        units[0].__enter__()
        if write:
            units[0].repository(TxEntry).create(TxEntry(name="lost"))
        else:
            units[0].repository(TxEntry).count()
        units.clear()
    return said


def line_of(text: str) -> int:
    """The line of this file that has a text first."""
    lines = Path(__file__).read_text().splitlines()
    return 1 + next(number for number, line in enumerate(lines) if text in line)


@pytest.mark.parametrize("read_only", [False, True])
def test_a_unit_thrown_away_says_where_it_was_made(database: Database, *, read_only: bool) -> None:
    unit = [BaseUnitOfWork(database, read_only=read_only)]  # made here
    said = thrown_away(unit.pop())

    assert [warning.category for warning in said] == [ResourceWarning]
    assert "with UnitOfWork() as uow:" in str(said[0].message)
    assert (Path(said[0].filename).name, said[0].lineno) == (HERE, line_of("# made here"))
    assert_whole(database)


def test_the_place_is_where_a_subclass_was_made(database: Database) -> None:
    unit = [Shop(database)]  # made there
    said = thrown_away(unit.pop())

    assert (Path(said[0].filename).name, said[0].lineno) == (HERE, line_of("# made there"))


def test_a_unit_thrown_away_with_changes_says_that_they_are_lost(database: Database) -> None:
    said = thrown_away(BaseUnitOfWork(database), write=True)

    assert [warning.category for warning in said] == [ResourceWarning, UncommittedChangesWarning]
    assert "not stored" in str(said[1].message)
    assert names_in(database) == []
    assert_whole(database)


def test_units_thrown_away_do_not_use_up_the_pool(
    shared_url: str, make_database: MakeDatabase
) -> None:
    database = make_database(shared_url, pool_size=1, busy_timeout=2)
    for _ in range(20):
        thrown_away(BaseUnitOfWork(database), write=True)
    assert_whole(database)


def test_the_next_unit_of_the_same_context_is_not_disturbed(database: Database) -> None:
    thrown_away(BaseUnitOfWork(database), write=True)
    with BaseUnitOfWork(database) as uow:
        uow.repository(TxEntry).create(TxEntry(name="a"))
        uow.commit()

    assert BaseUnitOfWork(database).run(lambda uow: uow.repository(TxEntry).count()) == 1


def test_repositories_of_a_unit_thrown_away_are_refused(database: Database) -> None:
    with pytest.warns(ResourceWarning):
        entries = BaseUnitOfWork(database).__enter__().repository(TxEntry)
    with pytest.raises(UnitOfWorkError, match="was left"):
        entries.create(TxEntry(name="nowhere"))

    assert names_in(database) == []


def dependency(database: Database) -> Iterator[BaseUnitOfWork]:
    with BaseUnitOfWork(database) as uow:
        yield uow


def test_a_generator_that_is_dropped_leaves_its_block(database: Database) -> None:
    generator = dependency(database)
    next(generator).repository(TxEntry).create(TxEntry(name="lost"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        del generator
        gc.collect()

    assert names_in(database) == []
    assert_whole(database)


def test_another_thread_may_collect_it(database: Database) -> None:
    units = [BaseUnitOfWork(database)]
    units[0].__enter__().repository(TxEntry).create(TxEntry(name="lost"))
    with pytest.warns(ResourceWarning), pytest.warns(UncommittedChangesWarning):
        in_threads(1, lambda _: units.clear())

    assert names_in(database) == []
    assert_whole(database)


def test_nobody_is_warned_of_units_that_were_left_or_never_entered(database: Database) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        BaseUnitOfWork(database)
        with BaseUnitOfWork(database) as uow:
            uow.repository(TxEntry).count()
        del uow
        with pytest.raises(TypeError):
            BaseUnitOfWork(database, unknown=1)  # type: ignore[call-arg]
        gc.collect()


def test_a_unit_in_a_cycle_is_left_when_it_is_collected(database: Database) -> None:
    unit: Any = BaseUnitOfWork(database)
    unit.__enter__().repository(TxEntry).count()
    unit.myself = unit
    with pytest.warns(ResourceWarning):
        del unit
        gc.collect()

    assert_whole(database)


def test_a_statement_that_is_under_way_is_not_disturbed(database: Database) -> None:
    """The collector may run at any moment, in the middle of a statement of the same session."""
    unit = [BaseUnitOfWork(database)]
    session = unit[0].__enter__().session
    found: list[int] = []

    def collect(*_: Any) -> None:
        unit.clear()

    event.listen(database.engine, "before_cursor_execute", collect)
    with pytest.warns(ResourceWarning):
        found += session.execute(text("SELECT 1")).scalars()
    event.remove(database.engine, "before_cursor_execute", collect)
    del session
    gc.collect()

    assert found == [1]
    assert_whole(database)
