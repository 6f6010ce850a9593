"""The application's unit of work: one line for each repository."""

from infrastructure.database.base_unit_of_work import BaseUnitOfWork
from infrastructure.database.models.outbox_message import OutboxMessage
from infrastructure.database.repositories.person import SqlPersonRepository
from infrastructure.database.repositories.team import SqlTeamRepository


class UnitOfWork(BaseUnitOfWork):
    """The application's unit of work."""

    outbox = OutboxMessage

    people: SqlPersonRepository
    teams: SqlTeamRepository
