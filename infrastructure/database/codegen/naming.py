"""What the classes, attributes and relationships are called; names that are there are kept."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Protocol

from infrastructure.database.codegen import names
from infrastructure.database.codegen.building import Entity, Relation

_REFERENCE = re.compile(r"_(id|fk|key|uuid|guid|ref|pk)$")
_OWN_MODULES = {"__init__", "__main__", "enums", "conftest", "main"}
_CHILDREN = {"parent": "children", "manager": "reports", "boss": "reports"}


class Known(Protocol):
    """Names that a person has chosen, or that were generated before."""

    def module_of(self, entity: Entity) -> str | None:
        """The module of a table."""
        ...

    def class_of(self, entity: Entity) -> str | None:
        """The class of a table."""
        ...

    def attribute_of(self, entity: Entity, column: str) -> str | None:
        """The attribute of a column."""
        ...

    def relationship_of(self, relation: Relation) -> str | None:
        """The attribute of a relationship."""
        ...


def give_names(
    entities: Iterable[Entity],
    known: Known,
    taken_modules: Collection[str],
    taken_classes: Collection[str],
) -> None:
    """Name everything; each class and module once, whatever schema the tables are in."""
    entities = list(entities)
    _name_classes(entities, known, taken_classes)
    _name_modules(entities, known, taken_modules)
    for entity in entities:
        _name_columns(entity, known)
    for entity in entities:
        _name_relations(entity, known)


def _name_classes(entities: list[Entity], known: Known, reserved: Collection[str]) -> None:
    taken = set(reserved)
    for entity in entities:
        entity.name = known.class_of(entity) or ""
        taken.add(entity.name)
    for entity in entities:
        if not entity.name:
            tries = [names.camel(wanted) for wanted in _table_names(entity)]
            entity.name = next((one for one in tries if one not in taken), "")
            entity.name = _free_class(entity.name or tries[0], taken)
            taken.add(entity.name)


def _table_names(entity: Entity) -> list[str]:
    """What to call a table: in the singular, else as it is, else with its schema."""
    name, schema = str(entity.table.name), entity.table.schema
    alone = [names.singular(name), name]
    return alone if schema is None else [alone[0], f"{schema}_{alone[0]}", name]


def _free_class(wanted: str, taken: Collection[str]) -> str:
    """Classes whose names differ in case alone would have one module on some systems."""
    folded = {name.lower() for name in taken}
    number, tried = 2, wanted
    while tried.lower() in folded:
        tried, number = f"{wanted}{number}", number + 1
    return tried


def _name_modules(entities: list[Entity], known: Known, reserved: Collection[str]) -> None:
    taken = _OWN_MODULES | set(reserved)
    for entity in entities:
        entity.module = known.module_of(entity) or ""
        taken.add(entity.module)
    for entity in entities:
        if not entity.module:
            tries = [names.module(wanted) for wanted in _table_names(entity)]
            free = [one for one in tries if one not in taken]
            entity.module = free[0] if free else names.free(tries[0], taken)
            taken.add(entity.module)


def _name_columns(entity: Entity, known: Known) -> None:
    kept = {c.name: known.attribute_of(entity, c.name) for c in entity.table.c}
    taken = {name for name in kept.values() if name}
    for column, name in kept.items():
        entity.columns[column] = name or names.attribute(column, taken | {entity.name})
        taken.add(entity.columns[column])


def _name_relations(entity: Entity, known: Known) -> None:
    taken = {*entity.columns.values(), entity.name}
    for relation in entity.relations:
        relation.name = known.relationship_of(relation) or ""
        taken.add(relation.name)
    ordered = sorted(entity.relations, key=lambda one: (not one.refers, one.link is not None))
    for relation in ordered:
        if not relation.name:
            tries = [name for name in _tries(relation) if _usable(name, taken)]
            wanted = tries[0] if tries else list(_tries(relation))[-1]
            relation.name = names.attribute(wanted, taken)
            taken.add(relation.name)


def _usable(name: str, taken: Collection[str]) -> bool:
    return names.attribute(name, ()) not in taken and names.snake(name) == names.attribute(name, ())


def _tries(relation: Relation) -> Iterable[str]:
    if relation.link is not None:
        return _between(relation)
    return _reference(relation) if relation.refers else _collection(relation)


def _reference(relation: Relation) -> list[str]:
    """``order.customer``: as the column is called, else as the other table is."""
    target = _one(relation.target)
    stem = _stem(relation)
    alone = _is_alone(relation)
    if stem and (stem != _joined(relation) or not alone or relation.owner is relation.target):
        return [stem, f"{stem}_{target}"]
    return [target, f"related_{target}" if alone else f"{target}_by_{_joined(relation)}"]


def _collection(relation: Relation) -> list[str]:
    """``customer.orders``; with the role of the customer where he has several."""
    other = _many(relation.target) if relation.many else _one(relation.target)
    stem = _stem(relation) or _joined(relation)
    by_role = f"{stem}_{other}"
    if relation.owner is relation.target:
        return [_CHILDREN.get(stem, other), by_role] if _is_alone(relation) else [by_role]
    usual = _is_alone(relation) or stem == _one(relation.owner)
    return [other, by_role] if usual else [by_role]


def _between(relation: Relation) -> list[str]:
    """``playlist.tracks``, through the table between them."""
    link = names.snake(str(relation.link.name)) if relation.link is not None else ""
    stem = _stem(relation)
    by_role = names.plural(stem) if stem else _many(relation.target)
    if relation.owner is relation.target:
        return [by_role, f"{by_role}_by_{link}"]
    return [_many(relation.target), by_role, f"{_many(relation.target)}_by_{link}"]


def _stem(relation: Relation) -> str:
    """What a column refers to by its name; empty if it does not say."""
    own = [column for column in relation.columns if not _shared(relation, column)]
    if len(own) != 1:
        return ""
    stem = _REFERENCE.sub("", names.snake(own[0]))
    return "" if stem == "id" else stem


def _shared(relation: Relation, column: str) -> bool:
    """Whether another foreign key has the column, too, as that of a tenant."""
    keys = relation.constraint.table.foreign_key_constraints
    others = [key for key in keys if key is not relation.constraint]
    return len(relation.columns) > 1 and any(column in key.column_keys for key in others)


def _joined(relation: Relation) -> str:
    return "_".join(names.snake(column) for column in relation.columns)


def _is_alone(relation: Relation) -> bool:
    """Whether there is no other one of the kind between the two tables."""
    alike = [
        other
        for other in relation.owner.relations
        if other.target is relation.target
        and other.refers == relation.refers
        and other.link is None
    ]
    return len(alike) == 1


def _one(entity: Entity) -> str:
    return names.snake(names.singular(str(entity.table.name)))


def _many(entity: Entity) -> str:
    return names.snake(names.plural(str(entity.table.name)))
