"""The contracts, held by every adapter of this kit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from sqlalchemy import UniqueConstraint, delete, insert
from sqlmodel import Field

from domain import Person
from domain.ports import Outbox
from infrastructure.cache import CachePolicy
from infrastructure.database import (
    BaseRepository,
    BaseUnitOfWork,
    Database,
    Model,
    Versioned,
    edits,
    own_connection,
    reading,
)
from infrastructure.database.models.outbox_message import OutboxMessage
from infrastructure.database.models.person import PersonModel
from infrastructure.database.models.team import TeamModel
from infrastructure.database.repositories.person import SqlPersonRepository
from infrastructure.database.unit_of_work import UnitOfWork
from infrastructure.testing.contracts import (
    RepositoryContract,
    SqlRepositoryContract,
    UnitOfWorkContract,
    Units,
)
from infrastructure.testing.memory import InMemoryStore
from infrastructure.testing.memory.unit_of_work import InMemoryUnitOfWork
from tests.conftest import BACKENDS
from tests.testing.people import TEAMS, People, units, units_in_memory


class ConDrawer(Model, table=True):
    """What labels stand on."""

    __tablename__: ClassVar[str] = "con_drawers"
    id: int | None = Field(default=None, primary_key=True)


class ConLabel(Versioned, Model, table=True):
    """A table without a domain class, and a key of two fields besides its id."""

    __tablename__: ClassVar[str] = "con_labels"
    __table_args__ = (UniqueConstraint("code", "rank"),)
    id: int | None = Field(default=None, primary_key=True)
    text: str = Field(max_length=20)
    code: str
    rank: int
    drawer_id: int | None = Field(default=None, foreign_key="con_drawers.id")


class Labels(BaseUnitOfWork):
    outbox = OutboxMessage

    labels: BaseRepository[ConLabel]
    drawers: BaseRepository[ConDrawer]


TABLES: list[Any] = [ConLabel, ConDrawer, PersonModel, TeamModel, OutboxMessage]


@pytest.fixture(scope="module", params=BACKENDS)
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a database of each kind."""
    if request.param == "sqlite-file":
        return f"sqlite:///{tmp_path_factory.mktemp('contracts') / 'test.db'}"
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgresql_database"))
    return "sqlite://"


@pytest.fixture(scope="module")
def database(url: str) -> Iterator[Database]:
    """One for all tests; each of them makes it empty first."""
    with Database(url) as database:
        tables = [model.__table__ for model in TABLES]
        Model.metadata.drop_all(database.engine, tables=tables)
        Model.metadata.create_all(database.engine, tables=tables)
        yield database
        Model.metadata.drop_all(database.engine, tables=tables)


class SqlPeople(People):
    @pytest.fixture
    def uow_factory(self, database: Database) -> Units:
        return units(database, UnitOfWork)


class TestPeople(SqlPeople, RepositoryContract[Person]):
    pass


class TestUnitsOfPeople(SqlPeople, UnitOfWorkContract[Person]):
    pass


class TestSqlPeople(SqlPeople, SqlRepositoryContract[Person]):
    pass


class CachedPeople(SqlPersonRepository):
    cache = CachePolicy(ttl=3600)


class CachedUnit(UnitOfWork):
    people: CachedPeople


class SqlCachedPeople(People):
    """They are cached, and nobody notices."""

    @pytest.fixture
    def uow_factory(self, database: Database) -> Units:
        made = units(database, CachedUnit)
        database.caches.clear()
        return made


class TestCachedPeople(SqlCachedPeople, RepositoryContract[Person]):
    pass


class TestUnitsOfCachedPeople(SqlCachedPeople, UnitOfWorkContract[Person]):
    pass


class TestSqlCachedPeople(SqlCachedPeople, SqlRepositoryContract[Person]):
    pass


class InMemoryPeople(People):
    @pytest.fixture
    def uow_factory(self, store: InMemoryStore) -> Units:
        return units_in_memory(store, InMemoryUnitOfWork)

    @pytest.fixture
    def outbox(self, store: InMemoryStore) -> Outbox:
        return store.outbox


class TestPeopleInMemory(InMemoryPeople, RepositoryContract[Person]):
    pass


class TestUnitsOfPeopleInMemory(InMemoryPeople, UnitOfWorkContract[Person]):
    pass


class SqlLabels:
    rising = "text"
    unique = ("code", "rank")
    nullable = "drawer_id"
    reference = ("drawer_id", 999_999)
    invalid: ClassVar[dict[str, Any]] = {"text": "x" * 21, "rank": "high"}
    versioned = True

    @pytest.fixture
    def uow_factory(self, database: Database) -> Units:
        with database.engine.begin() as connection:
            for model in (OutboxMessage, ConLabel, ConDrawer):
                connection.execute(delete(model))
            connection.execute(insert(ConDrawer), [{"id": number} for number in TEAMS])
        return lambda **options: Labels(database, **options)

    def repository(self, uow: Any) -> Any:
        return uow.labels

    def referred(self, uow: Any) -> Any:
        return uow.drawers

    def make(self, number: int) -> ConLabel:
        return ConLabel(text=f"label {number}", code="L", rank=number, drawer_id=number)

    def change(self, label: ConLabel) -> None:
        label.text += "!"


@pytest.mark.thorough(6)
class TestLabels(SqlLabels, RepositoryContract[ConLabel]):
    pass


@pytest.mark.thorough(6)
class TestUnitsOfLabels(SqlLabels, UnitOfWorkContract[ConLabel]):
    pass


@pytest.mark.thorough(6)
class TestSqlLabels(SqlLabels, SqlRepositoryContract[ConLabel]):
    pass


@pytest.fixture
def without_shortcuts(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with versions of the libraries whose private parts the kit does not know."""
    monkeypatch.setattr(reading, "tracked", lambda *_: None)
    monkeypatch.setattr(own_connection, "is_logged", lambda _: True)
    monkeypatch.setattr(edits, "store", lambda *_: None)


@pytest.mark.thorough(6)
@pytest.mark.usefixtures("without_shortcuts")
class TestPeopleWithoutShortcuts(SqlPeople, RepositoryContract[Person]):
    pass


@pytest.mark.thorough(6)
@pytest.mark.usefixtures("without_shortcuts")
class TestUnitsOfPeopleWithoutShortcuts(SqlPeople, UnitOfWorkContract[Person]):
    pass


@pytest.mark.thorough(6)
@pytest.mark.usefixtures("without_shortcuts")
class TestSqlPeopleWithoutShortcuts(SqlPeople, SqlRepositoryContract[Person]):
    pass
