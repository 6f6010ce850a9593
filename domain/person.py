"""A person, and where people are kept."""

import re
from dataclasses import dataclass
from typing import Protocol

from domain.entity import Entity, id_of
from domain.errors import ValidationError
from domain.event import Event
from domain.ports import Repository
from domain.team import Team

# Plausible, not proven: only a message to it proves that an address exists.
_EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")


@dataclass(frozen=True, kw_only=True)
class PersonJoinedTeam(Event):
    """Somebody belongs to another team than before."""

    event_type = "person.joined_team"

    person_id: int
    team_id: int

    @property
    def ordering_key(self) -> str:
        """All of one person in their order."""
        return f"person {self.person_id}"


@dataclass(eq=False, kw_only=True)
class Person(Entity):
    """Somebody who may belong to one team."""

    name: str
    email: str
    team_id: int | None = None
    id: int | None = None

    def __post_init__(self) -> None:
        errors: dict[str, str] = {}
        if not _is_filled(self.name):
            errors["name"] = "must be text and not blank"
        if not _is_address(self.email):
            errors["email"] = "must look like name@example.com"
        if not _is_id(self.team_id):
            errors["team_id"] = "must be the id of a team, or None for no team"
        if not _is_id(self.id):
            errors["id"] = "must be a whole number, or None until it is stored"
        if errors:
            raise ValidationError("Person", errors)

    def join(self, team: Team, *, members: int | None = None) -> None:
        """Belong to this team from now on, and to no other.

        ``members`` is how many it has already; a team with a limit needs it
        (``PersonRepository.count_in_team``). Raises ``ValidationError`` if the
        team is full or not stored yet.
        """
        if team.id is None:
            raise ValidationError("Person", {"team_id": "the team has no id yet; store it first"})
        if team.id == self.team_id:
            return
        if members is None and team.member_limit is not None:
            message = "has to be compared with a count; give members=people.count_in_team(…)"
            raise ValidationError("Team", {"member_limit": message})
        if members is not None and team.is_full(members):
            message = "the team is full; choose another one, or raise its limit"
            raise ValidationError("Team", {"member_limit": message})
        self.team_id = joined = team.id
        self.record(lambda person: PersonJoinedTeam(person_id=id_of(person), team_id=joined))

    def leave(self) -> None:
        """Belong to no team."""
        self.team_id = None


class PersonRepository(Repository[Person], Protocol):
    """All people."""

    def find_by_email(self, email: str, /) -> Person | None:
        """The person with exactly this address, or None."""
        ...

    def in_team(self, team_id: int, /) -> list[Person]:
        """The members of a team, by name; empty if there are none, or no such team."""
        ...

    def count_in_team(self, team_id: int, /) -> int:
        """How many members a team has; 0 if there is no such team."""
        ...


def _is_filled(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_address(value: object) -> bool:
    return isinstance(value, str) and _EMAIL.fullmatch(value) is not None


def _is_id(value: object) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool))
