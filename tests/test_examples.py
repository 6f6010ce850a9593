"""The examples, run as a user runs them: as programs of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from domain import Person
from infrastructure.database import Database
from infrastructure.database.unit_of_work import UnitOfWork

ROOT = Path(__file__).parent.parent


def run(example: str, tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run it from an unrelated directory, with nothing of the kit in the environment."""
    kept = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    return subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "examples" / example)],
        check=False,
        cwd=tmp_path,
        env=kept | {"PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)} | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


EXPECTED = [
    "load in one unit    11 teams and 29 people stored by one commit()",
    "fail in the middle  Person is not valid: email: must look like name@example.com",
    "                    11 teams, 29 people as before; Conrad is in Apollo 12",
    "change and commit   Ken Mattingly is now Thomas Kenneth Mattingly",
    "refuse a duplicate  UniqueViolation: Person.email is already taken",
    "respect a limit     Apollo 11: Team is not valid: member_limit: the team is full",
    "                    Apollo 8: James Lovell joined",
    "ask                 Apollo 17, Apollo 16, Apollo 15, name begins with C or E: Charles Duke",
    "                    without a team: nobody",
    "Apollo 7   3 of 3  Donn Eisele, Walter Cunningham, Walter Schirra",
    "Apollo 8   3 of 3  Frank Borman, James Lovell, William Anders",
    "Apollo 10  1 of 3  Thomas Stafford",
    "Apollo 16  3 of 3  Charles Duke, John Young, Thomas Kenneth Mattingly",
]


def assert_tells_the_tour(done: subprocess.CompletedProcess[str]) -> None:
    assert (done.returncode, done.stderr) == (0, "")
    lines = iter(done.stdout.splitlines())
    for expected in EXPECTED:
        assert any(line.startswith(expected) for line in lines), f"{expected}\n\n{done.stdout}"


def count_people(url: str) -> int:
    with Database(url) as database, UnitOfWork(database, read_only=True) as uow:
        return uow.people.count()


def test_the_quickstart_runs_on_a_new_sqlite_file_and_says_where_it_is(tmp_path: Path) -> None:
    done = run("quickstart.py", tmp_path)

    assert_tells_the_tour(done)
    url = done.stdout.splitlines()[0].removeprefix("Database: ")
    assert url.startswith(f"sqlite:///{tmp_path}")
    assert count_people(url) == 29


def test_the_quickstart_can_be_run_again(tmp_path: Path) -> None:
    assert run("quickstart.py", tmp_path).returncode == 0
    assert_tells_the_tour(run("quickstart.py", tmp_path))


def test_the_quickstart_leaves_nothing_beside_its_one_file(tmp_path: Path) -> None:
    run("quickstart.py", tmp_path)

    (directory,) = tmp_path.iterdir()
    assert [file.name for file in directory.iterdir()] == ["apollo.db"]


def test_the_quickstart_runs_where_database_url_says(shared_url: str, tmp_path: Path) -> None:
    done = run("quickstart.py", tmp_path, DATABASE_URL=shared_url)

    assert_tells_the_tour(done)
    assert count_people(shared_url) == 29


def test_the_quickstart_stops_at_foreign_rows_and_leaves_them_alone(
    shared_url: str, shared_database: Database, tmp_path: Path
) -> None:
    with UnitOfWork(shared_database) as uow:
        uow.people.create(Person(name="Somebody Else", email="else@example.org"))
        uow.commit()

    done = run("quickstart.py", tmp_path, DATABASE_URL=shared_url)

    assert (done.returncode, done.stdout) == (1, "")
    assert "there are people and teams already" in done.stderr
    assert count_people(shared_url) == 1


def test_the_quickstart_says_when_there_is_no_database(tmp_path: Path) -> None:
    done = run(
        "quickstart.py", tmp_path, DATABASE_URL="postgresql+psycopg://u:hidden@127.0.0.1:1/x"
    )

    assert done.returncode == 1
    assert "postgresql+psycopg://u:***@127.0.0.1:1/x" in done.stderr
    assert "Traceback" not in done.stderr
    assert "hidden" not in done.stderr


def test_the_quickstart_says_when_the_url_is_none(tmp_path: Path) -> None:
    done = run("quickstart.py", tmp_path, DATABASE_URL="mysql://u:hidden@127.0.0.1/x")

    assert done.returncode == 1
    assert "mysql is not supported" in done.stderr
    assert "hidden" not in done.stderr


def test_the_data_says_of_every_mission_who_flew_it_and_whoever_flew_is_listed_once() -> None:
    data = ROOT / "examples" / "data"
    teams = (data / "teams.csv").read_text(encoding="utf-8").splitlines()[1:]
    people = (data / "people.csv").read_text(encoding="utf-8").splitlines()[1:]

    assert len(teams) == 11
    assert len({line.split(",")[0] for line in people}) == len(people) == 29
    assert {line.split(",")[2] for line in people} == {line.split(",")[0] for line in teams}
