"""One caller who does anything with a unit, and keeps the books beside it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import delete, select
from sqlalchemy.exc import DBAPIError

from domain.errors import (
    ConflictError,
    DatabaseUnavailable,
    ForeignKeyViolation,
    KitError,
    UncommittedChangesWarning,
    UniqueViolation,
    UnitOfWorkError,
)
from infrastructure.database import Database
from tests.support import kill
from tests.transactions.bookkeeping import FIELDS, Held, Library, Life, Values
from tests.transactions.library import ENTITIES, MODELS, ShelfModel, Units

KEPT = 25
MISSING = 1_000_000
"""An id that nothing has."""


class Stop(Exception):
    """What leaves a block."""


class Wish(NamedTuple):
    """A new shelf or book, and the form in which it is given."""

    kind: str
    name: str
    size: int
    shelf: str
    pick: int
    form: str


kinds = st.sampled_from(["shelf", "book"])
names = st.sampled_from("abcdef")
sizes = st.integers(0, 3)
picks = st.integers(0, 11)
shelves = st.sampled_from(["none", "some", "missing"])
forms = st.sampled_from(["plain", "mapping", "row"])
wishes = st.builds(Wish, kinds, names, sizes, shelves, picks, forms)

opened = precondition(lambda self: self.uow is not None)
closed = precondition(lambda self: self.uow is None)
outside = precondition(lambda self: self.uow is not None and not self.savepoints)
inside = precondition(lambda self: bool(self.savepoints))
losable = precondition(lambda self: self.uow is not None and self.is_losable())


class Caller(RuleBasedStateMachine):
    """Enters and leaves units, commits, and looks whether the books are right."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self.database = database
        self.library = Library()
        self.uow: Any = None
        self.savepoints: list[AbstractContextManager[None]] = []
        self.called: list[int] = []
        with database.engine.begin() as connection:
            for model in reversed(MODELS.values()):
                connection.execute(delete(model))

    def teardown(self) -> None:
        if self.uow is not None:
            self._crash()
        self._assert_stored()

    def is_losable(self) -> bool:
        """A memory database would be gone with its connection."""
        return self.library.failed is None and not self.database.exclusive

    # -- how a rule uses the unit ------------------------------------------------------------

    def use(
        self,
        call: Callable[[], Any],
        error: type[Exception] | None = None,
        attempt: tuple[Any, ...] = (),
    ) -> Any:
        """Call what flushes, then raises this error, if any; None if it raises.

        ``attempt`` are values that a tracked row gets in vain: kind, id, and values.
        """
        library = self.library
        if library.failed is not None:
            self.is_refused(call)
            return None
        wanted = UniqueViolation if library.doomed else error
        if wanted is None:
            result = call()
            library.flushed()
            return True if result is None else result
        with pytest.raises(wanted) as caught:
            call()
        if not library.doomed:
            library.flushed()
            if attempt and wanted in (UniqueViolation, ForeignKeyViolation):
                library.attempt(*attempt)
        if issubclass(wanted, ConflictError):
            library.fail(caught.value)
        return None

    def is_refused(self, call: Callable[[], Any]) -> None:
        """A unit that has failed says why, whatever is asked of it."""
        with pytest.raises(UnitOfWorkError, match="failed") as refused:
            call()
        assert refused.value.__cause__ is self.library.failed

    def flush(self) -> bool:
        """Whether what waits can be written; then it is."""
        return self.use(self._flush) is not None

    def _flush(self) -> None:
        self.uow.session.flush()

    def flush_for(self, name: str | None) -> bool:
        """The same, but only where it would be uncertain who gets a name."""
        library = self.library
        certain = not library.doomed and not library.is_undecided(name)
        return certain or library.failed is not None or self.flush()

    def repository(self, kind: str) -> Any:
        return getattr(self.uow, "shelves" if kind == "shelf" else "books")

    def values(self, wish: Wish) -> dict[str, Any]:
        values: dict[str, Any] = {"name": wish.name, "size": wish.size}
        if wish.kind == "book":
            ids = sorted(self.library.now["shelf"])
            some = ids[wish.pick % len(ids)] if ids else None
            values["shelf_id"] = {"none": None, "some": some, "missing": MISSING}[wish.shelf]
        return values

    def given(self, wish: Wish) -> Any:
        values = self.values(wish)
        if wish.form == "mapping":
            return values
        return (ENTITIES if wish.form == "plain" else MODELS)[wish.kind](**values)

    def an_id(self, kind: str, pick: int) -> int:
        """One that is there, or one that is not."""
        ids = sorted(self.library.now[kind])
        return ids[pick % len(ids)] if ids and pick < 10 else MISSING

    def some_held(self, pick: int, *lives: Life) -> Held | None:
        found = [held for held in self.library.held if held.life in lives]
        return found[-1 - pick % len(found)] if found else None

    # -- what a rule got ---------------------------------------------------------------------

    def hold(self, entity: Any, kind: str, life: Life, values: Values, **more: Any) -> None:
        self.library.held.append(Held(entity, kind, life, dict(values), **more))

    def stored(self, kind: str, row: Any, values: Values, given: Any = None) -> None:
        """A row was inserted, and handed out."""
        serial = self.library.insert(kind, row.id, values).serial
        self.library.wrote = True
        self.hold(row, kind, Life.TRACKED, values, serial=serial, id=row.id, created=True)
        if given is not row:
            self.paired(given, kind, row)

    def paired(self, given: Any, kind: str, row: Any) -> None:
        """The caller still has what the row was made of, or written over with."""
        if given is None or isinstance(given, dict):
            return
        known, library = self.library.now[kind][row.id], self.library
        created = library.is_created(known)
        base = 1 if isinstance(given, ShelfModel) else None  # what a new one bears
        self.hold(
            given, kind, Life.TWIN, known.values, serial=known.serial, id=row.id,
            version=known.version, created=created, base=base,
        )  # fmt: skip

    def found(self, kind: str, id: int, row: Any) -> None:
        """A tracked row was handed out: always the same object."""
        library, known = self.library, self.library.now[kind][id]
        tracked = [held for held in library.tracked() if library.row_of(held) is known]
        for held in tracked:
            assert row is held.entity
        if not tracked:
            self.hold(
                row, kind, Life.TRACKED, known.values, serial=known.serial, id=id,
                overwritten=library.first_write(kind),
            )  # fmt: skip

    def wrote_over(self, kind: str, values: Values, row: Any, *, always: bool) -> None:
        """A stored row was changed, and handed out."""
        rows = self.library.now[kind]
        new = rows[row.id].changed(values, always=always)
        if new is not rows[row.id]:
            rows[row.id], self.library.wrote = new, True
        self.found(kind, row.id, row)

    # -- blocks ------------------------------------------------------------------------------

    @closed
    @rule()
    def enter(self) -> None:
        self.uow = Units(self.database)
        self.uow.__enter__()
        self.library.begin()

    @outside
    @rule()
    def leave(self) -> None:
        library = self.library
        late = any(held.late for held in library.held)
        waits = library.failed is None and (library.is_waiting() or library.doomed)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            if late:
                with pytest.raises(UnitOfWorkError, match="after its transaction had ended"):
                    self.uow.__exit__(None, None, None)
            else:
                self.uow.__exit__(None, None, None)
        warned = [one.category for one in said]
        if late or (library.wrote is False and not waits):
            assert warned == []
        elif library.wrote or waits:
            assert warned == [UncommittedChangesWarning]
        self._left()

    @opened
    @rule()
    def leave_by_an_exception(self) -> None:
        self._crash()

    def _crash(self) -> None:
        error = Stop()
        for each in reversed(self.savepoints):
            assert not each.__exit__(Stop, error, None)
            self.library.undo()
        assert not self.uow.__exit__(Stop, error, None)
        assert error.__cause__ is None
        self._left()

    def _left(self) -> None:
        self.uow, self.savepoints = None, []
        self.library.leave()
        self.library.held = self.library.held[-KEPT:]
        self._assert_stored()

    @outside
    @rule()
    def commit(self) -> None:
        library = self.library
        if library.failed is None and any(held.late for held in library.held):
            with pytest.raises(UnitOfWorkError, match="after its transaction had ended"):
                self.uow.commit()
        elif self.use(self.uow.commit) is not None:
            library.commit()

    @outside
    @rule()
    def rollback(self) -> None:
        self.uow.rollback()
        self.library.rollback()

    @inside
    @rule(end=st.sampled_from(["commit", "rollback"]))
    def a_savepoint_does_not_end_the_transaction(self, end: str) -> None:
        with pytest.raises(UnitOfWorkError):
            getattr(self.uow, end)()

    @opened
    @rule()
    def savepoint(self) -> None:
        made = self.uow.savepoint()
        if self.use(made.__enter__) is not None:
            self.savepoints.append(made)
            self.library.mark()

    @inside
    @rule()
    def end_a_savepoint(self) -> None:
        made, library = self.savepoints.pop(), self.library
        if library.failed is not None:
            with pytest.raises(UnitOfWorkError, match="savepoint") as refused:
                made.__exit__(None, None, None)
            assert refused.value.__cause__ is library.failed
            library.undo()
        elif self.use(lambda: made.__exit__(None, None, None)) is not None:
            library.release()
        else:
            library.undo()

    @inside
    @rule()
    def undo_a_savepoint(self) -> None:
        error = Stop()
        assert not self.savepoints.pop().__exit__(Stop, error, None)
        self.library.undo()

    @losable
    @rule()
    def lose_the_connection(self) -> None:
        kill(self.uow)
        with pytest.raises((KitError, DBAPIError)) as caught:
            self.uow.shelves.count()
        if self.database.engine.dialect.name == "postgresql":
            assert isinstance(caught.value, DatabaseUnavailable)
        self.library.fail(caught.value, lost=True)

    @opened
    @rule()
    def hook(self) -> None:
        number = len(self.called) + len(self.library.hooks)
        if self.library.failed is not None:
            self.is_refused(lambda: self.uow.after_commit(print))
            return
        self.uow.after_commit(lambda: self.called.append(number))
        self.library.hooks.append(number)

    # -- always ------------------------------------------------------------------------------

    @invariant()
    def entities_are_readable_and_right(self) -> None:
        library = self.library
        failed = library.failed is not None
        if failed and (self.savepoints or library.lost):
            return  # nothing can be loaded until this ends
        for held in library.held:
            if failed and held.life is Life.DELETED:
                continue
            assert self.read(held.entity, held.kind) == library.values_of(held)
            if failed or held.life is Life.QUEUED:
                continue  # ids and versions are settled by the rollback
            assert held.entity.id == held.id
            version = library.version_of(held)
            if isinstance(held.entity, ShelfModel) and not held.changes and version is not None:
                assert held.entity.version == version

    def read(self, entity: Any, kind: str) -> dict[str, Any]:
        return {name: getattr(entity, name) for name in FIELDS[kind]}

    @invariant()
    def hooks_run_after_their_commit_only(self) -> None:
        assert self.called == self.library.called

    @invariant()
    def no_connection_is_kept(self) -> None:
        if self.uow is None:
            assert self.database.engine.pool.checkedout() == 0

    def _assert_stored(self) -> None:
        with self.database.engine.connect() as connection:
            for kind, model in MODELS.items():
                found = connection.execute(select(model.__table__)).mappings()
                assert {row["id"]: dict(row) for row in found} == {
                    id: row.stored(id) for id, row in self.library.committed[kind].items()
                }
