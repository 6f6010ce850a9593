"""Bad input of roots and children: refused early, in words that help, and nothing is written."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
from sqlalchemy import func, select
from sqlmodel import Field

from domain import Entity
from domain.errors import KitError, UnitOfWorkError, ValidationError
from infrastructure.database import (
    BaseRepository,
    BaseUnitOfWork,
    Children,
    Database,
    Model,
    Versioned,
)

pytestmark = pytest.mark.thorough(9)


@dataclass(eq=False, kw_only=True)
class Stop(Entity):
    place: str
    minutes: int = 0
    id: int | None = None

    def __post_init__(self) -> None:
        if not self.place.strip():
            raise ValidationError("Stop", {"place": "must not be blank"})


@dataclass(eq=False, kw_only=True)
class LongStop(Stop):
    reason: str = ""


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
    __tablename__: ClassVar[str] = "refusedkids_tours"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(max_length=10)
    stops: list[Stop] = Children("StopModel", order_by="position")
    guests: list[Guest] = Children("GuestModel")


class StopModel(Stop, Model, table=True):
    __tablename__: ClassVar[str] = "refusedkids_stops"

    id: int | None = Field(default=None, primary_key=True)
    place: str = Field(max_length=10)
    tour_id: int = Field(foreign_key="refusedkids_tours.id", index=True)
    position: int


class GuestModel(Guest, Model, table=True):
    __tablename__: ClassVar[str] = "refusedkids_guests"

    id: int | None = Field(default=None, primary_key=True)
    tour_id: int = Field(foreign_key="refusedkids_tours.id", index=True)


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


def version(database: Database, id: Any) -> int:
    with Units(database) as uow:
        return uow.repository(TourModel).require(id).version


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


BAD: dict[str, tuple[Callable[[], Any], str, str]] = {
    "too long": (lambda: Stop(place="x" * 11), "Stop", "place"),
    "wrong type": (lambda: broken("minutes", "many"), "Stop", "minutes"),
    "too big": (lambda: broken("minutes", 2**63), "Stop", "minutes"),
    "no text": (lambda: broken("place", None), "Stop", "place"),
    "rule of the domain": (lambda: broken("place", " "), "Stop", "place"),
    "mapping too long": (lambda: {"place": "x" * 11}, "Stop", "place"),
    "mapping without a field": (lambda: {"minutes": 3}, "Stop", "place"),
    "mapping with an unknown field": (lambda: {"place": "x", "colour": 1}, "Stop", "colour"),
    "subclass with another field": (lambda: LongStop(place="x"), "Stop", "reason"),
    "a number": (lambda: 5, "Tour", "stops"),
    "None": (lambda: None, "Tour", "stops"),
    "text": (lambda: "x", "Tour", "stops"),
    "a class": (lambda: Stop, "Tour", "stops"),
    "another entity": (lambda: Guest(name="x"), "Tour", "stops"),
    "another row": (lambda: GuestModel(name="x"), "Tour", "stops"),  # type: ignore[call-arg]
    "a list": (lambda: [Stop(place="x")], "Tour", "stops"),
}


@pytest.fixture(params=BAD.values(), ids=BAD.keys())
def bad(request: pytest.FixtureRequest) -> Any:
    return request.param


PUT: dict[str, Callable[[Tour, Any], Any]] = {
    "append": lambda tour, bad: tour.stops.append(bad),
    "insert": lambda tour, bad: tour.stops.insert(0, bad),
    "extend": lambda tour, bad: tour.stops.extend([bad]),
    "set": lambda tour, bad: tour.stops.__setitem__(1, bad),
    "slice": lambda tour, bad: tour.stops.__setitem__(slice(1, 1), [bad]),
    "slice of two": lambda tour, bad: tour.stops.__setitem__(slice(1, 2), [Stop(place="x"), bad]),
    "add in place": lambda tour, bad: tour.stops.__iadd__([bad]),
    "assign": lambda tour, bad: setattr(tour, "stops", [*tour.stops, bad]),
    "assign two": lambda tour, bad: setattr(tour, "stops", [Stop(place="x"), bad]),
}


@pytest.mark.parametrize("put", PUT.values(), ids=PUT.keys())
def test_a_child_that_is_refused_leaves_the_list_as_it_was(
    database: Database, tour_id: int, put: Callable[[Tour, Any], Any], bad: Any
) -> None:
    make, entity, name = bad
    with Units(database) as uow:
        tour = uow.tours.require(tour_id)
        with pytest.raises(ValidationError) as caught:
            put(tour, make())
        assert (caught.value.entity, list(caught.value.errors)) == (entity, [name])
        assert places(tour) == ["a", "b", "c"]
        tour.stops.append(Stop(place="d"))
        uow.commit()
    assert places(stored(database, tour_id)) == ["a", "b", "c", "d"]


def test_several_children_are_put_into_a_list_or_none(database: Database, tour_id: int) -> None:
    with Units(database) as uow:
        tour = uow.tours.require(tour_id)
        with pytest.raises(ValidationError, match="place"):
            tour.stops.extend([Stop(place="d"), Stop(place="x" * 11), Stop(place="e")])
        with pytest.raises(ValidationError, match="place"):
            tour.stops += [Stop(place="d"), Stop(place="x" * 11)]
        assert places(tour) == ["a", "b", "c"]
        uow.commit()
    assert places(stored(database, tour_id)) == ["a", "b", "c"]


@pytest.mark.parametrize("method", ["create", "create_many", "create_deferred", "row"])
def test_a_root_with_a_bad_child_is_not_stored(database: Database, bad: Any, method: str) -> None:
    make, entity, name = bad
    with Units(database) as uow:
        with pytest.raises(ValidationError) as caught:
            tour = a_tour("a", "b")
            tour.stops.append(make())
            if method == "create_many":
                uow.tours.create_many([a_tour("y"), tour])
            elif method == "row":
                TourModel(stops=tour.stops)  # type: ignore[call-arg]
            else:
                getattr(uow.tours, method)(tour)
        assert (caught.value.entity, list(caught.value.errors)) == (entity, [name])
        uow.commit()
    assert counts(database) == (0, 0, 0)


def test_an_update_with_a_bad_child_writes_nothing(
    database: Database, tour_id: int, bad: Any
) -> None:
    make, entity, name = bad
    tour = stored(database, tour_id)
    tour.name = "south"
    tour.stops[0].minutes = 5
    tour.stops = [tour.stops[2], Stop(place="d"), make()]
    with Units(database) as uow:
        with pytest.raises(ValidationError) as caught:
            uow.tours.update(tour)
        assert (caught.value.entity, list(caught.value.errors)) == (entity, [name])
        uow.commit()
    after = stored(database, tour_id)
    assert (after.name, places(after), after.stops[0].minutes) == ("north", ["a", "b", "c"], 0)
    assert version(database, tour_id) == 1

    tour.stops.pop()
    with Units(database) as uow:
        uow.tours.update(tour)
        uow.commit()
    assert places(stored(database, tour_id)) == ["c", "d"]


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize(
    ("name", "value"),
    [("place", "x" * 11), ("place", None), ("minutes", "many"), ("minutes", None)],
)
def test_a_loaded_child_that_is_spoiled_is_refused(
    database: Database, tour_id: int, name: str, value: Any, plain: bool
) -> None:
    tour = stored(database, tour_id)
    with Units(database) as uow:
        target = tour if plain else uow.tours.require(tour_id)
        target.name = "south"
        before = getattr(target.stops[2], name)
        setattr(target.stops[2], name, value)
        with pytest.raises(ValidationError) as caught:
            uow.tours.update(target)
        assert (caught.value.entity, list(caught.value.errors)) == ("Stop", [name])
        setattr(target.stops[2], name, before)
        target.stops.pop(0)
        uow.tours.update(target)
        uow.commit()
    after = stored(database, tour_id)
    assert (after.name, places(after)) == ("south", ["b", "c"])
    assert version(database, tour_id) == 2


# -- shared children -------------------------------------------------------------------------------


def test_a_plain_child_twice_in_one_list_is_refused_and_can_be_mended(database: Database) -> None:
    stop = Stop(place="a")
    tour = Tour(stops=[stop, Stop(place="b"), stop])
    with Units(database) as uow:
        with pytest.raises(KitError, match="Stop"):
            uow.tours.create(tour)
        tour.stops.pop()
        uow.tours.create(tour)
        uow.commit()
    assert places(stored(database, tour.id)) == ["a", "b"]
    assert counts(database) == (1, 2, 0)


def test_a_plain_child_of_two_plain_roots_is_refused_and_can_be_mended(database: Database) -> None:
    stop = Stop(place="a")
    tours = [Tour(stops=[stop]), Tour(stops=[Stop(place="b"), stop])]
    with Units(database) as uow:
        with pytest.raises(UnitOfWorkError, match="Stop was put into two lists"):
            uow.tours.create_many(tours)
        tours[1].stops.pop()
        uow.tours.create_many(tours)
        uow.commit()
    assert counts(database) == (2, 2, 0)


def test_a_plain_child_of_two_waiting_roots_is_refused_until_the_rollback(
    database: Database,
) -> None:
    stop = Stop(place="a")
    with Units(database) as uow:
        for _ in range(2):
            uow.tours.create_deferred(Tour(stops=[stop]))
        with pytest.raises(UnitOfWorkError, match="Stop was put into two lists"):
            uow.commit()
        uow.rollback()
        uow.tours.create(Tour(stops=[stop]))
        uow.commit()
    assert counts(database) == (1, 1, 0)


def test_a_plain_child_put_twice_into_a_loaded_list_can_be_taken_out(
    database: Database, tour_id: int
) -> None:
    stop = Stop(place="d")
    with Units(database) as uow:
        tour = uow.tours.require(tour_id)
        tour.stops.extend([stop, stop])
        with pytest.raises(KitError, match="Stop"):
            uow.commit()
        tour.stops.pop()
        uow.commit()
    assert places(stored(database, tour_id)) == ["a", "b", "c", "d"]


def test_a_new_row_belongs_to_one_root(database: Database, tour_id: int) -> None:
    stop: Any = StopModel(place="d")  # type: ignore[call-arg]
    with Units(database) as uow:
        tour = uow.tours.require(tour_id)
        other = uow.tours.create(a_tour("x"))
        tour.stops.append(stop)
        with pytest.raises(ValidationError, match="belongs to another Tour"):
            other.stops.append(stop)
        with pytest.raises(ValidationError, match="belongs to another Tour"):
            uow.tours.create(Tour(stops=[stop]))
        uow.commit()
    assert counts(database) == (2, 5, 0)


def test_the_rows_of_a_tracked_root_are_not_those_of_a_new_one(
    database: Database, tour_id: int
) -> None:
    with Units(database) as uow:
        tour = uow.tours.require(tour_id)
        with pytest.raises(ValidationError, match="belongs to another Tour"):
            uow.tours.create(Tour(stops=tour.stops))
        uow.commit()
    assert places(stored(database, tour_id)) == ["a", "b", "c"]
    assert counts(database) == (1, 3, 0)


def test_a_child_twice_in_an_updated_root_is_refused(database: Database, tour_id: int) -> None:
    tour = stored(database, tour_id)
    tour.stops.append(tour.stops[0])
    with Units(database) as uow:
        with pytest.raises(KitError, match="Stop"):
            uow.tours.update(tour)
        tour.stops.pop()
        uow.tours.update(tour)
        uow.commit()
    assert places(stored(database, tour_id)) == ["a", "b", "c"]
