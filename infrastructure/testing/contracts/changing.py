"""How stored entities are changed and removed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from domain.errors import (
    ConcurrencyConflict,
    EntityNotFound,
    ForeignKeyViolation,
    UncommittedChangesWarning,
    UniqueViolation,
    UnitOfWorkError,
    ValidationError,
)
from domain.ports import Repository
from infrastructure.testing.contracts.subject import E, Stop, Subject, id_of, values_of


class DeletingContract(Subject[E]):
    """``delete``."""

    @pytest.mark.parametrize("by", ["id", "entity", "an entity of another unit"])
    def test_what_is_deleted_is_gone(self, by: str) -> None:
        first, second = self.fill(2)
        with self.units() as uow:
            kept, id = self.repository(uow), id_of(first)
            kept.delete({"id": id, "entity": kept.require(id)}.get(by, first))
            assert kept.get_by_id(id) is None
            assert kept.count() == 1
            uow.commit()
        assert self.ask(lambda kept: [id_of(one) for one in kept.get_all()]) == [id_of(second)]

    def test_a_new_entity_can_be_deleted_by_what_was_given(self) -> None:
        original = self.make(1)
        with self.units() as uow:
            kept = self.repository(uow)
            kept.create(original)
            kept.delete(original)
            assert kept.count() == 0
            uow.commit()
        assert self.count() == 0

    def test_what_is_not_there_cannot_be_deleted(self) -> None:
        first, second = self.fill(2)
        with self.units() as uow:
            self.repository(uow).delete(first)
            uow.commit()
        with self.units() as uow:
            kept = self.repository(uow)
            for missing in (first, id_of(first)):
                with pytest.raises(EntityNotFound) as caught:
                    kept.delete(missing)
                assert (caught.value.entity, caught.value.id) == (self.name(), id_of(first))
            kept.delete(second)
            with pytest.raises(EntityNotFound):
                kept.delete(id_of(second))
            uow.commit()
        assert self.count() == 0

    def test_a_deletion_is_undone_by_a_rollback(self) -> None:
        (stored,) = self.fill(1)
        with self.units() as uow:
            self.repository(uow).delete(id_of(stored))
            uow.rollback()
            assert self.repository(uow).count() == 1
        assert self.stored(id_of(stored)) == values_of(stored)

    def test_what_is_referred_to_cannot_be_deleted(self) -> None:
        if self.reference is None:
            self._skip("reference")
        (stored,) = self.fill(1)
        target = getattr(stored, self.reference[0])
        with self.units() as uow:
            with pytest.raises(ForeignKeyViolation):
                self.referred(uow).delete(target)
                uow.commit()
            uow.rollback()
            self.repository(uow).delete(id_of(stored))
            self.referred(uow).delete(target)
            uow.commit()
        assert self.count() == 0

    def test_an_entity_that_was_changed_meanwhile_is_not_deleted(self) -> None:
        self.needs("versioned")
        (stored,) = self.fill(1)
        for read_only in (False, True):
            with self.units(read_only=read_only) as uow:
                stale = self.repository(uow).require(id_of(stored))
            with self.units() as uow:
                self.change(self.repository(uow).require(id_of(stored)))
                uow.commit()
            with self.units() as uow:
                with pytest.raises(ConcurrencyConflict) as caught:
                    self.repository(uow).delete(stale)
                assert (caught.value.entity, caught.value.id) == (self.name(), id_of(stored))
                uow.rollback()
            assert self.count() == 1

    def test_an_entity_that_was_not_changed_is_deleted_though_others_were(self) -> None:
        self.needs("versioned")
        first, second = self.fill(2)
        with self.units() as uow:
            self.change(self.repository(uow).require(id_of(second)))
            uow.commit()
        with self.units() as uow:
            self.repository(uow).delete(first)
            uow.commit()
        assert self.count() == 1


class ChangingContract(Subject[E]):
    """Changes of the entities that a unit has handed out."""

    WAYS: dict[str, Callable[[Repository[Any], Any], Any]] = {  # noqa: RUF012 -- never changed
        "get_by_id": lambda kept, id: kept.get_by_id(id),
        "require": lambda kept, id: kept.require(id),
        "first": lambda kept, id: kept.first(),
        "one": lambda kept, id: kept.one(),
        "get_all": lambda kept, id: kept.get_all()[0],
    }

    def test_changes_of_loaded_entities_are_stored_at_commit_and_only_then(self) -> None:
        (stored,) = self.fill(1)
        before = self.stored(id_of(stored))
        for way in self.WAYS.values():
            with pytest.warns(UncommittedChangesWarning), self.units() as uow:
                self.change(way(self.repository(uow), id_of(stored)))
            assert self.stored(id_of(stored)) == before
            with self.units() as uow:
                change = self.changed(way(self.repository(uow), id_of(stored)))
                uow.commit()
            assert self.stored(id_of(stored)) == {**before, **change}
            self.remove(stored)
            (stored,) = self.fill(1)
            before = self.stored(id_of(stored))

    def remove(self, entity: E) -> None:
        """Delete an entity, whatever has become of it."""
        with self.units() as uow:
            self.repository(uow).delete(id_of(entity))
            uow.commit()

    def test_changes_of_created_entities_are_stored(self) -> None:
        with self.units() as uow:
            created = self.repository(uow).create(self.make(1))
            self.change(created)
            uow.commit()
        assert self.stored(id_of(created)) == values_of(created)

    def test_changes_are_undone_by_a_rollback(self) -> None:
        (stored,) = self.fill(1)
        before = self.stored(id_of(stored))
        with self.units() as uow:
            loaded = self.repository(uow).require(id_of(stored))
            self.change(loaded)
            uow.rollback()
            assert values_of(self.repository(uow).require(id_of(stored))) == before
            uow.commit()
        assert self.stored(id_of(stored)) == before

    def test_a_change_that_is_undone_is_forgotten_though_nobody_holds_the_entity(self) -> None:
        (stored,) = self.fill(1)
        with self.units() as uow:
            self.change(self.repository(uow).require(id_of(stored)))
            uow.rollback()
            uow.commit()
        assert self.stored(id_of(stored)) == values_of(stored)

    def test_a_unit_sees_its_own_writes(self) -> None:
        self.needs("rising")
        (first, second) = self.fill(2)
        with self.units() as uow:
            kept = self.repository(uow)
            new = kept.create(self.make(3))
            kept.delete(id_of(second))
            changed = kept.require(id_of(first))
            setattr(changed, self.rising, self.value(9))
            assert kept.one(self.rises == self.value(9)) is changed
            assert not kept.exists(self.rises == self.value(1))
            assert kept.count() == 2
            assert kept.get_all(order_by=self.rising) == [new, changed]
            assert kept.get_all(self.rises < self.value(9), order_by=self.rising) == [new]
            uow.rollback()
        assert self.found([first, second], order_by=self.rising) == [1, 2]

    def test_no_other_unit_sees_what_is_not_committed(self) -> None:
        """The storage may serve one unit at a time; then the other one is refused."""
        (stored,) = self.fill(1)
        before = self.stored(id_of(stored))
        seen: list[Any] = []
        with self.units() as uow:
            self.change(self.repository(uow).require(id_of(stored)))
            created = self.repository(uow).create(self.make(2))
            try:
                with self.units(read_only=True) as other:
                    seen += [values_of(one) for one in self.repository(other).get_all()]
            except UnitOfWorkError:
                seen.append(before)
            self.repository(uow).delete(created)
            uow.rollback()
        assert seen == [before]

    def test_nothing_is_shared_with_what_other_units_got(self) -> None:
        """What one unit handed out, another one does not see changed; nor does the storage."""
        (stored,) = self.fill(1)
        before = self.stored(id_of(stored))
        with self.units(read_only=True) as uow:
            given = self.repository(uow).require(id_of(stored))
        self.change(given)
        self.change(stored)
        assert self.stored(id_of(stored)) == before
        with self.units() as uow:
            assert values_of(self.repository(uow).require(id_of(stored))) == before

    def test_an_invalid_change_is_refused_at_commit_naming_the_field(self) -> None:
        self.needs("invalid")
        (stored,) = self.fill(1)
        before = self.stored(id_of(stored))
        for field, value in self.invalid.items():
            with self.units() as uow:
                loaded = self.repository(uow).require(id_of(stored))
                setattr(loaded, field, value)
                with pytest.raises(ValidationError) as caught:
                    uow.commit()
                assert caught.value.entity == self.name()
                assert field in caught.value.errors
                uow.rollback()
            assert self.stored(id_of(stored)) == before

    def test_a_change_to_a_key_that_is_taken_is_refused_at_commit(self) -> None:
        self.needs("unique")
        (first, second) = self.fill(2)
        with self.units() as uow:
            loaded = self.repository(uow).require(id_of(second))
            for field in self.unique:
                setattr(loaded, field, getattr(first, field))
            with pytest.raises(UniqueViolation) as caught:
                uow.commit()
            assert caught.value.entity == self.name()
            assert sorted(caught.value.fields) == sorted(self.unique)
            uow.rollback()
        assert self.stored(id_of(second)) == values_of(second)

    def test_an_exception_undoes_changes_and_creations(self) -> None:
        (stored,) = self.fill(1)
        before = self.stored(id_of(stored))
        with pytest.raises(Stop), self.units() as uow:
            self.repository(uow).create(self.make(2))
            self.change(self.repository(uow).require(id_of(stored)))
            raise Stop
        assert self.stored(id_of(stored)) == before
        assert self.count() == 1
