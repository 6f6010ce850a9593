"""What PostgreSQL and its driver say, without the values that they quote."""

from __future__ import annotations

import re
from typing import Any

_SYNTAX = "42601"
_QUOTED = re.compile(r":| b?['\"]")


def discreet(error: BaseException) -> str | None:
    """The words that may be shown; None for those of the driver alone, which tell no values.

    The first line only: LINE, DETAIL and CONTEXT print parameters and whole rows. Words about
    the value itself are left out, too; so are those about the syntax of what is no statement,
    but a search or a path in a parameter.
    """
    from psycopg import DataError

    said: Any = getattr(error, "diag", None)
    state = getattr(error, "sqlstate", None)
    if said is None or said.message_primary is None:
        return _QUOTED.split(str(error))[0] if isinstance(error, DataError) else None
    if isinstance(error, DataError) or (state == _SYNTAX and said.statement_position is None):
        return f"SQLSTATE {state}; the words of the server may hold values, and are in its diag"
    return str(said.message_primary)
