"""Any number of rows, one batch in memory."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Integer, Select

from domain.errors import UnitOfWorkError
from infrastructure.database.keys import Key
from infrastructure.database.models import json_changes
from infrastructure.database.prepared import Found
from infrastructure.database.rows import Rows
from infrastructure.database.session import UnitSession
from infrastructure.database.value_reads import Cursor

_KEYS = 10_000
_Part = TypeVar("_Part")


def stream_rows(rows: Rows, query: Select[Any], load: Sequence[str], size: int) -> Iterator[Any]:
    """The rows of a query, in its order."""
    if rows.session.read_only:
        return _by_cursor(rows, query.options(*rows.options(load)), size)
    return _by_key(rows, query, load, size)


def parts(
    session: UnitSession, query: Select[Any], columns: tuple[Any, ...], size: int
) -> Iterator[Found]:
    """The values of these columns as they were at the beginning, so many rows at once."""
    session.use_streamer()
    found = session.open_cursor(query)

    def read() -> Iterator[Found]:
        while (part := session.next_part(found, columns, size)).rows:
            yield part

    return _parts(session, found, read())


def _by_cursor(rows: Rows, query: Select[Any], size: int) -> Iterator[Any]:
    """What the rows were at the beginning."""
    session = rows.session
    session.use_streamer()
    found = session.scalars(query.execution_options(yield_per=size))
    for part in _parts(session, found, found.partitions()):
        yield from part
        json_changes.release(session)


def _parts(session: UnitSession, found: Cursor, parts: Iterator[_Part]) -> Iterator[_Part]:
    session.cursors.append(found)
    transaction = session.finished
    try:
        for part in parts:
            yield part
            session.check()
            if session.finished != transaction:
                raise UnitOfWorkError("the stream ended with its transaction; commit() after it")
    finally:
        found.close()
        if found in session.cursors:
            session.cursors.remove(found)


def _by_key(rows: Rows, query: Select[Any], load: Sequence[str], size: int) -> Iterator[Any]:
    """The rows that there were at the beginning, each as it is when its turn comes."""
    session, keys = rows.session, _keys(rows, query)
    while batch := list(islice(keys, size)):
        session.check()
        found, transaction = rows.by_keys(batch, load), session.finished
        for at, key in enumerate(batch):
            if session.finished != transaction:  # those that were read before are settled
                session.check()
                found, transaction = rows.by_keys(batch[at:], load), session.finished
            if key in found:
                yield found.pop(key)
        json_changes.release(session)


def _keys(rows: Rows, query: Select[Any]) -> Iterator[Key]:
    """All keys, whole numbers in eight bytes each."""
    columns = [getattr(rows.model, name) for name in rows.rules.keys]
    only_keys = query.with_only_columns(*columns).execution_options(yield_per=_KEYS)
    if len(columns) > 1:
        return iter([tuple(key) for key in rows.session.execute(only_keys)])
    found: Iterable[Any] = rows.session.scalars(only_keys)
    whole = isinstance(rows.rules.columns[rows.rules.keys[0]].type, Integer)
    return ((key,) for key in (array("q", found) if whole else list(found)))
