"""Every Python block of the README is run, and what it lists is compared with the code."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from domain import errors
from infrastructure.database import BaseRepository

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")

_BLOCK = re.compile(r"(?:<!-- (?P<marker>.+?) -->\n)?```python\n(?P<code>.*?)```\n", re.DOTALL)


class Block(NamedTuple):
    """A block of code, the line it begins on, and what an HTML comment before it says.

    Without one it is a program of its own. ``new file …`` and ``add to …`` change a
    copy of the tree, ``in the tree`` is run there, ``in the project`` beside its revisions.
    """

    line: int
    marker: str
    code: str


BLOCKS = [
    Block(README.count("\n", 0, m.start("code")) + 1, m["marker"] or "", m["code"])
    for m in _BLOCK.finditer(README)
]
PROGRAMS = [block for block in BLOCKS if not block.marker]


def marked(beginning: str) -> list[Block]:
    return [block for block in BLOCKS if block.marker.startswith(beginning)]


def run(directory: Path, *arguments: str, tree: Path = ROOT) -> str:
    """Run Python there as a user would, on this tree; what it prints."""
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    done = subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=directory,
        env=environment | {"PYTHONPATH": str(tree)},
        check=False,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("block", PROGRAMS, ids=lambda block: f"line {block.line}")
def test_a_program_runs_when_it_is_pasted(block: Block, tmp_path: Path) -> None:
    run(tmp_path, "-c", block.code)


def test_the_first_program_is_short_and_runs_again(tmp_path: Path) -> None:
    lines = [line for line in PROGRAMS[0].code.splitlines() if line]

    assert len([line for line in lines if not line.startswith("from ")]) == 8
    assert run(tmp_path, "-c", PROGRAMS[0].code) == "id=1 name='python'\n"
    assert run(tmp_path, "-c", PROGRAMS[0].code) == "id=2 name='python'\n"


def test_the_domain_way_prints_what_it_says(tmp_path: Path) -> None:
    first, second = run(tmp_path, "-c", PROGRAMS[1].code).splitlines()

    assert first == "Ada Lovelace 1"
    assert second.startswith("Person(")
    assert (tmp_path / "app.db").exists()


def test_an_aggregate_is_added_by_three_files_and_three_places(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for package in ("domain", "infrastructure"):
        shutil.copytree(
            ROOT / package, tree / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    new, added, programs = marked("new file "), marked("add to "), marked("in the tree")
    assert (len(new), len(added), len(programs)) == (3, 3, 1)

    for block in new:
        path = tree / block.marker.removeprefix("new file ")
        assert path.parent.is_dir()
        assert not path.exists()
        path.write_text(block.code, encoding="utf-8")
    for block in added:
        add(tree / block.marker.removeprefix("add to "), block.code)

    run(tmp_path, "-c", programs[0].code, tree=tree)


def test_the_migrations_run(tmp_path: Path) -> None:
    (block,) = marked("in the project")
    shutil.copytree(ROOT / "alembic", tmp_path / "alembic")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)

    before, after = run(tmp_path, "-c", block.code).splitlines()

    revisions = [path.stem for path in sorted((ROOT / "alembic" / "versions").glob("*.py"))]
    assert before.count("'") == 2 * len(revisions)
    assert after.endswith(" []")


def add(path: Path, code: str) -> None:
    """Put imports before the others, and the rest at the end."""
    lines = path.read_text(encoding="utf-8").splitlines()
    imports = [line for line in code.splitlines() if line.startswith("from ")]
    rest = [line for line in code.splitlines() if not line.startswith("from ")]
    first = next(at for at, line in enumerate(lines) if line.startswith(("from ", "import ")))
    path.write_text("\n".join([*lines[:first], *imports, *lines[first:], *rest, ""]), "utf-8")


def test_the_tests_pass(tmp_path: Path) -> None:
    (block,) = marked("run by pytest")
    (tmp_path / "test_people.py").write_text(block.code, encoding="utf-8")

    assert "2 passed" in run(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider")


def test_the_web_application_answers(tmp_path: Path) -> None:
    (block,) = marked("needs fastapi")
    (tmp_path / "web.py").write_text(block.code, encoding="utf-8")
    request = (
        "from fastapi.testclient import TestClient\n"
        "from web import app\n"
        "with TestClient(app) as client:\n"
        "    made = client.post('/people', params={'name': 'Ada', 'email': 'ada@example.com'})\n"
        "    print(made.status_code, made.json(), client.get('/people').json())\n"
    )

    assert run(tmp_path, "-c", request) == "201 {'id': 1} {'count': 1}\n"


def test_models_are_generated_as_it_shows(tmp_path: Path) -> None:
    (shown,) = marked("what is generated")
    (program,) = [block for block in PROGRAMS if "codegen import generate" in block.code]

    run(tmp_path, "-c", program.code)
    assert shown.code.strip() in (tmp_path / "music" / "album.py").read_text(encoding="utf-8")


def test_every_block_is_run_by_a_test_above() -> None:
    known = (
        *("new file ", "add to ", "in the tree", "in the project"),
        *("run by pytest", "needs fastapi", "what is generated"),
        "env.py of an application",  # in tests/migrations/test_installed_application.py
    )

    assert len(PROGRAMS) + sum(len(marked(beginning)) for beginning in known) == len(BLOCKS)
    assert README.count("```python") == len(BLOCKS)


def section(title: str) -> str:
    return README.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_the_tables_list_every_method_of_a_repository_and_no_other() -> None:
    listed = set(re.findall(r"`(\w+)\(", section("Repositories").split("\nCriteria")[0]))
    methods = {
        name
        for name in dir(BaseRepository)
        if callable(getattr(BaseRepository, name)) and not name.startswith("_")
    }

    assert listed == methods


def test_the_tree_of_errors_is_that_of_the_code() -> None:
    tree = section("Errors").split("```")[1]
    real = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.KitError)
    }

    shown = set(re.findall(r"\b[A-Z]\w+[a-z]\b(?=[(\s])", tree)) & set(vars(errors))
    assert shown == real


def test_every_command_is_a_target_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")

    commands = re.findall(r"(?:^|`)(?:DATABASE_URL=\S+ )?make (\w+)", README, re.MULTILINE)
    assert set(commands) >= {"demo", "test", "check", "soak"}
    for command in commands:
        assert re.search(rf"^{command}:", makefile, re.MULTILINE), command


def test_every_path_is_there() -> None:
    for path in re.findall(r"`((?:domain|infrastructure|examples)/[\w/.]*)`", README):
        assert (ROOT / path).exists(), path
