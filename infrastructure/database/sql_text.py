"""SQL that somebody wrote by hand."""

from __future__ import annotations

import re

_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_READS = re.compile(
    r"[\s(]*(SELECT|VALUES|TABLE|EXPLAIN|PRAGMA|SHOW|SET|BEGIN|SAVEPOINT|RELEASE|ROLLBACK)\b",
    re.IGNORECASE,
)
_WITH = re.compile(r"[\s(]*WITH\b", re.IGNORECASE)
_WRITES = re.compile(r"\b(INSERT|UPDATE|DELETE|MERGE)\b", re.IGNORECASE)


def is_write(statement: str) -> bool:
    """Whether SQL that somebody wrote by hand changes something, as far as can be seen."""
    bare = _QUOTED.sub("", _COMMENT.sub(" ", statement))
    if _WITH.match(bare):
        return _WRITES.search(bare) is not None
    return _READS.match(bare) is None
