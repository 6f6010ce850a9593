"""The domain: pure Python, and nothing of the technology around it."""

from domain.entity import Entity, new_id
from domain.pagination import Page, Window
from domain.person import Person, PersonRepository
from domain.specification import ALL, NONE, Specification, where
from domain.team import Team, TeamRepository

__all__ = [
    "ALL",
    "NONE",
    "Entity",
    "Page",
    "Person",
    "PersonRepository",
    "Specification",
    "Team",
    "TeamRepository",
    "Window",
    "new_id",
    "where",
]
