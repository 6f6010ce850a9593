"""The example reads an organisation from a server, and stores it: again and again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from import_organisation import DirectoryLink, read, store

from domain import Person, Team
from domain.errors import Throttled
from infrastructure.database import Database
from infrastructure.database.unit_of_work import UnitOfWork
from infrastructure.external_services.github_directory import GitHubDirectory
from tests.conftest import APPLICATION
from tests.external_services.conftest import MakeServer
from tests.external_services.github import GitHub, primary_limit
from tests.external_services.server import Server

ROOT = Path(__file__).parents[2]


@pytest.fixture
def tables() -> list[Any]:
    return [*APPLICATION, DirectoryLink]


@pytest.fixture
def github() -> GitHub:
    found = GitHub(token="secret-token", per_page=2)
    found.add_user(30, "grace", "Grace Hopper", "grace@example.com")
    found.add_user(7, "ada", "Ada Lovelace", "ada@example.com")
    found.add_user(12, "alan")
    found.add_team(5, "core", "Core", "grace", "ada")
    found.add_team(3, "pair", "Pair", "ada")
    return found


@pytest.fixture
def server(github: GitHub, serve: MakeServer) -> Server:
    return serve(github)


def run_import(server: Server, database: Database) -> None:
    with GitHubDirectory(server.url, token="secret-token") as directory:
        found = read(directory, "acme")
    with UnitOfWork(database) as uow:
        store(uow, found)
        uow.commit()


def stored(database: Database) -> tuple[dict[str, tuple[str, str | None]], list[str]]:
    """People by name, with address and team; and all teams."""
    with UnitOfWork(database, read_only=True) as uow:
        teams: dict[int | None, str] = {team.id: team.name for team in uow.teams.get_all()}
        people = uow.people.get_all()
    return {p.name: (p.email, teams.get(p.team_id)) for p in people}, sorted(teams.values())


FIRST = {
    "Grace Hopper": ("grace@example.com", "Core"),
    "Ada Lovelace": ("ada@example.com", "Core"),
    "alan": ("12+alan@users.noreply.github.com", None),
}


def test_an_organisation_is_imported_and_imported_again(server: Server, database: Database) -> None:
    for _ in range(3):
        run_import(server, database)
        assert stored(database) == (FIRST, ["Core", "Pair"])


def test_what_changed_is_updated(github: GitHub, server: Server, database: Database) -> None:
    run_import(server, database)
    github.users["ada"] |= {"name": "Ada King", "email": "king@example.com"}
    github.users["alan"] |= {"name": "Alan Turing"}
    github.add_user(40, "new")
    github.teams["core"] |= {"name": "Kernel", "members": ["grace", "alan"]}

    run_import(server, database)
    assert stored(database) == (
        {
            "Grace Hopper": ("grace@example.com", "Kernel"),
            "Ada King": ("king@example.com", "Pair"),
            "Alan Turing": ("12+alan@users.noreply.github.com", "Kernel"),
            "new": ("40+new@users.noreply.github.com", None),
        },
        ["Kernel", "Pair"],
    )


def test_who_was_here_before_is_taken_over(server: Server, database: Database) -> None:
    with UnitOfWork(database) as uow:
        uow.people.create(Person(name="Ada", email="ada@example.com"))
        uow.teams.create(Team(name="Core"))
        uow.commit()
    run_import(server, database)
    assert stored(database) == (FIRST, ["Core", "Pair"])


def test_who_was_deleted_here_is_made_again(server: Server, database: Database) -> None:
    run_import(server, database)
    with UnitOfWork(database) as uow:
        uow.people.delete(uow.people.find_by_email("ada@example.com"))
        uow.commit()
    for _ in range(2):
        run_import(server, database)
        assert stored(database) == (FIRST, ["Core", "Pair"])


def test_nothing_is_stored_of_an_organisation_that_could_not_be_read(
    github: GitHub, server: Server, database: Database
) -> None:
    github.limits_after = 6
    with pytest.raises(Throttled):
        run_import(server, database)
    assert len(server.requests) == 7
    assert stored(database) == ({}, [])


# -- the program -----------------------------------------------------------------------------------


def run(server: Server, url: str, tmp_path: Path, token: str) -> subprocess.CompletedProcess[str]:
    """As a user would."""
    program = str(ROOT / "examples" / "import_organisation.py")
    return subprocess.run(
        [sys.executable, "-W", "error", program, "acme", "--base-url", server.url],
        cwd=tmp_path,
        env=os.environ | {"DATABASE_URL": url, "GITHUB_TOKEN": token, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_the_program_says_what_it_did(server: Server, sqlite_url: str, tmp_path: Path) -> None:
    for _ in range(2):
        done = run(server, sqlite_url, tmp_path, "secret-token")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == "3 members and 2 teams read\n3 people and 2 teams stored\n"
    with Database(sqlite_url) as database:
        assert stored(database) == (FIRST, ["Core", "Pair"])


@pytest.mark.parametrize("case", ["wrong token", "limit"])
def test_an_error_is_one_line_without_the_token(
    case: str, github: GitHub, server: Server, sqlite_url: str, tmp_path: Path
) -> None:
    if case == "limit":
        github.limits = [primary_limit(403, 1800)]
        done = run(server, sqlite_url, tmp_path, "secret-token")
        assert "try again in 1" in done.stderr
    else:
        done = run(server, sqlite_url, tmp_path, "other-token")
        assert "refused with status 401" in done.stderr
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: 127.0.0.1")
    assert done.stderr.count("\n") == 1
    assert "-token" not in done.stderr
