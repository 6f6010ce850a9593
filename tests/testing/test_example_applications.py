"""The example applications pass their own tests on a file, and on a server in two processes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, SERVER


def passed(url: str, *options: str) -> int:
    """How many tests of the examples passed; each did, and none was skipped."""
    settings = ("PYTEST_", "DATABASE_URL")  # of the run that this one is part of
    kept = {name: value for name, value in os.environ.items() if not name.startswith(settings)}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "examples"),
            *("--database-url", url, *options),
        ],
        check=False,
        cwd=ROOT,
        env=kept,
        capture_output=True,
        text=True,
        timeout=100,
    )
    told = done.stdout + done.stderr
    assert done.returncode == 0, told
    said = re.fullmatch(r"(\d+) passed in .+", done.stdout.strip().splitlines()[-1])
    assert said, told
    return int(said[1])


@pytest.fixture(scope="module")
def on_a_file(tmp_path_factory: pytest.TempPathFactory) -> int:
    folder = tmp_path_factory.mktemp("examples")
    count = passed(f"sqlite:///{folder / 'never.db'}")
    assert not list(folder.iterdir())  # the file that was named is not the one that was used
    return count


def test_the_applications_work_on_a_file(on_a_file: int) -> None:
    modules = list(Path(ROOT, "examples").glob("test_*.py"))
    assert on_a_file > len(modules) == 5


@pytest.mark.postgresql
@pytest.mark.usefixtures("postgresql_database")  # skips where there is no server
def test_they_all_work_on_a_server_in_two_processes(on_a_file: int) -> None:
    assert passed(SERVER, "-n", "2") == on_a_file
