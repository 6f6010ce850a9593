"""Rows of other things: of mappings, JSON, copies and pickles."""

import copy
import json
import pickle
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel, field_validator
from sqlmodel import Field

from domain import Entity
from domain.errors import ValidationError
from infrastructure.database import (
    BaseRepository,
    BaseUnitOfWork,
    Database,
    Model,
    Timestamped,
    Versioned,
)


@dataclass(eq=False, kw_only=True)
class Parcel(Entity):
    label: str
    weight: int = 7
    tags: list[str] = field(default_factory=lambda: ["new"])
    contents: dict[str, Any] = field(default_factory=dict)
    id: int | None = None

    def __post_init__(self) -> None:
        if self.weight > 100:
            raise ValidationError("Parcel", {"weight": "is more than a van bears"})


class ParcelModel(Parcel, Timestamped, Versioned, Model, table=True):
    __tablename__: ClassVar[str] = "copies_parcels"

    id: int | None = Field(default=None, primary_key=True)
    label: str = Field(max_length=10, unique=True)

    @field_validator("label")
    @classmethod
    def _without_spaces_around(cls, value: str) -> str:
        return value.strip()


class ParcelRepository(BaseRepository[Parcel]):
    model = ParcelModel


class Units(BaseUnitOfWork):
    parcels: ParcelRepository


@pytest.fixture
def tables() -> list[Any]:
    return [ParcelModel]


class ParcelSchema(BaseModel):
    label: str
    weight: int = 1


@pytest.mark.parametrize(
    "source",
    [
        {"label": "a", "weight": 9},
        {"label": "a", "weight": "9"},
        ParcelSchema(label="a", weight=9),
        Parcel(label="a", weight=9),
        ParcelModel(label="a", weight=9),
    ],
)
def test_model_validate_makes_a_row_of_a_mapping_or_of_attributes(source: Any) -> None:
    row = ParcelModel.model_validate(source)

    assert type(row) is ParcelModel
    assert row is not source
    assert (row.label, row.weight, row.tags, row.version) == ("a", 9, ["new"], 1)


def test_model_validate_takes_updates() -> None:
    assert ParcelModel.model_validate({"label": "a"}, update={"weight": 9}).weight == 9


@pytest.mark.parametrize(
    "wrong", [{}, {"label": "a", "weight": "x"}, {"label": "a", "weight": 200}]
)
def test_model_validate_refuses_like_the_constructor(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ParcelModel.model_validate(wrong)
    with pytest.raises(ValidationError):
        ParcelModel.model_validate_json(json.dumps(wrong))


@pytest.mark.parametrize("nothing", [None, 3, "label"])
def test_model_validate_refuses_what_has_no_fields(nothing: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        ParcelModel.model_validate(nothing)

    assert caught.value.entity == "Parcel"


def test_model_validate_json_makes_a_whole_row() -> None:
    row = ParcelModel.model_validate_json('{"label": " a ", "weight": "9"}')

    assert (row.label, row.weight, row.tags, row.version) == ("a", 9, ["new"], 1)


def test_broken_json_is_a_validation_error() -> None:
    with pytest.raises(ValidationError) as caught:
        ParcelModel.model_validate_json("{label")

    assert caught.value.entity == "Parcel"


def test_json_and_back() -> None:
    row = ParcelModel(label="a", contents={"nails": [1, 2]})

    assert ParcelModel.model_validate_json(row.model_dump_json()).model_dump() == row.model_dump()


@pytest.mark.parametrize("copied", [ParcelModel.model_copy, copy.copy, copy.deepcopy])
def test_a_copy_is_a_new_row(database: Database, copied: Any) -> None:
    with Units(database) as uow:
        row = uow.parcels.create(ParcelModel(label="a"))
        twin = copied(row)
        twin.label = "b"
        twin.id = None
        uow.parcels.create(twin)
        uow.commit()
    with Units(database) as uow:
        assert [parcel.label for parcel in uow.parcels.get_all(order_by="label")] == ["a", "b"]


def test_a_copy_with_updates_is_validated() -> None:
    row = ParcelModel(label="a")

    assert row.model_copy(update={"weight": 9}).weight == 9
    for wrong in ({"weight": "x"}, {"wieght": 1}, {"weight": 200}):
        with pytest.raises(ValidationError):
            row.model_copy(update=wrong)


@pytest.mark.parametrize("copied", [lambda row: row.model_copy(deep=True), copy.deepcopy])
def test_a_deep_copy_shares_nothing(copied: Any) -> None:
    row = ParcelModel(label="a", tags=["x"], contents={"nails": {"long": [1]}})
    twin = copied(row)
    twin.contents["nails"]["long"].append(2)
    twin.tags.append("y")

    assert row.contents == {"nails": {"long": [1]}}
    assert row.tags == ["x"]


def test_one_object_in_two_places_is_copied_once() -> None:
    row = ParcelModel(label="a")
    first, second = copy.deepcopy([row, row])

    assert first is second


def test_pickled_rows_come_back_equal(database: Database) -> None:
    new = pickle.loads(pickle.dumps(ParcelModel(label="new")))
    with Units(database) as uow:
        stored = uow.parcels.create(new)
        uow.commit()
    again = pickle.loads(pickle.dumps(stored))

    assert again == stored
    assert again is not stored
    assert again.model_dump() == stored.model_dump()
    with Units(database) as uow:
        again.weight = 9
        uow.parcels.update(again)
        uow.commit()
    with Units(database) as uow:
        assert uow.parcels.require(stored.id).weight == 9


def test_model_dump_and_repr_hold_everything_after_the_block(database: Database) -> None:
    with Units(database) as uow:
        row = uow.parcels.create(ParcelModel(label="a"))
        uow.commit()
    with Units(database) as uow:
        loaded: Any = uow.parcels.require(row.id)

    for one in (row, loaded):
        assert one.model_dump(exclude={"created_at", "updated_at"}) == {
            "id": row.id,
            "label": "a",
            "weight": 7,
            "tags": ["new"],
            "contents": {},
            "version": 1,
        }
        assert "label='a'" in repr(one)
        assert json.loads(one.model_dump_json())["tags"] == ["new"]
