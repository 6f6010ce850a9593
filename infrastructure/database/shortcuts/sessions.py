"""What a session has to store, and who wants to hear of what it does."""

from __future__ import annotations

from functools import cache
from itertools import repeat
from typing import Any

from sqlalchemy.orm import InstanceState, Session
from sqlalchemy.orm.base import LoaderCallableStatus
from sqlalchemy.orm.identity import _WeakInstanceDict


def is_clean(session: Session) -> bool:
    """Whether nothing in a session was added, deleted or set."""
    state: Any = session
    return not (state._new or state._deleted or state.identity_map._modified)


def only_changed(session: Session) -> InstanceState[Any] | None:
    """The one entity of a session that was changed, if there is nothing else to store.

    And if all that was set in it is loaded.
    """
    known: Any = session
    modified = known.identity_map._modified
    if known._new or known._deleted or known._flushing or len(modified) != 1:
        return None
    (state,) = modified
    entity = state.obj()
    if entity is None or state.expired_attributes:
        return None
    if not state.committed_state.keys() <= entity.__dict__.keys():
        return None
    for old in state.committed_state.values():
        if isinstance(old, LoaderCallableStatus):
            return None
    only: InstanceState[Any] = state
    return only


def is_empty(session: Session) -> bool:
    """Whether a session has no entity at all."""
    state: Any = session
    return not (state._new or state._deleted or state.identity_map._dict)


def hears_of_transactions(session: Session) -> bool:
    """Whether somebody wants to hear when a transaction begins or ends."""
    return is_heard(session, _TRANSACTION_EVENTS, 1)  # the kit hears of a rollback


_TRANSACTION_EVENTS = (
    "after_begin",
    "before_commit",
    "after_commit",
    "after_rollback",
    "after_soft_rollback",
    "after_transaction_create",
    "after_transaction_end",
)


def is_heard(session: Session, names: tuple[str, ...], expected: int = 0) -> bool:
    """Whether more listen for some events of a session than are expected."""
    own: Any = vars(session).get("dispatch")
    kind: Any = type(session)
    if own is not None:  # to ask the session for it would make it
        heard = _lists(own, names)
        if heard != _nobodies(kind, names):
            return sum(map(len, heard)) > expected
    return sum(map(len, _heard_by_all(kind, names))) > expected


def end_alone(session: Session) -> None:
    """End the transaction of a session in which no connection takes part, if it is one."""
    transaction: Any = session.get_transaction()
    if transaction is None or transaction._connections or hears_of_transactions(session):
        return
    transaction.close()


def detach_all(session: Session) -> list[InstanceState[Any]]:
    """Let go of all entities, as ``expunge_all`` does; what the session knew of them."""
    known: Any = session
    states: list[InstanceState[Any]] = [*known._new, *known.identity_map._dict.values()]
    if is_heard(session, _DETACHING_EVENTS):
        session.expunge_all()
        return states
    known.identity_map._kill()
    known.identity_map = _WeakInstanceDict()
    known._new, known._deleted = {}, {}
    for state in states:
        state.session_id = state._strong_obj = None
    return states


_DETACHING_EVENTS = ("persistent_to_detached", "deleted_to_detached", "pending_to_transient")


@cache
def _heard_by_all(kind: Any, names: tuple[str, ...]) -> list[Any]:
    """The listeners of all sessions of a kind, now and later."""
    return [nobody.parent_listeners for nobody in _nobodies(kind, names)]


@cache
def _nobodies(kind: Any, names: tuple[str, ...]) -> tuple[Any, ...]:
    """What a session has where nobody listens to it alone."""
    return _lists(kind.__new__(kind).dispatch, names)


def _lists(dispatch: Any, names: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(map(getattr, repeat(dispatch), names))


def intercepts(session: Session) -> bool:
    """Whether somebody changes the statements of a session before they are sent."""
    return is_heard(session, _STATEMENT_EVENTS)


_STATEMENT_EVENTS = ("do_orm_execute",)

STORING_EVENTS = (
    "before_attach",
    "after_attach",
    "before_flush",
    "after_flush",
    "after_flush_postexec",
    "transient_to_pending",
    "pending_to_persistent",
)

LOADING_EVENTS = ("loaded_as_persistent", "do_orm_execute")
