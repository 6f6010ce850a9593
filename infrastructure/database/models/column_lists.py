"""Validation of many rows at once, column by column: the same outcome as ``Rules`` row by row.

Pydantic validates a whole column in one call. Where that says no, nothing is known but that
some row is wrong, and ``Rules`` says which and why.
"""

from __future__ import annotations

import copy
import math
from array import array
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import cache, lru_cache, partial
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin
from uuid import UUID

import pydantic
from pydantic_core import SchemaValidator, core_schema
from sqlalchemy import BigInteger, Column, Double, Float, Integer, SmallInteger, String
from sqlalchemy.types import TypeDecorator, TypeEngine
from sqlmodel import SQLModel
from sqlmodel.sql.sqltypes import UTCDateTime

from infrastructure.database.dialects.base import all_are
from infrastructure.database.dialects.moments import are_in_utc
from infrastructure.database.models.columns import check_for
from infrastructure.database.models.embedded import Embedded
from infrastructure.database.models.rules import Rules, messages_of, rules_of
from infrastructure.database.models.types import EnumName, ExactDecimal, Json, Text

Lists = dict[str, list[Any]]
"""The values of some fields, one list for each, all of one length."""

Test = Callable[[Sequence[Any]], bool]

_KEYS = (int, str, bool, UUID, date)
_SCALARS = (
    *(int, str, bool, float, Decimal, UUID, date, datetime, time, timedelta),
    NoneType,
)


class Unfit(Exception):
    """These rows have to be validated one by one. Nothing of them was used up yet."""


class WrongValue(Exception):
    """A value that was refused, and in which of the rows. Another one may be wrong before it."""

    def __init__(self, at: int, field: str, message: str) -> None:
        super().__init__(message)
        self.at = at
        self.field = field
        self.message = message


class ColumnLists:
    """What the columns of one table may hold."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self._fields = _fields_of(rules.model)
        self._alone = {name for name, field in self._fields.items() if field.alone}
        self._required = {name for name, field in self._fields.items() if not field.has_default}
        self._fixed = {name for name, field in self._fields.items() if field.fixed}
        self._tests = {name: _Column(c, any_size=False) for name, c in rules.columns.items()}
        self._checks = {name: test.check for name, test in self._tests.items()}
        self._converter = lru_cache(maxsize=64)(self._new_converter)
        self._operands: dict[str, tuple[frozenset[type], _Column]] = {}
        self.only_scalars = all(_is_scalar(rules, name) for name in rules.columns)

    def whole(self, given: Mapping[str, Sequence[Any]], count: int) -> Lists:
        """All fields, converted, defaults included."""
        if not self._required <= given.keys():
            raise Unfit
        found = self._converted(given)
        for name in self._fields.keys() - given.keys():
            found[name] = self._fields[name].defaults(count)
        return self._checked({name: found[name] for name in self._fields})

    def one(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """All fields of one row, converted, defaults included; ``Unfit`` if one is wrong, too."""
        if not self._required <= given.keys():
            raise Unfit
        values = self._converted_one(given)
        for name in self._fields.keys() - given.keys():
            values[name] = self._fields[name].defaults(1)[0]
        self._refuse_unfit(values)
        return {name: values[name] for name in self._fields}

    def part(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Some fields of one row, converted; ``Unfit`` if one is wrong, too."""
        if not self._fixed.isdisjoint(given):
            raise Unfit
        values = self._converted_one(given)
        self._refuse_unfit(values)
        return values

    def _converted_one(self, given: Mapping[str, Any]) -> dict[str, Any]:
        try:
            converted = self._converter(tuple(given))(tuple(given.values()))
        except pydantic.ValidationError:
            raise Unfit from None
        return dict(zip(given, converted, strict=True))

    def _refuse_unfit(self, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            check = self._checks.get(name)
            if check is not None and check(value) is not None:
                raise Unfit

    def _new_converter(self, names: tuple[str, ...]) -> Callable[[Any], Any]:
        """What converts the values of these fields."""
        if not ({*names} <= self._alone and names) or self.rules.json:
            raise Unfit
        return _converter_of([self._fields[name] for name in names])

    def some(self, given: Mapping[str, Sequence[Any]]) -> Lists:
        """Some fields, converted."""
        if not self._fixed.isdisjoint(given):
            raise Unfit
        return self._checked(self._converted(given))

    def operands(self, name: str, values: Sequence[Any]) -> list[Any] | None:
        """Values that a field may be compared with, if nothing has to be converted."""
        if name not in self._operands:
            annotation = self.rules.model.model_fields[name].annotation
            exact = {kind for kind in get_args(annotation) or (annotation,) if kind in _KEYS}
            column = _Column(self.rules.columns[name], any_size=True)
            self._operands[name] = frozenset(exact), column
        kinds, column = self._operands[name]
        if not any(all_are(kind, values) for kind in kinds) or column.wrong(values):
            return None
        return list(values)

    def _converted(self, given: Mapping[str, Sequence[Any]]) -> Lists:
        if not given.keys() <= self._alone:
            raise Unfit
        return {name: self._fields[name].converted(name, given[name]) for name in given}

    def _checked(self, found: Lists) -> Lists:
        for name, test in self._tests.items():
            if name in found and (wrong := test.wrong(found[name])):
                raise WrongValue(wrong[0], name, wrong[1])
        for name in self.rules.json & found.keys():
            found[name] = [copy.deepcopy(value) for value in found[name]]
        return found


def column_lists_of(model: Any) -> ColumnLists:
    """Those of a table, made once."""
    return _made(model)


@cache
def _made(model: type[SQLModel]) -> ColumnLists:
    return ColumnLists(rules_of(model))


# -- what pydantic knows -----------------------------------------------------------------------


class _Field:
    """One field, for any number of values."""

    def __init__(self, field: Any, config: Any, definitions: list[Any]) -> None:
        self.schema: Any = field["schema"]
        self.alone = not any(map(_sees_others, [self.schema, definitions]))
        self.fixed = bool(field.get("frozen"))
        self.validator = partial(_validator, config=config, definitions=definitions)
        self._convert = self.validator(core_schema.list_schema(self.schema, fail_fast=True))
        validated = self.schema.get("validate_default", (config or {}).get("validate_default"))
        self.has_default = (
            self.schema["type"] == "default"
            and not validated
            and not self.schema.get("default_factory_takes_data")
        )

    def converted(self, name: str, values: Sequence[Any]) -> list[Any]:
        try:
            found: list[Any] = self._convert(list(values))
            return found  # noqa: TRY300 -- nothing else is tried
        except pydantic.ValidationError as error:
            at, message = next(iter(messages_of(error).items()))
            raise WrongValue(int(at), name, message) from None

    def defaults(self, count: int) -> list[Any]:
        """For each of so many rows its own."""
        schema = self.schema
        if "default_factory" in schema:
            make = schema["default_factory"]
            return [make() for _ in range(count)]
        default = schema["default"]
        if schema.get("copy_default"):
            return [copy.deepcopy(default) for _ in range(count)]
        return [default] * count


def _validator(schema: Any, *, config: Any, definitions: list[Any]) -> Callable[[Any], Any]:
    whole = core_schema.definitions_schema(schema, definitions) if definitions else schema
    return SchemaValidator(whole, config).validate_python


def _converter_of(fields: Sequence[_Field]) -> Callable[[Any], Any]:
    """What converts one value of each of some fields of a table."""
    return fields[0].validator(core_schema.tuple_schema([field.schema for field in fields]))


def _fields_of(model: Any) -> dict[str, _Field]:
    """The fields of a table; none where more is asked of a row than of each of its fields."""
    schema, definitions = model.__pydantic_core_schema__, []
    if schema["type"] == "definitions":
        schema, definitions = schema["schema"], schema["definitions"]
    if schema["type"] != "model" or schema.get("post_init") or schema.get("root_model"):
        return {}
    inner = schema["schema"]
    if inner["type"] != "model-fields":
        return {}
    if any("validation_alias" in field for field in inner["fields"].values()):
        return {}
    config = schema.get("config")
    return {name: _Field(f, config, definitions) for name, f in inner["fields"].items()}


def _sees_others(schema: Any) -> bool:
    """Whether a validator of the application looks at the fields before its own."""
    match schema:
        case dict():
            return schema.get("type") == "with-info" or any(map(_sees_others, schema.values()))
        case list() | tuple():
            return any(map(_sees_others, schema))
        case _:
            return False


def _is_scalar(rules: Rules, name: str) -> bool:
    """Whether a field holds nothing that could be changed inside."""
    field = rules.model.model_fields.get(name)
    kinds = () if field is None else _kinds_of(field.annotation)
    return bool(kinds) and all(
        kind in _SCALARS or (isinstance(kind, type) and issubclass(kind, Enum)) for kind in kinds
    )


def _kinds_of(annotation: Any) -> tuple[Any, ...]:
    """The members of a union; or this one."""
    return get_args(annotation) if get_origin(annotation) in _UNIONS else (annotation,)


_UNIONS = (Union, UnionType)


# -- what a column can hold --------------------------------------------------------------------


class _Column:
    """The check of a column, and a cheaper one for many values that are all right."""

    def __init__(self, column: Column[Any], *, any_size: bool) -> None:
        self.check = check_for(column.type, any_size=any_size)
        self._test = _test_for(column.type, any_size=any_size)

    def wrong(self, values: Sequence[Any]) -> tuple[int, str] | None:
        """The place of the first value that the column cannot hold, and why; or None."""
        if self.check is None:
            return None
        if self._test is not None:
            present = values if self._test(values) else [v for v in values if v is not None]
            if present is values or (len(present) < len(values) and self._test(present)):
                return None
        messages = enumerate(map(self.check, values))
        return next(((at, message) for at, message in messages if message is not None), None)


def _test_for(type_: TypeEngine[Any], *, any_size: bool) -> Test | None:
    """A test that only values pass which the check of this type passes, or None."""
    match type_:
        case EnumName() | ExactDecimal() | Embedded() | Json():
            return None
        case Text() | String():
            return _texts(None if any_size else type_.length)
        case UTCDateTime():
            return are_in_utc
        case TypeDecorator():
            return _test_for(type_.impl_instance, any_size=any_size)
        case SmallInteger():
            return _integers(16)
        case BigInteger():
            return _integers(64)
        case Integer():
            return _integers(32)
        case Float() | Double():
            return _floats
        case _:
            return None


def _texts(length: int | None) -> Test:
    def test(values: Sequence[Any]) -> bool:
        if not all_are(str, values):
            return False
        if length is not None and max(map(len, values), default=0) > length:
            return False
        joined = "".join(values)
        return "\0" not in joined and (joined.isascii() or _has_utf8(joined))

    return test


def _has_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _integers(bits: int) -> Test:
    code = {16: "h", 32: "i", 64: "q"}[bits]

    def test(values: Sequence[Any]) -> bool:
        try:
            return all_are(int, values) and len(array(code, values)) == len(values)
        except OverflowError:
            return False

    return test


def _floats(values: Sequence[Any]) -> bool:
    return all_are(float, values) and not math.isnan(sum(values))
