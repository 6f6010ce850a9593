"""Tables of PostgreSQL with a will of their own: defaults, triggers, policies, generated ones."""

from dataclasses import dataclass
from typing import Any, ClassVar
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Column, Computed, Identity, Integer, String, text
from sqlmodel import Field

from domain import Entity, where
from domain.errors import CheckViolation
from infrastructure.database import BaseRepository, BaseUnitOfWork, Database, Model

pytestmark = pytest.mark.postgresql


class Willful(Model, table=True):
    __tablename__: ClassVar[str] = "willful_rows"

    id: int | None = Field(
        default=None, sa_column=Column(Integer, Identity(always=True), primary_key=True)
    )
    name: str = Field(unique=True)
    loud: str | None = Field(
        default=None, sa_column=Column(String, Computed("upper(name)", persisted=True))
    )
    origin: str | None = Field(default=None, sa_column=Column(String, server_default="server"))
    triggered: str | None = None


@pytest.fixture
def database(postgresql_url: str, make_database: Any) -> Any:
    return make_database(postgresql_url)


@pytest.fixture
def tables() -> list[Any]:
    return [Willful, VoteModel]


TRIGGER = """
CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN NEW.triggered := NEW.name || '!'; RETURN NEW; END $$;
CREATE TRIGGER shouts BEFORE INSERT OR UPDATE ON willful_rows
    FOR EACH ROW EXECUTE FUNCTION shout();
"""


def test_the_database_fills_in_what_is_its_own(database: Database) -> None:
    with database.engine.begin() as connection:
        connection.execute(text(TRIGGER))
    with BaseUnitOfWork(database) as uow:
        rows = uow.repository(Willful)
        rows.bulk_create([{"name": "a"}, {"name": "b", "origin": "given"}, Willful(name="c")])
        rows.bulk_upsert([{"name": "a", "origin": "again"}, {"name": "d"}], on="name")
        rows.bulk_update([{"id": rows.one(where("name") == "b").id, "name": "bb"}])
        uow.commit()

    with BaseUnitOfWork(database, read_only=True) as uow:
        found = uow.repository(Willful).get_all(order_by="name")
    assert [(row.name, row.loud, row.origin, row.triggered) for row in found] == [
        ("a", "A", "again", "a!"),
        ("bb", "BB", "given", "bb!"),
        ("c", "C", "server", "c!"),
        ("d", "D", "server", "d!"),
    ]


def test_row_level_security_holds(database: Database) -> None:
    role = "kit_test_reader"
    with database.engine.begin() as connection:
        connection.execute(text(f"DROP ROLE IF EXISTS {role}"))
        connection.execute(text(f"CREATE ROLE {role}"))
        connection.execute(text(f"GRANT USAGE ON SCHEMA public TO {role}"))
        connection.execute(text(f"GRANT ALL ON willful_rows TO {role}"))
        connection.execute(text("ALTER TABLE willful_rows ENABLE ROW LEVEL SECURITY"))
        connection.execute(
            text("CREATE POLICY short ON willful_rows USING (true) WITH CHECK (length(name) < 3)")
        )
    try:
        with BaseUnitOfWork(database) as uow:
            uow.session.connection().execute(text(f"SET LOCAL ROLE {role}"))
            assert uow.repository(Willful).bulk_create([{"name": "ok"}]) == 1
            with pytest.raises(Exception, match="row-level security"):
                uow.repository(Willful).bulk_create([{"name": "too long"}])
            uow.rollback()
            assert uow.repository(Willful).count() == 0
    finally:
        with database.engine.begin() as connection:
            connection.execute(text("DROP POLICY short ON willful_rows"))
            connection.execute(text(f"DROP OWNED BY {role}"))
            connection.execute(text(f"DROP ROLE {role}"))


def test_a_check_of_the_database_is_named(database: Database) -> None:
    with database.engine.begin() as connection:
        connection.execute(text("ALTER TABLE willful_rows ADD CONSTRAINT few CHECK (name <> 'x')"))
    with pytest.raises(CheckViolation) as raised, BaseUnitOfWork(database) as uow:
        uow.repository(Willful).bulk_create([{"name": "a"}, {"name": "x"}])
    assert raised.value.constraint == "few"


@dataclass(eq=False, kw_only=True)
class Vote(Entity):
    choice: str
    id: UUID


class VoteModel(Vote, Model, table=True):
    __tablename__: ClassVar[str] = "secret_votes"

    id: UUID = Field(primary_key=True)
    choice: str = Field(max_length=20)


class Votes(BaseRepository[Vote]):
    model = VoteModel


def test_who_may_only_insert_creates_rows_with_their_keys(database: Database) -> None:
    """Nothing of such a row comes back: that would need the right to read it."""
    role = "kit_test_voter"
    with database.engine.begin() as connection:
        for sql in (
            f"DROP ROLE IF EXISTS {role}",
            f"CREATE ROLE {role}",
            f"GRANT USAGE ON SCHEMA public TO {role}",
            f"GRANT INSERT ON secret_votes TO {role}",
        ):
            connection.execute(text(sql))
    try:
        with BaseUnitOfWork(database) as uow:
            uow.session.connection().execute(text(f"SET LOCAL ROLE {role}"))
            Votes(uow.session).create(Vote(choice="yes", id=uuid4()))
            uow.commit()
        with BaseUnitOfWork(database, read_only=True) as uow:
            assert [vote.choice for vote in Votes(uow.session).get_all()] == ["yes"]
    finally:
        with database.engine.begin() as connection:
            connection.execute(text(f"DROP OWNED BY {role}"))
            connection.execute(text(f"DROP ROLE {role}"))
