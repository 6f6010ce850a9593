"""What makes an application on this kit pleasant to test.

Nothing is imported before it is asked for: pytest imports this package in every run.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from infrastructure.testing.clock import MovableClock
    from infrastructure.testing.contracts import (
        CacheContract,
        OutboxContract,
        RepositoryContract,
        SqlRepositoryContract,
        UnitOfWorkContract,
    )
    from infrastructure.testing.lazy_loads import no_lazy_loads
    from infrastructure.testing.memory import (
        BaseInMemoryUnitOfWork,
        InMemoryRepository,
        InMemoryStore,
    )
    from infrastructure.testing.memory.outbox import InMemoryOutbox
    from infrastructure.testing.memory.unit_of_work import InMemoryUnitOfWork
    from infrastructure.testing.queries import assert_queries
    from infrastructure.testing.sandbox import SandboxDatabase
    from infrastructure.testing.scripted_services import (
        LostConnection,
        NoAnswer,
        NoConnection,
        Reply,
        ScriptedTransport,
    )

__all__ = [
    "BaseInMemoryUnitOfWork",
    "CacheContract",
    "InMemoryOutbox",
    "InMemoryRepository",
    "InMemoryStore",
    "InMemoryUnitOfWork",
    "LostConnection",
    "MovableClock",
    "NoAnswer",
    "NoConnection",
    "OutboxContract",
    "Reply",
    "RepositoryContract",
    "SandboxDatabase",
    "ScriptedTransport",
    "SqlRepositoryContract",
    "UnitOfWorkContract",
    "assert_queries",
    "no_lazy_loads",
]

_MODULES = {
    "BaseInMemoryUnitOfWork": "memory",
    "CacheContract": "contracts",
    "InMemoryOutbox": "memory.outbox",
    "InMemoryRepository": "memory",
    "InMemoryStore": "memory",
    "InMemoryUnitOfWork": "memory.unit_of_work",
    "LostConnection": "scripted_services",
    "MovableClock": "clock",
    "NoAnswer": "scripted_services",
    "NoConnection": "scripted_services",
    "OutboxContract": "contracts",
    "Reply": "scripted_services",
    "RepositoryContract": "contracts",
    "SandboxDatabase": "sandbox",
    "ScriptedTransport": "scripted_services",
    "SqlRepositoryContract": "contracts",
    "UnitOfWorkContract": "contracts",
    "assert_queries": "queries",
    "no_lazy_loads": "lazy_loads",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
