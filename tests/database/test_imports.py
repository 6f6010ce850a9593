"""What an import does: nothing but define names."""

import os
import subprocess
import sys
from pathlib import Path

import alembic
import pytest

ROOT = Path(__file__).parents[2]

POISONED = """
import os

class Poisoned(dict):
    def __getitem__(self, name):
        assert name != "DATABASE_URL", "the environment was read"
        return super().__getitem__(name)
    def get(self, name, default=None):
        assert name != "DATABASE_URL", "the environment was read"
        return super().get(name, default)

os.environ = Poisoned(os.environ)
os.getenv = os.environ.get
"""

WATCHED = """
import socket, sqlite3, threading
import sqlalchemy, sqlalchemy.engine.create

def forbidden(*args, **options):
    raise AssertionError("an import opened something")

sqlalchemy.create_engine = sqlalchemy.engine.create.create_engine = forbidden
sqlalchemy.engine.create_engine = forbidden
sqlite3.connect = sqlite3.dbapi2.connect = socket.socket.connect = forbidden
threads = threading.active_count()
"""

EVERYTHING = """
import importlib, pkgutil
import domain, infrastructure
for package in (domain, infrastructure):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
"""


def run(program: str, *paths: Path, **options: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter, in which the given folders come first."""
    path = [*map(str, paths), str(ROOT)]
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        cwd=paths[0] if paths else ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path), **options},
    )


def output(program: str, *paths: Path, **options: str) -> str:
    done = run(program, *paths, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_base_classes_register_no_table() -> None:
    assert (
        output("""
from infrastructure.database import BaseRepository, BaseUnitOfWork, Database, Model
from infrastructure.database import Timestamped, Versioned
from sqlmodel import SQLModel
import infrastructure.database.models
print(list(Model.metadata.tables), list(SQLModel.metadata.tables))
""")
        == "[] []"
    )


@pytest.mark.parametrize("module", ["models.person", "unit_of_work"])
def test_the_modules_of_the_application_do(module: str) -> None:
    tables = output(f"""
import infrastructure.database.{module}
from infrastructure.database import Model
print(sorted(Model.metadata.tables))
""")
    assert "people" in tables


def test_a_user_of_the_library_has_only_his_own_tables() -> None:
    assert (
        output("""
from sqlmodel import Field
from infrastructure.database import BaseUnitOfWork, Database, Model

class Tag(Model, table=True):
    id: int | None = Field(default=None, primary_key=True)
    name: str

with Database("sqlite://") as database:
    database.create_all(Model.metadata)
    with BaseUnitOfWork(database) as uow:
        uow.repository(Tag).create(Tag(name="a"))
        uow.commit()
print(sorted(Model.metadata.tables))
""")
        == "['tag']"
    )


@pytest.mark.parametrize(
    "module",
    ["infrastructure", "infrastructure.database", "infrastructure.database.unit_of_work"],
)
def test_an_import_reads_no_environment(module: str) -> None:
    assert output(f"{POISONED}\nimport {module}\nprint('fine')", DATABASE_URL="sqlite://") == "fine"


def test_the_poison_works() -> None:
    done = run(
        f"{POISONED}\nfrom infrastructure.database import Database\nDatabase.default()",
        DATABASE_URL="sqlite://",
    )
    assert "the environment was read" in done.stderr


def test_no_module_reads_the_environment_or_opens_anything() -> None:
    program = f"{POISONED}\n{WATCHED}\n{EVERYTHING}\nassert threading.active_count() == threads"

    assert output(f"{program}\nprint('fine')", DATABASE_URL="sqlite:///never.db") == "fine"


@pytest.mark.parametrize(
    "module", ["infrastructure.database", "infrastructure.database.unit_of_work"]
)
def test_what_is_not_needed_is_not_imported(module: str) -> None:
    found = output(f"""
import sys
import {module}
heavy = ("psycopg", "alembic", "requests", "cachetools", "sqlite3", "fastapi", "pytest")
print([name for name in heavy if name in sys.modules])
""")
    assert found == "[]"


def test_psycopg_is_imported_only_for_postgresql() -> None:
    found = output("""
import sys
from infrastructure.database import Database
from infrastructure.database.unit_of_work import UnitOfWork
from infrastructure.database.models.person import PersonModel
with Database("sqlite://") as database:
    database.create_all(PersonModel.metadata)
    with UnitOfWork(database) as uow:
        uow.people.count()
print("psycopg" in sys.modules)
Database("postgresql://nobody@localhost/nothing")
print("psycopg" in sys.modules)
""")
    assert found.split() == ["False", "True"]


def test_the_domain_imports_the_standard_library_only() -> None:
    found = output("""
import sys
import domain, domain.errors, domain.ports, domain.unit_of_work, domain.pagination
outside = {name.partition(".")[0] for name in sys.modules} - sys.stdlib_module_names
print(sorted(name for name in outside if name in ("sqlmodel", "sqlalchemy", "pydantic")))
""")
    assert found == "[]"


PACKAGE = {"domain/__init__.py": "", "domain/order.py": "class Order: ..."}
MODULE = {"domain.py": "class Order: ..."}
WITH_ERRORS = {"domain/__init__.py": "", "domain/errors.py": "class ShopError(Exception): ..."}


@pytest.mark.parametrize(
    "files", [PACKAGE, MODULE, WITH_ERRORS], ids=["package", "module", "errors"]
)
@pytest.mark.parametrize(
    "module",
    ["infrastructure", "infrastructure.database", "infrastructure.database.unit_of_work"],
)
def test_a_foreign_domain_that_hides_ours_is_named(
    tmp_path: Path, files: dict[str, str], module: str
) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    done = run(
        f"""
try:
    import {module}
except ImportError as error:
    assert type(error) is ImportError, type(error)
    print(error)
""",
        tmp_path,
    )

    assert done.returncode == 0, done.stderr
    assert "domain" in done.stdout
    assert str(tmp_path) in done.stdout, "it says where the other one is"
    assert "name" in done.stdout


def test_an_error_inside_our_own_domain_is_not_blamed_on_another(tmp_path: Path) -> None:
    (tmp_path / "secrets.py").write_text("raise ImportError('broken', name='secrets')")
    done = run("import infrastructure.database", tmp_path)

    assert "broken" in done.stderr.splitlines()[-1]


def test_alembic_is_the_installed_library() -> None:
    assert Path(alembic.__file__).is_relative_to(sys.prefix)
    assert hasattr(alembic, "command") or (Path(alembic.__file__).parent / "command.py").exists()
    assert not (ROOT / "alembic" / "__init__.py").exists()


def test_alembic_is_the_installed_library_in_the_folder_of_the_project() -> None:
    found = output("import alembic, sys; print(alembic.__file__); import alembic.command")

    assert Path(found).is_relative_to(sys.prefix)
