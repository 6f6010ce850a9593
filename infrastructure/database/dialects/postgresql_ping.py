"""Whether a connection that comes out of the pool still has its server.

One that was in use a moment ago is not asked: where the server has closed it, that has
arrived at its socket by now.
"""

from __future__ import annotations

import select
import time
from typing import Any

from sqlalchemy import Engine, event

_FRESH = 1.0
"""How long a connection that was used needs not be asked, in seconds."""

_USED = "kit_used"


def ping_rested(engine: Engine) -> None:
    """Let the pool of an engine send a ping only to connections that have rested."""
    dialect: Any = engine.dialect
    usual = dialect.do_ping

    def do_ping(connection: Any) -> bool:
        since = time.monotonic() - getattr(connection, _USED, 0.0)
        if since < _FRESH and _is_quiet(connection):
            return True
        return bool(usual(connection))

    dialect.do_ping = do_ping
    event.listen(engine, "checkin", _note)


def _note(connection: Any, _record: Any) -> None:
    if connection is not None:
        setattr(connection, _USED, time.monotonic())


def _is_quiet(connection: Any) -> bool:
    """Whether nothing has arrived that nobody asked for."""
    try:
        return not select.select([connection.pgconn.socket], [], [], 0)[0]
    except (connection.Error, OSError, ValueError):  # it is closed
        return False
