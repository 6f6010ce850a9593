"""What a column can hold, checked before SQL so that every database agrees.

Each check returns None for a value that can be stored, else what is wrong with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, Double, Float, Integer, Interval, SmallInteger, String, Time
from sqlalchemy.types import TypeDecorator, TypeEngine
from sqlmodel.sql.sqltypes import UTCDateTime

from infrastructure.database.models.embedded import Embedded
from infrastructure.database.models.types import EnumName, ExactDecimal, Json, Text

Check = Callable[[Any], str | None]

_INTERVAL_DAYS = 700_000
_DEPTH = 100


def check_for(type_: TypeEngine[Any], *, any_size: bool = False) -> Check | None:
    """The check of a column type, or None where every value of its Python type fits.

    ``any_size`` is for values to compare with, which may be longer than what is stored.
    """
    match type_:
        case EnumName():
            return None
        case Text() | String():
            return text(None if any_size else type_.length)
        case ExactDecimal():
            return decimal(None, None) if any_size else decimal(type_.precision, type_.scale)
        case Embedded():
            return value_object(type_)
        case Json():
            return json_value
        case UTCDateTime():
            return aware_datetime
        case Interval():
            return interval
        case TypeDecorator():
            return check_for(type_.impl_instance, any_size=any_size)
        case SmallInteger():
            return integer(16)
        case BigInteger():
            return integer(64)
        case Integer():
            return integer(32)
        case Float() | Double():
            return floating
        case Time():
            return naive_time
        case _:
            return None


def text(length: int | None) -> Check:
    def check(value: Any) -> str | None:
        if not isinstance(value, str):
            return None
        if length is not None and len(value) > length:
            return f"is longer than {length} characters"
        return None if value.isascii() and "\0" not in value else _character(value)

    return check


def _character(value: str) -> str | None:
    if "\0" in value:
        return "holds a NUL character, which PostgreSQL cannot store"
    try:
        value.encode()
    except UnicodeEncodeError:
        return "holds a lone surrogate, which is no character"
    return None


def integer(bits: int) -> Check:
    low, high = -(1 << bits - 1), (1 << bits - 1) - 1

    def check(value: Any) -> str | None:
        if value is not None and not isinstance(value, int):
            return "is no whole number"  # pydantic lets members of enums pass
        if value is not None and not low <= value <= high:
            return f"does not fit into {bits} bits ({low} to {high})"
        return None

    return check


def floating(value: Any) -> str | None:
    if isinstance(value, float) and math.isnan(value):
        return "is not a number (NaN); use None for an unknown one"
    return None


def decimal(precision: int | None, scale: int | None) -> Check:
    def check(value: Any) -> str | None:
        if not isinstance(value, Decimal):
            return None
        if not value.is_finite():
            return "is not a finite number"
        places, whole = _digits(value)
        if scale is not None and places > scale:
            return f"has more than {scale} decimal places; round it first"
        if precision is not None and whole > precision - (scale or 0):
            return f"has more than {precision - (scale or 0)} digits before the point"
        if whole > 131_072 or places > 16_383:
            return "has more digits than PostgreSQL can store"
        return None

    return check


def _digits(value: Decimal) -> tuple[int, int]:
    """How many digits stand after and before the point, without the zeros at the end."""
    _, digits, exponent = value.as_tuple()
    significant = "".join(map(str, digits)).rstrip("0")
    power = int(exponent) + len(digits) - len(significant)
    if not significant:
        return 0, 0
    return max(-power, 0), max(len(significant) + power, 0)


def aware_datetime(value: Any) -> str | None:
    if not isinstance(value, datetime):
        return None
    if value.utcoffset() is None:
        return "has no time zone; use datetime.now(UTC), or NaiveDatetime as the field's type"
    try:
        value.astimezone(UTC)
    except OverflowError:
        return "is out of range in UTC"
    return None


def interval(value: Any) -> str | None:
    if isinstance(value, timedelta) and abs(value.days) > _INTERVAL_DAYS:
        return f"is longer than {_INTERVAL_DAYS} days"
    return None


def naive_time(value: Any) -> str | None:
    if isinstance(value, time) and value.tzinfo is not None:
        return "has a time zone, which a time column does not keep"
    return None


def json_value(value: Any, depth: int = 0) -> str | None:
    """Everything in it must be JSON, and must come back as it was."""
    if depth > _DEPTH:
        return f"is nested deeper than {_DEPTH} levels"
    match value:
        case None | bool():
            return None
        case int():
            return integer(64)(value)
        case str():
            return _character(value)
        case float():
            return _json_float(value)
        case list():
            return next((wrong for item in value if (wrong := json_value(item, depth + 1))), None)
        case dict():
            if any(not isinstance(key, str) for key in value):
                return "holds a key that is no text"
            return json_value([*value, *value.values()], depth)
        case _:
            return f"holds a {type(value).__name__}, which JSON does not have"


def value_object(type_: Embedded) -> Check:
    """It must come back as it is, and be JSON in between."""

    def check(value: Any) -> str | None:
        if value is None:
            return None
        return type_.wrong_with(value) or json_value(type_.encode(value))

    return check


def _json_float(value: float) -> str | None:
    if not math.isfinite(value):
        return "holds a number that JSON does not have"
    # PostgreSQL writes a large one as a whole number, with zeros that it did not have.
    if value.is_integer() and int(Decimal(repr(value))) != value:
        return "holds a number too large to come back as it was; store it as text"
    return None
