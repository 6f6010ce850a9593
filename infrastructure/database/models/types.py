"""Column types whose values compare, sort and survive alike on every database."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum
from typing import Any

from sqlalchemy import JSON, BigInteger, Numeric, String
from sqlalchemy import Enum as SqlEnum
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine
from sqlmodel.sql.sqltypes import AutoString

from infrastructure.database.dialects import Dialect as KitDialect
from infrastructure.database.dialects import dialect_named


class Text(TypeDecorator[str]):
    """Text that compares and sorts by code point."""

    impl = String
    cache_ok = True

    def __init__(self, length: int | None = None) -> None:
        super().__init__(length)
        self.length = length

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        ours = _ours(dialect)
        return dialect.type_descriptor(ours.text_type(self.length) if ours else String(self.length))


class ExactDecimal(TypeDecorator[Decimal]):
    """Decimals that are stored, compared and sorted exactly. Sums are made in Python."""

    impl = Numeric
    cache_ok = True

    def __init__(self, precision: int | None = None, scale: int | None = None) -> None:
        super().__init__(precision, scale)
        self.precision = precision
        self.scale = scale

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        ours = _ours(dialect)
        return dialect.type_descriptor(
            ours.decimal_type(self.precision, self.scale)
            if ours
            else Numeric(self.precision, self.scale)
        )


class Json(TypeDecorator[Any]):
    """Lists and dicts, as JSON. None is NULL. Changes inside them are noticed at the flush."""

    impl = JSON
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        ours = _ours(dialect)
        return dialect.type_descriptor(ours.json_type() if ours else JSON())


class RowNumber(TypeDecorator[int]):
    """A key that the database counts up, in 64 bits."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        ours = _ours(dialect)
        return dialect.type_descriptor(ours.row_number_type() if ours else BigInteger())


class EnumName(TypeDecorator[Enum]):
    """An enum by the names of its members, as text."""

    impl = String
    cache_ok = True

    def __init__(self, enum: type[Enum], length: int | None = None) -> None:
        self.enum = enum
        self.length = length or max((len(name) for name in enum.__members__), default=1)
        super().__init__(self.length)

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        ours = _ours(dialect)
        return dialect.type_descriptor(ours.text_type(self.length) if ours else String(self.length))

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        try:
            return None if value is None else self.enum(value).name
        except (TypeError, ValueError):  # its words have the value
            raise ValueError(f"must be a member of {self.enum.__name__}") from None

    def process_result_value(self, value: Any, dialect: Dialect) -> Enum | None:
        try:
            return None if value is None else self.enum[value]
        except KeyError:
            raise LookupError(f"what is stored is no name of {self.enum.__name__}") from None


def _ours(dialect: Dialect) -> KitDialect | None:
    """None for what SQLAlchemy prints with when it knows no database."""
    try:
        return dialect_named(dialect.name)
    except KeyError:
        return None


def portable(type_: TypeEngine[Any]) -> TypeEngine[Any]:
    """What the kit uses in place of a type that SQLModel chose from an annotation."""
    match type_:
        case AutoString():
            return Text(getattr(type_.impl, "length", None))
        case SqlEnum() if type_.enum_class is not None:
            type_.native_enum = False  # it hears of its table all the same, and would make a type
            return EnumName(type_.enum_class)
        case Numeric() if type_.asdecimal:
            return ExactDecimal(type_.precision, type_.scale)
        case _:
            return type_


def plain(type_: TypeEngine[Any]) -> TypeEngine[Any]:
    """The type below all decorators."""
    while isinstance(type_, TypeDecorator) and not isinstance(
        type_, Text | ExactDecimal | Json | EnumName
    ):
        type_ = type_.impl_instance
    return type_
