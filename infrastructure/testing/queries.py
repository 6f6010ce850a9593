"""How many SQL statements a block sends, and which line of the application sends them."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Engine, event

from infrastructure.database.database import Database
from infrastructure.testing.places import is_sent_by_dialect, place_in_application


def assert_queries(
    database: Database,
    *,
    max: int,  # noqa: A002 -- the word that whoever writes the test would use
) -> AbstractContextManager[Queries]:
    """A block that may send so many SQL statements at most; otherwise ``AssertionError``.

    Those of other threads on this database count, too. An INSERT of many rows is
    one; what begins and ends transactions is none, nor is what the kit asks for
    on one kind of database only: the number is the same on all of them.
    """
    if isinstance(max, bool) or not isinstance(max, int):
        raise TypeError(f"max must be a whole number, not {type(max).__name__}")
    if max < 0:
        raise ValueError(f"max must not be negative: {max}")
    return _at_most(max, database)


@contextmanager
def _at_most(limit: int, database: Database) -> Iterator[Queries]:
    __tracebackhide__ = True  # pytest shows the test instead
    with count_queries(database) as queries:
        yield queries
    if len(queries) > limit:
        sent = "1 SQL statement was" if len(queries) == 1 else f"{len(queries)} SQL statements were"
        raise AssertionError(f"{sent} sent, at most {limit} allowed\n\n{queries.report()}")


@contextmanager
def count_queries(database: Database) -> Iterator[Queries]:
    """The SQL statements of a block, as ``assert_queries`` counts them, without a limit."""
    queries = Queries()
    ears = _ears_of(database)
    try:
        for ear in ears:
            ear.listen_for(queries)
        yield queries
    finally:
        for ear in ears:
            ear.forget(queries)


@dataclass(frozen=True)
class Query:
    """A statement as it was sent, and what sent it: ``shop/services.py:12 in close_orders``."""

    sql: str
    place: str


class Queries:
    """The statements that were sent in a block, in their order. Never the values in them."""

    def __init__(self) -> None:
        self.statements: list[Query] = []

    def __len__(self) -> int:
        return len(self.statements)

    def repeated(self) -> list[tuple[Query, int]]:
        """What one line sent more than once, and how often; the most frequent first."""
        return [(query, times) for query, times in self._counted() if times > 1]

    def report(self) -> str:
        """Each statement once for each line that sent it, the most frequent first, and advice."""
        lines = [
            f"{_times(times)} by {query.place}\n    {_shortened(query.sql)}"
            for query, times in self._counted()
        ]
        advice = dict.fromkeys(_advice_for(query.sql) for query, _ in self.repeated())
        if advice:
            lines += ["", "What one line sends again and again can be sent once:", *advice]
        return "\n".join(lines)

    def _counted(self) -> list[tuple[Query, int]]:
        return Counter(self.statements).most_common()


class _Ear:
    """What hears the statements of one engine, for the blocks that are open.

    It stays: SQLAlchemy fails the statement of a thread that is going through the
    listeners while another thread adds one, or removes it.
    """

    def __init__(self) -> None:
        self._open: tuple[Queries, ...] = ()

    def listen_for(self, queries: Queries) -> None:
        with _lock:
            self._open += (queries,)

    def forget(self, queries: Queries) -> None:
        with _lock:
            self._open = tuple(other for other in self._open if other is not queries)

    def __call__(self, _connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        blocks = self._open
        if blocks and not _HOUSEKEEPING.match(statement) and not is_sent_by_dialect():
            query = Query(statement, place_in_application())
            for queries in blocks:
                queries.statements.append(query)


_lock = threading.Lock()
_ears: WeakKeyDictionary[Engine, _Ear] = WeakKeyDictionary()


def _ears_of(database: Database) -> list[_Ear]:
    # An engine made of another one by its options tells that one, too: one for each dialect.
    known = (database.streamer, database.reader, database.engine)
    engines = {engine.dialect: engine for engine in known}.values()
    with _lock:
        return [_ears.get(engine) or _new_ear(engine) for engine in engines]


def _new_ear(engine: Engine) -> _Ear:
    _ears[engine] = ear = _Ear()
    event.listen(engine, "before_cursor_execute", ear)
    return ear


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


_HOUSEKEEPING = re.compile(
    r"(?:\s|--[^\n]*\n|/\*.*?\*/)*"
    r"(?:BEGIN|START|COMMIT|END|ROLLBACK|SAVEPOINT|RELEASE|PRAGMA|SET)\b",
    re.IGNORECASE | re.DOTALL,
)

_READING = (
    '    relationships: load = ("name",) on the repository, or loading("name") for one use\n'
    "    rows whose ids are known: get_many(ids)"
)
_ADVICE = {
    "INSERT": "    new rows: create_many(entities), or bulk_create(rows)",
    "UPDATE": "    changes: update_where(criteria, …), or bulk_update(rows)",
    "DELETE": "    deletions: delete_where(criteria)",
}


def _advice_for(sql: str) -> str:
    first = sql.split(maxsplit=1)[:1]
    return _ADVICE.get("".join(first).upper(), _READING)


_HEAD, _TAIL = 80, 115  # the names of columns are many; what tells most stands at the end


def _shortened(sql: str) -> str:
    folded = " ".join(sql.split())
    if len(folded) <= _HEAD + _TAIL:
        return folded
    return f"{folded[:_HEAD].rstrip()} … {folded[-_TAIL:].lstrip()}"
