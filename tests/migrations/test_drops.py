"""A revision that drops a table or a column says so, or it is refused."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from infrastructure.database import Database
from infrastructure.database.alembic import MigrationError, current, downgrade, upgrade
from tests.migrations.projects import Project, execute, rows

MADE = (
    "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT, age INTEGER)",
    "INSERT INTO people VALUES (1, 'Ada', 36)",
    'CREATE TABLE "Old Pets" (id INTEGER PRIMARY KEY, "first name" TEXT, "first" TEXT)',
)

TABLES = {
    "operation": "op.drop_table('people')",
    "SQL": "op.execute('DROP TABLE people')",
    "SQL in lower case": "op.execute('drop  table if exists people')",
    "quoted": """op.execute('DROP TABLE "people"')""",
    "after a comment": r"op.execute('-- gone\n/* DROP VIEW x */ DROP TABLE people')",
    "the driver": "op.get_bind().connection.cursor().execute('DROP TABLE people')",
    "made anew": "op.drop_table('people')\nop.create_table('people', sa.Column('id', sa.Integer))",
    "copied by hand": """
        op.execute('CREATE TABLE new AS SELECT id, name FROM people')
        op.drop_table('people')
        op.rename_table('new', 'people')""",
}
COLUMNS = {
    "operation": "op.drop_column('people', 'age')",
    "batch": "with op.batch_alter_table('people') as batch:\n    batch.drop_column('age')",
    "SQL": "op.execute('ALTER TABLE people DROP COLUMN age')",
    "SQL without COLUMN": "op.execute('alter table people drop age')",
    "dropped and added": (
        "with op.batch_alter_table('people') as batch:\n    batch.drop_column('age')\n"
        "op.add_column('people', sa.Column('age', sa.Integer))"
    ),
}
NAMES = {
    "quoted table": ("""op.execute('DROP TABLE "Old Pets"')""", "Old Pets"),
    "operation on a quoted table": ("op.drop_table('Old Pets')", "Old Pets"),
    "quoted column": (
        """op.execute('ALTER TABLE "Old Pets" DROP COLUMN "first name"')""",
        "Old Pets.first name",
    ),
    "the shorter name": (
        "with op.batch_alter_table('Old Pets') as batch:\n    batch.drop_column('first')",
        "Old Pets.first",
    ),
}
ALL = {
    **{f"table by {how}": (code, "people") for how, code in TABLES.items()},
    **{f"column by {how}": (code, "people.age") for how, code in COLUMNS.items()},
    **NAMES,
}
KEEPING = {
    "rename a table": "op.rename_table('people', 'humans')",
    "rename a column": "op.alter_column('people', 'age', new_column_name='years')",
    "rename in a batch": (
        "with op.batch_alter_table('people') as batch:\n"
        "    batch.alter_column('age', new_column_name='years')"
    ),
    "another type": (
        "with op.batch_alter_table('people') as batch:\n"
        "    batch.alter_column('age', type_=sa.BigInteger())"
    ),
    "a table that is not there": "op.execute('DROP TABLE IF EXISTS absent')",
    "a table of its own": (
        "op.create_table('helper', sa.Column('id', sa.Integer))\nop.drop_table('helper')"
    ),
    "a temporary table": (
        "op.execute('CREATE TEMPORARY TABLE helper AS SELECT * FROM people')\n"
        "op.execute('DROP TABLE helper')"
    ),
    "a constraint": (
        "with op.batch_alter_table('people') as batch:\n"
        "    batch.create_unique_constraint('u', ['name'])\n"
        "with op.batch_alter_table('people') as batch:\n"
        "    batch.drop_constraint('u', type_='unique')"
    ),
    "an index": "op.create_index('i', 'people', ['name'])\nop.drop_index('i')",
    "a text": """op.execute("INSERT INTO people VALUES (2, 'DROP TABLE people', 3)")""",
}


@pytest.fixture
def made(shared_url: str) -> Iterator[Database]:
    """A database with tables that hold something."""
    with Database(shared_url) as database:
        execute(database, *MADE)
        yield database


@pytest.mark.parametrize(("code", "lost"), ALL.values(), ids=list(ALL))
def test_a_loss_is_refused_unless_it_is_named(
    project: Project, made: Database, code: str, lost: str
) -> None:
    revision = project.revision(code)

    with pytest.raises(MigrationError) as refused:
        upgrade(made, project=project.root)
    assert f"revision {revision} drops {lost} and all that is in it" in str(refused.value)
    assert f'drops = {{"{lost}"}}' in str(refused.value)
    assert rows(made, "SELECT name, age FROM people") == [("Ada", 36)]
    assert rows(made, 'SELECT "first", "first name" FROM "Old Pets"') == []
    assert current(made) is None

    project.forget()
    project.revision(code, drops=f'{{"{lost}"}}')
    upgrade(made, project=project.root)
    assert current(made) == revision


@pytest.mark.parametrize("code", KEEPING.values(), ids=list(KEEPING))
def test_what_loses_nothing_needs_no_word(project: Project, made: Database, code: str) -> None:
    project.revision(code)

    upgrade(made, project=project.root)

    assert current(made) == "0001"


def test_a_renamed_table_goes_by_its_last_name(project: Project, made: Database) -> None:
    project.revision("op.rename_table('people', 'humans')\nop.drop_table('humans')")

    with pytest.raises(MigrationError, match="drops humans "):
        upgrade(made, project=project.root)


def test_several_losses_are_named_together(project: Project, made: Database) -> None:
    code = "op.drop_table('Old Pets')\n" + COLUMNS["batch"]
    project.revision(code, drops='{"Old Pets"}')

    with pytest.raises(MigrationError, match=r'drops people\.age .*\{"Old Pets", "people\.age"\}'):
        upgrade(made, project=project.root)


def test_a_single_name_may_stand_alone(project: Project, made: Database) -> None:
    project.revision("op.drop_table('people')", drops="'people'")

    upgrade(made, project=project.root)

    assert current(made) == "0001"


def test_what_one_revision_says_does_not_hold_for_another(project: Project, made: Database) -> None:
    project.revision("op.drop_table('people')", drops="{'people'}")
    project.revision("op.create_table('people', sa.Column('id', sa.Integer))")
    project.revision("op.drop_table('people')")

    with pytest.raises(MigrationError, match="revision 0003 drops people"):
        upgrade(made, project=project.root)

    assert rows(made, "SELECT name FROM people") == [("Ada",)]


def test_one_rebuild_does_not_hide_an_earlier_loss(project: Project, made: Database) -> None:
    project.revision(
        "op.execute('DROP TABLE people')\n"
        "op.execute('CREATE TABLE people (id INTEGER PRIMARY KEY, age INTEGER)')\n"
        + KEEPING["another type"]
    )

    with pytest.raises(MigrationError, match="drops people "):
        upgrade(made, project=project.root)


def test_a_downgrade_may_drop(project: Project, made: Database) -> None:
    project.revision("pass", downgrade="op.drop_table('people')\nop.drop_table('Old Pets')")
    upgrade(made, project=project.root)

    downgrade(made, "base", project=project.root)

    assert current(made) is None
    with pytest.raises(Exception, match="people"):
        rows(made, "SELECT * FROM people")


SERVER_ONLY = {
    "another schema": ("op.drop_table('pets', schema='archive')", "archive.pets"),
    "a column in another schema": (
        "op.drop_column('pets', 'name', schema='archive')",
        "archive.pets.name",
    ),
    "the schema": ("op.execute('DROP SCHEMA archive CASCADE')", "archive.pets"),
    "a block": ("op.execute('DO $$ BEGIN EXECUTE $x$DROP TABLE people$x$; END $$')", "people"),
    "two columns": (
        "op.execute('ALTER TABLE people DROP name, DROP age')",
        "people.age, people.name",
    ),
    "two tables": ("op.execute('DROP TABLE people, \"Old Pets\"')", "Old Pets, people"),
    "two statements": ("op.execute('SELECT 1; DROP TABLE people')", "people"),
    "the usual schema": ("op.execute('DROP TABLE public.people')", "people"),
}


@pytest.mark.parametrize(("code", "lost"), SERVER_ONLY.values(), ids=list(SERVER_ONLY))
def test_what_postgresql_can_do_besides(
    project: Project, postgresql: Database, code: str, lost: str
) -> None:
    execute(postgresql, *MADE, "CREATE SCHEMA archive")
    execute(postgresql, "CREATE TABLE archive.pets (id INT, name TEXT)")
    project.revision(code)

    with pytest.raises(MigrationError) as refused:
        upgrade(postgresql, project=project.root)
    assert f"drops {lost} and" in str(refused.value)

    project.forget()
    project.revision(code, drops=repr(set(lost.split(", "))))
    upgrade(postgresql, project=project.root)
    execute(postgresql, "DROP SCHEMA IF EXISTS archive CASCADE")
    assert current(postgresql) == "0001"


def test_the_main_database_may_be_named(project: Project, sqlite: Database) -> None:
    execute(sqlite, *MADE)
    project.revision("op.execute('DROP TABLE main.\"people\"')", drops='{"people"}')

    upgrade(sqlite, project=project.root)

    assert current(sqlite) == "0001"


@pytest.mark.parametrize("code", [TABLES["operation"], COLUMNS["SQL without COLUMN"]])
def test_sql_for_review_is_refused_as_well(project: Project, shared_url: str, code: str) -> None:
    project.revision("op.create_table('people', sa.Column('age', sa.Integer))")
    project.revision(code)

    said = project.fails(shared_url, "upgrade", "head", "--sql")

    assert "revision 0002 drops people" in said
    assert "CREATE TABLE" not in said
    assert "Traceback" not in said
