"""Temporary projects: an application with models and revisions of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

from sqlalchemy import text

from infrastructure.database import Database

ROOT = Path(__file__).parent.parent.parent
ALEMBIC = Path(sys.executable).parent / "alembic"

SETTINGS = """
[tool.alembic]
script_location = "%(here)s/alembic"
prepend_sys_path = ["%(here)s"]
"""

ENV = """
from {package} import models
from infrastructure.database.alembic import run_migrations
run_migrations(models)
"""

REVISION = """
import sqlalchemy as sa
from alembic import op

revision = {revision!r}
down_revision = {before!r}
{drops}

def upgrade() -> None:
{upgrade}

def downgrade() -> None:
{downgrade}
"""


class Project:
    """A folder with ``pyproject.toml``, ``alembic/`` and a package with models."""

    def __init__(self, root: Path, package: str, models: str) -> None:
        self.root = root
        self.package = package
        self.versions = root / "alembic" / "versions"
        self.versions.mkdir(parents=True)
        (root / "pyproject.toml").write_text(SETTINGS, "utf-8")
        (root / "alembic" / "env.py").write_text(ENV.format(package=package), "utf-8")
        template = (ROOT / "alembic" / "script.py.mako").read_text("utf-8")
        (root / "alembic" / "script.py.mako").write_text(template, "utf-8")
        self.models = root / package / "models.py"
        self.models.parent.mkdir()
        (root / package / "__init__.py").write_text("", "utf-8")
        self.models.write_text(textwrap.dedent(models), "utf-8")
        self._made: list[str] = []

    def revision(self, upgrade: str, downgrade: str = "pass", drops: str = "") -> str:
        """Add a revision, written by hand, behind the last one; its name."""
        revision = f"{len(self._made) + 1:04}"
        before = self._made[-1] if self._made else None
        source = REVISION.format(
            revision=revision,
            before=before,
            drops=f"drops = {drops}" if drops else "",
            upgrade=textwrap.indent(textwrap.dedent(upgrade).strip(), "    "),
            downgrade=textwrap.indent(textwrap.dedent(downgrade).strip(), "    "),
        )
        (self.versions / f"{revision}.py").write_text(source, "utf-8")
        self._made.append(revision)
        return revision

    def forget(self) -> None:
        """Take the last revision away."""
        (self.versions / f"{self._made.pop()}.py").unlink()

    def run_all(self, url: str, *commands: str) -> str:
        """Run several commands as ``alembic`` does, in one process: they must succeed."""
        code = "import sys; from alembic.config import main\nfor c in sys.argv[1:]: main(c.split())"
        process = self._process(url, [sys.executable, "-W", "error", "-c", code, *commands])
        return self._output(process)

    def start(self, url: str, *arguments: str) -> subprocess.Popen[str]:
        """Start the plain ``alembic`` command in the folder."""
        return self._process(url, [str(ALEMBIC), *arguments])

    def run(self, url: str, *arguments: str) -> str:
        """Run the plain ``alembic`` command, which must succeed; what it prints."""
        return self._output(self.start(url, *arguments))

    def fails(self, url: str, *arguments: str) -> str:
        """Run the plain ``alembic`` command, which must fail; what it says."""
        process = self.start(url, *arguments)
        said, errors = process.communicate(timeout=100)
        assert process.returncode != 0, said + errors
        return said + errors

    def _process(self, url: str, command: list[str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            cwd=self.root,
            env=os.environ | {"DATABASE_URL": url, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def _output(self, process: subprocess.Popen[str]) -> str:
        said, errors = process.communicate(timeout=100)
        assert process.returncode == 0, said + errors
        return said


def execute(database: Database, *statements: str) -> None:
    """Run SQL and commit."""
    with database.engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def rows(database: Database, query: str) -> list[tuple[Any, ...]]:
    """What a query finds."""
    with database.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]
