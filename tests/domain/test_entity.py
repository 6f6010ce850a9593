"""Identity: what makes two entities equal, and where ids come from."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any
from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import Entity, Person, Team, new_id


@dataclass(eq=False, kw_only=True)
class Order(Entity):
    id: UUID = field(default_factory=new_id)


class OrderRow(Order):
    """As an adapter derives it: a row counts as the entity it stores."""


OrderRow.__entity_class__ = Order


def test_entities_of_one_class_with_the_same_id_are_equal_whatever_their_values() -> None:
    assert Team(id=1, name="Core") == Team(id=1, name="Renamed")
    assert Team(id=1, name="Core") != Team(id=2, name="Core")


def test_entities_of_different_classes_are_never_equal() -> None:
    assert Team(id=1, name="Ada") != Person(id=1, name="Ada", email="ada@example.com")


def test_a_stored_row_equals_the_entity_in_both_directions() -> None:
    order = Order()
    stored = OrderRow(id=order.id)
    assert order == stored
    assert stored == order
    assert hash(order) == hash(stored)
    assert len({order, stored}) == 1


def test_without_an_id_an_entity_equals_only_itself() -> None:
    team = Team(name="Core")
    assert team == team
    assert team != Team(name="Core")


def test_without_an_id_an_entity_cannot_be_hashed() -> None:
    with pytest.raises(TypeError, match=r"Team has no id yet .* store it first"):
        hash(Team(name="Core"))


def test_an_id_of_zero_is_an_id() -> None:
    assert Team(id=0, name="Core") == Team(id=0, name="Core")
    assert isinstance(hash(Team(id=0, name="Core")), int)


@pytest.mark.parametrize("other", [None, 1, "Core", object()])
def test_an_entity_equals_nothing_but_entities(other: Any) -> None:
    assert Team(id=1, name="Core") != other


def test_an_id_may_be_born_in_the_domain() -> None:
    assert Order() != Order()
    assert len({Order(), Order()}) == 2


def test_a_new_id_is_a_uuid_of_version_7() -> None:
    for _ in range(100):
        id = new_id()
        assert (id.version, id.variant) == (7, RFC_4122)


def test_a_new_id_begins_with_the_time_of_its_making() -> None:
    before = time.time_ns() // 1_000_000
    milliseconds = new_id().int >> 80
    assert before <= milliseconds <= time.time_ns() // 1_000_000


@given(
    times=st.lists(st.integers(0, (1 << 48) * 1_000_000 - 1), min_size=2, max_size=2, unique=True)
)
def test_later_ids_are_greater_once_the_clock_has_moved(times: list[int]) -> None:
    earlier, later = sorted(times)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time_ns", lambda: earlier)
        first = new_id()
        patch.setattr(time, "time_ns", lambda: max(later, earlier + 250))
        second = new_id()
    assert first < second
    assert (second.version, second.variant) == (7, RFC_4122)


def test_ids_made_at_the_same_instant_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 1_700_000_000_000_000_000)
    assert len({new_id() for _ in range(1000)}) == 1000
