"""Servers that are restarted between units, and pooled connections that are old by then."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlmodel import Session

from domain import ALL
from domain.errors import DatabaseUnavailable
from infrastructure.database import BaseUnitOfWork, Database
from tests.conftest import MakeDatabase
from tests.transactions.accounts import TABLES, TxEntry, assert_whole, names_in
from tests.transactions.servers import Cluster

pytestmark = pytest.mark.postgresql


@pytest.fixture
def tables() -> list[Any]:
    return TABLES


@pytest.fixture
def database(cluster: Cluster, make_database: MakeDatabase) -> Database:
    made = make_database(cluster.url)
    with BaseUnitOfWork(made) as uow:
        uow.repository(TxEntry).delete_where(ALL)
        uow.commit()
    return made


def fill_pools(database: Database) -> None:
    """As many connections as the pools keep, of either kind."""
    for read_only in (False, True):
        meet = threading.Barrier(5)

        def work(*, reading: bool = read_only, together: threading.Barrier = meet) -> None:
            with BaseUnitOfWork(database, read_only=reading) as uow:
                uow.repository(TxEntry).count()
                together.wait(timeout=30)

        threads = [threading.Thread(target=work) for _ in range(5)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_no_unit_fails_after_a_restart(cluster: Cluster, database: Database, mode: str) -> None:
    stored = []
    for restart in range(3):
        fill_pools(database)
        cluster.restart(mode)
        for number in range(7):
            name = f"{restart} {number}"
            with BaseUnitOfWork(database) as uow:
                uow.repository(TxEntry).create(TxEntry(name=name))
                uow.commit()
            stored.append(name)
            assert names_in(database) == stored


def test_a_bare_engine_fails_after_a_restart(cluster: Cluster) -> None:
    """The control: what is in the pool is dead, and the first who gets it learns that."""
    engine = create_engine(cluster.url)
    with Session(engine) as session:
        session.scalar(text("SELECT 1"))
    cluster.restart()
    with pytest.raises(Exception, match="terminating connection") as caught:  # noqa: SIM117
        with Session(engine) as session:
            session.scalar(text("SELECT 1"))
    engine.dispose()

    assert type(caught.value).__name__ == "OperationalError"


def test_a_server_that_is_not_there_is_said_so_and_does_no_harm_later(
    cluster: Cluster, database: Database
) -> None:
    fill_pools(database)
    cluster.stop()
    try:
        for read_only in (False, True):
            with (
                pytest.raises(DatabaseUnavailable, match=str(cluster.port)),
                BaseUnitOfWork(database, read_only=read_only) as uow,
            ):
                uow.repository(TxEntry).count()
    finally:
        cluster.start()

    assert names_in(database) == []
    assert_whole(database)


def test_run_does_not_hide_that_the_server_is_gone(cluster: Cluster, database: Database) -> None:
    """Nobody knows when it will be back: whoever called decides."""
    calls: list[int] = []

    def work(uow: BaseUnitOfWork) -> None:
        calls.append(1)
        uow.repository(TxEntry).create(TxEntry(name="a"))
        cluster.restart("immediate")
        uow.repository(TxEntry).count()

    with pytest.raises(DatabaseUnavailable):
        BaseUnitOfWork(database).run(work)

    assert calls == [1]
    assert names_in(database) == []
    assert_whole(database)


def test_a_unit_that_was_open_fails_and_can_be_begun_again(
    cluster: Cluster, database: Database
) -> None:
    with BaseUnitOfWork(database) as uow:
        uow.repository(TxEntry).create(TxEntry(name="lost"))
        cluster.restart()
        with pytest.raises(DatabaseUnavailable):
            uow.repository(TxEntry).count()
        uow.rollback()
        uow.repository(TxEntry).create(TxEntry(name="kept"))
        uow.commit()

    assert names_in(database) == ["kept"]
    assert_whole(database)
