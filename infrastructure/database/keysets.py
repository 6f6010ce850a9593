"""Keyset pagination: what comes after a row, or before it, in an order that has no ties."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import BindParameter, ColumnElement, and_, false, literal, or_, true, tuple_

_Condition = ColumnElement[bool]


class Term(NamedTuple):
    """One column of an order; None is the greatest value."""

    field: str
    column: ColumnElement[Any]
    descending: bool
    nullable: bool

    def reversed(self) -> Term:
        """The same in the other direction."""
        return self._replace(descending=not self.descending)

    def ordered(self) -> ColumnElement[Any]:
        """For ORDER BY."""
        if self.descending:
            return self.column.desc().nulls_first() if self.nullable else self.column.desc()
        return self.column.asc().nulls_last() if self.nullable else self.column.asc()

    def equal(self, value: Any) -> _Condition:
        """The same place."""
        return self.column.is_(None) if value is None else self.column == self.bound(value)

    def beyond(self, value: Any) -> _Condition:
        """A later place."""
        if value is None:
            return self.column.is_not(None) if self.descending else false()
        bound = self.bound(value)
        if self.descending:
            return self.column < bound
        return (
            or_(self.column > bound, self.column.is_(None))
            if self.nullable
            else (self.column > bound)
        )

    def from_on(self, value: Any) -> _Condition:
        """The same place or a later one, with no regard to None."""
        bound = self.bound(value)
        return self.column <= bound if self.descending else self.column >= bound

    def bound(self, value: Any) -> ColumnElement[Any]:
        """The value, as the column has it; a parameter stands for one."""
        return value if isinstance(value, BindParameter) else literal(value, self.column.type)


class Segment(NamedTuple):
    """A part of the result that an index can give in order."""

    condition: _Condition
    order: Sequence[ColumnElement[Any]]


def segments(terms: Sequence[Term], values: Sequence[Any], inclusive: bool) -> Iterator[Segment]:
    """What lies beyond a row with these values, part after part.

    The first column parts it in those that have a value there and those that have
    none, because no index serves a condition on both.
    """
    first, *rest = terms
    value, *others = values
    plain = [term._replace(nullable=False) for term in terms[:1]] + rest
    order = [term.ordered() for term in plain]
    inner = [term.ordered() for term in rest]
    with_value = first.column.is_not(None) if first.nullable else true()
    if value is not None:
        yield Segment(and_(with_value, _beyond(plain, values, inclusive)), order)
        if first.nullable and not first.descending:
            yield Segment(first.column.is_(None), inner)
        return
    yield Segment(and_(first.column.is_(None), _beyond(rest, others, inclusive)), inner)
    if first.descending:
        yield Segment(with_value, order)


def _beyond(terms: Sequence[Term], values: Sequence[Any], inclusive: bool) -> _Condition:
    if not terms:
        return true() if inclusive else false()
    if not any(term.nullable for term in terms) and len({t.descending for t in terms}) == 1:
        return _row_beyond(terms, values, inclusive)
    (first, *rest), (value, *others) = terms, values
    later = or_(first.beyond(value), and_(first.equal(value), _beyond(rest, others, inclusive)))
    return later if first.nullable else and_(first.from_on(value), later)


def _row_beyond(terms: Sequence[Term], values: Sequence[Any], inclusive: bool) -> _Condition:
    """Row values, which use an index on these columns."""
    if len(terms) == 1 and not inclusive:
        return terms[0].beyond(values[0])
    if len(terms) == 1:
        return terms[0].from_on(values[0])
    columns = tuple_(*(term.column for term in terms))
    bound = tuple_(*(term.bound(value) for term, value in zip(terms, values, strict=True)))
    beyond: _Condition
    if terms[0].descending:
        beyond = columns <= bound if inclusive else columns < bound
    else:
        beyond = columns >= bound if inclusive else columns > bound
    return beyond
