"""Messages that are to be published, in the database in which the changes are."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Select,
    case,
    delete,
    func,
    select,
    update,
)

from domain.messages import Claim, OutboxStatus, Retry
from infrastructure.database.base_unit_of_work import BaseUnitOfWork
from infrastructure.database.claiming import PENDING, TABLE, Claiming, Now, now_in
from infrastructure.database.database import Database
from infrastructure.database.session import UnitSession

T = TypeVar("T")

_PART = 10_000  # rows that are purged at once


class SqlOutbox:
    """The outbox of a database: ``domain.ports.Outbox``.

    Each method has a transaction of its own, and must not be called inside a unit of work
    on the same database. Any number of processes may use it.
    """

    def __init__(self, database: Database | None = None) -> None:
        self._given = database

    # -- for relays ------------------------------------------------------------------------

    def claim(self, limit: int, /, *, lease: float, skip_parked: bool = False) -> Claim:
        """Messages that are due, for this relay alone; perhaps none."""

        def work(session: UnitSession) -> Claim:
            return Claiming(session, skip_parked=skip_parked).claim(limit, lease)

        return self._do(work)

    def extend(self, claim: Claim, ids: Collection[UUID], /, *, lease: float) -> frozenset[UUID]:
        """Have these messages longer, from now on; which of them are still had."""

        def work(session: UnitSession) -> frozenset[UUID]:
            until = self._now() + timedelta(seconds=lease)
            return self._write(session, claim, ids, due_at=until)

        return self._do(work)

    def settle(
        self,
        claim: Claim,
        /,
        *,
        sent: Collection[UUID] = (),
        retry: Mapping[UUID, Retry] | None = None,
        parked: Mapping[UUID, str] | None = None,
        released: Collection[UUID] = (),
    ) -> frozenset[UUID]:
        """Say what became of messages; which of them were still had."""

        def work(session: UnitSession) -> frozenset[UUID]:
            now, write = self._now(), self._write
            done = write(session, claim, sent, status="sent", settled_at=now, claim=None)
            done |= write(session, claim, released, due_at=None, claim=None)
            tried = TABLE.c.attempts + 1
            for id, again in (retry or {}).items():
                due = now + timedelta(seconds=again.seconds)
                done |= write(session, claim, [id], due_at=due, attempts=tried, error=again.error,
                              claim=None)  # fmt: skip
            for id, error in (parked or {}).items():
                done |= write(session, claim, [id], status="parked", settled_at=now,
                              attempts=tried, error=error, claim=None)  # fmt: skip
            return done

        return self._do(work)

    def _write(
        self, session: UnitSession, mine: Claim, ids: Collection[UUID], /, **values: Any
    ) -> frozenset[UUID]:
        """Change those that this claim still has."""
        if not ids:
            return frozenset()
        which = self._among(TABLE.c.id, ids) & (TABLE.c.claim == mine.token)
        statement = update(TABLE).where(which).values(**values).returning(TABLE.c.id)
        return frozenset(session.execute(statement).scalars())

    # -- for those who look after it -------------------------------------------------------

    def status(self) -> OutboxStatus:
        """How much there is."""
        with BaseUnitOfWork(self._database, read_only=True) as uow:
            is_had = TABLE.c.claim.is_not(None) & (TABLE.c.due_at > self._now())
            claimed = func.count(case((is_had, 1)))
            query = select(
                TABLE.c.status, func.count(), claimed, func.min(TABLE.c.created_at)
            ).group_by(TABLE.c.status)
            found = {row[0]: row for row in uow.session.execute(query)}
        count = {status: row[1] for status, row in found.items()}
        oldest: datetime | None = found["pending"][3] if "pending" in found else None
        now = self._database.clock()
        return OutboxStatus(
            pending=count.get("pending", 0),
            claimed=found["pending"][2] if "pending" in found else 0,
            parked=count.get("parked", 0),
            sent=count.get("sent", 0),
            oldest_pending=None if oldest is None else max(0.0, (now - oldest).total_seconds()),
        )

    def replay(self, *, ids: Collection[UUID] | None = None, type: str | None = None) -> int:
        """Publish parked messages again, all or some; how many these are."""
        conditions = [TABLE.c.status == "parked"]
        conditions += [] if ids is None else [self._among(TABLE.c.id, ids)]
        conditions += [] if type is None else [TABLE.c.type == type]
        again = update(TABLE).where(*conditions).values(
            status="pending", due_at=None, attempts=0, losses=0, claim=None, settled_at=None
        )  # fmt: skip

        def work(session: UnitSession) -> int:
            found = session.execute(again.returning(TABLE.c.ordering_key)).scalars().all()
            self._free(session, {key for key in found if key is not None})
            return len(found)

        return self._do(work)

    def purge(self, *, older_than: float, parked: bool = False) -> int:
        """Forget what was sent (or parked) that many seconds ago; how many these were."""
        gone = 0
        which = select(TABLE.c.position).where(
            TABLE.c.status == ("parked" if parked else "sent"),
            TABLE.c.settled_at <= self._database.clock() - timedelta(seconds=older_than),
        )
        while True:
            part = self._do(lambda session: self._purge(session, which.limit(_PART)))
            gone += part
            if part < _PART:
                return gone

    def _purge(self, session: UnitSession, which: Select[Any]) -> int:
        statement = delete(TABLE).where(TABLE.c.position.in_(which.scalar_subquery()))
        found = session.execute(statement.returning(TABLE.c.status, TABLE.c.ordering_key)).all()
        self._free(session, {key for status, key in found if key and status == "parked"})
        return len(found)

    def _free(self, session: UnitSession, keys: set[str]) -> None:
        """What was put off behind a parked message of one of these keys is due."""
        if keys:
            put_off = (TABLE.c.status == PENDING) & TABLE.c.claim.is_(None)
            which = put_off & self._among(TABLE.c.ordering_key, keys)
            session.execute(update(TABLE).where(which).values(due_at=None))

    def subscribe(self, wake: Callable[[], object], /) -> Callable[[], None]:
        """Call it when messages were stored by units on the same ``Database``."""
        return self._database.arrivals.subscribe(wake)

    # -- what all need ---------------------------------------------------------------------

    @property
    def _database(self) -> Database:
        return self._given or Database.default()

    def _do(self, work: Callable[[UnitSession], T]) -> T:
        database = self._database
        unit = BaseUnitOfWork(database, isolation_level=database.dialect.claims_at)
        return unit.run(lambda uow: work(uow.session))

    def _now(self) -> Now:
        """The time by which leases are judged: that of the server, if there is one."""
        return now_in(self._database)

    def _among(self, column: Any, values: Iterable[Any]) -> ColumnElement[bool]:
        """``column IN values``."""
        return self._database.dialect.among(column, list(values))
