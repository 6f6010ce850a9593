"""What a list of values is cast to, so that the cast changes none of them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Enum as SqlEnum
from sqlalchemy import Float, Numeric, String
from sqlalchemy.engine import Dialect
from sqlalchemy.types import NullType, TypeDecorator, TypeEngine


def any_size(type_: TypeEngine[Any]) -> TypeEngine[Any]:
    """A type without its length, or its precision and scale; values are converted as before.

    A cast to VARCHAR(3) cuts a longer text off, one to NUMERIC(6, 2) rounds or fails. That of
    a floating-point number stays: 0.1 in four bytes is another number than in eight.
    """
    return type_ if isinstance(type_, Float) else _AnySize(type_)


class _AnySize(TypeDecorator[Any]):
    impl = NullType
    cache_ok = True

    def __init__(self, sized: TypeEngine[Any]) -> None:
        super().__init__()
        self.sized = sized

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        match bare := _undecorated(self.sized.dialect_impl(dialect)):
            case SqlEnum():
                return bare
            case String():
                return bare.adapt(type(bare), length=None)
            case Numeric():
                return bare.adapt(type(bare), precision=None, scale=None)
            case _:
                return bare

    def bind_processor(self, dialect: Dialect) -> Any:
        """That of the type itself."""
        return self.sized.dialect_impl(dialect).bind_processor(dialect)


def _undecorated(type_: TypeEngine[Any]) -> TypeEngine[Any]:
    while isinstance(type_, TypeDecorator):
        type_ = type_.impl_instance
    return type_
