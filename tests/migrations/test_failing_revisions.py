"""A revision that fails, or is killed, leaves schema and version as they were."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Column, Integer, create_engine, inspect
from sqlalchemy.exc import SQLAlchemyError

from infrastructure.database import Database
from infrastructure.database.alembic import MigrationError, current, pending, upgrade
from tests.migrations.projects import Project, execute, rows

HALF = """
op.create_table('half', sa.Column('n', sa.Integer))
op.execute("INSERT INTO half VALUES (1)")
op.add_column('kept', sa.Column('added', sa.Integer))
op.execute("UPDATE kept SET n = 2")
"""
KEPT = ("CREATE TABLE kept (n INTEGER)", "INSERT INTO kept VALUES (1)")


def tables_of(database: Database) -> set[str]:
    with database.engine.connect() as connection:
        return set(inspect(connection).get_table_names())


def assert_untouched(database: Database) -> None:
    assert tables_of(database) - {"alembic_version"} == {"kept"}
    assert rows(database, "SELECT * FROM kept") == [(1,)]
    assert current(database) is None


def test_plain_alembic_on_sqlite_leaves_the_half_made_table(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'plain.db'}")

    for expected in ("nonsense", "already exists"):
        with (
            pytest.raises(SQLAlchemyError, match=expected),
            engine.begin() as connection,
        ):
            operations = Operations(MigrationContext.configure(connection))
            operations.create_table("half", Column("n", Integer))
            operations.execute("nonsense")

    assert inspect(engine).get_table_names() == ["half"]
    engine.dispose()


def test_a_failing_revision_leaves_nothing(project: Project, url: str) -> None:
    with Database(url) as database:
        execute(database, *KEPT)
        project.revision("op.create_table('first', sa.Column('n', sa.Integer))")
        project.revision(HALF + "op.execute('nonsense')")

        with pytest.raises(SQLAlchemyError, match="nonsense"):
            upgrade(database, project=project.root)
        assert_untouched(database)

        project.forget()
        project.revision(HALF)
        upgrade(database, project=project.root)
        assert current(database) == "0002"
        assert rows(database, "SELECT * FROM kept") == [(2, None)]


def test_an_error_of_python_leaves_nothing_either(project: Project, url: str) -> None:
    with Database(url) as database:
        execute(database, *KEPT)
        project.revision(HALF + "1 / 0")

        with pytest.raises(ZeroDivisionError):
            upgrade(database, project=project.root)

        assert_untouched(database)


def test_a_killed_revision_leaves_nothing(
    project: Project, shared_url: str, tmp_path: Path
) -> None:
    reached = tmp_path / "reached"
    with Database(shared_url) as database:
        execute(database, *KEPT)
        project.revision(
            HALF + f"import pathlib, time\npathlib.Path({str(reached)!r}).touch()\ntime.sleep(60)"
        )
        process = project.start(shared_url, "upgrade", "head")
        while not reached.exists():
            assert process.poll() is None
            time.sleep(0.02)
        process.kill()
        process.communicate()

        assert_untouched(database)
        project.forget()
        project.revision(HALF)
        upgrade(database, project=project.root)
        assert (current(database), rows(database, "SELECT * FROM half")) == ("0001", [(1,)])


ENDS = ["COMMIT", "commit;", "ROLLBACK", "-- the end\nEND", "BEGIN"]


@pytest.mark.parametrize("statement", ENDS)
def test_a_revision_cannot_end_the_transaction(project: Project, url: str, statement: str) -> None:
    with Database(url) as database:
        execute(database, *KEPT)
        project.revision(HALF + f"op.execute({statement!r})")

        with pytest.raises(MigrationError, match="in a revision; all revisions run in one transac"):
            upgrade(database, project=project.root)

        assert_untouched(database)


def test_a_script_of_the_driver_cannot_end_it_either(project: Project, sqlite: Database) -> None:
    execute(sqlite, *KEPT)
    project.revision(HALF + "op.get_bind().connection.executescript('CREATE TABLE x (n)')")

    with pytest.raises(MigrationError, match="COMMIT or ROLLBACK in a revision"):
        upgrade(sqlite, project=project.root)

    assert_untouched(sqlite)


def test_savepoints_are_free(project: Project, url: str) -> None:
    with Database(url) as database:
        execute(database, *KEPT)
        project.revision("""
        try:
            with op.get_bind().begin_nested():
                op.execute("UPDATE kept SET n = 5")
                op.execute("nonsense")
        except sa.exc.SQLAlchemyError:
            pass
        """)

        upgrade(database, project=project.root)

        assert (current(database), rows(database, "SELECT * FROM kept")) == ("0001", [(1,)])


def test_an_autocommit_block_is_refused(project: Project, url: str) -> None:
    with Database(url) as database:
        execute(database, *KEPT)
        block = "with op.get_context().autocommit_block():\n    op.execute('SELECT 1')"
        project.revision(HALF + block)

        with pytest.raises(MigrationError, match=r"autocommit_block\(\) in a revision"):
            upgrade(database, project=project.root)

        assert_untouched(database)


def test_a_revision_that_cannot_be_imported_leaves_nothing(project: Project, url: str) -> None:
    with Database(url) as database:
        execute(database, *KEPT)
        project.revision("pass")
        (project.versions / "broken.py").write_text("import nowhere_at_all", "utf-8")

        with pytest.raises(ModuleNotFoundError):
            upgrade(database, project=project.root)

        assert_untouched(database)


def test_a_failing_downgrade_leaves_all(project: Project, url: str) -> None:
    from infrastructure.database.alembic import downgrade

    with Database(url) as database:
        execute(database, *KEPT)
        project.revision(HALF, downgrade="op.drop_table('half')\nop.execute('nonsense')")
        upgrade(database, project=project.root)

        with pytest.raises(SQLAlchemyError, match="nonsense"):
            downgrade(database, "base", project=project.root)

        assert rows(database, "SELECT * FROM half") == [(1,)]
        assert pending(database, project=project.root) == []


@pytest.mark.parametrize("reference", ["INSERT INTO pets VALUES (7)", "DELETE FROM owners"])
def test_references_that_dangle_are_refused(project: Project, url: str, reference: str) -> None:
    with Database(url) as database:
        execute(
            database,
            "CREATE TABLE owners (id INTEGER PRIMARY KEY)",
            "CREATE TABLE pets (owner INTEGER REFERENCES owners (id))",
            "INSERT INTO owners VALUES (1)",
            "INSERT INTO pets VALUES (1)",
        )
        project.revision(f"op.execute({reference!r})")

        with pytest.raises(Exception, match=r"references|refers to a row"):
            upgrade(database, project=project.root)

        assert rows(database, "SELECT owner FROM pets") == [(1,)]
        assert current(database) is None
