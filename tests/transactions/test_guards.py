"""Each guard is needed: with one turned off, at least one test fails."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.transactions.sabotage import GUARDS

_FOLDER = Path(__file__).with_name("sabotaged")
_FAILED = 1  # pytest's exit status for tests that failed; all others are errors of this test


def without(guard: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run tests in a Python in which this guard does not work."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "--timeout=20", "-p", "no:cacheprovider",
         *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=110, check=False,
        env={**os.environ, "KIT_WITHOUT_GUARD": guard,
             "PYTHONPATH": os.pathsep.join([str(_FOLDER), str(ROOT)])},
    )  # fmt: skip


def marked(name: str) -> object:
    marks = [pytest.mark.postgresql] if GUARDS[name].server else []
    return pytest.param(name, marks=marks)


@pytest.mark.sampled(3)  # each starts a Python of its own
@pytest.mark.parametrize("guard", [marked(name) for name in GUARDS])
def test_a_guard_that_is_turned_off_turns_a_test_red(
    guard: str, request: pytest.FixtureRequest
) -> None:
    needs = GUARDS[guard]
    if needs.server:
        request.getfixturevalue("postgresql_database")
    chosen = [] if needs.server else ["-m", "not postgresql"]

    done = without(guard, needs.red, *chosen)

    assert done.returncode == _FAILED, f"{guard}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
