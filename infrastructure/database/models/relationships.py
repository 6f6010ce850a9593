"""Relationships are loaded with their row or not at all: never one by one, later."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy.orm import InstanceState, Mapper, PassiveFlag
from sqlalchemy.orm.base import LoaderCallableStatus

from domain.errors import UnitOfWorkError
from infrastructure.database.models.rules import entity_name

_Load = Callable[[InstanceState[Any], PassiveFlag], Any]


def refuse_lazy_loading(mapper: Mapper[Any], model: type[Any]) -> None:
    """Make reading a relationship that was not loaded an error which says what to do."""
    for relationship in mapper.relationships:
        # There is no public place for a loader of one's own; `impl` is where SQLAlchemy puts its.
        implementation: Any = getattr(model, relationship.key).impl
        load = implementation.callable_
        if load is not None and not isinstance(load, _LoadedOnly):
            implementation.callable_ = _LoadedOnly(load, model, relationship.key)


class _LoadedOnly:
    """Gives what the session has already, without SQL."""

    def __init__(self, load: _Load, model: type[Any], name: str) -> None:
        self.load = load
        self.model = model
        self.name = name

    def __call__(
        self, state: InstanceState[Any], passive: PassiveFlag = PassiveFlag.PASSIVE_OFF
    ) -> Any:
        own_use = passive & PassiveFlag.NO_RAISE or not passive & PassiveFlag.SQL_OK
        if own_use or state.key is None:  # cascades and history are SQLAlchemy's business
            return self.load(state, passive)
        found: Any = LoaderCallableStatus.PASSIVE_NO_RESULT
        if state.session is not None:
            found = self.load(state, passive ^ PassiveFlag.SQL_OK)
        if found is LoaderCallableStatus.PASSIVE_NO_RESULT:
            raise UnitOfWorkError(
                f"{entity_name(self.model)}.{self.name} was not loaded; declare "
                f'load = ("{self.name}",) on the repository, or ask for it with '
                f'loading("{self.name}")'
            )
        return found
