"""The unit of work of this application: its repositories, in one transaction."""

from typing import Protocol

from domain import ports
from domain.person import PersonRepository
from domain.team import TeamRepository


class UnitOfWork(ports.UnitOfWork, Protocol):
    """One transaction, and the repositories which take part in it."""

    @property
    def people(self) -> PersonRepository: ...

    @property
    def teams(self) -> TeamRepository: ...
