"""Rows are validated many at once, with the same outcome as each for itself."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from itertools import count
from typing import Any, ClassVar
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationInfo, field_validator
from sqlalchemy import Column, Integer, String
from sqlmodel import Field

from domain import Entity
from domain.errors import UniqueViolation, ValidationError
from infrastructure.database import (
    BaseRepository,
    BaseUnitOfWork,
    Database,
    Embedded,
    Model,
    Timestamped,
    Versioned,
)
from infrastructure.database.bulk import Bulk
from infrastructure.database.models.column_lists import Unfit, _is_scalar, column_lists_of
from infrastructure.database.models.rules import rules_of

_numbers = count()


class Odd(IntEnum):
    ONE = 1


class Word(str):
    __slots__ = ()


class Shade(Enum):
    DARK = "dark"


@dataclass(frozen=True)
class Size:
    width: int


class Anything(Model, table=True):
    """A field of each kind."""

    __tablename__: ClassVar[str] = "bulk_anything"

    id: int | None = Field(default=None, primary_key=True)
    text: str | None = Field(default=None, max_length=5, min_length=1)
    number: int | None = Field(default=None, ge=-10)
    real: float | None = None
    flag: bool | None = None
    money: Decimal | None = Field(default=None, max_digits=5, decimal_places=2)
    at: datetime | None = None
    day: date | None = None
    hour: time | None = None
    took: timedelta | None = None
    key: UUID | None = None
    shade: Shade | None = None
    tags: list[Any] = Field(default_factory=list)
    words: list[int] | None = None
    size: Size | None = Field(default=None, sa_type=Embedded(Size))
    serial: int = Field(default_factory=lambda: next(_numbers))


class Judged(Model, table=True):
    """Validators of the application."""

    __tablename__: ClassVar[str] = "bulk_judged"

    id: int | None = Field(default=None, primary_key=True)
    low: int
    high: int = 10
    label: str = "x"

    @field_validator("high")
    @classmethod
    def _above(cls, value: int, info: ValidationInfo) -> int:
        if value < info.data.get("low", 0):
            raise ValueError("is below low")
        return value

    @field_validator("label", mode="before")
    @classmethod
    def _stripped(cls, value: Any) -> Any:
        return value.strip() if isinstance(value, str) else value


@dataclass(eq=False, kw_only=True)
class Plain(Entity):
    name: str
    age: int = 0
    id: int | None = None


class PlainModel(Plain, Timestamped, Versioned, Model, table=True):
    __tablename__: ClassVar[str] = "bulk_plain"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(max_length=20, unique=True)


@dataclass(eq=False, kw_only=True)
class Strict(Entity):
    name: str
    shout: str = ""
    notes: list[Any] = field(default_factory=list)
    id: int | None = None

    def __post_init__(self) -> None:
        if self.name == "bad":
            raise ValidationError("Strict", {"name": "is bad"})
        self.shout = self.name.upper()


class StrictModel(Strict, Model, table=True):
    __tablename__: ClassVar[str] = "bulk_strict"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(max_length=20)
    shout: str = Field(max_length=20)


class Quaint(Model, table=True):
    """Names that a parameter cannot have."""

    __tablename__: ClassVar[str] = "bulk quaint"

    id: int | None = Field(default=None, sa_column=Column("the id", Integer, primary_key=True))
    one: str = Field(sa_column=Column("a b.c", String, unique=True))
    two: str | None = Field(default=None, sa_column=Column("x%y(z)", String))
    three: int = Field(default=3, sa_column=Column("c:d", Integer, onupdate=lambda: 33))


class PlainRepository(BaseRepository[Plain]):
    model = PlainModel


class StrictRepository(BaseRepository[Strict]):
    model = StrictModel


class Units(BaseUnitOfWork):
    plain: PlainRepository
    strict: StrictRepository


@pytest.fixture
def tables() -> list[Any]:
    return [Anything, Judged, PlainModel, StrictModel, Quaint]


ODD: list[Any] = [
    *(None, True, False, 0, 1, -1, -10, -11, 2**31 - 1, 2**31, 2**63, Odd.ONE, 1.0, 1.5, "1"),
    *(float("nan"), float("inf"), -0.0, "abc", "abcdef", "", "\0", "\ud800", "é", Word("w")),
    *(Decimal("1.10"), Decimal("1.101"), Decimal("NaN"), Decimal("1E+3"), "1.10", b"abc"),
    *(datetime(2026, 1, 1), datetime(2026, 1, 1, tzinfo=UTC), "2026-01-01T00:00:00Z"),
    datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=5))),
    datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5))),
    *(date(2026, 1, 1), "2026-01-01", time(1), time(1, tzinfo=UTC), "01:00", 3600),
    *(timedelta(1), timedelta(800_000), "P1D", UUID(int=1), str(UUID(int=1)), "dark", Shade.DARK),
    *([], [1, "2"], ["x"], (1, 2), {1}, {"a": 1}, [{"a": [1, {}]}], [float("nan")], object()),
    *(Size(1), Size("x"), {"width": 1}),  # type: ignore[arg-type]
]
FIELDS = [name for name in Anything.model_fields if name != "serial"]


def same(left: Any, right: Any) -> bool:
    return type(left) is type(right) and repr(left) == repr(right)


def row_by_row(model: Any, rows: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    try:
        return [rules_of(model).whole(row)[0] for row in rows]
    except ValidationError:
        return None


def all_at_once(model: Any, rows: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    try:
        found = column_lists_of(model).whole(columns, len(rows))
    except Exception:  # noqa: BLE001 -- whatever it is, the rows are validated one by one
        return None
    return [dict(zip(found, row, strict=True)) for row in zip(*found.values(), strict=True)]


def agree(model: Any, rows: list[dict[str, Any]]) -> None:
    at_once, one_by_one = all_at_once(model, rows), row_by_row(model, rows)
    assert (at_once is None) == (one_by_one is None)
    for left, right in zip(at_once or (), one_by_one or (), strict=True):
        assert left.keys() == right.keys()
        for name in left:
            assert name == "serial" or same(left[name], right[name]), name


@pytest.mark.parametrize("name", FIELDS)
def test_each_odd_value_has_one_outcome(name: str) -> None:
    for value in ODD:
        agree(Anything, [{name: value}])
        agree(Anything, [{name: value}, {name: None}, {name: value}])


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_odd_rows_have_one_outcome(data: st.DataObject) -> None:
    names = data.draw(st.lists(st.sampled_from(FIELDS), min_size=1, max_size=4, unique=True))
    row = st.fixed_dictionaries({name: st.sampled_from(ODD) for name in names})
    agree(Anything, data.draw(st.lists(row, min_size=1, max_size=3)))


@given(
    text=st.lists(st.text(max_size=6) | st.none(), min_size=1, max_size=5),
    number=st.integers() | st.integers(-(2**31) - 2, -(2**31) + 2),
)
@settings(max_examples=40, deadline=None)
def test_texts_and_numbers_have_one_outcome(text: list[str | None], number: int) -> None:
    agree(Anything, [{"text": one, "id": number} for one in text])


def test_what_was_given_is_not_shared() -> None:
    tags: list[Any] = [[1]]
    found = column_lists_of(Anything).whole({"tags": [tags, tags]}, 2)
    assert found["tags"] == [[[1]], [[1]]]
    assert found["tags"][0][0] is not tags[0]
    assert found["tags"][0][0] is not found["tags"][1][0]
    defaults = column_lists_of(Anything).whole({"number": [1, 2]}, 2)
    assert defaults["tags"][0] is not defaults["tags"][1]
    assert defaults["serial"][0] != defaults["serial"][1]


def test_a_validator_that_sees_other_fields_sees_them(database: Database) -> None:
    with pytest.raises(Unfit):
        column_lists_of(Judged).whole({"low": [1], "high": [2]}, 1)
    with BaseUnitOfWork(database) as uow:
        judged = uow.repository(Judged)
        judged.bulk_create([{"low": n, "high": n, "label": f" {n} "} for n in range(5)])
        assert [row.label for row in judged.get_all(order_by="id")] == list("01234")
        with pytest.raises(ValidationError, match=r"high: .*is below low \(row 1\)"):
            judged.bulk_create([{"low": 1, "high": 2}, {"low": 3, "high": 2}])
        uow.rollback()


# -- which row is wrong --------------------------------------------------------------------------

KINDS: dict[str, Callable[[list[dict[str, Any]]], Any]] = {
    "list": list,
    "tuple": tuple,
    "generator": lambda rows: (row for row in rows),
    "entities": lambda rows: [made(row) for row in rows],
    "generated entities": lambda rows: (made(row) for row in rows),
    "mixed": lambda rows: [made(row) if n % 2 else row for n, row in enumerate(rows)],
}


def made(row: dict[str, Any]) -> Plain:
    entity = object.__new__(Plain)
    entity.__dict__.update({"age": 0, "id": None} | row)
    return entity


def some(number: int, start: int = 0) -> list[dict[str, Any]]:
    return [{"name": f"row {n}", "age": n} for n in range(start, start + number)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("at", [0, 2500, 6000])
@pytest.mark.parametrize("wrong", [{"age": "x"}, {"name": "x" * 21}, {"age": 2**31}])
@pytest.mark.thorough
def test_one_wrong_row_is_named_and_nothing_is_stored(
    database: Database, kind: str, at: int, wrong: dict[str, Any]
) -> None:
    rows = some(7000)
    rows[at] |= wrong
    name = next(iter(wrong))
    with Units(database) as uow:
        for write in (
            uow.plain.bulk_create,
            lambda given: uow.plain.bulk_upsert(given, on="name"),
        ):
            with pytest.raises(ValidationError) as raised:
                write(KINDS[kind](rows))
            assert set(raised.value.errors) == {name}
            assert raised.value.errors[name].endswith(f" (row {at})")
            assert uow.plain.count() == 0
        assert uow.plain.bulk_create(KINDS[kind](some(7000))) == 7000
        first = uow.repository(PlainModel).get_all(order_by="id", limit=2)
        assert [(row.name, row.age, row.version) for row in first] == [
            ("row 0", 0, 1),
            ("row 1", 1, 1),
        ]
        changes = [{"id": row.id, "age": 7} for row in uow.plain.get_all(order_by="id")]
        changes[at] |= wrong
        with pytest.raises(ValidationError, match=rf"\(row {at}\)"):
            uow.plain.bulk_update(changes)
        assert {row.age for row in uow.plain.get_all(limit=5000)} != {7}
        uow.rollback()


def test_rows_of_which_one_was_wrong_before_the_iterable_raised(database: Database) -> None:
    def rows() -> Iterator[dict[str, Any]]:
        yield from some(3)
        yield {"name": 3}
        raise KeyError("half-way")

    with Units(database) as uow:
        with pytest.raises(ValidationError, match=r"name: .*\(row 3\)"):
            uow.plain.bulk_create(rows())
        with pytest.raises(ValidationError, match=r"^Other is not valid: a: b$"):
            uow.plain.bulk_create(refusing())
        assert uow.plain.count() == 0
        uow.rollback()


def refusing() -> Iterator[dict[str, Any]]:
    """An iterable with an error of its own, which is of no row."""
    yield from some(3)
    raise ValidationError("Other", {"a": "b"})


@pytest.mark.parametrize("model", ["plain", "strict"])
def test_a_row_may_be_the_same_object_each_time(database: Database, model: str) -> None:
    def rows() -> Iterator[dict[str, Any]]:
        row: dict[str, Any] = {}
        for n in range(5):
            row["name"] = f"row {n}"
            yield row

    def entities() -> Iterator[Any]:
        entity: Any = (Plain if model == "plain" else Strict)(name="")
        for n in range(5, 10):
            entity.name = f"row {n}"
            if model == "strict":
                entity.notes.append(n)
            yield entity

    with Units(database) as uow:
        repository: Any = getattr(uow, model)
        repository.bulk_create(rows())
        repository.bulk_create(entities())
        found = repository.get_all(order_by="id")
        assert [row.name for row in found] == [f"row {n}" for n in range(10)]
        if model == "strict":
            assert [len(row.notes) for row in found] == [*[0] * 5, 1, 2, 3, 4, 5]
        uow.rollback()


def test_the_rules_of_the_domain_hold_for_each_row(database: Database) -> None:
    with Units(database) as uow:
        uow.strict.bulk_create([{"name": f"row {n}"} for n in range(2500)])
        uow.strict.bulk_create(Strict(name=f"entity {n}") for n in range(3))
        assert {row.shout for row in uow.strict.get_all(limit=5)} <= {f"ROW {n}" for n in range(5)}
        assert uow.strict.count() == 2503
        rows = [{"name": f"row {n}"} for n in range(2500)]
        rows[2100]["name"] = "bad"
        with pytest.raises(ValidationError, match=r"name: is bad \(row 2100\)"):
            uow.strict.bulk_create(rows)
        assert uow.strict.count() == 2503
        uow.rollback()


def test_a_value_that_can_be_read_once_is_not_lost(database: Database) -> None:
    """Rows are read again to say which is wrong; by then, this one seems to be empty."""
    with BaseUnitOfWork(database) as uow:
        rows = uow.repository(Anything)
        with pytest.raises(ValidationError, match=r"words: .*integer.* \(row 1\)"):
            rows.bulk_create([{"words": [1]}, {"words": iter([1, "x"])}])
        assert rows.count() == 0
        rows.bulk_create([{"words": iter([1, 2])}])
        assert rows.one().words == [1, 2]
        uow.rollback()


def test_of_two_changes_far_apart_the_later_one_stays(database: Database) -> None:
    with Units(database) as uow:
        uow.plain.bulk_create(some(3000))
        ids = [row.id for row in uow.plain.get_all(order_by="id")]
        changes = [{"id": id, "age": 1} for id in ids]
        changes[2500] = {"id": ids[0], "age": 2}
        assert uow.plain.bulk_update(changes) == 3000
        assert uow.plain.require(ids[0]).age == 2
        changes[2500] = {"id": ids[2000], "age": 2}
        with pytest.raises(ValidationError, match="id: is in two rows of one batch"):
            uow.plain.bulk_update(changes)
        uow.plain.bulk_upsert([*some(2000), {"name": "row 5", "age": 77}], on="name")
        assert uow.plain.require(ids[5]).age == 77
        uow.rollback()


def test_a_violation_far_behind_fails_the_unit(database: Database) -> None:
    with Units(database) as uow:
        with pytest.raises(UniqueViolation) as raised, uow.savepoint():
            uow.plain.bulk_create([*some(6000), *some(1)])
        assert (raised.value.entity, raised.value.fields) == ("Plain", ("name",))
        assert uow.plain.count() == 0
        uow.rollback()


def test_columns_may_have_names_that_no_parameter_can_have(database: Database) -> None:
    with BaseUnitOfWork(database) as uow:
        rows = uow.repository(Quaint)
        rows.bulk_create([{"one": f"row {n}", "two": None} for n in range(150)])
        rows.bulk_upsert(
            [{"one": f"row {n}", "two": "upserted"} for n in range(140, 151)], on="one"
        )
        ids = [row.id for row in rows.get_all(order_by="id")]
        assert rows.bulk_update([{"id": id, "two": f"{id}"} for id in ids[:3]]) == 3
        found = rows.get_all(order_by="id")
        assert [row.one for row in found] == [f"row {n}" for n in range(151)]
        assert [row.two for row in found[:4]] == [*map(str, ids[:3]), None]
        assert {row.two for row in found[140:]} == {"upserted"}
        assert [row.three for row in found[:4]] == [33, 33, 33, 3]
        uow.rollback()


def test_many_are_validated_at_once(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the tests above compare the slow way with itself."""

    def refuse(*_: Any) -> Any:
        raise AssertionError("row by row")

    monkeypatch.setattr(Bulk, "_whole", refuse)
    monkeypatch.setattr(Bulk, "_changed", refuse)
    with Units(database) as uow:
        uow.plain.bulk_create(some(1500))
        uow.plain.bulk_create(made(row) for row in some(1500, 1500))
        uow.plain.bulk_upsert(some(1500), on="name")
        uow.plain.bulk_update([{"id": row.id, "age": 3} for row in uow.plain.get_all(limit=9)])
        uow.strict.bulk_create([{"name": "a"}, {"name": "b"}])
        uow.rollback()


def test_rows_of_a_table_without_a_domain_class_may_come_from_a_generator(
    database: Database,
) -> None:
    with Units(database) as uow:
        kept = uow.repository(Judged)
        assert kept.bulk_create(Judged(low=n, high=n + 1) for n in range(3)) == 3
        assert sorted(one.low for one in kept.get_all()) == [0, 1, 2]
        uow.commit()


def test_a_field_that_holds_others_is_no_scalar() -> None:
    rules = rules_of(Anything)
    assert [_is_scalar(rules, name) for name in ("id", "tags", "words")] == [True, False, False]
