"""Memory does not grow with the number of rows."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infrastructure.database import Database
from tests.database.test_streams import Code, WordModel

ROOT = Path(__file__).parents[2]


@pytest.fixture
def tables() -> list[Any]:
    return [WordModel, Code]


MEMORY = """
import resource, sys
from tests.database.test_streams import Units, WordModel
from infrastructure.database import Database

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

count = int(sys.argv[2])
with Database(sys.argv[1]) as database:
    rows = lambda many: ({"text": f"word {n}", "tags": ["a"]} for n in range(many))
    with Units(database) as uow:
        uow.words.bulk_create(rows(3000))
        for _ in uow.words.stream():
            pass
        uow.rollback()
    for read_only in (True, False):
        with Units(database, read_only=read_only) as uow:
            for _ in uow.words.stream():
                pass
    before = peak()
    with Units(database) as uow:
        assert uow.words.bulk_create(rows(count)) == count
        uow.commit()
    created = peak()
    grown = [created - before]
    for read_only in (True, False):
        with Units(database, read_only=read_only) as uow:
            assert sum(1 for _ in uow.words.stream()) >= count
        grown.append(peak() - created)
print(*grown)
"""


@pytest.mark.timeout(900)
def test_memory_stays_constant(shared_database: Database, soak: bool) -> None:
    """In megabytes: bulk_create of a million rows, and streams of them."""
    count = 1_000_000 if soak else 5_000
    url = shared_database.settings.url.render_as_string(hide_password=False)
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, url, str(count)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [grown for grown in map(float, done.stdout.split()) if grown > 50] == []
