"""Private parts of SQLAlchemy and pydantic, and all of them: for what costs too much without.

They are tried once against the documented way. Where something comes out otherwise,
a warning says so, and the documented way is taken from then on.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, NoReturn, cast

from pydantic import BaseModel
from sqlalchemy import (
    Column,
    Connection,
    CursorResult,
    Engine,
    Integer,
    String,
    Table,
    create_engine,
    insert,
    select,
)
from sqlalchemy import inspect as mapping_of
from sqlalchemy.orm import InstanceState, Mapper, Session, registry
from sqlmodel import SQLModel

from infrastructure.database.models.building import Converts, compiled, converters, converting

Load = Callable[[Iterable[Sequence[Any]], Any, int, Any], "list[Any] | None"]

VARIABLE = "KIT_SHORTCUTS"
"""The environment variable that switches them off: ``0``."""

_SLOTS: dict[str, Any] = {
    name: BaseModel.__dict__[f"__pydantic_{name}__"].__set__
    for name in ("fields_set", "extra", "private")
}


# -- statements by the driver itself -----------------------------------------------------------


def listeners(engine: Engine) -> int:
    """How many want to hear of each statement."""
    seen = engine.dispatch
    return (
        len(seen.before_cursor_execute)
        + len(seen.after_cursor_execute)
        + len(seen.before_execute)
        + len(seen.after_execute)
    )


def is_logged(engine: Engine) -> bool:
    """Whether statements go to a log."""
    return bool(engine._should_log_info())


def connection_on(engine: Engine, pooled: Any) -> Connection:
    """SQLAlchemy's connection on one that was taken from the pool."""
    return Connection(engine, pooled)


def raw_rows(found: CursorResult[Any], size: int | None = None) -> Sequence[Sequence[Any]]:
    """All rows, or the next ones, as the driver has them: their values are not converted."""
    strategy: Any = found.cursor_strategy
    if size is None:
        return cast("Sequence[Sequence[Any]]", strategy.fetchall(found, found.cursor))
    return cast("Sequence[Sequence[Any]]", strategy.fetchmany(found, found.cursor, size))


def description_of(found: CursorResult[Any]) -> Any:
    """What the driver says of the columns; None when all rows were read."""
    cursor: Any = found.cursor
    return None if cursor is None else cursor.description


def raise_as_usual(connection: Connection, error: Exception, sql: str, values: Any) -> NoReturn:
    """What SQLAlchemy does with an error of the driver, its listeners included."""
    connection._handle_dbapi_exception(error, sql, values, None, None)


def is_clean(session: Session) -> bool:
    """Whether nothing in a session was added, deleted or set."""
    state: Any = session
    return not (state._new or state._deleted or state.identity_map._modified)


def is_empty(session: Session) -> bool:
    """Whether a session has no entity at all."""
    state: Any = session
    return not (state._new or state._deleted or state.identity_map._dict)


# -- tracked entities --------------------------------------------------------------------------


class Tracked:
    """Makes the entities of one table as SQLAlchemy does when it loads them."""

    def __init__(self, mapper: Mapper[Any], names: tuple[str, ...]) -> None:
        self.mapper = mapper
        self.names = names
        self.keys = [mapper.get_property_by_column(key).key for key in mapper.primary_key]
        self.state = mapper.class_manager.STATE_ATTR
        self.stores_alike = _stores_alike(mapper)
        self._loads: dict[Converts, Load] = {}
        self._make = _maker(mapper, names)
        self._enter = _enterer(mapper, self.keys)

    def load(
        self, session: Session, rows: Iterable[Sequence[Any]], converts: Converts = ()
    ) -> list[Any] | None:
        """The entities of rows, loaded ones as they are; None if one has to be read again."""
        load = self._loads.get(converts)
        if load is None:
            load = self._loads[converts] = _loader(self.mapper, self.names, converts)
        known: Any = session.identity_map
        return load(rows, known._dict, session.hash_key, known._wr)

    def make(self, rows: Iterable[Sequence[Any]], given: frozenset[str]) -> list[Any]:
        """Rows that no session knows, as their constructor makes them of these fields."""
        made: list[Any] = self._make(rows, given)
        return made

    def enter(self, session: Session, made: Sequence[Any]) -> None:
        """Rows that are stored now are those of the session, as after a flush."""
        known: Any = session.identity_map
        self._enter(made, known._dict, session.hash_key, known._wr, known.replace)
        transaction = cast(Any, session)._transaction
        for one in made:  # a rollback, of a savepoint too, makes new ones of them
            transaction._new[one.__dict__[self.state]] = True

    def are_changed(self, made: Iterable[Any]) -> bool:
        """Whether one of them was changed since it was made."""
        return any(one.__dict__[self.state].modified for one in made)

    def is_watched_when_storing(self, session: Session) -> bool:
        """Whether somebody wants to see what is stored."""
        mapper, seen = self.mapper, cast(Any, session.dispatch)
        return (
            not self.stores_alike
            or any(getattr(mapper.dispatch, name) for name in _MAPPER_EVENTS)
            or any(getattr(seen, name) for name in _SESSION_EVENTS)
            or len(mapper.class_manager.dispatch.init) > 1  # the first one is SQLAlchemy's own
        )

    def is_watched(self, session: Session) -> bool:
        """Whether somebody wants to see what is loaded."""
        seen: Any = session.dispatch
        return bool(
            self.mapper.class_manager.dispatch.load
            or seen.loaded_as_persistent
            or seen.do_orm_execute
        )


@cache
def tracked(model: Any, names: tuple[str, ...]) -> Tracked | None:
    """None where only the documented way will do; ``names`` are all columns."""
    mapper: Mapper[Any] = mapping_of(model)
    simple = (
        not (mapper.inherits or mapper.polymorphic_map or mapper.polymorphic_on is not None)
        and {*mapper.column_attrs.keys()} == {*names}
        and not any(each.deferred or len(each.columns) > 1 for each in mapper.column_attrs)
        and all(each.lazy in _LATER for each in mapper.relationships)
        and not (mapper.composites or mapper.class_.__init_subclass__ is None)
    )
    return Tracked(mapper, names) if simple and usable() else None


_LATER = ("select", "raise", "raise_on_sql", "noload", "write_only", "dynamic", True)


def _stores_alike(mapper: Mapper[Any]) -> bool:
    """Whether the kit's constructor makes its rows, and they are stored with these values."""
    kind: Any = mapper.class_
    constructor = getattr(kind.__init__, "_sa_original_init", None)
    return (
        getattr(constructor, "__kit_constructor__", False)
        and kind.__setattr__ is SQLModel.__setattr__
        and not (mapper.validators or any(_has_listeners(a) for a in mapper.class_manager.values()))
        and not any(
            column.server_default or column.computed or column.identity for column in mapper.columns
        )
    )


def _has_listeners(attribute: Any) -> bool:
    return bool(attribute.dispatch.set)


_MAPPER_EVENTS = ("before_insert", "after_insert")
_SESSION_EVENTS = (
    "before_attach",
    "after_attach",
    "before_flush",
    "after_flush",
    "after_flush_postexec",
    "transient_to_pending",
    "pending_to_persistent",
)


def _loader(mapper: Mapper[Any], names: tuple[str, ...], converts: Converts) -> Load:
    """As ``sqlalchemy.orm.loading`` does it, for a table whose columns are known."""
    values = [f"v{at}" for at in range(len(names))]
    keys = [values[names.index(mapper.get_property_by_column(c).key)] for c in mapper.primary_key]
    load: Load = compiled(
        "load(rows, known, session_id, identity_map)",
        f"for {', '.join(values)}, in rows:",
        *converting(converts),
        f"    key = (kind, ({', '.join(keys)},), None)",
        "    state = known.get(key)",
        "    one = None if state is None else state.obj()",
        "    if one is not None:",
        "        if state.expired_attributes:",
        "            return None",
        "        add(one)",
        "        continue",
        *_making(mapper, names, "set()"),
        "    state.key = key",
        "    state.session_id = session_id",
        "    state._instance_dict = identity_map",
        "    known[key] = state",
        "    add(one)",
        **_known(mapper),
        **converters(converts),
    )
    return load


def _maker(mapper: Mapper[Any], names: tuple[str, ...]) -> Any:
    """As a constructor makes them, for values that are validated."""
    values = [f"v{at}" for at in range(len(names))]
    return compiled(
        "make(rows, given)",
        f"for {', '.join(values)}, in rows:",
        *_making(mapper, names, "set(given)"),
        "    add(one)",
        **_known(mapper),
    )


def _enterer(mapper: Mapper[Any], keys: Sequence[str]) -> Any:
    """As a flush enters rows that were new, and were not changed since."""
    return compiled(
        "enter(rows, known, session_id, identity_map, replace)",
        "for one in rows:",
        "    held = one.__dict__",
        "    state = held[STATE]",
        f"    key = state.key = (kind, ({', '.join(f'held[{name!r}]' for name in keys)},), None)",
        "    state.session_id = session_id",
        "    if key in known or state.modified:",
        "        replace(state)",
        "    else:",
        "        state._instance_dict = identity_map",
        "        known[key] = state",
        kind=mapper.class_,
        STATE=mapper.class_manager.STATE_ATTR,
    )


def _making(mapper: Mapper[Any], names: tuple[str, ...], given: str) -> list[str]:
    slots = [f"    fields_set(one, {given})", "    extra(one, None)", "    private(one, None)"]
    return [
        "    one = new(kind)",
        *slots * issubclass(mapper.class_, BaseModel),
        "    state = State(one, manager)",
        "    held = one.__dict__",
        "    held[STATE] = state",
        *(f"    held[{name!r}] = v{at}" for at, name in enumerate(names)),
    ]


def _known(mapper: Mapper[Any]) -> dict[str, Any]:
    manager = mapper.class_manager
    return {
        "kind": mapper.class_,
        "State": InstanceState,
        "manager": manager,
        "STATE": manager.STATE_ATTR,
        **_SLOTS,
    }


# -- whether they can be used ------------------------------------------------------------------


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
        theirs = _seen(session.scalars(select(Trial)).one(), session)
    with Session(engine) as session:
        shortcut = Tracked(mapping_of(Trial), ("id", "name")).load(session, [(1, "one")])
        ours = _seen((shortcut or [None])[0], session)
    engine.dispose()
    made.dispose()
    return {**ours, "slots": (set(), None, None)}, {**theirs, "slots": _slots_of(SQLModel)}


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
