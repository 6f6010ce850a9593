"""A table is its domain class: how rows are made, what they hold, and what is refused."""

from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import pytest
from pydantic import field_validator
from sqlalchemy import CheckConstraint, UniqueConstraint, inspect, text
from sqlmodel import Field, Relationship, SQLModel

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

seen: list[str] = []
"""What ``Crate.__post_init__`` saw: the names of the fields that were set by then."""


@dataclass(eq=False, kw_only=True)
class Crate(Entity):
    """With rules, defaults, a default factory, a property, and a field that has no column type."""

    LIMIT: ClassVar[int] = 100

    label: str
    weight: int = 7
    tags: list[str] = field(default_factory=lambda: ["new"])
    contents: dict[str, Any] = field(default_factory=dict)
    shelf_id: int | None = None
    id: int | None = None

    def __post_init__(self) -> None:
        seen.append(", ".join(sorted(vars(self))))
        if self.weight > self.LIMIT:
            raise ValidationError("Crate", {"weight": "is more than a shelf bears"})

    @property
    def is_heavy(self) -> bool:
        return self.weight > 50


class ShelfModel(Model, table=True):
    __tablename__: ClassVar[str] = "models_shelves"

    name: str = Field(max_length=20)
    id: int | None = Field(default=None, primary_key=True)
    crates: list["CrateModel"] = Relationship(back_populates="shelf")


class CrateModel(Crate, Timestamped, Versioned, Model, table=True):
    __tablename__: ClassVar[str] = "models_crates"
    __table_args__ = (
        CheckConstraint("weight > -1000", name="weight"),
        UniqueConstraint("shelf_id", "label"),
    )

    weight: int = Field(index=True)
    id: int | None = Field(default=None, primary_key=True)
    label: str = Field(max_length=10, unique=True)
    shelf_id: int | None = Field(default=None, foreign_key="models_shelves.id")
    shelf: ShelfModel | None = Relationship(back_populates="crates")

    @field_validator("label")
    @classmethod
    def _without_spaces_around(cls, value: str) -> str:
        if "!" in value:
            raise ValueError("must be said calmly")
        return value.strip()


class TagModel(Versioned, Model, table=True):
    __tablename__: ClassVar[str] = "models_tags"

    name: str = Field(max_length=20, unique=True)
    id: int | None = Field(default=None, primary_key=True)


class CrateRepository(BaseRepository[Crate]):
    model = CrateModel


class Units(BaseUnitOfWork):
    crates: CrateRepository


@pytest.fixture
def tables() -> list[Any]:
    return [ShelfModel, CrateModel, TagModel]


# -- construction ------------------------------------------------------------------------------


def test_every_field_has_its_value_as_soon_as_the_row_is_made() -> None:
    row = CrateModel(label="a")

    assert (row.id, row.label, row.weight, row.tags, row.contents) == (None, "a", 7, ["new"], {})
    assert row.version == 1
    assert row.created_at.utcoffset() is not None
    assert row.model_dump().keys() == CrateModel.model_fields.keys()
    for name in CrateModel.model_fields:
        assert f"{name}=" in repr(row)


def test_a_row_is_an_entity_of_its_domain_class() -> None:
    row = CrateModel(label="a", weight=60)

    assert isinstance(row, Crate)
    assert row.is_heavy
    assert asdict(row)["weight"] == 60


def test_a_list_redeclared_without_a_default_keeps_the_factory_of_the_domain() -> None:
    class Redeclared(Crate, Model, table=True):
        __tablename__: ClassVar[str] = "models_redeclared"
        id: int | None = Field(default=None, primary_key=True)
        tags: list[str] = Field(description="what it is for")
        shelf_id: int | None = Field(index=True)

    row = Redeclared(label="a")
    assert (row.tags, row.contents, row.shelf_id) == (["new"], {}, None)
    assert str(Redeclared.metadata.tables["models_redeclared"].c.tags.type) == "JSON"


def test_defaults_made_by_a_factory_are_not_shared() -> None:
    first, second = CrateModel(label="a"), CrateModel(label="b")
    first.tags.append("mine")

    assert second.tags == ["new"]


def test_the_converted_value_is_kept() -> None:
    row = CrateModel(label=" a ", weight="3")  # type: ignore[arg-type]

    assert (row.label, row.weight) == ("a", 3)


@pytest.mark.parametrize(
    ("values", "fields"),
    [
        ({"label": "a", "lable": "b"}, {"lable"}),
        ({"label": "a", "shelf_idd": 1, "wight": 2}, {"shelf_idd", "wight"}),
        ({}, {"label"}),
        ({"label": 3}, {"label"}),
        ({"label": None}, {"label"}),
        ({"label": "a", "weight": "heavy"}, {"weight"}),
        ({"label": "a", "weight": 1.5}, {"weight"}),
        ({"label": "a", "tags": "new"}, {"tags"}),
        ({"label": "a", "version": "first"}, {"version"}),
        ({"label": "a", "created_at": "yesterday"}, {"created_at"}),
        ({"label": "a" * 11}, {"label"}),
        ({"label": "calm!"}, {"label"}),
        (
            {"label": "a" * 11, "weight": "heavy", "shelf_id": "top"},
            {"label", "weight", "shelf_id"},
        ),
    ],
)
def test_wrong_fields_are_all_named(values: dict[str, Any], fields: set[str]) -> None:
    with pytest.raises(ValidationError) as caught:
        CrateModel(**values)

    assert caught.value.entity == "Crate"
    assert {name.partition(".")[0] for name in caught.value.errors} == fields


def test_an_unknown_field_comes_with_a_suggestion() -> None:
    with pytest.raises(ValidationError, match="did you mean weight"):
        CrateModel(label="a", wieght=3)  # type: ignore[call-arg]


def test_a_message_holds_no_value() -> None:
    with pytest.raises(ValidationError) as caught:
        CrateModel(label="s3cret-s3cret", weight="s3cret")  # type: ignore[arg-type]

    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_fields_are_checked_before_the_rules_of_the_domain() -> None:
    seen.clear()
    with pytest.raises(ValidationError) as caught:
        CrateModel(label="a" * 11, weight=200)

    assert caught.value.errors.keys() == {"label"}
    assert seen == []


def test_the_rules_of_the_domain_hold() -> None:
    with pytest.raises(ValidationError, match="more than a shelf bears"):
        CrateModel(label="a", weight=200)


def test_the_rules_see_converted_fields_and_no_relationship_yet() -> None:
    seen.clear()
    row = CrateModel(label="a", weight="8", shelf=ShelfModel(name="top"))  # type: ignore[arg-type]

    assert "weight" in seen[0]
    assert "shelf," not in seen[0]
    assert row.shelf is not None


@pytest.mark.parametrize("wrong", [{"weight": 200}, {"weight": "x"}, {"wieght": 1}])
def test_a_row_that_was_refused_is_attached_to_nothing(wrong: dict[str, Any]) -> None:
    shelf = ShelfModel(name="top")
    with pytest.raises(ValidationError):
        CrateModel(label="a", shelf=shelf, **wrong)

    assert shelf.crates == []


def test_a_table_without_a_domain_class_is_validated_too() -> None:
    assert TagModel(name="red").version == 1
    with pytest.raises(ValidationError) as caught:
        TagModel(nam="red")  # type: ignore[call-arg]
    assert caught.value.entity == "TagModel"


def test_a_plain_sqlmodel_table_accepts_all_that() -> None:
    class Loose(SQLModel, table=True):
        __tablename__ = "models_loose"
        id: int | None = Field(default=None, primary_key=True)
        name: str = Field(max_length=3)

    Loose(nam="much too long")
    assert Loose(name=12345).name == 12345  # type: ignore[comparison-overlap, arg-type]


# -- loading ------------------------------------------------------------------------------------


@pytest.mark.parametrize("read_only", [False, True])
def test_loading_runs_no_constructor_and_validates_nothing(
    database: Database, read_only: bool
) -> None:
    with Units(database) as uow:
        row = uow.crates.create(CrateModel(label="a"))
        uow.session.execute(text("UPDATE models_crates SET weight = 200, label = ' b!'"))
        uow.commit()
    seen.clear()
    with Units(database, read_only=read_only) as uow:
        loaded = uow.crates.require(row.id)
        assert (loaded.weight, loaded.label) == (200, " b!")
        assert uow.crates.get_all() == [loaded]
    assert seen == []


# -- the table in the database ------------------------------------------------------------------


def test_the_key_is_the_first_column_and_the_columns_of_mixins_the_last(
    database: Database,
) -> None:
    def columns(table: str) -> list[str]:
        return [column["name"] for column in inspect(database.engine).get_columns(table)]

    found = columns("models_crates")
    assert found[:6] == ["id", "label", "weight", "tags", "contents", "shelf_id"]
    assert set(found[6:]) == {"created_at", "updated_at", "version"}
    assert columns("models_tags") == ["id", "name", "version"]


def test_every_constraint_and_index_has_a_name(database: Database) -> None:
    seen_by = inspect(database.engine)

    assert seen_by.get_pk_constraint("models_crates")["name"] == "pk_models_crates"
    assert [key["name"] for key in seen_by.get_foreign_keys("models_crates")] == [
        "fk_models_crates_shelf_id_models_shelves"
    ]
    assert {key["name"] for key in seen_by.get_unique_constraints("models_crates")} == {
        "uq_models_crates_label",
        "uq_models_crates_shelf_id_label",
    }
    assert [key["name"] for key in seen_by.get_check_constraints("models_crates")] == [
        "ck_models_crates_weight"
    ]
    assert "ix_models_crates_weight" in {
        str(index["name"]) for index in seen_by.get_indexes("models_crates")
    }


def test_tables_of_the_kit_are_not_in_the_metadata_of_sqlmodel() -> None:
    assert Model.metadata is not SQLModel.metadata
    assert not any(name.startswith("models_crates") for name in SQLModel.metadata.tables)
