"""Selections of a few columns, as dataclasses or pydantic models that nobody tracks."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pydantic
from pydantic.dataclasses import is_pydantic_dataclass

from domain.errors import ValidationError
from infrastructure.database.models.rules import Rules, messages_of

Make = Callable[[Mapping[str, Any]], Any]


def fields_and_maker(dto: Any, rules: Rules) -> tuple[Sequence[str], Make]:
    """Which columns a class wants, and how one of its objects is made of their values."""
    kind = dto if isinstance(dto, type) and not hasattr(dto, "__table__") else None
    if kind is not None and issubclass(kind, pydantic.BaseModel):
        names, make = list(kind.model_fields), _by_pydantic(kind)
    elif kind is not None and dataclasses.is_dataclass(kind):
        names = [field.name for field in dataclasses.fields(kind) if field.init]
        make = _by_pydantic(kind) if is_pydantic_dataclass(kind) else _by_constructor(kind, rules)
    else:
        message = "must be a dataclass or a pydantic model; rows come from get_all()"
        raise ValidationError(rules.entity, {"dto": message})
    rules.known(names)
    if not names:
        raise ValidationError(rules.entity, {"dto": f"{dto.__name__} has no fields"})
    return names, make


def _by_constructor(dto: Any, rules: Rules) -> Make:
    names = [field.name for field in dataclasses.fields(dto) if field.init]
    try:
        inspect.signature(dto).bind(**dict.fromkeys(names))
    except TypeError as error:
        message = f"{dto.__name__} cannot be made of its fields alone: {error}"
        raise ValidationError(rules.entity, {"dto": message}) from None
    return lambda values: dto(**values)


def _by_pydantic(dto: Any) -> Make:
    validator = dto.__pydantic_validator__

    def make(values: Mapping[str, Any]) -> Any:
        try:
            return validator.validate_python(values, by_name=True, by_alias=False)
        except pydantic.ValidationError as error:
            raise ValidationError(dto.__name__, messages_of(error)) from None

    return make
