"""Value objects in one column: frozen dataclasses, as JSON."""

from __future__ import annotations

import dataclasses
import json
from array import array
from collections.abc import (
    Iterator,
    MutableMapping,
    MutableSequence,
    MutableSet,
    Sequence,
)
from enum import Enum
from itertools import repeat
from typing import Annotated, Any, Union, cast, get_args, get_origin, get_type_hints

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
        try:
            return None if value is None else self.encode(value)
        except _UNFIT:  # pydantic's words have the value
            raise TypeError(f"must be a {self.kind.__name__}, of its types") from None

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return None if value is None else self.decode(value)

    def compare_values(self, x: Any, y: Any) -> bool:
        """Whether there is nothing to write."""
        try:
            return bool(x == y)
        except AttributeError:  # an incomplete object, which the flush will refuse
            return False

    def encode(self, value: Any) -> dict[str, Any]:
        """A value object as JSON."""
        return {name: codec.encode(getattr(value, name)) for name, codec in self._codecs().items()}

    def decode(self, stored: dict[str, Any]) -> Any:
        """The value object of this JSON, made without its constructor.

        A field that it did not have when it was stored gets its default.
        """
        if not isinstance(stored, dict):
            raise _Unreadable(f"what is stored is no {self.kind.__name__}")
        made = object.__new__(self.kind)
        for field in dataclasses.fields(self.kind):
            if field.name in stored:
                value = self._decoded(field.name, stored)
            else:
                value = _default_of(self.kind, field)
            object.__setattr__(made, field.name, value)
        return made

    def _decoded(self, name: str, stored: dict[str, Any]) -> Any:
        try:
            return self._codecs()[name].decode(stored[name])
        except _Unreadable:
            raise
        except _UNFIT:  # their words have the value
            message = f"a stored {self.kind.__name__} has a {name} that is not of its type"
            raise _Unreadable(message) from None

    def wrong_with(self, value: Any) -> str | None:
        """Why a value would not come back as it is, or None."""
        if value is None:
            return None
        if type(value) is not self.kind:
            return f"must be a {self.kind.__name__} itself, not a {type(value).__name__}"
        for name, codec in self._codecs().items():
            try:
                stored = codec.encode(getattr(value, name))
                same = codec.encode(codec.decode(stored)) == stored
            except (pydantic.ValidationError, *_UNFIT):
                same = False
            if not same:
                return f"{self.kind.__name__}.{name} is not of its type, or would not come back"
        return None

    def _codecs(self) -> dict[str, _Codec]:
        if self._fields is None:
            hints = get_type_hints(self.kind, include_extras=True)
            names = [field.name for field in dataclasses.fields(self.kind)]
            self._fields = {name: _codec(hints[name]) for name in names}
        return self._fields


class _Unreadable(LookupError):
    """What is stored does not fit; names the type, and holds no value."""


class _Codec:
    """One value, by its type."""

    def __init__(self, hint: Any) -> None:
        self._adapter: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(hint)

    def encode(self, value: Any) -> Any:
        return self._adapter.dump_python(value, mode="json", warnings="error")

    def decode(self, stored: Any) -> Any:
        return self._adapter.validate_python(stored)


class _Optional(_Codec):
    def __init__(self, inner: _Codec) -> None:
        self.inner = inner

    def encode(self, value: Any) -> Any:
        return None if value is None else self.inner.encode(value)

    def decode(self, stored: Any) -> Any:
        return None if stored is None else self.inner.decode(stored)


class _Nested(_Codec):
    """A value object in a value object."""

    def __init__(self, kind: type[Any]) -> None:
        self.embedded = Embedded(kind)

    def encode(self, value: Any) -> Any:
        _must_be(self.embedded.kind, value)
        return self.embedded.encode(value)

    def decode(self, stored: Any) -> Any:
        return self.embedded.decode(stored)


class _Tuple(_Codec):
    def __init__(self, items: Sequence[_Codec], *, any_length: bool) -> None:
        self.items = items
        self.any_length = any_length

    def _pairs(self, values: Sequence[Any]) -> Iterator[tuple[_Codec, Any]]:
        items = repeat(self.items[0], len(values)) if self.any_length else self.items
        return zip(items, values, strict=True)

    def encode(self, value: Any) -> Any:
        _must_be(tuple, value)
        return [codec.encode(item) for codec, item in self._pairs(value)]

    def decode(self, stored: Any) -> Any:
        return tuple(codec.decode(item) for codec, item in self._pairs(stored))


class _FrozenSet(_Codec):
    """In the order of its text, so that equal ones are stored alike."""

    def __init__(self, item: _Codec) -> None:
        self.item = item

    def encode(self, value: Any) -> Any:
        _must_be(frozenset, value)
        return sorted(map(self.item.encode, value), key=json.dumps)

    def decode(self, stored: Any) -> Any:
        return frozenset(map(self.item.decode, stored))


class _EnumName(_Codec):
    """By name, as a column has it."""

    def __init__(self, kind: type[Enum]) -> None:
        self.kind = kind

    def encode(self, value: Any) -> Any:
        _must_be(self.kind, value)
        return value.name

    def decode(self, stored: Any) -> Any:
        return self.kind[stored]


class _Hex(_Codec):
    """Bytes, of which JSON has none."""

    def __init__(self) -> None:
        pass

    def encode(self, value: Any) -> Any:
        _must_be(bytes, value)
        return value.hex()

    def decode(self, stored: Any) -> Any:
        return bytes.fromhex(stored)


def _must_be(kind: type[Any], value: Any) -> None:
    if type(value) is not kind:
        raise TypeError(f"must be a {kind.__name__}")


def _codec(hint: Any) -> _Codec:
    kind = without_none(hint)
    if kind is not hint:
        return _Optional(_codec(kind))
    bare = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    origin, arguments = get_origin(bare), get_args(bare)
    if is_value_object(bare):
        return _Nested(bare)
    if origin is tuple and arguments:
        items = [_codec(argument) for argument in arguments if argument is not ...]
        return _Tuple(items, any_length=arguments[-1] is ...)
    if origin is frozenset:
        return _FrozenSet(_codec(arguments[0]))
    if isinstance(bare, type) and issubclass(bare, Enum):
        return _EnumName(bare)
    return _Hex() if bare is bytes else _Codec(hint)


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
    raise _Unreadable(f"a stored {kind.__name__} has no {field.name}, and there is no default")


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
        _refuse_changeable(f"{label}.{name}", hint)


def _refuse_changeable(label: str, hint: Any) -> None:
    """Nothing inside may change, at any depth: nobody would notice."""
    if isinstance(hint, type) and get_origin(hint) is None:
        if is_value_object(hint) and not hasattr(hint, "__entity_class__"):
            _refuse_inside(label, hint)
        elif dataclasses.is_dataclass(hint) or issubclass(hint, _CHANGEABLE):
            raise TypeError(f"{label} holds a {hint.__name__}, which can be changed inside")
    origin = get_origin(hint)
    if isinstance(origin, type) and issubclass(origin, _CHANGEABLE):
        raise TypeError(f"{label} can be changed inside; make it a tuple")
    for inner in get_args(hint):
        if get_origin(hint) is not Annotated or inner is get_args(hint)[0]:
            _refuse_changeable(label, inner)


def _refuse_inside(label: str, kind: type[Any]) -> None:
    try:
        _refuse_what_cannot_work(kind)
    except TypeError as error:
        raise TypeError(f"{label}: {error}") from None


_CHANGEABLE = (
    *(MutableSequence, MutableMapping, MutableSet, bytearray, array, pydantic.BaseModel),
)
_UNFIT = (AttributeError, KeyError, LookupError, RecursionError, TypeError, ValueError)


def _hints(kind: type[Any]) -> dict[str, Any]:
    try:
        hints = get_type_hints(kind, include_extras=True)
    except NameError:  # a name that is defined later
        return {}
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}
