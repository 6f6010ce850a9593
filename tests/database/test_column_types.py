"""What is stored comes back equal, whatever its type, and compares as it does in Python."""

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Any, ClassVar
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from pydantic import NaiveDatetime
from sqlalchemy import create_engine, text
from sqlmodel import Field, Session, SQLModel, select

from domain import where
from domain.errors import ValidationError
from infrastructure.database import BaseUnitOfWork, Database, Model

pytestmark = pytest.mark.thorough


class Colour(Enum):
    RED = "#f00"
    GREEN = "#0f0"


class Suit(StrEnum):
    HEARTS = "h"
    SPADES = "s"


class Level(IntEnum):
    LOW = 1
    HIGH = 20


class ThingModel(Model, table=True):
    """One column of every type."""

    __tablename__: ClassVar[str] = "types_things"

    id: int | None = Field(default=None, primary_key=True)
    text: str | None = None
    number: int | None = None
    flag: bool | None = None
    real: float | None = None
    exact: Decimal | None = None
    money: Decimal | None = Field(default=None, max_digits=12, decimal_places=2)
    moment: datetime | None = None
    local: NaiveDatetime | None = None
    day: date | None = None
    clock: time | None = None
    span: timedelta | None = None
    key: UUID | None = None
    raw: bytes | None = None
    colour: Colour | None = None
    suit: Suit | None = None
    level: Level | None = None
    items: list[Any] | None = None
    table: dict[str, Any] | None = None


@pytest.fixture
def tables() -> list[Any]:
    return [ThingModel]


def stored(database: Database, **values: Any) -> ThingModel:
    """A row, read back by another unit."""
    with BaseUnitOfWork(database) as uow:
        created = uow.repository(ThingModel).create(ThingModel(**values))
        uow.commit()
    with BaseUnitOfWork(database) as uow:
        return uow.repository(ThingModel).require(created.id)


VALUES: list[tuple[str, Any]] = [
    ("text", ""),
    ("text", "Grüße, Ωmega, 漢字, עברית"),
    ("text", "👩‍🚀🏳️‍🌈 🤦🏽‍♂️"),
    ("text", "e\u0301 is not \u00e9"),
    ("text", "line\r\nbreak\ttab 'quote' \"double\" \\ %s :name ?"),
    ("text", " \u00a0 spaces  "),
    ("number", 0),
    ("number", -(2**31)),
    ("number", 2**31 - 1),
    ("flag", True),
    ("flag", False),
    ("real", 0.1),
    ("real", -1.7976931348623157e308),
    ("real", 5e-324),
    ("real", float("inf")),
    ("exact", Decimal("1234567890.1234567891")),
    ("exact", Decimal("-0.0000000000000000000000000001")),
    ("exact", Decimal("99999999999999999999999999999999999999.5")),
    ("exact", Decimal(0)),
    ("exact", Decimal("1E+20")),
    ("money", Decimal("1234567890.12")),
    ("money", Decimal("-0.01")),
    ("moment", datetime(2024, 2, 29, 23, 59, 59, 999999, tzinfo=UTC)),
    ("moment", datetime(2024, 7, 1, 12, tzinfo=ZoneInfo("America/New_York"))),
    ("moment", datetime(2024, 7, 1, 12, tzinfo=timezone(timedelta(hours=5, minutes=45)))),
    ("moment", datetime(1900, 1, 1, tzinfo=UTC)),
    ("local", datetime(2024, 3, 31, 2, 30, 0, 1)),
    ("day", date(1, 1, 1)),
    ("day", date(9999, 12, 31)),
    ("clock", time(23, 59, 59, 999999)),
    ("clock", time(0)),
    ("span", timedelta(0)),
    ("span", timedelta(days=-3, hours=7, microseconds=1)),
    ("span", timedelta(days=500, seconds=3, microseconds=999999)),
    ("key", UUID("00000000-0000-0000-0000-000000000000")),
    ("key", UUID("01890a5d-ac96-774b-bcce-b302099a8057")),
    ("raw", b""),
    ("raw", bytes(range(256))),
    ("colour", Colour.RED),
    ("suit", Suit.SPADES),
    ("level", Level.HIGH),
    ("items", []),
    ("items", [1, "two", None, True, 2.5, [3, [4]], {"five": 6}]),
    ("table", {}),
    ("table", {"deep": {"er": [{"x": None}, {"ü👍": "\u2028"}]}, "n": -1.5, "big": 2**53 + 1}),
]


def label(value: Any) -> str:
    return value if isinstance(value, str) and value.isidentifier() else type(value).__name__


@pytest.mark.parametrize(("name", "value"), VALUES, ids=label)
def test_a_value_comes_back_equal(database: Database, name: str, value: Any) -> None:
    found = getattr(stored(database, **{name: value}), name)

    assert found == value
    assert type(found) is type(value)
    assert found is None or (repr(found) != "" and (name != "exact" or str(found)))


@pytest.mark.parametrize("name", [n for n in ThingModel.model_fields if n != "id"])
def test_none_comes_back_as_none(database: Database, name: str) -> None:
    with BaseUnitOfWork(database) as uow:
        created = uow.repository(ThingModel).create({name: None})
        uow.commit()
        column = uow.session.execute(
            text(f'SELECT count(*) FROM types_things WHERE "{name}" IS NULL')
        )
        assert column.scalar_one() == 1
    with BaseUnitOfWork(database) as uow:
        assert getattr(uow.repository(ThingModel).require(created.id), name) is None
        assert uow.repository(ThingModel).count(where(name).is_none()) == 1


COMPARABLE = [
    (name, value)
    for name, value in VALUES
    if not (name == "real" and abs(value) > 1e300) and (name, value) != ("text", "")
]


@pytest.mark.parametrize(("name", "value"), COMPARABLE, ids=label)
def test_a_value_is_found_by_itself(database: Database, name: str, value: Any) -> None:
    thing = stored(database, **{name: value})
    stored(database)
    with BaseUnitOfWork(database) as uow:
        things = uow.repository(ThingModel)
        assert things.get_all(where(name) == value) == [thing]
        assert things.get_all(where(name).in_([value])) == [thing]


ORDERED: list[tuple[str, list[Any]]] = [
    ("exact", [Decimal(n) for n in ("-100", "-20.5", "-3", "0", "0.5", "3", "20.05", "100")]),
    ("exact", [Decimal(n) for n in ("-1E+3", "1E-7", "1234567890.12345678905", "1E+15")]),
    ("money", [Decimal(n) for n in ("-100.00", "-9.99", "0", "9.5", "10", "1000000000.00")]),
    ("number", [-20, -3, 0, 3, 20]),
    ("real", [-1e10, -2.5, 0.0, 1e-9, 7.0]),
    ("text", ["", " ", "B", "Z", "_", "a", "b", "z", "é", "\uffee", "👍"]),
    ("day", [date(999, 1, 1), date(1999, 12, 31), date(2000, 1, 1)]),
    (
        "moment",
        [
            datetime(2024, 1, 1, 12, tzinfo=timezone(timedelta(hours=14))),
            datetime(2024, 1, 1, 12, tzinfo=UTC),
            datetime(2024, 1, 1, 12, 0, 0, 1, tzinfo=UTC),
            datetime(2024, 1, 1, 8, tzinfo=timezone(timedelta(hours=-8))),
        ],
    ),
    ("clock", [time(0), time(1, 2, 3), time(1, 2, 3, 4), time(23)]),
    ("span", [timedelta(-1), timedelta(microseconds=1), timedelta(1), timedelta(10)]),
    ("key", [UUID(int=n) for n in (0, 9, 10, 2**127)]),
    ("raw", [b"", b"\0", b"a", b"a\0", b"\xff"]),
    ("flag", [False, True]),
]


@pytest.mark.parametrize(("name", "values"), ORDERED, ids=label)
def test_values_are_ordered_as_in_python(database: Database, name: str, values: list[Any]) -> None:
    assert values == sorted(values)
    with BaseUnitOfWork(database) as uow:
        things = uow.repository(ThingModel)
        things.create_many([{name: value} for value in [*values[1::2], *values[::2]]])
        uow.commit()
        up = [getattr(thing, name) for thing in things.get_all(order_by=name)]
        down = [getattr(thing, name) for thing in things.get_all(order_by=f"-{name}")]

    assert up == values
    assert down == values[::-1]


@pytest.mark.parametrize(("name", "values"), ORDERED, ids=label)
def test_values_are_compared_as_in_python(database: Database, name: str, values: list[Any]) -> None:
    with BaseUnitOfWork(database) as uow:
        things = uow.repository(ThingModel)
        things.create_many([{name: value} for value in values])
        uow.commit()
        for at, value in enumerate(values):
            assert things.count(where(name) < value) == at
            assert things.count(where(name) <= value) == at + 1
            assert things.count(where(name) > value) == len(values) - at - 1
            assert things.count(where(name) == value) == 1
            assert things.count(where(name) != value) == len(values) - 1


def test_decimals_that_differ_only_in_zeros_are_equal(database: Database) -> None:
    stored(database, exact=Decimal("1.50"))
    with BaseUnitOfWork(database) as uow:
        things = uow.repository(ThingModel)
        for same in ("1.5", "1.500", "15E-1"):
            assert things.count(where("exact") == Decimal(same)) == 1
            assert things.count(where("exact").in_([Decimal(same)])) == 1


def test_ten_times_a_tenth_is_one(database: Database) -> None:
    with BaseUnitOfWork(database) as uow:
        uow.repository(ThingModel).create_many([{"exact": Decimal("0.1")} for _ in range(10)])
        uow.commit()
    with BaseUnitOfWork(database) as uow:
        assert sum(thing.exact or 0 for thing in uow.repository(ThingModel).get_all()) == 1


def test_datetimes_come_back_in_utc(database: Database) -> None:
    given = datetime(2024, 7, 1, 12, tzinfo=ZoneInfo("America/New_York"))
    found = stored(database, moment=given).moment

    assert found is not None
    assert found.utcoffset() == timedelta(0)
    assert found == datetime(2024, 7, 1, 16, tzinfo=UTC)


def test_enums_are_stored_by_name(database: Database) -> None:
    stored(database, colour=Colour.RED, suit=Suit.SPADES, level=Level.HIGH)
    with database.engine.connect() as connection:
        row = connection.execute(text("SELECT colour, suit, level FROM types_things")).one()

    assert tuple(row) == ("RED", "SPADES", "HIGH")


def test_an_enum_of_another_kind_is_refused(database: Database) -> None:
    with pytest.raises(ValidationError, match="colour"):
        ThingModel(colour="RED")  # type: ignore[arg-type]
    assert ThingModel(colour="#f00").colour is Colour.RED  # type: ignore[arg-type]
    with BaseUnitOfWork(database) as uow, pytest.raises(ValidationError, match="colour"):
        uow.repository(ThingModel).count(where("colour") == Suit.SPADES)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("number", 2**31),
        ("number", 2**64),
        ("real", float("nan")),
        ("exact", Decimal("NaN")),
        ("exact", Decimal("Infinity")),
        ("money", Decimal("0.001")),
        ("money", Decimal(12345678901)),
        ("moment", datetime(2024, 1, 1)),
        ("local", datetime(2024, 1, 1, tzinfo=UTC)),
        ("clock", time(12, tzinfo=UTC)),
        ("text", "NUL \0"),
        ("text", "lone \udc80"),
        ("items", ["NUL \0"]),
        ("items", [float("inf")]),
        ("items", [Decimal(1)]),
        ("table", {1: "a key that is no text"}),
        ("table", {"deep": {"er": object()}}),
    ],
    ids=label,
)
def test_what_one_of_the_databases_cannot_hold_is_refused_by_all(
    database: Database, name: str, value: Any
) -> None:
    with BaseUnitOfWork(database) as uow:
        with pytest.raises(ValidationError) as caught:
            uow.repository(ThingModel).create({name: value})
        assert caught.value.entity == "ThingModel"
        assert {field.partition(".")[0] for field in caught.value.errors} == {name}
        assert uow.repository(ThingModel).count() == 0


class BareThing(SQLModel, table=True):
    __tablename__ = "types_bare"
    id: int | None = Field(default=None, primary_key=True)
    exact: Decimal = Decimal(0)


@pytest.mark.filterwarnings("ignore:Dialect sqlite.+does .not. support Decimal")
def test_a_bare_sqlmodel_decimal_is_not_exact_on_sqlite(sqlite_url: str) -> None:
    given = Decimal("1234567890.1234567891")
    engine = create_engine(sqlite_url)
    SQLModel.metadata.create_all(engine, tables=[BareThing.__table__])  # type: ignore[attr-defined]
    with Session(engine) as session:
        session.add(BareThing(exact=given))
        session.commit()
    with Session(engine) as session:
        found = session.exec(select(BareThing)).one().exact
    engine.dispose()

    assert found != given
