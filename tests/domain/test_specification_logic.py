"""Specifications answer as SQL does: SQLite is the judge."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from functools import reduce
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from domain import ALL, Specification, where
from domain.specification import (
    And,
    Between,
    Comparison,
    Constant,
    In,
    IsNone,
    Not,
    Or,
    Text,
)

TRUTHS = (True, False, None)
OPERATORS = ("==", "!=", "<", "<=", ">", ">=")


def row(**values: Any) -> SimpleNamespace:
    return SimpleNamespace(**{"age": None, "name": None} | values)


def truth(spec: Specification, entity: object) -> bool | None:
    """All three answers, seen from outside: unknown is where neither it nor its negation holds."""
    if spec.is_satisfied_by(entity):
        return True
    return False if (~spec).is_satisfied_by(entity) else None


def literal(value: bool | None) -> Specification:
    return where("age") == 1 if value is None else Constant(value)


def to_sql(spec: Specification) -> tuple[str, tuple[Any, ...]]:
    match spec:
        case Constant(value):
            return str(int(value)), ()
        case Comparison(field, operator, value):
            return f"({field} {operator} ?)", (value,)
        case In(field, values):
            return f"({field} IN ({', '.join('?' * len(values))}))", values
        case IsNone(field):
            return f"({field} IS NULL)", ()
        case Between(field, low, high):
            return f"({field} BETWEEN ? AND ?)", (low, high)
        case Text(field, operator, text, ignore_case):
            held, sought = (f"lower({field})", "lower(?)") if ignore_case else (field, "?")
            if operator == "contains":
                return f"(instr({held}, {sought}) > 0)", (text,)
            start = "1" if operator == "startswith" else f"length({field}) - length(?) + 1"
            extra = () if operator == "startswith" else (text,)
            fits = f"length({field}) >= length(?)"
            sql = f"({fits} AND substr({held}, {start}, length(?)) = {sought})"
            return sql, (text, *extra, text, text)
        case And(left, right):
            return joined("AND", left, right)
        case Or(left, right):
            return joined("OR", left, right)
        case Not(inner):
            sql, values = to_sql(inner)
            return f"(NOT {sql})", values
        case _:
            return to_sql(spec.expression())


def joined(word: str, left: Specification, right: Specification) -> tuple[str, tuple[Any, ...]]:
    (left_sql, left_values), (right_sql, right_values) = to_sql(left), to_sql(right)
    return f"({left_sql} {word} {right_sql})", left_values + right_values


@dataclass(frozen=True)
class Older(Specification):
    """A condition of the business, with a parameter."""

    than: int

    def expression(self) -> Specification:
        return where("age") > self.than


ages = st.integers(-3, 3)
names = st.text(alphabet="abAB%_\\éÉİ ", max_size=4)
field_and_value = st.one_of(st.tuples(st.just("age"), ages), st.tuples(st.just("name"), names))
leaves = st.one_of(
    st.builds(Constant, st.booleans()),
    st.builds(
        lambda fv, op: Comparison(fv[0], op, fv[1]), field_and_value, st.sampled_from(OPERATORS)
    ),
    st.builds(lambda values: In("age", tuple(values)), st.lists(ages, max_size=3)),
    st.builds(lambda values: In("name", tuple(values)), st.lists(names, max_size=3)),
    st.builds(IsNone, st.sampled_from(["age", "name"])),
    st.builds(Between, st.just("age"), ages, ages),
    st.builds(Between, st.just("name"), names, names),
    st.builds(
        Text,
        st.just("name"),
        st.sampled_from(["contains", "startswith", "endswith"]),
        names,
        st.booleans(),
    ),
    st.builds(Older, ages),
)
specifications = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(And, inner, inner), st.builds(Or, inner, inner), st.builds(Not, inner)
    ),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def sqlite() -> Any:
    connection = sqlite3.connect(":memory:")
    yield connection
    connection.close()


@settings(max_examples=1000, deadline=None)
@given(spec=specifications, age=st.none() | ages, name=st.none() | names)
@example(spec=~In("age", ()), age=None, name=None)
@example(spec=Text("name", "contains", "É", True), age=None, name="é")
def test_it_answers_exactly_what_sqlite_answers(
    sqlite: sqlite3.Connection, spec: Specification, age: int | None, name: str | None
) -> None:
    sql, values = to_sql(spec)
    query = f"WITH entity(age, name) AS (VALUES (?, ?)) SELECT {sql} FROM entity"
    (answer,) = sqlite.execute(query, (age, name, *values)).fetchone()
    assert truth(spec, row(age=age, name=name)) == (None if answer is None else bool(answer))


@pytest.mark.parametrize("left", TRUTHS)
@pytest.mark.parametrize("right", TRUTHS)
def test_and_follows_kleene(left: bool | None, right: bool | None) -> None:
    expected = False if False in (left, right) else None if None in (left, right) else True
    assert truth(literal(left) & literal(right), row()) is expected


@pytest.mark.parametrize("left", TRUTHS)
@pytest.mark.parametrize("right", TRUTHS)
def test_or_follows_kleene(left: bool | None, right: bool | None) -> None:
    expected = True if True in (left, right) else None if None in (left, right) else False
    assert truth(literal(left) | literal(right), row()) is expected


@pytest.mark.parametrize(("inner", "expected"), [(True, False), (False, True), (None, None)])
def test_not_follows_kleene(inner: bool | None, expected: bool | None) -> None:
    assert truth(~literal(inner), row()) is expected


@pytest.mark.parametrize(
    "spec",
    [
        where("age") == 1,
        where("age") != 1,
        where("age") < 1,
        where("age").in_([1]),
        where("age").between(0, 9),
        where("name").contains(""),
    ],
)
def test_neither_it_nor_its_negation_holds_for_a_missing_value(spec: Specification) -> None:
    assert not spec.is_satisfied_by(row())
    assert not (~spec).is_satisfied_by(row())


def test_of_no_values_nothing_is_one_not_even_a_missing_value() -> None:
    spec = where("age").in_([])
    assert not spec.is_satisfied_by(row(age=1))
    assert (~spec).is_satisfied_by(row())


@pytest.mark.parametrize("terms", [300, 5000])
def test_a_long_chain_does_not_exhaust_the_stack(terms: int) -> None:
    ages = [where("age") == n for n in range(terms)]
    anyone = reduce(lambda a, b: a | b, ages)
    nobody = reduce(lambda a, b: b & a, ages)
    assert anyone.is_satisfied_by(row(age=terms - 1))
    assert not nobody.is_satisfied_by(row(age=0))


def test_alternating_operators_may_be_nested_by_the_hundred() -> None:
    spec: Specification = ALL
    for n in range(200):
        spec = (spec & (where("age") != n + 1)) | (where("age") == n + 1000)
    assert spec.is_satisfied_by(row(age=0))
