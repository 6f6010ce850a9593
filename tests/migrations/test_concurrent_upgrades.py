"""Who upgrades at the same time waits for the other, and finds nothing left to do."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import create_engine, text

from domain.errors import LockTimeout
from infrastructure.database import Database
from infrastructure.database.alembic import current, downgrade, pending, upgrade
from tests.migrations.projects import Project, execute, rows

SLOW = """
import time
time.sleep(0.8)
op.create_table('made', sa.Column('n', sa.Integer))
"""


def three_revisions(project: Project) -> None:
    """Each of them takes a while, and can be applied only once."""
    project.revision("op.create_table('made', sa.Column('n', sa.Integer))")
    project.revision("op.execute('INSERT INTO made VALUES (1)')\nimport time\ntime.sleep(0.3)")
    project.revision("op.add_column('made', sa.Column('m', sa.Integer))")


def test_eight_processes_upgrade_an_empty_database(project: Project, shared_url: str) -> None:
    three_revisions(project)

    started = [project.start(shared_url, "upgrade", "head") for _ in range(8)]
    said = [process.communicate(timeout=100)[1] for process in started]

    assert [process.returncode for process in started] == [0] * 8, said
    assert "".join(said).count("Running upgrade") == 3
    with Database(shared_url) as database:
        assert rows(database, "SELECT * FROM made") == [(1, None)]
        assert current(database) == "0003"


def test_threads_of_one_process_upgrade_their_databases(project: Project, shared_url: str) -> None:
    three_revisions(project)
    errors = []

    def run(url: str) -> None:
        with Database(url) as database:
            upgrade(database, project=project.root)
            if database.exclusive:
                errors.extend(pending(database, project=project.root))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(run, [shared_url, "sqlite://"] * 3))

    with Database(shared_url) as database:
        assert rows(database, "SELECT * FROM made") == [(1, None)]
    assert errors == []


def test_the_snapshot_is_not_older_than_the_lock(project: Project, postgresql_url: str) -> None:
    project.revision(SLOW)
    name = postgresql_url.rpartition("/")[2]
    setting = f'ALTER DATABASE "{name}" SET default_transaction_isolation'
    server = create_engine(postgresql_url, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f"{setting} = 'serializable'"))
    try:
        first = project.start(postgresql_url, "upgrade", "head")
        with Database(postgresql_url) as database:
            wait_for_the_lock(database)
            upgrade(database, project=project.root)
            assert current(database) == "0001"
        first.communicate(timeout=100)
        assert first.returncode == 0
    finally:
        with server.connect() as connection:
            connection.execute(text(f"{setting} TO DEFAULT"))
        server.dispose()


def test_the_timeout_of_statements_does_not_count_while_waiting(
    project: Project, postgresql_url: str
) -> None:
    project.revision(SLOW)
    first = project.start(postgresql_url, "upgrade", "head")

    with Database(postgresql_url, statement_timeout=0.2, lock_timeout=0.1) as database:
        wait_for_the_lock(database)
        upgrade(database, project=project.root)

        assert current(database) == "0001"
    first.communicate(timeout=100)
    assert first.returncode == 0


def wait_for_the_lock(database: Database) -> None:
    query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
    for _ in range(1000):
        if rows(database, query) != [(0,)]:
            return
        threading.Event().wait(0.01)
    pytest.fail("nobody migrates")


# -- others who use the tables ---------------------------------------------------------------


def test_a_table_that_others_use_is_not_waited_for_long(
    project: Project, postgresql: Database
) -> None:
    execute(postgresql, "CREATE TABLE people (id INT)", "INSERT INTO people VALUES (1)")
    project.revision("op.create_table('made', sa.Column('n', sa.Integer))")
    project.revision("op.add_column('people', sa.Column('name', sa.Text))")

    with postgresql.engine.connect() as other:
        other.execute(text("SELECT * FROM people"))
        with pytest.raises(LockTimeout, match=r"in use by others for 0\.5 seconds, and nothing"):
            upgrade(postgresql, project=project.root)

    assert current(postgresql) is None
    assert rows(postgresql, "SELECT * FROM people") == [(1,)]
    assert rows(postgresql, "SELECT to_regclass('made')") == [(None,)]
    upgrade(postgresql, project=project.root)
    assert current(postgresql) == "0002"


def test_the_command_has_a_timeout_of_its_own(project: Project, postgresql: Database) -> None:
    execute(postgresql, "CREATE TABLE people (id INT)")
    project.revision(
        "op.execute('INSERT INTO people SELECT setting::int FROM pg_settings '\n"
        "           \"WHERE name = 'lock_timeout'\")"
    )

    project.run(postgresql.settings.url.render_as_string(hide_password=False), "upgrade", "head")

    assert rows(postgresql, "SELECT * FROM people") == [(5000,)]


def test_the_timeouts_end_with_the_migration(project: Project, postgresql_url: str) -> None:
    project.revision("pass")
    with Database(postgresql_url) as database:
        upgrade(database, project=project.root)

        assert rows(database, "SHOW lock_timeout") == [("0",)]


def test_a_writer_on_sqlite_is_waited_for(project: Project, sqlite_url: str) -> None:
    project.revision("op.create_table('made', sa.Column('n', sa.Integer))")

    with Database(sqlite_url, busy_timeout=0.3) as database:
        with database.engine.begin(), pytest.raises(LockTimeout):
            upgrade(database, project=project.root)
        assert current(database) is None

        upgrade(database, project=project.root)
        downgrade(database, "base", project=project.root)


def test_asking_for_the_revision_waits_for_nobody(project: Project, sqlite_url: str) -> None:
    project.revision("op.create_table('made', sa.Column('n', sa.Integer))")

    with Database(sqlite_url, busy_timeout=0.3) as database, database.engine.begin():
        assert current(database) is None
        assert pending(database, project=project.root) == ["0001"]
