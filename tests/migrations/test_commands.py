"""The ``alembic`` command and the functions do the same, and say what is wrong."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest

from infrastructure.database import Database
from infrastructure.database.alembic import (
    MigrationError,
    check,
    current,
    downgrade,
    pending,
    require_migrated,
    upgrade,
)
from tests.migrations.projects import ROOT, Project, execute, rows
from tests.migrations.test_stairs import REVISIONS, tables_of

HEAD = REVISIONS[-1]


@pytest.fixture
def kit(tmp_path: Path) -> Project:
    """This project, for the plain command."""
    project = Project(tmp_path / "unused", "unused", "")
    project.root = ROOT
    return project


@pytest.fixture
def two(project: Project) -> Project:
    """A project of two revisions."""
    project.revision("op.create_table('one', sa.Column('n', sa.Integer))", "op.drop_table('one')")
    project.revision("op.create_table('two', sa.Column('n', sa.Integer))", "op.drop_table('two')")
    return project


def test_the_command_and_the_function_make_the_same_schema(kit: Project, shared_url: str) -> None:
    with Database(shared_url) as database:
        upgrade(database)
        by_function = tables_of(database)
        downgrade(database, "base")

        kit.run_all(shared_url, "upgrade head", "check", "current")

        assert tables_of(database) == by_function
        assert current(database) == HEAD
        assert check(database) == []
        require_migrated(database)


def test_the_plain_command_tells_what_it_does(kit: Project, shared_url: str) -> None:
    process = kit.start(shared_url, "upgrade", "head")
    _, said = process.communicate(timeout=100)
    assert process.returncode == 0
    assert f"Running upgrade  -> {REVISIONS[0]}" in said

    assert f"{HEAD} (head)" in kit.run(shared_url, "current")
    kit.run(shared_url, "downgrade", "base")
    with Database(shared_url) as database:
        assert current(database) is None
        assert set(tables_of(database)) == {"alembic_version"}


def test_sql_for_review_makes_the_same_schema(kit: Project, shared_url: str) -> None:
    sql = kit.run(shared_url, "upgrade", "head", "--sql")

    with Database(shared_url) as database:
        run_as_a_script(database, sql)

        assert current(database) == HEAD
        assert check(database) == []
        by_script = tables_of(database)
        downgrade(database, "base")
        upgrade(database)
        assert tables_of(database) == by_script


def run_as_a_script(database: Database, sql: str) -> None:
    if "sqlite" in database.url:
        with sqlite3.connect(str(database.settings.url.database)) as raw:
            raw.executescript(sql)
        raw.close()
    else:
        url = database.settings.url.set(drivername="postgresql")
        target = url.render_as_string(hide_password=False)
        with psycopg.connect(target, autocommit=True) as server:
            server.execute(sql.encode())


def test_sql_for_postgresql_waits_for_others_and_not_for_long(
    kit: Project, postgresql_url: str
) -> None:
    sql = kit.run(postgresql_url, "upgrade", "head", "--sql")

    beginning = sql[: sql.index("CREATE TABLE")]
    assert "pg_advisory_xact_lock" in beginning
    assert "SET LOCAL lock_timeout = 5000" in beginning


# -- drift -----------------------------------------------------------------------------------

DRIFTS = {
    "ALTER TABLE people ADD nickname TEXT": "remove_column people nickname",
    "DROP INDEX ix_people_team_id": "add_index people.ix_people_team_id",
    "CREATE TABLE extra (n INTEGER)": "remove_table extra",
    "CREATE INDEX ix_lower ON people (lower(name))": "remove_index people.ix_lower",
}


@pytest.mark.parametrize(("change", "line"), DRIFTS.items(), ids=list(DRIFTS))
def test_drift_is_a_line_each(url: str, change: str, line: str) -> None:
    with Database(url) as database:
        upgrade(database)
        execute(database, change)

        assert check(database) == [line]


def test_the_command_fails_on_drift(kit: Project, shared_url: str) -> None:
    with Database(shared_url) as database:
        upgrade(database)
        execute(database, "ALTER TABLE people ADD nickname TEXT")

        assert "nickname" in kit.fails(shared_url, "check")


def test_looking_for_drift_changes_nothing(url: str) -> None:
    with Database(url) as database:
        assert [line.split()[:2] for line in check(database)] == [
            ["add_table", "outbox_messages"],
            ["add_index", "outbox_messages.ix_outbox_messages_due"],
            ["add_index", "outbox_messages.ix_outbox_messages_unsent"],
            ["add_table", "teams"],
            ["add_table", "people"],
            ["add_index", "people.ix_people_team_id"],
        ]
        assert tables_of(database) == {}


# -- how far a database is -------------------------------------------------------------------


def test_pending_revisions_come_in_the_order_of_their_application(two: Project, url: str) -> None:
    with Database(url) as database:
        assert (current(database), pending(database, project=two.root)) == (None, ["0001", "0002"])
        upgrade(database, "0001", project=two.root)
        assert (current(database), pending(database, project=two.root)) == ("0001", ["0002"])
        upgrade(database, "+1", project=two.root)
        assert (current(database), pending(database, project=two.root)) == ("0002", [])
        downgrade(database, "-1", project=two.root)
        assert current(database) == "0001"
        assert tables_of(database).keys() == {"alembic_version", "one"}


def test_an_old_database_is_refused_with_what_it_lacks(two: Project, url: str) -> None:
    with Database(url) as database:
        with pytest.raises(MigrationError, match=r"lacks .* 0001, 0002; run: alembic upgrade head"):
            require_migrated(database, project=two.root)

        upgrade(database, "0001", project=two.root)
        with pytest.raises(MigrationError, match="lacks the revisions 0002; run"):
            require_migrated(database, project=two.root)

        upgrade(database, project=two.root)
        require_migrated(database, project=two.root)


def test_the_password_is_not_told(two: Project, postgresql_url: str) -> None:
    with Database(postgresql_url.replace("postgres@", "postgres:s3cret@")) as database:
        with pytest.raises(MigrationError) as refused:
            require_migrated(database, project=two.root)

        assert "s3cret" not in str(refused.value)
        assert "***" in str(refused.value)


def test_a_newer_database_is_refused_by_older_code(two: Project, url: str) -> None:
    with Database(url) as database:
        upgrade(database, project=two.root)
        two.forget()

        for ask in (pending, require_migrated, upgrade):
            with pytest.raises(MigrationError, match="0002, which this code does not know; run ne"):
                ask(database, project=two.root)
        with pytest.raises(MigrationError, match="does not know"):
            downgrade(database, "base", project=two.root)
        assert current(database) == "0002"
        assert tables_of(database).keys() == {"alembic_version", "one", "two"}


@pytest.mark.parametrize("go", [upgrade, downgrade])
def test_a_revision_that_is_not_there_is_refused(two: Project, url: str, go: Any) -> None:
    with Database(url) as database:
        upgrade(database, "0001", project=two.root)

        with pytest.raises(MigrationError, match="nowhere"):
            go(database, "nowhere", project=two.root)

        assert current(database) == "0001"


def test_a_database_can_be_stamped(two: Project, sqlite_url: str) -> None:
    two.run_all(sqlite_url, "stamp head", "stamp base", "stamp 0001", "stamp --purge head")

    with Database(sqlite_url) as database:
        assert current(database) == "0002"
        assert tables_of(database).keys() == {"alembic_version"}


def test_branches_can_be_merged(two: Project, sqlite_url: str) -> None:
    branch = "\n".join((two.versions / "0002.py").read_text("utf-8").splitlines()).replace(
        "'0002'", "'0003'"
    )
    (two.versions / "0003.py").write_text(branch.replace("'two'", "'three'"), "utf-8")

    with Database(sqlite_url) as database:
        with pytest.raises(MigrationError, match="heads"):
            upgrade(database, project=two.root)
        two.run_all(sqlite_url, "merge heads -m both")
        upgrade(database, project=two.root)

        assert tables_of(database).keys() == {"alembic_version", "one", "two", "three"}
        assert pending(database, project=two.root) == []


# -- where the project is --------------------------------------------------------------------


def test_the_project_is_found_from_a_folder_inside_it(
    two: Project, sqlite: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(two.versions)

    upgrade(sqlite)

    assert current(sqlite) == "0002"


def test_no_project_is_an_error_that_says_where_it_looked(
    sqlite: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.other]", "utf-8")
    monkeypatch.chdir(tmp_path)

    with pytest.raises(MigrationError, match=r"no pyproject\.toml with \[tool\.alembic\] in"):
        upgrade(sqlite)


def test_the_search_path_is_left_as_it_was(two: Project, sqlite: Database) -> None:
    before = list(sys.path)

    upgrade(sqlite, project=two.root)
    check(sqlite, project=two.root)
    pending(sqlite, project=two.root)

    assert sys.path == before


def test_errors_of_the_command_have_no_traceback(two: Project, sqlite_url: str) -> None:
    two.revision("op.drop_table('one')")

    said = two.fails(sqlite_url, "upgrade", "head")

    assert "FAILED: revision 0003 drops one" in said
    assert "Traceback" not in said
    assert "Traceback" not in two.fails("sqlite:////nowhere/at/all.db", "upgrade", "head")


def test_importing_reads_no_environment_and_opens_nothing(tmp_path: Path) -> None:
    code = """
import os, sys
asked = []

class Watched(type(os.environ)):
    def __getitem__(self, key):
        asked.append(key)
        return super().__getitem__(key)

os.environ.__class__ = Watched
opening = {"sqlite3.connect", "socket.connect"}
sys.addaudithook(lambda event, _: event in opening and asked.append(event))
import infrastructure.database.alembic
assert not {"DATABASE_URL", *opening} & set(asked), asked
os.environ["DATABASE_URL"] = "x"
os.environ["DATABASE_URL"]
assert "DATABASE_URL" in asked
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "DATABASE_URL": "nonsense"}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True)
    assert list(tmp_path.iterdir()) == []


def test_a_memory_database_keeps_what_was_migrated(two: Project) -> None:
    with Database("sqlite://") as database:
        upgrade(database, project=two.root)
        execute(database, "INSERT INTO two VALUES (1)")
        upgrade(database, project=two.root)

        assert rows(database, "SELECT * FROM two") == [(1,)]
        assert rows(database, "PRAGMA foreign_keys") == [(1,)]
