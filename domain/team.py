"""A team, and where teams are kept."""

from dataclasses import dataclass
from typing import Protocol

from domain.entity import Entity
from domain.errors import ValidationError
from domain.ports import Repository


@dataclass(eq=False, kw_only=True)
class Team(Entity):
    """People who work together, under a name of their own.

    ``member_limit`` is how many may belong to it, or None for any number.
    """

    name: str
    member_limit: int | None = None
    id: int | None = None

    def __post_init__(self) -> None:
        errors: dict[str, str] = {}
        if not _is_filled(self.name):
            errors["name"] = "must be text and not blank"
        if self.member_limit is not None and not _is_positive(self.member_limit):
            errors["member_limit"] = "must be a whole number, 1 at least, or None for no limit"
        if self.id is not None and not _is_int(self.id):
            errors["id"] = "must be a whole number, or None until it is stored"
        if errors:
            raise ValidationError("Team", errors)

    def is_full(self, members: int) -> bool:
        """Whether nobody can join any more if there are so many members already."""
        return self.member_limit is not None and members >= self.member_limit


class TeamRepository(Repository[Team], Protocol):
    """All teams."""

    def find_by_name(self, name: str, /) -> Team | None:
        """The team with exactly this name, or None."""
        ...


def _is_filled(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_positive(value: int) -> bool:
    return _is_int(value) and value >= 1
