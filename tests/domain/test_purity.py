"""The domain imports the standard library and itself, and nothing else."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import domain

PACKAGE = Path(domain.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
ALLOWED = sys.stdlib_module_names | {"domain"}

PROGRAM = f"""
import json, sys
sys.path.insert(0, {str(PACKAGE.parent)!r})
before = set(sys.modules)
from domain import *
from domain import errors, ports, unit_of_work
print(json.dumps(sorted({{name.partition(".")[0] for name in set(sys.modules) - before}})))
"""


def test_importing_the_domain_loads_nothing_outside_the_standard_library() -> None:
    run = subprocess.run(
        [sys.executable, "-I", "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    loaded = set(json.loads(run.stdout))
    assert "domain" in loaded
    assert loaded <= ALLOWED


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_a_module_names_nothing_outside_the_standard_library(module: Path) -> None:
    imported = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            imported.add(node.module or "")
    assert {name.partition(".")[0] for name in imported} <= ALLOWED


def test_the_technical_ports_name_no_aggregate() -> None:
    source = (PACKAGE / "ports.py").read_text(encoding="utf-8")
    assert not re.search(r"\b(Person|Team)(Repository)?\b", source)


def test_everything_offered_exists_and_is_sorted() -> None:
    offered = domain.__all__
    assert all(hasattr(domain, name) for name in offered)
    constants = sorted(name for name in offered if name.isupper())
    classes = sorted(name for name in offered if name[0].isupper() and not name.isupper())
    functions = sorted(name for name in offered if name[0].islower())
    assert offered == constants + classes + functions


def test_the_package_says_that_it_is_typed() -> None:
    assert (PACKAGE / "py.typed").is_file()
