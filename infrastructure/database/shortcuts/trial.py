"""Whether the private parts do what the documented way does."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from sqlalchemy import Column, Connection, Integer, String, Table, create_engine, insert, select
from sqlalchemy import inspect as mapping_of
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, registry
from sqlmodel import SQLModel

from infrastructure.database.shortcuts.driver import raise_as_usual
from infrastructure.database.shortcuts.tracking import Tracked

VARIABLE = "KIT_SHORTCUTS"
"""The environment variable that switches them off: ``0``."""


@cache
def usable() -> bool:
    """Whether a loaded entity looks as one that SQLAlchemy has loaded."""
    if os.environ.get(VARIABLE) == "0":
        return False
    try:
        ours, theirs = _tried()
    except Exception as error:  # noqa: BLE001 -- whatever it is, there is another way
        ours, theirs = {"error": repr(error)}, {}
    if ours != theirs:
        warnings.warn(
            "infrastructure-kit does not know this version of SQLAlchemy, SQLModel or pydantic "
            "and reads more slowly than it could; please report it",
            RuntimeWarning,
            stacklevel=2,
        )
    return ours == theirs


def _tried() -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """What can be seen of an entity that was loaded by a shortcut, and of one by SQLAlchemy."""
    made = registry()

    @made.mapped
    class Trial:
        __table__ = Table(
            "trial", made.metadata, Column("id", Integer, primary_key=True), Column("name", String)
        )

    engine = create_engine("sqlite://")
    made.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(insert(Trial), [{"id": 1, "name": "one"}])
    with Session(engine) as session:
        row = session.scalars(select(Trial)).one()
        theirs = _seen(row, session) | _settled(row, session, session.flush)
    with Session(engine) as session:
        how = Tracked(mapping_of(Trial), ("id", "name"))
        (row,) = how.load(session, [(1, "one")]) or [None]
        ours = _seen(row, session)
        ours |= _settled(row, session, lambda: how.settle(session, mapping_of(row)))
    with engine.connect() as connection:
        theirs["error"] = _error(lambda: connection.exec_driver_sql("SELECT nothing"))
        raw: Any = connection.connection
        ours["error"] = _error(lambda: _fail(connection, raw.driver_connection))
    engine.dispose()
    made.dispose()
    return {**ours, "slots": (set(), None, None)}, {**theirs, "slots": _slots_of(SQLModel)}


def _settled(entity: Any, session: Session, settle: Callable[[], object]) -> dict[str, Any]:
    """What can be seen when a change was stored."""
    entity.name = "three"
    settle()
    state: Any = mapping_of(entity)
    return {"settled": (state.modified, state.committed_state, session.is_modified(entity))}


def _error(work: Callable[[], object]) -> str:
    try:
        work()
    except SQLAlchemyError as error:
        return repr(error)
    return ""


def _fail(connection: Connection, driver: Any) -> None:
    try:
        driver.execute("SELECT nothing")
    except driver.OperationalError as error:
        raise_as_usual(connection, error, "SELECT nothing", ())


def _slots_of(model: type[SQLModel]) -> tuple[Any, ...]:
    """What pydantic has in a model that SQLAlchemy makes without its constructor."""
    one: Any = model.__new__(model)
    return one.__pydantic_fields_set__, one.__pydantic_extra__, one.__pydantic_private__


def _seen(entity: Any, session: Session) -> dict[str, Any]:
    state: Any = mapping_of(entity)
    ignored = {"session_id", "obj", "runid", "load_path", "load_options", "identity_token"}
    ignored.add("_instance_dict")
    return {
        "held": {name: v for name, v in entity.__dict__.items() if v is not state},
        "state": {k: repr(v) for k, v in vars(state).items() if k not in ignored},
        "columns": [getattr(state, name) for name in ("committed_state", "expired_attributes")],
        "persistent": (state.persistent, entity in session, state.modified, bool(session.dirty)),
        "known": session.get(type(entity), 1) is entity,
        "session": state.session is session,
        "changed": _change(entity, session),
    }


def _change(entity: Any, session: Session) -> tuple[bool, Any]:
    entity.name = "two"
    changed = session.is_modified(entity), mapping_of(entity).attrs.name.history.deleted
    session.flush()
    return changed
