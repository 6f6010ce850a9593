"""How one relationship is written down."""

from __future__ import annotations

from sqlalchemy import Table

from infrastructure.database.codegen.building import Entity, Relation
from infrastructure.database.codegen.imports import Imports
from infrastructure.database.codegen.source import Source, call, literal, pairs, statement


def written(relation: Relation, links: dict[Table, Entity], imports: Imports) -> list[str]:
    """``customer: Optional["Customer"] = Relationship(back_populates="orders")``."""
    options: dict[str, Source] = {}
    if relation.back is not None:
        options["back_populates"] = literal(relation.back.name)
    if not relation.refers and relation.link is None:
        options["passive_deletes"] = literal("all")  # what ON DELETE says is for the database to do
    words = _words(relation, links)
    if words:
        options["sa_relationship_kwargs"] = pairs([(n, literal(v)) for n, v in words.items()])
    made = call(imports.use("sqlmodel", "Relationship"), **options)
    return statement(relation.name, _annotation(relation, imports), made)


def _annotation(relation: Relation, imports: Imports) -> str:
    target = f'"{relation.target.name}"'
    if relation.many:
        return f"list[{target}]"
    if relation.refers and not any(column.nullable for column in relation.constraint.columns):
        return target
    return f"{imports.use('typing', 'Optional')}[{target}]"


def _words(relation: Relation, links: dict[Table, Entity]) -> dict[str, object]:
    """What SQLAlchemy cannot tell by itself."""
    words: dict[str, object] = {}
    if relation.link is not None:
        words["secondary"] = str(relation.link.fullname)
        return words | _joins(relation, links[relation.link])
    holder = relation.owner if relation.refers else relation.target
    if _is_ambiguous(relation):
        attributes = [f"{holder.name}.{holder.columns[name]}" for name in relation.columns]
        words["foreign_keys"] = f"[{', '.join(attributes)}]"
    if relation.owner is relation.target and relation.refers:
        remote = [element.column.name for element in relation.constraint.elements]
        attributes = [f"{holder.name}.{holder.columns[name]}" for name in remote]
        words["remote_side"] = f"[{', '.join(attributes)}]"
    if not relation.refers and not relation.many:
        words["uselist"] = False
    if overlapping := _overlapping(relation):
        words["overlaps"] = ",".join(overlapping)
    return words


def _joins(relation: Relation, link: Entity) -> dict[str, object]:
    """Where both ends are the same table, which of the two references is which."""
    if relation.owner is not relation.target:
        return {}
    there = relation.constraint
    here = next(key for key in link.table.foreign_key_constraints if key is not there)
    found: dict[str, object] = {}
    for name, key in (("primaryjoin", here), ("secondaryjoin", there)):
        terms = [
            f"{relation.owner.name}.{relation.owner.columns[element.column.name]} == "
            f"{link.name}.{link.columns[element.parent.name]}"
            for element in key.elements
        ]
        found[name] = terms[0] if len(terms) == 1 else f"and_({', '.join(terms)})"
    return found


def _is_ambiguous(relation: Relation) -> bool:
    """Whether there is another foreign key between the two tables, in either direction."""
    one, other = relation.owner.table, relation.target.table
    between = [
        key
        for table in {one, other}
        for key in table.foreign_key_constraints
        if {table, key.referred_table} == {one, other}
    ]
    return len(between) > 1


def _overlapping(relation: Relation) -> list[str]:
    """The relationships that write to one of the same columns."""
    holder = relation.owner if relation.refers else relation.target
    found = set()
    for other in holder.relations:
        shared = set(other.columns) & set(relation.columns)
        if other.refers and other.constraint is not relation.constraint and shared:
            found |= {other.name, *([other.back.name] if other.back else [])}
    return sorted(found)
