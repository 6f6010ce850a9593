"""Entities that a session tracks, made and stored with less ado than it does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

from pydantic import BaseModel
from sqlalchemy.orm import InstanceState, Mapper, Session
from sqlmodel import SQLModel

from infrastructure.database.models.building import Converts, compiled, converters, converting
from infrastructure.database.shortcuts.audience import listeners_of
from infrastructure.database.shortcuts.sessions import LOADING_EVENTS, STORING_EVENTS, is_heard

Load = Callable[[Iterable[Sequence[Any]], Any, int, Any], "list[Any] | None"]

_SLOTS: dict[str, Any] = {
    name: BaseModel.__dict__[f"__pydantic_{name}__"].__set__
    for name in ("fields_set", "extra", "private")
}


class Entering:
    """What a session is going to know of rows, as soon as they are stored."""

    def __init__(self, session: Session) -> None:
        known: Any = session.identity_map
        self.states: dict[Any, InstanceState[Any]] = {}
        self.place = session.hash_key, known._wr, self.states


class Tracked:
    """Makes the entities of one table as SQLAlchemy does when it loads them."""

    def __init__(self, mapper: Mapper[Any], names: tuple[str, ...]) -> None:
        self.mapper = mapper
        self.names = names
        self.keys = [mapper.get_property_by_column(key).key for key in mapper.primary_key]
        self.state = mapper.class_manager.STATE_ATTR
        seen, made = mapper.dispatch, mapper.class_manager.dispatch
        self._loading = listeners_of(made, "load")
        self._storing = listeners_of(seen, "before_insert", "after_insert")
        self._storing += listeners_of(made, "init")  # the first one is SQLAlchemy's own
        self._changing = listeners_of(seen, "before_update", "after_update")
        self.stores_alike = _stores_alike(mapper)
        self.changes_alike = _changes_alike(mapper)
        self._loads: dict[Converts, Load] = {}
        self._make = _maker(mapper, names)
        self._make_entering = _maker(mapper, names, _entering(self.keys))
        self._prepare = _preparer(mapper, self.keys)

    def load(
        self, session: Session, rows: Iterable[Sequence[Any]], converts: Converts = ()
    ) -> list[Any] | None:
        """The entities of rows, loaded ones as they are; None if one has to be read again."""
        load = self._loads.get(converts)
        if load is None:
            load = self._loads[converts] = _loader(self.mapper, self.names, converts)
        known: Any = session.identity_map
        return load(rows, known._dict, session.hash_key, known._wr)

    def make(
        self,
        rows: Iterable[Sequence[Any]],
        given: frozenset[str],
        entering: Entering | None = None,
    ) -> list[Any]:
        """Rows that no session knows, as their constructor makes them of these fields."""
        made: list[Any]
        if entering is None:
            made = self._make(rows, given)
        else:
            made = self._make_entering(rows, given, *entering.place)
        return made

    def enter_one(self, session: Session, values: Mapping[str, Any], given: frozenset[str]) -> Any:
        """A row that is stored now, as one of the session."""
        entering = Entering(session)
        (row,) = self.make([[values[name] for name in self.names]], given, entering)
        self.enter(session, entering)
        return row

    def prepare(self, made: Iterable[Any], entering: Entering) -> None:
        """Rows that were made before they had their keys."""
        self._prepare(made, *entering.place)

    def enter(self, session: Session, entering: Entering) -> None:
        """Rows that are stored now are those of the session, as after a flush."""
        known: Any = session.identity_map
        if known._dict.keys().isdisjoint(entering.states):
            known._dict.update(entering.states)
        else:
            for state in entering.states.values():
                known.replace(state)
        transaction = session._transaction
        if transaction is not None and transaction.nested:  # its rollback makes new ones of them
            new: Any = transaction._new
            for state in entering.states.values():
                new[state] = True

    def are_changed(self, made: Iterable[Any]) -> bool:
        """Whether one of them was changed since it was made."""
        return any(one.__dict__[self.state].modified for one in made)

    def is_watched_when_storing(self, session: Session) -> bool:
        """Whether somebody wants to see what is stored."""
        heard = not self.stores_alike or sum(map(len, self._storing)) > 1
        return heard or is_heard(session, STORING_EVENTS)

    def is_watched_when_changing(self, session: Session) -> bool:
        """Whether somebody wants to see what is written."""
        return any(self._changing) or is_heard(session, STORING_EVENTS)

    def changed(self, state: InstanceState[Any], values: Mapping[str, Any]) -> dict[str, Any]:
        """Those values that are others than the stored ones."""
        old: dict[str, Any] = state.committed_state
        manager: Any = state.manager
        return {
            name: value
            for name, value in values.items()
            if manager[name].impl.is_equal(value, old[name]) is not True
        }

    def next_version(self, version: Any) -> Any:
        """The one that a row gets with a change."""
        return cast(Any, self.mapper.version_id_generator)(version)

    def settle(self, session: Session, state: InstanceState[Any]) -> None:
        """What an entity holds is stored now."""
        entity: Any = state.obj()
        state._commit_all(entity.__dict__, session.identity_map)

    def is_watched(self, session: Session) -> bool:
        """Whether somebody wants to see what is loaded."""
        return any(self._loading) or is_heard(session, LOADING_EVENTS)


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


def _changes_alike(mapper: Mapper[Any]) -> bool:
    """Whether an UPDATE has to write what was set, and nothing else."""
    return mapper.version_id_generator is not False and not any(
        column.onupdate or column.server_onupdate or column.computed for column in mapper.columns
    )


def _has_listeners(attribute: Any) -> bool:
    return bool(attribute.dispatch.set)


def _loader(mapper: Mapper[Any], names: tuple[str, ...], converts: Converts) -> Load:
    """As ``sqlalchemy.orm.loading`` does it, for a table whose columns are known."""
    values = [f"v{at}" for at in range(len(names))]
    keys = [mapper.get_property_by_column(column).key for column in mapper.primary_key]
    own = ", ".join(values[names.index(key)] for key in keys)
    load: Load = compiled(
        "load(rows, known, session_id, identity_map)",
        f"for {', '.join(values)}, in rows:",
        *converting(converts),
        f"    key = (kind, ({own},), None)",
        "    state = known.get(key)",
        "    one = None if state is None else state.obj()",
        "    if one is not None:",
        "        if state.expired_attributes:",
        "            return None",
        "        add(one)",
        "        continue",
        *_making(mapper, names, "set()"),
        *_ENTERING,
        "    add(one)",
        **_known(mapper),
        **converters(converts),
    )
    return load


def _maker(mapper: Mapper[Any], names: tuple[str, ...], entering: Sequence[str] = ()) -> Any:
    """As a constructor makes them, for values that are validated."""
    values = [f"v{at}" for at in range(len(names))]
    return compiled(
        f"make(rows, given{', session_id, identity_map, known' * bool(entering)})",
        f"for {', '.join(values)}, in rows:",
        *_making(mapper, names, "set(given)"),
        *entering,
        "    add(one)",
        **_known(mapper),
    )


def _preparer(mapper: Mapper[Any], keys: Sequence[str]) -> Any:
    """What is left to be done for rows that have their keys now."""
    return compiled(
        "prepare(rows, session_id, identity_map, known)",
        "for one in rows:",
        "    held = one.__dict__",
        "    state = held[STATE]",
        *_entering(keys),
        **_known(mapper),
    )


_ENTERING = (
    "    state.key = key",
    "    state.session_id = session_id",
    "    state._instance_dict = identity_map",
    "    known[key] = state",
)


def _entering(keys: Sequence[str]) -> list[str]:
    """As a flush enters rows that were new, and were not changed since."""
    values = ", ".join(f"held[{name!r}]" for name in keys)
    return [f"    key = (kind, ({values},), None)", *_ENTERING]


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
