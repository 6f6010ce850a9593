"""Connections that are taken from a pool, and given back, with less ado than SQLAlchemy makes."""

from __future__ import annotations

import sys
import weakref
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.pool import PoolResetState, QueuePool
from sqlalchemy.pool.base import _ConnectionFairy


def _reset_state(*, clean: bool) -> PoolResetState:
    return PoolResetState(transaction_was_reset=clean, terminate_only=False, asyncio_safe=True)


_CLEAN, _DIRTY = _reset_state(clean=True), _reset_state(clean=False)


class Taken:
    """A connection of a pool that is in use; thrown away, it goes back."""

    __slots__ = ("__weakref__", "_mark", "_pool", "_record", "driver_connection", "info")

    def __init__(self, pool: Any, record: Any) -> None:
        self._pool = pool
        self._record: Any = record
        self.driver_connection = record.dbapi_connection
        self.info = record.info
        self._mark = record.fairy_ref = weakref.ref(self)

    def hand_over(self) -> Any:
        """The same connection, as SQLAlchemy would have given it."""
        pool, record, self._record = self._pool, self._record, None
        fairy = _ConnectionFairy(pool, record.dbapi_connection, record, pool._should_log_debug())
        fairy._counter = 1
        record.fairy_ref = weakref.ref(fairy, lambda _: None)
        return fairy

    def give_back(self) -> None:
        """There is no transaction any more."""
        self._go_back(_CLEAN)

    def close(self) -> None:
        """Undo what there is, and give it back."""
        try:
            self.driver_connection.rollback()
        except Exception:  # noqa: BLE001 -- whatever it is, the connection goes
            self.invalidate()
        else:
            self._go_back(_DIRTY)

    def invalidate(self) -> None:
        """Nobody is to use it any more."""
        self.hand_over().invalidate()

    def _go_back(self, state: PoolResetState) -> None:
        pool, record, driver = self._pool, self._record, self.driver_connection
        try:
            if pool.dispatch.reset:
                pool.dispatch.reset(driver, record, state)
            if pool.dispatch.checkin:
                pool.dispatch.checkin(driver, record)
        except Exception:  # noqa: BLE001 -- as above
            self.invalidate()
            return
        self._record = record.fairy_ref = None
        _lay_down(pool, record)

    def __del__(self) -> None:
        if self._record is None or sys.is_finalizing():
            return
        if self._record.fairy_ref is self._mark:  # not in a child, whose it is not
            self.hand_over().close()


def taken(engine: Engine) -> Any:
    """A connection of the pool of an engine."""
    pool: Any = engine.pool
    if type(pool) is QueuePool and not (pool.dispatch.checkout or pool._should_log_debug()):
        found = _at_rest(pool)
        if found is not None:
            return found
    return engine.raw_connection()


def _at_rest(pool: Any) -> Taken | None:
    """One that can be used as it is."""
    record = _picked_up(pool)
    if record is None:
        return None
    try:
        if _is_fit(pool, record):
            record.fresh = False
            return Taken(pool, record)
    except BaseException:
        _lay_down(pool, record)
        raise
    _lay_down(pool, record)
    return None


def _picked_up(pool: Any) -> Any:
    """What its queue would give, or None; it has one mutex for everything."""
    queue = pool._pool
    with queue.mutex:
        return queue._get() if queue.queue else None


def _lay_down(pool: Any, record: Any) -> None:
    """What its queue would take; whoever waits for one is told."""
    queue = pool._pool
    with queue.mutex:
        if len(queue.queue) != queue.maxsize:
            queue.queue.append(record)
            queue.not_empty.notify()
            return
    pool._do_return_conn(record)  # one too many


def _is_fit(pool: Any, record: Any) -> bool:
    if pool._recycle > -1 or record._is_hard_or_soft_invalidated():
        return False
    return record.fresh or not pool._pre_ping or _answers(pool, record.dbapi_connection)


def _answers(pool: Any, connection: Any) -> bool:
    try:
        return bool(pool._dialect.do_ping(connection))
    except Exception:  # noqa: BLE001 -- whatever it is, the pool knows what to do with it
        return False


def connection_on(engine: Engine, pooled: Any) -> Connection:
    """SQLAlchemy's connection on one that was taken from the pool."""
    return Connection(engine, pooled.hand_over() if isinstance(pooled, Taken) else pooled)


def give_back_clean(pooled: Any) -> None:
    """Give a connection back to its pool that has no transaction: there is nothing to undo."""
    if isinstance(pooled, Taken):
        pooled.give_back()
    else:
        pooled._close_special(transaction_reset=True)
