"""How specifications are written, named, combined and compared."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from domain import ALL, NONE, Specification, where
from domain.specification import (
    And,
    Between,
    Comparison,
    Field,
    In,
    IsNone,
    Not,
    Or,
    Text,
)


def row(**values: Any) -> SimpleNamespace:
    return SimpleNamespace(**{"age": None, "name": None} | values)


@dataclass(frozen=True)
class Older(Specification):
    """A condition of the business, with a parameter."""

    than: int

    def expression(self) -> Specification:
        return where("age") > self.than


def test_a_field_builds_the_nodes_that_adapters_translate() -> None:
    age, name = where("age"), where("name")
    assert (age == 1) == Comparison("age", "==", 1)
    assert (age != 1) == Comparison("age", "!=", 1)
    assert (age < 1) == Comparison("age", "<", 1)
    assert (age <= 1) == Comparison("age", "<=", 1)
    assert (age > 1) == Comparison("age", ">", 1)
    assert (age >= 1) == Comparison("age", ">=", 1)
    assert age.between(1, 2) == Between("age", 1, 2)
    assert age.in_(n for n in (1, 2)) == In("age", (1, 2))
    assert name.contains("x") == Text("name", "contains", "x", False)
    assert name.startswith("x", ignore_case=True) == Text("name", "startswith", "x", True)
    assert name.endswith("x") == Text("name", "endswith", "x")
    combined = ALL & ~NONE | ALL
    assert combined == Or(And(ALL, Not(NONE)), ALL)


def test_a_value_may_stand_on_the_left() -> None:
    reflected: Specification = 18 <= where("age")  # noqa: SIM300  # what is tested
    assert reflected == (where("age") >= 18)


def test_equal_to_none_means_is_none() -> None:
    assert (where("age") == None) == IsNone("age")  # noqa: E711  # what is tested
    assert (where("age") != None) == Not(IsNone("age"))  # noqa: E711  # what is tested


def test_between_includes_both_ends() -> None:
    spec = where("age").between(1, 3)
    assert [n for n in range(5) if spec.is_satisfied_by(row(age=n))] == [1, 2, 3]


@pytest.mark.parametrize("wildcard", ["%", "_", "\\", "*", "."])
def test_text_has_no_wildcards(wildcard: str) -> None:
    spec = where("name").contains(wildcard)
    assert not spec.is_satisfied_by(row(name="abc"))
    assert spec.is_satisfied_by(row(name=f"a{wildcard}c"))


def test_ignored_case_is_that_of_ascii_letters_only() -> None:
    spec = where("name").startswith("zoë", ignore_case=True)
    assert spec.is_satisfied_by(row(name="ZOë"))
    assert not spec.is_satisfied_by(row(name="ZOË"))
    assert not where("name").contains("ß", ignore_case=True).is_satisfied_by(row(name="SS"))


def test_all_is_every_entity_and_none_is_no_entity() -> None:
    assert ALL.is_satisfied_by(object())
    assert not NONE.is_satisfied_by(object())


class Adult(Specification):
    def expression(self) -> Specification:
        return where("age") >= 18


def test_a_named_condition_combines_with_others() -> None:
    spec = Adult() & ~Older(64) | (where("name") == "Ada")
    assert spec.is_satisfied_by(row(age=18))
    assert not spec.is_satisfied_by(row(age=65))
    assert spec.is_satisfied_by(row(age=65, name="Ada"))
    assert not (~Adult()).is_satisfied_by(row())


def test_a_node_means_itself_and_a_named_condition_its_expression() -> None:
    assert ALL.expression() is ALL
    assert Adult().expression() == Comparison("age", ">=", 18)


def test_a_named_condition_without_expression_says_what_is_missing() -> None:
    class Vague(Specification):
        pass

    with pytest.raises(NotImplementedError, match=r"Vague must define expression\(\)"):
        Vague().is_satisfied_by(row())


def test_nodes_are_values() -> None:
    spec = (where("age") > 1) & ~where("name").in_(["a"])
    same = (where("age") > 1) & ~where("name").in_(["a"])
    assert spec == same
    assert hash(spec) == hash(same)
    assert spec != (where("age") > 2)
    assert len({spec, same}) == 1
    assert pickle.loads(pickle.dumps(spec)) == copy.deepcopy(spec) == spec


def test_nodes_cannot_be_changed() -> None:
    for node, attribute in ((where("age") > 1, "value"), (ALL, "value"), (ALL & NONE, "left")):
        with pytest.raises(FrozenInstanceError):
            setattr(node, attribute, NONE)
    with pytest.raises(FrozenInstanceError):
        setattr(where("age"), "name", "other")  # noqa: B010  # what is tested


def test_combining_leaves_the_parts_as_they_were() -> None:
    adult = where("age") >= 18
    _ = adult & NONE, adult | ALL, ~adult
    assert adult == Comparison("age", ">=", 18)


def test_unhashable_values_make_an_unhashable_node() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(where("tags") == ["a"])


def test_a_field_is_no_key_of_a_dictionary_because_its_equality_is_a_query() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(Field("age"))
