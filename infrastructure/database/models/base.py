"""The base of all tables: SQLModel, validated, with the identity of an entity.

``class PersonModel(Person, Model, table=True)`` is a row and a ``Person`` in
one; ``class Tag(Model, table=True)`` needs no domain class.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

import pydantic
from pydantic_core import PydanticUndefined
from sqlalchemy import Column, MetaData, event
from sqlalchemy import inspect as state_of
from sqlalchemy.orm import Mapper, registry
from sqlalchemy.orm.attributes import flag_dirty
from sqlmodel import SQLModel
from sqlmodel.main import SQLModelMetaclass

from domain.entity import Entity
from domain.errors import ValidationError
from domain.event import Event
from infrastructure.database.models import adoption
from infrastructure.database.models.child_list import keep_root
from infrastructure.database.models.child_rows import methods
from infrastructure.database.models.children import (
    ChildrenInfo,
    DomainNamesAreNoFields,
    children_of,
)
from infrastructure.database.models.relationships import refuse_lazy_loading
from infrastructure.database.models.rules import Rules, rules_of
from infrastructure.database.models.types import portable

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class ModelMeta(SQLModelMetaclass, DomainNamesAreNoFields):
    """Makes tables of domain classes. SQLModel requires a metaclass; this one adds to it."""

    def __new__(
        mcs,
        name: str,
        bases: tuple[type[Any], ...],
        namespace: dict[str, Any],
        **options: Any,
    ) -> Any:
        table = bool(options.get("table"))
        domain = adoption.domain_class(name, bases) if table else None
        owned = {key: v for key, v in namespace.items() if isinstance(v, ChildrenInfo)}
        if table:
            adoption.refuse_string_annotations(name, namespace)
            namespace.setdefault("__init__", _construct)
            namespace.update(methods(owned.keys()))
        if domain is not None:
            adoption.adopt(namespace, domain)
            if cast(Any, domain).__dataclass_params__.repr:
                namespace.setdefault("__repr__", SQLModel.__repr__)
        if table:
            adoption.refuse_what_has_no_column(name, namespace)
        adoption.store_lists_and_dicts_as_json(namespace)
        cls = super().__new__(mcs, name, bases, namespace, **options)
        if table:
            cls.__entity_class__ = domain or cls
            for attribute, info in owned.items():
                info.belong_to(cls, attribute)
            _refuse_model_validators(cls)
            _use_portable_types(cls)
        return cls


class Model(
    Entity,
    SQLModel,
    metaclass=ModelMeta,
    registry=registry(metadata=MetaData(naming_convention=NAMING_CONVENTION)),
):
    """The base of all tables.

    Construction validates: the fields, then the domain's rules, then the
    relationships. Loading validates nothing and runs no constructor.
    """

    __mapper_args__: ClassVar[Any] = {"eager_defaults": True}

    if TYPE_CHECKING:  # SQLModel's is a function, which pyright does not let a str replace
        __tablename__: ClassVar[str]  # pyright: ignore[reportIncompatibleVariableOverride]

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Order the columns: the key, what the class declares, what its mixins add."""
        fields = cls.__pydantic_fields__
        declared = adoption.own_annotations(dict(cls.__dict__))
        options = {name: adoption.sql_options(field) for name, field in fields.items()}
        names = dict.fromkeys([*(name for name in declared if name in fields), *fields])
        keys = [n for n in names if (option := options[n]) and option.primary_key is True]
        ordered = [*keys, *(name for name in declared if name in fields)]
        for name in dict.fromkeys([*ordered, *fields]):
            fields[name] = fields.pop(name)

    def record(self, event: Event | Callable[[Self], Event]) -> None:
        """Say what happened; it is published if, and only if, this entity is stored."""
        super().record(event)
        if state_of(self, raiseerr=False) is not None:
            flag_dirty(self)  # a flush is to look at it, even if nothing else was changed

    def _identity(self) -> Any:
        keys = rules_of(type(self)).keys
        values = tuple(self.__dict__.get(key) for key in keys)
        if any(value is None for value in values):
            return None
        return values[0] if len(values) == 1 else values

    def __repr_args__(self) -> list[tuple[str | None, Any]]:
        held = self.__dict__
        related = type(self).__sqlmodel_relationships__.items()
        children = [name for name, info in related if isinstance(info, ChildrenInfo)]
        return [
            (name, held[name]) for name in [*type(self).model_fields, *children] if name in held
        ]

    @classmethod
    def model_validate(  # type: ignore[override]  # SQLModel leaves out what pydantic added
        cls,
        obj: Any,
        *,
        strict: bool | None = None,
        from_attributes: bool | None = None,
        context: dict[str, Any] | None = None,
        update: dict[str, Any] | None = None,
    ) -> Self:
        """A validated row from a mapping, or from the attributes of any object."""
        if not cls.model_config.get("table"):
            return super().model_validate(
                obj,
                strict=strict,
                from_attributes=from_attributes,
                context=context,
                update=update,
            )
        return cls(**(_values_of(cls, obj) | (update or {})))

    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray, **options: Any) -> Self:
        """A validated row from JSON."""
        try:
            return super().model_validate_json(json_data, **options)
        except pydantic.ValidationError as error:
            if not cls.model_config.get("table"):
                raise
            raise rules_of(cls).invalid(error) from None

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A new row with the same values, not connected to the stored one."""
        if not self.model_config.get("table"):
            return super().model_copy(update=update, deep=deep)
        values = _values_of(type(self), self)
        return type(self)(**((copy.deepcopy(values) if deep else values) | dict(update or {})))

    def __copy__(self) -> Self:
        return self.model_copy()

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        return self.model_copy(deep=True)


def _values_of(cls: type[Model], source: Any) -> dict[str, Any]:
    if isinstance(source, Mapping):
        return dict(source)
    children = rules_of(cls).children
    values = {name: getattr(source, name) for name in cls.model_fields if hasattr(source, name)}
    lists: dict[str, Any] = {n: getattr(source, n) for n in children if _has(source, n)}
    return values | {name: [_unstored(child) for child in held] for name, held in lists.items()}


def _has(source: Any, name: str) -> bool:
    return name in source.__dict__ if isinstance(source, Model) else hasattr(source, name)


def _unstored(child: Any) -> Any:
    return child.model_copy() if isinstance(child, Model) else child


def _construct(self: Any, **data: Any) -> None:
    """The constructor of every table: validated fields, the domain's own, relationships."""
    rules = rules_of(type(self))
    related = {name: data.pop(name) for name in rules.relationships if name in data}
    values, given = rules.whole(data)
    domain = type(self).__entity_class__
    rest = dict(values) | related
    if domain is not type(self) and dataclasses.is_dataclass(domain):
        taken = _for_constructor(rules, cast(Any, domain), rest)
        cast(Any, domain).__init__(self, **taken)
        made = {field.name for field in dataclasses.fields(domain)} & self.__dict__.keys() - given
        rest = {name: value for name, value in rest.items() if name not in made}
    for name, value in rest.items():
        setattr(self, name, value)
    object.__setattr__(self, "__pydantic_fields_set__", given)


cast(Any, _construct).__kit_constructor__ = True


def _for_constructor(rules: Rules, domain: type[Any], values: dict[str, Any]) -> dict[str, Any]:
    """Take what the domain's own constructor wants out of the values."""
    taken = {}
    for field in dataclasses.fields(domain):
        if field.init and field.name in values:
            taken[field.name] = values.pop(field.name)
        elif field.name in rules.children and adoption.is_required(field):
            raise ValidationError(rules.entity, {field.name: "Field required"})
    return taken


def _use_portable_types(cls: Any) -> None:
    for name, field in cls.__pydantic_fields__.items():
        column = cls.__dict__.get(name)
        options = adoption.sql_options(field)
        explicit = options and (
            options.sa_type is not PydanticUndefined or options.sa_column is not PydanticUndefined
        )
        if isinstance(column, Column) and not explicit:
            column.type = portable(column.type)


def _refuse_model_validators(cls: Any) -> None:
    if cls.__pydantic_decorators__.model_validators:
        raise TypeError(
            f"{cls.__name__} has a model validator, which does not see a stored row whole; "
            "put a rule across fields into a domain class's __post_init__"
        )


def _keep_roots(mapper: Mapper[Any], model: type[Any]) -> None:
    for name in children_of(mapper):
        event.listen(getattr(model, name), "init_collection", keep_root)


event.listen(Model, "mapper_configured", refuse_lazy_loading, propagate=True)
event.listen(Model, "mapper_configured", _keep_roots, propagate=True)
