"""A first look at the kit: the Apollo missions are the teams, their astronauts the people.

    python examples/quickstart.py
    DATABASE_URL=postgresql+psycopg://user@host/name python examples/quickstart.py

Without ``DATABASE_URL`` it makes a new SQLite file in a temporary directory.
It needs empty tables, and removes nothing.
"""

import csv
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from os import environ
from pathlib import Path

from sqlalchemy import inspect

from domain import Person, Team, where
from domain.errors import DatabaseUnavailable, UniqueViolation, ValidationError
from infrastructure.database import Database
from infrastructure.database.alembic import MigrationError, current, upgrade
from infrastructure.database.unit_of_work import UnitOfWork

DATA = Path(__file__).parent / "data"
PROJECT = Path(__file__).parents[1]


# -- what a unit of work does --------------------------------------------------------------


def load(database: Database) -> str:
    """Teams and people in one unit: all of it is stored by ``commit()``, or nothing."""
    with UnitOfWork(database) as uow:
        teams = uow.teams.create_many(
            Team(name=row["name"], member_limit=int(row["member_limit"]))
            for row in rows_of("teams.csv")
        )
        ids = {team.name: team.id for team in teams}
        people = uow.people.create_many(
            Person(name=row["name"], email=row["email"], team_id=ids[row["team"]])
            for row in rows_of("people.csv")
        )
        uow.commit()
    return f"{len(teams)} teams and {len(people)} people stored by one commit()"


def fail_in_the_middle(database: Database) -> str:
    """An exception ends the unit, and nothing of it is left."""
    reason = "no error"
    try:
        with UnitOfWork(database) as uow:
            skylab = uow.teams.create(Team(name="Skylab 2", member_limit=3))
            uow.people.one(where("name") == "Charles Conrad").join(skylab, members=0)
            uow.people.create(Person(name="Joseph Kerwin", email="kerwin@", team_id=skylab.id))
            uow.commit()
    except ValidationError as error:
        reason = str(error)

    with UnitOfWork(database, read_only=True) as uow:
        conrad = uow.people.one(where("name") == "Charles Conrad")
        left = f"{uow.teams.count()} teams, {uow.people.count()} people as before"
        return f"{reason}\n{left}; Conrad is in {team_of(uow, conrad).name}"


def change(database: Database) -> str:
    """What was loaded and changed is written by ``commit()``; there is no save()."""
    with UnitOfWork(database) as uow:
        person = uow.people.one(where("email") == "mattingly@example.org")
        before = person.name
        person.name = "Thomas Kenneth Mattingly"
        uow.commit()

    with UnitOfWork(database, read_only=True) as uow:
        after = uow.people.one(where("email") == "mattingly@example.org").name
    return f"{before} is now {after}"


def duplicate(database: Database) -> str:
    """An address belongs to one person; the error says what is taken."""
    try:
        with UnitOfWork(database) as uow:
            uow.people.create(Person(name="Neil A. Armstrong", email="armstrong@example.org"))
            uow.commit()
    except UniqueViolation as error:
        return f"{type(error).__name__}: {error}"
    return "stored twice"


def limit(database: Database) -> str:
    """A mission has three seats; this rule is the domain's own."""
    refused = "joined"
    with UnitOfWork(database) as uow:
        lovell = uow.people.one(where("name") == "James Lovell")
        full = uow.teams.one(where("name") == "Apollo 11")
        free = uow.teams.one(where("name") == "Apollo 8")
        try:
            lovell.join(full, members=members_of(uow, full))
        except ValidationError as error:
            refused = str(error)
        lovell.join(free, members=members_of(uow, free))
        uow.commit()
    return f"{full.name}: {refused}\n{free.name}: {lovell.name} joined"


def ask(database: Database) -> str:
    """Conditions are values: they can be named, combined and passed on."""
    last_three = where("name").in_(["Apollo 15", "Apollo 16", "Apollo 17"])
    with UnitOfWork(database, read_only=True) as uow:
        teams = uow.teams.get_all(last_three, order_by="-name")
        in_these = where("team_id").in_([team.id for team in teams])
        c_or_e = where("name").startswith("C") | where("name").startswith("E")
        found = uow.people.get_all(in_these & c_or_e, order_by="name")
        teamless = uow.people.exists(where("team_id").is_none())
    return (
        f"{', '.join(team.name for team in teams)}, name begins with C or E: "
        f"{', '.join(person.name for person in found)}\n"
        f"without a team: {'somebody' if teamless else 'nobody'}"
    )


STEPS: Mapping[str, Callable[[Database], str]] = {
    "load in one unit": load,
    "fail in the middle": fail_in_the_middle,
    "change and commit": change,
    "refuse a duplicate": duplicate,
    "respect a limit": limit,
    "ask": ask,
}


def crews(database: Database) -> list[tuple[str, str, str]]:
    """Each mission with its seats and who has them, read in two queries."""
    with UnitOfWork(database, read_only=True) as uow:
        people = uow.people.get_all(order_by="name")
        teams = uow.teams.get_all(order_by="id")
    members = {team: [p.name for p in people if p.team_id == team.id] for team in teams}
    return [
        (team.name, f"{len(names)} of {team.member_limit}", ", ".join(names))
        for team, names in members.items()
    ]


def team_of(uow: UnitOfWork, person: Person) -> Team:
    return uow.teams.require(person.team_id)


def members_of(uow: UnitOfWork, team: Team) -> int:
    return uow.people.count(where("team_id") == team.id)


# -- around it -----------------------------------------------------------------------------


def open_database() -> Database:
    """The one of ``DATABASE_URL``, or a new file."""
    if environ.get("DATABASE_URL"):
        return Database()
    directory = tempfile.mkdtemp(prefix="apollo-")
    return Database(f"sqlite:///{directory}/apollo.db")


def prepare(database: Database) -> bool:
    """Make the tables by migrations; whether there is nobody in them."""
    if current(database) is None and inspect(database.engine).has_table("people"):
        return False  # somebody else's
    upgrade(database, project=PROJECT)
    with UnitOfWork(database, read_only=True) as uow:
        return not (uow.people.exists() or uow.teams.exists())


def rows_of(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def run_steps(database: Database) -> list[tuple[str, str]]:
    rows = []
    for name, step in STEPS.items():
        first, *others = step(database).splitlines()
        rows += [(name, first), *(("", line) for line in others)]
    return rows


def print_table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    rule = tuple("-" * width for width in widths)
    for row in (head, rule, *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())


def main() -> int:
    try:
        database = open_database()
        empty = prepare(database)
    except (DatabaseUnavailable, MigrationError, ValidationError) as error:
        print(error, file=sys.stderr)
        return 1
    with database:
        if not empty:
            print(
                f"{database.url}: there are people and teams already. This example needs a "
                "database without them, and removes nothing: give it another one.",
                file=sys.stderr,
            )
            return 1
        print(f"Database: {database.url}\n")
        print_table(("step", "result"), run_steps(database))
        print()
        print_table(("mission", "seats", "crew"), crews(database))
    return 0


if __name__ == "__main__":
    sys.exit(main())
