"""A repository for each table, and the lines of the unit of work."""

from __future__ import annotations

from collections.abc import Iterable

from infrastructure.database.codegen import names
from infrastructure.database.codegen.building import Entity
from infrastructure.database.codegen.imports import Imports
from infrastructure.database.codegen.modules import HEADER, NOTE
from infrastructure.database.codegen.source import docstring

_BASE = "infrastructure.database.base_repository"


def repository_name(entity: Entity) -> str:
    """The class of the repository of a table."""
    return f"Sql{entity.name}Repository"


def repository_source(entity: Entity, models: str, *, own_kit: bool) -> str:
    """The module of one repository; ``models`` is the package of the models."""
    imports = Imports({repository_name(entity)}, own_kit, models.partition(".")[0] + ".")
    base = imports.use(_BASE, "BaseRepository")
    model = imports.use(f"{models}.{entity.module}", entity.name)
    written = [
        *[HEADER, NOTE],
        *docstring(f"The rows of {entity.table.fullname} in the database.", 0),
        "",
        *imports.written(),
        "",
        f"class {repository_name(entity)}({base}[{model}]):",
        f"    model = {model}",
        "",
    ]
    return "\n".join(written)


def unit_of_work_lines(entities: Iterable[Entity], package: str) -> list[str]:
    """What is added to the application's unit of work: imports, then annotations."""
    entities = list(entities)
    imported = [
        f"from {package}.{entity.module} import {repository_name(entity)}" for entity in entities
    ]
    members = [f"    {_member(entity)}: {repository_name(entity)}" for entity in entities]
    return [*imported, "", *members]


def _member(entity: Entity) -> str:
    return names.attribute(names.plural(str(entity.table.name)), ())
