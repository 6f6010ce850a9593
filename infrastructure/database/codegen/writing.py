"""Checks what would be written, shows it, and writes it: all files, or none."""

from __future__ import annotations

import difflib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from infrastructure.database import models
from infrastructure.database.codegen.errors import Drift, GenerationError

_ROOT = Path(__file__).parents[3]
_SHOWN = 20


@dataclass(frozen=True)
class Package:
    """The folder of the models, and how it is imported."""

    folder: Path
    name: str
    root: Path
    """Where the name is found."""

    inside: bool
    """Whether it is a package of the kit, to which modules are added."""

    @property
    def beside_kit(self) -> bool:
        """Whether the kit lies in the project, so that it is no library for those who sort."""
        return any((above / "infrastructure").is_dir() for above in self.folder.resolve().parents)


def package_at(folder: Path) -> Package:
    """By what name a folder is imported, as far as the folders above it tell."""
    own = Path(models.__path__[0])
    if folder.resolve() == own.resolve():
        return Package(folder, models.__name__, _ROOT, inside=True)
    root, parts = folder.resolve().parent, [folder.resolve().name]
    while (root / "__init__.py").is_file():
        root, parts = root.parent, [root.name, *parts]
    name = ".".join(parts) if all(map(str.isidentifier, parts)) else "generated_models"
    return Package(folder, name, root, inside=False)


def verify(
    package: Package, files: Mapping[str, str], url: str, tables: Iterable[tuple[str | None, str]]
) -> None:
    """Import the files in another process and compare; ``GenerationError`` says what is wrong."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
        asked = {
            "package": package.name,
            "inside": package.inside,
            "root": str(package.root),
            "folder": scratch,
            "url": url,
            "tables": list(tables),
        }
        errors = _asked(asked)
    if errors:
        more = [f"… and {len(errors) - _SHOWN} more"] if len(errors) > _SHOWN else []
        raise Drift(
            "the models do not fit the database, and nothing was written:\n  "
            + "\n  ".join([*errors[:_SHOWN], *more])
        )


def _asked(asked: Mapping[str, object]) -> list[str]:
    module = "infrastructure.database.codegen.verification"
    path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")]))
    process = subprocess.run(  # noqa: S603 -- this Python, and a module of the kit
        [sys.executable, "-m", module],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    if process.returncode != 0:
        said = process.stderr.strip().splitlines()
        raise GenerationError(f"the models could not be checked: {said[-1] if said else ''}")
    errors: list[str] = json.loads(process.stdout.splitlines()[-1])
    return errors


def difference(before: Mapping[str, str], now: Mapping[str, str], folder: Path) -> str:
    """What would change, as a unified diff; empty if nothing would."""
    lines: list[str] = []
    for name in sorted({*before, *now}):
        old, new = before.get(name), now.get(name)
        if old != new:
            lines += difflib.unified_diff(
                (old or "").splitlines(keepends=True),
                (new or "").splitlines(keepends=True),
                f"{folder / name}" if old is not None else "/dev/null",
                f"{folder / name}" if new is not None else "/dev/null",
            )
    return "".join(lines)


def write(folder: Path, before: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Write the files that are new or changed, and delete those that went, each at once."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in now.items():
        if before.get(name) != text:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            _replace(folder / name, text)
    for name in before.keys() - now.keys():
        (folder / name).unlink()


def _replace(path: Path, text: str) -> None:
    descriptor, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask()
        os.chmod(scratch, mode)  # noqa: PTH101 -- a name, as mkstemp gives it
        os.replace(scratch, path)  # noqa: PTH105 -- as chmod
    except BaseException:
        Path(scratch).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
