"""The files of a package of models: what they hold, and what they will."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from infrastructure.database.codegen import enums
from infrastructure.database.codegen.building import Entity
from infrastructure.database.codegen.errors import Drift, GenerationError
from infrastructure.database.codegen.existing import Class, Existing, File, parsed
from infrastructure.database.codegen.merging import Merger, is_all_generated
from infrastructure.database.codegen.modules import HEADER, Module
from infrastructure.database.codegen.package import init_source
from infrastructure.database.codegen.repositories import repository_source
from infrastructure.database.codegen.writing import Package

_INIT = "__init__.py"
_ENUMS = f"{enums.MODULE}.py"


class Files:
    """Before and afterwards, by their names; nothing is written here."""

    def __init__(self, package: Package, existing: Existing, *, force: bool) -> None:
        self.package = package
        self.existing = existing
        self.force = force
        self.before = {file.path.name: file.text for file in existing.files.values()}
        self.now = dict(self.before)
        self._refuse_other_code()

    def _refuse_other_code(self) -> None:
        folder = self.package.folder
        if folder.exists() and not folder.is_dir():
            raise GenerationError(f"{folder} is no folder")
        others = [n for n, text in self.before.items() if text.strip() and not _is_ours(text)]
        known = self.package.inside or self.force or len(others) < len(self.before)
        generated = any(_is_ours(text) for text in self.before.values())
        if others and not (self.package.inside or self.force or (known and generated)):
            raise GenerationError(
                f"{folder} holds other code ({', '.join(others[:3])}); give another folder, or "
                "--force to write into this one all the same"
            )

    @property
    def by_hand(self) -> dict[str, str]:
        """The tables whose models somebody wrote by hand, which are left alone."""
        return {} if self.force and not self.package.inside else self.existing.by_hand()

    @property
    def taken(self) -> set[str]:
        """The modules that belong to somebody else."""
        if not self.package.inside:
            return set()
        return {name for name, file in self.existing.files.items() if not file.generated}

    @property
    def enums_before(self) -> str | None:
        """The module with the enums as it is."""
        text = self.before.get(_ENUMS)
        return text if text is not None and _is_ours(text) else None

    def of_models(self) -> dict[str, str]:
        """Those of the package itself."""
        return {name: text for name, text in self.now.items() if "/" not in name}

    # -- what is added and goes ------------------------------------------------------------------

    def add_model(self, entity: Entity, module: Module) -> None:
        """A module, or the class in the module where it is."""
        found = self.existing.found(entity)
        name = f"{entity.module}.py"
        if found is None:
            self._add(name, module.text())
            return
        file = parsed(found[0].path, self.now[name])
        there = next(one for one in file.classes if one.key == found[1].key)
        self.now[name] = Merger(file, there, module).merged()

    def add_enums(self, text: str) -> None:
        """The module with the enums."""
        self._add(_ENUMS, text)

    def add_init(self) -> None:
        """What imports all modules, unless the package is the kit's."""
        if self.package.inside:
            return
        classes: dict[str, list[str]] = {}
        for name, text in self.of_models().items():
            if name not in (_INIT, _ENUMS) and _is_ours(text):
                found = parsed(Path(name), text).classes
                classes[name.removesuffix(".py")] = [one.name for one in found]
        before = self.before.get(_INIT)
        self._add(_INIT, init_source(classes, before if before and _is_ours(before) else None))

    def add_repositories(self, entities: Iterable[Entity]) -> None:
        """One for each table; those that are there are somebody's by now."""
        folder = self.package.folder.parent / "repositories"
        for entity in entities:
            package = self.package
            text = repository_source(entity, package.name, own_kit=package.beside_kit)
            self._add_once(folder, f"{entity.module}.py", text)
        self._add_once(folder, _INIT, "")

    def _add_once(self, folder: Path, name: str, text: str) -> None:
        key = f"../repositories/{name}"
        if (folder / name).exists():
            self.before[key] = self.now[key] = (folder / name).read_text(encoding="utf-8")
        else:
            self.now[key] = text

    @property
    def repositories_package(self) -> str:
        """Where the repositories are imported from."""
        above = self.package.name.rpartition(".")[0]
        return f"{above}.repositories" if above else "repositories"

    def _add(self, name: str, text: str) -> None:
        before = self.before.get(name, "")
        if before.strip() and not _is_ours(before) and not self.force:
            raise GenerationError(
                f"{self.package.folder / name} was not generated; move it away, or give --force "
                "to overwrite it"
            )
        self.now[name] = text

    def drop_stale(self, entities: Collection[Entity], schemas: Collection[str | None]) -> None:
        """The modules of tables that are not there any more; ``schemas`` were read as a whole."""
        there = {(entity.table.schema, str(entity.table.name)) for entity in entities}
        for file in self.existing.files.values():
            stale = [one for one in file.classes if one.key not in there and one.key[0] in schemas]
            if file.generated and stale:
                self._drop(file, stale)

    def _drop(self, file: File, stale: list[Class]) -> None:
        if len(stale) < len(file.classes) or not is_all_generated(file):
            raise Drift(
                f"{file.path}: the table {'.'.join(filter(None, stale[0].key))} is not in the "
                "database any more, and the module has code of yours; take the class out"
            )
        del self.now[file.path.name]


def _is_ours(text: str) -> bool:
    return text.startswith(HEADER)
