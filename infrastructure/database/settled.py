"""Entities whose transaction has ended: readable, and not to be changed any more."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from sqlalchemy import inspect as state_of
from sqlalchemy.orm import InstanceState, make_transient, make_transient_to_detached

from domain.entity import EVENTS
from infrastructure.database.aggregates import is_reordered, with_members
from infrastructure.database.keys import bare
from infrastructure.database.models import json_changes
from infrastructure.database.models.rules import entity_name, rules_of


class Settled:
    """Notices changes that no flush will write."""

    def __init__(self) -> None:
        self._states: list[InstanceState[Any]] = []
        self._held: list[Any] = []
        self._released: list[InstanceState[Any]] = []
        self._watched: set[type[Any]] = set()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to look after."""
        return not self._states

    def add(self, states: Iterable[InstanceState[Any]], held: Iterable[Any]) -> None:
        """Settle stored entities that no session has any more.

        ``held`` are those with lists and dicts: a change inside one is seen only
        as long as somebody has it.
        """
        if self._states:
            self._states = [state for state in self._states if state.obj() or state.modified]
        self._held += held
        for state in states:
            if state.key is None or state.obj() is None:
                continue  # nobody can change it
            kind: Any = state.class_
            if _has_json(kind):
                self._watched.add(kind)
                detach(state)
            elif state.modified or state.expired_attributes:
                detach(state)
            self._states.append(state)

    def changed(self) -> list[str]:
        """What to call those that were changed since."""
        watched = self._watched
        return [
            _label(state)
            for state in self._states
            if (state.modified or state.class_ in watched)
            and state.detached  # no new ones, taken back
            and _is_changed(state)
        ]

    def release(self, entity: Any) -> None:
        """The changes of this one and of its children are taken care of."""
        released = {id(state_of(one)) for one in with_members([entity])}
        self._released += [state for state in self._states if id(state) in released]
        self._states = [state for state in self._states if id(state) not in released]

    def keep_released(self) -> None:
        """Their changes are stored."""
        self._released.clear()

    def take_back_released(self) -> None:
        """What took care of their changes is undone."""
        released, self._released = self._released, []
        self.add(released, ())


@cache
def _has_json(kind: Any) -> bool:
    """Whether something may change inside of the entities of a class."""
    return bool(rules_of(kind).json)


def detach(state: InstanceState[Any]) -> None:
    """Make a loaded entity detached and unchanged, with the values that it has."""
    entity = state.obj()
    if entity is not None and (state.modified or state.expired_attributes):
        make_transient(entity)
        make_transient_to_detached(entity)
    if entity is not None:
        json_changes.note(entity)


def _is_changed(state: InstanceState[Any]) -> bool:
    if not state.modified or state.obj() is None:
        return state.modified or json_changes.changed(state)
    rules = rules_of(state.class_)
    names = (rules.columns.keys() | rules.children.keys()) & state.committed_state.keys()
    return (
        any(state.attrs[name].history.has_changes() for name in names)
        or EVENTS in state.dict
        or is_reordered(state.obj())
    )


def _label(state: InstanceState[Any]) -> str:
    name, owner = entity_name(state.class_), rules_of(state.class_).owner
    label = name if state.key is None else f"{name} {bare(tuple(state.key[1]))!r}"
    while owner is not None:
        label += f" of a {entity_name(owner.root)}"
        owner = rules_of(owner.root).owner
    return label
