"""Notices what changed inside the lists and dicts of loaded rows.

SQLAlchemy sees an attribute that is set, not a list that grows. So each loaded
row with JSON columns is kept, with their text, until its transaction ends.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any
from weakref import WeakValueDictionary

from sqlalchemy import event
from sqlalchemy import inspect as state_of
from sqlalchemy.orm import InstanceState, Session, object_session
from sqlalchemy.orm.attributes import flag_modified

from infrastructure.database.models.rules import rules_of

_KEY = "kit_json"
_RELEASED = "kit_json_released"


def watch(model: type[Any]) -> None:
    """Notice changes in the rows of this model, if it has JSON columns."""
    if rules_of(model).json and not event.contains(model, "load", _remember):
        event.listen(model, "load", _remember)
        event.listen(model, "refresh", _remember)


def remember(session: Session, entities: Iterable[Any]) -> None:
    """From now on, what these hold counts as unchanged."""
    for entity in entities:
        if rules_of(type(entity)).json:
            state_of(entity).info[_KEY] = _texts(entity)
            session.info.setdefault(_KEY, {})[id(entity)] = entity


def mark_changed(session: Session) -> None:
    """Make SQLAlchemy write what changed inside."""
    for entity in changed_in(session):
        old = state_of(entity).info[_KEY]
        for name, text in _texts(entity).items():
            if old.get(name) != text:
                flag_modified(entity, name)


def release(session: Session) -> None:
    """Hold the rows no longer that nobody else holds; what changed in them is noted first."""
    mark_changed(session)
    held = session.info.get(_KEY, {})
    if held:
        session.info.setdefault(_RELEASED, WeakValueDictionary()).update(held)
        held.clear()


def changed_in(session: Session) -> Iterator[Any]:
    """The entities of a session that changed inside."""
    if not vars(session).get("info"):  # to ask for it would make it
        return
    released = session.info.get(_RELEASED, {})
    for entity in [*session.info.get(_KEY, {}).values(), *released.values()]:
        if entity in session and changed(state_of(entity)):
            yield entity


def changed(state: InstanceState[Any]) -> bool:
    """Whether an entity changed inside since it was loaded or written."""
    entity = state.obj()
    if entity is None or not rules_of(type(entity)).json:
        return False
    known = state.info.get(_KEY)
    return known is not None and known != _texts(entity)


def note(entity: Any) -> None:
    """From now on, what a detached entity holds counts as unchanged."""
    if rules_of(type(entity)).json:
        info = state_of(entity).info
        if _KEY in info:
            info[_KEY] = _texts(entity)


def forget(session: Session) -> list[Any]:
    """Let go of the entities of a session, and return them."""
    if not vars(session).get("info"):
        return []
    released = session.info.pop(_RELEASED, {})
    return [*session.info.pop(_KEY, {}).values(), *released.values()]


def _remember(entity: Any, *_: Any) -> None:
    session = object_session(entity)
    if session is not None:
        remember(session, [entity])


def _texts(entity: Any) -> dict[str, str]:
    values = entity.__dict__
    return {name: _text(values[name]) for name in rules_of(type(entity)).json if name in values}


def _text(value: Any) -> str:
    try:
        return json.dumps(value, sort_keys=True, default=repr)
    except (RecursionError, TypeError, ValueError):  # refused at the flush, not here
        return f"no JSON: {id(value)}"
