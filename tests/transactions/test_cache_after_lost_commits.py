"""A COMMIT whose answer is lost may be done: what it wrote is not served from a cache."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
from sqlmodel import Field

from domain import Entity
from domain.errors import CommitOutcomeUnknown, KitError
from infrastructure.cache import CachePolicy, TTLCache
from infrastructure.database import BaseRepository, BaseUnitOfWork, Database, Model
from tests.conftest import MakeDatabase
from tests.transactions.link import Cut, Link

pytestmark = [pytest.mark.postgresql, pytest.mark.timeout(300)]


@dataclass(eq=False, kw_only=True)
class Deposit(Entity):
    amount: int
    id: int | None = None


class DepositModel(Deposit, Model, table=True):
    __tablename__: ClassVar[str] = "tx_deposits"

    id: int | None = Field(default=None, primary_key=True)


CACHE = TTLCache(10, 3600)


class Deposits(BaseRepository[Deposit]):
    model = DepositModel
    cache = CachePolicy(ttl=3600, cache=lambda: CACHE)


class Unit(BaseUnitOfWork):
    deposits: Deposits


@pytest.fixture
def tables() -> list[Any]:
    return [DepositModel]


def lose_commit(database: Database, line: Link, cut: Cut, **deaf: bool) -> KitError | None:
    """Change the only deposit; what the caller of the COMMIT was told that met the cut."""
    CACHE.clear()
    with Unit(database) as uow:
        uow.deposits.create(Deposit(amount=1))
        uow.commit()
    with Unit(database, read_only=True) as uow:
        uow.deposits.require(1)
    assert len(CACHE) == 1
    try:
        with Unit(database) as uow:
            uow.deposits.require(1).amount = 2
            uow.session.flush()
            line.cut = cut
            if deaf:
                line.stop_listening()
            uow.commit()
    except KitError as error:
        return error
    return None


@pytest.mark.parametrize("cut", ["before", "after"])
def test_what_became_of_it_is_read_again(
    link: tuple[Link, str], make_database: MakeDatabase, cut: Cut
) -> None:
    database = make_database(link[1])
    error = lose_commit(database, link[0], cut)
    assert (error is None) is (cut == "after")
    with Unit(database, read_only=True) as uow:
        assert uow.deposits.require(1).amount == (2 if cut == "after" else 1)


def test_where_nobody_can_tell_it_is_invalidated(
    link: tuple[Link, str], make_database: MakeDatabase
) -> None:
    database = make_database(link[1], connect_timeout=0.2)
    assert isinstance(lose_commit(database, link[0], "after", deaf=True), CommitOutcomeUnknown)
    assert len(CACHE) == 0
