"""A suite of 200 tests in the sandbox, beside a new database for each test.

python -m benchmarks.suites [postgresql+psycopg://…]
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

SANDBOX = """
import pytest
from domain import Person, Team
from infrastructure.database.unit_of_work import UnitOfWork

@pytest.mark.parametrize("number", range(200))
def test_it(uow, number):
    with uow:
        team = uow.teams.create(Team(name="Core"))
        uow.people.create(Person(name="Ada", email="ada@example.com", team_id=team.id))
        uow.commit()
    with uow:
        assert uow.people.count() == 1
"""
FRESH = """
import os, uuid
from sqlalchemy import create_engine, text
from infrastructure.database import Database, Model

@pytest.fixture
def uow(tmp_path):
    server = None
    if url := os.environ.get("SERVER"):
        name = f"fresh_{uuid.uuid4().hex}"
        server = create_engine(url, isolation_level="AUTOCOMMIT")
        with server.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        database = Database(server.url.set(database=name))
    else:
        database = Database(f"sqlite:///{tmp_path / 'fresh.db'}")
    database.create_all(Model.metadata)
    yield UnitOfWork(database)
    database.close()
    if server:
        with server.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name}"))
        server.dispose()
"""
EMPTY = """
import pytest

@pytest.mark.parametrize("number", range(200))
def test_it(number):
    import infrastructure.database.unit_of_work
"""
ROUNDS = 3


def seconds(source: str, folder: Path, *options: str, server: str = "") -> float:
    """What pytest says that it took, of a few runs the shortest."""
    (folder / "test_it.py").write_text(source, "utf-8")
    (folder / "pytest.ini").write_text(
        "[pytest]\nunit_of_work = infrastructure.database.unit_of_work:UnitOfWork\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
    found = []
    for _ in range(ROUNDS):
        done = subprocess.run(  # noqa: S603 -- our own words
            command,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(Path.cwd()), "SERVER": server},
            capture_output=True,
            text=True,
            check=True,
            timeout=300,
        )
        found.append(float(re.findall(r"200 passed in ([0-9.]+)s", done.stdout)[0]))
    return min(found)


def main() -> None:
    """Print how long each takes."""
    default = "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"
    server = sys.argv[1] if len(sys.argv) > 1 else default
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        empty = seconds(EMPTY, folder)
        print(f"200 empty tests, imports included: {empty:.2f} s")
        for kind, url, used in (
            ("SQLite in memory", "sqlite://", ""),
            ("SQLite file", "sqlite:///x.db", ""),
            ("PostgreSQL", server, server),
        ):
            fresh = seconds(SANDBOX + FRESH, folder, server=used)
            sandbox = seconds(SANDBOX, folder, "--database-url", url)
            print(
                f"{kind}: sandbox {sandbox:.2f} s, fresh {fresh:.2f} s, ratio {fresh / sandbox:.1f}"
                f" (without the empty run: {(fresh - empty) / (sandbox - empty):.1f})"
            )


if __name__ == "__main__":
    main()
