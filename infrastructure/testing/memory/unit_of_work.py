"""The application's unit of work in memory: one line for each repository."""

from infrastructure.testing.memory.base_unit_of_work import BaseInMemoryUnitOfWork
from infrastructure.testing.memory.person import InMemoryPersonRepository
from infrastructure.testing.memory.team import InMemoryTeamRepository


class InMemoryUnitOfWork(BaseInMemoryUnitOfWork):
    """The application's unit of work, with everything in memory."""

    people: InMemoryPersonRepository
    teams: InMemoryTeamRepository
