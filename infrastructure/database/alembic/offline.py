"""What SQL that nobody has run yet would drop, as far as its words tell."""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import StringIO

_NAME = r'(?:"(?:[^"]|"")+"|\w+)(?:\.(?:"(?:[^"]|"")+"|\w+))*'
_TABLES = re.compile(
    rf"^\s*DROP\s+TABLE\s+(?:IF\s+EXISTS\s+)?({_NAME}(?:\s*,\s*{_NAME})*)",
    re.IGNORECASE | re.MULTILINE,
)
_ALTERED = re.compile(
    rf"^\s*ALTER\s+TABLE\s+(?:IF\s+EXISTS\s+)?(?:ONLY\s+)?({_NAME})([^;]*)",
    re.IGNORECASE | re.MULTILINE,
)
_COLUMN = re.compile(
    r"\bDROP\s+(?!CONSTRAINT\b|DEFAULT\b|NOT\b|EXPRESSION\b|IDENTITY\b)"
    rf"(?:COLUMN\s+)?(?:IF\s+EXISTS\s+)?({_NAME})",
    re.IGNORECASE,
)


class Written(StringIO):
    """The SQL of an offline migration."""

    _seen = 0

    def lost(self) -> set[str]:
        """What was dropped since the last call."""
        sql = self.getvalue()
        found = set(_dropped(sql[self._seen :]))
        self._seen = len(sql)
        return found


def _dropped(sql: str) -> Iterator[str]:
    for tables in _TABLES.finditer(sql):
        yield from (_bare(name) for name in re.findall(_NAME, tables[1]))
    for altered in _ALTERED.finditer(sql):
        for column in _COLUMN.finditer(altered[2]):
            yield f"{_bare(altered[1])}.{_bare(column[1])}"


def _bare(name: str) -> str:
    return name.replace('"', "")
