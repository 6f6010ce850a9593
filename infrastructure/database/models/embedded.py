"""Value objects in one column: frozen dataclasses, as JSON."""

from __future__ import annotations

import dataclasses
from typing import Any, Union, cast, get_args, get_origin, get_type_hints

import pydantic
from sqlalchemy.engine import Dialect

from infrastructure.database.models.types import Json


class Embedded(Json):
    """A value object, as JSON: ``price: Money = Field(sa_type=Embedded(Money))``.

    All its fields are stored, and loading runs no constructor. Equality can be
    asked for, ``where("price") == Money(…)``; it is that of what is stored, in
    which ``Decimal("1.0")`` and ``Decimal("1.00")`` differ.
    """

    impl = Json.impl
    cache_ok = True

    def __init__(self, kind: type[Any]) -> None:
        super().__init__()
        _refuse_what_cannot_work(kind)
        self.kind = kind
        self._fields: dict[str, _Codec] | None = None

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return None if value is None else self.encode(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return None if value is None else self.decode(value)

    def encode(self, value: Any) -> dict[str, Any]:
        """A value object as JSON."""
        return {name: codec.encode(getattr(value, name)) for name, codec in self._codecs().items()}

    def decode(self, stored: dict[str, Any]) -> Any:
        """The value object of this JSON, made without its constructor.

        A field that it did not have when it was stored gets its default.
        """
        made = object.__new__(self.kind)
        for field in dataclasses.fields(self.kind):
            if field.name in stored:
                value = self._codecs()[field.name].decode(stored[field.name])
            else:
                value = _default_of(self.kind, field)
            object.__setattr__(made, field.name, value)
        return made

    def wrong_with(self, value: Any) -> str | None:
        """Why a value would not come back as it is, or None."""
        if value is None:
            return None
        if type(value) is not self.kind:
            return f"must be a {self.kind.__name__} itself, not a {type(value).__name__}"
        try:
            same = self.decode(self.encode(value)) == value
        except (pydantic.ValidationError, pydantic.PydanticSchemaGenerationError, ValueError):
            same = False
        if same:
            return None
        return f"is a {self.kind.__name__} with a field that is not of its type"

    def _codecs(self) -> dict[str, _Codec]:
        if self._fields is None:
            hints = get_type_hints(self.kind)
            names = [field.name for field in dataclasses.fields(self.kind)]
            self._fields = {name: _codec(hints[name]) for name in names}
        return self._fields


class _Codec:
    """One field, by its type."""

    def __init__(self, hint: Any) -> None:
        self._adapter: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(hint)

    def encode(self, value: Any) -> Any:
        return self._adapter.dump_python(value, mode="json", warnings="error")

    def decode(self, stored: Any) -> Any:
        return self._adapter.validate_python(stored)


class _Nested(_Codec):
    """A value object in a value object."""

    def __init__(self, kind: type[Any]) -> None:
        self._type = Embedded(kind)

    def encode(self, value: Any) -> Any:
        if value is not None and type(value) is not self._type.kind:
            raise ValueError
        return self._type.process_bind_param(value, cast(Dialect, None))

    def decode(self, stored: Any) -> Any:
        return self._type.process_result_value(stored, cast(Dialect, None))


def _codec(hint: Any) -> _Codec:
    kind = without_none(hint)
    return _Nested(kind) if is_value_object(kind) else _Codec(hint)


def without_none(hint: Any) -> Any:
    """``Money`` of ``Money | None``; other annotations as they are."""
    members = [member for member in get_args(hint) if member is not type(None)]
    optional = get_origin(hint) is Union or type(hint).__name__ == "UnionType"
    return members[0] if optional and len(members) == 1 else hint


def is_value_object(kind: Any) -> bool:
    """Whether this is a frozen dataclass."""
    return dataclasses.is_dataclass(kind) and cast(Any, kind).__dataclass_params__.frozen


def _default_of(kind: type[Any], field: dataclasses.Field[Any]) -> Any:
    if field.default is not dataclasses.MISSING:
        return field.default
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    raise LookupError(f"a stored {kind.__name__} has no {field.name}, and there is no default")


def _refuse_what_cannot_work(kind: Any) -> None:
    label = f"Embedded({getattr(kind, '__name__', repr(kind))})"
    if not isinstance(kind, type) or not dataclasses.is_dataclass(kind):
        raise TypeError(f"{label}: a value object is a frozen dataclass")
    parameters = cast(Any, kind).__dataclass_params__
    if not parameters.frozen:
        raise TypeError(
            f"{label} can be changed inside, which nobody would notice; "
            "write @dataclass(frozen=True)"
        )
    if not parameters.eq:
        raise TypeError(f"{label} is compared by its values; leave eq=False out")
    if hasattr(kind, "__entity_class__"):
        raise TypeError(f"{label} is an entity; a value object has no identity")
    if not dataclasses.fields(kind):
        raise TypeError(f"{label} has no fields")
    for name, hint in _hints(kind).items():
        if get_origin(without_none(hint)) in _MUTABLE or without_none(hint) in _MUTABLE:
            raise TypeError(f"{label}.{name} can be changed inside; make it a tuple")


_MUTABLE = (list, dict, set, bytearray)


def _hints(kind: type[Any]) -> dict[str, Any]:
    try:
        hints = get_type_hints(kind)
    except NameError:  # a name that is defined later
        return {}
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}
