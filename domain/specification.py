"""Conditions on entities, in the words of the domain: ``where("age") >= 18``.

A specification answers in Python what the database would answer, and that is
three-valued logic: a comparison with a missing value (None) is neither true nor
false but unknown, and so is its negation; only what is definitely true
satisfies. Missing values are asked for with ``is_none()``.

A condition gets a name of the business by a class that defines ``expression``::

    class Adult(Specification):
        def expression(self) -> Specification:
            return where("age") >= 18

Adapters translate the nodes with ``match``, and ask anything else for its
``expression()``.
"""

from __future__ import annotations

import operator as operators
import string
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

from domain import logic
from domain.errors import ValidationError
from domain.logic import ALL, NONE, And, Constant, Node, Not, Or, Specification, Truth

__all__ = [
    "ALL",
    "NONE",
    "And",
    "Between",
    "Comparison",
    "Constant",
    "Field",
    "In",
    "IsNone",
    "Not",
    "Or",
    "Specification",
    "Text",
    "where",
]

_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operators.eq,
    "!=": operators.ne,
    "<": operators.lt,
    "<=": operators.le,
    ">": operators.gt,
    ">=": operators.ge,
}
_TEXTS: dict[str, Callable[[str, str], bool]] = {
    "contains": operators.contains,
    "startswith": str.startswith,
    "endswith": str.endswith,
}
_ASCII_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def where(name: str) -> Field:
    """The field of this name, to be compared with a value."""
    return Field(name)


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """A field of an entity. Its comparisons are specifications.

    None compares with nothing and raises ``ValidationError``, except that
    ``== None`` means ``is_none()`` and ``!= None`` means ``~is_none()``.
    """

    name: str

    def __post_init__(self) -> None:
        if not (self.name and isinstance(self.name, str)):
            raise _refused("where", "takes the name of a field, a str")

    # The two are no tests but build what is tested later: object's signature cannot be kept.
    def __eq__(self, value: object) -> Specification:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        return self.is_none() if value is None else Comparison(self.name, "==", value)

    def __ne__(self, value: object) -> Specification:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        return ~self.is_none() if value is None else Comparison(self.name, "!=", value)

    def __lt__(self, value: Any) -> Specification:
        return Comparison(self.name, "<", value)

    def __le__(self, value: Any) -> Specification:
        return Comparison(self.name, "<=", value)

    def __gt__(self, value: Any) -> Specification:
        return Comparison(self.name, ">", value)

    def __ge__(self, value: Any) -> Specification:
        return Comparison(self.name, ">=", value)

    def in_(self, values: Iterable[Any]) -> Specification:
        """One of the values; of no values, nothing is one."""
        if isinstance(values, str | bytes) or not isinstance(values, Iterable):
            raise _refused(self.name, "in_() takes a list of values; put a single one in brackets")
        return In(self.name, tuple(values))

    def is_none(self) -> Specification:
        """No value."""
        return IsNone(self.name)

    def between(self, low: Any, high: Any) -> Specification:
        """From low to high, both included."""
        return Between(self.name, low, high)

    def contains(self, text: str, *, ignore_case: bool = False) -> Specification:
        """The text stands somewhere in it. No wildcards; ``ignore_case`` concerns A-Z only."""
        return Text(self.name, "contains", text, ignore_case)

    def startswith(self, text: str, *, ignore_case: bool = False) -> Specification:
        """It begins with the text. No wildcards; ``ignore_case`` concerns A-Z only."""
        return Text(self.name, "startswith", text, ignore_case)

    def endswith(self, text: str, *, ignore_case: bool = False) -> Specification:
        """It ends with the text. No wildcards; ``ignore_case`` concerns A-Z only."""
        return Text(self.name, "endswith", text, ignore_case)

    def __bool__(self) -> NoReturn:
        logic.refuse_truth("a field")

    def __hash__(self) -> NoReturn:
        raise TypeError("a field is unhashable, because its == is a query; use its name instead")


@dataclass(frozen=True, slots=True)
class Comparison(Node):
    """A field against a value. Text compares by code point."""

    field: str
    operator: Literal["==", "!=", "<", "<=", ">", ">="]
    value: Any

    def __post_init__(self) -> None:
        _check_operator(self.field, self.operator, _COMPARISONS)
        _check_value(self.field, self.value, "use is_none()")

    def _truth(self, entity: object) -> Truth:
        return _compare(entity, self.field, self.operator, self.value)


@dataclass(frozen=True, slots=True)
class In(Node):
    """A field that has one of the values. Without values it is false, never unknown, as in SQL."""

    field: str
    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        if any(issubclass(kind, _NO_VALUES) for kind in set(map(type, self.values))):
            for value in self.values:
                _check_value(self.field, value, "leave it out and add | is_none()")

    def _truth(self, entity: object) -> Truth:
        value = logic.read(entity, self.field)
        return None if value is None and self.values else value in self.values


@dataclass(frozen=True, slots=True)
class IsNone(Node):
    """A field without a value. Never unknown."""

    field: str

    def _truth(self, entity: object) -> Truth:
        return logic.read(entity, self.field) is None


@dataclass(frozen=True, slots=True)
class Between(Node):
    """A field from low to high, both included."""

    field: str
    low: Any
    high: Any

    def __post_init__(self) -> None:
        _check_value(self.field, self.low, "use <= if there is no lower end")
        _check_value(self.field, self.high, "use >= if there is no upper end")

    def _truth(self, entity: object) -> Truth:
        low = _compare(entity, self.field, ">=", self.low)
        return logic.both(low, _compare(entity, self.field, "<=", self.high))


@dataclass(frozen=True, slots=True)
class Text(Node):
    """A text that holds another one. Ignored case is that of A-Z, where all databases agree."""

    field: str
    operator: Literal["contains", "startswith", "endswith"]
    text: str
    ignore_case: bool = False

    def __post_init__(self) -> None:
        _check_operator(self.field, self.operator, _TEXTS)
        _check_value(self.field, self.text, "use is_none()")
        if not isinstance(self.text, str):
            raise _refused(self.field, f"{self.operator}() takes a str; convert the value first")

    def _truth(self, entity: object) -> Truth:
        value = logic.read(entity, self.field)
        if value is None:
            return None
        if not isinstance(value, str):
            raise logic.unfit(entity, self.field, f"is not text; {self.operator}() needs text")
        text = self.text
        if self.ignore_case:
            value, text = value.translate(_ASCII_LOWER), text.translate(_ASCII_LOWER)
        return _TEXTS[self.operator](value, text)


def _check_operator(field: str, operator: str, known: Iterable[str]) -> None:
    if operator not in known:
        raise _refused(field, f"unknown operator; use one of {', '.join(known)}")


def _check_value(field: str, value: object, instead: str) -> None:
    if value is None:
        raise _refused(field, f"None compares with nothing; {instead}")
    if isinstance(value, Field | Specification):
        raise _refused(field, "compares with a value, not a condition; put each in parentheses")


_NO_VALUES = (type(None), Field, Specification)


def _refused(field: str, message: str) -> ValidationError:
    return ValidationError("Specification", {field: message})


def _compare(entity: object, field: str, operator: str, value: Any) -> Truth:
    actual = logic.read(entity, field)
    if actual is None:
        return None
    try:
        return bool(_COMPARISONS[operator](actual, value))
    except TypeError:
        message = f"cannot be compared by {operator} with a {type(value).__name__}"
        raise logic.unfit(entity, field, f"{message}; give a value of its own type") from None
