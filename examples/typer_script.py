"""A program for the command line, on Typer (pip install typer).

    python examples/typer_script.py add-team Core --limit 3
    python examples/typer_script.py add-person Ada ada@example.com --team Core
    python examples/typer_script.py list

It uses the database of ``DATABASE_URL``, or the file app.db, and makes the tables.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from services import join_team, teams_with_members

from domain import Person, Team
from domain.errors import ConflictError, EntityNotFound, TransientError, ValidationError
from infrastructure.database import Database
from infrastructure.database.alembic import upgrade
from infrastructure.database.unit_of_work import UnitOfWork

app = typer.Typer(no_args_is_help=True, help="People and teams.")


@contextmanager
def unit_of_work(*, read_only: bool = False) -> Iterator[UnitOfWork]:
    """The unit of a command, committed at its end; what is refused ends with status 1."""
    try:
        with UnitOfWork(read_only=read_only) as uow:
            yield uow
            uow.commit()
    except (ValidationError, EntityNotFound, ConflictError, TransientError) as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from None


@app.command()
def add_team(name: str, limit: Annotated[int | None, typer.Option(help="Seats.")] = None) -> None:
    """Add a team."""
    with unit_of_work() as uow:
        uow.teams.create(Team(name=name, member_limit=limit))
    typer.echo(f"{name} is there")


@app.command()
def add_person(
    name: str, email: str, team: Annotated[str | None, typer.Option(help="Joins it.")] = None
) -> None:
    """Add a person."""
    with unit_of_work() as uow:
        uow.people.create(Person(name=name, email=email))
        if team is not None:
            join_team(uow, email, team)
    typer.echo(f"{name} is there")


@app.command()
def join(email: str, team: str) -> None:
    """Let somebody change to a team."""
    with unit_of_work() as uow:
        person = join_team(uow, email, team)
    typer.echo(f"{person.name} is in {team}")


@app.command("list")
def list_teams() -> None:
    """List the teams with their members."""
    with unit_of_work(read_only=True) as uow:
        found = teams_with_members(uow)
    for team, members in found:
        seats = "" if team.member_limit is None else f" of {team.member_limit}"
        names = ", ".join(person.name for person in members)
        typer.echo(f"{team.name} ({len(members)}{seats}): {names}".rstrip(": "))


if __name__ == "__main__":
    upgrade(Database.default(), project=Path(__file__).parents[1])
    app()
