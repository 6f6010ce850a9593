"""Models from an existing database: read, named, written down, joined, checked, stored."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import MetaData

from infrastructure.database.codegen import enums, naming
from infrastructure.database.codegen.building import Builder, Entity
from infrastructure.database.codegen.connecting import Opened, Source, opened
from infrastructure.database.codegen.existing import Existing
from infrastructure.database.codegen.files import Files
from infrastructure.database.codegen.modules import ModuleWriter
from infrastructure.database.codegen.reading import Reader, dialect_reader
from infrastructure.database.codegen.repositories import unit_of_work_lines
from infrastructure.database.codegen.types import EnumClass, TypeMapper
from infrastructure.database.codegen.writing import Package, difference, package_at, verify, write
from infrastructure.database.dialects import dialect_named


@dataclass(frozen=True)
class Report:
    """What was generated, or would be."""

    folder: Path
    tables: int
    views: int
    changed: tuple[str, ...]
    """The files that were written, or would be; those that are not needed any more, too."""

    difference: str
    """What changed in them, as a unified diff; empty if nothing did."""

    unit_of_work: tuple[str, ...] = field(default=())
    """With repositories: the lines that the application's unit of work needs."""


def generate(
    source: Source,
    *,
    out: str | Path,
    schemas: Sequence[str] = (),
    tables: Sequence[str] = (),
    repositories: bool = False,
    force: bool = False,
    check: bool = False,
) -> Report:
    """Write a model for each table and view, or with ``check`` only say what would change.

    ``schemas`` is the usual one if none is named; ``tables`` are all of them. What
    a table refers to comes with it. Names that were changed in the folder, and
    what was added, are kept. Nothing is written unless all models import, map, and
    fit the database; then ``GenerationError`` says what is wrong.
    """
    package = package_at(Path(out))
    with opened(source) as database:
        existing = Existing(package.folder)
        files = Files(package, existing, force=force)
        metadata = Reader(database.connection).read(schemas, tables)
        entities = _entities(metadata, database, files)
        whole = set(schemas) | {None} if not tables else set()
        _write_down(files, metadata, database, entities, whole)
        if repositories:
            files.add_repositories(entities)
        keys = [(entity.table.schema, str(entity.table.name)) for entity in entities]
        database.connection.rollback()
        verify(package, files.of_models(), database.url, keys)
    if not check:
        write(package.folder, files.before, files.now)
    return _report(package, files, entities, repositories=repositories)


def _entities(metadata: MetaData, database: Opened, files: Files) -> list[Entity]:
    builder = Builder(metadata, database.connection)
    found = builder.entities(files.by_hand)
    naming.give_names(found, files.existing, files.taken, ())
    return found


def _write_down(
    files: Files,
    metadata: MetaData,
    database: Opened,
    entities: list[Entity],
    whole: Collection[str | None],
) -> None:
    place = f"{files.package.name}." if files.package.inside else "."
    kinds = enums.enums_of(metadata)
    classes = enums.class_names(kinds, {entity.name for entity in entities}, files.enums_before)
    dialect = database.connection.dialect
    mapper = TypeMapper(
        dialect,
        {
            key: EnumClass(
                f"{place}{enums.MODULE}", name, enums.member_names(kinds[key], files.enums_before)
            )
            for key, name in classes.items()
        },
        by_code_point=dialect_reader(dialect.name).collates_by_code_point(database.connection),
    )
    builder = Builder(metadata, database.connection)
    writer = ModuleWriter(
        builder,
        mapper,
        dialect_named(dialect.name),
        entities,
        place,
        own_kit=files.package.beside_kit,
    )
    for entity in entities:
        files.add_model(entity, writer.module(entity))
    if kinds:
        files.add_enums(enums.enum_source(kinds, classes, files.enums_before))
    files.drop_stale(entities, whole)
    files.add_init()


def _report(
    package: Package, files: Files, entities: list[Entity], *, repositories: bool
) -> Report:
    names = {*files.before, *files.now}
    changed = sorted(name for name in names if files.before.get(name) != files.now.get(name))
    views = sum(1 for entity in entities if entity.is_view)
    lines = unit_of_work_lines(entities, files.repositories_package) if repositories else []
    return Report(
        package.folder,
        len(entities) - views,
        views,
        tuple(changed),
        difference(files.before, files.now, package.folder),
        tuple(lines),
    )
