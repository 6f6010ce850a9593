"""The domain: pure Python, and nothing of the technology around it."""

from domain.entity import Entity, id_of, new_id
from domain.event import Event
from domain.messages import Message
from domain.pagination import Page, Window
from domain.person import Person, PersonJoinedTeam, PersonRepository
from domain.specification import ALL, NONE, Specification, where
from domain.team import Team, TeamRepository

__all__ = [
    "ALL",
    "NONE",
    "Entity",
    "Event",
    "Message",
    "Page",
    "Person",
    "PersonJoinedTeam",
    "PersonRepository",
    "Specification",
    "Team",
    "TeamRepository",
    "Window",
    "id_of",
    "new_id",
    "where",
]
