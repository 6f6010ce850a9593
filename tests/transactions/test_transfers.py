"""Many threads that move money between few accounts at SERIALIZABLE: none is lost or made."""

from __future__ import annotations

import random
from typing import Any

import pytest

from domain.errors import TransientError
from infrastructure.database import BaseUnitOfWork, Database
from tests.conftest import MakeDatabase
from tests.transactions.accounts import TABLES, TxAccount, in_threads, open_accounts

THREADS, TRANSFERS, ACCOUNTS, BALANCE = 16, 40, 8, 100


@pytest.fixture
def tables() -> list[Any]:
    return TABLES


class Transfer:
    """Move an amount if the account has it; without any lock."""

    def __init__(self, chance: random.Random) -> None:
        self.giver, self.taker = chance.sample(range(1, ACCOUNTS + 1), 2)
        self.amount = chance.randint(1, BALANCE)

    def __call__(self, uow: BaseUnitOfWork) -> bool:
        accounts = uow.repository(TxAccount)
        giver, taker = accounts.require(self.giver), accounts.require(self.taker)
        if giver.balance < self.amount:
            return False
        giver.balance -= self.amount
        taker.balance += self.amount
        return True


@pytest.fixture
def bank(shared_url: str, make_database: MakeDatabase) -> Database:
    database = make_database(shared_url, pool_size=THREADS)
    open_accounts(database, ACCOUNTS, BALANCE)
    return database


def balances(database: Database) -> list[int]:
    with BaseUnitOfWork(database, read_only=True) as uow:
        return [account.balance for account in uow.repository(TxAccount).get_all()]


def test_the_total_is_exact_nobody_overdraws_and_every_unit_finishes(bank: Database) -> None:
    moved: list[bool] = []

    def work(number: int) -> None:
        chance = random.Random(number)
        for _ in range(TRANSFERS):
            unit = BaseUnitOfWork(bank, isolation_level="SERIALIZABLE")
            moved.append(unit.run(Transfer(chance), timeout=100))

    in_threads(THREADS, work)

    assert len(moved) == THREADS * TRANSFERS
    assert any(moved)
    assert not all(moved), "nobody was refused: the accounts are too rich to prove anything"
    assert sum(balances(bank)) == ACCOUNTS * BALANCE
    assert min(balances(bank)) >= 0


@pytest.mark.postgresql
def test_three_attempts_are_not_enough(postgresql_url: str, make_database: MakeDatabase) -> None:
    """The control: units do meet here, so that it is run() which lets them finish."""
    bank = make_database(postgresql_url, pool_size=THREADS)
    open_accounts(bank, ACCOUNTS, BALANCE)
    given_up: list[int] = []

    def work(number: int) -> None:
        chance = random.Random(number)
        for _ in range(TRANSFERS):
            try:
                unit = BaseUnitOfWork(bank, isolation_level="SERIALIZABLE")
                unit.run(Transfer(chance), attempts=2)
            except TransientError:
                given_up.append(number)

    in_threads(THREADS, work)

    assert given_up
    assert sum(balances(bank)) == ACCOUNTS * BALANCE
