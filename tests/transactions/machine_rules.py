"""What the caller does with rows: writes them, removes them, reads them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule
from sqlalchemy import select

from domain import where
from domain.errors import (
    ConcurrencyConflict,
    EntityNotFound,
    ForeignKeyViolation,
    UniqueViolation,
    UnitOfWorkError,
    ValidationError,
)
from tests.transactions.bookkeeping import Held, Life, Row
from tests.transactions.library import MODELS
from tests.transactions.machine import (
    Caller,
    Wish,
    forms,
    kinds,
    names,
    opened,
    picks,
    shelves,
    sizes,
    wishes,
)


class Machine(Caller):
    """All that one can do with rows of two tables."""

    @initialize(stock=st.lists(wishes, max_size=6), stay=st.booleans())
    def begin(self, stock: list[Wish], stay: bool) -> None:
        """Some rows are stored, and known to the caller."""
        self.enter()
        for wish in stock:
            if self.library.refusal(wish.kind, self.values(wish)) is None:
                self.create(wish)
        self.commit()
        if not stay:
            self.leave()

    # -- new rows ----------------------------------------------------------------------------

    @opened
    @rule(wish=wishes)
    def create(self, wish: Wish) -> None:
        values, given = self.values(wish), self.given(wish)
        error = self.library.refusal(wish.kind, values)
        row = self.use(lambda: self.repository(wish.kind).create(given), error)
        if row is not None:
            self.stored(wish.kind, row, values, given)

    @opened
    @rule(wish=wishes)
    def create_deferred(self, wish: Wish) -> None:
        library = self.library
        if not self.flush_for(wish.name):
            return
        values = self.values(wish._replace(shelf=wish.shelf.replace("missing", "none")))
        given = dict(values) if wish.form == "mapping" else MODELS[wish.kind](**values)
        if library.failed is not None:
            self.is_refused(lambda: self.repository(wish.kind).create_deferred(given))
            return
        library.doomed = library.refusal(wish.kind, values) is not None
        row = self.repository(wish.kind).create_deferred(given)
        if not library.doomed:
            self.hold(row, wish.kind, Life.QUEUED, values, created=True)

    @opened
    @rule(kind=kinds, many=st.lists(names, max_size=3), form=forms)
    def create_many(self, kind: str, many: list[str], form: str) -> None:
        wanted = self._wishes(kind, many, form=form)
        given = [self.given(wish) for wish in wanted]
        rows = self.use(lambda: self.repository(kind).create_many(given), self._clash(kind, many))
        for wish, each, row in zip(wanted, given, rows or (), strict=bool(rows)):
            assert row.name == wish.name
            self.stored(kind, row, self.values(wish), each)

    @opened
    @rule(kind=kinds, many=st.lists(names, max_size=3))
    def bulk_create(self, kind: str, many: list[str]) -> None:
        rows = [self.given(wish) for wish in self._wishes(kind, many)]
        done = self.use(lambda: self.repository(kind).bulk_create(rows), self._clash(kind, many))
        if done is not None:
            self._find_new(kind, rows)

    def _wishes(self, kind: str, many: list[str], form: str = "mapping") -> list[Wish]:
        return [Wish(kind, name, 0, "none", 0, form) for name in many]

    def _clash(self, kind: str, many: list[str]) -> type[UniqueViolation] | None:
        taken = any(self.library.is_named(kind, name) for name in many)
        return UniqueViolation if taken or len(set(many)) < len(many) else None

    def _find_new(self, kind: str, rows: list[dict[str, Any]]) -> None:
        """Learn the ids of rows that nobody has handed out."""
        query = select(MODELS[kind].name, MODELS[kind].id)
        ids = dict(self.uow.session.execute(query).all())
        for values in rows:
            self.library.wrote = True
            self.library.insert(kind, ids[values["name"]], values)

    @opened
    @rule(pick=picks)
    def create_again_what_was_undone(self, pick: int) -> None:
        library = self.library
        undone = [held for held in library.held if held.life is Life.LOOSE and held.id is None]
        if not undone or not self.flush():  # ids may be given again
            return
        held = undone[-1 - pick % len(undone)]
        error = library.refusal(held.kind, held.values)
        row = self.use(lambda: self.repository(held.kind).create(held.entity), error)
        if row is not None:
            library.held.remove(held)
            self.stored(held.kind, row, held.values, held.entity)
            assert (row is held.entity) is isinstance(held.entity, MODELS[held.kind])

    # -- changes -----------------------------------------------------------------------------

    @opened
    @rule(pick=picks, name=st.none() | names, size=sizes, at_once=st.booleans())
    def change(self, pick: int, name: str | None, size: int, at_once: bool) -> None:
        """Of a tracked entity; written when its time has come, or at once."""
        library = self.library
        if not self.flush_for(name):
            return
        held = self.some_held(pick, Life.TRACKED)
        if held is None or library.failed is not None:
            return
        changes: dict[str, Any] = {"size": size} | ({"name": name} if name else {})
        library.doomed = library.refusal(held.kind, changes, but=held.id) is not None
        self._set(held, changes)
        held.changes |= changes
        if at_once:
            self.use(lambda: self.repository(held.kind).update(held.entity))

    def _set(self, held: Held, changes: dict[str, Any]) -> None:
        for field, value in changes.items():
            setattr(held.entity, field, value)

    @opened
    @rule(kind=kinds, pick=picks, name=st.none() | names, size=sizes, shelf=shelves)
    def update_by_id(self, kind: str, pick: int, name: str | None, size: int, shelf: str) -> None:
        id = self.an_id(kind, pick)
        changes = self.values(Wish(kind, name or "", size, shelf, pick, "mapping"))
        if name is None:
            del changes["name"]
        known = id in self.library.now[kind]
        error = self.library.refusal(kind, changes, but=id) if known else EntityNotFound
        row = self.use(
            lambda: self.repository(kind).update(id, **changes),
            error,
            attempt=(kind, id, changes),
        )
        if row is not None:
            self.wrote_over(kind, changes, row, always=False)

    @opened
    @rule(pick=picks, size=sizes, gap=st.integers(-1, 1))
    def update_an_expected_version(self, pick: int, size: int, gap: int) -> None:
        id = self.an_id("shelf", pick)
        row = self.library.view("shelf").get(id)
        if row is not None:
            version, error = (row.version or 0) + gap, ConcurrencyConflict if gap else None
            update = self.repository("shelf").update
            done = self.use(lambda: update(id, size=size, version=version), error)
            if done is not None:
                self.wrote_over("shelf", {"size": size}, done, always=False)

    @opened
    @rule(pick=picks, name=st.none() | names, size=st.none() | sizes)
    def update_a_detached_one(self, pick: int, name: str | None, size: int | None) -> None:
        library = self.library
        held = self.some_held(pick, Life.SETTLED, Life.LOOSE, Life.TWIN)
        if held is None or held.id is None or not self.flush():
            return
        update, row = self.repository(held.kind).update, library.now[held.kind].get(held.id)
        if row is None:
            self.use(lambda: update(held.entity), EntityNotFound)
        elif row.serial == held.serial:  # no other row has its id
            given = {"name": name, "size": size}
            changes = {field: value for field, value in given.items() if value is not None}
            self._set(held, changes)
            self._update(held, row, changes)

    def _update(self, held: Held, row: Row, changes: dict[str, Any]) -> None:
        library, update = self.library, self.repository(held.kind).update
        values = {**library.values_of(held), **changes}
        if held.life is not Life.TWIN and held.version != row.version:
            held.change(changes)
            unknown = held.version is None  # nobody can tell whether it is older
            error = UnitOfWorkError if unknown else ConcurrencyConflict
            self.use(lambda: update(held.entity), error)
            return
        error = library.refusal(held.kind, values, but=held.id)
        library.pair(held, row, values)
        attempt = (held.kind, held.id, values)
        done = self.use(lambda: update(held.entity), error, attempt)
        if done is not None:
            self.wrote_over(held.kind, values, done, always=True)
            held.version = library.now[held.kind][done.id].version

    @opened
    @rule(pick=picks, size=sizes, then_commit=st.booleans())
    def change_a_settled_one(self, pick: int, size: int, then_commit: bool) -> None:
        held = self.some_held(pick, Life.SETTLED)
        if held is not None:
            held.entity.size = size
            held.change({"size": size})
        if held is not None and then_commit and not self.savepoints:
            self.commit()

    # -- by a unique key ---------------------------------------------------------------------

    @opened
    @rule(wish=wishes)
    def get_or_create(self, wish: Wish) -> None:
        kind, values, given = wish.kind, self.values(wish), self.given(wish)
        known = self.library.is_named(kind, wish.name)
        error = None if known else self.library.refusal(kind, values)
        done = self.use(lambda: self.repository(kind).get_or_create(given, on="name"), error)
        if done is None:
            return
        row, created = done
        assert created is not known
        if known:
            self.found(kind, row.id, row)
        else:
            self.stored(kind, row, values, given)

    @opened
    @rule(wish=wishes)
    def upsert(self, wish: Wish) -> None:
        library, kind, values, given = self.library, wish.kind, self.values(wish), self.given(wish)
        known = library.is_named(kind, wish.name)
        error = library.refusal(kind, {**values, "name": None} if known else values)
        attempt = (kind, library.id_named(kind, wish.name), values)
        row = self.use(lambda: self.repository(kind).upsert(given, on="name"), error, attempt)
        if row is not None and known:
            self.wrote_over(kind, values, row, always=wish.form != "mapping")
            self.paired(given, kind, row)
        elif row is not None:
            self.stored(kind, row, values, given)

    @opened
    @rule(kind=kinds, many=st.lists(names, max_size=3, unique=True), size=sizes)
    def bulk_upsert(self, kind: str, many: list[str], size: int) -> None:
        rows = [{"name": name, "size": size} for name in many]
        done = self.use(lambda: self.repository(kind).bulk_upsert(rows, on="name"))
        if done is None:
            return
        assert done == len(many)
        known = self.library.now[kind]
        there = {row.values["name"]: id for id, row in known.items() if row.values["name"] in many}
        known.update({id: known[id].changed({"size": size}) for id in there.values()})
        self.library.sent(bool(many))
        self.library.overwrote(kind)
        new = [wish._replace(size=size) for wish in self._wishes(kind, many)]
        self._find_new(kind, [self.values(wish) for wish in new if wish.name not in there])

    # -- by criteria -------------------------------------------------------------------------

    @opened
    @rule(kind=kinds, least=sizes, size=sizes)
    def update_where(self, kind: str, least: int, size: int) -> None:
        update = self.repository(kind).update_where
        done = self.use(lambda: update(where("size") >= least, size=size))
        matching = self._where(kind, least)
        if done is not None:
            self._wrote_where(kind, matching, done, {"size": size})

    @opened
    @rule(kind=kinds, name=names, other=names)
    def rename_where(self, kind: str, name: str, other: str) -> None:
        library, update = self.library, self.repository(kind).update_where
        clash = name != other and library.is_named(kind, name) and library.is_named(kind, other)
        error = UniqueViolation if clash else None
        done = self.use(lambda: update(where("name") == name, name=other), error)
        if done is not None:
            rows = library.now[kind].items()
            matching = [id for id, row in rows if row.values["name"] == name]
            self._wrote_where(kind, matching, done, {"name": other})

    @opened
    @rule(kind=kinds, least=sizes)
    def delete_where(self, kind: str, least: int) -> None:
        library, repository = self.library, self.repository(kind)
        rows = library.view(kind).items()
        asked = [id for id, row in rows if row.values["size"] >= least]
        referred = kind == "shelf" and any(map(library.is_referred_to, asked))
        error = ForeignKeyViolation if referred else None
        done = self.use(lambda: repository.delete_where(where("size") >= least), error)
        if done is not None:
            matching = self._where(kind, least)
            assert done == len(matching)
            for id in matching:
                library.remove(kind, id, Life.LEFT)
            library.sent(bool(matching))
            library.overwrote(kind)

    def _where(self, kind: str, least: int) -> list[int]:
        rows = self.library.now[kind].items()
        return [id for id, row in rows if row.values["size"] >= least]

    def _wrote_where(
        self, kind: str, matching: list[int], done: int, changes: dict[str, Any]
    ) -> None:
        assert done == len(matching)
        rows = self.library.now[kind]
        rows.update({id: rows[id].changed(changes) for id in matching})
        self.library.sent(bool(matching))
        self.library.overwrote(kind)

    # -- removing ----------------------------------------------------------------------------

    @opened
    @rule(kind=kinds, pick=picks)
    def delete_by_id(self, kind: str, pick: int) -> None:
        self._delete(kind, self.an_id(kind, pick), None)

    @opened
    @rule(pick=picks)
    def delete_an_entity(self, pick: int) -> None:
        held = self.some_held(pick, Life.TRACKED, Life.DELETED, Life.SETTLED, Life.LOOSE)
        if held is None or held.id is None or not self.flush():
            return
        row = self.library.now[held.kind].get(held.id)
        if row is None or row.serial == held.serial:  # no other row has its id
            self._delete(held.kind, held.id, held)

    def _delete(self, kind: str, id: int, held: Held | None) -> None:
        library, row = self.library, self.library.view(kind).get(id)
        error: type[Exception] | None = None
        if row is None:
            error = EntityNotFound
        elif held and held.life is not Life.TRACKED and held.version not in (None, row.version):
            error = ConcurrencyConflict
        elif kind == "shelf" and library.is_referred_to(id):
            error = ForeignKeyViolation
        given = id if held is None else held.entity
        if self.use(lambda: self.repository(kind).delete(given), error) is not None:
            library.remove(kind, id, Life.DELETED)
            library.wrote = True

    # -- reading -----------------------------------------------------------------------------

    @opened
    @rule(kind=kinds, pick=picks)
    def get_by_id(self, kind: str, pick: int) -> None:
        library, id = self.library, self.an_id(kind, pick)
        if library.failed is not None:
            self.is_refused(lambda: self.repository(kind).get_by_id(id))
        elif not library.doomed:  # otherwise it depends on whether the row is loaded
            self._got(kind, id, self.repository(kind).get_by_id(id))

    @opened
    @rule(kind=kinds, pick=picks)
    def get_by_id_for_update(self, kind: str, pick: int) -> None:
        id, get = self.an_id(kind, pick), self.repository(kind).get_by_id
        found = self.use(lambda: [get(id, for_update=True)])
        if found is not None:
            self._got(kind, id, *found)

    def _got(self, kind: str, id: int, row: Any) -> None:
        assert (row is not None) is (id in self.library.now[kind])
        if row is not None:
            self.found(kind, id, row)

    @opened
    @rule(kind=kinds)
    def get_all(self, kind: str) -> None:
        rows = self.use(lambda: self.repository(kind).get_all(order_by="name"))
        if rows is not None:
            assert [self.read(row, kind) for row in rows] == self.library.everything(kind)
            for row in rows:
                self.found(kind, row.id, row)

    @opened
    @rule(kind=kinds, least=sizes)
    def count(self, kind: str, least: int) -> None:
        everything = self.library.everything(kind)
        matching = [values for values in everything if values["size"] >= least]
        criterion, repository = where("size") >= least, self.repository(kind)
        there = self.use(lambda: [repository.exists(criterion)])
        assert there in (None, [bool(matching)])
        assert self.use(lambda: [repository.count(criterion)]) in (None, [len(matching)])

    @opened
    @rule(kind=kinds)
    def what_cannot_be_stored_is_refused(self, kind: str) -> None:
        wrong = {"name": "a", "size": "many"}
        self.use(lambda: self.repository(kind).create(wrong), ValidationError)
