"""Which messages a relay may have: by age, of each key in order, and by one relay at a time.

What a claim looks at is bounded: what waits behind a message that is not due is put off with
it, so that the next claim begins behind it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from operator import attrgetter
from typing import Any, cast
from uuid import UUID, uuid4

from sqlalchemy import (
    ColumnElement,
    Executable,
    Integer,
    Row,
    Table,
    bindparam,
    case,
    literal_column,
    select,
    tuple_,
    union_all,
    update,
)

from domain.messages import Claim, Message
from infrastructure.database.database import Database
from infrastructure.database.models.outbox_message import OutboxMessage
from infrastructure.database.models.outbox_rows import HELD, message_of
from infrastructure.database.session import UnitSession

TABLE = cast(Table, cast(Any, OutboxMessage).__table__)

SUSPECT = 3
"""Whoever claimed a message so often and was not heard of again may have been ended by it."""

PENDING: ColumnElement[str] = literal_column("'pending'")
SENT: ColumnElement[str] = literal_column("'sent'")
"""No parameters: a plan has to see that the partial indexes fit."""

_ROUNDS = 25  # in which a claim looks for keys that are not held up
_PUT_OFF = 2_000  # messages of one key in a round
_LOOK_AGAIN = timedelta(hours=1)  # at what is behind a parked message, if nobody says more

Candidate = Row[Any]

Now = datetime | ColumnElement[datetime]
"""A moment, or what a statement has in its place."""


class Claiming:
    """One claim, in one transaction."""

    def __init__(self, session: UnitSession, *, skip_parked: bool) -> None:
        self._session = session
        self._database = session.database
        self._among = self._database.dialect.among
        self._now = now_in(self._database)
        self._skip_parked = skip_parked

    def claim(self, limit: int, lease: float) -> Claim:
        token, busy = uuid4(), set[str]()
        for _ in range(_ROUNDS):
            found = self._found(limit, busy)
            free, behind = _parted(found)
            busy |= self._put_off(behind) if behind else set()
            if free or not found:
                return Claim(token, self._take(_together(free[:limit]), token, lease))
        return Claim(token, ())

    def _found(self, limit: int, busy: Collection[str]) -> list[Candidate]:
        """What is due, by age."""
        dialect = self._database.dialect
        now, how = dialect.server_time(), (self._skip_parked, dialect.rows_are_bounds)
        query = _usual(now, skip_parked=how[0], by_rows=how[1])
        if busy:
            others = TABLE.c.ordering_key.is_(None) | ~self._among(TABLE.c.ordering_key, busy)
            query = candidates(now, others, skip_parked=how[0], by_rows=how[1])
        values = {"most": limit} | ({"now": self._now} if now is None else {})
        return sorted(self._session.execute(query, values), key=_position)

    def _put_off(self, behind: Mapping[str, int]) -> set[str]:
        """What waits for one that is not due comes to be looked at with that.

        ``behind`` are keys, and the position of what each waits for. Gives the keys of
        the others: those that another relay has just now.
        """
        keys = {position: key for key, position in behind.items()}
        is_late = TABLE.c.due_at > self._now
        columns = (TABLE.c.position, TABLE.c.status, TABLE.c.due_at, TABLE.c.claim, is_late)
        query = select(*columns).where(self._among(TABLE.c.position, keys))
        waiting = {row.position: self._until(*row[1:]) for row in self._session.execute(query)}
        for position, until in waiting.items():
            if until is not None:
                self._put_off_until(until, keys[position], position)
        return {key for position, key in keys.items() if waiting.get(position) is None}

    def _until(self, status: str, due_at: datetime, claim: UUID | None, late: bool) -> Now | None:
        if status == "parked":
            return self._now + _LOOK_AGAIN
        # One that was sent meanwhile still has the end of its lease.
        return due_at if late and status == "pending" and claim is None else None

    def _put_off_until(self, until: Now, key: str, after: int) -> None:
        late = (
            select(TABLE.c.position)
            .where(
                TABLE.c.ordering_key == key,
                TABLE.c.status == PENDING,
                TABLE.c.position > after,
                TABLE.c.claim.is_(None),
                TABLE.c.due_at.is_(None) | (TABLE.c.due_at < until),
            )
            .order_by(TABLE.c.position)
            .limit(_PUT_OFF)
            .with_for_update(skip_locked=True)
        )
        which = TABLE.c.position.in_(late.scalar_subquery())
        self._session.execute(update(TABLE).where(which).values(due_at=until))

    def _take(self, rows: Sequence[Candidate], token: UUID, lease: float) -> tuple[Message, ...]:
        if not rows:
            return ()
        which = self._among(TABLE.c.position, [row.position for row in rows])
        until = self._now + timedelta(seconds=lease)
        taking = update(TABLE).where(which).values(claim=token, due_at=until, losses=_LOSSES)
        self._session.execute(taking)
        return tuple(map(message_of, rows))


_LOSSES = case((TABLE.c.claim.is_not(None), TABLE.c.losses + 1), else_=TABLE.c.losses)
"""How often it was claimed in vain: whoever has it still has lost it."""


def candidates(
    now: ColumnElement[datetime] | None,
    *which: ColumnElement[bool],
    skip_parked: bool,
    by_rows: bool,
) -> Executable:
    """What is due, and ``before`` the position of what each has to wait for.

    That is the message before it that is not delivered. ``most`` of what waited for its
    time, and as many of the others. Where there is no ``now``, it is a parameter.
    """
    due, position = TABLE.c.due_at, TABLE.c.position
    moment = bindparam("now", type_=due.type) if now is None else now
    before = _before(skip_parked=skip_parked, by_rows=by_rows)
    held = [_LOSSES.label(name) if name == "losses" else TABLE.c[name] for name in HELD]
    query = select(*held, position, before.label("before"))
    query = query.where(TABLE.c.status == PENDING, *which)
    # By the columns of an index also where one is always the same, so that no plan goes by the
    # positions alone, and past all that was put off.
    query = query.order_by(due, position).limit(bindparam("most", type_=Integer))
    query = query.with_for_update(skip_locked=True, of=TABLE)
    waited, others = query.where(due <= moment), query.where(due.is_(None))
    return union_all(*(select(part.subquery()) for part in (waited, others)))


_usual = cache(candidates)


def _before(*, skip_parked: bool, by_rows: bool) -> ColumnElement[int | None]:
    other = TABLE.alias("other")
    own, others = ((t.c.ordering_key, t.c.position) for t in (TABLE, other))
    held_up = other.c.status == PENDING if skip_parked else other.c.status != SENT
    query = select(others[1]).where(others[0] == own[0], others[1] < own[1], held_up)
    query = query.order_by(others[1].desc()).limit(1)
    if by_rows:
        # A plan by statistics may go by the positions alone, past all that was sent. So the
        # neighbour in the index of keys is asked for, whatever its key is.
        near = select(*others).where(
            tuple_(*others) < tuple_(*own), held_up, other.c.status != SENT
        )
        near = near.where(others[0].is_not(None)).order_by(*(column.desc() for column in others))
        found = near.limit(1).correlate(TABLE).subquery()
        query = select(found.c.position).where(found.c.ordering_key == own[0]).correlate(TABLE)
    # Only of those that have a key: for the others a plan may look at every row before them.
    return case((own[0].is_not(None), query.scalar_subquery()))


def now_in(database: Database) -> Now:
    """The time by which leases are judged: that of the server, if there is one."""
    server = database.dialect.server_time()
    return database.clock() if server is None else server


_position = attrgetter("position")


def _parted(found: Sequence[Candidate]) -> tuple[list[Candidate], dict[str, int]]:
    """Those, in order, before which there is nothing but others of them.

    And the keys of the rest, with the position of what each waits for.
    """
    free: list[Candidate] = []
    positions: set[int | None] = {None}
    behind: dict[str, int] = {}
    for row in found:
        if row.before in positions:
            positions.add(row.position)
            free.append(row)
        else:
            behind.setdefault(row.ordering_key, row.before)
    return free, behind


def _together(rows: Sequence[Candidate]) -> Sequence[Candidate]:
    """Those that may be claimed at once: a suspect goes alone."""
    suspects = [row for row in rows if row.losses >= SUSPECT]
    if not suspects:
        return rows
    if suspects[0] is rows[0]:
        return rows[:1]
    first = {row.ordering_key: row.position for row in reversed(suspects)}
    held_up = {row.position for row in suspects} | {
        row.position
        for row in rows
        if row.ordering_key is not None and row.position > first.get(row.ordering_key, row.position)
    }
    return [row for row in rows if row.position not in held_up]
