"""A connection that dies under a unit: the exception of the block reaches its caller."""

from collections.abc import Callable
from typing import ClassVar

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlmodel import Field

from domain.errors import (
    CommitOutcomeUnknown,
    DatabaseUnavailable,
    KitError,
    UncommittedChangesWarning,
    UnitOfWorkError,
)
from infrastructure.database import BaseRepository, BaseUnitOfWork, Database, Model
from tests.conftest import MakeDatabase
from tests.support import kill


class LostTag(Model, table=True):
    __tablename__: ClassVar[str] = "lost_tags"
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)


class TagRepository(BaseRepository[LostTag]):
    pass


class Tags(BaseUnitOfWork):
    tags: TagRepository


class Stop(Exception):
    """What ends a block in these tests."""


@pytest.fixture
def tables() -> list[type]:
    return [LostTag]


def assert_whole(database: Database) -> None:
    """No connection is missing, and more units than the pool is large find one that works."""
    assert database.engine.pool.checkedout() == 0
    assert database.reader.pool.checkedout() == 0
    for _ in range(2):
        units = [Tags(database, read_only=True) for _ in range(4)]
        for unit in units:
            unit.__enter__()
            unit.tags.count()
        for unit in units:
            unit.__exit__(None, None, None)
    with Tags(database) as uow:
        uow.tags.create(LostTag(name="works"))
        uow.commit()
        uow.tags.delete(uow.tags.one(LostTag.name == "works"))
        uow.commit()


def before_any_write(uow: Tags) -> None:
    uow.tags.count()


def after_a_write(uow: Tags) -> None:
    uow.tags.create(LostTag(name="a"))


def with_something_queued(uow: Tags) -> None:
    uow.tags.create(LostTag(name="a"))
    uow.tags.create_deferred(LostTag(name="b"))


def with_an_entity_deleted(uow: Tags) -> None:
    uow.tags.delete(uow.tags.create(LostTag(name="a")))


def after_a_commit(uow: Tags) -> None:
    uow.tags.create(LostTag(name="a"))
    uow.commit()
    uow.tags.create(LostTag(name="b"))


MOMENTS = [
    before_any_write,
    after_a_write,
    with_something_queued,
    with_an_entity_deleted,
    after_a_commit,
]

moments = pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: moment.__name__)


@moments
@pytest.mark.parametrize("kind", [Stop, KeyboardInterrupt])
def test_the_exception_of_the_block_reaches_its_caller(
    shared_database: Database, moment: Callable[[Tags], None], kind: type[BaseException]
) -> None:
    error = kind()

    with pytest.raises(kind) as caught, Tags(shared_database) as uow:
        moment(uow)
        kill(uow)
        raise error

    assert caught.value is error
    assert caught.value.__cause__ is None
    assert_whole(shared_database)


@moments
def test_the_exception_of_a_savepoint_reaches_its_caller(
    shared_database: Database, moment: Callable[[Tags], None]
) -> None:
    error = Stop()

    with pytest.raises(Stop) as caught, Tags(shared_database) as uow:
        moment(uow)
        with uow.savepoint(), uow.savepoint():
            uow.tags.create(LostTag(name="inside"))
            kill(uow)
            raise error

    assert caught.value is error
    assert_whole(shared_database)


def test_a_savepoint_does_not_heal_a_lost_connection(shared_database: Database) -> None:
    """Nothing of the transaction is left, what was before the savepoint neither."""
    with Tags(shared_database) as uow:
        uow.tags.create(LostTag(name="before"))
        with pytest.raises(Stop), uow.savepoint():
            kill(uow)
            raise Stop
        with pytest.raises(UnitOfWorkError):
            uow.tags.create(LostTag(name="later"))
        with pytest.raises(UnitOfWorkError):
            uow.commit()
        uow.rollback()
        assert uow.tags.count() == 0

    assert_whole(shared_database)


@moments
def test_a_statement_on_a_lost_connection_fails_the_unit(
    shared_database: Database, moment: Callable[[Tags], None]
) -> None:
    with pytest.raises(Stop), Tags(shared_database) as uow:
        moment(uow)
        kill(uow)
        with pytest.raises((KitError, DBAPIError)) as first:
            uow.tags.count()
        for use in (uow.commit, uow.tags.count):
            with pytest.raises(UnitOfWorkError) as refused:
                use()
            assert refused.value.__cause__ is first.value
        raise Stop

    if shared_database.engine.dialect.name == "postgresql":
        assert isinstance(first.value, DatabaseUnavailable)
    assert_whole(shared_database)


def test_rollback_heals_a_lost_connection(shared_database: Database) -> None:
    with Tags(shared_database) as uow:
        uow.tags.create(LostTag(name="a"))
        kill(uow)
        uow.rollback()
        uow.tags.create(LostTag(name="b"))
        uow.commit()

    with Tags(shared_database, read_only=True) as uow:
        assert [tag.name for tag in uow.tags.get_all()] == ["b"]
    assert_whole(shared_database)


def test_commit_on_a_lost_connection_raises_and_stores_nothing(shared_database: Database) -> None:
    with (
        pytest.raises((DatabaseUnavailable, CommitOutcomeUnknown, DBAPIError)),
        Tags(shared_database) as uow,
    ):
        uow.tags.create(LostTag(name="a"))
        uow.tags.create_deferred(LostTag(name="b"))
        kill(uow)
        uow.commit()

    with Tags(shared_database, read_only=True) as uow:
        assert uow.tags.count() == 0
    assert_whole(shared_database)


def test_leaving_without_commit_on_a_lost_connection_only_warns(shared_database: Database) -> None:
    with pytest.warns(UncommittedChangesWarning), Tags(shared_database) as uow:
        uow.tags.create(LostTag(name="a"))
        kill(uow)

    assert_whole(shared_database)


def test_a_read_only_unit_survives_the_loss_like_any_other(shared_database: Database) -> None:
    error = Stop()
    with pytest.raises(Stop) as caught, Tags(shared_database, read_only=True) as uow:
        uow.tags.count()
        kill(uow)
        raise error
    assert caught.value is error

    with Tags(shared_database, read_only=True) as uow:
        uow.tags.count()
        kill(uow)
        uow.rollback()
        assert uow.tags.count() == 0
    assert_whole(shared_database)


@moments
def test_entities_of_a_unit_that_lost_its_connection_stay_readable(
    shared_database: Database, moment: Callable[[Tags], None]
) -> None:
    with Tags(shared_database) as uow:
        uow.tags.create(LostTag(name="there"))
        uow.commit()

    with pytest.raises(Stop), Tags(shared_database) as uow:
        tag = uow.tags.one()
        new = uow.tags.create(LostTag(name="new"))
        moment(uow)
        kill(uow)
        raise Stop

    assert tag.model_dump() == {"id": 1, "name": "there"}
    assert new.name == "new"
    assert "there" in repr(tag)


def test_losing_many_connections_does_not_exhaust_the_pool(
    shared_url: str, make_database: MakeDatabase
) -> None:
    database = make_database(shared_url, pool_size=2)
    for _ in range(15):
        with pytest.raises(Stop), Tags(database) as uow:
            uow.tags.create(LostTag(name="a"))
            kill(uow)
            raise Stop

    assert_whole(database)


def test_a_memory_database_whose_connection_is_gone_lets_the_exception_through() -> None:
    """Its tables are gone with it, but nobody waits for its only connection."""
    with Database("sqlite://", busy_timeout=1) as database:
        database.create_all(LostTag.metadata)
        error = Stop()
        with pytest.raises(Stop) as caught, Tags(database) as uow:
            uow.tags.create(LostTag(name="a"))
            kill(uow)
            raise error

        assert caught.value is error
        assert database.engine.pool.checkedout() == 0
        with Tags(database, read_only=True) as uow:
            assert uow.session.scalar(text("SELECT 1")) == 1
