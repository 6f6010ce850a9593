"""Value objects in one column: they come back as they were, and wrong ones are refused."""

import pickle
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

import pydantic
import pytest
from sqlalchemy import text
from sqlmodel import Field

from domain import Entity, where
from domain.errors import NotNullViolation, ValidationError
from infrastructure.database import BaseRepository, BaseUnitOfWork, Database, Embedded, Model
from tests.migrations.projects import Project
from tests.support import statements

pytestmark = pytest.mark.thorough


class Colour(Enum):
    RED = 1


@dataclass(frozen=True)
class Money:
    amount: Decimal
    currency: str = "EUR"

    def __post_init__(self) -> None:
        if self.amount < 0:
            raise ValidationError("Money", {"amount": "must not be negative"})


@dataclass(frozen=True, slots=True)
class Label:
    words: tuple[str, ...]
    made: datetime
    day: date
    key: UUID
    colour: Colour
    length: timedelta
    share: float
    flag: bool
    count: int
    price: Money
    old_price: Money | None = None
    raw: bytes = b""
    shout: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "shout", "-".join(self.words).upper())


@dataclass(eq=False, kw_only=True)
class Thing(Entity):
    price: Money
    label: Label | None = None
    id: int | None = None


class ThingModel(Thing, Model, table=True):
    __tablename__: ClassVar[str] = "value_things"

    id: int | None = Field(default=None, primary_key=True)
    price: Money = Field(sa_type=Embedded(Money))
    label: Label | None = Field(default=None, sa_type=Embedded(Label))


class ThingRepository(BaseRepository[Thing]):
    model = ThingModel


class Units(BaseUnitOfWork):
    things: ThingRepository


LABEL = Label(
    words=("a", "ß"),
    made=datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC),
    day=date(2026, 1, 2),
    key=UUID(int=7),
    colour=Colour.RED,
    length=timedelta(days=1, microseconds=5),
    share=0.1,
    flag=True,
    count=2**60,
    price=Money(Decimal("0.10")),
)
PRICE = Money(Decimal("12.50"))


@pytest.fixture
def tables() -> list[Any]:
    return [ThingModel]


def created(database: Database, **fields: Any) -> Any:
    with Units(database) as uow:
        thing = uow.things.create(Thing(**fields))
        uow.commit()
    return thing.id


def stored(database: Database, id: Any) -> Thing:
    with Units(database, read_only=True) as uow:
        return uow.things.require(id)


def test_all_of_it_comes_back_as_it_was(database: Database) -> None:
    thing = stored(database, created(database, price=PRICE, label=LABEL))
    assert (thing.price, thing.label) == (PRICE, LABEL)
    assert str(thing.price.amount) == "12.50"
    assert thing.label is not None
    assert thing.label.shout == "A-SS"
    assert type(thing.label.price) is Money


def test_none_is_null(database: Database) -> None:
    id = created(database, price=PRICE)
    assert stored(database, id).label is None
    with Units(database) as uow:
        assert uow.things.one(where("label").is_none()).id == id
    with pytest.raises((NotNullViolation, ValidationError), match="price"):
        created(database, price=None)


def test_loading_runs_no_constructor_and_knows_the_defaults(database: Database) -> None:
    id = created(database, price=PRICE)
    with database.engine.begin() as connection:
        connection.execute(text("""UPDATE value_things SET price = '{"amount": "-1"}'"""))
    assert stored(database, id).price.amount == -1
    assert stored(database, id).price.currency == "EUR"


def test_equality_can_be_asked_for(database: Database) -> None:
    id = created(database, price=PRICE)
    other = created(database, price=Money(Decimal(1)))
    with Units(database, read_only=True) as uow:
        assert uow.things.one(where("price") == PRICE).id == id
        assert uow.things.one(where("price") != PRICE).id == other
        assert uow.things.count(where("price").in_([PRICE, Money(Decimal(3))])) == 1
        for refused in (where("price") < PRICE, where("price").between(PRICE, PRICE)):
            with pytest.raises(ValidationError, match="price: has no order"):
                uow.things.count(refused)
        with pytest.raises(ValidationError, match="price"):
            uow.things.get_all(order_by="price")
        with pytest.raises(ValidationError, match="price"):
            uow.things.count(where("price") == 12)


@dataclass(frozen=True)
class Discount(Money):
    percent: int = 5


def mistyped(**values: Any) -> Any:
    money = Money(Decimal(1))
    for name, value in values.items():
        object.__setattr__(money, name, value)
    return money


@pytest.mark.parametrize(
    "wrong",
    [
        12,
        "12 EUR",
        Discount(Decimal(1)),
        mistyped(amount="abc"),
        mistyped(amount=Decimal("NaN")),
        mistyped(currency=5),
        mistyped(currency=None),
        mistyped(currency="a\0b"),
        mistyped(currency="\ud800"),
        object.__new__(Money),
        {"amount": "x", "currency": "EUR"},
    ],
    ids=lambda wrong: ascii(getattr(wrong, "__dict__", wrong)),
)
def test_what_would_not_come_back_is_refused(database: Database, wrong: Any) -> None:
    id = created(database, price=PRICE)
    with Units(database) as uow:
        with pytest.raises(ValidationError, match=r"Thing .*price"):
            uow.things.create({"price": wrong})
        with pytest.raises(ValidationError, match=r"Thing .*price"):
            uow.things.update(id, price=wrong)
        thing = uow.things.require(id)
        thing.price = wrong
        with pytest.raises(ValidationError, match=r"Thing .*price"):
            uow.commit()
        uow.rollback()
        assert uow.things.count() == 1
    assert stored(database, id).price == PRICE


def test_its_own_rules_hold_for_a_mapping(database: Database) -> None:
    with Units(database) as uow:
        with pytest.raises(ValidationError, match=r"Money .*negative"):
            uow.things.create({"price": {"amount": "-1"}})
        thing = uow.things.create({"price": {"amount": "1", "currency": "USD"}})
        assert thing.price == Money(Decimal(1), "USD")
        uow.commit()


def test_only_another_value_is_written(database: Database) -> None:
    id = created(database, price=PRICE)
    with Units(database) as uow, statements(database) as sent:
        thing = uow.things.require(id)
        thing.price = Money(Decimal("12.50"))
        uow.commit()
        assert len(sent) == 1
        uow.things.require(id).price = Money(Decimal(13))
        uow.commit()
    assert stored(database, id).price == Money(Decimal(13))


@dataclass
class Changeable:
    amount: int


@dataclass(frozen=True, eq=False)
class Compared:
    amount: int


@dataclass(frozen=True)
class WithList:
    words: list[str]


@dataclass(frozen=True)
class Empty:
    pass


@dataclass(frozen=True, eq=False)
class Frozen(Entity):
    id: int | None = None


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (int, "frozen dataclass"),
        (PRICE, "frozen dataclass"),
        (Changeable, "frozen=True"),
        (Compared, "compared by its values"),
        (WithList, "make it a tuple"),
        (Empty, "no fields"),
        (Frozen, "compared by its values|is an entity"),
    ],
)
def test_what_is_no_value_object_is_refused(kind: Any, said: str) -> None:
    with pytest.raises(TypeError, match=said):
        Embedded(kind)


def test_a_value_object_without_a_column_type_is_refused() -> None:
    with pytest.raises(TypeError, match=r"price: Money = Field\(sa_type=Embedded\(Money\)\)"):

        class Refused(Thing, Model, table=True):
            __tablename__: ClassVar[str] = "value_refused"
            id: int | None = Field(default=None, primary_key=True)
            label: Label | None = Field(default=None, sa_type=Embedded(Label))


def test_a_revision_does_not_mention_it(tmp_path: Path) -> None:
    from alembic.autogenerate.api import AutogenContext
    from alembic.migration import MigrationContext

    from infrastructure.database.alembic.rendering import render_item

    context = AutogenContext(MigrationContext.configure(dialect_name="sqlite"))
    rendered = render_item("type", Embedded(Money), context)
    assert rendered == 'sa.JSON().with_variant(postgresql.JSONB(), "postgresql")'


def test_a_mapping_that_is_assigned_becomes_one(database: Database) -> None:
    id = created(database, price=PRICE, label=LABEL)
    with Units(database) as uow:
        thing: Any = uow.things.require(id)
        thing.price = {"amount": "3.00"}
        thing.label = None
        uow.commit()
    assert stored(database, id).price == Money(Decimal("3.00"))
    assert stored(database, id).label is None


def test_it_is_taken_wherever_values_are(database: Database) -> None:
    class Schema(pydantic.BaseModel):
        price: Money

    with Units(database) as uow:
        id = uow.things.create(Schema(price=Money(Decimal(2)))).id
        assert uow.things.update_where(where("id") == id, price={"amount": "4.0"}) == 1
        for wrong in ("x", Discount(Decimal(1)), mistyped(currency=5), None):
            with pytest.raises(ValidationError, match="price"):
                uow.things.update_where(where("id") == id, price=wrong)
        row: Any = uow.things.require(id)
        assert row.price == Money(Decimal("4.0"))
        assert pickle.loads(pickle.dumps(row)).price == row.price
        assert ThingModel.model_validate_json(row.model_dump_json()).price == row.price
        assert row.model_copy(deep=True).price == row.price
        uow.commit()


MODELS = """
from dataclasses import dataclass
from sqlmodel import Field
from infrastructure.database import Embedded, Model

@dataclass(frozen=True)
class Money:
    amount: int

class Priced(Model, table=True):
    id: int | None = Field(default=None, primary_key=True)
    price: Money = Field(sa_type=Embedded(Money))
    old: Money | None = Field(default=None, sa_type=Embedded(Money))
"""


def test_a_generated_revision_leaves_nothing_to_generate(tmp_path: Path, shared_url: str) -> None:
    project = Project(tmp_path / "project", "priced", MODELS)
    project.run_all(shared_url, "revision --autogenerate -m first", "upgrade head", "check")
    (file,) = project.versions.glob("*_first.py")
    revision = file.read_text("utf-8")
    assert "sa.JSON().with_variant" in revision
    for ours in ("Embedded", "Money", "infrastructure", "sqlmodel"):
        assert ours not in revision
