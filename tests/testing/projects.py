"""Projects of somebody else, whose packages are called ``shop``, with the kit as a wheel."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

MODELS = """
from infrastructure.database import Model, Versioned
from sqlmodel import Field

class Shelf(Model, table=True):
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)

class Product(Versioned, Model, table=True):
    id: int | None = Field(default=None, primary_key=True)
    sku: str = Field(max_length=20, unique=True)
    shelf_id: int | None = Field(default=None, foreign_key="shelf.id")
"""
UNIT = """
from infrastructure.database import BaseRepository, BaseUnitOfWork
from shop.models import Product, Shelf

class Shop(BaseUnitOfWork):
    products: BaseRepository[Product]
    shelves: BaseRepository[Shelf]
"""
SHOP = {"shop/__init__.py": "", "shop/models.py": MODELS, "shop/unit_of_work.py": UNIT}


def write(project: Path, files: Mapping[str, str]) -> Path:
    """A project with these files."""
    for name, source in files.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(source, "utf-8")
    return project


class Outcome:
    """What a run of pytest said."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.status = done.returncode
        self.text = done.stdout + done.stderr

    def count(self, what: str) -> int:
        """How many ``passed``, ``failed``, ``error`` or ``skipped``."""
        last = self.text.strip().splitlines()[-1]
        return sum(int(found) for found in re.findall(rf"(\d+) {what}", last))


def pytest_in(project: Path, site: Path, *options: str) -> Outcome:
    """Run the tests of a project as its people do."""
    command = [
        sys.executable,
        "-W",
        "error",
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--timeout=20",
    ]
    return Outcome(
        subprocess.run(
            [*command, *options],
            cwd=project,
            env={**os.environ, "PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1"},
            check=False,
            capture_output=True,
            text=True,
            timeout=110,
        )
    )
