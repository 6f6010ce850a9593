"""Services of the domain: what one does with people and teams, whatever stores them.

They import the domain only. Whoever calls them has opened the unit, and commits it.
"""

from collections import defaultdict

from domain import Person, Team, where
from domain.unit_of_work import UnitOfWork


def join_team(uow: UnitOfWork, email: str, team_name: str) -> Person:
    """Somebody changes to a team.

    Raises ``EntityNotFound`` if there is no such person or team, and ``ValidationError``
    if the team is full.
    """
    team = uow.teams.one(where("name") == team_name)
    person = uow.people.one(where("email") == email)
    person.join(team, members=uow.people.count(where("team_id") == team.id))
    return person


def close_team(uow: UnitOfWork, team_name: str, *, successor: str | None = None) -> list[Person]:
    """A team ends. Its members, who are returned, have none afterwards, or the successor.

    Raises ``EntityNotFound``, and ``ValidationError`` if they do not all fit in.
    """
    team = uow.teams.one(where("name") == team_name)
    members = uow.people.get_all(where("team_id") == team.id, order_by="name")
    for person in members:
        if successor is None:
            person.leave()
        else:
            join_team(uow, person.email, successor)
    uow.teams.delete(team)
    return members


def teams_with_members(uow: UnitOfWork) -> list[tuple[Team, list[Person]]]:
    """All teams with their members, both by name: two queries, however many teams there are."""
    members: defaultdict[int | None, list[Person]] = defaultdict(list)
    for person in uow.people.get_all(~where("team_id").is_none(), order_by="name"):
        members[person.team_id].append(person)
    return [(team, members[team.id]) for team in uow.teams.get_all(order_by="name")]
