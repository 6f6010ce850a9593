"""Every value in every column: stored as it is, or refused before SQL, alike on all databases."""

import uuid
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Any, Final

import pytest
from pydantic import NaiveDatetime
from sqlmodel import Field

from domain import ALL
from domain.errors import ValidationError
from infrastructure.database import BaseUnitOfWork, Database, Model
from tests.support import statements


class Kind(Enum):
    OPEN = "open"
    DONE = "done"


class Level(IntEnum):
    LOW = 1


class BadCell(Model, table=True):
    id: int | None = Field(default=None, primary_key=True)
    text: str | None = None
    short: str | None = Field(default=None, max_length=5)
    number: int | None = None
    flag: bool | None = None
    ratio: float | None = None
    amount: Decimal | None = None
    money: Decimal | None = Field(default=None, max_digits=6, decimal_places=2)
    day: date | None = None
    at: datetime | None = None
    local: NaiveDatetime | None = None
    clock: time | None = None
    span: timedelta | None = None
    code: uuid.UUID | None = None
    kind: Kind | None = None
    blob: bytes | None = None
    tags: list[Any] | None = None
    data: dict[str, Any] | None = None


class Refused:
    def __repr__(self) -> str:
        return "refused"


REFUSED: Final = Refused()
SAME: Final = object()
CYCLE: list[Any] = []
CYCLE.append(CYCLE)
DEEP: list[Any] = []
for _ in range(100_000):
    DEEP = [DEEP]
EAST, WEST = timezone(timedelta(hours=14)), timezone(-timedelta(hours=12))
NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NAN, INF = float("nan"), float("inf")

VALUES: dict[str, Any] = {
    "None": None, "empty": "", "text": "text", "NUL": "a\0b", "lone surrogate": "\ud800",
    "emoji": "😀" * 5, "six": "123456", "'1'": "1", "0": 0, "1": 1, "-1": -1, "1.0": 1.0,
    "1.5": 1.5, "-0.0": -0.0, "NaN": NAN, "inf": INF, "2^31-1": 2**31 - 1, "2^31": 2**31,
    "2^63": 2**63, "2^70": 2**70, "10^400": 10**400, "True": True, "D 1.5": Decimal("1.5"),
    "D 1.50000": Decimal("1.50000"), "D NaN": Decimal("NaN"), "D sNaN": Decimal("sNaN"),
    "D inf": Decimal("-Infinity"), "D 30 digits": Decimal("123456789012345.678901234567891"),
    "D 0.005": Decimal("0.005"), "D 12345.6": Decimal("12345.6"), "D 1E-20000": Decimal("1E-20000"),
    "D -0": Decimal("-0"), "D 1E+4": Decimal("1E+4"), "D 1E+200000": Decimal("1E+200000"),
    "naive": datetime(2024, 1, 1), "aware": NOON, "aware elsewhere": NOON.astimezone(EAST),
    "before year 1": datetime(1, 1, 1, tzinfo=EAST), "min": datetime.min.replace(tzinfo=UTC),
    "after year 9999": datetime.max.replace(tzinfo=WEST), "max": datetime.max.replace(tzinfo=UTC),
    "date": date(2024, 2, 29), "time": time(12, 30, 0, 1), "time with zone": time(12, tzinfo=UTC),
    "a day": timedelta(1, microseconds=1), "minus": -timedelta(400), "timedelta.max": timedelta.max,
    "UUID": uuid.UUID(int=5), "UUID text": str(uuid.UUID(int=5)), "member": Kind.OPEN,
    "value": "open", "name": "OPEN", "other enum": Level.LOW, "bytes": b"a\0\xff", "set": {1},
    "tuple": (1,), "list": [1, "ü", None, 0.1, True, {"a": [2**70]}], "dict": {"a": {"b": [None]}},
    "empty list": [], "empty dict": {}, "object": object(), "type": int, "1j": 1j,
    "list NaN": [NAN], "list inf": [[INF]], "list NUL": ["\0"], "list surrogate": [{"a": "\ud800"}],
    "list object": [object()], "list date": [date(2024, 1, 1)], "list tuple": [(1,)],
    "list bytes": [b"a"], "list 1e300": [1e300, 1e16], "list 10^5000": [10**5000],
    "cycle": CYCLE, "deep": DEEP, "key 1": {1: 2}, "key None": {None: 1}, "nested key": {"a": {1: 2}},
    "dict NaN": {"a": [NAN]}, "dict NUL": {"\0": 1}, "dict surrogate": {"\ud800": 1},
    "dict set": {"a": {1}},
}  # fmt: skip

TIMESTAMPS = {
    "0": EPOCH, "1": EPOCH + timedelta(seconds=1), "-1": EPOCH - timedelta(seconds=1),
    "1.0": EPOCH + timedelta(seconds=1), "1.5": EPOCH + timedelta(seconds=1.5), "-0.0": EPOCH,
    "'1'": EPOCH + timedelta(seconds=1), "six": EPOCH + timedelta(seconds=123456),
}  # fmt: skip
SECONDS = {
    "0": timedelta(0), "1": timedelta(seconds=1), "-1": timedelta(seconds=-1), "-0.0": timedelta(0),
    "1.0": timedelta(seconds=1), "1.5": timedelta(seconds=1.5), "True": timedelta(seconds=1),
    "D 1.5": timedelta(seconds=1.5), "2^31": timedelta(seconds=2**31),
}  # fmt: skip
STORED: dict[str, dict[str, Any]] = {
    "text": {
        **dict.fromkeys(("empty", "text", "emoji", "six", "'1'", "UUID text", "value", "name"), SAME),
        "member": "open",
    },
    "short": {
        **dict.fromkeys(("empty", "text", "emoji", "'1'", "value", "name"), SAME), "member": "open",
    },
    "number": {
        **dict.fromkeys(("0", "1", "-1", "2^31-1"), SAME),
        "six": 123456, "'1'": 1, "1.0": 1, "-0.0": 0, "True": 1, "other enum": 1, "D 1E+4": 10000,
        "D -0": 0,
    },
    "flag": {"True": True, "0": False, "-0.0": False, "1": True, "1.0": True, "'1'": True},
    "ratio": {
        **dict.fromkeys(("1.0", "1.5", "-0.0", "inf"), SAME),
        "six": 123456.0, "'1'": 1.0, "0": 0.0, "1": 1.0, "-1": -1.0, "2^31-1": 2147483647.0,
        "2^31": 2147483648.0, "2^63": float(2**63), "2^70": float(2**70), "True": 1.0, "D 1.5": 1.5,
    },
    "amount": {
        **dict.fromkeys(("D 1.5", "D 1.50000", "D 30 digits", "D 0.005", "D 12345.6"), SAME),
        "six": Decimal("123456"), "'1'": Decimal(1), "0": Decimal(0), "1": Decimal(1),
        "-1": Decimal(-1), "1.5": Decimal("1.5"), "2^70": Decimal(2**70),
    },
    "money": {
        "'1'": Decimal("1.00"), "0": Decimal("0.00"), "1": Decimal("1.00"), "-1": Decimal("-1.00"),
        "1.0": Decimal("1.00"), "1.5": Decimal("1.50"), "D 1.5": Decimal("1.50"),
    },
    "day": {"date": SAME, "naive": date(2024, 1, 1), "0": date(1970, 1, 1)},
    "at": {
        **dict.fromkeys(("aware", "min", "max"), SAME), **TIMESTAMPS, "aware elsewhere": NOON,
    },
    "local": {"naive": SAME, "date": datetime(2024, 2, 29)},
    "clock": {"time": SAME},
    "span": {"a day": SAME, "minus": SAME, **SECONDS},
    "code": {"UUID": SAME, "UUID text": uuid.UUID(int=5)},
    "kind": {"member": SAME, "value": Kind.OPEN},
    "blob": {
        **{name: VALUES[name].encode() for name in ("empty", "text", "emoji", "six", "'1'", "NUL")},
        "bytes": SAME,
    },
    "tags": {
        **dict.fromkeys(("list", "empty list", "list 1e300"), SAME), "set": [1], "tuple": [1],
    },
    "data": dict.fromkeys(("dict", "empty dict"), SAME),
}  # fmt: skip
"""What each column holds afterwards. What is not mentioned here is refused, in every case."""

UNDECIDED = {  # equal values that may differ in their form, or conversions nobody should rely on
    ("text", "bytes"), ("text", "other enum"), ("short", "other enum"), ("flag", "other enum"),
    ("ratio", "other enum"), ("ratio", "D inf"), ("ratio", "D -0"), ("ratio", "D 1E+200000"),
    *(("ratio", name) for name in VALUES if name.startswith("D ")),
    *(("amount", name) for name in ("1.0", "-0.0", "True", "other enum", "D -0", "D 1E+4")),
    *(("amount", name) for name in ("2^31-1", "2^31", "2^63", "10^400")),
    *(("money", name) for name in ("-0.0", "True", "other enum", "D -0", "D 1E+4", "D 1.50000")),
    *(("day", name) for name in ("aware", "aware elsewhere", "before year 1", "min", "-0.0")),
    *(("at", name) for name in VALUES if name[0] in "D2" or name in ("date", "other enum")),
    *(("span", name) for name in VALUES if name[0] in "D2" or name in ("time", "other enum")),
    *(("blob", name) for name in ("UUID text", "value", "name")), ("tags", "dict"), ("clock", "0"),
}  # fmt: skip


@pytest.fixture
def tables() -> list[Any]:
    return [BadCell]


def written(uow: Any, path: str, column: str, value: Any) -> Any:
    """The id of a row in which the column was given this value, in one of the ways there are."""
    cells = uow.repository(BadCell)
    if path == "create":
        return cells.create({column: value}).id
    if path == "create_many":
        return cells.create_many([{}, {column: value}])[1].id
    if path == "constructor":
        return cells.create(BadCell(**{column: value})).id
    if path == "update":
        return cells.update(1, **{column: value}).id
    if path == "update_where":
        cells.update_where(ALL, **{column: value})
        return 1
    row = cells.require(1)
    before = getattr(row, column)
    setattr(row, column, value)
    try:
        cells.update(row)
    except ValidationError:
        setattr(row, column, before)
        raise
    return 1


def outcome(database: Database, path: str, column: str, value: Any) -> Any:
    """What is in the column afterwards, or that the value was refused as it should be."""
    with BaseUnitOfWork(database) as uow:
        cells = uow.repository(BadCell)
        before = cells.count()
        try:
            with statements(database) as sent:
                id = written(uow, path, column, value)
        except ValidationError as error:
            assert (error.entity, set(error.errors)) == ("BadCell", {column})
            assert not [s for s in sent if not s.startswith("SELECT")]
            assert cells.count() == before  # usable, and nothing written
            uow.rollback()
            return REFUSED
        uow.session.flush()
        uow.session.expire_all()
        found = getattr(cells.require(id), column)
        uow.rollback()
        return found


PATHS = ["create", "create_many", "constructor", "update", "update_where", "tracked"]


@pytest.mark.parametrize("column", STORED)
def test_every_value_in_every_column(database: Database, column: str) -> None:
    with BaseUnitOfWork(database) as uow:
        uow.repository(BadCell).create({})
        uow.commit()
    wrong = []
    for label, value in VALUES.items():
        expected = STORED[column].get(label, None if value is None else REFUSED)
        if (column, label) in UNDECIDED:
            expected = None
        for path in PATHS:
            try:
                found = outcome(database, path, column, value)
            except Exception as error:  # noqa: BLE001 -- the table shows all of them at once
                found = error
            wanted = value if expected is SAME else expected
            undecided = (column, label) in UNDECIDED and not isinstance(found, Exception)
            if not undecided and repr(found)[:80] != repr(wanted)[:80]:
                wrong.append(f"{path} {label}: {found!r:.120} and not {wanted!r:.80}")
    assert wrong == []
