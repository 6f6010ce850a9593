"""What a session notes for the caches of its database: what it reads, and what it writes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from infrastructure.database.database import Database
from infrastructure.database.models.rules import rules_of
from infrastructure.database.tables_read import TablesRead
from infrastructure.database.written import Written, table_names


class Noting:
    """A session that tells the caches of its database what it has stored."""

    database: Database
    read_only: bool
    wrote: bool = False

    noted: Mapping[type[Any], Any] = {}
    """How far invalidations had come in each cache before the first statement."""

    written: Written | None = None
    """What the transaction has changed, if anybody wants to know."""

    reading: TablesRead | None = None
    """The tables that are read, if anybody wants to know."""

    unheard: Sequence[Exception] = ()
    """The errors of caches that could not be told of the last COMMIT."""

    def begin_noting(self) -> None:
        """Before the first statement of a transaction."""
        self.unheard = ()
        if self.read_only:
            self.noted = self.database.caches.sequences()
        else:
            self.written = self.database.caches.begin()

    def tell_caches(self) -> list[Exception]:
        """After COMMIT, whatever came of it; the errors of caches that could not be told."""
        if self.written is None and not self.wrote:
            return []
        return self.database.caches.forget(self.written)

    def note_read(self, what: Any = None) -> None:
        """A statement or a model; without, something that tells nothing."""
        if self.reading is not None:
            self.reading.note(what)

    @contextmanager
    def noting_reads(self) -> Iterator[TablesRead]:
        """Learn which tables are read in the block."""
        self.reading = found = TablesRead()
        try:
            yield found
        finally:
            self.reading = None

    @contextmanager
    def noting_rows(self, entities: Collection[Any], gone: Collection[Any] = ()) -> Iterator[None]:
        """In the block these are written, and nothing else of their tables; some of them go."""
        written = self.written
        if written is None:
            yield
            return
        kinds = {type(entity) for entity in entities}
        written.note_rows(entities)
        written.note_gone({type(entity) for entity in gone})
        with noting_by_row(written, {name for kind in kinds for name in table_names(kind)}):
            yield
        written.note_rows(entities)  # now the new ones have their keys, too
        for entity in entities:
            _note_owner(written, entity)


@contextmanager
def noting_by_row(written: Written | None, tables: Collection[str]) -> Iterator[None]:
    """In the block, somebody else notes the rows that are written to these tables."""
    if written is None:
        yield
        return
    written.by_row = tables
    try:
        yield
    finally:
        written.by_row = ()


def _note_owner(written: Written, child: Any) -> None:
    """What belongs to an aggregate is cached as part of that, whether it is loaded or not."""
    info = rules_of(type(child)).owner
    if info is None:
        return
    keys = rules_of(info.root).keys
    known = {root: child.__dict__.get(name) for name, root in info.links.items()}
    for table in table_names(info.root):
        if known.keys() == {*keys}:
            written.note_row(table, tuple(known[name] for name in keys))
        else:
            written.note_whole([table])
    above = rules_of(info.root).owner
    if above is not None:
        written.note_whole(table_names(above.root))
