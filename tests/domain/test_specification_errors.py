"""What a specification refuses, and what it tells whoever wrote it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from domain import ALL, NONE, Entity, Person, Specification, where
from domain.errors import ValidationError
from domain.specification import (
    Comparison,
    Text,
)


def row(**values: Any) -> SimpleNamespace:
    return SimpleNamespace(**{"age": None, "name": None} | values)


class Adult(Specification):
    def expression(self) -> Specification:
        return where("age") >= 18


@pytest.mark.parametrize(
    "build",
    [
        lambda: where("age") < None,
        lambda: where("age") <= None,
        lambda: where("age") > None,
        lambda: where("age") >= None,
        lambda: where("age").in_([1, None]),
        lambda: where("age").between(None, 1),
        lambda: where("age").between(1, None),
        lambda: where("age").contains(None),
        lambda: where("age").startswith(None),
        lambda: where("age").endswith(None),
        lambda: Comparison("age", "==", None),
    ],
)
def test_none_compares_with_nothing_and_the_error_says_what_to_do(build: Any) -> None:
    with pytest.raises(ValidationError, match=r"use |is_none") as caught:
        build()
    assert caught.value.entity == "Specification"
    assert set(caught.value.errors) == {"age"}


@pytest.mark.parametrize("values", ["abc", b"abc", 1, None])
def test_in_refuses_what_is_no_collection_of_values(values: Any) -> None:
    with pytest.raises(ValidationError, match="brackets"):
        where("age").in_(values)


@pytest.mark.parametrize("text", [1, b"x", ["x"]])
def test_text_operations_take_text_only(text: Any) -> None:
    with pytest.raises(ValidationError, match="takes a str"):
        where("name").contains(text)


@pytest.mark.parametrize("node", [Comparison, Text])
def test_an_unknown_operator_is_refused(node: Any) -> None:
    with pytest.raises(ValidationError, match="unknown operator"):
        node("age", "=", "1")


@pytest.mark.parametrize("value", [where("name"), where("name") == "x"])
def test_a_field_compares_with_values_only(value: Any) -> None:
    with pytest.raises(ValidationError, match="parentheses"):
        where("age") == value  # noqa: B015  # refused when it is built


@pytest.mark.parametrize("name", ["", None, 1])
def test_a_field_needs_a_name(name: Any) -> None:
    with pytest.raises(ValidationError, match="name of a field"):
        where(name)


@pytest.mark.parametrize("field", ["agee", "join", "entity_class", "__dict__", "_identity"])
def test_what_is_no_field_of_the_entity_is_refused(field: str) -> None:
    class PersonRow(Person):
        __entity_class__ = Person

    PersonRow.__entity_class__ = Person
    ada = PersonRow(name="Ada", email="ada@example.com")
    with pytest.raises(ValidationError, match="is no field of Person") as caught:
        where(field).is_none().is_satisfied_by(ada)
    assert (caught.value.entity, set(caught.value.errors)) == ("Person", {field})


def test_a_property_is_no_field_because_a_table_has_none() -> None:
    class Circle:
        @property
        def area(self) -> int:
            raise AssertionError("must not be computed")

    with pytest.raises(ValidationError, match="is no field of Circle"):
        (where("area") > 1).is_satisfied_by(Circle())


def test_a_wrong_field_is_refused_whatever_the_other_terms_say() -> None:
    wrong = where("agee") == 1
    for spec in (NONE & wrong, ALL | wrong, wrong & NONE):
        with pytest.raises(ValidationError, match="agee"):
            spec.is_satisfied_by(row())


@pytest.mark.parametrize(
    "spec", [where("age") < "x", where("age").between("a", "b"), where("age").contains("x")]
)
def test_values_of_unlike_types_are_refused_without_being_shown(spec: Specification) -> None:
    with pytest.raises(ValidationError) as caught:
        spec.is_satisfied_by(row(age=4711))
    assert "4711" not in str(caught.value)


def test_an_entity_of_a_plain_class_is_named_by_that_class() -> None:
    class Tag(Entity):
        id: int = 1

    with pytest.raises(ValidationError, match="is no field of Tag"):
        (where("label") == "x").is_satisfied_by(Tag())


@pytest.mark.parametrize(
    "misuse",
    [
        lambda: Adult() and ALL,
        lambda: ALL or NONE,
        lambda: not where("age") == 1,  # noqa: SIM201  # what is tested
        lambda: 1 if where("age") else 2,
        lambda: not where("age"),
        lambda: 1 < where("age") < 3,
    ],
)
def test_it_has_no_truth_value_and_the_error_says_what_to_write(misuse: Any) -> None:
    with pytest.raises(TypeError, match=r"& \| ~"):
        misuse()


@pytest.mark.parametrize("other", [True, None, 1, "x", where("age")])
def test_it_combines_with_specifications_only(other: Any) -> None:
    for combine in (lambda: ALL & other, lambda: ALL | other, lambda: other & ALL):
        with pytest.raises(TypeError, match="unsupported operand"):
            combine()
