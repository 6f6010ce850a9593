"""What a session has to store, and who wants to hear of what it does."""

from __future__ import annotations

from functools import cache
from typing import Any, cast

from sqlalchemy.orm import InstanceState, Session
from sqlalchemy.orm.base import LoaderCallableStatus


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
    complete = all(
        name in entity.__dict__ and not isinstance(old, LoaderCallableStatus)
        for name, old in state.committed_state.items()
    )
    return cast("InstanceState[Any]", state) if complete else None


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
    heard: list[Any]
    if "dispatch" in vars(session):
        heard = [getattr(session.dispatch, name) for name in names]
    else:  # to ask it would make one
        heard = _heard_by_all(cast(Any, type(session)), names)
    return sum(map(len, heard)) > expected


@cache
def _heard_by_all(kind: Any, names: tuple[str, ...]) -> list[Any]:
    """The listeners of all sessions of a kind, now and later."""
    nobody: Any = kind.__new__(kind)
    return [getattr(nobody.dispatch, name).parent_listeners for name in names]


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
