"""Repositories and units of work that keep everything in memory, for tests of an application.

They hold what ``domain.ports`` promises, and know no aggregate of the application.
"""

from infrastructure.testing.memory.base_unit_of_work import BaseInMemoryUnitOfWork
from infrastructure.testing.memory.repository import InMemoryRepository
from infrastructure.testing.memory.store import InMemoryStore

__all__ = ["BaseInMemoryUnitOfWork", "InMemoryRepository", "InMemoryStore"]
