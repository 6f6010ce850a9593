"""Which classes there are, and how they are related: what ``sqlacodegen`` makes of the tables."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from sqlacodegen.generators import DeclarativeGenerator
from sqlacodegen.models import (
    ColumnAttribute,
    Model,
    ModelClass,
    RelationshipAttribute,
    RelationshipType,
)
from sqlacodegen.utils import qualified_table_name
from sqlalchemy import Column, Connection, ForeignKeyConstraint, MetaData, Table
from sqlalchemy.exc import CompileError
from sqlalchemy.types import TypeEngine

from infrastructure.database.codegen.reading import IS_VIEW
from infrastructure.database.models.rules import unique_parts

_LISTS = (RelationshipType.ONE_TO_MANY, RelationshipType.MANY_TO_MANY)


@dataclass(eq=False)
class Relation:
    """One relationship, seen from one of its ends."""

    owner: Entity
    target: Entity
    constraint: ForeignKeyConstraint
    """The foreign key; of a many-to-many one, that which leads to the target."""

    many: bool
    refers: bool
    """Whether the foreign key is on this side."""

    link: Table | None = None
    name: str = ""
    back: Relation | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Those of the foreign key."""
        return tuple(column.name for column in self.constraint.columns)


@dataclass(eq=False)
class Entity:
    """A table or view, and what its class will be."""

    table: Table
    name: str = ""
    module: str = ""
    columns: dict[str, str] = field(default_factory=dict)
    """The attributes by the names of the columns."""

    relations: list[Relation] = field(default_factory=list)

    @property
    def is_view(self) -> bool:
        """Whether it can only be read."""
        return bool(self.table.info.get(IS_VIEW))


class Builder(DeclarativeGenerator):
    """Finds the relationships; names and source are made elsewhere."""

    def __init__(self, metadata: MetaData, bind: Connection) -> None:
        super().__init__(metadata, bind, ["nojoined", "nosyntheticenums"])

    def entities(self, by_hand: Collection[str]) -> list[Entity]:
        """One for each table, in the order of their names, without those made by hand."""
        tables = sorted(self.metadata.tables.values(), key=lambda t: (t.schema or "", t.name))
        ours = {table: ModelClass(table) for table in tables if table.fullname not in by_hand}
        models: dict[str, Model] = {
            qualified_table_name(table): ours.get(table) or Model(table) for table in tables
        }
        for model in ours.values():
            model.columns.extend(_attributes(model))
        links = self._links(models)
        for table, model in ours.items():
            joining = {link.table for found in links.values() for link in found}
            if table not in joining and "partition_of" not in table.info:
                self.generate_relationships(model, models, links.get(table, []))
        return _entities(list(ours.values()))

    def _links(self, models: dict[str, Model]) -> dict[Table, list[Model]]:
        """The tables that only join two others, by the first of these."""
        found: dict[Table, list[Model]] = {}
        referred = {key.column.table for m in models.values() for key in m.table.foreign_keys}
        for model in models.values():
            keys = _sorted_keys(model.table)
            if isinstance(model, ModelClass) and model.table not in referred and _joins(keys):
                ends = [key.elements[0].column.table for key in keys]
                if all(isinstance(models[qualified_table_name(e)], ModelClass) for e in ends):
                    found.setdefault(ends[0], []).append(model)
        return found

    def adapted(self, column: Column[object]) -> TypeEngine[object]:
        """The type in SQLAlchemy's own words, where these mean the same."""
        try:
            made: TypeEngine[object] = self.get_adapted_type(column.type)
        except CompileError:
            return column.type
        return made


def _attributes(model: ModelClass) -> Iterator[ColumnAttribute]:
    for column in model.table.c:
        attribute = ColumnAttribute(model, column)
        attribute.name = column.name
        yield attribute


def _sorted_keys(table: Table) -> list[ForeignKeyConstraint]:
    """In the order in which the generator takes them."""
    return sorted(table.foreign_key_constraints, key=lambda key: repr(list(key.column_keys)))


def _joins(keys: list[ForeignKeyConstraint]) -> bool:
    """Whether a table consists of two references; its name has to be an identifier, too."""
    if len(keys) != 2:
        return False
    table = keys[0].table
    plain = all(name.isidentifier() for name in (str(table.name), table.schema or "schema"))
    columns = [column.name for key in keys for column in key.columns]
    return plain and sorted(columns) == sorted(table.c.keys()) and is_unique(table, columns)


def _entities(models: list[ModelClass]) -> list[Entity]:
    found = {id(model): Entity(model.table) for model in models}
    relations: dict[int, Relation] = {}
    for model in models:
        seen: set[tuple[object, ...]] = set()
        for made in model.relationships:
            relation = _relation(made, found, relations)
            same = (relation.target, relation.columns, relation.refers, relation.link)
            if same not in seen:  # some tables have a foreign key twice
                relations[id(made)] = relation
                relation.owner.relations.append(relation)
            seen.add(same)
    for model in models:
        for made in model.relationships:
            if id(made) in relations and made.backref is not None:
                relations[id(made)].back = relations.get(id(made.backref))
    return list(found.values())


def _relation(
    made: RelationshipAttribute, found: dict[int, Entity], relations: dict[int, Relation]
) -> Relation:
    constraint = made.constraint
    if constraint is None:
        raise TypeError(f"{made!r} has no foreign key")
    link = None if made.association_table is None else made.association_table.table
    same = made.source is made.target  # the end with the foreign key comes first then
    first = id(made.backref) not in relations if same else True
    refers = link is None and made.source.table is constraint.table and first
    many = made.type in _LISTS
    if link is None and not refers:
        columns = [column.name for column in constraint.columns]
        many = not is_unique(constraint.table, columns)
    return Relation(found[id(made.source)], found[id(made.target)], constraint, many, refers, link)


def is_unique(table: Table, columns: Collection[str]) -> bool:
    """Whether a row is found by these columns alone."""
    return any(
        {column.name for column in part.columns} == set(columns)
        for part in unique_parts(table)
        if part.columns
    )
