"""How specifications read and combine: the three-valued logic of SQL."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NoReturn, Self

from domain.errors import ValidationError

Truth = bool | None
"""None is unknown: what a comparison with a missing value gives."""


class Specification:
    """A condition which an entity satisfies or not. Combined with ``& | ~``, never changed."""

    __slots__ = ()

    def is_satisfied_by(self, entity: object) -> bool:
        """Whether a query with this specification would find the entity.

        Raises ``ValidationError`` for a field that the entity does not have,
        and for values that cannot be compared with each other.
        """
        return self._truth(entity) is True

    def expression(self) -> Specification:
        """What this specification means, in simpler ones. Subclasses define it."""
        raise NotImplementedError(
            f"{type(self).__name__} must define expression() and return a specification from it"
        )

    def _truth(self, entity: object) -> Truth:
        return self.expression()._truth(entity)

    def __and__(self, other: Specification) -> Specification:
        if not isinstance(other, Specification):
            return NotImplemented
        return And(self, other)

    def __or__(self, other: Specification) -> Specification:
        if not isinstance(other, Specification):
            return NotImplemented
        return Or(self, other)

    def __invert__(self) -> Specification:
        return Not(self)

    def __bool__(self) -> NoReturn:
        refuse_truth("a specification")


class Node(Specification):
    """A specification that means just itself; adapters translate these."""

    __slots__ = ()

    def expression(self) -> Self:
        return self


@dataclass(frozen=True, slots=True)
class And(Node):
    """Both. False if one is false, even if the other is unknown."""

    left: Specification
    right: Specification

    def _truth(self, entity: object) -> Truth:
        truth: Truth = True
        # Every term is asked, so that a wrong field is refused whatever the others say.
        for term in terms(self):
            truth = both(truth, term._truth(entity))
        return truth


@dataclass(frozen=True, slots=True)
class Or(Node):
    """Either. True if one is true, even if the other is unknown."""

    left: Specification
    right: Specification

    def _truth(self, entity: object) -> Truth:
        truth: Truth = False
        for term in terms(self):
            truth = _either(truth, term._truth(entity))
        return truth


@dataclass(frozen=True, slots=True)
class Not(Node):
    """The opposite; the opposite of unknown is unknown."""

    inner: Specification

    def _truth(self, entity: object) -> Truth:
        truth = self.inner._truth(entity)
        return None if truth is None else not truth


@dataclass(frozen=True, slots=True)
class Constant(Node):
    """True or false whatever the entity."""

    value: bool

    def _truth(self, entity: object) -> Truth:
        return self.value


ALL = Constant(True)
"""Every entity satisfies it."""

NONE = Constant(False)
"""No entity satisfies it."""


def read(entity: object, field: str) -> Any:
    """The value of a field; methods, properties and private attributes are none, as in a table."""
    computed = isinstance(getattr(type(entity), field, None), property | cached_property)
    if not computed and not field.startswith("_") and hasattr(entity, field):
        value = getattr(entity, field)
        if not callable(value):
            return value
    message = f"is no field of {_name(entity)}; check the name given to where()"
    raise unfit(entity, field, message)


def unfit(entity: object, field: str, message: str) -> ValidationError:
    """What an entity is refused with when a specification does not suit it."""
    return ValidationError(_name(entity), {field: message})


def both(left: Truth, right: Truth) -> Truth:
    """Kleene's conjunction."""
    if left is False or right is False:
        return False
    return None if left is None or right is None else True


def refuse_truth(what: str) -> NoReturn:
    """Python asks for a truth value in ``and``, ``or``, ``not``, ``if`` and chained comparisons."""
    raise TypeError(
        f"{what} is neither true nor false: combine with & | ~ instead of and, or, not; "
        "write between() instead of a chained comparison; test with is_satisfied_by()"
    )


def _name(entity: object) -> str:
    return str(getattr(type(entity), "__entity_class__", type(entity)).__name__)


def _either(left: Truth, right: Truth) -> Truth:
    if left is True or right is True:
        return True
    return None if left is None or right is None else False


def terms(node: And | Or) -> Iterator[Specification]:
    """What a chain of the same operator joins, left to right.

    A loop, because chains of thousands are built by programs and would exhaust the stack.
    """
    kind = type(node)
    pending: list[Specification] = [node]
    while pending:
        term = pending.pop()
        if isinstance(term, kind):
            pending += (term.right, term.left)
        else:
            yield term
