"""Errors of drivers, SQLAlchemy and pydantic keep their kind, and lose the values they quote."""

from __future__ import annotations

import pickle
import traceback
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, ClassVar, Literal

import pydantic
import pytest
from sqlalchemy import URL, make_url, text
from sqlalchemy.exc import DataError, OperationalError, ProgrammingError, StatementError
from sqlmodel import Field
from typing_extensions import TypedDict

from domain.errors import UniqueViolation, ValidationError
from infrastructure.database import BaseRepository, BaseUnitOfWork, Database, Embedded, Model
from tests.conftest import MakeDatabase

SECRET = "s3cret"


class Shade(Enum):
    DARKEST = 1


@dataclass(frozen=True)
class Name:
    first: str
    last: str


@dataclass(frozen=True)
class Badge:
    name: Name
    worth: Decimal


class Guest(Model, table=True):
    __tablename__: ClassVar[str] = "word_guests"

    id: int | None = Field(default=None, primary_key=True)
    email: str = Field(unique=True)
    day: date | None = None
    moment: datetime | None = None
    clock: time | None = None
    shade: Shade | None = None
    badge: Badge | None = Field(default=None, sa_type=Embedded(Badge))
    limits: dict[str, int] = Field(default_factory=dict)


class Hotel(BaseUnitOfWork):
    guests: BaseRepository[Guest]


@pytest.fixture
def tables() -> list[Any]:
    return [Guest]


@pytest.fixture
def hotel(database: Database) -> Database:
    with Hotel(database) as uow:
        uow.guests.create({"email": SECRET})
        uow.commit()
    return database


@pytest.fixture
def postgresql(postgresql_url: str, make_database: MakeDatabase) -> Database:
    return make_database(postgresql_url)


def raised(database: Database, action: Any, kind: type[Exception]) -> Exception:
    """What is raised; whoever prints it, or its copy, prints no secret."""
    with pytest.raises(kind) as caught, Hotel(database) as uow:
        action(uow)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert SECRET not in repr(caught.value)
    return caught.value


def executed(statement: str, **parameters: Any) -> Any:
    return lambda uow: uow.session.execute(text(statement), parameters)


# -- the database's ------------------------------------------------------------------------------


@pytest.mark.postgresql
def test_a_refused_value_is_known_by_its_code_and_told_to_who_asks(postgresql: Database) -> None:
    error: Any = raised(postgresql, executed("SELECT CAST(:x AS date)", x=SECRET), DataError)

    assert "psycopg.errors.InvalidDatetimeFormat" in str(error)
    assert "22007" in str(error)
    assert "[SQL: SELECT CAST(" in str(error)
    assert SECRET in error.orig.diag.message_primary
    assert SECRET not in str(pickle.loads(pickle.dumps(error)))


@pytest.mark.postgresql
def test_what_is_wrong_with_a_statement_is_told_in_full(postgresql: Database) -> None:
    for statement, said in [
        ("SELEC :x", 'syntax error at or near "SELEC"'),
        ("SELECT nothing, :x", 'column "nothing" does not exist'),
        ("SELECT * FROM nothing WHERE x = :x", 'relation "nothing" does not exist'),
        ("DROP TABLE nothing", 'table "nothing" does not exist'),
        ("DO $$ BEGIN RAISE EXCEPTION 'no guests today'; END $$", "no guests today"),
    ]:
        error = raised(postgresql, executed(statement, x=SECRET), ProgrammingError)
        assert said in str(error)


@pytest.mark.postgresql
def test_the_syntax_of_a_search_is_not_that_of_the_statement(postgresql: Database) -> None:
    for search in ("to_tsquery(:x)", "jsonb_path_exists('{}', CAST(:x AS jsonpath))"):
        statement = executed(f"SELECT {search}", x=f"{SECRET} {SECRET}")
        assert "42601" in str(raised(postgresql, statement, ProgrammingError))


@pytest.mark.postgresql
@pytest.mark.parametrize("day", ["infinity", "12345-06-07"])
def test_a_date_that_python_does_not_have_is_not_told(postgresql: Database, day: str) -> None:
    read = executed(f"SELECT '{day}'::date")
    error = raised(postgresql, lambda uow: read(uow).all(), DataError)

    assert str(error).startswith("(psycopg.DataError) date too large (after year 10K)\n")


@pytest.mark.postgresql
def test_a_conflict_keeps_the_detail_for_who_asks(postgresql: Database) -> None:
    def twice(uow: Hotel) -> None:
        uow.guests.create({"email": SECRET})
        uow.guests.create({"email": SECRET})

    error: Any = raised(postgresql, twice, UniqueViolation)

    assert SECRET not in str(error.driver_error)
    assert SECRET in error.driver_error.diag.message_detail


def test_text_of_sqlite_that_is_no_text_is_known_by_its_column(
    sqlite_url: str, make_database: MakeDatabase
) -> None:
    database = make_database(sqlite_url)
    read = executed(f"SELECT CAST(X'{SECRET.encode().hex()}ff' AS TEXT) AS name")
    error = raised(database, lambda uow: read(uow).all(), OperationalError)

    assert "Could not decode to UTF-8 column 'name'" in str(error)


def test_a_text_with_a_lone_surrogate_is_not_kept_by_its_error(hotel: Database) -> None:
    statement = executed("SELECT :x", x=f"{SECRET}\ud800")
    error: Any = raised(hotel, statement, UnicodeEncodeError)

    assert "surrogates not allowed" in str(error)
    assert SECRET not in error.object


# -- values of the wrong type, in expressions and stored -------------------------------------------


def test_what_is_no_member_or_value_object_is_told_what_it_must_be(hotel: Database) -> None:
    wrong = Badge(Name(SECRET, SECRET), SECRET)  # type: ignore[arg-type]
    for expression, said in [
        (lambda: Guest.shade == SECRET, "must be a member of Shade"),
        (lambda: Guest.badge == SECRET, "must be a Badge"),
        (lambda: Guest.badge == wrong, "must be a Badge"),
    ]:
        error = raised(hotel, lambda uow: uow.guests.count(expression()), StatementError)  # noqa: B023
        assert said in str(error)


UNREADABLE = {
    "shade": [(SECRET, "no name of Shade")],
    "badge": [
        (f'"{SECRET}"', "no Badge"),
        (f'{{"name": "{SECRET}", "worth": "1"}}', "no Name"),
        (f'{{"name": {{"first": "{SECRET}"}}}}', "a stored Name has no last"),
        ('{"name": {"first": "s3cret", "last": 5}}', "a stored Name has a last that is not of"),
        (f'{{"name": {{"first": "a", "last": "b"}}, "worth": "{SECRET}"}}', "has a worth that"),
    ],
}
ON_SQLITE = {
    "day": [(SECRET, "no date")],
    "moment": [(SECRET, "no date and time")],
    "clock": [(SECRET, "no time of day")],
}


def test_what_is_stored_and_cannot_be_read_is_known_by_its_type(hotel: Database) -> None:
    lax = ON_SQLITE if hotel.engine.dialect.name == "sqlite" else {}
    for field, values in (UNREADABLE | lax).items():
        kind = "CAST(:x AS JSONB)" if field == "badge" and not lax else ":x"
        for value, said in values:

            def read(uow: Hotel) -> None:
                executed(f"UPDATE word_guests SET {field} = {kind}", x=value)(uow)  # noqa: B023
                uow.guests.get_all()

            error = raised(hotel, read, (LookupError, ValueError))  # type: ignore[arg-type]
            assert said in str(error)


def test_dates_and_times_are_read_as_before(hotel: Database) -> None:
    values = {
        "day": date(2024, 2, 29),
        "moment": datetime(2024, 2, 29, 1, 2, 3, 4, tzinfo=UTC),
        "clock": time(1, 2, 3, 4),
    }
    with Hotel(hotel) as uow:
        uow.guests.update(1, **values)
        uow.commit()
    with Hotel(hotel, read_only=True) as uow:
        guest = uow.guests.require(1)
        assert {name: getattr(guest, name) for name in values} == values


# -- pydantic's ----------------------------------------------------------------------------------


def test_what_is_wrong_inside_a_field_is_said_without_the_way_to_it() -> None:
    with pytest.raises(ValidationError) as caught:
        Guest(email="a", limits={SECRET: "many"})

    assert caught.value.errors.keys() == {"limits"}
    assert caught.value.errors["limits"].startswith("something in it: Input should be a valid int")
    assert SECRET not in str(caught.value)


class One(TypedDict):
    kind: Literal["one"]


class Two(TypedDict):
    kind: Literal["two"]


class Tagged(pydantic.BaseModel):
    limits: Annotated[One | Two, pydantic.Field(discriminator="kind")]


def test_a_tag_that_is_none_is_not_told(hotel: Database) -> None:
    def view(uow: Hotel) -> None:
        executed('UPDATE word_guests SET limits = \'{"kind": "s3cret"}\'')(uow)
        list(uow.guests.view(Tagged))

    assert "limits: has a tag that is none" in str(raised(hotel, view, ValidationError))


# -- the URL -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://me:p@{SECRET}@localhost/db",
        f"postgresql://me:{SECRET}@/db@localhost/db",
        URL.create("postgresql", "me", "p", f"{SECRET}@localhost"),
    ],
)
def test_an_at_sign_where_none_belongs_is_refused_with_what_to_write(url: Any) -> None:
    with pytest.raises(ValidationError, match=r"url: .*%40") as caught:
        Database(url)

    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "url", [f"sqlite:///x.db?password={SECRET}", f"sqlite://me:{SECRET}@/x.db", "sqlite://host/x"]
)
def test_sqlite_knows_no_password(url: str) -> None:
    with pytest.raises(ValidationError, match=r"url: .*sqlite:///app.db") as caught:
        Database(url)

    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_a_sqlite_file_may_have_an_at_sign() -> None:
    with Database("sqlite:///me@home.db") as database:
        assert database.settings.url.database == "me@home.db"


def test_a_secret_among_the_options_is_hidden_and_used() -> None:
    asked = (
        f"postgresql+psycopg://me@localhost/db?sslPassword={SECRET}&oauth_client_secret={SECRET}"
    )
    with Database(asked) as database:
        shown = [database.url, repr(database), repr(database.settings), repr(database.engine)]
        assert [said for said in shown if SECRET in said] == []
        assert database.url.endswith("?oauth_client_secret=hidden&sslPassword=hidden")
        url = database.settings.url
        assert url == make_url(asked)
        assert hash(url) == hash(make_url(asked))
        assert url.render_as_string(hide_password=False) == make_url(asked).render_as_string()
        assert SECRET not in repr(url.set(database="other"))
        assert SECRET not in repr(pickle.loads(pickle.dumps(url)))
        connect = database.engine.dialect.create_connect_args(url)[1]
        assert connect["sslPassword"] == SECRET
