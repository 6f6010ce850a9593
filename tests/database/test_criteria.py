"""A specification finds in every database exactly the rows that satisfy it in Python."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import exists, func, or_, text
from sqlalchemy.orm import aliased
from sqlmodel import Field, col, select

from domain import ALL, NONE, Entity, where
from domain.errors import ValidationError
from domain.specification import Specification
from infrastructure.database import BaseRepository, BaseUnitOfWork, Database, Model


class Kind(Enum):
    OPEN = "open"
    DONE = "done"
    lower = "LOWER"


@dataclass(eq=False, kw_only=True)
class CritThing(Entity):
    text: str | None = None
    number: int | None = None
    amount: Decimal | None = None
    ratio: float | None = None
    at: datetime | None = None
    day: date | None = None
    clock: time | None = None
    span: timedelta | None = None
    kind: Kind | None = None
    code: uuid.UUID | None = None
    flag: bool | None = None
    blob: bytes | None = None
    tags: list[Any] | None = None
    id: int | None = None


class CritThingModel(CritThing, Model, table=True):
    __tablename__: ClassVar[str] = "crit_things"

    id: int | None = Field(default=None, primary_key=True)


class CritOther(Model, table=True):
    id: int | None = Field(default=None, primary_key=True)
    thing_id: int | None = None


class Things(BaseRepository[CritThing]):
    model = CritThingModel


class Store(BaseUnitOfWork):
    things: Things


TEXTS = [
    *("", " ", "a", "A", "b", "B", "ab", "AB", "aB", "Z", "_", "[", "é", "e\u0301", "É", "ä", "Ä"),
    *(
        "ß",
        "ss",
        "SS",
        "İ",
        "i",
        "ı",
        "I",
        "\u212a",
        "k",
        "K",
        "😀",
        "a😀b",
        "😀😀",
        "\uffff",
        "日本",
    ),
    *("%", "a%b", "_b", "a_b", "axb", "*", "a*b", "?", "a?b", "[ab]", "a]b", "[!a]", "[^a]", "]"),
    *("\\", "a\\b", "\\%", "\\\\", "'", '"', "a'b", "/", "--", "a\nb", "\t", "a b", "ﬀ", "x" * 300),
]
ZONE = timezone(timedelta(hours=5, minutes=30))
VALUES: dict[str, list[Any]] = {
    "text": TEXTS,
    "number": [0, 1, -1, 7, 2**31 - 1, -(2**31)],
    "amount": [Decimal(n) for n in ("0", "1.1", "1.10", "-2", "10", "9", "0.1000000000000000001")],
    "ratio": [0.0, -0.0, 0.1, 1.5, -1e300, float("inf"), float("-inf"), 5e-324],
    "at": [
        datetime(2024, 1, 1, tzinfo=UTC),
        datetime(2024, 1, 1, 5, 30, tzinfo=ZONE),
        datetime(2024, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    ],
    "day": [date(2024, 2, 29), date(1, 1, 1), date(9999, 12, 31), date(1969, 12, 31)],
    "clock": [time(0), time(12, 0, 0, 1), time(23, 59, 59, 999999)],
    "span": [timedelta(0), timedelta(-1), timedelta(days=9), timedelta(days=10, microseconds=1)],
    "kind": list(Kind),
    "code": [uuid.UUID(int=n) for n in (0, 1, 255, 2**127, 2**128 - 1)],
    "flag": [True, False],
    "blob": [b"", b"\0", b"a", b"\xff", b"a\0b"],
    "tags": [[], ["a"], ["a", "b"], ["ä", 1, None], [{"b": 1, "a": 2}]],
}
ORDERED = [name for name in VALUES if name not in ("kind", "tags")]


@pytest.fixture
def tables() -> list[Any]:
    return [CritThingModel, CritOther]


@pytest.fixture
def store(database: Database) -> Database:
    """A row for each text; the other columns go through their values, and None."""
    rows = [{"text": value} for value in TEXTS] + [{}]
    for name, values in VALUES.items():
        if name != "text":
            for at, row in enumerate(rows):
                row[name] = (*values, None)[at % (len(values) + 1)]
    with Store(database) as uow:
        uow.things.create_many(rows)
        uow.commit()
    return database


def differences(store: Database, specs: Iterable[Specification]) -> list[str]:
    """The specifications on which the database and Python do not agree."""
    found = []
    with Store(store, read_only=True) as uow:
        rows = uow.things.get_all()
        assert len(rows) == len(TEXTS) + 1
        for spec in specs:
            by_database = {row.id for row in uow.things.get_all(spec)}
            by_python = {row.id for row in rows if spec.is_satisfied_by(row)}
            if by_database != by_python:
                wrong = [row for row in rows if row.id in by_database ^ by_python]
                found.append(f"{spec}: {[row.text for row in wrong][:5]}")
    return found


def both_ways(specs: Iterable[Specification]) -> Iterable[Specification]:
    for spec in specs:
        yield from (spec, ~spec)


# -- every specification, every column -------------------------------------------------------


def test_the_texts_tell_the_databases_apart(store: Database) -> None:
    """The control: bare SQL differs from Python, so the table can find something."""
    with Store(store) as uow:
        like = uow.session.scalar(text("SELECT count(*) FROM crit_things WHERE text LIKE '%a_b%'"))
        assert like != sum("a_b" in value for value in TEXTS)


@pytest.mark.parametrize("name", VALUES)
def test_equality(store: Database, name: str) -> None:
    field, values = where(name), VALUES[name]
    equal = [field == value for value in values] + [field != value for value in values]
    among = [field.in_(values), field.in_([]), field.in_(values[:2]), field.in_(values[1:3] * 2)]
    among += [~(field == values[0]), ~(field != values[0]), field.is_none()]
    assert differences(store, [*equal, *both_ways(among)]) == []


@pytest.mark.parametrize("name", ORDERED)
def test_order(store: Database, name: str) -> None:
    field, values = where(name), VALUES[name]
    specs: list[Specification] = []
    for value in values if len(values) < 20 else values[::3]:
        specs += [field < value, field <= value, ~(field > value), ~(field >= value)]
    specs += [field.between(low, high) for low in values[:4] for high in values[:4]]
    specs += [~field.between(low, low) for low in values[:4]]
    assert differences(store, specs) == []


@pytest.mark.parametrize("ignore_case", [False, True])
@pytest.mark.parametrize("operator", ["contains", "startswith", "endswith"])
def test_texts_within_texts(store: Database, operator: str, ignore_case: bool) -> None:
    parts = {*TEXTS, "a_", "%b", "[a", "b]", "*b", "?b", "\\b", "^", "-", "X", "x" * 301}
    specs = [getattr(where("text"), operator)(part, ignore_case=ignore_case) for part in parts]
    assert differences(store, [*specs, *(~spec for spec in specs[:5])]) == []


def test_combinations_know_true_false_and_unknown(store: Database) -> None:
    text_, number, flag = where("text") >= "a", where("number") > 0, where("flag") == True  # noqa: E712
    pairs = [(text_, number), (number, flag), (flag, ~flag), (number, ALL), (NONE, flag)]
    specs: list[Specification] = [ALL, NONE]
    for left, right in pairs:
        specs += [left & right, left | right, ~(left & right), ~left | ~right, ~(~left & right)]
    specs.append((text_ & number) | (flag & where("text").is_none()) | ~(number | flag))
    assert differences(store, both_ways(specs)) == []


class Urgent(Specification):
    def expression(self) -> Specification:
        return (where("kind") == Kind.OPEN) & (where("number") >= 0)


def test_a_specification_with_a_name_of_its_own(store: Database) -> None:
    assert differences(store, both_ways([Urgent(), Urgent() & (where("flag") == False)])) == []  # noqa: E712


_leaves = st.one_of(
    st.builds(
        lambda name, text, fold: getattr(where("text"), name)(text, ignore_case=fold),
        st.sampled_from(["contains", "startswith", "endswith"]),
        st.text("aAbB%_*?[]\\!^äÄß😀'", max_size=3),
        st.booleans(),
    ),
    st.builds(lambda text: where("text") < text, st.text("aAbBäÄ😀_ ", max_size=2)),
    st.builds(lambda n: where("number") >= n, st.integers(-2, 8)),
    st.builds(lambda d: where("amount") == d, st.decimals(-3, 10, places=1)),
    st.builds(lambda ks: where("kind").in_(ks), st.lists(st.sampled_from(Kind), max_size=2)),
    st.builds(lambda name: where(name).is_none(), st.sampled_from(sorted(VALUES))),
)
_specs = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        st.builds(lambda a, b: a & b, inner, inner),
        st.builds(lambda a, b: a | b, inner, inner),
        st.builds(lambda a: ~a, inner),
    ),
    max_leaves=6,
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(specs=st.lists(_specs, min_size=1, max_size=4))
def test_any_specification_means_the_same(store: Database, specs: list[Specification]) -> None:
    assert differences(store, specs) == []


@pytest.mark.postgresql
def test_the_time_zone_of_the_server_does_not_matter(
    postgresql_url: str, make_database: Callable[..., Database]
) -> None:
    east = f"{postgresql_url}?options=-c%20timezone%3DPacific/Kiritimati"
    with Store(make_database(east)) as uow:
        uow.things.create_many([{"at": at} for at in VALUES["at"]])
        uow.commit()
        assert [thing.at for thing in uow.things.get_all(order_by="id")] == VALUES["at"]
        assert uow.things.count(where("at") == VALUES["at"][1]) == 2


# -- what cannot be asked --------------------------------------------------------------------

UNLIKE: dict[str, list[Any]] = {
    "text": [5, b"a", True, 1.5, ["a"], Kind.OPEN, "a\0b", "\ud800"],
    "number": [
        "1",
        1.5,
        float("nan"),
        float("inf"),
        2**31,
        2**70,
        -(2**31) - 1,
        Decimal("1.5"),
        b"1",
    ],
    "amount": ["1.1", 1.1, Decimal("NaN"), Decimal("Infinity"), "x"],
    "ratio": ["1.5", float("nan"), b"1", 10**400],
    "at": [datetime(2024, 1, 1), date(2024, 1, 1), "2024-01-01T00:00:00Z", 0],
    "day": [datetime(2024, 2, 29, tzinfo=UTC), datetime(2024, 2, 29), "2024-02-29", 0],
    "clock": ["12:00", time(12, tzinfo=UTC), 0, datetime(2024, 1, 1)],
    "span": ["P1D", 5, 1.5, timedelta.max],
    "kind": ["open", "OPEN", 0, True],
    "code": ["00000000-0000-0000-0000-000000000000", 0, b"\0" * 16],
    "flag": ["true", "yes", 2],
    "blob": ["a", 5, [1]],
    "tags": ["a", ("a",), {"a": 1}, [float("nan")], ["\0"], [object()]],
}


@pytest.mark.parametrize("name", UNLIKE)
def test_a_value_of_another_type_is_refused(store: Database, name: str) -> None:
    field, own = where(name), VALUES[name][0]
    with Store(store, read_only=True) as uow:
        for value in UNLIKE[name]:
            specs = [field == value, field != value, field < value, ~(field == value)]
            specs += [field.in_([own, value]), field.between(own, value), ALL & (field >= value)]
            for spec in specs:
                with pytest.raises(ValidationError) as caught:
                    uow.things.get_all(spec)
                assert (caught.value.entity, set(caught.value.errors)) == ("CritThing", {name})
            for method in ("count", "exists", "first", "one"):
                with pytest.raises(ValidationError):
                    getattr(uow.things, method)(field == value)
        assert uow.things.count() == len(TEXTS) + 1


def test_what_has_no_such_question_is_refused(store: Database) -> None:
    specs = {
        "kind": where("kind") < Kind.DONE,
        "tags": where("tags") >= ["a"],
        "number": where("number").contains("1"),
        "blob": where("blob").startswith("a"),
        "names": where("names") == 1,
        "text.upper": where("text.upper") == "A",
        "metadata": where("metadata").is_none(),
        "Text": where("Text") == "a",
        "expression": where("expression").in_([]),
    }
    with Store(store, read_only=True) as uow:
        for name, spec in specs.items():
            for query in (spec, ~spec, spec | ALL, NONE & spec):
                with pytest.raises(ValidationError) as caught:
                    uow.things.get_all(query)
                assert (caught.value.entity, set(caught.value.errors)) == ("CritThing", {name})


def test_another_table_is_refused_where_it_would_multiply_rows(store: Database) -> None:
    thing, other = aliased(CritThingModel), col(CritOther.thing_id)
    with Store(store) as uow:
        uow.repository(CritOther).create_many([CritOther(thing_id=n) for n in (1, 1, 2)])
        uow.commit()
        bare = select(CritThingModel).where(other == 1)
        with pytest.warns(Warning, match="cartesian"):  # the control
            assert len(uow.session.exec(bare).all()) == 2 * (len(TEXTS) + 1)
        for criterion in (
            other == 1,
            other == col(CritThingModel.id),
            or_(other == 1, col(CritThingModel.id) == 1),
            thing.text == "a",
            func.length(other) > 0,
        ):
            for method in ("get_all", "count", "exists", "first", "one"):
                with pytest.raises(ValidationError) as caught:
                    getattr(uow.things, method)(criterion)
                assert caught.value.entity == "CritThing"
        inside = exists().where(other == col(CritThingModel.id))
        assert uow.things.count(inside) == 2
        assert len(uow.things.get_all(col(CritThingModel.id).in_(select(CritOther.thing_id)))) == 2


def test_column_expressions_are_criteria(store: Database) -> None:
    model = CritThingModel
    with Store(store, read_only=True) as uow:
        flags = sum(row.flag is True for row in uow.things.get_all())
        assert uow.things.count(col(model.flag)) == flags  # a column by itself
        assert uow.things.count(col(model.text) == "ä") == 1
        assert uow.things.count(func.length(model.text) == 300) == 1
        assert uow.things.count(col(model.text).is_(None)) == 1
        assert uow.things.count(col(model.number) > 0, where("text") == "a") in (0, 1)


# -- sizes -----------------------------------------------------------------------------------

HUGE: dict[str, Callable[[int], Any]] = {
    "number": lambda n: n - 5,
    "text": str,
    "amount": lambda n: Decimal(n) / 10,
    "at": lambda n: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=n),
    "code": lambda n: uuid.UUID(int=n),
    "blob": lambda n: n.to_bytes(3, "big").lstrip(b"\0"),
    "ratio": lambda n: n / 10 if n else float("inf"),
    "day": lambda n: date(1, 1, 1) + timedelta(n),
}


@pytest.mark.parametrize("name", HUGE)
def test_a_list_of_any_length_may_be_asked_for(store: Database, name: str, soak: bool) -> None:
    # PostgreSQL takes 65,535 parameters, SQLite 32,766 or more; all types go the same ways.
    many = 300_000 if soak else 70_000 if name in ("number", "blob") else 5_000
    assert differences(store, [where(name).in_([HUGE[name](n) for n in range(many)])]) == []


def test_chains_of_any_length(store: Database) -> None:
    either: Specification = NONE
    both: Specification = ALL
    for n in range(1200):  # SQLite takes expressions of a depth of 1,000
        either |= where("number") == n
        both &= where("number") != n
    assert differences(store, [either, both, ~either]) == []


def test_texts_of_any_length(store: Database) -> None:
    long = "x" * 100_000
    field = where("text")
    specs = [field.contains(long), field.startswith(long), field.endswith(long), field < long]
    assert differences(store, both_ways(specs)) == []
