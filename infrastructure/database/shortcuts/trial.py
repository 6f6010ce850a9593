"""Whether the private parts do what the documented way does."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, cast

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Integer,
    String,
    Table,
    create_engine,
    event,
    insert,
    select,
)
from sqlalchemy import inspect as mapping_of
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, registry
from sqlalchemy.orm.session import _sessions
from sqlalchemy.pool import QueuePool
from sqlmodel import SQLModel

from infrastructure.database.shortcuts.audience import Audience
from infrastructure.database.shortcuts.driver import raise_as_usual
from infrastructure.database.shortcuts.opening import OWN, held_alike, open_session
from infrastructure.database.shortcuts.pooling import connection_on, give_back_clean, taken
from infrastructure.database.shortcuts.sessions import detach_all
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

    engine = create_engine("sqlite://", poolclass=QueuePool)
    made.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(insert(Trial), [{"id": 1, "name": "one"}])
    with Session(engine) as session:
        row = session.scalars(select(Trial)).one()
        theirs = _seen(row, session) | _settled(row, session, session.flush)
        theirs |= _detached(row, session, session.expunge_all)
    with Session(engine) as session:
        how = Tracked(mapping_of(Trial), ("id", "name"))
        (row,) = how.load(session, [(1, "one")]) or [None]
        ours = _seen(row, session)
        ours |= _settled(row, session, lambda: how.settle(session, mapping_of(row)))
        ours |= _detached(row, session, lambda: detach_all(session))
    with engine.connect() as connection:
        theirs["error"] = _error(lambda: connection.exec_driver_sql("SELECT nothing"))
        raw: Any = connection.connection
        ours["error"] = _error(lambda: _fail(connection, raw.driver_connection))
    ours |= _outside(engine, lambda: taken(engine), give_back_clean)
    theirs |= _outside(engine, engine.raw_connection, lambda pooled: pooled.close())
    ours["heard"], theirs["heard"] = _heard(engine), [False, True, True, False]
    ours["session"], theirs["session"] = _held(_opened(engine)), _held(_constructed(engine))
    engine.dispose()
    made.dispose()
    return {**ours, "slots": (set(), None, None)}, {**theirs, "slots": _slots_of(SQLModel)}


def _settled(entity: Any, session: Session, settle: Callable[[], object]) -> dict[str, Any]:
    """What can be seen when a change was stored."""
    entity.name = "three"
    settle()
    state: Any = mapping_of(entity)
    return {"settled": (state.modified, state.committed_state, session.is_modified(entity))}


def _detached(entity: Any, session: Session, detach: Callable[[], object]) -> dict[str, Any]:
    """What can be seen when nothing belongs to the session any more, a new one included."""
    session.add(type(entity)(name="new"))
    detach()
    state: Any = mapping_of(entity)
    seen = state.detached, state.session, state._strong_obj, state.modified, [*session]
    return {"detached": (*seen, len(session.identity_map), bool(session.new))}


def _outside(
    engine: Engine, take: Callable[[], Any], give_back: Callable[[Any], object]
) -> dict[str, Any]:
    """What can be seen of a pool while somebody has a connection of it, and afterwards."""
    pool: Any = engine.pool
    first = take()
    seen: list[Any] = [pool.checkedout(), pool.checkedin()]
    driver = first.driver_connection
    give_back(first)
    seen += [pool.checkedout(), pool.checkedin()]
    second = take()
    with connection_on(engine, second) as connection:
        seen.append(connection.connection.driver_connection is driver)
    return {"pool": [*seen, pool.checkedout(), pool.checkedin()]}


def _heard(engine: Engine) -> list[bool]:
    """Whether somebody hears of statements: first nobody, then one, and one of all engines."""
    audience, seen = Audience(engine), []
    seen.append(audience.hears_statements())
    for target in (engine, Engine):
        event.listen(target, "before_execute", _hear)
        seen.append(audience.hears_statements())
        event.remove(target, "before_execute", _hear)
    return [*seen, audience.hears_statements()]


def _hear(*_: Any) -> None:
    pass


_OPTIONS = {"option": 1}


def _constructed(engine: Engine) -> Session:
    return Session(engine, expire_on_commit=False, execution_options=_OPTIONS)


def _opened(engine: Engine) -> Session:
    kind: Any = type("Opened", (Session,), held_alike())
    session: Session = kind.__new__(kind)
    open_session(session, engine, _OPTIONS)
    return session


def _held(session: Session) -> dict[str, Any]:
    """What a session begins with; where it is its own, what kind of thing."""
    other = Session(expire_on_commit=False)
    held = {name: getattr(session, name) for name in (*vars(other), "execution_options")}
    own = {name: type(value) for name, value in held.items() if name in OWN}
    alike = {name: value is getattr(other, name) for name, value in held.items() if name not in OWN}
    known = session.hash_key in cast(Any, _sessions)
    return {**own, **alike, "options": session.execution_options, "known": known}


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
