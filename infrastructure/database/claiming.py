"""Which messages a relay may have: by age, of each key in order, and by one relay at a time.

What a claim looks at is bounded: what waits behind a message that is not due is put off with
it, so that the next claim begins behind it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from itertools import groupby
from operator import attrgetter
from typing import Any, cast
from uuid import UUID, uuid4

from sqlalchemy import (
    ColumnElement,
    Integer,
    Row,
    Select,
    Table,
    bindparam,
    case,
    func,
    literal_column,
    select,
    update,
)

from domain.messages import Claim, Message
from infrastructure.database.models.outbox_message import OutboxMessage
from infrastructure.database.models.outbox_rows import AT_ONCE, message_in
from infrastructure.database.session import UnitSession

TABLE = cast(Table, cast(Any, OutboxMessage).__table__)

SUSPECT = 3
"""Whoever claimed a message so often and was not heard of again may have been ended by it."""

PENDING: ColumnElement[str] = literal_column("'pending'")
SENT: ColumnElement[str] = literal_column("'sent'")
"""No parameters: a plan has to see that the partial indexes fit."""

_ROUNDS = 8  # in which a claim looks for keys that are not held up
_LOOK_AGAIN = timedelta(minutes=1)  # at what is behind a parked message

Candidate = Row[Any]


class Claiming:
    """One claim, in one transaction."""

    def __init__(self, session: UnitSession, now: datetime, *, skip_parked: bool) -> None:
        self._session = session
        self._among = session.database.dialect.among
        self._now = now
        self._skip_parked = skip_parked

    def claim(self, limit: int, lease: float) -> Claim:
        token, busy = uuid4(), set[str]()
        for _ in range(_ROUNDS):
            found = self._found(limit, busy)
            free = _free_of_others(found)
            busy |= self._put_off(found, free)
            if free or not found:
                return Claim(token, self._take(_together(free), token, lease))
        return Claim(token, ())

    def _found(self, limit: int, busy: Collection[str]) -> list[Candidate]:
        """What waited for its time comes first, then the others by age."""
        found: list[Candidate] = []
        for waited in (True, False):
            query = candidates(waited=waited, skip_parked=self._skip_parked)
            if busy:
                taken = self._among(TABLE.c.ordering_key, busy)
                query = query.where(TABLE.c.ordering_key.is_(None) | ~taken)
            values = {"now": self._now, "most": limit - len(found)}
            found += self._session.execute(query, values) if len(found) < limit else ()
        return found

    def _put_off(self, found: Sequence[Candidate], free: Sequence[Candidate]) -> set[str]:
        """What waits for one that is not due comes to be looked at with that.

        The keys of the others: those that another relay has just now.
        """
        ours = {row.position for row in free}
        rest = [row for row in _in_order(found) if row.position not in ours]
        behind = {key: list(rows) for key, rows in groupby(_by_key(rest), _key)}
        if not behind:
            return set()
        table = TABLE
        heads = {rows[0].before: key for key, rows in behind.items()}
        query = select(table.c.position, table.c.status, table.c.due_at, table.c.claim)
        query = query.where(self._among(table.c.position, heads))
        busy = set[str]()
        for head in self._session.execute(query):
            key = heads[head.position]
            until = self._until(head)
            if until is None:
                busy.add(key)
            else:
                late = self._among(table.c.position, [row.position for row in behind[key]])
                self._session.execute(update(table).where(late).values(due_at=until))
        return busy

    def _until(self, head: Any) -> datetime | None:
        if head.status == "parked":
            return self._now + _LOOK_AGAIN
        waits = head.claim is None and head.due_at > self._now
        return cast(datetime, head.due_at) if waits else None

    def _take(self, rows: Sequence[Candidate], token: UUID, lease: float) -> tuple[Message, ...]:
        if not rows:
            return ()
        table = TABLE
        which = self._among(table.c.position, [row.position for row in rows])
        losses = case((table.c.claim.is_not(None), table.c.losses + 1), else_=table.c.losses)
        until = self._now + timedelta(seconds=lease)
        taking = update(table).where(which).values(claim=token, due_at=until, losses=losses)
        self._session.execute(taking)
        return tuple(replace(message_in(row), losses=_losses(row)) for row in _in_order(rows))


@cache
def candidates(*, waited: bool, skip_parked: bool) -> Select[Any]:
    """What is due ``now``, ``most`` of it; and ``before`` what each has to wait for.

    That is the message before it that is not delivered.
    """
    table, other = TABLE, TABLE.alias("other")
    due, now = table.c.due_at, bindparam("now", type_=TABLE.c.due_at.type)
    held_up_by = other.c.status == PENDING if skip_parked else other.c.status != SENT
    before = select(func.max(other.c.position)).where(
        other.c.ordering_key == table.c.ordering_key,
        other.c.position < table.c.position,
        held_up_by,
    )
    query: Select[Any] = select(*table.c, before.scalar_subquery().label("before"))
    in_time = [due > AT_ONCE, due <= now] if waited else [due == AT_ONCE]
    query = query.where(table.c.status == PENDING, *in_time).order_by(due, table.c.position)
    most = bindparam("most", type_=Integer)
    return query.limit(most).with_for_update(skip_locked=True, of=table)


_position = attrgetter("position")
_key = attrgetter("ordering_key")


def _in_order(rows: Iterable[Any]) -> list[Any]:
    return sorted(rows, key=_position)


def _by_key(rows: Iterable[Any]) -> list[Any]:
    """Those that have a key, by that, each in order."""
    return sorted((row for row in rows if row.ordering_key is not None), key=_key)


def _free_of_others(found: Iterable[Candidate]) -> list[Candidate]:
    """In order, those before which there is nothing but others of them."""
    free: list[Candidate] = []
    positions: set[int | None] = {None}
    for row in _in_order(found):
        if row.before in positions:
            positions.add(row.position)
            free.append(row)
    return free


def _together(rows: Sequence[Candidate]) -> Sequence[Candidate]:
    """Those that may be claimed at once: a suspect goes alone."""
    if rows and _is_suspect(rows[0]):
        return rows[:1]
    suspects = [row for row in rows if _is_suspect(row)]
    keys = {row.ordering_key: row.position for row in reversed(suspects)}
    behind = (row.position > keys.get(row.ordering_key, row.position) for row in rows)
    return [r for r, late in zip(rows, behind, strict=True) if not (late or _is_suspect(r))]


def _is_suspect(row: Candidate) -> bool:
    return _losses(row) >= SUSPECT


def _losses(row: Candidate) -> int:
    """How often it was claimed in vain: whoever has it still has lost it."""
    return int(row.losses) + (row.claim is not None)
