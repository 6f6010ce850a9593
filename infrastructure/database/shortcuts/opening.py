"""A session that begins as its constructor would have it, without being constructed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.orm import Session
from sqlalchemy.orm.identity import _WeakInstanceDict
from sqlalchemy.orm.session import _new_sessionid, _sessions
from sqlalchemy.util import immutabledict

OWN = {"identity_map", "_new", "_deleted", "bind", "hash_key", "execution_options"}


def held_alike() -> dict[str, Any]:
    """What all sessions hold in the beginning that keep what they have loaded."""
    held = vars(Session(expire_on_commit=False))
    return {name: value for name, value in held.items() if name not in OWN}


class BegunLater:
    """A transaction of a session that begins when something is asked of it.

    SQLAlchemy begins one with the first change of an entity, where a unit has begun one itself.
    """

    __slots__ = ("_session",)

    def __init__(self, session: Any) -> None:
        self._session = session

    def __getattr__(self, name: str) -> Any:
        begun = self._session._transaction or Session._autobegin_t(self._session)
        return getattr(begun, name)


def open_session(session: Session, engine: Engine, options: Mapping[str, Any]) -> None:
    """Give a session what it has alone; its class holds the rest."""
    one: Any = session
    one.identity_map = _WeakInstanceDict()
    one._new = {}
    one._deleted = {}
    one.bind = engine
    one.hash_key = _new_sessionid()
    one.execution_options = immutabledict(options)
    _sessions[one.hash_key] = session
