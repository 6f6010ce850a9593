"""Lists of any length in one parameter, as the text of an array: the driver makes it slowly."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from types import NoneType
from typing import Any
from uuid import UUID

from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import TypeDecorator, TypeEngine

from infrastructure.database.dialects import moments


class ArrayText(TypeDecorator[Any]):
    """An array of one dimension, for parameters."""

    impl = ARRAY
    cache_ok = True

    def __init__(self, item: TypeEngine[Any]) -> None:
        super().__init__(item, dimensions=1)
        self.item = item

    def bind_processor(self, dialect: Any) -> Any:
        """What the driver takes: a text for simple values, or the list itself."""
        convert = self.item.dialect_impl(dialect).bind_processor(dialect)

        def process(values: Sequence[Any]) -> Any:
            if convert is not None and not moments.are_in_utc(values):
                values = list(map(convert, values))
            return literal(values)

        return process


def literal(values: Sequence[Any]) -> Any:
    """The text of an array, or the values, if this knows no text for them."""
    kinds = set(map(type, values))
    known = len(kinds - {NoneType}) == 1
    texts_of = _TEXTS.get((kinds - {NoneType}).pop()) if known else None
    if texts_of is None:
        return values
    if NoneType not in kinds:
        texts = texts_of(values)
        return values if texts is None else "{" + ",".join(texts) + "}"
    texts = texts_of([value for value in values if value is not None])
    if texts is None:
        return values
    following = iter(texts)
    return "{" + ",".join("NULL" if v is None else next(following) for v in values) + "}"


def _quoted(texts: Iterable[str]) -> list[str]:
    return [f'"{text}"' for text in texts]


def _escaped(texts: Sequence[str]) -> list[str]:
    joined = "".join(texts)
    if "\\" in joined or '"' in joined:
        texts = [text.replace("\\", "\\\\").replace('"', '\\"') for text in texts]
    return _quoted(texts)


def _moments(values: Sequence[datetime]) -> list[str] | None:
    if not moments.are_in_utc(values):
        return None
    return [f'"{text}+00"' for text in moments.as_text(values)]


_TEXTS: Mapping[type, Callable[[Sequence[Any]], Iterable[str] | None]] = {
    bool: lambda values: ["t" if value else "f" for value in values],
    int: lambda values: map(str, values),
    float: lambda values: map(repr, values),
    str: _escaped,
    Decimal: lambda values: map(str, values),
    UUID: lambda values: map(str, values),
    datetime: _moments,
}
