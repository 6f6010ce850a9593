"""Lists, links and numbers of children that are set by hand, and roots that need children."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
from sqlalchemy import func, select
from sqlmodel import Field

from domain import Entity
from domain.errors import ValidationError
from infrastructure.database import (
    BaseRepository,
    BaseUnitOfWork,
    Children,
    Database,
    Model,
    Versioned,
)

pytestmark = pytest.mark.thorough


@dataclass(eq=False, kw_only=True)
class Stop(Entity):
    place: str
    minutes: int = 0
    id: int | None = None

    def __post_init__(self) -> None:
        if not self.place.strip():
            raise ValidationError("Stop", {"place": "must not be blank"})


@dataclass(eq=False, kw_only=True)
class Guest(Entity):
    name: str
    id: int | None = None


@dataclass(eq=False, kw_only=True)
class Tour(Entity):
    """Must have stops, and at least one."""

    stops: list[Stop]
    name: str = "north"
    guests: list[Guest] = field(default_factory=list)
    id: int | None = None

    def __post_init__(self) -> None:
        if not self.stops:
            raise ValidationError("Tour", {"stops": "must be at least one"})


class TourModel(Tour, Versioned, Model, table=True):
    __tablename__: ClassVar[str] = "childlinks_tours"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(max_length=10)
    stops: list[Stop] = Children("StopModel", order_by="position")
    guests: list[Guest] = Children("GuestModel")


class StopModel(Stop, Model, table=True):
    __tablename__: ClassVar[str] = "childlinks_stops"

    id: int | None = Field(default=None, primary_key=True)
    place: str = Field(max_length=10)
    tour_id: int = Field(foreign_key="childlinks_tours.id", index=True)
    position: int


class GuestModel(Guest, Model, table=True):
    __tablename__: ClassVar[str] = "childlinks_guests"

    id: int | None = Field(default=None, primary_key=True)
    tour_id: int = Field(foreign_key="childlinks_tours.id", index=True)


class Tours(BaseRepository[Tour]):
    model = TourModel


class Units(BaseUnitOfWork):
    tours: Tours


@pytest.fixture
def tables() -> list[Any]:
    return [TourModel, StopModel, GuestModel]


def a_tour(*places: str) -> Tour:
    return Tour(stops=[Stop(place=place) for place in places])


def places(tour: Tour) -> list[str]:
    return [stop.place for stop in tour.stops]


def stored(database: Database, id: Any) -> Tour:
    with Units(database, read_only=True) as uow:
        return uow.tours.require(id)


def counts(database: Database) -> tuple[int, ...]:
    with database.engine.connect() as connection:
        models: list[Any] = [TourModel, StopModel, GuestModel]
        return tuple(
            connection.scalar(select(func.count()).select_from(model)) or 0 for model in models
        )


@pytest.fixture
def tour_id(database: Database) -> Any:
    with Units(database) as uow:
        tour = uow.tours.create(a_tour("a", "b", "c"))
        uow.commit()
    return tour.id


def broken(name: str, value: Any) -> Stop:
    """A plain stop whose field was spoiled after its constructor."""
    stop = Stop(place="x")
    setattr(stop, name, value)
    return stop


@pytest.mark.parametrize("wrong", [None, "ab", 5, {"place": "x"}, {"x"}, iter(())])
def test_a_root_that_holds_no_list_is_refused(database: Database, tour_id: int, wrong: Any) -> None:
    plain = stored(database, tour_id)
    plain.guests = wrong
    with Units(database) as uow:
        for write in (uow.tours.update, uow.tours.create, uow.tours.create_deferred):
            with pytest.raises(ValidationError, match=r"Tour .*guests: must be a list"):
                write(plain)
        uow.commit()
    assert counts(database) == (1, 3, 0)


@pytest.mark.parametrize("given", [{}, {"name": "west"}, {"guests": [{"name": "x"}]}])
def test_a_root_needs_the_children_that_its_domain_requires(
    database: Database, given: dict[str, Any]
) -> None:
    with Units(database) as uow:
        with pytest.raises(ValidationError, match=r"Tour .*stops: Field required"):
            uow.tours.create(given)
        with pytest.raises(ValidationError, match=r"Tour .*stops: Field required"):
            TourModel(**given)
        with pytest.raises(ValidationError, match=r"Tour .*stops: must be at least one"):
            uow.tours.create({"stops": []} | given)
        uow.commit()
    assert counts(database) == (0, 0, 0)


def test_a_link_given_to_a_new_child_is_that_of_its_root(database: Database, tour_id: int) -> None:
    with Units(database) as uow:
        stop: Any = StopModel(place="d", tour_id=77, position=3)
        uow.tours.require(tour_id).stops.append(stop)
        uow.commit()
        assert stop.tour_id == tour_id
    assert places(stored(database, tour_id)) == ["a", "b", "c", "d"]


@pytest.mark.parametrize("value", [77, None, "x"])
def test_the_link_of_a_stored_child_is_not_changed(
    database: Database, tour_id: int, value: Any
) -> None:
    with Units(database) as uow:
        stop: Any = uow.tours.require(tour_id).stops[0]
        stop.tour_id = value
        with pytest.raises(ValidationError, match=r"Stop .*tour_id"):
            uow.commit()
        stop.tour_id = tour_id
        uow.commit()
    assert places(stored(database, tour_id)) == ["a", "b", "c"]


@pytest.mark.parametrize("value", [0, 1, 99, -1, None, "x", 2**31 - 1])
def test_a_number_changed_by_hand_does_not_change_the_order(
    database: Database, tour_id: int, value: Any
) -> None:
    with Units(database) as uow:
        stop: Any = uow.tours.require(tour_id).stops[1]
        stop.position = value
        try:
            uow.commit()
        except ValidationError:
            uow.rollback()
    assert places(stored(database, tour_id)) == ["a", "b", "c"]


def test_a_great_number_given_to_a_new_child_leaves_room_for_others(
    database: Database, tour_id: int
) -> None:
    with Units(database) as uow:
        stops = uow.tours.require(tour_id).stops
        stops.append(StopModel(place="d", tour_id=tour_id, position=2**31 - 1))
        stops.append(Stop(place="e"))
        uow.commit()
    assert places(stored(database, tour_id)) == ["a", "b", "c", "d", "e"]
