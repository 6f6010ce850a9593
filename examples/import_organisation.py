"""An organisation on GitHub becomes people and teams, in one unit of work.

    GITHUB_TOKEN=… python examples/import_organisation.py ORGANISATION
    python examples/import_organisation.py ORGANISATION --base-url https://github.example.com/api/v3

It uses the database of ``DATABASE_URL``, or the file app.db, and makes the tables. Run it
again whenever you like: who and what is known already is updated. A person belongs to
one team here, so it is the first one, by name, of those on GitHub.
"""

import argparse
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from os import environ
from pathlib import Path
from typing import ClassVar

from sqlmodel import Field

from domain import Person, Team
from domain.errors import KitError, Throttled
from domain.ports import DirectoryMember, DirectoryTeam, TeamDirectory
from infrastructure.database import BaseRepository, Database, Model
from infrastructure.database.alembic import upgrade
from infrastructure.database.unit_of_work import UnitOfWork
from infrastructure.external_services.github_directory import GITHUB, GitHubDirectory


class DirectoryLink(Model, table=True):
    """Which entry of the directory is which row here: names and addresses change, keys do not."""

    __tablename__: ClassVar[str] = "directory_links"

    kind: str = Field(primary_key=True, max_length=10)
    key: str = Field(primary_key=True, max_length=40)
    row_id: int


@dataclass(frozen=True)
class Organisation:
    """What a directory says, all of it read before anything is stored."""

    members: list[DirectoryMember]
    teams: list[DirectoryTeam]


def read(directory: TeamDirectory, name: str) -> Organisation:
    """Ask for everything. This may take minutes, so no transaction is open meanwhile."""
    teams = sorted(directory.teams(name), key=lambda team: team.name)
    return Organisation(directory.members(name), teams)


def store(uow: UnitOfWork, organisation: Organisation) -> None:
    """Create what is new, and update the rest. Whoever calls it commits."""
    links = uow.repository(DirectoryLink)
    teams = {team.key: stored_team(uow, links, team) for team in organisation.teams}
    team_of = first_teams(organisation.teams)
    for member in organisation.members:
        person = stored_person(uow, links, member)
        person.leave()
        if member.key in team_of:
            team = teams[team_of[member.key]]
            person.join(team, members=uow.people.count_in_team(team.id or 0))


def stored_team(
    uow: UnitOfWork, links: BaseRepository[DirectoryLink], entry: DirectoryTeam
) -> Team:
    """The team of this entry, by its key; by its name, if it was here before."""
    link = links.get_by_id(("team", entry.key))
    known = uow.teams.get_by_id(link.row_id) if link else uow.teams.find_by_name(entry.name)
    team = known or uow.teams.create(Team(name=entry.name))
    team.name = entry.name
    remember(links, link, "team", entry.key, team.id)
    return team


def stored_person(
    uow: UnitOfWork, links: BaseRepository[DirectoryLink], entry: DirectoryMember
) -> Person:
    """The person of this entry, by its key; by the address, if it was here before."""
    link = links.get_by_id(("member", entry.key))
    known = uow.people.get_by_id(link.row_id) if link else uow.people.find_by_email(entry.email)
    person = known or uow.people.create(Person(name=entry.name, email=entry.email))
    person.name, person.email = entry.name, entry.email
    remember(links, link, "member", entry.key, person.id)
    return person


def remember(
    links: BaseRepository[DirectoryLink],
    link: DirectoryLink | None,
    kind: str,
    key: str,
    id: int | None,
) -> None:
    """Note which row it is; a row that was deleted here has a successor now."""
    if link is None:
        links.create(DirectoryLink(kind=kind, key=key, row_id=id or 0))
    elif id is not None:
        link.row_id = id


def first_teams(teams: Iterable[DirectoryTeam]) -> dict[str, str]:
    """The key of a team for each member: the first that names them."""
    found: dict[str, str] = {}
    for team in teams:
        for member in team.members:
            found.setdefault(member, team.key)
    return found


def main() -> int:
    """Read, then store; what goes wrong is said in one line."""
    parser = argparse.ArgumentParser(description="Import an organisation from GitHub.")
    parser.add_argument("organisation")
    parser.add_argument("--base-url", default=GITHUB)
    arguments = parser.parse_args()
    database = Database.default()
    try:
        upgrade(database, project=Path(__file__).parents[1])
        database.create_all(Model.metadata)  # the table of this example; others would migrate
        with GitHubDirectory(arguments.base_url, token=environ.get("GITHUB_TOKEN")) as directory:
            found = read(directory, arguments.organisation)
        with UnitOfWork(database) as uow:
            store(uow, found)
            people, teams = uow.people.count(), uow.teams.count()
            uow.commit()
    except Throttled as error:
        wait = "later" if error.retry_after is None else f"in {error.retry_after:.0f} s"
        print(f"Error: {error}; try again {wait}", file=sys.stderr)
        return 1
    except KitError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    print(f"{len(found.members)} members and {len(found.teams)} teams read")
    print(f"{people} people and {teams} teams stored")
    return 0


if __name__ == "__main__":
    sys.exit(main())
