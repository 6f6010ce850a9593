"""What each specification means to a repository."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from domain.specification import ALL, NONE, Field, Specification, where
from infrastructure.testing.contracts.subject import E, Subject, id_of

COMPARED: dict[str, tuple[Callable[[Field, Any], Specification], list[int]]] = {
    "==": (lambda field, value: field == value, [3]),
    "!=": (lambda field, value: field != value, [1, 2, 4, 5]),
    "<": (lambda field, value: field < value, [1, 2]),
    "<=": (lambda field, value: field <= value, [1, 2, 3]),
    ">": (lambda field, value: field > value, [4, 5]),
    ">=": (lambda field, value: field >= value, [3, 4, 5]),
}
"""What is true of which entities from 1 to 5, compared with the value of the third."""


class Middle(Specification):
    """A specification with a name of its own."""

    def __init__(self, field: str, low: Any, high: Any) -> None:
        self.field, self.low, self.high = where(field), low, high

    def expression(self) -> Specification:
        above: Specification = self.field > self.low
        return above & Below(self.field, self.high)


class Below(Specification):
    """Another one, which the first one uses."""

    def __init__(self, field: Field, high: Any) -> None:
        self.field, self.high = field, high

    def expression(self) -> Specification:
        below: Specification = self.field < self.high
        return below


class SpecificationsContract(Subject[E]):
    """The meaning of specifications: the same as that of ``is_satisfied_by``."""

    def satisfied(self, stored: list[E], spec: Specification) -> list[int]:
        """Which ones are found by ``get_all``, and by all the other ways of asking."""
        found = [n for n, one in enumerate(stored, 1) if spec.is_satisfied_by(one)]
        with self.units() as uow:
            kept = self.repository(uow)
            assert sorted(self.numbers(stored, kept.get_all(spec))) == found
        with self.units(read_only=True) as uow:
            kept = self.repository(uow)
            assert sorted(self.numbers(stored, kept.get_all(spec))) == found
            assert kept.count(spec) == len(found)
            assert kept.exists(spec) is bool(found)
            assert (kept.first(spec) is not None) is bool(found)
        return found

    # -- values ----------------------------------------------------------------------------

    @pytest.mark.parametrize("operator", COMPARED)
    def test_a_field_is_compared_with_a_value(self, operator: str) -> None:
        self.needs("rising")
        compare, expected = COMPARED[operator]
        assert self.satisfied(self.fill(5), compare(self.rises, self.value(3))) == expected

    def test_in_means_one_of_the_values(self) -> None:
        self.needs("rising")
        stored = self.fill(4)
        for values in ([2, 4], [4, 2, 2], [2, 4, 9]):
            spec = self.rises.in_([self.value(number) for number in values])
            assert self.satisfied(stored, spec) == [2, 4]
            assert self.satisfied(stored, ~spec) == [1, 3]

    def test_in_no_values_is_nothing_and_its_opposite_everything(self) -> None:
        self.needs("rising")
        stored = self.fill(2)
        assert self.satisfied(stored, self.rises.in_([])) == []
        assert self.satisfied(stored, ~self.rises.in_([])) == [1, 2]

    def test_between_includes_both_ends(self) -> None:
        self.needs("rising")
        stored = self.fill(5)
        spec = self.rises.between(self.value(2), self.value(4))
        assert self.satisfied(stored, spec) == [2, 3, 4]
        assert self.satisfied(stored, ~spec) == [1, 5]
        assert self.satisfied(stored, self.rises.between(self.value(4), self.value(2))) == []

    def test_the_id_is_a_field_like_any(self) -> None:
        stored = self.fill(3)
        ids = [id_of(one) for one in stored]
        assert self.satisfied(stored, where("id") == ids[1]) == [2]
        assert self.satisfied(stored, where("id").in_([ids[0], ids[2]])) == [1, 3]
        assert self.satisfied(stored, where("id").is_none()) == []

    # -- text ------------------------------------------------------------------------------

    def text(self, number: int) -> str:
        """What the entity of this number has in ``rising``; skips where that is no text."""
        self.needs("rising")
        value = self.value(number)
        if not isinstance(value, str):
            self._skip("a field of text as rising")
        return value

    def test_contains_startswith_and_endswith(self) -> None:
        stored, text = self.fill(3), self.text(2)
        middle, shared = text[1:], text[0]
        assert 2 in self.satisfied(stored, self.rises.contains(middle))
        assert self.satisfied(stored, self.rises.startswith(text)) == [2]
        assert self.satisfied(stored, self.rises.endswith(text)) == [2]
        assert self.satisfied(stored, self.rises.contains(text)) == [2]
        assert 2 in self.satisfied(stored, self.rises.startswith(shared))
        assert 2 in self.satisfied(stored, self.rises.endswith(text[-1]))
        assert self.satisfied(stored, self.rises.contains(f"{text}{text}")) == []
        assert self.satisfied(stored, self.rises.startswith(middle)) == []
        assert self.satisfied(stored, self.rises.endswith(text[:-1])) == []
        assert self.satisfied(stored, ~self.rises.startswith(text)) == [1, 3]

    def test_every_text_contains_the_empty_one(self) -> None:
        self.text(1)
        stored = self.fill(2)
        for spec in (self.rises.contains(""), self.rises.startswith(""), self.rises.endswith("")):
            assert self.satisfied(stored, spec) == [1, 2]

    def test_there_are_no_wildcards(self) -> None:
        stored, text = self.fill(2), self.text(1)
        specs = [
            spec
            for wildcard in ("%", "_", "*", "?", ".", "\\", "[a-z]", "%%", "'")
            for spec in (
                self.rises.contains(wildcard),
                self.rises.startswith(f"{wildcard}{text[1:]}"),
                self.rises.endswith(f"{text[:-1]}{wildcard}"),
                self.rises.contains(f"{text[:1]}{wildcard}", ignore_case=True),
                self.rises == f"{text[:-1]}{wildcard}",
            )
        ]
        expected = [[one for one in stored if spec.is_satisfied_by(one)] for spec in specs]
        assert self.ask(
            lambda kept: [self.numbers(stored, kept.get_all(spec)) for spec in specs]
        ) == [self.numbers(stored, found) for found in expected]

    def test_case_matters_unless_it_is_ignored(self) -> None:
        stored, text = self.fill(3), self.text(2)
        other = text.swapcase()
        assert other != text, "rising needs letters"
        for ask in (self.rises.contains, self.rises.startswith, self.rises.endswith):
            assert self.satisfied(stored, ask(other)) == []
            assert self.satisfied(stored, ask(other, ignore_case=True)) == [2]
            assert self.satisfied(stored, ask(text, ignore_case=True)) == [2]
        assert self.satisfied(stored, self.rises == other) == []

    def test_ignored_case_is_that_of_a_to_z_alone(self) -> None:
        stored, text = self.fill(1), self.text(1)
        found = [
            letter
            for letter in "\u212a\u017f\u0130"  # they are k, s and i to str.lower or str.casefold
            if self.satisfied(stored, self.rises.contains(letter, ignore_case=True))
        ]
        assert found == [letter for letter in "\u212a\u017f\u0130" if letter in text]

    # -- combined --------------------------------------------------------------------------

    def test_all_and_none(self) -> None:
        stored = self.fill(2)
        assert self.satisfied(stored, ALL) == [1, 2]
        assert self.satisfied(stored, NONE) == []
        assert self.satisfied(stored, ~ALL) == []
        assert self.satisfied(stored, ~NONE) == [1, 2]
        assert self.satisfied(stored, ALL & NONE) == []
        assert self.satisfied(stored, ALL | NONE) == [1, 2]

    def test_and_or_not(self) -> None:
        self.needs("rising")
        stored = self.fill(5)
        low, high = self.rises < self.value(4), self.rises > self.value(2)
        assert self.satisfied(stored, low & high) == [3]
        assert self.satisfied(stored, ~low | ~high) == [1, 2, 4, 5]
        assert self.satisfied(stored, ~(low & high)) == [1, 2, 4, 5]
        assert self.satisfied(stored, ~low) == [4, 5]
        assert self.satisfied(stored, ~~low) == [1, 2, 3]
        first, last = self.rises == self.value(1), self.rises == self.value(5)
        assert self.satisfied(stored, first | last) == [1, 5]
        assert self.satisfied(stored, first | (last & low)) == [1]
        assert self.satisfied(stored, (first | last) & low) == [1]
        assert self.satisfied(stored, first | last & high) == [1, 5]

    def test_a_specification_with_a_name_of_its_own(self) -> None:
        self.needs("rising")
        stored = self.fill(5)
        spec = Middle(self.rising, self.value(2), self.value(5))
        assert self.satisfied(stored, spec) == [3, 4]
        assert self.satisfied(stored, ~spec) == [1, 2, 5]
        assert self.satisfied(stored, spec & (self.rises != self.value(3))) == [4]
        assert self.satisfied(stored, (self.rises == self.value(1)) | spec) == [1, 3, 4]

    def test_long_chains_are_questions_like_any(self) -> None:
        self.needs("rising")
        self.fill(3)
        both, either = ALL, NONE
        for number in range(1100):  # more than Python has frames for
            both &= self.rises != self.value(1)
            if number < 200:
                either |= self.rises == self.value(3)
        with self.units(read_only=True) as uow:
            assert self.repository(uow).count(both) == 2
            assert self.repository(uow).count(either) == 1

    # -- None ------------------------------------------------------------------------------

    def test_is_none_asks_for_what_has_no_value(self) -> None:
        self.needs("nullable")
        stored, field = self.fill(3, without=[2]), where(self.nullable)
        assert self.satisfied(stored, field.is_none()) == [2]
        assert self.satisfied(stored, ~field.is_none()) == [1, 3]
        assert self.satisfied(stored, field == None) == [2]  # noqa: E711 -- what it builds is asked
        assert self.satisfied(stored, field != None) == [1, 3]  # noqa: E711 -- as above

    @pytest.mark.parametrize("operator", COMPARED)
    def test_a_comparison_with_none_is_unknown_and_so_is_its_opposite(self, operator: str) -> None:
        self.needs("nullable")
        stored, field = self.fill(4, without=[2, 4]), where(self.nullable)
        spec = COMPARED[operator][0](field, getattr(stored[0], self.nullable))
        yes, no = self.satisfied(stored, spec), self.satisfied(stored, ~spec)
        assert sorted(yes + no) == [1, 3]

    def test_none_is_in_no_list_and_out_of_none(self) -> None:
        self.needs("nullable")
        stored, field = self.fill(3, without=[2]), where(self.nullable)
        values = [getattr(stored[0], self.nullable), getattr(stored[2], self.nullable)]
        assert self.satisfied(stored, field.in_(values)) == [1, 3]
        assert self.satisfied(stored, ~field.in_(values)) == []
        assert self.satisfied(stored, ~field.in_([])) == [1, 2, 3]
        between = field.between(min(values), max(values))
        assert self.satisfied(stored, between) == [1, 3]
        assert self.satisfied(stored, ~between) == []

    def test_unknown_gives_way_to_what_decides(self) -> None:
        """Unknown or true is true, unknown and false is false, and its opposite is true."""
        self.needs("nullable")
        stored = self.fill(1, without=[1])
        with_value = self.make(2)
        unknown = where(self.nullable) == getattr(with_value, self.nullable)
        for spec, expected in (
            (unknown | ALL, [1]),
            (unknown & NONE, []),
            (~(unknown & NONE), [1]),
            (unknown & ALL, []),
            (~(unknown & ALL), []),
            (unknown | NONE, []),
            (~(unknown | NONE), []),
            (unknown | ~unknown, []),
        ):
            assert self.satisfied(stored, spec) == expected
