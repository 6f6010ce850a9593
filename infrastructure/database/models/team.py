"""The table of teams: columns only, the rest is in the domain."""

from typing import ClassVar

from sqlmodel import Field

from domain import Team
from infrastructure.database.models.base import Model
from infrastructure.database.models.mixins import Timestamped, Versioned


class TeamModel(Team, Timestamped, Versioned, Model, table=True):
    """A stored team."""

    __tablename__: ClassVar[str] = "teams"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(max_length=200, unique=True)
