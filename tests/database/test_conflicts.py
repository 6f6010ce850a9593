"""Violated constraints: the same error with the same attributes on every database."""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    UniqueConstraint,
    func,
    text,
)
from sqlmodel import Field, SQLModel

from domain import ALL, Entity, where
from domain.errors import (
    CheckViolation,
    ConflictError,
    ForeignKeyViolation,
    NotNullViolation,
    UniqueViolation,
    UnitOfWorkError,
)
from infrastructure.database import BaseRepository, BaseUnitOfWork, Database, Model

SECRET = "s3cret"


@dataclass(eq=False, kw_only=True)
class RowUser(Entity):
    email: str
    first: str = ""
    last: str = ""
    nick: str | None = None
    age: int = 1
    secret: str = SECRET
    id: int | None = None


class RowUserModel(RowUser, Model, table=True):
    __tablename__: ClassVar[str] = "row_users"
    __table_args__ = (
        UniqueConstraint("first", "last"),
        CheckConstraint("age >= 0", name="age_not_negative"),
        Index("ix_row_users_nick_lower", func.lower(text("nick")), unique=True),
        Index("ix_row_users_grown", "last", unique=True, sqlite_where=text("age > 17"),
              postgresql_where=text("age > 17")),
    )  # fmt: skip

    id: int | None = Field(default=None, primary_key=True)
    email: str = Field(unique=True)
    secret: str = Field(index=True, unique=True)


class RowPost(Model, table=True):
    __tablename__: ClassVar[str] = "row_posts"
    __table_args__ = (UniqueConstraint("Title Of", name="Odd Name; --"),)

    id: int | None = Field(default=None, primary_key=True)
    user_id: int = Field(foreign_key="row_users.id")
    editor: int | None = Field(
        default=None, sa_column=Column("Editor Id", Integer, ForeignKey("row_users.id"))
    )
    title: str | None = Field(default=None, sa_column_kwargs={"name": "Title Of"})
    secret: str = SECRET


class RowSeat(Model, table=True):
    __tablename__: ClassVar[str] = "row_seats"

    row: int = Field(primary_key=True)
    number: int = Field(primary_key=True)
    secret: str = SECRET


class RowTicket(Model, table=True):
    __tablename__: ClassVar[str] = "row_tickets"
    __table_args__ = (
        ForeignKeyConstraint(["seat_row", "seat_number"], ["row_seats.row", "row_seats.number"]),
    )

    code: str = Field(primary_key=True)
    seat_row: int | None = None
    seat_number: int | None = None
    next_code: str | None = Field(
        default=None,
        sa_column=Column(ForeignKey("row_tickets.code", deferrable=True, initially="DEFERRED")),
    )
    secret: str = SECRET


class RowLegacy(SQLModel, table=True):
    """Not on Model: its constraints have no names in the metadata."""

    __tablename__ = "row_legacy"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)
    secret: str = SECRET
    parent_id: int | None = Field(default=None, foreign_key="row_legacy.id")


class Users(BaseRepository[RowUser]):
    model = RowUserModel


class Club(BaseUnitOfWork):
    users: Users


@pytest.fixture
def tables() -> list[Any]:
    return [RowUserModel, RowPost, RowSeat, RowTicket, RowLegacy]


@pytest.fixture
def club(database: Database) -> Database:
    with Club(database) as uow:
        uow.users.create_many(
            [
                RowUser(email="a", first="A", last="A", nick="Al", secret="a"),
                RowUser(email="b", first="B", last="B", nick="Bo", secret="b"),
            ]
        )
        uow.repository(RowPost).create(RowPost(user_id=1, title="t"))
        uow.repository(RowSeat).create(RowSeat(row=1, number=1))
        uow.repository(RowTicket).create(RowTicket(code="x", seat_row=1, seat_number=1))
        uow.repository(RowLegacy).create_many([RowLegacy(name="a"), RowLegacy(name="b")])
        uow.commit()
    return database


def user(**fields: Any) -> RowUser:
    return RowUser(**{"email": "new", "first": "N", "last": "N", "secret": SECRET} | fields)


def sql(statement: str) -> Callable[[Any], object]:
    return lambda uow: uow.session.execute(text(statement))


def raw(statement: str) -> Callable[[Any], object]:
    return lambda uow: uow.session.connection().exec_driver_sql(statement)


POST = "INSERT INTO row_posts (id, user_id, secret) VALUES"
USER = "INSERT INTO row_users (id, email, first, last, age, secret) VALUES"
U, F, N, C = UniqueViolation, ForeignKeyViolation, NotNullViolation, CheckViolation
EMAIL = (U, "RowUser", ("email",), "uq_row_users_email")
NAME = (U, "RowUser", ("first", "last"), "uq_row_users_first_last")
AUTHOR = (F, "RowPost", ("user_id",), "fk_row_posts_user_id_row_users")
EDITOR = (F, "RowPost", ("editor",), "fk_row_posts_Editor Id_row_users")
SEAT = (
    F,
    "RowTicket",
    ("seat_row", "seat_number"),
    "fk_row_tickets_seat_row_seat_number_row_seats",
)
NEXT = (F, "RowTicket", ("next_code",), "fk_row_tickets_next_code_row_tickets")
NEGATIVE = (C, "RowUser", (), "ck_row_users_age_not_negative")
Case = tuple[Callable[[Any], object], tuple[type[ConflictError], str, tuple[str, ...], str | None]]

CASES: dict[str, Case] = {
    "create": (lambda uow: uow.users.create(user(email="a")), EMAIL),
    "create_many": (
        lambda uow: uow.users.create_many([user(), user(email="a", first="M", secret="m")]), EMAIL,
    ),
    "create_deferred": (
        lambda uow: (uow.users.create_deferred(user(email="a")), uow.session.flush()), EMAIL,
    ),
    "update": (lambda uow: uow.users.update(2, email="a"), EMAIL),
    "tracked": (lambda uow: (setattr(uow.users.require(2), "email", "a"), uow.commit()), EMAIL),
    "autoflush": (
        lambda uow: (setattr(uow.users.require(2), "email", "a"), uow.users.count()), EMAIL,
    ),
    "update_where": (lambda uow: uow.users.update_where(ALL, email="same"), EMAIL),
    "composite": (lambda uow: uow.users.create(user(first="A", last="A")), NAME),
    "unique index": (
        lambda uow: uow.users.create(user(secret="a")),
        (U, "RowUser", ("secret",), "ix_row_users_secret"),
    ),
    "partial index": (
        lambda uow: uow.users.create_many(
            [user(age=18), user(age=20, first="M", email="m", secret="m")]
        ),
        (U, "RowUser", ("last",), "ix_row_users_grown"),
    ),
    "expression index": (
        lambda uow: uow.users.create(user(nick="AL")),
        (U, "RowUser", (), "ix_row_users_nick_lower"),
    ),
    "primary key": (
        lambda uow: uow.users.create(user(id=1)), (U, "RowUser", ("id",), "pk_row_users"),
    ),
    "text key": (
        lambda uow: uow.repository(RowTicket).create(RowTicket(code="x")),
        (U, "RowTicket", ("code",), "pk_row_tickets"),
    ),
    "composite key": (
        lambda uow: uow.repository(RowSeat).create(RowSeat(row=1, number=1)),
        (U, "RowSeat", ("row", "number"), "pk_row_seats"),
    ),
    "odd names": (
        lambda uow: uow.repository(RowPost).create(RowPost(user_id=1, title="t")),
        (U, "RowPost", ("title",), "Odd Name; --"),
    ),
    "dangling": (lambda uow: uow.repository(RowPost).create(RowPost(user_id=99)), AUTHOR),
    "dangling in a batch": (
        lambda uow: uow.repository(RowPost).create_many(
            [RowPost(user_id=1 if n != 7 else 99) for n in range(20)]
        ),
        AUTHOR,
    ),
    "dangling by update": (lambda uow: uow.repository(RowPost).update(1, user_id=99), AUTHOR),
    "dangling by many": (lambda uow: uow.repository(RowPost).update_where(ALL, user_id=9), AUTHOR),
    "the second of two": (
        lambda uow: uow.repository(RowPost).create(RowPost(user_id=1, editor=99)), EDITOR,
    ),
    "composite dangling": (
        lambda uow: uow.repository(RowTicket).create(
            RowTicket(code="y", seat_row=1, seat_number=2)
        ),
        SEAT,
    ),
    "referred to": (lambda uow: uow.users.delete(1), AUTHOR),
    "referred to by key": (lambda uow: uow.repository(RowSeat).delete((1, 1)), SEAT),
    "referred to by many": (lambda uow: uow.users.delete_where(where("id") > 0), AUTHOR),
    "deferred": (
        lambda uow: (
            uow.repository(RowTicket).create(RowTicket(code="y", next_code="z")), uow.commit()
        ),
        NEXT,
    ),
    "another while one is deferred": (
        lambda uow: (
            uow.repository(RowTicket).create(RowTicket(code="y", next_code="z")),
            uow.repository(RowPost).create(RowPost(user_id=99)),
        ),
        AUTHOR,
    ),
    "check": (lambda uow: uow.users.create(user(age=-1)), NEGATIVE),
    "check by many": (lambda uow: uow.users.update_where(ALL, age=-1), NEGATIVE),
    "SQL unique": (sql(f"{USER} (9, 'a', 'N', 'N', 1, '{SECRET}')"), EMAIL),
    "SQL key": (sql(f"{USER} (1, 'n', 'N', 'N', 1, '{SECRET}')"),
                (U, "RowUser", ("id",), "pk_row_users")),
    "SQL null": (sql(f"{USER} (9, 'n', NULL, 'N', 1, '{SECRET}')"),
                 (N, "RowUser", ("first",), None)),
    "SQL check": (sql(f"{USER} (9, 'n', 'N', 'N', -1, '{SECRET}')"), NEGATIVE),
    "SQL dangling": (sql(f"{POST} (9, 99, '{SECRET}')"), AUTHOR),
    "SQL delete": (sql("DELETE FROM row_users"), AUTHOR),
    "SQL update": (sql("UPDATE row_users SET id = id + 100"), AUTHOR),
    "driver unique": (raw(f"{USER} (9, 'a', 'N', 'N', 1, '{SECRET}')"), EMAIL),
    "driver null": (raw('UPDATE row_users SET "last" = NULL'), (N, "RowUser", ("last",), None)),
    "driver dangling": (raw(f"{POST} (9, 99, '{SECRET}')"), AUTHOR),
}  # fmt: skip


def caught_in(database: Database, action: Callable[[Any], object]) -> ConflictError:
    with Club(database) as uow:
        with pytest.raises(ConflictError) as caught:
            action(uow)
        with pytest.raises(UnitOfWorkError) as failed:  # on both databases alike
            uow.users.count()
        assert failed.value.__cause__ is caught.value
        uow.rollback()
        assert (uow.users.count(), uow.repository(RowPost).count()) == (2, 1)
    return caught.value


@pytest.mark.parametrize("name", CASES)
def test_a_conflict_says_what_and_where_and_no_values(club: Database, name: str) -> None:
    action, (kind, *expected) = CASES[name]
    error = caught_in(club, action)
    if name.startswith(
        "driver"
    ):  # a connection of SQLAlchemy chains; the end of the block undoes it
        with pytest.raises(ConflictError) as caught, Club(club) as uow:
            action(uow)
        error = caught.value
    assert type(error) is kind
    assert [error.entity, error.fields, error.constraint] == expected
    assert error.driver_error is not None
    assert type(error.driver_error).__module__.startswith(("sqlite3", "psycopg"))
    assert error.__cause__ is None  # and tells no values
    assert error.__suppress_context__
    printed = "".join(traceback.format_exception(type(error), error, None))
    assert SECRET not in f"{error!s} {error!r} {printed}"
    assert error.entity in str(error)
    assert all(field in str(error) for field in error.fields)


def test_the_driver_alone_would_tell_them(club: Database) -> None:
    """The control: PostgreSQL's DETAIL prints the row, hidden parameters or not."""
    with pytest.raises(ConflictError) as caught, Club(club) as uow:
        uow.users.create(user(age=-1))
    said = getattr(caught.value.driver_error, "diag", None)
    tells = said is not None and SECRET in said.message_detail
    assert tells == (club.engine.dialect.name == "postgresql")


@pytest.mark.parametrize("name", ["create", "referred to", "SQL null", "check", "deferred"])
def test_a_conflict_survives_pickling(club: Database, name: str) -> None:
    error = caught_in(club, CASES[name][0])
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert (copy.entity, copy.fields, copy.constraint) == (
        error.entity,
        error.fields,
        error.constraint,
    )
    assert str(copy) == str(error)


LEGACY: dict[str, tuple[Callable[[Any], object], tuple[type[ConflictError], tuple[str, ...]]]] = {
    "unique": (lambda repo: repo.create({"name": "a"}), (U, ("name",))),
    "key": (lambda repo: repo.create({"name": "n", "id": 1}), (U, ("id",))),
    "dangling": (lambda repo: repo.create({"name": "n", "parent_id": 9}), (F, ("parent_id",))),
}


@pytest.mark.parametrize("name", LEGACY)
def test_constraints_without_names_are_recognised_by_their_columns(
    club: Database, name: str
) -> None:
    action, (kind, fields) = LEGACY[name]
    error = caught_in(club, lambda uow: action(uow.repository(RowLegacy)))
    assert (type(error), error.entity, error.fields) == (kind, "RowLegacy", fields)


def test_a_conflict_in_a_savepoint_leaves_the_rest(club: Database) -> None:
    for action, (kind, *_) in CASES.values():
        with Club(club) as uow:
            uow.users.create(user(email="kept", first="K", last="K", secret="k"))
            try:
                with uow.savepoint():
                    action(uow)
            except (kind, UnitOfWorkError):  # those that commit say: not inside a savepoint
                assert uow.users.count() == 3
            uow.rollback()
