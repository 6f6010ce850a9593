"""Every value in every column: stored as it is, or refused before SQL, alike on all databases."""

import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from http import HTTPStatus
from typing import Any, Final

import pytest
from pydantic import NaiveDatetime
from sqlmodel import Field

from domain import ALL, where
from domain.errors import (
    ConflictError,
    EntityNotFound,
    ForeignKeyViolation,
    KitError,
    UniqueViolation,
    UnitOfWorkError,
    ValidationError,
)
from infrastructure.database import BaseUnitOfWork, Database, Model
from tests.support import statements

pytestmark = pytest.mark.thorough


class Kind(Enum):
    OPEN = "open"
    DONE = "done"


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
    "value": "open", "name": "OPEN", "other enum": HTTPStatus.OK, "bytes": b"a\0\xff", "set": {1},
    "tuple": (1,), "list": [1, "ü", None, 0.1, True, {"a": [2**63 - 1]}],
    "dict": {"a": {"b": [None]}},
    "empty list": [], "empty dict": {}, "object": object(), "type": int, "1j": 1j,
    "list NaN": [NAN], "list inf": [[INF]], "list NUL": ["\0"], "list surrogate": [{"a": "\ud800"}],
    "list object": [object()], "list date": [date(2024, 1, 1)], "list tuple": [(1,)],
    "list bytes": [b"a"], "list 1e300": [1e300], "list 2^63": [2**63], "list 10^5000": [10**5000],
    "cycle": CYCLE, "deep": DEEP, "key 1": {1: 2}, "key None": {None: 1},
    "nested key": {"a": {1: 2}},
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
        **dict.fromkeys(("empty", "text", "emoji", "six", "'1'", "value", "name"), SAME),
        "UUID text": SAME, "member": "open",
    },
    "short": {
        **dict.fromkeys(("empty", "text", "emoji", "'1'", "value", "name"), SAME), "member": "open",
    },
    "number": {
        **dict.fromkeys(("0", "1", "-1", "2^31-1"), SAME),
        "six": 123456, "'1'": 1, "1.0": 1, "-0.0": 0, "True": 1, "other enum": 200, "D 1E+4": 10000,
        "D -0": 0,
    },
    "flag": {"True": True, "0": False, "-0.0": False, "1": True, "1.0": True, "'1'": True},
    "ratio": {
        **dict.fromkeys(("1.0", "1.5", "inf"), SAME),
        "six": 123456.0, "'1'": 1.0, "0": 0.0, "1": 1.0, "-1": -1.0, "2^31-1": 2147483647.0,
        "2^31": 2147483648.0, "2^63": float(2**63), "2^70": float(2**70), "True": 1.0, "D 1.5": 1.5,
    },
    "amount": {
        **dict.fromkeys(("D 1.5", "D 1.50000", "D 30 digits", "D 0.005", "D 12345.6"), SAME),
        "six": Decimal(123456), "'1'": Decimal(1), "0": Decimal(0), "1": Decimal(1),
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
        **dict.fromkeys(("list", "empty list"), SAME), "set": [1], "tuple": [1],
    },
    "data": dict.fromkeys(("dict", "empty dict"), SAME),
}  # fmt: skip
"""What each column holds afterwards. What is not mentioned here is refused, in every case."""

UNDECIDED = {  # equal values that may differ in their form, or conversions nobody should rely on
    ("text", "bytes"), ("text", "other enum"), ("short", "other enum"), ("flag", "other enum"),
    ("ratio", "other enum"), ("ratio", "-0.0"), ("flag", "D 1E-20000"), ("day", "D 1E-20000"),
    ("flag", "D -0"), ("day", "D -0"),
    *(("ratio", name) for name in VALUES if name.startswith("D ")),
    *(("amount", name) for name in ("1.0", "-0.0", "True", "other enum", "D -0", "D 1E+4")),
    *(("amount", name) for name in ("2^31-1", "2^31", "2^63", "10^400")),
    *(("money", name) for name in ("-0.0", "True", "other enum", "D -0", "D 1E+4", "D 1.50000")),
    *(("day", name) for name in ("aware", "aware elsewhere", "before year 1", "min", "-0.0")),
    *(("at", name) for name in VALUES if name[0] in "D2" or name in ("date", "other enum")),
    *(("span", name) for name in VALUES if name[0] in "D2" or name in ("time", "other enum")),
    *(("blob", name) for name in ("UUID text", "value", "name")), ("tags", "dict"), ("clock", "0"),
}  # fmt: skip


class BadUser(Model, table=True):
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(max_length=10, unique=True)
    age: int | None = None
    boss_id: int | None = Field(default=None, foreign_key="baduser.id")


class BadCode(Model, table=True):
    code: str = Field(primary_key=True, max_length=5)


@pytest.fixture
def tables() -> list[Any]:
    return [BadCell, BadUser, BadCode]


def write(cells: Any, path: str, column: str, value: Any) -> Any:
    """The id of a row in which the column was given this value, in one of the ways there are."""
    if path == "create":
        return cells.create({column: value}).id
    if path == "update_where":
        cells.update_where(ALL, **{column: value})
        return 1
    row = cells.require(1)
    setattr(row, column, value)
    try:
        return cells.update(row).id
    except ValidationError:
        setattr(row, column, None)
        raise


def outcome(database: Database, path: str, column: str, value: Any) -> Any:
    """What is in the column afterwards, or that the value was refused as it should be."""
    refusal = None
    with BaseUnitOfWork(database) as uow:
        cells = uow.repository(BadCell)
        with statements(database) as sent:
            try:
                id = write(cells, path, column, value)
            except ValidationError as error:
                refusal = error
        if refusal is None:
            uow.session.expire_all()
            found = getattr(cells.require(id), column)
        else:
            assert (refusal.entity, set(refusal.errors)) == ("BadCell", {column})
            assert [statement for statement in sent if not statement.startswith("SELECT")] == []
            assert cells.count() == 1  # nothing was written, and the unit is usable
            found = REFUSED
        uow.rollback()
    return found


def shown(value: Any) -> str:
    try:
        return repr(value)[:90]
    except (RecursionError, ValueError):
        return f"a {type(value).__name__} beyond words"


@pytest.mark.parametrize("column", STORED)
def test_every_value_in_every_column(database: Database, column: str) -> None:
    with BaseUnitOfWork(database) as uow:
        uow.repository(BadCell).create({})
        uow.commit()
    wrong = []
    for label, value in VALUES.items():
        if label == "deep" and column not in ("tags", "data"):
            continue  # Python itself cannot print it, not even in an error
        expected = STORED[column].get(label, None if value is None else REFUSED)
        wanted = shown(value if expected is SAME else expected)
        for path in ("create", "update_where", "tracked"):
            try:
                found = outcome(database, path, column, value)
                agreed = shown(found) == wanted or (column, label) in UNDECIDED
            except Exception as error:  # noqa: BLE001 -- the list shows all of them at once
                found, agreed = error, False
            if not agreed:
                wrong.append(f"{path} {label}: {shown(found)} and not {wanted}")
    assert not wrong, "\n".join(wrong)


# -- every method --------------------------------------------------------------------------

NO_ID: list[Any] = [
    None,
    "x",
    "",
    1.5,
    NAN,
    INF,
    2**31,
    2**70,
    [1],
    {"id": 1},
    (1, 2),
    object(),
    b"x",
]
NO_ENTITY: list[Any] = [None, 5, "Ada", b"x", object(), ("name", "x"), BadCode(code="x"), BadUser]
NO_LIST: list[Any] = [None, 5, "Ada", {"name": "x"}, BadUser(name="x"), b"ab"]
WRONG: dict[str, dict[str, Any]] = {
    "nam": {"name": "x", "nam": "x"},
    "name": {"name": None},
    "age": {"name": "x", "age": 2**31},
    "boss_id": {"name": "x", "boss_id": "boss"},
}
BAD_TEXTS = ["a\0b", "\ud800", "x" * 11]
WRONG_QUERIES: list[tuple[str, Any]] = [
    ("nam", where("nam") == "x"),
    ("age", where("age") == "x"),
    ("age", where("age") > 2**70),
    ("age", where("age").in_([1, NAN])),
    ("age", where("age").between(0, INF)),
    ("name", where("name") == "a\0b"),
    ("name", where("name").contains("\ud800")),
    ("name", where("name").in_(["x", "\0"])),
    ("criteria", "name = 'x'"),
    ("criteria", True),
]
ASKING = ("get_all", "first", "one", "count", "exists", "delete_where")
Call = tuple[type[KitError], str, str, tuple[Any, ...], dict[str, Any]]


def invalid_calls() -> Iterator[Call]:
    """The error, the field that it names, and the call: method, arguments, keywords."""
    refused = ValidationError
    for id in NO_ID:
        yield from ((refused, "id", name, (id,), {}) for name in ("get_by_id", "require", "delete"))
        yield refused, "id", "update", (id,), {"age": 1}
        yield refused, "id", "get_many", ([1, id],), {}
    given = [("entity", entity) for entity in NO_ENTITY] + list(WRONG.items())
    given += [("name", {"name": text}) for text in BAD_TEXTS]
    for field, entity in given:
        yield refused, field, "create", (entity,), {}
        yield refused, field, "create_deferred", (entity,), {}
        yield refused, field, "create_many", ([{"name": "fine"}, entity],), {}
    for entities in NO_LIST:
        yield refused, "entities", "create_many", (entities,), {}
        yield refused, "ids", "get_many", (entities,), {}
    for field, entity in given[len(NO_ENTITY) :]:
        changes = {field: entity[field]}
        yield refused, field, "update", (1,), changes
        yield refused, field, "update_where", (ALL,), changes
    for field, query in WRONG_QUERIES:
        yield from ((refused, field, name, (query,), {}) for name in ASKING)
        yield refused, field, "update_where", (query,), {"age": 1}
    for value in (-1, 1.5, "1", True, 2**63, NAN, [1]):
        yield refused, "limit", "get_all", (), {"limit": value}
        yield refused, "offset", "get_all", (), {"offset": value}


def hopeless_calls() -> Iterator[Call]:
    """The same, where only the database can know."""
    yield EntityNotFound, "", "require", (99,), {}
    yield EntityNotFound, "", "update", (99,), {"age": 1}
    yield EntityNotFound, "", "delete", (99,), {}
    yield EntityNotFound, "", "one", (where("age") == 99,), {}
    bad: list[tuple[type[KitError], str, Any]] = [
        (UniqueViolation, "name", "Ada"),
        (ForeignKeyViolation, "boss_id", 99),
    ]
    for error, field, value in bad:
        entity = {"name": "x", field: value}
        yield error, field, "create", (entity,), {}
        yield error, field, "create_many", ([{"name": "y"}, entity, {"name": "z"}],), {}
        yield error, field, "update", (2,), {field: value}
        yield error, field, "update_where", (where("id") == 2,), {field: value}


def try_out(database: Database, call: Call) -> Iterator[str]:
    """What is not as it should be with this call."""
    kind, field, method, arguments, options = call
    raised: Any = None
    with BaseUnitOfWork(database) as uow:
        users = users_of(uow)
        with statements(database) as sent:
            try:
                getattr(users, method)(*arguments, **options)
            except Exception as error:  # noqa: BLE001 -- the list shows all of them at once
                raised = error
        if type(raised) is not kind or raised.entity != "BadUser":
            yield f"raised {raised!r:.150} and not {kind.__name__}"
        elif isinstance(raised, ValidationError) and set(raised.errors) != {field}:
            yield f"errors are {raised.errors} and not {field}"
        elif isinstance(raised, ConflictError) and raised.fields != (field,):
            yield f"fields are {raised.fields} and not {field}"
        if isinstance(raised, ValidationError) and sent:
            yield f"sent {sent}"
        if isinstance(raised, ConflictError):
            with pytest.raises(UnitOfWorkError):
                users.count()
            uow.rollback()
        try:
            if [user.name for user in users.get_all(order_by="id")] != ["Ada", "Bob"]:
                yield "something was written"
        except KitError as error:
            yield f"the unit is not usable: {error!r:.100}"
        uow.rollback()


@pytest.mark.parametrize("calls", [invalid_calls, hopeless_calls])
def test_every_method_refuses_what_is_wrong_and_names_it(
    database: Database, calls: Callable[[], Iterator[Call]]
) -> None:
    with BaseUnitOfWork(database) as uow:
        users_of(uow).create_many([{"name": "Ada"}, {"name": "Bob"}])
        uow.commit()
    wrong = [f"{call[1:]!r:.90}: {what}" for call in calls() for what in try_out(database, call)]
    assert not wrong, "\n".join(wrong)


def test_bad_text_in_a_key_is_refused(database: Database) -> None:
    with BaseUnitOfWork(database) as uow:
        codes = uow.repository(BadCode)
        for text in ("a\0b", "\ud800"):
            for call in (codes.get_by_id, codes.delete, lambda t: codes.get_many(["x", t])):
                with pytest.raises(ValidationError) as caught:
                    call(text)
                assert (caught.value.entity, set(caught.value.errors)) == ("BadCode", {"code"})
        assert codes.get_by_id("x") is None


def users_of(uow: BaseUnitOfWork) -> Any:
    return uow.repository(BadUser)
