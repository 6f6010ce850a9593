"""The ways of finding that only a repository on a database has."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest
from sqlalchemy import event

from domain.errors import EntityNotFound, ReadOnlyViolation, UnitOfWorkError, ValidationError
from domain.specification import NONE, where
from infrastructure.database import BaseRepository
from infrastructure.testing.contracts.subject import E, Subject, T, id_of, values_of

_NOT_COUNTED = ("BEGIN", "PRAGMA", "SAVEPOINT", "RELEASE", "ROLLBACK TO", "SET LOCAL")


class SqlSubject(Subject[E]):
    """The hooks, for a ``BaseRepository``."""

    def repository(self, uow: Any, /) -> BaseRepository[E]:
        """The repository of the unit that is held to the contract."""
        raise NotImplementedError(f"{type(self).__name__} must define repository()")

    def each(self) -> Iterator[BaseRepository[E]]:
        """The repository of a unit that only reads, and of one that may write as well."""
        return cast("Iterator[BaseRepository[E]]", super().each())

    @contextmanager
    def statements(self, uow: Any) -> Iterator[list[str]]:
        """What the unit sends in the block, without what begins and ends transactions."""
        sent: list[str] = []
        session = self.repository(uow).session
        connection = session.connection()  # the transaction begins here, not in the block

        def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            if not statement.lstrip().upper().startswith(_NOT_COUNTED):
                sent.append(statement)

        event.listen(connection, "before_cursor_execute", note)
        try:
            yield sent
        finally:
            event.remove(connection, "before_cursor_execute", note)

    def cost(self, use: Callable[[BaseRepository[E]], object], *, read_only: bool = False) -> int:
        """How many statements this sends, in a unit that is rolled back."""
        with self.units(read_only=read_only) as uow:
            with self.statements(uow) as sent:
                held = use(self.repository(uow))  # as an application holds what it loads
            del held
            uow.rollback()
        return len(sent)

    def refuse(
        self, *uses: Callable[[BaseRepository[E]], object], field: str | None = None
    ) -> None:
        """All are refused before SQL, naming the field, and the unit can be used on."""
        with self.units() as uow:
            kept = self.repository(uow)
            before = kept.count()
            for use in uses:
                with pytest.raises(ValidationError) as caught:
                    use(kept)
                assert field is None or field in caught.value.errors
                assert kept.count() == before
            uow.rollback()

    def refuse_each(
        self,
        use: Callable[[BaseRepository[E], T], object],
        wrong: Iterable[T],
        *,
        field: str | None = None,
    ) -> None:
        """The same of a use with each of these values."""

        def with_this(value: T) -> Callable[[BaseRepository[E]], object]:
            return lambda kept: use(kept, value)

        self.refuse(*map(with_this, wrong), field=field)


class SqlReadingContract(SqlSubject[E]):
    """``get_many``, ``page``, ``window``, ``stream``, ``view``, ``for_update``."""

    # -- get_many, for_update --------------------------------------------------------------

    def test_many_ids_come_in_the_order_asked_without_the_missing(self) -> None:
        stored = self.fill(4)
        ids = [id_of(one) for one in stored]
        with self.units() as uow:
            self.repository(uow).delete(ids[1])
            uow.commit()
        for kept in self.each():
            found = kept.get_many([ids[3], ids[1], ids[0], ids[3]])
            assert self.numbers(stored, found) == [4, 1, 4]
            assert found[0] is found[2] is kept.get_by_id(ids[3])
            assert kept.get_many([]) == []

    def test_what_is_no_list_of_ids_is_refused(self) -> None:
        wrong: list[Any] = ["12", 1, None, {}]
        self.refuse_each(lambda kept, ids: kept.get_many(ids), wrong, field="ids")

    def test_a_locked_entity_is_the_loaded_one_read_again(self) -> None:
        (stored,) = self.fill(1)
        with self.units() as uow:
            kept = self.repository(uow)
            loaded = kept.require(id_of(stored))
            change = self.changed(loaded)
            assert kept.get_by_id(id_of(stored), for_update=True) is loaded
            assert kept.require(id_of(stored), for_update=True) is loaded
            assert values_of(loaded).items() >= change.items()
            with self.statements(uow) as sent:
                kept.require(id_of(stored), for_update=True)
            assert len(sent) == 1
            kept.delete(loaded)
            assert kept.get_by_id(id_of(stored), for_update=True) is None
            with pytest.raises(EntityNotFound):
                kept.require(id_of(stored), for_update=True)
            uow.rollback()

    def test_a_unit_that_only_reads_locks_nothing(self) -> None:
        (stored,) = self.fill(1)
        with self.units(read_only=True) as uow, pytest.raises(ReadOnlyViolation):
            self.repository(uow).get_by_id(id_of(stored), for_update=True)

    # -- page ------------------------------------------------------------------------------

    def test_pages_have_all_of_it_once_and_the_total(self) -> None:
        self.needs("rising")
        stored = self.fill(5)
        for kept in self.each():
            pages = [kept.page(order_by=f"-{self.rising}", number=n, size=2) for n in (1, 2, 3, 4)]
            assert [self.numbers(stored, page) for page in pages] == [[5, 4], [3, 2], [1], []]
            assert [page.total for page in pages] == [5, 5, 5, 5]
            assert [page.pages for page in pages] == [3, 3, 3, 3]
            assert [page.has_next for page in pages] == [True, True, False, False]
            part = kept.page(self.rises > self.value(3), size=1)
            assert (len(part), part.total) == (1, 2)

    def test_pages_without_an_order_go_by_the_key(self) -> None:
        stored = self.fill(5)
        for kept in self.each():
            found = [one for number in (1, 2, 3) for one in kept.page(number=number, size=2)]
            assert [id_of(one) for one in found] == sorted(id_of(one) for one in stored)

    def test_a_page_that_cannot_be_is_refused(self) -> None:
        wrong: list[Any] = [0, -1, None, "1", 1.0]
        self.refuse_each(lambda kept, number: kept.page(number=number), wrong, field="number")
        self.refuse_each(lambda kept, size: kept.page(size=size), wrong, field="size")

    # -- window ----------------------------------------------------------------------------

    def walk(self, kept: BaseRepository[E], size: int, **options: Any) -> list[E]:
        """All windows there and back, which must be the same."""
        forth, window = [], kept.window(size=size, **options)
        forth.append(list(window))
        while window.next is not None:
            window = kept.window(after=window.next, size=size, **options)
            forth.append(list(window))
        back = [list(window)]
        while window.previous is not None:
            window = kept.window(before=window.previous, size=size, **options)
            back.insert(0, list(window))
        assert back == forth
        return [one for part in forth for one in part]

    def test_windows_have_all_of_it_once_in_both_directions(self) -> None:
        self.needs("rising")
        stored = self.fill(5)
        for kept in self.each():
            for size in (1, 2, 9):
                found = self.walk(kept, size, order_by=self.rising)
                assert self.numbers(stored, found) == [1, 2, 3, 4, 5]
                found = self.walk(kept, size, order_by=f"-{self.rising}")
                assert self.numbers(stored, found) == [5, 4, 3, 2, 1]

    def test_windows_are_right_with_none_and_with_ties(self) -> None:
        self.needs("rising", "nullable")
        stored = self.fill(6, without=[2, 3, 5])
        for kept in self.each():
            for order in (self.nullable, f"-{self.nullable}"):
                both = [order, f"-{self.rising}"]
                expected = self.numbers(stored, kept.get_all(order_by=both))
                for size in (1, 4):
                    assert self.numbers(stored, self.walk(kept, size, order_by=both)) == expected
                    assert len(self.walk(kept, size, order_by=order)) == 6

    def test_a_window_of_nothing_leads_nowhere(self) -> None:
        self.fill(1)
        for kept in self.each():
            window = kept.window(NONE)
            assert (list(window), window.next, window.previous) == ([], None, None)

    def test_a_cursor_of_another_query_is_refused(self) -> None:
        self.needs("rising")
        self.fill(3)
        with self.units(read_only=True) as uow:
            cursor = self.repository(uow).window(size=1, order_by=self.rising).next
        self.refuse(lambda kept: kept.window(after=cursor, order_by="id"), field="after")
        self.refuse(
            lambda kept: kept.window(before=cursor, order_by=f"-{self.rising}"), field="before"
        )
        self.refuse(
            lambda kept: kept.window(NONE, after=cursor, order_by=self.rising), field="after"
        )
        self.refuse(lambda kept: kept.window(after="nonsense"), field="after")
        self.refuse(lambda kept: kept.window(after=cursor, before=cursor, order_by=self.rising))
        self.refuse(lambda kept: kept.window(size=0), field="size")

    # -- stream, view ----------------------------------------------------------------------

    def test_a_stream_gives_all_in_order_whatever_its_batches(self) -> None:
        self.needs("rising")
        stored = self.fill(5)
        for kept in self.each():
            for size in (1, 2, 100):
                found = kept.stream(order_by=f"-{self.rising}", batch_size=size)
                assert self.numbers(stored, found) == [5, 4, 3, 2, 1]
            found = kept.stream(self.rises > self.value(3), order_by=self.rising)
            assert self.numbers(stored, found) == [4, 5]
            ids = [id_of(one) for one in kept.stream()]
            assert ids == sorted(ids)
        self.refuse(lambda kept: kept.stream(batch_size=0), field="batch_size")

    def test_entities_may_be_changed_and_committed_on_the_way_of_a_stream(self) -> None:
        stored = self.fill(4)
        changed: dict[Any, Any] = {}
        with self.units() as uow:
            for one in self.repository(uow).stream(batch_size=2):
                change = self.changed(one)
                changed[id_of(one)] = change
                uow.commit()
        assert len(changed) == len(stored)
        for id, change in changed.items():
            assert self.stored(id).items() >= change.items()

    def test_a_stream_ends_with_its_block(self) -> None:
        self.fill(2)
        for read_only in (True, False):
            with self.units(read_only=read_only) as uow:
                stream = self.repository(uow).stream(batch_size=1)
                next(stream)
            with pytest.raises(UnitOfWorkError):
                list(stream)

    def test_a_view_has_the_fields_of_a_class_and_nothing_else(self) -> None:
        self.needs("rising")
        stored = self.fill(3)
        view: Any = dataclasses.make_dataclass("View", [("id", Any), (self.rising, Any)])
        for kept in self.each():
            found = kept.view(view, self.rises > self.value(1), order_by=f"-{self.rising}", limit=1)
            assert found == [view(id_of(stored[2]), self.value(3))]
        unknown = dataclasses.make_dataclass("Unknown", [("no_such_field", Any)])
        self.refuse(lambda kept: kept.view(unknown), field="no_such_field")
        self.refuse(lambda kept: kept.view(dict), field="dto")
        self.refuse(
            lambda kept: kept.view(view, where("no_such_field") == 1), field="no_such_field"
        )

    # -- statements ------------------------------------------------------------------------

    @pytest.mark.parametrize("read_only", [False, True])
    def test_what_reading_costs(self, *, read_only: bool) -> None:
        stored = self.fill(5)
        ids = [id_of(one) for one in stored]
        uses: list[tuple[int, Callable[[BaseRepository[E]], object]]] = [
            (1, lambda kept: kept.get_by_id(ids[0])),
            (1, lambda kept: [kept.get_by_id(ids[0]), kept.require(ids[0])]),
            (1, lambda kept: kept.get_many(ids)),
            (1, lambda kept: kept.get_all()),
            (1, lambda kept: [kept.get_by_id(id_of(one)) for one in kept.get_all()]),
            (1, lambda kept: kept.first()),
            (1, lambda kept: kept.one(where("id") == ids[0])),
            (1, lambda kept: kept.count()),
            (1, lambda kept: kept.exists()),
            (2, lambda kept: kept.page(size=2)),
            (1, lambda kept: kept.page(NONE)),
            (1, lambda kept: kept.window(size=2)),
        ]
        for number, (most, use) in enumerate(uses):
            cost = self.cost(use, read_only=read_only)
            assert cost <= most, f"use {number} sends {cost} statements"
