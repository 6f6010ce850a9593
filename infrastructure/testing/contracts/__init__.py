"""What every adapter of the domain's ports must do, as tests that an adapter is held to.

A suite is a subclass that says what it is about; see ``subject.Subject`` for the hooks,
for those of a cache ``CacheContract``, and for those of an outbox ``OutboxContract``.
"""

from infrastructure.testing.contracts.blocks import BlocksContract
from infrastructure.testing.contracts.caching import CacheContract
from infrastructure.testing.contracts.changing import ChangingContract, DeletingContract
from infrastructure.testing.contracts.creating import CreatingContract
from infrastructure.testing.contracts.outboxes import OutboxContract
from infrastructure.testing.contracts.publishing import PublishingContract
from infrastructure.testing.contracts.reading import ReadingContract
from infrastructure.testing.contracts.recording import RecordingContract
from infrastructure.testing.contracts.running import RunningContract
from infrastructure.testing.contracts.savepoints import HooksContract, SavepointsContract
from infrastructure.testing.contracts.specifications import SpecificationsContract
from infrastructure.testing.contracts.sql_reading import SqlReadingContract
from infrastructure.testing.contracts.sql_recording import SqlRecordingContract
from infrastructure.testing.contracts.sql_writing import SqlSetContract
from infrastructure.testing.contracts.subject import E, Units

__all__ = [
    "CacheContract",
    "OutboxContract",
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
    RecordingContract[E],
):
    """What every adapter of ``domain.ports.Repository`` must do."""


class UnitOfWorkContract(
    BlocksContract[E],
    SavepointsContract[E],
    HooksContract[E],
    PublishingContract[E],
    RunningContract[E],
):
    """What every adapter of ``domain.ports.UnitOfWork`` must do."""


class SqlRepositoryContract(SqlReadingContract[E], SqlSetContract[E], SqlRecordingContract[E]):
    """What a ``BaseRepository`` does besides."""
