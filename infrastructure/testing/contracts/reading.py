"""How entities are found: by id, by criteria, in an order, within limits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from domain.errors import EntityNotFound, MultipleEntitiesFound, ValidationError
from domain.ports import Repository
from domain.specification import ALL, NONE, Specification, where
from infrastructure.testing.contracts.subject import E, Subject, T, id_of, values_of

UNKNOWN = "no_such_field"

ASKED: dict[str, Callable[[Any, Specification], Any]] = {
    "get_all": lambda kept, criterion: kept.get_all(criterion),
    "first": lambda kept, criterion: kept.first(criterion),
    "one": lambda kept, criterion: kept.one(criterion),
    "count": lambda kept, criterion: kept.count(criterion),
    "exists": lambda kept, criterion: kept.exists(criterion),
}
"""The methods that take criteria."""


class ReadingContract(Subject[E]):
    """The half of the contract that finds entities."""

    def missing_id(self) -> Any:
        """An id that no entity has: of one that was deleted. The next one may get it again."""
        with self.units() as uow:
            kept = self.repository(uow)
            id = id_of(kept.create(self.make(9)))
            kept.delete(id)
            uow.commit()
        return id

    # -- by id -----------------------------------------------------------------------------

    def test_an_id_finds_its_entity(self) -> None:
        stored = self.fill(3)
        ids = [id_of(entity) for entity in stored]
        expected = [values_of(entity) for entity in stored]
        assert self.ask(lambda kept: [values_of(kept.get_by_id(id)) for id in ids]) == expected
        assert self.ask(lambda kept: [values_of(kept.require(id)) for id in ids]) == expected

    def test_a_missing_id_finds_nothing(self) -> None:
        self.fill(1)
        id = self.missing_id()
        assert self.ask(lambda kept: kept.get_by_id(id)) is None

    def test_what_is_required_must_be_there(self) -> None:
        id = self.missing_id()

        def refused(kept: Repository[E]) -> tuple[str, Any]:
            with pytest.raises(EntityNotFound) as caught:
                kept.require(id)
            return caught.value.entity, caught.value.id

        assert self.ask(refused) == (self.name(), id)

    def test_an_entity_is_one_object_within_a_unit(self) -> None:
        (stored,) = self.fill(1)
        for kept in self.each():
            id = id_of(stored)
            found = kept.get_by_id(id)
            again = kept.get_by_id(id), kept.require(id), kept.first(), kept.one()
            assert all(one is found for one in (*again, *kept.get_all()))

    def test_an_entity_found_by_criteria_is_that_found_by_its_id(self) -> None:
        (stored,) = self.fill(1)
        for kept in self.each():
            (found,) = kept.get_all()
            assert kept.get_by_id(id_of(stored)) is found

    def test_each_unit_gives_an_object_of_its_own(self) -> None:
        (stored,) = self.fill(1)
        given = [stored]
        for _ in range(2):
            given += [kept.require(id_of(stored)) for kept in self.each()]
        assert len({id(one) for one in given}) == len(given)

    def test_a_missing_entity_leaves_the_unit_usable(self) -> None:
        id = self.missing_id()
        with self.units() as uow:
            kept = self.repository(uow)
            with pytest.raises(EntityNotFound):
                kept.require(id)
            with pytest.raises(EntityNotFound):
                kept.one()
            kept.create(self.make(1))
            uow.commit()
        assert self.count() == 1

    # -- by criteria -----------------------------------------------------------------------

    def test_an_empty_storage_has_nothing(self) -> None:
        def answers(kept: Repository[E]) -> list[Any]:
            return [kept.get_all(), kept.first(), kept.count(), kept.exists()]

        assert self.ask(answers) == [[], None, 0, False]

    def test_without_criteria_every_entity_counts(self) -> None:
        stored = self.fill(3)
        assert self.found(stored) == [1, 2, 3]
        assert self.ask(lambda kept: kept.count()) == 3
        assert self.ask(lambda kept: kept.exists()) is True

    def test_get_all_returns_a_list_that_belongs_to_the_caller(self) -> None:
        self.fill(2)
        for kept in self.each():
            found = kept.get_all()
            assert isinstance(found, list)
            found.clear()
            assert len(kept.get_all()) == 2

    def test_several_criteria_must_all_be_satisfied(self) -> None:
        self.needs("rising")
        stored = self.fill(4)
        criteria = self.rises > self.value(1), self.rises < self.value(4)
        assert self.found(stored, *criteria) == [2, 3]
        assert self.ask(lambda kept: kept.count(*criteria)) == 2
        assert self.ask(lambda kept: kept.exists(*criteria, NONE)) is False

    def test_count_and_exists_go_by_the_criteria(self) -> None:
        self.needs("rising")
        self.fill(3)
        many, none = self.rises >= self.value(2), self.rises > self.value(3)
        assert self.ask(lambda kept: [kept.count(many), kept.count(none)]) == [2, 0]
        assert self.ask(lambda kept: [kept.exists(many), kept.exists(none)]) == [True, False]

    def test_one_finds_the_only_one(self) -> None:
        self.needs("rising")
        stored = self.fill(3)
        only = self.rises == self.value(2)
        assert self.ask(lambda kept: self.numbers(stored, [kept.one(only)])) == [2]

    def test_one_of_none_is_not_found(self) -> None:
        self.fill(1)

        def refused(kept: Repository[E]) -> tuple[str, Any]:
            with pytest.raises(EntityNotFound) as caught:
                kept.one(NONE)
            return caught.value.entity, caught.value.id

        assert self.ask(refused) == (self.name(), None)

    def test_one_of_many_is_refused(self) -> None:
        self.fill(2)

        def refused(kept: Repository[E]) -> str:
            with pytest.raises(MultipleEntitiesFound) as caught:
                kept.one()
            return caught.value.entity

        assert self.ask(refused) == self.name()

    def test_first_is_the_first_in_the_order(self) -> None:
        self.needs("rising")
        stored = self.fill(3)

        def answers(kept: Repository[E]) -> list[int]:
            first = kept.first(order_by=self.rising)
            last = kept.first(order_by=f"-{self.rising}")
            second = kept.first(self.rises > self.value(1), order_by=[self.rising])
            return self.numbers(stored, [one for one in (first, last, second) if one is not None])

        assert self.ask(answers) == [1, 3, 2]

    def test_first_of_none_is_none(self) -> None:
        self.fill(1)
        assert self.ask(lambda kept: kept.first(NONE)) is None

    # -- order, limit, offset --------------------------------------------------------------

    def test_an_order_rises_and_with_a_minus_it_falls(self) -> None:
        self.needs("rising")
        stored = self.fill(5)
        for rising in (self.rising, [self.rising], (self.rising,)):
            assert self.found(stored, order_by=rising) == [1, 2, 3, 4, 5]
        assert self.found(stored, order_by=f"-{self.rising}") == [5, 4, 3, 2, 1]

    def test_none_is_the_greatest_value(self) -> None:
        self.needs("nullable")
        stored = self.fill(4, without=[2])
        for order, at in ((self.nullable, -1), (f"-{self.nullable}", 0)):
            found = self.found(stored, order_by=order)
            assert sorted(found) == [1, 2, 3, 4]
            assert found[at] == 2

    def test_a_second_order_decides_where_the_first_one_does_not(self) -> None:
        self.needs("nullable", "rising")
        stored = self.fill(5, without=[1, 2, 4])
        for sign, expected in (("", [1, 2, 4]), ("-", [4, 2, 1])):
            order = (self.nullable, f"{sign}{self.rising}")
            assert self.found(stored, order_by=order)[2:] == expected
            order = (f"-{self.nullable}", f"{sign}{self.rising}")
            assert self.found(stored, order_by=order)[:3] == expected

    def test_limit_and_offset_take_a_part_of_the_order(self) -> None:
        self.needs("rising")
        stored, order = self.fill(5), self.rising
        assert self.found(stored, order_by=order, limit=2) == [1, 2]
        assert self.found(stored, order_by=order, offset=3) == [4, 5]
        assert self.found(stored, order_by=order, limit=2, offset=1) == [2, 3]
        assert self.found(stored, self.rises > self.value(2), order_by=order, limit=1) == [3]

    def test_limits_beyond_the_end_and_at_nothing(self) -> None:
        stored = self.fill(3)
        assert self.found(stored, limit=0) == []
        assert self.found(stored, limit=100) == [1, 2, 3]
        assert self.found(stored, limit=None, offset=None) == [1, 2, 3]
        assert self.found(stored, offset=0) == [1, 2, 3]
        assert self.found(stored, offset=3) == []
        assert self.found(stored, limit=2, offset=100) == []

    def test_a_limit_holds_without_an_order(self) -> None:
        stored = self.fill(5)
        assert len(self.found(stored, limit=2)) == 2
        assert len(self.found(stored, offset=2)) == 3

    @pytest.mark.parametrize("name", ["limit", "offset"])
    def test_what_is_no_whole_number_from_0_is_no_limit(self, name: str) -> None:
        self.fill(1)
        wrong: list[Any] = [-1, 1.0, "1", True]
        self.refused(lambda kept, value: kept.get_all(**{name: value}), wrong, name)

    # -- refused ---------------------------------------------------------------------------

    def refused(
        self, ask: Callable[[Repository[E], T], Any], of: Sequence[T], field: str | None = None
    ) -> None:
        """A unit refuses each question, naming the field, and can be asked on."""
        for kept in self.each():
            for each in of:
                with pytest.raises(ValidationError) as caught:
                    ask(kept, each)
                assert caught.value.entity == self.name()
                assert field is None or list(caught.value.errors) == [field]
            assert kept.count() >= 0

    @pytest.mark.parametrize("asked", ASKED)
    def test_an_unknown_field_in_criteria_is_refused(self, asked: str) -> None:
        unknown: list[Specification] = [
            where(UNKNOWN) == 1,
            where(UNKNOWN).is_none(),
            where(UNKNOWN).in_([1]),
            where(UNKNOWN).in_([]),
            where(UNKNOWN).between(1, 2),
            where(UNKNOWN).contains("a"),
            ~(where(UNKNOWN) != 1),
            ALL & (where(UNKNOWN) > 1),
            ALL | (where(UNKNOWN) <= 1),
            NONE & (where(UNKNOWN) <= 1),
        ]
        for stored in (0, 2):
            self.fill(stored)
            self.refused(ASKED[asked], unknown, UNKNOWN)

    @pytest.mark.parametrize("name", ["__class__", "__dict__", "__init__", "_private", "id.x"])
    def test_what_is_no_field_of_the_domain_is_unknown(self, name: str) -> None:
        self.fill(1)
        self.refused(lambda kept, wrong: kept.get_all(where(wrong) == 1), [name], name)
        self.refused(lambda kept, wrong: kept.get_all(order_by=wrong), [name])

    def test_an_unknown_field_in_an_order_is_refused(self) -> None:
        orders: list[Any] = [
            UNKNOWN,
            f"-{UNKNOWN}",
            ["id", UNKNOWN],
            ["id", "id", f"-{UNKNOWN}"],
            "",
            "-",
        ]
        for stored in (0, 2):
            self.fill(stored)
            self.refused(lambda kept, order: kept.get_all(order_by=order), orders)
            self.refused(lambda kept, order: kept.first(order_by=order), orders)

    def test_what_is_no_order_is_refused(self) -> None:
        wrong: list[Any] = [1, [None], ["id", 2], b"id", {"id": "desc"}, None]
        self.refused(lambda kept, order: kept.get_all(order_by=order), wrong)

    @pytest.mark.parametrize("asked", ASKED)
    def test_what_is_no_specification_is_refused(self, asked: str) -> None:
        wrong: list[Any] = [True, None, "id", where("id"), {"id": 1}, lambda entity: True]
        self.refused(ASKED[asked], wrong)

    @pytest.mark.parametrize("asked", ASKED)
    def test_a_value_that_cannot_be_compared_is_refused(self, asked: str) -> None:
        self.needs("rising")
        self.fill(2)
        self.refused(ASKED[asked], [self.rises < object()], self.rising)
