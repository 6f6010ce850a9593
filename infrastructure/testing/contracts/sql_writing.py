"""The ways of writing that only a repository on a database has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from domain.errors import (
    ConcurrencyConflict,
    EntityNotFound,
    ReadOnlyViolation,
    UniqueViolation,
    UnitOfWorkError,
    ValidationError,
)
from domain.specification import ALL, NONE, where
from infrastructure.database import BaseRepository
from infrastructure.testing.contracts.sql_reading import SqlSubject
from infrastructure.testing.contracts.subject import E, id_of, values_of

UNKNOWN = "no_such_field"


class SqlUpdatingContract(SqlSubject[E]):
    """``create`` of other things, ``create_deferred``, ``update``."""

    def mapping(self, number: int) -> dict[str, Any]:
        """An entity as a mapping, without an id that it has not got yet."""
        values = values_of(self.make(number))
        return {name: value for name, value in values.items() if (name, value) != ("id", None)}

    def test_a_mapping_is_created_like_an_entity(self) -> None:
        with self.units() as uow:
            created = self.repository(uow).create(self.mapping(1))
            many = self.repository(uow).create_many([self.make(2), self.mapping(3)])
            uow.commit()
        for number, one in enumerate([created, *many], 1):
            assert self.stored(id_of(one)).items() >= self.mapping(number).items()
        self.refuse(lambda kept: kept.create({**self.mapping(4), UNKNOWN: 1}), field=UNKNOWN)

    def test_deferred_entities_are_written_together_before_the_next_question(self) -> None:
        with self.units() as uow:
            kept = self.repository(uow)
            with self.statements(uow) as sent:
                queued = [kept.create_deferred(self.make(number)) for number in (1, 2)]
                assert sent == []
                assert kept.count() == 2
            kept.create_deferred(self.make(3))
            uow.commit()
        assert [self.stored(id_of(one)) for one in queued] == [values_of(one) for one in queued]
        assert self.count() == 3

    # -- update ----------------------------------------------------------------------------

    def test_changes_by_id_touch_only_what_is_given(self) -> None:
        self.needs("rising")
        first, second = self.fill(2)
        with self.units() as uow:
            kept = self.repository(uow)
            loaded = kept.require(id_of(first))
            changes = {self.rising: self.value(9)}
            assert kept.update(id_of(first), **changes) is loaded
            uow.commit()
        assert self.stored(id_of(first)) == {**values_of(first), **changes}
        assert self.stored(id_of(second)) == values_of(second)

    def test_changes_that_cannot_be_are_refused(self) -> None:
        self.needs("rising")
        (stored,) = self.fill(1)
        id = id_of(stored)
        self.refuse(lambda kept: kept.update(id, **{UNKNOWN: 1}), field=UNKNOWN)
        key = {"id": id}  # which is the name of no parameter: that is positional
        self.refuse(lambda kept: kept.update(id, **key), field="id")
        self.refuse(lambda kept: kept.update(stored, **{self.rising: 1}), field=self.rising)
        for field, value in self.invalid.items():
            wrong = [{field: value}]
            self.refuse_each(lambda kept, changes: kept.update(id, **changes), wrong, field=field)
        assert self.stored(id) == values_of(stored)

    def test_a_tracked_entity_is_written_now(self) -> None:
        (stored,) = self.fill(1)
        with self.units() as uow:
            kept = self.repository(uow)
            loaded = kept.require(id_of(stored))
            self.change(loaded)
            with self.statements(uow) as sent:
                assert kept.update(loaded) is loaded
            assert len(sent) == 1
            uow.commit()
        assert self.stored(id_of(stored)) == values_of(loaded)

    def test_a_detached_entity_is_written_whole(self) -> None:
        (stored,) = self.fill(1)
        for read_only in (True, False):
            with self.units(read_only=read_only) as uow:
                detached = self.repository(uow).require(id_of(stored))
            self.change(detached)
            with self.units() as uow:
                self.repository(uow).update(detached)
                uow.commit()
            assert self.stored(id_of(stored)) == values_of(detached)

    def test_a_detached_entity_that_was_changed_meanwhile_is_refused(self) -> None:
        self.needs("versioned")
        (stored,) = self.fill(1)
        for read_only in (True, False):
            with self.units(read_only=read_only) as uow:
                stale = self.repository(uow).require(id_of(stored))
            with self.units() as uow:
                change = self.changed(self.repository(uow).require(id_of(stored)))
                uow.commit()
            self.change(stale)
            with self.units() as uow:
                with pytest.raises(ConcurrencyConflict) as caught:
                    self.repository(uow).update(stale)
                assert (caught.value.entity, caught.value.id) == (self.name(), id_of(stored))
                uow.rollback()
            assert self.stored(id_of(stored)).items() >= change.items()

    def test_an_expected_version_is_checked(self) -> None:
        self.needs("versioned", "rising")
        (stored,) = self.fill(1)
        changes = {self.rising: self.value(9)}
        with self.units() as uow:
            kept = self.repository(uow)
            kept.update(id_of(stored), version=1, **changes)
            with pytest.raises(ConcurrencyConflict), uow.savepoint():
                kept.update(id_of(stored), version=1, **changes)
            kept.update(id_of(stored), version=2, **{self.rising: self.value(8)})
            uow.commit()
        assert self.stored(id_of(stored))[self.rising] == self.value(8)

    def test_what_is_not_there_cannot_be_updated(self) -> None:
        (stored,) = self.fill(1)
        with self.units() as uow:
            kept = self.repository(uow)
            kept.delete(stored)
            for missing in (stored, id_of(stored)):
                with pytest.raises(EntityNotFound) as caught:
                    kept.update(missing)
                assert (caught.value.entity, caught.value.id) == (self.name(), id_of(stored))
            uow.rollback()

    def test_an_update_to_a_key_that_is_taken_is_refused(self) -> None:
        self.needs("unique")
        first, second = self.fill(2)
        changes = {field: getattr(first, field) for field in self.unique}
        with self.units() as uow:
            with pytest.raises(UniqueViolation) as caught:
                self.repository(uow).update(id_of(second), **changes)
            assert sorted(caught.value.fields) == sorted(self.unique)
            uow.rollback()


class SqlSetContract(SqlUpdatingContract[E]):
    """``get_or_create``, ``upsert``, ``bulk_…``, ``…_where``."""

    # -- by a unique key -------------------------------------------------------------------

    def test_get_or_create_creates_once(self) -> None:
        self.needs("unique")
        with self.units() as uow:
            kept = self.repository(uow)
            created, was_created = kept.get_or_create(self.make(1), on=self.unique)
            again, was_created_again = kept.get_or_create(self.twin(2, of=1), on=self.unique)
            assert (was_created, was_created_again) == (True, False)
            assert again is created
            uow.commit()
        assert self.stored(id_of(created)) == values_of(created)
        assert self.count() == 1

    def test_upsert_creates_or_writes_over(self) -> None:
        self.needs("unique", "rising")
        with self.units() as uow:
            created = self.repository(uow).upsert(self.make(1), on=self.unique)
            uow.commit()
        over = self.twin(2, of=1)
        with self.units() as uow:
            written = self.repository(uow).upsert(over, on=self.unique)
            assert id_of(written) == id_of(created)
            uow.commit()
        assert {**self.stored(id_of(created)), "id": None} == {**values_of(over), "id": None}
        assert self.count() == 1

    def test_what_is_no_unique_key_is_refused(self) -> None:
        self.needs("unique")
        wrong: list[Any] = [UNKNOWN, (), [*self.unique, UNKNOWN]]
        self.refuse_each(lambda kept, on: kept.get_or_create(self.make(1), on=on), wrong)
        self.refuse_each(lambda kept, on: kept.upsert(self.make(1), on=on), wrong)
        self.refuse_each(lambda kept, on: kept.bulk_upsert([self.make(1)], on=on), wrong)
        if self.nullable:
            self.refuse(lambda kept: kept.upsert(self.make(1), on=self.nullable), field="on")

    # -- bulk ------------------------------------------------------------------------------

    def test_bulk_create_stores_entities_and_mappings(self) -> None:
        with self.units() as uow:
            kept = self.repository(uow)
            rows: list[Any] = [self.make(1), self.mapping(2), self.make(3)]
            assert kept.bulk_create(iter(rows)) == 3
            assert kept.bulk_create([]) == 0
            uow.commit()
        assert self.count() == 3

    def test_bulk_create_stores_all_or_none(self) -> None:
        def rows() -> Iterator[E]:
            yield self.make(1)
            raise RuntimeError("the source has failed")

        with self.units() as uow:
            kept = self.repository(uow)
            with pytest.raises(ValidationError, match=rf"{UNKNOWN}.*\(row \d\)"):
                kept.bulk_create([self.mapping(1), {**self.mapping(2), UNKNOWN: 1}])
            for field, value in self.invalid.items():
                with pytest.raises(ValidationError, match=field):
                    kept.bulk_create([self.mapping(1), {**self.mapping(2), field: value}])
            with pytest.raises(RuntimeError):
                kept.bulk_create(rows())
            assert kept.count() == 0
            kept.create(self.make(3))
            uow.commit()
        assert self.count() == 1

    def test_bulk_update_changes_by_key_and_counts_what_was_there(self) -> None:
        self.needs("rising")
        first, second, third = self.fill(3)
        with self.units() as uow:
            kept = self.repository(uow)
            loaded = kept.require(id_of(second))
            kept.delete(third)
            rows = [
                {"id": id_of(one), self.rising: self.value(number)}
                for one, number in ((second, 8), (third, 9))
            ]
            assert kept.bulk_update(rows) == 1
            assert getattr(kept.require(id_of(second)), self.rising) == self.value(8)
            assert kept.require(id_of(second)) is loaded
            uow.commit()
        assert self.stored(id_of(first)) == values_of(first)
        self.refuse(lambda kept: kept.bulk_update([{"id": id_of(first)}]))
        self.refuse(lambda kept: kept.bulk_update([{self.rising: self.value(1)}]))

    def test_bulk_upsert_creates_and_changes(self) -> None:
        self.needs("unique", "rising")
        (stored,) = self.fill(1)
        key = {field: getattr(stored, field) for field in self.unique}
        with self.units() as uow:
            rows = [{**self.mapping(9), **key}, self.mapping(2)]
            rows[0].pop("id", None)
            assert self.repository(uow).bulk_upsert(rows, on=self.unique) == 2
            uow.commit()
        assert self.count() == 2
        changed = {**self.mapping(9), **key, "id": id_of(stored)}
        assert self.stored(id_of(stored)) == {**self.stored(id_of(stored)), **changed}

    # -- where -----------------------------------------------------------------------------

    def test_update_where_changes_what_satisfies_and_counts_it(self) -> None:
        self.needs("rising", "nullable")
        stored = self.fill(4)
        with self.units() as uow:
            kept = self.repository(uow)
            loaded = kept.get_all(order_by=self.rising)
            changes: dict[str, Any] = {self.nullable: None}
            assert kept.update_where(self.rises > self.value(2), **changes) == 2
            assert [getattr(one, self.nullable) is None for one in loaded] == [
                False,
                False,
                True,
                True,
            ]
            assert kept.update_where(NONE, **changes) == 0
            uow.commit()
        assert self.found(stored, where(self.nullable).is_none()) == [3, 4]

    def test_delete_where_removes_what_satisfies_and_counts_it(self) -> None:
        self.needs("rising")
        stored = self.fill(4)
        with self.units() as uow:
            kept = self.repository(uow)
            loaded = kept.require(id_of(stored[3]))
            assert kept.delete_where(self.rises > self.value(2)) == 2
            assert kept.get_by_id(id_of(loaded)) is None
            uow.commit()
        assert self.found(stored) == [1, 2]
        with self.units() as uow:
            assert self.repository(uow).delete_where(ALL) == 2
            uow.commit()
        assert self.count() == 0

    def test_what_means_everything_must_be_said(self) -> None:
        self.needs("rising")
        self.fill(1)
        changes = {self.rising: self.value(9)}
        self.refuse(lambda kept: kept.delete_where(), field="criteria")
        self.refuse(lambda kept: kept.update_where(**changes), field="criteria")
        self.refuse(lambda kept: kept.update_where(ALL))
        self.refuse(lambda kept: kept.update_where(ALL, **{UNKNOWN: 1}), field=UNKNOWN)
        self.refuse(lambda kept: kept.update_where(ALL, id=1), field="id")
        self.refuse(lambda kept: kept.update_where(where(UNKNOWN) == 1, **changes), field=UNKNOWN)
        self.refuse(lambda kept: kept.delete_where(where(UNKNOWN) == 1), field=UNKNOWN)
        for field, value in self.invalid.items():
            wrong = [{field: value}]
            self.refuse_each(
                lambda kept, changes: kept.update_where(ALL, **changes), wrong, field=field
            )

    def test_set_based_writes_count_the_version(self) -> None:
        self.needs("versioned", "rising")
        (stored,) = self.fill(1)
        writes: list[Callable[[BaseRepository[E]], object]] = [
            lambda kept: kept.update_where(ALL, **{self.rising: self.value(9)}),
            lambda kept: kept.bulk_update([{"id": id_of(stored), self.rising: self.value(8)}]),
        ]
        for write in writes:
            with self.units() as uow:
                stale = self.repository(uow).require(id_of(stored))
            with self.units() as uow:
                write(self.repository(uow))
                uow.commit()
            with self.units() as uow:
                with pytest.raises(ConcurrencyConflict):
                    self.repository(uow).update(stale)
                uow.rollback()

    # -- all of them -----------------------------------------------------------------------

    def writes(self, stored: E) -> list[Callable[[BaseRepository[E]], object]]:
        """Every way of writing that is asked about here."""
        self.needs("unique", "rising")
        changes: dict[str, Any] = {self.rising: self.value(9)}
        return [
            lambda kept: kept.create_deferred(self.make(2)),
            lambda kept: kept.update(id_of(stored), **changes),
            lambda kept: kept.update(stored),
            lambda kept: kept.get_or_create(self.make(2), on=self.unique),
            lambda kept: kept.upsert(self.make(2), on=self.unique),
            lambda kept: kept.bulk_create([self.make(2)]),
            lambda kept: kept.bulk_update([{"id": id_of(stored), **changes}]),
            lambda kept: kept.bulk_upsert([self.make(2)], on=self.unique),
            lambda kept: kept.update_where(ALL, **changes),
            lambda kept: kept.delete_where(ALL),
        ]

    def test_a_unit_that_only_reads_refuses_all_of_them(self) -> None:
        (stored,) = self.fill(1)
        before = values_of(stored)
        with self.units(read_only=True) as uow:
            for write in self.writes(stored):
                with pytest.raises(ReadOnlyViolation):
                    write(self.repository(uow))
            assert self.repository(uow).count() == 1
        assert self.stored(id_of(stored)) == before

    def test_all_of_them_are_undone_by_a_rollback(self) -> None:
        (stored,) = self.fill(1)
        before = values_of(stored)
        for write in self.writes(stored):
            with self.units() as uow:
                write(self.repository(uow))
                uow.rollback()
            assert self.count() == 1
            assert self.stored(id_of(stored)) == before

    def test_a_repository_that_was_kept_refuses_all_of_them_after_the_block(self) -> None:
        (stored,) = self.fill(1)
        with self.units() as uow:
            kept = self.repository(uow)
        for write in self.writes(stored):
            with pytest.raises(UnitOfWorkError):
                write(kept)

    def test_what_writing_costs(self) -> None:
        self.needs("unique", "rising")
        (stored,) = self.fill(1)
        changes: dict[str, Any] = {self.rising: self.value(9)}
        uses: list[tuple[int, Callable[[BaseRepository[E]], object]]] = [
            (1, lambda kept: kept.create(self.make(2))),
            (2, lambda kept: kept.create_many([self.make(number) for number in range(2, 9)])),
            (1, lambda kept: kept.bulk_create([self.make(number) for number in range(2, 9)])),
            (1, lambda kept: kept.bulk_update([{"id": id_of(stored), **changes}])),
            (1, lambda kept: kept.bulk_upsert([self.make(2)], on=self.unique)),
            (1, lambda kept: kept.update_where(ALL, **changes)),
            (1, lambda kept: kept.delete_where(ALL)),
            (2, lambda kept: kept.update(id_of(stored), **changes)),
            (2, lambda kept: kept.delete(id_of(stored))),
            (2, lambda kept: kept.get_or_create(self.make(2), on=self.unique)),
            (1, lambda kept: kept.get_or_create(self.make(1), on=self.unique)),
            (2, lambda kept: kept.upsert(self.make(2), on=self.unique)),
        ]
        for number, (most, use) in enumerate(uses):
            cost = self.cost(use)
            assert cost <= most, f"use {number} sends {cost} statements"
