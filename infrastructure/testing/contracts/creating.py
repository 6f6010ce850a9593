"""How new entities are stored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from domain.errors import (
    ForeignKeyViolation,
    UniqueViolation,
    UnitOfWorkError,
    ValidationError,
)
from infrastructure.testing.contracts.subject import E, Subject, id_of, values_of


class CreatingContract(Subject[E]):
    """``create`` and ``create_many``."""

    def test_what_is_created_is_stored_with_all_its_fields(self) -> None:
        given = values_of(self.make(1))
        with self.units() as uow:
            id = id_of(self.repository(uow).create(self.make(1)))
            uow.commit()
        stored = self.stored(id)
        assert stored["id"] == id
        assert {**stored, "id": None} == {**given, "id": None}

    def test_a_created_entity_has_its_id_at_once_and_so_has_the_original(self) -> None:
        original = self.make(1)
        with self.units() as uow:
            created = self.repository(uow).create(original)
            assert id_of(created) == id_of(original)
            uow.commit()
        assert self.count() == 1
        assert values_of(original) == values_of(created) == self.stored(id_of(original))

    def test_a_created_entity_is_the_one_that_the_unit_finds(self) -> None:
        with self.units() as uow:
            kept = self.repository(uow)
            created = kept.create(self.make(1))
            assert kept.get_by_id(id_of(created)) is created
            assert kept.first() is kept.one() is created
            assert kept.get_all() == [created]
            uow.rollback()

    def test_many_come_back_in_the_order_given(self) -> None:
        numbers = [3, 1, 5, 2, 4]
        originals = [self.make(number) for number in numbers]
        with self.units() as uow:
            created = self.repository(uow).create_many(iter(originals))
            uow.commit()
        assert [id_of(one) for one in created] == [id_of(one) for one in originals]
        assert len({id_of(one) for one in created}) == 5
        for one, original in zip(created, originals, strict=True):
            assert values_of(one) == values_of(original) == self.stored(id_of(one))

    def test_no_entities_are_none(self) -> None:
        with self.units() as uow:
            assert self.repository(uow).create_many([]) == []
            uow.commit()
        assert self.count() == 0

    def test_ids_are_never_given_twice(self) -> None:
        seen = {id_of(one) for one in self.fill(3)}
        with self.units() as uow:
            seen.update(id_of(self.repository(uow).create(self.make(number))) for number in (4, 5))
            uow.commit()
        assert len(seen) == 5

    def test_a_changed_original_is_refused_because_its_change_would_be_lost(self) -> None:
        for many in (False, True):
            original = self.make(1)
            with self.units() as uow:
                kept = self.repository(uow)
                created = kept.create_many([original])[0] if many else kept.create(original)
                change = self.changed(original)
                if created is original:  # an adapter may track what it was given
                    uow.commit()
                    assert self.stored(id_of(created)).items() >= change.items()
                else:
                    with pytest.raises(UnitOfWorkError, match=self.name()):
                        uow.commit()
                    uow.rollback()
                    assert self.count() == 0
                    continue
            self.remove_all()

    def test_a_rollback_takes_the_id_away_so_that_it_can_be_created_again(self) -> None:
        original: Any = self.make(1)
        given = original.id
        with self.units() as uow:
            kept = self.repository(uow)
            kept.create(original)
            uow.rollback()
            assert original.id == given
            kept.create(original)
            uow.commit()
        assert self.stored(id_of(original)) == values_of(original)

    def test_the_same_entity_is_not_created_twice(self) -> None:
        original = self.make(1)
        with self.units() as uow:
            kept = self.repository(uow)
            kept.create(original)
            with pytest.raises(UnitOfWorkError):
                kept.create(original)
            uow.rollback()
            with pytest.raises(UnitOfWorkError):
                kept.create_many([original, original])
            uow.rollback()
        assert self.count() == 0

    def remove_all(self) -> None:
        """Make the storage empty again."""
        with self.units() as uow:
            for one in self.repository(uow).get_all():
                self.repository(uow).delete(one)
            uow.commit()

    # -- refused ---------------------------------------------------------------------------

    def spoilt(self) -> Iterator[tuple[str, Any]]:
        """What ``invalid`` says, field by field."""
        self.needs("invalid")
        yield from self.invalid.items()

    def wrong(self, number: int, field: str, value: Any) -> E:
        """A new entity that cannot be stored."""
        entity = self.make(number)
        setattr(entity, field, value)
        return entity

    def test_an_invalid_entity_is_refused_naming_the_field(self) -> None:
        for field, value in self.spoilt():
            with self.units() as uow:
                kept = self.repository(uow)
                with pytest.raises(ValidationError) as caught:
                    kept.create(self.wrong(1, field, value))
                assert caught.value.entity == self.name()
                assert field in caught.value.errors
                assert kept.count() == 0
                uow.commit()
            assert self.count() == 0

    def test_an_invalid_one_among_many_stores_none_and_leaves_the_unit_usable(self) -> None:
        for field, value in self.spoilt():
            with self.units() as uow:
                kept = self.repository(uow)
                with pytest.raises(ValidationError) as caught:
                    kept.create_many([self.make(1), self.wrong(2, field, value), self.make(3)])
                assert field in caught.value.errors
                assert kept.count() == 0
                kept.create(self.make(4))
                uow.commit()
            assert self.count() == 1
            self.remove_all()

    def test_a_unique_key_that_is_taken_is_refused_naming_its_fields(self) -> None:
        self.needs("unique")
        self.fill(1)
        with self.units() as uow:
            with pytest.raises(UniqueViolation) as caught:
                self.repository(uow).create(self.twin(2, of=1))
            assert caught.value.entity == self.name()
            assert sorted(caught.value.fields) == sorted(self.unique)
            uow.rollback()
        assert self.count() == 1

    def test_a_duplicate_among_many_stores_none(self) -> None:
        self.needs("unique")
        with self.units() as uow:
            kept = self.repository(uow)
            kept.create(self.make(4))
            with pytest.raises(UniqueViolation), uow.savepoint():
                kept.create_many([self.make(1), self.make(2), self.twin(3, of=1)])
            with pytest.raises(UniqueViolation), uow.savepoint():
                kept.create_many([self.make(1), self.twin(2, of=4)])
            assert kept.count() == 1
            uow.commit()
        assert self.count() == 1

    def test_a_key_is_free_again_after_its_entity_was_deleted(self) -> None:
        self.needs("unique")
        (stored,) = self.fill(1)
        with self.units() as uow:
            kept = self.repository(uow)
            kept.delete(id_of(stored))
            created = kept.create(self.twin(2, of=1))
            uow.commit()
        assert self.count() == 1
        assert self.stored(id_of(created)) == values_of(created)

    def test_an_id_that_is_taken_is_refused(self) -> None:
        (stored,) = self.fill(1)
        other: Any = self.make(2)
        other.id = id_of(stored)
        with self.units() as uow:
            with pytest.raises(UniqueViolation) as caught:
                self.repository(uow).create(other)
            assert caught.value.entity == self.name()
            assert caught.value.fields == ("id",)
            uow.rollback()
        assert self.stored(id_of(stored)) == values_of(stored)

    def test_a_reference_to_nothing_is_refused_naming_the_field(self) -> None:
        if self.reference is None:
            self._skip("reference")
        field, nowhere = self.reference
        with self.units() as uow:
            with pytest.raises(ForeignKeyViolation) as caught:
                self.repository(uow).create(self.wrong(1, field, nowhere))
                uow.commit()
            assert caught.value.entity == self.name()
            assert caught.value.fields in ((field,), ())  # some databases do not say which
            uow.rollback()
        assert self.count() == 0
