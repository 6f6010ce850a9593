"""COPY does what INSERT would do, or is not used; its errors are those of any statement."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, ClassVar
from uuid import UUID

import pytest
from sqlalchemy import (
    ARRAY,
    Column,
    Computed,
    Identity,
    Integer,
    LargeBinary,
    MetaData,
    String,
    text,
)
from sqlalchemy.orm import registry
from sqlmodel import CheckConstraint, Field

from domain import where
from domain.entity import new_id
from domain.errors import (
    CheckViolation,
    ForeignKeyViolation,
    UniqueViolation,
    UnitOfWorkError,
)
from infrastructure.database import BaseUnitOfWork, Database, Embedded, Model
from infrastructure.testing.queries import count_queries
from tests.support import statements

pytestmark = pytest.mark.postgresql

CANARY = "a-secret-of-one-row"


class Tone(Enum):
    LOW = 1
    HIGH = 2


@dataclass(frozen=True)
class Price:
    amount: Decimal
    currency: str = "EUR"


class CopiedShelf(Model, table=True):
    __tablename__: ClassVar[str] = "copied_shelves"

    id: int | None = Field(default=None, primary_key=True)


class Copied(Model, table=True):
    """A column of each kind."""

    __tablename__: ClassVar[str] = "copied rows"
    __table_args__ = (CheckConstraint("name <> 'forbidden'", name="allowed"),)

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)
    shelf_id: int | None = Field(default=None, foreign_key="copied_shelves.id")
    big: int | None = Field(default=None, sa_column=Column("Big One", Integer))
    score: float | None = None
    done: bool | None = None
    price: Decimal | None = Field(default=None, max_digits=10, decimal_places=2)
    exact: Decimal | None = None
    at: datetime | None = None
    day: date | None = None
    hour: time | None = None
    took: timedelta | None = None
    key: UUID | None = None
    tone: Tone | None = None
    tags: list[Any] | None = None
    cost: Price | None = Field(default=None, sa_type=Embedded(Price))
    data: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    loud: str | None = Field(
        default=None, sa_column=Column(String, Computed("upper(name)", persisted=True))
    )
    origin: str | None = Field(default=None, sa_column=Column(String, server_default="server"))
    triggered: str | None = None


class Counted(Model, table=True):
    """Its key is the server's own."""

    __tablename__: ClassVar[str] = "copied_counted"

    id: int | None = Field(
        default=None, sa_column=Column(Integer, Identity(always=True), primary_key=True)
    )
    name: str


class OnPostgreSQL(Model, registry=registry(metadata=MetaData())):
    """Tables that no other database can have."""


class Listed(OnPostgreSQL, table=True):
    __tablename__: ClassVar[str] = "copied_lists"

    id: int | None = Field(default=None, primary_key=True)
    words: list[str] = Field(sa_column=Column(ARRAY(String)))


@pytest.fixture
def database(postgresql_url: str, make_database: Any) -> Any:
    return make_database(postgresql_url)


@pytest.fixture
def tables() -> list[Any]:
    return [CopiedShelf, Copied, Counted, Listed]


def run(database: Database, *commands: str) -> None:
    with database.engine.begin() as connection:
        for command in commands:
            connection.execute(text(command))


def some(count: int, **fields: Any) -> list[dict[str, Any]]:
    return [{"name": f"row {n}", **fields} for n in range(count)]


def stored(database: Database, model: Any = Copied) -> list[Any]:
    with BaseUnitOfWork(database, read_only=True) as uow:
        return uow.repository(model).get_all(order_by="id")


def create(database: Database, rows: Any, model: Any = Copied) -> list[str]:
    """The first words of what was sent."""
    with BaseUnitOfWork(database) as uow, statements(database) as sent:
        uow.repository(model).bulk_create(rows)
        uow.commit()
    return [statement.split()[0] for statement in sent]


def test_many_rows_are_copied_and_it_is_seen(database: Database) -> None:
    with BaseUnitOfWork(database) as uow, count_queries(database) as queries:
        assert uow.repository(Copied).bulk_create(some(2500)) == 2500
        uow.commit()
    assert [query.sql.split()[0] for query in queries.statements] == ["COPY"] * 3
    assert {query.place.split()[-1] for query in queries.statements} == {
        "test_many_rows_are_copied_and_it_is_seen"
    }
    assert [row.name for row in stored(database)] == [f"row {n}" for n in range(2500)]


def test_few_rows_are_not_worth_a_question(database: Database) -> None:
    assert create(database, some(99)) == ["INSERT"]
    assert create(database, [{"name": str(n)} for n in range(100)]) == ["COPY"]


def of_each_kind() -> Iterator[dict[str, Any]]:
    yield {}
    yield {"big": -(2**31), "score": -1.5, "done": True, "price": Decimal("-12345678.90")}
    yield {"big": 2**31 - 1, "score": float("inf"), "done": False, "price": Decimal(0)}
    yield {"score": 5e-324, "exact": Decimal("1E+30"), "price": Decimal("1E+3")}
    yield {"exact": Decimal("-0.000000000000000000012345678901234567890")}
    yield {"at": datetime(1, 1, 1, tzinfo=UTC), "day": date.min, "hour": time.min}
    yield {"at": datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), "day": date.max}
    yield {"at": datetime.fromisoformat("2026-03-29T02:30:00.000001+05:30"), "hour": time.max}
    yield {"took": timedelta(days=-3, microseconds=1)}
    yield {"key": new_id(), "tone": Tone.HIGH}
    yield {"tags": [], "cost": Price(Decimal("1.50"))}
    yield {"tags": [{"ü": [None, True, 1, 1.5, "\\\"'\t\n"]}], "cost": None}
    yield {"data": b"\0\xff"}
    yield {"triggered": ""}
    yield {"triggered": '{"a",\\b,NULL} \u2028 \U0001f600'}
    yield {"triggered": "NULL"}


FIELDS = [n for n in Copied.model_fields if n not in ("id", "name", "loud")]


@pytest.mark.parametrize("by", ["create", "upsert", "update"])
def test_values_of_each_kind_come_back_as_by_create(database: Database, by: str) -> None:
    rows = [{"name": f"row {n}", **row} for n, row in enumerate(of_each_kind())]
    full = [dict.fromkeys(FIELDS) | {"origin": "given"} | row for row in rows]
    full += [dict.fromkeys(FIELDS) | {"name": f"more {n}", "origin": "given"} for n in range(100)]
    with BaseUnitOfWork(database) as uow:
        one_by_one = [Copied(**row) for row in full]
        uow.repository(Copied).create_many(one_by_one)
        wanted = [[getattr(row, name) for name in FIELDS] for row in one_by_one]
        uow.rollback()
    with BaseUnitOfWork(database) as uow, statements(database) as sent:
        repository = uow.repository(Copied)
        if by == "create":
            repository.bulk_create(full)
            assert sent[0].startswith("COPY")
        elif by == "upsert":
            repository.bulk_upsert(full, on="name")
            repository.bulk_upsert(full, on="name")
        else:
            repository.bulk_create(some(len(full)))
            ids = [row.id for row in repository.get_all(order_by="id")]
            repository.bulk_update([{**row, "id": id} for row, id in zip(full, ids, strict=True)])
        uow.commit()
    found = {row.name: row for row in stored(database)}
    assert len(found) == len(full)
    for row, values in zip(full, wanted, strict=True):
        assert [getattr(found[row["name"]], name) for name in FIELDS] == values
    assert found["row 3"].loud == "ROW 3"


def test_one_column_may_be_none_throughout(database: Database) -> None:
    assert create(database, some(150, at=None, tags=None, score=None)) == ["COPY"]
    assert {row.at for row in stored(database)} == {None}


def test_what_the_database_fills_in_and_triggers_do(database: Database) -> None:
    run(
        database,
        """CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN NEW.triggered := NEW.name || '!'; RETURN NEW; END $$""",
        'CREATE TRIGGER shouts BEFORE INSERT ON "copied rows" '
        "FOR EACH ROW EXECUTE FUNCTION shout()",
    )
    rows = some(300)
    rows[7]["origin"] = "given"
    for row in rows:
        row.setdefault("origin", None)
    assert create(database, rows) == ["COPY", "INSERT"]  # one row has another list of columns
    found = {row.name: row for row in stored(database)}
    assert len(found) == 300
    assert {row.triggered for row in found.values()} == {f"row {n}!" for n in range(300)}
    assert [found[f"row {n}"].origin for n in (6, 7, 8)] == ["server", "given", "server"]
    assert found["row 6"].loud == "ROW 6"


def test_rules_hold(database: Database) -> None:
    run(
        database,
        """CREATE RULE none AS ON INSERT TO "copied rows" WHERE NEW.name = 'row 5'
        DO INSTEAD NOTHING""",
    )
    assert create(database, some(200)) == ["INSERT"]
    assert len(stored(database)) == 199


def test_row_level_security_holds(database: Database) -> None:
    role = "kit_test_copier"
    run(
        database,
        f"DROP ROLE IF EXISTS {role}",
        f"CREATE ROLE {role}",
        f"GRANT USAGE ON SCHEMA public TO {role}",
        f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}",
        f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {role}",
        'ALTER TABLE "copied rows" ENABLE ROW LEVEL SECURITY',
        """CREATE POLICY few ON "copied rows" USING (true) WITH CHECK (name <> 'row 120')""",
    )
    try:
        with BaseUnitOfWork(database) as uow, statements(database) as sent:
            uow.session.connection().execute(text(f"SET LOCAL ROLE {role}"))
            assert uow.repository(Copied).bulk_create(some(110)) == 110
            with pytest.raises(Exception, match="row-level security"):
                uow.repository(Copied).bulk_create(some(130)[110:] * 20)
            assert not any(statement.startswith("COPY") for statement in sent)
            uow.rollback()
    finally:
        run(
            database,
            'DROP POLICY few ON "copied rows"',
            f"DROP OWNED BY {role}",
            f"DROP ROLE {role}",
        )


def test_a_key_that_is_the_servers_is_not_overwritten(database: Database) -> None:
    assert create(database, some(150), Counted) == ["COPY"]
    with pytest.raises(Exception, match=r"(?i)identity|generated"):  # as INSERT says it
        create(database, [{"id": n, "name": "x"} for n in range(1000, 1200)], Counted)
    assert len(stored(database, Counted)) == 150


def test_arrays_are_inserted(database: Database) -> None:
    assert create(database, [{"words": ["a", f"{n}"]} for n in range(150)], Listed) == ["INSERT"]
    assert [row.words for row in stored(database, Listed)][149] == ["a", "149"]


def test_a_column_of_another_type_is_inserted(database: Database) -> None:
    run(
        database,
        "CREATE DOMAIN shouted AS text CHECK (VALUE = upper(VALUE))",
        'ALTER TABLE "copied rows" ALTER triggered TYPE shouted',
        'ALTER TABLE "copied rows" ALTER "Big One" TYPE numeric',
    )
    assert create(database, some(150, triggered="LOUD", big=7)) == ["INSERT"]
    assert {(row.triggered, row.big) for row in stored(database)} == {("LOUD", 7)}


@pytest.mark.parametrize(
    ("row", "kind", "fields"),
    [
        ({"name": "row 3", "triggered": CANARY}, UniqueViolation, ("name",)),
        ({"name": "forbidden", "triggered": CANARY}, CheckViolation, ()),
        ({"name": CANARY, "shelf_id": 77}, ForeignKeyViolation, ("shelf_id",)),
    ],
    ids=["unique", "check", "reference"],
)
def test_errors_are_those_of_an_insert(
    database: Database, row: dict[str, Any], kind: Any, fields: tuple[str, ...]
) -> None:
    create(database, some(4))
    rows = [{"name": f"new {n}", "shelf_id": None, "triggered": None} for n in range(200)]
    with pytest.raises(kind) as by_create, BaseUnitOfWork(database) as uow:
        uow.repository(Copied).create(Copied(**row))
    with BaseUnitOfWork(database) as uow:
        with pytest.raises(kind) as raised, statements(database) as sent:
            uow.repository(Copied).bulk_create([*rows, rows[0] | row])
        assert sent[-1].startswith("COPY")
        with pytest.raises(UnitOfWorkError, match="failed"):
            uow.commit()
    error, same = raised.value, by_create.value
    assert (error.entity, error.fields) == ("Copied", fields)
    assert (error.fields, error.constraint) == (same.fields, same.constraint)
    told: BaseException | None = error
    while told is not None:
        assert CANARY not in str(told)
        told = told.__cause__ or told.__context__
    assert len(stored(database)) == 4


def test_a_savepoint_undoes_a_copy(database: Database) -> None:
    with BaseUnitOfWork(database) as uow:
        rows = uow.repository(Copied)
        with pytest.raises(UniqueViolation), uow.savepoint():
            rows.bulk_create([*some(3500), *some(1)])
        assert rows.count() == 0
        rows.bulk_create(some(1500))
        rows.delete_where(where("name") == "row 0")
        uow.commit()
    assert len(stored(database)) == 1499
