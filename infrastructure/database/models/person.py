"""The table of people: columns only, the rest is in the domain."""

from typing import ClassVar

from sqlmodel import Field

from domain import Person
from infrastructure.database.models.base import Model
from infrastructure.database.models.mixins import Timestamped, Versioned


class PersonModel(Person, Timestamped, Versioned, Model, table=True):
    """A stored person."""

    __tablename__: ClassVar[str] = "people"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(max_length=200)
    email: str = Field(max_length=320, unique=True)
    team_id: int | None = Field(default=None, foreign_key="teams.id", index=True)
