"""Specifications, orders and limits, as SQL."""

from __future__ import annotations

import operator as operators
import string
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    SQLColumnExpression,
    String,
    UnaryExpression,
    and_,
    bindparam,
    false,
    func,
    not_,
    or_,
    select,
    true,
)
from sqlalchemy import Enum as SqlEnum
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql import operators as sql_operators
from sqlalchemy.sql.elements import ClauseElement, Grouping

from domain.errors import ValidationError
from domain.logic import terms
from domain.specification import (
    And,
    Between,
    Comparison,
    Constant,
    In,
    IsNone,
    Not,
    Or,
    Specification,
    Text,
)
from infrastructure.database.dialects import Dialect
from infrastructure.database.keysets import Term
from infrastructure.database.models.column_lists import column_lists_of
from infrastructure.database.models.rules import Rules
from infrastructure.database.models.types import EnumName, Json, plain
from infrastructure.database.models.types import Text as TextType

Criterion = Specification | SQLColumnExpression[bool]
Order = str | SQLColumnExpression[Any]

_MOST = 2**63 - 1
_MOST_TERMS = 100
_ASCII_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_COMPARISONS: Mapping[str, Callable[[Any, Any], Any]] = {
    "==": operators.eq,
    "!=": operators.ne,
    "<": operators.lt,
    "<=": operators.le,
    ">": operators.gt,
    ">=": operators.ge,
}


class Translator:
    """Says in SQL what the domain says about one table."""

    def __init__(self, rules: Rules, dialect: Dialect) -> None:
        self.rules = rules
        self.dialect = dialect

    # -- criteria --------------------------------------------------------------------------

    def conditions(self, criteria: Sequence[Any]) -> list[ColumnElement[bool]]:
        """What must hold, all of it; a criterion that means nothing is refused."""
        return [self._condition(criterion) for criterion in criteria]

    def _condition(self, criterion: Any) -> ColumnElement[bool]:
        if isinstance(criterion, Specification):
            return self._translate(criterion)
        if isinstance(criterion, ClauseElement | InstrumentedAttribute):
            return self._of_this_table(criterion)
        raise self._refused(
            "criteria",
            f"cannot be a {type(criterion).__name__}; use where() or a column expression",
        )

    def _of_this_table(self, expression: Any) -> ColumnElement[bool]:
        # Another table here would be joined with every row of this one.
        froms = select(self.rules.model).where(expression).get_final_froms()
        if len(froms) > 1:
            raise self._refused("criteria", "name another table; use exists() or in_(select(…))")
        condition: ColumnElement[bool] = expression
        return condition

    def _translate(self, spec: Specification) -> ColumnElement[bool]:
        match spec:
            case And():
                return _joined(and_, [self._translate(term) for term in terms(spec)])
            case Or():
                return _joined(or_, [self._translate(term) for term in terms(spec)])
            case Not():
                return not_(self._translate(spec.inner))
            case Constant():
                return true() if spec.value else false()
            case IsNone():
                return self._column(spec.field).is_(None)
            case Comparison():
                return self._compare(spec.field, spec.operator, spec.value)
            case Between():
                return and_(
                    self._compare(spec.field, ">=", spec.low),
                    self._compare(spec.field, "<=", spec.high),
                )
            case In():
                return self._among(spec)
            case Text():
                return self._text(spec)
            case _:
                return self._translate(spec.expression())

    def _among(self, spec: In) -> ColumnElement[bool]:
        self.rules.known([spec.field])
        if not spec.values:
            return false()
        values = column_lists_of(self.rules.model).operands(spec.field, spec.values)
        if values is None:  # one has to be converted, or is refused
            values = [self.rules.operand(spec.field, value) for value in spec.values]
        column = self.rules.columns[spec.field]
        if isinstance(column.type, Json):  # a list of lists is not what an array is
            return _joined(or_, [self._compare(spec.field, "==", value) for value in values])
        return self.dialect.among(column, values)

    def _compare(self, field: str, operator: str, value: Any) -> ColumnElement[bool]:
        column = self._column(field)
        if operator not in ("==", "!="):
            if isinstance(self.rules.columns[field].type, Json | EnumName):
                raise self._refused(field, f"has no order; {operator} cannot be asked")
            column = self.sortable(field)
        compared: ColumnElement[bool] = _COMPARISONS[operator](
            column, bindparam(None, self.rules.operand(field, value), column.type)
        )
        return compared

    def _text(self, spec: Text) -> ColumnElement[bool]:
        column = self._column(spec.field)
        if not self._is_text(spec.field):
            raise self._refused(spec.field, f"is not text; {spec.operator}() needs text")
        text = self.rules.operand(spec.field, spec.text)
        if spec.ignore_case:
            folded = func.lower(self.dialect.by_code_point(column))
            return self.dialect.text_match(folded, spec.operator, text.translate(_ASCII_LOWER))
        return self.dialect.text_match(column, spec.operator, text)

    def _column(self, field: str) -> ColumnElement[Any]:
        self.rules.known([field])
        column: ColumnElement[Any] = getattr(self.rules.model, field)
        return column

    def _is_text(self, field: str) -> bool:
        type_ = plain(self.rules.columns[field].type)
        if isinstance(type_, SqlEnum) and type_.native_enum:
            return False  # a type of its own on PostgreSQL, in an order of its own
        return isinstance(type_, TextType | String)

    def sortable(self, field: str) -> ColumnElement[Any]:
        """The column, comparing by code point if it is text."""
        column = self._column(field)
        ours = isinstance(self.rules.columns[field].type, TextType | EnumName)
        return column if ours or not self._is_text(field) else self.dialect.by_code_point(column)

    # -- order and limits ------------------------------------------------------------------

    def ordering(self, order_by: Any) -> list[ColumnElement[Any]]:
        """``"name"``, ``"-name"`` or column expressions; None is the greatest value."""
        return [self._order(order) for order in _as_list(order_by)]

    def _order(self, order: Any) -> ColumnElement[Any]:
        field = self._sorted_field(order)
        return self._of_this_table(order) if field is None else self.term(*field).ordered()

    def _sorted_field(self, order: Any) -> tuple[str, bool] | None:
        """The field of an order, and whether it descends; None for another expression."""
        if isinstance(order, str):
            return order.removeprefix("-"), order.startswith("-")
        if isinstance(order, InstrumentedAttribute) and order.key in self.rules.columns:
            return order.key, False
        if isinstance(order, UnaryExpression) and (field := self._field_of(order)) is not None:
            return field, order.modifier is sql_operators.desc_op
        if isinstance(order, ClauseElement):
            return None
        raise self._refused("order_by", 'takes names ("-age") or column expressions')

    def terms(self, order_by: Any) -> list[Term]:
        """An order of fields that has no ties; the key goes the way of the last one."""
        fields = [self._sorted_field(order) for order in _as_list(order_by)]
        if None in fields:
            raise self._refused(
                "order_by", "of a window must be fields; others cannot be continued from"
            )
        named = [field for field in fields if field is not None]
        down = bool(named) and named[-1][1]
        order: dict[str, bool] = {}
        for field, descending in [*named, *((key, down) for key in self.rules.keys)]:
            order.setdefault(field, descending)  # a field that comes again decides nothing
        return [self.term(field, descending) for field, descending in order.items()]

    def total_ordering(self, order_by: Any) -> list[ColumnElement[Any]]:
        """Any order, made one without ties."""
        if all(self._sorted_field(order) is not None for order in _as_list(order_by)):
            return [term.ordered() for term in self.terms(order_by)]
        keys = [self.term(key, False).ordered() for key in self.rules.keys]
        return [*self.ordering(order_by), *keys]

    def _field_of(self, order: UnaryExpression[Any]) -> str | None:
        """The field of ``column.asc()`` and ``column.desc()``."""
        if order.modifier not in (sql_operators.asc_op, sql_operators.desc_op):
            return None
        element = order.element
        columns = self.rules.columns.items()
        return next((name for name, column in columns if element.shares_lineage(column)), None)

    def term(self, field: str, descending: bool) -> Term:
        """One field of an order."""
        self.rules.known([field])
        if isinstance(self.rules.columns[field].type, Json):
            raise self._refused("order_by", f"{field} has no order")
        nullable = bool(self.rules.columns[field].nullable)
        return Term(field, self.sortable(field), descending, nullable)

    def least(self, lowest: int, name: str, value: Any) -> int:
        """A whole number that is not lower."""
        found = self.number(name, value)
        if found is None or found < lowest:
            raise self._refused(name, f"must be at least {lowest}")
        return found

    def number(self, name: str, value: Any) -> int | None:
        """A limit or an offset: a whole number from 0."""
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool):
            raise self._refused(name, "must be a whole number")
        if not 0 <= value <= _MOST:
            raise self._refused(name, "must be from 0 to 2^63-1")
        return value

    def _refused(self, field: str, message: str) -> ValidationError:
        return ValidationError(self.rules.entity, {field: message})


def _as_list(order_by: Any) -> Sequence[Any]:
    return order_by if isinstance(order_by, list | tuple) else [order_by]


class _Parentheses(Grouping[bool]):
    """Parentheses that SQLAlchemy does not take off again."""

    inherit_cache = True
    operator = None  # where it is that of what surrounds them, they go


def _joined(
    join: Callable[..., ColumnElement[bool]], terms: list[ColumnElement[bool]]
) -> ColumnElement[bool]:
    """Many terms in parentheses by hundreds: SQLite nests no deeper than a thousand."""
    while len(terms) > _MOST_TERMS:
        parts = [terms[at : at + _MOST_TERMS] for at in range(0, len(terms), _MOST_TERMS)]
        terms = [_Parentheses(join(*part)) for part in parts]
    return join(*terms)
