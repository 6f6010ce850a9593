"""What goes wrong with vaults: refused values, refused queries, refused rows, misused units."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pydantic
from sqlalchemy import insert, text

from domain import ALL, where
from domain.errors import (
    CheckViolation,
    ConcurrencyConflict,
    EntityNotFound,
    ForeignKeyViolation,
    MultipleEntitiesFound,
    NotNullViolation,
    UniqueViolation,
    ValidationError,
)
from tests.transactions.secrets_everywhere import CANARY, Action, Cases, error_of
from tests.transactions.vaults import (
    NEW,
    OTHER,
    Bank,
    Price,
    Vault,
    VaultItem,
    VaultModel,
    VaultOwner,
    planted,
)

# -- values that are refused ---------------------------------------------------------------------

WRONG: dict[str, list[Any]] = {
    "email": [[CANARY.text], CANARY.text + "\0", CANARY.text + "\ud800", None],
    "name": [CANARY.text * 3, CANARY.whole, CANARY.json],
    "number": [CANARY.text, int(f"{CANARY.whole}{CANARY.whole}"), CANARY.ratio],
    "big": [CANARY.text, int(f"{CANARY.big}{CANARY.big}"), CANARY.amount],
    "amount": [CANARY.text, CANARY.amount + Decimal("0.001"), CANARY.amount * 10**9],
    "ratio": [CANARY.text, CANARY.json],
    "moment": [CANARY.text, CANARY.moment.replace(tzinfo=None), CANARY.moment.isoformat() + "?"],
    "day": [CANARY.text, CANARY.moment, CANARY.day.isoformat() + "?"],
    "badge": [CANARY.text, CANARY.uuid.hex + "0"],
    "seal": [CANARY.whole, [CANARY.bytes]],
    "facts": [CANARY.text, {CANARY.head: {CANARY.tail}}, {"a": CANARY.text + "\0"}],
    "limits": [CANARY.text, [CANARY.head], {"a": CANARY.text}],
    "tags": [CANARY.text, [[CANARY.text]], CANARY.json],
    "colour": [CANARY.text, CANARY.whole, CANARY.head],
    "price": [CANARY.text, CANARY.json, Price(CANARY.text, CANARY.text)],  # type: ignore[arg-type]
}  # fmt: skip

WRONG_ITEMS: list[Any] = [
    CANARY.text,
    [CANARY.text],
    [{"label": [CANARY.text]}],
    [{"weight": CANARY.whole}],
    [VaultItem(label=CANARY.text, weight=int(f"{CANARY.big}{CANARY.big}"))],
    [VaultOwner(email=CANARY.text)],
]


def changed(uow: Bank, field: str, value: Any) -> None:
    setattr(uow.vaults.require(1), field, value)
    uow.commit()


def written_over(uow: Bank, field: str, value: Any) -> None:
    with Bank(uow.session.database, read_only=True) as reader:
        vault = reader.vaults.require(1)
    setattr(vault, field, value)
    uow.vaults.update(vault)


def queued(uow: Bank, field: str, value: Any) -> None:
    vault = uow.vaults.create_deferred(planted(email=OTHER))
    setattr(vault, field, value)
    uow.session.flush()


def schema(field: str, value: Any) -> Any:
    fields: dict[str, Any] = dict.fromkeys((*planted(), "items"), (Any, None))
    return pydantic.create_model("Schema", **fields)(**planted(**{"items": [], field: value}))


Entry = Callable[[Any, str, Any], object]

WRITES: dict[str, Entry] = {
    "constructor": lambda uow, field, value: VaultModel(**planted(**{field: value})),
    "validate": lambda uow, field, value: VaultModel.model_validate(planted(**{field: value})),
    "create": lambda uow, field, value: uow.vaults.create(planted(**{field: value})),
    "create plain": lambda uow, field, value: uow.vaults.create(Vault(**planted(**{field: value}))),
    "create schema": lambda uow, field, value: uow.vaults.create(schema(field, value)),
    "create many": lambda uow, field, value: uow.vaults.create_many(
        [planted(email=OTHER), planted(**{field: value})]
    ),
    "deferred": queued,
    "bulk create": lambda uow, field, value: uow.vaults.bulk_create([planted(**{field: value})]),
    "bulk upsert": lambda uow, field, value: uow.vaults.bulk_upsert(
        [planted(**{field: value})], on="email"
    ),
    "upsert": lambda uow, field, value: uow.vaults.upsert(planted(**{field: value}), on="email"),
    "upsert another": lambda uow, field, value: uow.vaults.upsert(
        planted(**{"email": OTHER, field: value}), on="email"
    ),
    "get or create": lambda uow, field, value: uow.vaults.get_or_create(
        planted(**{"email": NEW, field: value}), on="email"
    ),
    "commit": changed,
    "update entity": written_over,
}
CHANGES: dict[str, Entry] = {
    "update": lambda uow, field, value: uow.vaults.update(1, **{field: value}),
    "update where": lambda uow, field, value: uow.vaults.update_where(ALL, **{field: value}),
    "bulk update": lambda uow, field, value: uow.vaults.bulk_update([{"id": 1, field: value}]),
}
CRITERIA: dict[str, Entry] = {
    "==": lambda uow, field, value: uow.vaults.get_all(where(field) == value),
    "<": lambda uow, field, value: uow.vaults.count(where(field) < value),
    "in": lambda uow, field, value: uow.vaults.first(where(field).in_([value])),
    "between": lambda uow, field, value: uow.vaults.exists(where(field).between(value, value)),
    "contains": lambda uow, field, value: uow.vaults.one(where(field).contains(value)),
    "of nothing": lambda uow, field, value: where(field).in_(value),
    "in Python": lambda uow, field, value: (where(field) < value).is_satisfied_by(
        Vault(**planted())
    ),
    "delete": lambda uow, field, value: uow.vaults.delete_where(where(field) != value),
}

# -- queries and ids that are refused ------------------------------------------------------------


class NumbersOnly(pydantic.BaseModel):
    email: int


def foreign_cursor(uow: Bank) -> None:
    cursor = uow.owners.window(order_by="-email", size=1).next
    assert cursor is not None
    error = error_of(lambda: uow.vaults.window(order_by="email", after=cursor))
    assert error is not None
    assert cursor not in repr(error)
    raise error


NUMBER = json.dumps({"number": CANARY.text})

QUERIES: Cases = {
    "order": (ValidationError, lambda uow: uow.vaults.get_all(order_by=[[CANARY.text]])),
    "criterion": (ValidationError, lambda uow: uow.vaults.get_all(CANARY.text)),
    "limit": (ValidationError, lambda uow: uow.vaults.get_all(limit=CANARY.text)),
    "offset": (ValidationError, lambda uow: uow.vaults.get_all(offset=-CANARY.big)),
    "page": (ValidationError, lambda uow: uow.vaults.page(number=CANARY.text)),
    "size": (ValidationError, lambda uow: uow.vaults.page(size=CANARY.ratio)),
    "after": (ValidationError, lambda uow: uow.vaults.window(after=CANARY.text)),
    "before": (ValidationError, lambda uow: uow.vaults.window(before=CANARY.head)),
    "cursor": (ValidationError, foreign_cursor),
    "id": (ValidationError, lambda uow: uow.vaults.require(CANARY.text)),
    "ids": (ValidationError, lambda uow: uow.vaults.get_many([CANARY.text])),
    "one id": (ValidationError, lambda uow: uow.vaults.get_many(CANARY.text)),
    "composite": (ValidationError, lambda uow: uow.vaults.get_by_id((CANARY.text, 1))),
    "delete": (ValidationError, lambda uow: uow.vaults.delete(CANARY.text)),
    "version": (ValidationError, lambda uow: uow.vaults.update(1, version=CANARY.text)),
    "missing": (ValidationError, lambda uow: uow.vaults.create({"name": CANARY.text})),
    "unknown": (ValidationError, lambda uow: uow.vaults.create(planted(nothing=CANARY.text))),
    "JSON": (ValidationError, lambda uow: VaultModel.model_validate_json(NUMBER)),
    "no JSON": (ValidationError, lambda uow: VaultModel.model_validate_json(CANARY.text)),
    "entity": (ValidationError, lambda uow: uow.vaults.create(CANARY.text)),
    "another": (ValidationError, lambda uow: uow.vaults.create(VaultOwner(email=CANARY.text))),
    "rows": (ValidationError, lambda uow: uow.vaults.bulk_create(CANARY.text)),
    "row": (ValidationError, lambda uow: uow.vaults.bulk_update([{"email": CANARY.text}])),
    "same": (ValidationError, lambda uow: uow.vaults.bulk_upsert([planted()] * 2, on="email")),
    "view": (ValidationError, lambda uow: uow.vaults.view(NumbersOnly)),
    "truth": (TypeError, lambda uow: bool(where("email") == CANARY.text)),
    "hash": (TypeError, lambda uow: {where("email"): CANARY.text}),
    "one": (EntityNotFound, lambda uow: uow.vaults.one(where("email") == CANARY.text + "!")),
    "several": (
        MultipleEntitiesFound, lambda uow: uow.vaults.one(where("name") == CANARY.text),
    ),
    "no id": (EntityNotFound, lambda uow: uow.vaults.update(99, **planted())),
}  # fmt: skip

# -- rows that the database refuses --------------------------------------------------------------

TABLE: Any = VaultModel.__table__  # type: ignore[attr-defined]
SQL_NULL = text("UPDATE vaults SET name = NULL WHERE email = :email")
SQL_SAME = text("UPDATE vaults SET email = :email WHERE name = :name")
SQL_CHECK = text("UPDATE vaults SET number = :number WHERE email = :email")
U, F, N, C = UniqueViolation, ForeignKeyViolation, NotNullViolation, CheckViolation


def edited(uow: Bank, **fields: Any) -> None:
    vault = uow.vaults.require(2)
    for name, value in fields.items():
        setattr(vault, name, value)
    uow.commit()


def replaced(uow: Bank, **fields: Any) -> None:
    with Bank(uow.session.database, read_only=True) as reader:
        vault = reader.vaults.require(2)
    for name, value in fields.items():
        setattr(vault, name, value)
    uow.vaults.update(vault)


def in_core(*rows: dict[str, Any]) -> Action:
    return lambda uow: uow.session.execute(insert(TABLE), [{**row, "version": 1} for row in rows])


def in_savepoint(action: Action) -> Action:
    def run(uow: Bank) -> None:
        with uow.savepoint(), uow.savepoint():
            action(uow)

    return run


def owned(uow: Bank) -> None:
    """Somebody is referred to, and goes."""
    uow.vaults.update_where(ALL, owner=CANARY.text)
    uow.owners.delete(1)


NEGATIVE = planted(email=NEW, number=-CANARY.whole)
DANGLING = planted(email=NEW, owner=NEW)
LABEL = [VaultItem(label=CANARY.text)]
HEAVY = [VaultItem(label=NEW, weight=-CANARY.whole)]

CONFLICTS: Cases = {
    "create": (U, lambda uow: uow.vaults.create(planted())),
    "create many": (U, lambda uow: uow.vaults.create_many([planted(email=NEW), planted()])),
    "deferred": (U, lambda uow: (uow.vaults.create_deferred(planted()), uow.commit())),
    "autoflush": (U, lambda uow: (uow.vaults.create_deferred(planted()), uow.vaults.count())),
    "bulk create": (U, lambda uow: uow.vaults.bulk_create([planted(email=NEW), planted()])),
    "bulk update": (U, lambda uow: uow.vaults.bulk_update([{"id": 2, "email": CANARY.text}])),
    "bulk upsert": (C, lambda uow: uow.vaults.bulk_upsert([NEGATIVE], on="email")),
    "update": (U, lambda uow: uow.vaults.update(2, email=CANARY.text)),
    "update entity": (U, lambda uow: replaced(uow, email=CANARY.text)),
    "update where": (U, lambda uow: uow.vaults.update_where(ALL, email=NEW)),
    "upsert": (C, lambda uow: uow.vaults.upsert(NEGATIVE, on="email")),
    "upsert over": (C, lambda uow: uow.vaults.upsert(NEGATIVE | {"email": OTHER}, on="email")),
    "get or create": (C, lambda uow: uow.vaults.get_or_create(NEGATIVE, on="email")),
    "commit": (U, lambda uow: edited(uow, email=CANARY.text)),
    "savepoint": (U, in_savepoint(lambda uow: uow.vaults.create(planted()))),
    "item": (U, lambda uow: uow.vaults.create(planted(email=NEW, items=LABEL))),
    "items": (U, lambda uow: edited(uow, items=LABEL)),
    "item's check": (C, lambda uow: edited(uow, items=HEAVY)),
    "SQL": (U, lambda uow: uow.session.execute(
        SQL_SAME, {"email": NEW, "name": CANARY.text}
    )),
    "Core": (U, in_core(planted())),
    "Core, many": (U, in_core(planted(email=NEW), planted())),
    "dangling": (F, lambda uow: uow.vaults.create(DANGLING)),
    "dangling bulk": (F, lambda uow: uow.vaults.bulk_create([DANGLING])),
    "dangling where": (F, lambda uow: uow.vaults.update_where(ALL, owner=NEW)),
    "dangling Core": (F, in_core(DANGLING)),
    "dangling at COMMIT": (F, lambda uow: edited(uow, heir=NEW)),
    "referred to": (F, owned),
    "check": (C, lambda uow: uow.vaults.create(NEGATIVE)),
    "check bulk": (C, lambda uow: uow.vaults.bulk_create([planted(email=NEW), NEGATIVE])),
    "check where": (C, lambda uow: uow.vaults.update_where(ALL, number=-CANARY.whole)),
    "check SQL": (C, lambda uow: uow.session.execute(
        SQL_CHECK, {"number": -CANARY.whole, "email": CANARY.text}
    )),
    "null SQL": (N, lambda uow: uow.session.execute(SQL_NULL, {"email": CANARY.text})),
    "null Core": (N, in_core(planted(email=NEW, name=None))),
    "version": (ConcurrencyConflict, lambda uow: uow.vaults.update(2, version=CANARY.whole)),
}  # fmt: skip
