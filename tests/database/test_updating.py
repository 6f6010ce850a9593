"""Updating: tracked changes, whole entities from elsewhere, and single fields by id."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest
from sqlmodel import Field, col

from domain import Entity
from domain.errors import (
    ConcurrencyConflict,
    EntityNotFound,
    UniqueViolation,
    UnitOfWorkError,
    ValidationError,
)
from infrastructure.database import (
    BaseRepository,
    BaseUnitOfWork,
    Database,
    Model,
    Timestamped,
    Versioned,
)


@dataclass(eq=False, kw_only=True)
class AlterAccount(Entity):
    owner: str
    balance: int = 0
    notes: list[str] = field(default_factory=list)
    id: int | None = None

    def deposit(self, amount: int) -> None:
        self.balance += amount


class AlterAccountModel(AlterAccount, Timestamped, Versioned, Model, table=True):
    __tablename__: ClassVar[str] = "alter_accounts"

    id: int | None = Field(default=None, primary_key=True)
    owner: str = Field(max_length=20, unique=True)


class AlterLabel(Model, table=True):
    """Without domain class and version."""

    id: int | None = Field(default=None, primary_key=True)
    name: str
    color: str | None = "red"


class Accounts(BaseRepository[AlterAccount]):
    model = AlterAccountModel


class Bank(BaseUnitOfWork):
    accounts: Accounts


@pytest.fixture
def tables() -> list[Any]:
    return [AlterAccountModel, AlterLabel]


@pytest.fixture
def bank(database: Database) -> Database:
    """Two accounts: that of ada with 10, that of bob with 20."""
    with Bank(database) as uow:
        uow.accounts.create_many(
            [AlterAccount(owner="ada", balance=10), AlterAccount(owner="bob", balance=20)]
        )
        uow.commit()
    return database


def stored(database: Database, id: int = 1) -> Any:
    with BaseUnitOfWork(database, read_only=True) as uow:
        return uow.repository(AlterAccountModel).require(id)


def change_elsewhere(database: Database, id: int = 1) -> None:
    with Bank(database) as uow:
        uow.accounts.update(id, balance=99)
        uow.commit()


def plain(database: Database, id: int = 1) -> AlterAccount:
    with Bank(database, read_only=True) as uow:
        return uow.accounts.require(id)


# -- tracked -------------------------------------------------------------------------------


def test_a_changed_entity_is_written_at_commit(bank: Database) -> None:
    before = stored(bank)
    with Bank(bank) as uow:
        account = uow.accounts.require(1)
        account.deposit(5)
        account.notes.append("deposit")
        uow.commit()
    after = stored(bank)
    assert (after.balance, after.notes, after.version) == (15, ["deposit"], 2)
    assert after.updated_at >= before.updated_at
    assert after.created_at == before.created_at
    assert stored(bank, 2).version == 1


def test_updating_a_tracked_entity_writes_it_now(bank: Database) -> None:
    with Bank(bank) as uow:
        account = uow.accounts.require(1)
        account.deposit(5)
        assert uow.accounts.update(account) is account
        balance = uow.session.connection().exec_driver_sql(
            "SELECT balance FROM alter_accounts WHERE id = 1"
        )
        assert balance.scalar_one() == 15
        uow.commit()
    assert stored(bank).balance == 15


def test_nothing_changed_is_nothing_written(bank: Database) -> None:
    with Bank(bank) as uow:
        account = uow.accounts.require(1)
        account.balance = 10
        uow.accounts.update(account)
        uow.commit()
    assert stored(bank).version == 1


@pytest.mark.parametrize("value", [None, "ten", 1.5, 2**31, [1]])
def test_a_wrong_value_in_a_tracked_entity_is_refused_before_sql(
    bank: Database, value: Any
) -> None:
    with Bank(bank) as uow:
        account = uow.accounts.require(1)
        account.balance = value
        for flush in (uow.commit, lambda: uow.accounts.update(account)):
            with pytest.raises(ValidationError) as caught:
                flush()
            assert caught.value.entity == "AlterAccount"
            assert set(caught.value.errors) == {"balance"}
        account.balance = 11
        uow.commit()
    assert stored(bank).balance == 11


@pytest.mark.parametrize(("name", "value"), [("id", 7), ("version", 7)])
def test_key_and_version_cannot_be_changed(bank: Database, name: str, value: int) -> None:
    with Bank(bank) as uow:
        account = uow.accounts.require(1)
        setattr(account, name, value)
        with pytest.raises(ValidationError) as caught:
            uow.commit()
        assert set(caught.value.errors) == {name}
        uow.rollback()
    assert stored(bank).version == 1


def test_a_row_changed_under_a_loaded_entity_is_a_conflict(bank: Database) -> None:
    with Bank(bank) as uow:
        account = uow.accounts.require(1)
        uow.session.connection().exec_driver_sql("UPDATE alter_accounts SET version = 5")
        account.deposit(5)
        with pytest.raises(ConcurrencyConflict) as caught:
            uow.commit()
        uow.rollback()
    assert (caught.value.entity, caught.value.id) == ("AlterAccount", 1)
    assert caught.value.fields == ("version",)
    assert (stored(bank).balance, stored(bank).version) == (10, 1)


# -- by id ---------------------------------------------------------------------------------


def test_changes_by_id_touch_only_what_is_given(bank: Database) -> None:
    with Bank(bank) as uow:
        account = uow.accounts.update(1, balance=50)
        assert (account.owner, account.balance) == ("ada", 50)
        assert uow.accounts.get_by_id(1) is account
        assert uow.accounts.update(1, notes=["x"], owner="eva") is account
        uow.commit()
    after = stored(bank)
    assert (after.owner, after.balance, after.notes, after.version) == ("eva", 50, ["x"], 3)


def test_changes_by_id_keep_the_other_changes_of_a_loaded_entity(bank: Database) -> None:
    with Bank(bank) as uow:
        account = uow.accounts.require(1)
        account.owner = "eva"
        uow.accounts.update(1, balance=50)
        uow.commit()
    assert (stored(bank).owner, stored(bank).balance) == ("eva", 50)


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"balanse": 1}, {"balanse"}),
        ({"balance": "x"}, {"balance"}),
        ({"balance": None, "owner": "x" * 21}, {"balance"}),
        ({"owner": "x" * 21}, {"owner"}),
        ({"id": 2}, {"id"}),
        ({"version": "x", "balance": 1}, {"version"}),
        ({"version": None, "balance": 1}, {"version"}),
        ({"deposit": 1}, {"deposit"}),
    ],
)
def test_wrong_changes_change_nothing(
    bank: Database, changes: dict[str, Any], fields: set[str]
) -> None:
    with Bank(bank) as uow:
        with pytest.raises(ValidationError) as caught:
            uow.accounts.update(1, **changes)
        assert caught.value.entity == "AlterAccount"
        assert set(caught.value.errors) >= fields
        assert uow.accounts.require(1).balance == 10
        uow.commit()
    assert stored(bank).version == 1


def test_a_missing_id_cannot_be_updated(bank: Database) -> None:
    with Bank(bank) as uow:
        with pytest.raises(EntityNotFound) as caught:
            uow.accounts.update(99, balance=1)
        assert (caught.value.entity, caught.value.id) == ("AlterAccount", 99)
        uow.accounts.update(1, balance=11)
        uow.commit()
    assert stored(bank).balance == 11


def test_the_expected_version_is_checked(bank: Database) -> None:
    with Bank(bank) as uow:
        uow.accounts.update(1, version=1, balance=11)
        uow.commit()
    with Bank(bank) as uow:
        with pytest.raises(ConcurrencyConflict) as caught:
            uow.accounts.update(1, version=1, balance=12)
        assert (caught.value.entity, caught.value.id) == ("AlterAccount", 1)
        with pytest.raises(UnitOfWorkError):  # a failed version check fails the unit
            uow.accounts.count()
        uow.rollback()
        uow.accounts.update(1, version=2, balance=12)
        uow.commit()
    assert (stored(bank).balance, stored(bank).version) == (12, 3)


# -- from elsewhere ------------------------------------------------------------------------


def test_a_detached_entity_is_written_whole(bank: Database) -> None:
    account = plain(bank)
    account.owner, account.balance = "eva", 77
    with Bank(bank) as uow:
        row = uow.accounts.update(account)
        assert isinstance(row, AlterAccountModel)
        assert uow.accounts.get_by_id(1) is row
        uow.commit()
    after = stored(bank)
    assert (after.owner, after.balance, after.version) == ("eva", 77, 2)


def test_an_entity_of_an_earlier_transaction_is_written_by_update(bank: Database) -> None:
    with Bank(bank) as uow:
        account = uow.accounts.require(1)
        uow.commit()
        account.deposit(1)
        with pytest.raises(UnitOfWorkError, match="AlterAccount 1"):
            uow.commit()
        uow.accounts.update(account)
        uow.commit()
    assert stored(bank).balance == 11


def test_a_detached_entity_can_be_updated_again_and_again(bank: Database) -> None:
    account = plain(bank)
    for n in range(3):
        account.balance = n
        with Bank(bank) as uow:
            uow.accounts.update(account)
            uow.commit()
    assert (stored(bank).balance, stored(bank).version) == (2, 4)


@pytest.mark.parametrize("writing", [True, False])
def test_a_detached_entity_of_an_old_version_is_a_conflict(bank: Database, writing: bool) -> None:
    with Bank(bank, read_only=not writing) as uow:
        account = uow.accounts.require(1)
    change_elsewhere(bank)
    account.balance = 11
    with pytest.raises(ConcurrencyConflict) as caught, Bank(bank) as uow:
        uow.accounts.update(account)
    assert (caught.value.entity, caught.value.id) == ("AlterAccount", 1)
    assert stored(bank).balance == 99


def test_an_entity_that_bears_no_version_is_refused(bank: Database) -> None:
    made = AlterAccount(owner="eva", id=1)
    with Bank(bank) as uow:
        with pytest.raises(UnitOfWorkError, match="get_by_id"):
            uow.accounts.update(made)
        uow.rollback()
    assert stored(bank).owner == "ada"


def test_what_was_never_stored_or_is_gone_cannot_be_updated(bank: Database) -> None:
    account = plain(bank)
    with Bank(bank) as uow:
        with pytest.raises(ValidationError) as new:
            uow.accounts.update(AlterAccount(owner="new"))
        assert set(new.value.errors) == {"id"}
        uow.accounts.delete(1)
        with pytest.raises(EntityNotFound):
            uow.accounts.update(account)
        uow.commit()


def test_a_wrong_detached_entity_is_refused_before_sql(bank: Database) -> None:
    account: Any = plain(bank)
    account.balance = "x"
    account.owner = "y" * 30
    with Bank(bank) as uow:
        with pytest.raises(ValidationError) as caught:
            uow.accounts.update(account)
        assert set(caught.value.errors) >= {"balance"}
        assert uow.accounts.require(1).owner == "ada"
    assert stored(bank).version == 1


def test_an_entity_goes_alone_and_of_its_own_kind(bank: Database) -> None:
    with Bank(bank) as uow:
        account = uow.accounts.require(1)
        with pytest.raises(ValidationError) as both:
            uow.accounts.update(account, balance=1)
        assert set(both.value.errors) == {"balance"}
        with pytest.raises(ValidationError) as other:
            uow.accounts.update(AlterLabel(id=1, name="x"))
        assert other.value.entity == "AlterAccount"


def test_a_duplicate_by_update_is_a_unique_violation(bank: Database) -> None:
    with Bank(bank) as uow:
        account = uow.accounts.require(2)
        for write in (
            lambda: uow.accounts.update(1, owner="bob"),
            lambda: (setattr(account, "owner", "ada"), uow.accounts.update(account)),
        ):
            with pytest.raises(UniqueViolation) as caught, uow.savepoint():
                write()
            assert (caught.value.entity, caught.value.fields) == ("AlterAccount", ("owner",))
        assert account.owner == "bob"
        uow.commit()
    assert (stored(bank, 1).owner, stored(bank, 2).owner) == ("ada", "bob")


def test_every_way_of_updating_moves_the_time_of_the_change(bank: Database) -> None:
    moment = datetime(2040, 1, 1, tzinfo=UTC)
    account = plain(bank)
    for step, write in enumerate(
        [
            lambda uow: setattr(uow.accounts.require(1), "balance", 1),
            lambda uow: uow.accounts.update(1, balance=2),
            lambda uow: uow.accounts.require(1).notes.append("x"),
            lambda uow: uow.accounts.update_where(col(AlterAccountModel.id) == 1, balance=3),
        ]
    ):
        now = moment + timedelta(days=step)
        bank.clock = lambda now=now: now  # type: ignore[misc]
        with Bank(bank) as uow:
            write(uow)
            uow.commit()
        assert (stored(bank).updated_at, stored(bank).version) == (now, step + 2)
    account.balance = 5
    with pytest.raises(ConcurrencyConflict), Bank(bank) as uow:
        uow.accounts.update(account)


def test_a_table_without_domain_class_and_version(database: Database) -> None:
    with BaseUnitOfWork(database) as uow:
        label = uow.repository(AlterLabel).create({"name": "a"})
        uow.commit()
    label.name = "b"
    with BaseUnitOfWork(database) as uow:
        labels = uow.repository(AlterLabel)
        assert labels.update(label).name == "b"
        labels.update(label.id, color=None)
        uow.commit()
    with BaseUnitOfWork(database) as uow:
        labels = uow.repository(AlterLabel)
        assert (labels.require(1).name, labels.require(1).color) == ("b", None)
        labels.update(AlterLabel(id=1, name="c"))
        uow.commit()
        assert (labels.require(1).name, labels.require(1).color) == ("c", "red")
