"""Events of the domain, and the entities that record them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import FrozenInstanceError, dataclass
from typing import Any, ClassVar

import pytest

from domain import Event, Person, PersonJoinedTeam, Team
from domain.entity import EVENTS, require_event
from domain.errors import ValidationError


@dataclass(frozen=True, kw_only=True)
class Renamed(Event):
    name: str


@dataclass(kw_only=True)
class Loose(Event):
    name: str


def recorded(entity: Any) -> list[Event]:
    """What an entity has recorded; functions are called."""
    return [what(entity) if callable(what) else what for _, what in vars(entity).get(EVENTS, ())]


def test_an_event_has_the_name_of_its_class_unless_it_has_a_name_for_others() -> None:
    assert (Renamed.event_type, Renamed.event_version) == ("Renamed", 1)
    assert PersonJoinedTeam.event_type == "person.joined_team"


def test_the_name_for_others_is_not_inherited() -> None:
    @dataclass(frozen=True, kw_only=True)
    class PersonMovedTeam(PersonJoinedTeam):
        pass

    assert PersonMovedTeam.event_type == "PersonMovedTeam"


def test_an_event_has_no_order_unless_it_says_with_what() -> None:
    assert Renamed(name="Ada").ordering_key is None
    assert PersonJoinedTeam(person_id=1, team_id=2).ordering_key == "person 1"


@pytest.mark.parametrize("name", ["event_type", "event_version", "ordering_key"])
def test_what_belongs_to_every_event_is_no_field(name: str) -> None:
    with pytest.raises(TypeError, match=f"Wrong: {name} belongs to Event"):
        type("Wrong", (Event,), {"__annotations__": {name: str}})


def test_the_name_for_others_may_be_annotated_as_what_it_is() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Annotated(Event):
        event_type: ClassVar[str] = "annotated"

    assert Annotated.event_type == "annotated"


def test_an_event_is_not_to_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Renamed(name="Ada").name = "Grace"  # type: ignore[misc]


@pytest.mark.parametrize("wrong", [None, "Renamed", Renamed, object(), Event(), Loose(name="Ada")])
def test_what_could_be_changed_or_is_no_event_is_refused(wrong: Any) -> None:
    with pytest.raises(ValidationError):
        require_event(wrong)


def test_the_refusal_says_what_to_write() -> None:
    with pytest.raises(ValidationError, match=r"Loose .* @dataclass\(frozen=True, kw_only=True\)"):
        require_event(Loose(name="Ada"))


# -- recording -----------------------------------------------------------------------------------


def test_an_entity_bears_what_it_has_recorded_beside_its_fields() -> None:
    team = Team(name="Core")
    team.record(Renamed(name="a"))
    team.record(lambda one: Renamed(name=one.name))
    assert recorded(team) == [Renamed(name="a"), Renamed(name="Core")]
    assert repr(team) == repr(Team(name="Core"))


def test_the_events_of_several_entities_have_one_order() -> None:
    first, second = Team(name="a"), Team(name="b")
    for team, name in ((first, "1"), (second, "2"), (first, "3")):
        team.record(Renamed(name=name))
    both = sorted([*vars(first)[EVENTS], *vars(second)[EVENTS]], key=lambda one: one[0])
    assert [event.name for _, event in both] == ["1", "2", "3"]


@pytest.mark.parametrize("wrong", [None, "Renamed", object(), Loose(name="Ada")])
def test_an_entity_records_nothing_but_events(wrong: Any) -> None:
    team = Team(name="Core")
    with pytest.raises(ValidationError):
        team.record(wrong)
    assert recorded(team) == []


def test_whoever_joins_a_team_records_it_with_the_id_that_is_known_later() -> None:
    person = Person(name="Ada", email="ada@example.com")
    person.join(Team(id=7, name="Core"))
    person.join(Team(id=8, name="Docs"))
    person.id = 3
    assert recorded(person) == [
        PersonJoinedTeam(person_id=3, team_id=7),
        PersonJoinedTeam(person_id=3, team_id=8),
    ]


@pytest.mark.parametrize(
    "joining",
    [
        lambda person: person.join(Team(id=1, name="Core")),
        lambda person: person.join(Team(name="not stored")),
        lambda person: person.join(Team(id=2, name="full", member_limit=1), members=1),
        lambda person: person.join(Team(id=2, name="limited", member_limit=1)),
    ],
)
def test_whoever_stays_where_they_are_records_nothing(joining: Callable[[Person], None]) -> None:
    person = Person(name="Ada", email="ada@example.com", team_id=1)
    try:
        joining(person)
    except ValidationError:
        assert person.team_id == 1
    assert recorded(person) == []
