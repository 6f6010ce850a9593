"""What an application does wrong: misuse of a unit, writes where it reads, and bugs in its SQL."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any

from sqlalchemy import event, insert, text
from sqlalchemy.exc import ArgumentError, CompileError, DBAPIError, StatementError

from domain import ALL, where
from domain.errors import ReadOnlyViolation, UniqueViolation, UnitOfWorkError
from tests.transactions.secrets_everywhere import CANARY, Action, Cases, error_of
from tests.transactions.vault_cases import SQL_NULL, TABLE, in_core
from tests.transactions.vaults import NEW, OTHER, Bank, Vault, VaultItem, VaultModel, planted

# -- misuse of a unit ----------------------------------------------------------------------------


def at_the_same_time(uow: Bank) -> None:
    """Another thread uses the unit while a statement of this one is under way."""
    vaults = uow.vaults
    caught: list[Exception | None] = []

    def use() -> None:
        caught.append(error_of(lambda: vaults.create(plain())))

    def meanwhile(*_: Any) -> None:
        thread = threading.Thread(target=use)
        thread.start()
        thread.join()

    event.listen(uow.session.connection(), "before_cursor_execute", meanwhile, once=True)
    uow.session.execute(text("SELECT :email"), {"email": CANARY.text})
    raise caught[0] or AssertionError


def plain(**changes: Any) -> Vault:
    return Vault(**planted(**{"email": NEW} | changes))


def changed_afterwards(uow: Bank) -> None:
    given = plain()
    uow.vaults.create(given)
    given.name = OTHER
    uow.commit()


def changed_when_settled(uow: Bank) -> None:
    vault = uow.vaults.require(1)
    uow.commit()
    vault.name = OTHER
    uow.commit()


def changed_twice(uow: Bank) -> None:
    with Bank(uow.session.database, read_only=True) as reader:
        vault = reader.vaults.require(1)
    uow.vaults.require(1).name = OTHER
    vault.number = CANARY.whole + 1
    uow.vaults.update(vault)


def put_into_two_lists(uow: Bank) -> None:
    item = VaultItem(label=NEW)
    for id in (1, 2):
        uow.vaults.require(id).items.append(item)
    uow.session.flush()


def given_twice(uow: Bank) -> None:
    vault = plain()
    uow.vaults.create_many([vault, vault])


def created_twice(uow: Bank) -> None:
    vault = plain()
    uow.vaults.create(vault)
    uow.vaults.create(vault)


def beside_another(uow: Bank) -> None:
    uow.vaults.require(1)
    with Bank(uow.session.database) as second:
        second.vaults.create(planted())


def inside_a_savepoint(uow: Bank) -> None:
    with uow.savepoint():
        uow.vaults.update(1, name=OTHER)
        uow.commit()


def swallowed(uow: Bank) -> None:
    """Whoever swallows an error inside of a savepoint learns it at its end."""
    with uow.savepoint(), suppress(UniqueViolation):
        uow.vaults.create(planted())


def streamed(uow: Bank) -> None:
    stream = Bank(uow.session.database, read_only=True)
    with stream as reader:
        for _ in reader.vaults.stream(where("email") != CANARY.head, batch_size=1):
            reader.commit()


MISUSES: Cases = {
    "two threads": (UnitOfWorkError, at_the_same_time),
    "not entered": (UnitOfWorkError, lambda uow: Bank(uow.session.database).vaults),
    "entered twice": (UnitOfWorkError, lambda uow: uow.__enter__()),
    "a second unit": (UnitOfWorkError, beside_another),
    "run inside": (UnitOfWorkError, lambda uow: Bank(uow.session.database).run(beside_another)),
    "of the session": (UnitOfWorkError, lambda uow: (uow.vaults.require(1), uow.session.commit())),
    "in a savepoint": (UnitOfWorkError, inside_a_savepoint),
    "swallowed": (UnitOfWorkError, swallowed),
    "stored": (UnitOfWorkError, lambda uow: uow.vaults.create(uow.vaults.require(1))),
    "no version": (UnitOfWorkError, lambda uow: uow.vaults.update(plain(id=1))),
    "an original": (UnitOfWorkError, changed_afterwards),
    "settled": (UnitOfWorkError, changed_when_settled),
    "changed twice": (UnitOfWorkError, changed_twice),
    "two lists": (UnitOfWorkError, put_into_two_lists),
    "given twice": (UnitOfWorkError, given_twice),
    "created twice": (UnitOfWorkError, created_twice),
    "a stream": (UnitOfWorkError, streamed),
}

WRITES_WHEN_READING: Cases = {
    "create": (ReadOnlyViolation, lambda uow: uow.vaults.create(planted(email=NEW))),
    "bulk": (ReadOnlyViolation, lambda uow: uow.vaults.bulk_create([planted(email=NEW)])),
    "update where": (ReadOnlyViolation, lambda uow: uow.vaults.update_where(ALL, name=NEW)),
    "Core": (ReadOnlyViolation, in_core(planted(email=NEW))),
    "SQL": (
        ReadOnlyViolation, lambda uow: uow.session.execute(SQL_NULL, {"email": CANARY.text}),
    ),
    "commit": (
        ReadOnlyViolation,
        lambda uow: (setattr(uow.session.get(VaultModel, 1), "name", NEW), uow.commit()),
    ),
}  # fmt: skip

# -- bugs, which stay what they are --------------------------------------------------------------


class Odd:
    """What no database takes as a parameter."""

    def __repr__(self) -> str:
        return f"Odd({CANARY.text!r})"


def sql(statement: str, **more: Any) -> Action:
    parameters = {"text": CANARY.text, "whole": CANARY.whole, **more}
    return lambda uow: uow.session.execute(text(statement), parameters)


BUGS: Cases = {
    "syntax": (DBAPIError, sql("SELEC :text FROM vaults WHERE number = :whole")),
    "column": (DBAPIError, sql("SELECT nothing FROM vaults WHERE email = :text")),
    "table": (DBAPIError, sql("INSERT INTO nothing VALUES (:text, :whole)")),
    "function": (DBAPIError, sql("SELECT nothing(:text)")),
    "many": (DBAPIError, lambda uow: uow.session.execute(
        text("UPDATE nothing SET name = :name"), [planted(), planted()]
    )),
    "a missing parameter": (StatementError, sql("SELECT :text, :missing")),
    "an odd parameter": (DBAPIError, sql("SELECT :text, :odd", odd=Odd())),
    "no dict": (ArgumentError, lambda uow: uow.session.execute(text("SELECT 1"), CANARY.text)),
    "Core": (StatementError, lambda uow: uow.session.execute(insert(TABLE), planted(moment="?"))),
    "expression": (StatementError, lambda uow: uow.vaults.get_all(VaultModel.day == Odd())),
    "a name": (CompileError, lambda uow: uow.session.execute(
        insert(TABLE).values(nothing=CANARY.text)
    )),
}  # fmt: skip
