"""A folder in which models are generated, and programs that use them are run.

The models are imported in processes of their own: their tables and classes would stay in
this one, and meet those of other tests.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine

from infrastructure.database.codegen import Report, generate

ROOT = Path(__file__).parent.parent.parent


class Workshop:
    """A database, and the folder ``shop`` beside it for its models."""

    def __init__(self, folder: Path, url: str, root: Path = ROOT) -> None:
        self.folder = folder
        self.root = root
        self.url = url
        self.models = folder / "shop"

    def execute(self, *statements: str) -> None:
        """Run SQL, as its driver takes it, and commit."""
        engine = create_engine(self.url)
        with engine.begin() as connection:
            raw: Any = connection.connection.driver_connection
            for statement in statements:
                script = getattr(raw, "executescript", raw.execute)
                script(statement)
        engine.dispose()

    def generate(self, **options: Any) -> Report:
        """Call the function."""
        return generate(self.url, out=self.models, **options)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command in the folder."""
        given = [*arguments] if "--url" in arguments else ["--url", self.url, *arguments]
        given = given if "--out" in arguments else [*given, "--out", "shop"]
        return self._run("-m", "infrastructure", "models", "generate", *given)

    def python(self, code: str) -> str:
        """Run a program, which must succeed without warnings; what it prints."""
        done = self._run("-W", "error", "-c", textwrap.dedent(code), self.url)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def tool(self, *arguments: str) -> str:
        """Run a tool of the development environment; what it says if it is not content."""
        done = self._run("-m", *arguments)
        return "" if done.returncode == 0 else done.stdout + done.stderr

    def files(self) -> dict[str, str]:
        """What was written."""
        return {path.name: path.read_text("utf-8") for path in sorted(self.models.glob("*.py"))}

    def text(self, module: str) -> str:
        """The source of one module."""
        return (self.models / f"{module}.py").read_text("utf-8")

    def edit(self, module: str, *changes: tuple[str, str]) -> None:
        """Change a module as a person does."""
        text = self.text(module)
        for before, after in changes:
            assert before in text, before
            text = text.replace(before, after)
        (self.models / f"{module}.py").write_text(text, "utf-8")

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": str(self.root), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=110,
        )
