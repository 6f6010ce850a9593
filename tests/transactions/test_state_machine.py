"""Whatever one does with units, they do what plain dicts do, on every database.

Below, the shortest ways to what the machine has found.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy.exc import DBAPIError

from domain.errors import (
    ConcurrencyConflict,
    EntityNotFound,
    ForeignKeyViolation,
    KitError,
    UnitOfWorkError,
)
from infrastructure.database import Database
from tests.support import kill, machine_settings
from tests.transactions.library import MODELS, Book, Shelf, ShelfModel, Units
from tests.transactions.machine import MISSING, Stop
from tests.transactions.machine_rules import Machine

EXAMPLES = 60
SOAK = 600
STEPS = 40

lossy = pytest.mark.filterwarnings("ignore::domain.errors.UncommittedChangesWarning")


@pytest.fixture
def tables() -> list[Any]:
    return [*MODELS.values()]


@pytest.fixture
def library(database: Database) -> Database:
    """A database with one shelf."""
    with Units(database) as uow:
        uow.shelves.create(Shelf(name="old"))
        uow.commit()
    return database


@pytest.mark.timeout(1200)  # a soak, and the search for the shortest way if it fails
def test_units_do_what_dicts_do(database: Database, soak: bool) -> None:
    run_state_machine_as_test(
        lambda: Machine(database),
        settings=machine_settings(SOAK if soak else EXAMPLES, STEPS, random=soak),
    )


# -- versions --------------------------------------------------------------------------------


def roll_back(uow: Units, row: Any) -> None:
    row.size = 1
    uow.session.flush()
    uow.rollback()


def delete_and_roll_back(uow: Units, row: Any) -> None:
    row.size = 1
    uow.shelves.delete(row)
    uow.rollback()


def leave(uow: Units, row: Any) -> None:
    row.size = 1
    uow.session.flush()


@pytest.mark.parametrize("end", [roll_back, delete_and_roll_back, leave])
@lossy
def test_a_version_that_was_rolled_back_hides_no_change_of_others(
    library: Database, end: Callable[[Units, Any], None]
) -> None:
    with Units(library) as uow:
        row = uow.shelves.one()
        end(uow, row)
    with Units(library) as uow:
        uow.shelves.update(row.id, size=2)
        uow.commit()

    with pytest.raises(ConcurrencyConflict), Units(library) as uow:
        uow.shelves.update(row)


@lossy
def test_a_version_of_a_lost_savepoint_hides_no_change_of_others(
    shared_database: Database,
) -> None:
    with Units(shared_database) as uow:
        uow.shelves.create(Shelf(name="old"))
        uow.commit()
    with suppress(KitError, DBAPIError), Units(shared_database) as uow, uow.savepoint():
        row = uow.shelves.one()
        row.size = 1
        uow.session.flush()
        kill(uow)
        uow.shelves.count()
    with Units(shared_database) as uow:
        uow.shelves.update(row.id, size=2)
        uow.commit()

    with pytest.raises((ConcurrencyConflict, UnitOfWorkError)), Units(shared_database) as uow:
        uow.shelves.update(row)


# -- failures --------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["get_or_create", "upsert"])
def test_a_reference_to_nothing_fails_the_unit_whatever_stores_it(
    library: Database, method: str
) -> None:
    with Units(library) as uow:
        store = getattr(uow.books, method)
        with pytest.raises(ForeignKeyViolation) as first:
            store(Book(name="new", shelf_id=MISSING), on="name")
        with pytest.raises(UnitOfWorkError) as refused:
            uow.books.count()
        assert refused.value.__cause__ is first.value


def lose_in_a_savepoint(uow: Units) -> None:
    with uow.savepoint():
        uow.books.create(Book(name="new"))
        kill(uow)
        uow.books.count()


def test_a_savepoint_in_which_a_statement_met_a_lost_connection_does_not_heal_it(
    shared_database: Database,
) -> None:
    with pytest.raises(Stop), Units(shared_database) as uow:
        uow.shelves.create(Shelf(name="before"))
        with pytest.raises((KitError, DBAPIError)) as first:
            lose_in_a_savepoint(uow)
        for use in (uow.shelves.count, uow.commit):
            with pytest.raises(UnitOfWorkError) as refused:
                use()
            assert refused.value.__cause__ is first.value
        raise Stop


# -- changes that nobody would write ---------------------------------------------------------


@pytest.mark.parametrize("how", ["delete", "delete_where"])
def test_an_original_whose_row_was_deleted_in_the_unit_cannot_be_updated(
    library: Database, how: str
) -> None:
    with Units(library) as uow:
        original = Shelf(name="new")
        row = uow.shelves.create(original)
        if how == "delete":
            uow.shelves.delete(row)
        else:
            uow.shelves.delete_where(ShelfModel.name == "new")
        original.size = 1
        with pytest.raises(EntityNotFound):
            uow.shelves.update(original)
        uow.rollback()


def test_a_change_of_what_delete_where_had_removed_is_stored_or_refused(
    library: Database,
) -> None:
    with Units(library) as uow:
        row = uow.shelves.one()
        with suppress(Stop), uow.savepoint():
            uow.shelves.delete_where(ShelfModel.name == "old")
            raise Stop
        row.size = 1
        try:
            uow.commit()
        except UnitOfWorkError:
            uow.shelves.update(row)
            uow.commit()

    with Units(library, read_only=True) as uow:
        assert uow.shelves.one().size == 1


@pytest.mark.parametrize("how", ["update", "delete"])
def test_a_change_after_what_was_rolled_back_is_refused(library: Database, how: str) -> None:
    with Units(library) as uow:
        row = uow.shelves.one()
        if how == "update":
            uow.commit()
        getattr(uow.shelves, how)(row)
        uow.rollback()
        row.size = 1
        with pytest.raises(UnitOfWorkError, match="Shelf 1 was changed"):
            uow.commit()
        uow.shelves.update(row)
        uow.commit()


# -- ids, and values -------------------------------------------------------------------------


@pytest.mark.parametrize("undo", ["rollback", "savepoint"])
def test_every_original_of_an_undone_row_is_free_again(library: Database, undo: str) -> None:
    first, second = Shelf(name="new"), Shelf(name="new", size=1)
    with Units(library) as uow:
        with suppress(Stop), uow.savepoint():
            uow.shelves.create(first)
            uow.shelves.upsert(second, on="name")
            if undo == "savepoint":
                raise Stop
        if undo == "rollback":
            uow.rollback()
        assert first.id is second.id is None
        uow.shelves.create(first)
        uow.commit()


def set_again(uow: Units, row: Any) -> Any:
    row.size = row.size + 0
    uow.session.flush()
    return row


def change_and_delete(uow: Units, row: Any) -> Any:
    row.size = 1
    uow.session.flush()
    uow.shelves.delete(row)
    return row


def change_a_row_of_a_bulk(uow: Units, row: Any) -> Any:
    uow.shelves.bulk_create([{"name": "new"}])
    new = uow.shelves.one(ShelfModel.name == "new")
    new.size = 1
    uow.session.flush()
    return new


@pytest.mark.parametrize("use", [set_again, change_and_delete, change_a_row_of_a_bulk])
def test_what_a_savepoint_undid_stays_readable_when_the_exception_leaves_the_block(
    library: Database, use: Callable[[Units, Any], Any]
) -> None:
    with pytest.raises(Stop), Units(library) as uow:
        row = uow.shelves.one()
        with uow.savepoint():
            row = use(uow, row)
            raise Stop

    assert row.name in ("old", "new")
    assert row.model_dump().keys() == {"id", "name", "size", "version"}


def test_what_changed_in_a_savepoint_stays_readable_when_the_connection_is_lost(
    shared_database: Database,
) -> None:
    with Units(shared_database) as uow:
        uow.shelves.create(Shelf(name="old"))
        uow.commit()

    with pytest.raises((KitError, DBAPIError)), Units(shared_database) as uow:
        row = uow.shelves.one()
        with uow.savepoint():
            row.size = 1
            lose_in_a_savepoint(uow)

    assert row.name == "old"
    assert row.model_dump().keys() == {"id", "name", "size", "version"}
