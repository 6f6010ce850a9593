"""What every adapter of the domain's ports must do, as tests that an adapter is held to.

A suite is a subclass that says what it is about; see ``subject.Subject`` for the hooks,
and for those of a cache ``CacheContract``.
"""

from infrastructure.testing.contracts.blocks import BlocksContract
from infrastructure.testing.contracts.caching import CacheContract
from infrastructure.testing.contracts.changing import ChangingContract, DeletingContract
from infrastructure.testing.contracts.creating import CreatingContract
from infrastructure.testing.contracts.reading import ReadingContract
from infrastructure.testing.contracts.running import RunningContract
from infrastructure.testing.contracts.savepoints import HooksContract, SavepointsContract
from infrastructure.testing.contracts.specifications import SpecificationsContract
from infrastructure.testing.contracts.sql_reading import SqlReadingContract
from infrastructure.testing.contracts.sql_writing import SqlSetContract
from infrastructure.testing.contracts.subject import E, Units

__all__ = [
    "CacheContract",
    "RepositoryContract",
    "SqlRepositoryContract",
    "UnitOfWorkContract",
    "Units",
]


class RepositoryContract(
    ReadingContract[E],
    SpecificationsContract[E],
    CreatingContract[E],
    DeletingContract[E],
    ChangingContract[E],
):
    """What every adapter of ``domain.ports.Repository`` must do."""


class UnitOfWorkContract(
    BlocksContract[E], SavepointsContract[E], HooksContract[E], RunningContract[E]
):
    """What every adapter of ``domain.ports.UnitOfWork`` must do."""


class SqlRepositoryContract(SqlReadingContract[E], SqlSetContract[E]):
    """What a ``BaseRepository`` does besides."""
