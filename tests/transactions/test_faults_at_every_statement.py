"""A fault at every statement of a unit: all of it is stored or nothing, and all is well after."""

import gc
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from domain.errors import ForeignKeyViolation, KitError, TransientError, UnitOfWorkError
from infrastructure.database import BaseUnitOfWork, Database
from tests.database.order_tables import ORDERS, Line, OrderRepository, Remark, an_order
from tests.transactions.faults import COMMIT, FAULTS, Closed, Fault, Full, Interrupted, Strike
from tests.transactions.library import (
    MODELS,
    Book,
    BookModel,
    BookRepository,
    Shelf,
    ShelfModel,
    ShelfRepository,
)

OVERFLOW = 10
LONG = "x" * 3000
"""So that rows need pages of their own, and a full disk is noticed."""


class Units(BaseUnitOfWork):
    shelves: ShelfRepository
    books: BookRepository
    orders: OrderRepository


@pytest.fixture
def tables() -> list[Any]:
    return [*MODELS.values(), *ORDERS]


@pytest.fixture
def fault(request: pytest.FixtureRequest, database: Database) -> Iterator[Fault]:
    made = request.param(database)
    yield made
    made.close()


faults = pytest.mark.parametrize(
    ("url", "fault"),
    [
        pytest.param(
            kind, fault, id=f"{kind}-{fault.__name__}",
            marks=[pytest.mark.postgresql] if kind == "postgresql" else [],
        )
        for kind, kinds in FAULTS.items() for fault in kinds
    ],
    indirect=True,
)  # fmt: skip


# -- one unit that does everything ---------------------------------------------------------------


Part = Callable[[Units, int], None]
"""Runs what is in the savepoint, for the shelf with this id."""


def everything(uow: Units, part: Part) -> None:
    """One use of each kind; ``part`` is one with a savepoint."""
    shelf = uow.shelves.create(Shelf(name="new"))
    uow.books.create_many([Book(name="one" + LONG, shelf_id=shelf.id), Book(name="two" + LONG)])
    uow.shelves.one(ShelfModel.name == "old").size = 10
    uow.books.delete(uow.books.one(BookModel.name == "goes"))
    part(uow, shelf.id or 0)
    stays = uow.books.one(BookModel.name == "stays")
    uow.books.require(stays.id, for_update=True).size += 1
    uow.books.upsert(Book(name="stays", size=7), on="name")
    uow.books.upsert(Book(name="three" + LONG), on="name")
    uow.books.bulk_create({"name": f"{number}{LONG}"} for number in range(3))
    order = uow.orders.one()
    order.lines.append(Line(sku="new", remarks=[Remark(text=LONG)]))
    order.lines[0].quantity = 4
    del order.lines[1]
    uow.orders.create(an_order("x", "y"))
    uow.session.execute(text("UPDATE library_books SET size = size + 100 WHERE name = 'stays'"))
    uow.commit()


def in_a_savepoint(uow: Units, shelf: int) -> None:
    with uow.savepoint():
        uow.books.create(Book(name="inside" + LONG, shelf_id=shelf))
        uow.shelves.update(shelf, size=5)
        uow.books.count()


CONTENT = """
    SELECT name, size, version FROM library_shelves ORDER BY name;
    SELECT b.name, b.size, s.name FROM library_books b
    LEFT JOIN library_shelves s ON s.id = b.shelf_id ORDER BY b.name;
    SELECT o.customer, o.version, l.position, l.sku, l.quantity, r.text
    FROM aggregates_orders o JOIN aggregates_lines l ON l.order_id = o.id
    LEFT JOIN aggregates_remarks r ON r.line_id = l.id
    ORDER BY o.customer, o.version, l.position
"""


def content(database: Database) -> list[Any]:
    """All that is stored, ids and times excepted."""
    with database.engine.connect() as connection:
        return [connection.exec_driver_sql(query).all() for query in CONTENT.split(";")]


def begin_again(database: Database) -> list[Any]:
    """What the unit finds, in a file without unused pages."""
    with database.engine.begin() as connection:
        for model in reversed([*MODELS.values(), *ORDERS]):
            connection.execute(model.__table__.delete())
    if database.engine.dialect.name == "sqlite":
        with closing(database.engine.raw_connection()) as raw:
            raw.driver_connection.execute("VACUUM")  # type: ignore[union-attr]
    with Units(database) as uow:
        shelf = uow.shelves.create(Shelf(name="old"))
        uow.books.create_many([Book(name="goes", shelf_id=shelf.id), Book(name="stays")])
        uow.orders.create(an_order("a", "b", "c"))
        uow.commit()
    return content(database)


# -- the same, with a fault ----------------------------------------------------------------------


class Undone(Exception):
    """What undoes the savepoint where no fault does."""


def undone(uow: Units, shelf: int) -> None:
    with suppress(Undone), uow.savepoint():
        in_a_savepoint(uow, shelf)
        raise Undone


@dataclass
class Attempt:
    """What became of the unit: the error in its block, and the one that left it."""

    inside: BaseException | None = None
    outside: BaseException | None = None
    swallowed: list[Exception] = field(default_factory=list)

    def run(self, database: Database, strike: Strike, *, tolerant: bool) -> None:
        """``tolerant``: it goes on where the savepoint fails."""
        try:
            with strike.watching(), Units(database) as uow:
                try:
                    everything(uow, self._tolerated if tolerant else in_a_savepoint)
                except BaseException as error:
                    self.inside = error
                    raise
        except Exception as error:  # noqa: BLE001 -- whatever it is, it is looked at
            self.outside = error

    def _tolerated(self, uow: Units, shelf: int) -> None:
        try:
            in_a_savepoint(uow, shelf)
        except (KitError, DBAPIError) as error:
            self.swallowed.append(error)

    def check_error(self, fault: Fault) -> None:
        """It is that of the fault, and nothing came in its place."""
        assert self.outside is self.inside
        errors = [*self.swallowed, self.inside]
        if self.swallowed and isinstance(self.inside, UnitOfWorkError):
            assert self.inside.__cause__ is self.swallowed[0]
            errors.pop()
        for error in errors:
            assert error is None or type(error) in fault.errors
        assert any(errors) or not fault.sure


OPEN = """
    SELECT query FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'
    AND application_name = 'infrastructure-kit' AND datname = current_database()
"""


def check_nothing_is_open(database: Database) -> None:
    """No connection is kept, and no transaction is open: others may write at once."""
    assert database.engine.pool.checkedout() == 0
    assert database.reader.pool.checkedout() == 0
    if database.engine.dialect.name == "postgresql":
        with Units(database, read_only=True) as uow:
            assert uow.session.execute(text(OPEN)).all() == []
    elif not database.exclusive:
        with closing(sqlite3.connect(str(database.engine.url.database), timeout=0)) as other:
            other.execute("BEGIN IMMEDIATE")


def check_the_next_unit_works(database: Database) -> None:
    with Units(database) as uow:
        if database.engine.dialect.name == "sqlite":
            asked = [uow.session.scalar(text(f"PRAGMA {name}")) for name in PRAGMAS]
            assert asked == [*PRAGMAS.values()]
        with pytest.raises(ForeignKeyViolation), uow.savepoint():
            uow.books.create(Book(name="dangling", shelf_id=10**6))
        shelf = uow.shelves.create(Shelf(name="works"))
        uow.commit()
        uow.shelves.delete(shelf.id)
        uow.commit()


PRAGMAS = {"foreign_keys": 1, "query_only": 0, "defer_foreign_keys": 0}


def check_the_pools_are_full(database: Database) -> None:
    """As many units as there may be connections find one, at the same time."""
    size = 1 if database.exclusive else database.settings.pool_size + OVERFLOW
    for options in ({}, {"isolation_level": "REPEATABLE READ"}):  # a pool for each
        with ExitStack() as stack:
            for _ in range(size):
                uow = stack.enter_context(Units(database, read_only=True, **options))
                assert uow.shelves.count() == 1


@faults
@pytest.mark.parametrize("tolerant", [False, True], ids=["strict", "tolerant"])
def test_all_is_stored_or_nothing(
    database: Database, fault: Fault, tolerant: bool, soak: bool
) -> None:
    old = begin_again(database)
    new, sent = after(database, in_a_savepoint)
    begin_again(database)
    without_part, _ = after(database, undone)
    begin_again(database)
    assert len({str(each) for each in (old, new, without_part)}) == 3

    for at in chosen(sent, tolerant=tolerant, every=soak):
        attempt = Attempt()
        attempt.run(database, Strike(database, fault, at), tolerant=tolerant)
        with noted(f"statement {at} of {len(sent)}: {sent[at - 1]}"):
            attempt.check_error(fault)
            check_nothing_is_open(database)
            stored = content(database)
            if attempt.outside is not None:
                assert stored == old
            else:
                assert stored == (without_part if attempt.swallowed else new)
            check_the_next_unit_works(database)
        if stored != old:
            begin_again(database)

    check_the_pools_are_full(database)
    gc.collect()


def chosen(sent: list[str], *, tolerant: bool, every: bool) -> Iterable[int]:
    """All, or some: every sixth one, COMMIT among them; or those around the savepoint."""
    if every:
        return range(1, len(sent) + 1)
    if not tolerant:
        return sorted(range(len(sent), 0, -6))
    first = next(at for at, each in enumerate(sent, 1) if each.startswith("SAVEPOINT"))
    last = next(at for at, each in enumerate(sent, 1) if each.startswith("RELEASE"))
    return range(first - 1, last + 2)


def after(database: Database, part: Part) -> tuple[list[Any], list[str]]:
    """What the unit stores without a fault, and what it sends."""
    with Strike(database).watching() as sent, Units(database) as uow:
        everything(uow, part)
    return content(database), sent


@contextmanager
def noted(what: str) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        error.add_note(what)
        raise


# -- the shortest ways to what was found ---------------------------------------------------------


sqlite = pytest.mark.parametrize("url", ["sqlite-memory", "sqlite-file"], indirect=True)


@pytest.fixture
def library(database: Database) -> Database:
    """A database with what the unit finds."""
    begin_again(database)
    return database


def write_in_a_savepoint(uow: Units) -> None:
    uow.shelves.create(Shelf(name="before"))
    with uow.savepoint():  # two: of a statement with RETURNING, SQLite undoes only itself
        uow.books.create_many([Book(name=LONG), Book(name=LONG[1:])])


ENDS = [Interrupted, Full]
BOOK = "INSERT INTO library_books"


@sqlite
@pytest.mark.parametrize("kind", ENDS)
def test_sqlite_itself_ends_the_whole_transaction(library: Database, kind: type[Fault]) -> None:
    """The trap: what follows would be stored at once, each statement for itself."""
    fault = kind(library)
    with closing(library.engine.raw_connection()) as pooled:
        driver: Any = pooled.driver_connection
        driver.execute("BEGIN IMMEDIATE")
        driver.execute("SAVEPOINT part")
        fault.strike(driver, BOOK, many=False)
        with pytest.raises(sqlite3.OperationalError):
            driver.execute(f"{BOOK} (name, size) VALUES ('{LONG}', 0)")
        fault.end()
        assert not driver.in_transaction


@sqlite
@pytest.mark.parametrize("kind", ENDS)
def test_a_savepoint_does_not_heal_a_transaction_that_sqlite_has_ended(
    library: Database, kind: type[Fault]
) -> None:
    old, strike = content(library), Strike(library, kind(library), BOOK)
    with pytest.raises(UnitOfWorkError), strike.watching(), Units(library) as uow:
        with suppress(KitError, DBAPIError):
            write_in_a_savepoint(uow)
        uow.shelves.create(Shelf(name="after"))
        uow.commit()

    assert content(library) == old


@sqlite
@pytest.mark.parametrize("kind", ENDS)
def test_no_error_of_a_savepoint_comes_in_place_of_the_first(
    library: Database, kind: type[Fault]
) -> None:
    fault = kind(library)
    strike = Strike(library, fault, BOOK)
    with pytest.raises(fault.errors), strike.watching(), Units(library) as uow:
        write_in_a_savepoint(uow)


@sqlite
def test_new_rows_that_nobody_holds_go_without_a_word(
    library: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda said: heard.append(repr(said.exc_value)))
    strike = Strike(library, Interrupted(library), "SELECT aggregates_lines")
    with pytest.raises(TransientError), strike.watching(), Units(library) as uow:
        uow.shelves.create(Shelf(name="new"))
        uow.orders.one()
    gc.collect()

    assert heard == []


@pytest.mark.parametrize("url", ["sqlite-file"], indirect=True)
def test_a_commit_that_was_never_sent_is_not_uncertain(library: Database) -> None:
    fault = Closed(library)
    with (
        pytest.raises(fault.errors),
        Strike(library, fault, COMMIT).watching(),
        Units(library) as uow,
    ):
        uow.shelves.create(Shelf(name="new"))
        uow.commit()
