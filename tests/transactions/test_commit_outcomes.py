"""The link to the server breaks around COMMIT: what is said of the unit is what is stored."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, get_args

import pytest
from sqlalchemy import create_engine, text
from sqlmodel import Session

from domain import ALL
from domain.errors import CommitOutcomeUnknown, DatabaseUnavailable, KitError, UnitOfWorkError
from infrastructure.database import BaseUnitOfWork, Database
from tests.conftest import MakeDatabase
from tests.transactions.accounts import (
    TABLES,
    TxAccount,
    TxEntry,
    TxSheet,
    assert_whole,
    names_in,
    open_accounts,
)
from tests.transactions.link import Cut, Link
from tests.transactions.servers import Bouncer, Cluster

pytestmark = [pytest.mark.postgresql, pytest.mark.timeout(300)]


@pytest.fixture
def tables() -> list[Any]:
    return TABLES


@pytest.fixture
def times(soak: bool) -> int:
    return 50 if soak else 10


@pytest.fixture
def linked(link: tuple[Link, str], make_database: MakeDatabase) -> tuple[Link, Database]:
    """The link, and a database behind it."""
    return link[0], make_database(link[1])


def store(database: Database, link: Link, cut: Cut | None, name: str) -> KitError | None:
    """One unit whose COMMIT meets the cut; what its caller was told."""
    try:
        with BaseUnitOfWork(database) as uow:
            uow.repository(TxEntry).create(TxEntry(name=name))
            link.cut = cut
            uow.commit()
    except KitError as error:
        return error
    return None


@pytest.mark.parametrize("cut", get_args(Cut))
def test_nothing_is_stored_twice_and_nothing_is_told_wrongly(
    linked: tuple[Link, Database], cut: Cut, times: int
) -> None:
    link, database = linked
    told = {f"{cut} {number}": store(database, link, cut, f"{cut} {number}")
            for number in range(times)}  # fmt: skip

    stored = names_in(database)
    assert link.cuts == times
    assert stored == [name for name, error in told.items() if error is None]
    assert all(isinstance(error, DatabaseUnavailable | None) for error in told.values())
    if cut in ("before", "never heard of"):
        assert stored == []
    if cut == "after":
        assert len(stored) == times
    assert_whole(database)


def test_a_caller_who_repeats_what_failed_stores_everything_once(
    linked: tuple[Link, Database], times: int
) -> None:
    link, database = linked
    cuts = get_args(Cut)
    for number in range(times):
        cut: Cut | None = cuts[number % len(cuts)]
        while store(database, link, cut, f"entry {number}") is not None:
            cut = None

    assert sorted(names_in(database)) == sorted(f"entry {number}" for number in range(times))


def test_a_bare_session_cannot_tell_the_two_apart(linked: tuple[Link, Database]) -> None:
    """The control: the same exception, once with the row stored and once without."""
    link, database = linked
    engine = create_engine(database.settings.url, pool_pre_ping=True)
    errors = []
    for cut in ("before", "after"):
        with pytest.raises(Exception) as caught, Session(engine) as session:  # noqa: PT011
            session.add(TxEntry(name=cut))
            session.flush()
            link.cut = cut
            session.commit()
        errors.append((type(caught.value), getattr(caught.value.orig, "sqlstate", "")))  # type: ignore[attr-defined]
    engine.dispose()

    assert errors[0] == errors[1]
    assert names_in(database) == ["after"]


def test_a_unit_whose_commit_turned_out_well_is_like_any_other(
    linked: tuple[Link, Database],
) -> None:
    link, database = linked
    told: list[str] = []
    with BaseUnitOfWork(database) as uow:
        entries = uow.repository(TxEntry)
        gone = entries.create(TxEntry(name="gone"))
        changed = entries.create(TxEntry(name="old"))
        uow.commit()
        entries.delete(entries.require(gone.id))
        entries.require(changed.id).name = "new"
        added = entries.create(TxEntry(name="added"))
        uow.after_commit(lambda: told.append("hook"))
        link.cut = "after"
        uow.commit()
        assert told == ["hook"]
        assert added.id is not None
        assert added.model_dump() == {"id": added.id, "name": "added"}
        assert entries.require(added.id) is not added, "what follows is a new transaction"
        entries.create(TxEntry(name="later"))
        uow.commit()

    assert names_in(database) == ["new", "added", "later"]
    assert_whole(database)


def test_a_unit_whose_commit_did_not_happen_is_undone(linked: tuple[Link, Database]) -> None:
    link, database = linked
    told: list[str] = []
    entry = TxEntry(name="a")
    with BaseUnitOfWork(database) as uow:
        row = uow.repository(TxEntry).create(entry)
        uow.after_commit(lambda: told.append("hook"))
        link.cut = "before"
        with pytest.raises(DatabaseUnavailable, match="nothing is stored") as caught:
            uow.commit()
        uow.rollback()
        assert row.id is None
        uow.repository(TxEntry).create(TxEntry(name="b"))
        uow.commit()

    assert caught.value.__cause__ is None
    assert told == []
    assert names_in(database) == ["b"]


def test_a_version_of_a_commit_that_did_not_happen_is_not_kept(
    linked: tuple[Link, Database],
) -> None:
    """It was read after a set-based write: nobody knows which one is stored."""
    link, database = linked
    open_accounts(database, 1)
    with pytest.raises(DatabaseUnavailable), BaseUnitOfWork(database) as uow:
        uow.repository(TxSheet).update_where(ALL, value=1)
        sheet = uow.repository(TxSheet).require(1)
        link.cut = "before"
        uow.commit()
    with BaseUnitOfWork(database) as uow:
        uow.repository(TxSheet).update(1, value=2)
        uow.commit()

    with pytest.raises(UnitOfWorkError, match="version"), BaseUnitOfWork(database) as uow:
        uow.repository(TxSheet).update(sheet)


def test_a_unit_that_wrote_nothing_loses_nothing(linked: tuple[Link, Database]) -> None:
    link, database = linked
    with pytest.raises(DatabaseUnavailable), BaseUnitOfWork(database) as uow:
        uow.repository(TxEntry).count()
        link.cut = "after"
        uow.commit()
    assert_whole(database)


def test_the_whole_pool_may_lose_its_links_at_once(linked: tuple[Link, Database]) -> None:
    """Who asks for the outcome needs a connection, while all are waiting for one."""
    link, database = linked
    with BaseUnitOfWork(database) as uow:
        uow.repository(TxEntry).count()

    def work(number: int) -> None:
        for step in range(5):
            name = f"{number} {step}"
            if store(database, link, "after", name) is not None:
                store(database, link, None, name)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(timeout=60)

    assert len(names_in(database)) == 60
    assert_whole(database)


def test_whoever_is_not_heard_of_any_more_is_ended(
    link: tuple[Link, str], make_database: MakeDatabase
) -> None:
    """Otherwise the server might wait for this COMMIT for hours, and hold its locks."""
    line, url = link
    database = make_database(url, connect_timeout=1)

    assert isinstance(store(database, line, "never heard of", "a"), DatabaseUnavailable)
    assert store(database, line, None, "a") is None, "its unique key is free again"


def test_where_nobody_can_be_asked_the_outcome_is_unknown(
    link: tuple[Link, str], make_database: MakeDatabase
) -> None:
    line, url = link
    database = make_database(url, connect_timeout=0.2)
    began = time.monotonic()
    with (
        pytest.raises(CommitOutcomeUnknown, match="could not tell") as caught,
        BaseUnitOfWork(database) as uow,
    ):
        uow.repository(TxEntry).create(TxEntry(name="perhaps"))
        line.cut = "after"
        line.stop_listening()
        uow.commit()

    assert caught.value.__cause__ is None
    assert caught.value.driver_error is not None
    assert time.monotonic() - began < 5
    assert database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]


def test_run_does_not_run_an_unknown_outcome_again(
    link: tuple[Link, str], make_database: MakeDatabase
) -> None:
    line, url = link
    database = make_database(url, connect_timeout=0.2)
    calls: list[int] = []

    def work(uow: BaseUnitOfWork) -> None:
        calls.append(1)
        uow.repository(TxEntry).create(TxEntry(name="once"))
        line.cut = "with"
        line.stop_listening()

    with pytest.raises(CommitOutcomeUnknown):
        BaseUnitOfWork(database).run(work)

    assert calls == [1]


# -- servers that go away meanwhile --------------------------------------------------------


@pytest.fixture
def fragile(cluster: Cluster, make_database: MakeDatabase) -> Iterator[tuple[Link, Database]]:
    """A link to a server that may be killed, and a database behind it."""
    link = Link("127.0.0.1", cluster.port)
    database = make_database(cluster.url.replace(str(cluster.port), str(link.port)))
    with BaseUnitOfWork(database) as uow:
        uow.repository(TxEntry).delete_where(ALL)
        uow.repository(TxAccount).delete_where(ALL)
        uow.commit()
    yield link, database
    link.close()


def lose(link: Link, database: Database, meanwhile: Callable[[], None]) -> KitError | None:
    """A unit whose COMMIT is done, whose answer is lost, and a server to which this happens."""
    link.before_cut = meanwhile
    return store(database, link, "after", "a")


def test_a_server_that_was_restarted_still_knows(
    cluster: Cluster, fragile: tuple[Link, Database]
) -> None:
    link, database = fragile

    assert lose(link, database, cluster.restart) is None
    assert names_in(database) == ["a"]


def test_a_server_that_crashed_says_yes_only_if_it_must_be_so(
    cluster: Cluster, fragile: tuple[Link, Database]
) -> None:
    """It may have given the number of a transaction that was not on disk to another one."""
    link, database = fragile

    assert isinstance(
        lose(link, database, lambda: cluster.restart("immediate")), CommitOutcomeUnknown
    )


def test_a_transaction_that_a_crash_ended_is_not_stored(
    cluster: Cluster, fragile: tuple[Link, Database]
) -> None:
    link, database = fragile
    link.before_cut = lambda: cluster.restart("immediate")

    assert isinstance(store(database, link, "before", "a"), DatabaseUnavailable)
    assert names_in(database) == []


def test_a_number_that_a_crash_gave_to_another_is_not_taken_for_ours(
    cluster: Cluster, fragile: tuple[Link, Database]
) -> None:
    link, database = fragile
    other = create_engine(cluster.url, isolation_level="AUTOCOMMIT", pool_pre_ping=True)

    def crash() -> None:
        cluster.restart("immediate")
        with other.connect() as connection:  # takes the next numbers, and commits
            for number in range(5):
                connection.execute(text("INSERT INTO tx_accounts VALUES (:n, 0)"), {"n": number})

    link.before_cut = crash
    told = store(database, link, "before", "a")

    assert isinstance(told, DatabaseUnavailable | CommitOutcomeUnknown)
    assert names_in(database) == []
    other.dispose()


def test_the_outcome_is_found_through_pgbouncer(
    postgresql_url: str, make_database: MakeDatabase, times: int
) -> None:
    make_database(postgresql_url)
    name = postgresql_url.rpartition("/")[2]
    bouncer = Bouncer("127.0.0.1", 5432)
    link = Link("127.0.0.1", bouncer.port)
    url = bouncer.url(name).replace(str(bouncer.port), str(link.port))
    with Database(url, pgbouncer=True) as database:
        cuts = get_args(Cut)[:3]
        told = {f"{number}": store(database, link, cuts[number % 3], f"{number}")
                for number in range(times)}  # fmt: skip
        stored = names_in(database)

    assert stored == [name for name, error in told.items() if error is None]
    assert all(isinstance(error, DatabaseUnavailable | None) for error in told.values())
    link.close()
    bouncer.remove()
