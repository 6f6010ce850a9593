"""The 200 tests of an application with twelve tables: in the sandbox, or a new database for each.

python -m benchmarks.suites [postgresql+psycopg://…]

The application makes its schema by its migrations, as in production; and, to
compare, from its models. The times are those that pytest prints; imports are in them. Of the
plugins of pytest, only the kit's is used.
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
from datetime import date
from benchmarks.shop import Customer, Purchase, Shop

@pytest.mark.parametrize("number", range(200))
def test_it(uow, number):
    with uow:
        ada = uow.customers.create(Customer(name="Ada", email="ada@example.com"))
        uow.purchases.create(Purchase(customer_id=ada.id, number="1", placed_on=date(2026, 1, 1)))
        uow.commit()
    with uow:
        assert uow.purchases.count() == 1
"""
FRESH = """
import os, pathlib, uuid
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
    make_schema(database)
    yield Shop(database)
    database.close()
    if server:
        with server.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name}"))
        server.dispose()
"""
MAKE = {
    "migrations": """
from infrastructure.database.alembic import upgrade
def make_schema(database):
    upgrade(database, project=pathlib.Path(__file__).parent)
""",
    "metadata": """
def make_schema(database):
    database.create_all(Model.metadata)
""",
}
EMPTY = """
import pytest

@pytest.mark.parametrize("number", range(200))
def test_it(number):
    import benchmarks.shop
"""
PROJECT = """
[tool.alembic]
script_location = "%(here)s/alembic"

[tool.pytest.ini_options]
unit_of_work = "benchmarks.shop:Shop"
"""
ENVIRONMENT = """
from benchmarks import shop
from infrastructure.database.alembic import run_migrations

run_migrations(shop)
"""
TEMPLATE = Path(__file__).parent.parent / "alembic" / "script.py.mako"
ROUNDS = 2
_PLUGINS = ("-p", "no:hypothesispytest", "-p", "no:xdist", "-p", "no:timeout", "-p", "no:anyio")
"""What happens to be installed besides the kit; Hypothesis alone takes half a second at the end."""


def make_project(folder: Path) -> None:
    """An application with one revision, which makes its twelve tables."""
    (folder / "pyproject.toml").write_text(PROJECT, "utf-8")
    (folder / "alembic" / "versions").mkdir(parents=True)
    (folder / "alembic" / "env.py").write_text(ENVIRONMENT, "utf-8")
    (folder / "alembic" / "script.py.mako").write_text(TEMPLATE.read_text("utf-8"), "utf-8")
    run(folder, "alembic", "revision", "--autogenerate", "-m", "all", url="sqlite:///x.db")


def run(folder: Path, *command: str, server: str = "", url: str = "") -> str:
    """What a module of Python prints."""
    settings = {"PYTHONPATH": str(Path.cwd()), "SERVER": server, "DATABASE_URL": url}
    inherited = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(  # noqa: S603 -- our own words
        [sys.executable, "-m", *command],
        cwd=folder,
        env={**inherited, **settings},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    return done.stdout


def seconds(source: str, folder: Path, *options: str, server: str = "") -> float:
    """What pytest says that it took, of a few runs the shortest."""
    (folder / "test_it.py").write_text(source, "utf-8")
    command = ["pytest", "-q", "-p", "no:cacheprovider", *_PLUGINS, *options]
    run(folder, *command, server=server)  # bytecode is written
    printed = [run(folder, *command, server=server) for _ in range(ROUNDS)]
    return min(float(re.findall(r"200 passed in ([0-9.]+)s", each)[0]) for each in printed)


def compare(folder: Path, server: str) -> None:
    """Print how long each takes."""
    empty = seconds(EMPTY, folder)
    print(f"200 empty tests, imports included: {empty:.2f} s")
    for kind, url, used in (
        ("SQLite in memory", "sqlite://", ""),
        ("SQLite file", "sqlite:///x.db", ""),
        ("PostgreSQL", server, server),
    ):
        for schema, make in MAKE.items():
            options = ("--database-url", url, "-o", f"database_schema={schema}")
            sandbox = seconds(SANDBOX, folder, *options)
            fresh = seconds(SANDBOX + FRESH + make, folder, server=used)
            print(
                f"{kind}, by {schema}: sandbox {sandbox:.2f} s, fresh {fresh:.2f} s: "
                f"{fresh / sandbox:.1f} times (without the time of empty tests "
                f"{(fresh - empty) / (sandbox - empty):.1f})",
                flush=True,
            )


def main() -> None:
    """With the server of the command line, or the one of this machine."""
    default = "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_project(folder)
        compare(folder, sys.argv[1] if len(sys.argv) > 1 else default)


if __name__ == "__main__":
    main()
