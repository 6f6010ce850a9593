"""What cannot be done is said in one line; nothing is written then."""

from __future__ import annotations

import pytest

from infrastructure.database.codegen import GenerationError, generate
from tests.codegen.workshop import Workshop

TABLE = "CREATE TABLE things (id INTEGER PRIMARY KEY NOT NULL, name VARCHAR(20))"
SECRET = "s3cr3t"

URLS = {
    "nonsense": "is no database URL",
    f"mysql://me:{SECRET}@localhost/x": "mysql is not supported",
    "sqlite:///nowhere/there.db": "there is no file nowhere/there.db",
    f"postgresql://me:{SECRET}@127.0.0.1:1/x": "127.0.0.1:1/x",
}


@pytest.mark.parametrize("url", URLS)
def test_a_wrong_url_is_refused_without_its_password(on_sqlite: Workshop, url: str) -> None:
    done = on_sqlite.command("--url", url)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert URLS[url] in done.stderr
    assert done.stderr.count("\n") == 1
    assert SECRET not in done.stderr
    assert not on_sqlite.models.exists()


def test_a_file_that_is_no_database_is_refused(on_sqlite: Workshop) -> None:
    (on_sqlite.folder / "text.db").write_text("no database at all" * 100)
    done = on_sqlite.command("--url", "sqlite:///text.db")
    assert (done.returncode, done.stdout) == (2, "")
    assert "file is not a database" in done.stderr
    assert done.stderr.count("\n") == 1
    assert (on_sqlite.folder / "text.db").stat().st_size == 1800


def test_an_empty_schema_is_refused(workshop: Workshop) -> None:
    with pytest.raises(GenerationError, match=r'the schema "(main|public)" holds no tables'):
        workshop.generate()
    assert not workshop.models.exists()


def test_a_schema_that_does_not_exist_is_refused(workshop: Workshop) -> None:
    workshop.execute(TABLE)
    with pytest.raises(GenerationError, match=r'there is no schema "x"; there are: (main|public)'):
        workshop.generate(schemas=["x"])
    assert not workshop.models.exists()


def test_a_table_that_does_not_exist_is_refused(workshop: Workshop) -> None:
    workshop.execute(TABLE)
    for tables in (["things", "nothing"], ["things,nothing"]):
        with pytest.raises(GenerationError, match='there is no table or view "nothing"'):
            workshop.generate(tables=tables)
    assert not workshop.models.exists()


def test_a_folder_with_other_code_is_refused(on_sqlite: Workshop) -> None:
    on_sqlite.execute(TABLE)
    on_sqlite.models.mkdir()
    (on_sqlite.models / "main.py").write_text("print('mine')\n")
    done = on_sqlite.command()
    assert (done.returncode, done.stdout) == (2, "")
    assert "shop holds other code (main.py)" in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(on_sqlite.files()) == ["main.py"]


def test_what_was_not_generated_is_overwritten_by_force_alone(on_sqlite: Workshop) -> None:
    on_sqlite.execute(TABLE)
    on_sqlite.generate()
    on_sqlite.execute("CREATE TABLE parts (id INTEGER PRIMARY KEY NOT NULL)")
    (on_sqlite.models / "part.py").write_text("mine = 1\n")
    with pytest.raises(GenerationError, match=r"part\.py was not generated; .* --force"):
        on_sqlite.generate()
    assert on_sqlite.text("part") == "mine = 1\n"
    on_sqlite.generate(force=True)
    assert "class Part(Model" in on_sqlite.text("part")


def test_a_file_in_place_of_the_folder_is_refused(on_sqlite: Workshop) -> None:
    on_sqlite.execute(TABLE)
    on_sqlite.models.write_text("text")
    with pytest.raises(GenerationError, match="shop is no folder"):
        on_sqlite.generate()


def test_models_that_do_not_fit_are_not_written(on_sqlite: Workshop) -> None:
    on_sqlite.execute(TABLE)
    on_sqlite.generate()
    on_sqlite.edit("thing", ("class Thing(Model", "import nothing_at_all\n\n\nclass Thing(Model"))
    on_sqlite.execute("ALTER TABLE things ADD COLUMN more INTEGER")
    before = on_sqlite.files()
    message = r"(?s)do not fit the database, and nothing was written:.*thing\.py, line \d+: Module"
    with pytest.raises(GenerationError, match=message):
        on_sqlite.generate()
    assert on_sqlite.files() == before


def test_a_difference_names_table_and_column(on_sqlite: Workshop) -> None:
    on_sqlite.execute(TABLE)
    on_sqlite.generate()
    index = "\n\nIndex('mine', Thing.__table__.c.name)  # type: ignore[attr-defined]\n"
    path = on_sqlite.models / "thing.py"
    path.write_text(path.read_text() + index)
    on_sqlite.edit("thing", ("from sqlmodel", "from sqlalchemy import Index\nfrom sqlmodel"))
    before = on_sqlite.files()
    with pytest.raises(GenerationError, match=r"\n  things\(name\) mine: add index"):
        on_sqlite.generate()
    assert on_sqlite.files() == before


def test_no_command_is_a_word_on_how_to_use_it(on_sqlite: Workshop) -> None:
    done = on_sqlite.command("--nonsense")
    assert done.returncode == 2
    assert "unrecognized arguments: --nonsense" in done.stderr


def test_a_module_with_a_mistake_in_it_is_named(on_sqlite: Workshop) -> None:
    on_sqlite.execute(TABLE)
    on_sqlite.generate()
    on_sqlite.edit("thing", ("class Thing", "klass Thing"))
    with pytest.raises(GenerationError, match=r"thing\.py, line \d+: invalid syntax"):
        on_sqlite.generate()


def test_an_engine_that_cannot_connect_shows_no_password(on_sqlite: Workshop) -> None:
    url = f"postgresql+psycopg://me:{SECRET}@127.0.0.1:1/x"
    with pytest.raises(GenerationError) as caught:
        generate(url, out=on_sqlite.models)
    assert SECRET not in str(caught.value)
    assert caught.value.__suppress_context__
