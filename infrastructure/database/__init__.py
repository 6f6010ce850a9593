"""The base classes of the data layer. No table is registered by importing them."""

from infrastructure.database.base_repository import BaseRepository
from infrastructure.database.base_unit_of_work import BaseUnitOfWork
from infrastructure.database.cached_queries import cached_query
from infrastructure.database.database import Database
from infrastructure.database.models.base import Model
from infrastructure.database.models.children import Children
from infrastructure.database.models.embedded import Embedded
from infrastructure.database.models.mixins import Timestamped, Versioned

__all__ = [
    "BaseRepository",
    "BaseUnitOfWork",
    "Children",
    "Database",
    "Embedded",
    "Model",
    "Timestamped",
    "Versioned",
    "cached_query",
]
