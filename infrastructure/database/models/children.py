"""Children of an aggregate: rows that their root owns, in the order of its list."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, cast, get_args, get_origin

import pydantic
from sqlalchemy import Column, ColumnElement, Integer
from sqlalchemy.orm import Mapper, class_mapper, relationship
from sqlalchemy.orm.attributes import instance_state
from sqlmodel.main import RelationshipInfo

from infrastructure.database.models.child_list import ChildList

_INFO = "kit_children"
_GREATEST = 2**31 - 1


def Children(model: str | type[Any], *, order_by: str | Sequence[str] = ()) -> Any:  # noqa: N802
    """Declare what a root owns.

        lines: list[OrderLine] = Children("OrderLineModel")

    ``model`` is their table, by name if it is defined later; it needs a foreign
    key to the table of the root. Children are loaded, stored and deleted with
    the root, and a change of one advances the root's version.

    ``order_by`` is names of the children's columns, ``"-name"`` for descending.
    One whole-number column that only the table has (``position: int``) is
    numbered by the kit, so that the list keeps its order. Without ``order_by``
    the list is in the order of the keys, and another one is refused.
    """
    return ChildrenInfo(model, order_by)


class ChildrenInfo(RelationshipInfo):
    """What is known about the children in one attribute of a root."""

    root: type[Any]
    name: str
    model: type[Any]
    links: dict[str, str]
    """The fields of the child that refer to its root, and what they refer to."""

    numbered: str | None = None
    """The field that keeps the order of the list."""

    def __init__(self, model: str | type[Any], order_by: str | Sequence[str]) -> None:
        if not isinstance(model, str if isinstance(model, str) else type) or model == "":
            raise TypeError('Children() needs a table: Children("OrderLineModel")')
        if isinstance(model, type) and not hasattr(model, "__table__"):
            raise TypeError(
                f"Children({model.__name__}): that is no table; give its model: "
                f'Children("{model.__name__}Model")'
            )
        self.asked = model
        self.order_by = (order_by,) if isinstance(order_by, str) else tuple(order_by)
        super().__init__(
            sa_relationship=relationship(
                self._resolve,
                cascade="all, delete-orphan",
                lazy="selectin",
                collection_class=ChildList,
                order_by=self._ordering,
                foreign_keys=self._referring,
                info={_INFO: self},
            )
        )

    @property
    def label(self) -> str:
        """What to call this in errors for programmers."""
        return f"{self.root.__name__}.{self.name}"

    def belong_to(self, root: type[Any], name: str) -> None:
        """Be the attribute of this table; refused if its annotation is no list."""
        self.root, self.name = root, name
        annotation = root.__annotations__.get(name)
        if get_origin(annotation) is not list or not get_args(annotation):
            raise TypeError(
                f'{self.label}: children are a list: {name}: list[Child] = Children("ChildModel")'
            )

    # -- once all tables are known -----------------------------------------------------------

    def _resolve(self) -> type[Any]:
        if "model" not in self.__dict__:
            self._settle()
        return self.model

    def _settle(self) -> None:
        self.model = self._find(self.asked) if isinstance(self.asked, str) else self.asked
        if self.model is self.root:
            raise TypeError(f"{self.label}: a root cannot be among its own children")
        if "__kit_owner__" in self.model.__dict__:
            raise TypeError(
                f"{self.label}: {self.model.__name__} are the children of "
                f"{self.model.__kit_owner__.label} already; give each root a table of its own"
            )
        owner = self.root.__dict__.get("__kit_owner__")
        while owner is not None:
            if owner.root is self.model:
                raise TypeError(
                    f"{self.label}: {self.root.__name__} itself is among the children of "
                    f"{self.model.__name__}"
                )
            owner = owner.root.__dict__.get("__kit_owner__")
        self.links = self._links()
        self.numbered = self._numbered()
        cast(Any, self.model).__kit_owner__ = self
        _ask_less(self.model, [*self.links, *([self.numbered] if self.numbered else [])])

    def _find(self, name: str) -> type[Any]:
        tables = [mapper.class_ for mapper in class_mapper(self.root, False).registry.mappers]
        found = [model for model in tables if model.__name__ == name]
        found = [model for model in found if model.__module__ == self.root.__module__] or found
        if len(found) == 1:
            return found[0]
        if found:
            raise TypeError(f"{self.label}: several tables have a model called {name}")
        raise TypeError(
            f"{self.label}: no table has a model called {name}; import the module that defines "
            f"it, or correct the name"
        )

    def _links(self) -> dict[str, str]:
        root, child = class_mapper(self.root, False), class_mapper(self.model, False)
        table: Any = child.local_table
        keys = [
            key for key in table.foreign_key_constraints if key.referred_table is root.local_table
        ]
        if len(keys) != 1:
            found = f"{len(keys)} foreign keys" if keys else "no foreign key"
            example = f"{self.root.__entity_class__.__name__.lower()}_id: int = Field"
            raise TypeError(
                f"{self.label}: {self.model.__name__} has {found} to {root.local_table}, and needs "
                f'one: {example}(foreign_key="{root.local_table}.id", index=True)'
            )
        return {
            child.get_property_by_column(part.parent).key: root.get_property_by_column(
                part.column
            ).key
            for part in keys[0].elements
        }

    def _referring(self) -> list[Column[Any]]:
        columns = class_mapper(self._resolve(), False).columns
        return [columns[name] for name in self.links]

    def _numbered(self) -> str | None:
        domain = self.model.__entity_class__
        if len(self.order_by) != 1 or domain is self.model or not dataclasses.is_dataclass(domain):
            return None
        name = self.order_by[0]
        column = self._column(name)
        own = name in {field.name for field in dataclasses.fields(domain)}
        fixed = own or column.primary_key or column.foreign_keys
        return name if isinstance(column.type, Integer) and not fixed else None

    def _ordering(self) -> list[ColumnElement[Any]]:
        keys = class_mapper(self._resolve(), False).primary_key
        return [*(self._direction(name) for name in self.order_by), *keys]

    def _direction(self, name: str) -> ColumnElement[Any]:
        column = self._column(name.removeprefix("-"))
        if name.startswith("-"):
            return column.desc().nulls_first() if column.nullable else column.desc()
        return column.asc().nulls_last() if column.nullable else column.asc()

    def _column(self, name: str) -> Column[Any]:
        found: Any = class_mapper(self.model, False).columns.get(name)
        if found is None:
            raise TypeError(f"{self.label}: {self.model.__name__} has no column {name}")
        return cast("Column[Any]", found)

    # -- the list of one root ------------------------------------------------------------------

    def of(self, root: Any) -> list[Any] | None:
        """The children of this root, or None where they are not loaded."""
        children: list[Any] | None = root.__dict__.get(self.name)
        return children

    def is_linked(self, child: Any) -> bool:
        """Whether a row is in the list of some root."""
        state = instance_state(child)
        attribute = getattr(self.root, self.name).impl
        return bool(attribute.hasparent(state, optimistic=state.has_identity))

    def link(self, root: Any, child: Any, *, linked: bool) -> None:
        """Tell SQLAlchemy whether a child is in the list of this root."""
        attribute = getattr(self.root, self.name).impl
        attribute.sethasparent(instance_state(child), instance_state(root), linked)

    def number(self, children: Sequence[Any]) -> None:
        """Give each child a greater number than the one before it has, and change few."""
        name, last = str(self.numbered), -1
        for child in children:
            number = child.__dict__.get(name)
            if not isinstance(number, int) or number <= last:
                number = last + 1
                setattr(child, name, number)
            last = number
        if last > _GREATEST:
            for number, child in enumerate(children):
                setattr(child, name, number)

    def is_in_order(self, children: Sequence[Any]) -> bool:
        """Whether the list would come back in the order that it has."""
        if self.numbered is not None:
            numbers: list[Any] = [child.__dict__.get(self.numbered) for child in children]
            whole = all(isinstance(number, int) for number in numbers)
            return whole and all(a < b for a, b in pairwise(numbers))
        return bool(self.order_by) or all(
            self._comes_first(a, b) for a, b in pairwise(map(self.own_key, children))
        )

    def own_key(self, child: Any) -> tuple[Any, ...]:
        """The part of a child's key that tells it from the others of its root."""
        return tuple(child.__dict__.get(name) for name in self._own_key)

    @functools.cached_property
    def _own_key(self) -> list[str]:
        mapper = class_mapper(self.model, False)
        names = [mapper.get_property_by_column(column).key for column in mapper.primary_key]
        return [name for name in names if name not in self.links]

    @staticmethod
    def _comes_first(key: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
        if None not in key and None not in other:
            return bool(key <= other)
        return None in other  # new ones get theirs in the order of the list


def _ask_less(model: type[Any], names: Sequence[str]) -> None:
    """What the root fills in need not be given; the database refuses a row without it."""
    for name in names:
        field = model.model_fields[name]
        if field.is_required():
            field.default = None
            field.annotation = cast(Any, field.annotation) | None
    cast(type[pydantic.BaseModel], model).model_rebuild(force=True)


def children_of(mapper: Mapper[Any]) -> dict[str, ChildrenInfo]:
    """What the roots of this table own."""
    relationships = mapper.relationships.items()
    return {name: link.info[_INFO] for name, link in relationships if _INFO in link.info}


if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass
else:
    ModelMetaclass = type(pydantic.BaseModel)


class DomainNamesAreNoFields(ModelMetaclass):
    """Keeps pydantic from taking the relationships that a domain class annotates for fields."""

    def __new__(
        mcs, name: str, bases: tuple[type[Any], ...], namespace: dict[str, Any], **options: Any
    ) -> Any:
        related = namespace.get("__sqlmodel_relationships__", {})
        annotations = namespace.get("__annotations__", {})
        hidden = dict.fromkeys(related, ClassVar[Any])
        namespace = {**namespace, "__annotations__": {**annotations, **hidden}}
        cls: Any = super().__new__(mcs, name, bases, namespace, **options)
        cls.__annotations__ = annotations
        return cls
