"""What the models of an existing database need that SQLAlchemy and SQLModel do not have."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NoReturn, TypeVar

from sqlalchemy import Constraint, Numeric, event
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import Mapper
from sqlalchemy.sql.elements import conv
from sqlalchemy.types import TypeDecorator, UserDefinedType

from domain.errors import ReadOnlyViolation
from infrastructure.database.models.base import Model
from infrastructure.database.models.rules import entity_name

C = TypeVar("C", bound=Constraint)


class NumberAsDecimal(TypeDecorator[Decimal]):
    """Decimals in a column of numbers, as SQLite has it: exact up to 15 digits."""

    impl = Numeric
    cache_ok = True

    def __init__(self, precision: int | None = None, scale: int | None = None) -> None:
        super().__init__(precision, scale, asdecimal=False)

    def bind_processor(self, dialect: Dialect) -> Any:
        """As text, which SQLite makes a number of: a float may be another number."""
        return lambda value: None if value is None else str(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        try:
            return None if value is None else Decimal(str(value))
        except ArithmeticError:  # its words have the value
            raise ValueError("what is stored is no number") from None


class Unmapped(UserDefinedType[Any]):
    """A type that nobody knows: its values are what the driver gives and takes."""

    cache_ok = True

    def __init__(self, name: str = "") -> None:
        self.name = name

    def get_col_spec(self, **_options: Any) -> str:
        """What the database calls it."""
        return self.name


def unnamed(constraint: C) -> C:
    """A constraint that has no name in the database, and gets none."""
    constraint.name = conv("unnamed")  # what has none yet is given one, or refused
    event.listen(constraint, "after_parent_attach", _forget_the_name)
    return constraint


def _forget_the_name(constraint: Constraint, _parent: object) -> None:
    constraint.name = None


class View(Model):
    """The base of the models of views: rows are read, and never written."""


def _refuse(_mapper: Mapper[Any], _connection: object, row: Any) -> NoReturn:
    raise ReadOnlyViolation(f"{entity_name(type(row))} is a view; its rows can only be read")


for _event in ("before_insert", "before_update", "before_delete"):
    event.listen(View, _event, _refuse, propagate=True)
