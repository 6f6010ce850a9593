"""A table of SQLite that is made anew keeps all that belongs to it, or the migration is refused."""

from __future__ import annotations

import sqlite3

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Integer, create_engine, event

from domain.errors import ConflictError
from infrastructure.database import Database
from infrastructure.database.alembic import MigrationError, current, upgrade
from tests.migrations.projects import Project, execute, rows

BATCH = """
with op.batch_alter_table("people") as batch:
    batch.alter_column("age", type_=sa.BigInteger(), existing_type=sa.Integer())
"""


def prepared(project: Project, database: Database, *statements: str, batch: str = BATCH) -> None:
    """A project whose only revision is a batch operation on what is there already."""
    execute(database, *statements)
    project.revision(batch)


def sql_of(database: Database, name: str) -> str:
    with database.engine.connect() as connection:
        query = "SELECT sql FROM sqlite_master WHERE name = ?"
        return str(connection.exec_driver_sql(query, (name,)).scalar())


PEOPLE = "CREATE TABLE people (id INTEGER PRIMARY KEY, age INTEGER, name TEXT)"
CHILDREN = (
    "CREATE TABLE pets (id INTEGER PRIMARY KEY, "
    "owner INTEGER NOT NULL REFERENCES people (id) ON DELETE CASCADE)"
)
FAMILY = (
    PEOPLE,
    CHILDREN,
    "INSERT INTO people VALUES (1, 30, 'Ada'), (2, 40, 'Bo')",
    "INSERT INTO pets VALUES (1, 1), (2, 1), (3, 2)",
)


def test_plain_alembic_with_foreign_keys_deletes_the_children(sqlite: Database) -> None:
    execute(sqlite, *FAMILY)
    engine = create_engine(sqlite.settings.url)
    event.listen(engine, "connect", lambda raw, _: raw.execute("PRAGMA foreign_keys=ON"))

    with engine.begin() as connection:
        operations = Operations(MigrationContext.configure(connection))
        with operations.batch_alter_table("people") as batch:
            batch.alter_column("age", type_=Integer(), nullable=True)
    engine.dispose()

    assert rows(sqlite, "SELECT * FROM people") == [(1, 30, "Ada"), (2, 40, "Bo")]
    assert rows(sqlite, "SELECT * FROM pets") == []


def test_every_child_is_kept(project: Project, sqlite: Database) -> None:
    prepared(project, sqlite, *FAMILY)

    upgrade(sqlite, project=project.root)

    assert "BIGINT" in sql_of(sqlite, "people")
    assert rows(sqlite, "SELECT * FROM people") == [(1, 30, "Ada"), (2, 40, "Bo")]
    assert rows(sqlite, "SELECT * FROM pets") == [(1, 1), (2, 1), (3, 2)]


def test_foreign_keys_are_on_again_afterwards(project: Project, sqlite: Database) -> None:
    prepared(project, sqlite, *FAMILY)

    upgrade(sqlite, project=project.root)
    execute(sqlite, "DELETE FROM people WHERE id = 1")

    assert rows(sqlite, "SELECT id FROM pets") == [(3,)]
    assert rows(sqlite, "PRAGMA legacy_alter_table") == [(0,)]


def test_foreign_keys_are_on_again_after_a_failure(project: Project, sqlite: Database) -> None:
    prepared(project, sqlite, *FAMILY, batch=BATCH + "\nop.execute('nonsense')")

    with pytest.raises(Exception, match="nonsense"):
        upgrade(sqlite, project=project.root)
    execute(sqlite, "DELETE FROM people WHERE id = 1")

    assert rows(sqlite, "SELECT id FROM pets") == [(3,)]


def test_references_are_checked_before_the_commit(project: Project, sqlite: Database) -> None:
    prepared(project, sqlite, *FAMILY, batch="op.execute('DELETE FROM people WHERE id = 1')")

    with pytest.raises(MigrationError, match="references of pets that point to nothing"):
        upgrade(sqlite, project=project.root)

    assert rows(sqlite, "SELECT id FROM people") == [(1,), (2,)]
    assert current(sqlite) is None


def test_references_that_dangled_before_are_none_of_its_business(
    project: Project, sqlite: Database
) -> None:
    prepared(project, sqlite, *FAMILY)
    raw = sqlite3.connect(str(sqlite.settings.url.database))
    raw.execute("DELETE FROM people WHERE id = 1")
    raw.commit()
    raw.close()

    upgrade(sqlite, project=project.root)

    assert current(sqlite) == "0001"


SURVIVORS = {
    "trigger": "CREATE TRIGGER t AFTER UPDATE ON people BEGIN DELETE FROM log; END",
    "trigger named so": 'CREATE TRIGGER "of it" BEFORE INSERT ON people BEGIN SELECT 1; END',
    "expression index": "CREATE INDEX i ON people (lower(name))",
    "unique expression index": "CREATE UNIQUE INDEX i ON people (lower(name), age) WHERE age > 1",
    "partial index": "CREATE INDEX i ON people (name) WHERE age > 18",
    "descending index": "CREATE INDEX i ON people (name DESC, age)",
    "index with a collation": "CREATE UNIQUE INDEX i ON people (name COLLATE NOCASE)",
    "plain index": "CREATE INDEX i ON people (name, age)",
}


@pytest.mark.parametrize("statement", SURVIVORS.values(), ids=list(SURVIVORS))
def test_what_belongs_to_the_table_survives(
    project: Project, sqlite: Database, statement: str
) -> None:
    prepared(project, sqlite, PEOPLE, "CREATE TABLE log (n INT)", statement)

    upgrade(sqlite, project=project.root)

    assert "BIGINT" in sql_of(sqlite, "people")
    query = "SELECT sql FROM sqlite_master WHERE tbl_name = 'people' AND type <> 'table'"
    (kept,) = rows(sqlite, query)
    assert kept[0].replace('"people"', "people") == statement


def test_plain_alembic_loses_the_trigger_and_the_expression_index(sqlite: Database) -> None:
    execute(sqlite, PEOPLE, SURVIVORS["expression index"], "CREATE TABLE log (n INT)")
    execute(sqlite, SURVIVORS["trigger"])
    engine = create_engine(sqlite.settings.url)

    with engine.begin() as connection, pytest.warns(match="expression-based index"):
        operations = Operations(MigrationContext.configure(connection))
        with operations.batch_alter_table("people") as batch:
            batch.alter_column("age", type_=Integer(), nullable=True)
    engine.dispose()

    assert rows(sqlite, "SELECT name FROM sqlite_master WHERE type IN ('index', 'trigger')") == []


DEFINITIONS = {
    "unnamed check": ("age INTEGER CHECK (age >= 0 AND age < 200)", "age", "-1"),
    "named check": ("age INTEGER, CONSTRAINT old CHECK (age >= 0)", "age", "-1"),
    "check with a text": (
        "age INTEGER, name TEXT CHECK (name <> 'CHECK, (it''s')",
        "name",
        "'CHECK, (it''s'",
    ),
    "check beside a comment": (
        "age INTEGER, /* it's */ name TEXT CHECK (name <> '') -- (",
        "name",
        "''",
    ),
    "not null": ("age INTEGER, name TEXT NOT NULL", "name", "NULL"),
    "unnamed unique": ("age INTEGER, name TEXT UNIQUE DEFAULT 'x'", "name", "'first'"),
    "collation": ("age INTEGER, name TEXT COLLATE NOCASE UNIQUE", "name", "'FIRST'"),
    "several columns": (
        "age INTEGER, name TEXT, CHECK (age IS NOT NULL OR name IS NULL)",
        "name",
        "'y'",
    ),
    "foreign key": ("age INTEGER, name TEXT REFERENCES log (n)", "name", "'nobody'"),
}


@pytest.mark.parametrize(("columns", "column", "bad"), DEFINITIONS.values(), ids=list(DEFINITIONS))
def test_rules_of_the_table_survive(
    project: Project, sqlite: Database, columns: str, column: str, bad: str
) -> None:
    made = f"CREATE TABLE people (id INTEGER PRIMARY KEY, {columns}\n)"
    prepared(project, sqlite, "CREATE TABLE log (n TEXT PRIMARY KEY)", made)
    if "name" in columns:
        execute(sqlite, "INSERT INTO log VALUES ('first')")
        execute(sqlite, "INSERT INTO people (id, age, name) VALUES (1, 5, 'first')")

    upgrade(sqlite, project=project.root)

    assert "BIGINT" in sql_of(sqlite, "people")
    with pytest.raises(ConflictError):
        execute(sqlite, f"INSERT INTO people ({column}) VALUES ({bad})")


@pytest.mark.parametrize("columns", ["name TEXT COLLATE NOCASE", 'name TEXT COLLATE "RTRIM"'])
def test_a_renamed_column_keeps_its_collation(
    project: Project, sqlite: Database, columns: str
) -> None:
    rename = """
    with op.batch_alter_table("people", recreate="always") as batch:
        batch.alter_column("name", new_column_name="title")
    """
    made = f"CREATE TABLE people (id INTEGER PRIMARY KEY, {columns})"
    prepared(project, sqlite, made, "INSERT INTO people VALUES (1, 'Ada ')", batch=rename)

    upgrade(sqlite, project=project.root)

    for name in ("ADA " if "NOCASE" in columns else "Ada",):
        assert rows(sqlite, f"SELECT id FROM people WHERE title = '{name}'") == [(1,)]


def test_keys_of_deleted_rows_are_not_given_again(project: Project, sqlite: Database) -> None:
    batch = BATCH.replace('"people"', '"people", table_kwargs={"sqlite_autoincrement": True}')
    made = "CREATE TABLE people (id INTEGER PRIMARY KEY AUTOINCREMENT, age INTEGER)"
    prepared(project, sqlite, made, "INSERT INTO people VALUES (7, 1), (9, 2)", batch=batch)
    execute(sqlite, "DELETE FROM people WHERE id = 9")

    upgrade(sqlite, project=project.root)
    execute(sqlite, "INSERT INTO people (age) VALUES (3)")

    assert rows(sqlite, "SELECT id FROM people") == [(7,), (10,)]


def test_views_go_on_working(project: Project, sqlite: Database) -> None:
    prepared(project, sqlite, *FAMILY, "CREATE VIEW old AS SELECT name FROM people WHERE age > 35")

    upgrade(sqlite, project=project.root)

    assert rows(sqlite, "SELECT * FROM old") == [("Bo",)]


@pytest.mark.parametrize(
    "table",
    [
        "of all the people in our town, and their animals",
        "people_and_their_animals_of_all_kinds_there_are",
        "od d",
        'sel"ect',
    ],
)
def test_tables_of_any_name(project: Project, sqlite: Database, table: str) -> None:
    quoted = '"' + table.replace('"', '""') + '"'
    batch = BATCH.replace('"people"', repr(table))
    prepared(
        project,
        sqlite,
        f"CREATE TABLE {quoted} (id INTEGER PRIMARY KEY, age INTEGER CHECK (age > 0))",
        f"CREATE TRIGGER t AFTER DELETE ON {quoted} BEGIN SELECT 1; END",
        batch=batch,
    )

    upgrade(sqlite, project=project.root)

    assert "BIGINT" in sql_of(sqlite, table)
    assert "CHECK (age > 0)" in sql_of(sqlite, table)
    assert sql_of(sqlite, "t").startswith("CREATE TRIGGER")


REFUSED = {
    "trigger": (
        "name TEXT",
        "CREATE TRIGGER t AFTER UPDATE OF name ON people BEGIN SELECT 1; END",
        "t of people names name, which goes; drop it in the revision before the batch operation",
    ),
    "expression index": (
        "name TEXT",
        "CREATE INDEX i ON people (lower(name))",
        "i of people names name",
    ),
    "descending index": (
        "name TEXT",
        "CREATE INDEX i ON people (name DESC)",
        "i of people names name",
    ),
    "named check": (
        "name TEXT, CONSTRAINT named CHECK (name <> '')",
        "SELECT 1",
        r"CHECK named of people names name, which goes; drop_constraint\(\) it",
    ),
    "unnamed check": (
        "name TEXT, CHECK (name <> '')",
        "SELECT 1",
        "names name, which goes; give batch_alter_table",
    ),
    "view": (
        "name TEXT",
        "CREATE VIEW v AS SELECT name FROM people",
        "leaves the view v that cannot be used",
    ),
    "trigger of another table": (
        "name TEXT",
        "CREATE TRIGGER t AFTER INSERT ON log BEGIN UPDATE people SET name = 'x'; END",
        "leaves a trigger of log that cannot be used; drop it",
    ),
    "conflict clause": (
        "name TEXT UNIQUE ON CONFLICT REPLACE",
        "SELECT 1",
        "would lose ON CONFLICT",
    ),
    "collation of a constraint": (
        "name TEXT, UNIQUE (name COLLATE NOCASE)",
        "SELECT 1",
        "would lose how its UNIQUE or PRIMARY KEY over name compares",
    ),
}


@pytest.mark.parametrize(("columns", "also", "message"), REFUSED.values(), ids=list(REFUSED))
def test_what_cannot_survive_is_refused(
    project: Project, sqlite: Database, columns: str, also: str, message: str
) -> None:
    rename = """
    with op.batch_alter_table("people", recreate="always") as batch:
        batch.alter_column("name", new_column_name="title")
    """
    made = f"CREATE TABLE people (id INTEGER PRIMARY KEY, {columns})"
    prepared(project, sqlite, "CREATE TABLE log (n INT)", made, also, batch=rename)
    before = sql_of(sqlite, "people")

    with pytest.raises(MigrationError, match=message):
        upgrade(sqlite, project=project.root)

    assert sql_of(sqlite, "people") == before
    assert rows(sqlite, "SELECT name FROM sqlite_master WHERE name LIKE '_alembic_tmp%'") == []


@pytest.mark.parametrize(
    ("option", "argument"),
    [
        ("AUTOINCREMENT", "sqlite_autoincrement"),
        ("WITHOUT ROWID", "sqlite_with_rowid"),
        ("STRICT", "sqlite_strict"),
    ],
)
def test_options_of_the_table_survive_or_are_asked_for(
    project: Project, sqlite: Database, option: str, argument: str
) -> None:
    inside, behind = (option, "") if option == "AUTOINCREMENT" else ("", option)
    made = f"CREATE TABLE people (id INTEGER PRIMARY KEY {inside}, age INTEGER) {behind}"
    prepared(project, sqlite, made, batch=BATCH.replace("BigInteger", "INTEGER"))

    said = ""
    try:
        upgrade(sqlite, project=project.root)
    except MigrationError as error:
        said = str(error)

    assert said == "" or (f"would lose {option}" in said and argument in said)
    assert option in sql_of(sqlite, "people")


def test_a_constraint_may_be_dropped_and_made_anew(project: Project, sqlite: Database) -> None:
    batch = """
    with op.batch_alter_table("people") as batch:
        batch.drop_constraint(batch.f("old"), type_="check")
        batch.create_check_constraint(batch.f("new"), "age < 100")
    """
    made = (
        "CREATE TABLE people (id INTEGER PRIMARY KEY, age INTEGER, CONSTRAINT old CHECK (age > 0))"
    )
    prepared(project, sqlite, made, batch=batch)

    upgrade(sqlite, project=project.root)

    assert "old" not in sql_of(sqlite, "people")
    assert "CONSTRAINT new CHECK (age < 100)" in sql_of(sqlite, "people")


def test_a_trigger_may_be_dropped_and_made_anew(project: Project, sqlite: Database) -> None:
    batch = """
    op.execute("DROP TRIGGER t")
    with op.batch_alter_table("people", recreate="always") as batch:
        batch.alter_column("name", new_column_name="title")
    op.execute("CREATE TRIGGER t AFTER UPDATE OF title ON people BEGIN SELECT 1; END")
    """
    prepared(project, sqlite, PEOPLE, REFUSED["trigger"][1], batch=batch)

    upgrade(sqlite, project=project.root)

    assert "OF title" in sql_of(sqlite, "t")


def test_a_rebuild_in_memory(project: Project) -> None:
    with Database("sqlite://") as database:
        prepared(project, database, *FAMILY)

        upgrade(database, project=project.root)

        assert rows(database, "SELECT * FROM pets") == [(1, 1), (2, 1), (3, 2)]
        assert current(database) == "0001"
