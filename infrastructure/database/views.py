"""Selections of a few columns, as dataclasses or pydantic models that nobody tracks."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pydantic
from sqlmodel import SQLModel

from domain.errors import ValidationError
from infrastructure.database.models.rules import Rules, messages_of

Make = Callable[[Mapping[str, Any]], Any]


def fields_and_maker(dto: Any, rules: Rules) -> tuple[Sequence[str], Make]:
    """Which columns a class wants, and how one of its objects is made of their values."""
    if isinstance(dto, type) and issubclass(dto, pydantic.BaseModel) and not _is_table(dto):
        names, make = list(dto.model_fields), _pydantic_maker(dto)
    elif isinstance(dto, type) and dataclasses.is_dataclass(dto) and not _is_table(dto):
        names = [field.name for field in dataclasses.fields(dto) if field.init]
        make = _dataclass_maker(dto)
    else:
        message = "must be a dataclass or a pydantic model; rows come from get_all()"
        raise ValidationError(rules.entity, {"dto": message})
    rules.known(names)
    if not names:
        raise ValidationError(rules.entity, {"dto": f"{dto.__name__} has no fields"})
    return names, make


def _is_table(dto: type[Any]) -> bool:
    return issubclass(dto, SQLModel) and hasattr(dto, "__table__")


def _dataclass_maker(dto: type[Any]) -> Make:
    return lambda values: dto(**values)


def _pydantic_maker(dto: type[pydantic.BaseModel]) -> Make:
    def make(values: Mapping[str, Any]) -> Any:
        try:
            return dto.model_validate(values, by_name=True)
        except pydantic.ValidationError as error:
            raise ValidationError(dto.__name__, messages_of(error)) from None

    return make
