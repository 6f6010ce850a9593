"""The revisions of this project: each can be climbed, and together they are the models."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, inspect

from infrastructure.database import Database
from infrastructure.database.alembic import check, current, downgrade, pending, upgrade
from infrastructure.database.models.person import PersonModel
from infrastructure.database.models.team import TeamModel
from tests.migrations.projects import ROOT

SCRIPTS = ScriptDirectory.from_config(Config(toml_file=ROOT / "pyproject.toml"))
REVISIONS = [script.revision for script in SCRIPTS.walk_revisions()][::-1]
FILES = sorted((ROOT / "alembic" / "versions").glob("*.py"))


def tables_of(database: Database) -> dict[str, list[str]]:
    with database.engine.connect() as connection:
        there = inspect(connection)
        return {
            table: [repr(column) for column in there.get_columns(table)]
            for table in there.get_table_names()
        }


def test_every_revision_goes_up_and_down_and_up(url: str) -> None:
    with Database(url) as database:
        for at, revision in enumerate(REVISIONS):
            before = tables_of(database)
            upgrade(database, revision)
            after = tables_of(database)
            downgrade(database, REVISIONS[at - 1] if at else "base")
            assert tables_of(database) == (before or {"alembic_version": after["alembic_version"]})
            upgrade(database, revision)
            assert tables_of(database) == after

        assert current(database) == REVISIONS[-1]
        assert check(database) == []


def test_all_the_way_down_and_up_again(url: str) -> None:
    with Database(url) as database:
        upgrade(database)
        downgrade(database, "base")
        assert (current(database), list(tables_of(database))) == (None, ["alembic_version"])
        assert pending(database) == REVISIONS

        upgrade(database)
        assert check(database) == []


def test_the_migrated_schema_is_that_of_the_models(url: str, tmp_path: Path) -> None:
    def definitions(database: Database) -> object:
        there = MetaData()
        with database.engine.connect() as connection:
            there.reflect(connection, only=["people", "teams"])
        return {
            table.name: (
                sorted(
                    (c.name, repr(c.type), c.nullable, str(c.primary_key)) for c in table.columns
                ),
                sorted((type(c).__name__, str(c.name)) for c in table.constraints),
                sorted((str(i.name), i.unique, [c.name for c in i.columns]) for i in table.indexes),
            )
            for table in there.tables.values()
        }

    with Database(url) as database:
        upgrade(database)
        migrated = definitions(database)
        downgrade(database, "base")
        TeamModel.metadata.create_all(
            database.engine, tables=[TeamModel.__table__, PersonModel.__table__]
        )

        assert definitions(database) == migrated


def test_there_is_one_head() -> None:
    assert SCRIPTS.get_heads() == [REVISIONS[-1]]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_revision_imports_only_alembic_and_sqlalchemy(file: Path) -> None:
    source = file.read_text("utf-8")

    assert "sqlmodel" not in source.lower()
    assert set(re.findall(r"^(?:from|import) (\w+)", source, re.MULTILINE)) == {
        "alembic",
        "sqlalchemy",
    }


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_revision_says_what_it_drops(file: Path) -> None:
    assert re.search(r"^drops: set\[str\] = ", file.read_text("utf-8"), re.MULTILINE)


def test_the_folder_of_the_revisions_is_no_package() -> None:
    assert not list((ROOT / "alembic").rglob("__init__.py"))


def test_env_is_a_few_lines() -> None:
    code = (ROOT / "alembic" / "env.py").read_text("utf-8").split('"""')[2]

    assert len([line for line in code.splitlines() if line.strip()]) == 3
