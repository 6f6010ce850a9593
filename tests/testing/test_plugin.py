"""The plugin in a project of somebody else, who has installed the kit."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from domain.errors import DatabaseUnavailable, ValidationError
from infrastructure.testing import schema
from infrastructure.testing.sandbox import templates_for
from tests.conftest import SERVER
from tests.testing.conftest import url_of_kind
from tests.testing.projects import SHOP, pytest_in, write

KINDS = ["sqlite-memory", "sqlite-file", pytest.param("postgresql", marks=pytest.mark.postgresql)]


THREE_LINES = """from shop.models import Product
def test_a_product_is_stored(uow):
    with uow: uow.repository(Product).create(Product(sku="pen")); uow.commit()
"""


def test_three_lines_are_a_passing_test(site: Path, tmp_path: Path) -> None:
    project = write(tmp_path, {**SHOP, "tests/test_it.py": THREE_LINES})
    done = pytest_in(project, site)
    assert done.count("passed") == 1, done.text
    assert done.status == 0, done.text
    assert {path.name for path in project.iterdir()} == {"shop", "tests"}


MANY = """
import pytest
from infrastructure.database import Database
from shop.models import Product
from shop.unit_of_work import Shop

def sell():                       # the application; it knows nothing of tests
    with Shop() as shop:
        shop.products.create(Product(sku="pen"))
        shop.commit()

@pytest.mark.parametrize("number", range(200))
def test_it_is_sold(uow, number):
    sell()
    with uow:
        assert uow.products.one().sku == "pen"
        uow.products.create(Product(sku="more"))
        uow.commit()
"""
COUNTING = """
import pytest
from infrastructure.database import Database
from infrastructure.testing import SandboxDatabase
from shop.unit_of_work import Shop

@pytest.fixture(scope="session", autouse=True)
def left_behind(database):
    yield
    assert isinstance(database, SandboxDatabase)
    with database.opened(), Shop(database) as shop:
        assert shop.products.count() == 0
    if not database.settings.url.database in (None, "", ":memory:"):
        with Database(database.settings.url) as real, Shop(real) as shop:
            assert shop.products.count() == 0
"""


@pytest.mark.parametrize("kind", KINDS)
def test_two_hundred_tests_leave_zero_rows(
    site: Path, tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    url = url_of_kind(kind, request)
    project = write(tmp_path, {**SHOP, "tests/conftest.py": COUNTING, "tests/test_it.py": MANY})
    done = pytest_in(project, site, "--database-url", url)
    assert (done.count("passed"), done.status) == (200, 0), done.text
    assert {path.name for path in project.iterdir()} == {"shop", "tests"}


DOCUMENTED = """
import pytest
from sqlalchemy import create_engine, text
from sqlmodel import Session, SQLModel
from shop.models import Product

@pytest.fixture(scope="session")
def engine():
    engine = create_engine("sqlite:///control.db")
    Product.metadata.create_all(engine)
    yield engine
    engine.dispose()

@pytest.fixture
def session(engine):
    connection = engine.connect()
    transaction = connection.begin()
    session = Session(bind=connection, join_transaction_mode="create_savepoint")
    yield session
    session.close()
    transaction.rollback()
    connection.close()

@pytest.mark.parametrize("number", range(20))
def test_it_is_sold(session, number):
    session.add(Product(sku=f"pen{number}"))
    session.commit()
"""


def test_the_fixture_that_is_commonly_documented_leaks(site: Path, tmp_path: Path) -> None:
    project = write(tmp_path, {**SHOP, "tests/test_it.py": DOCUMENTED})
    done = pytest_in(project, site)
    assert done.count("passed") == 20, done.text
    engine = create_engine(f"sqlite:///{project / 'control.db'}")
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM product")) > 0
    engine.dispose()


EVERYTHING = """
import threading
import pytest
from domain.errors import ConcurrencyConflict, UnitOfWorkError
from infrastructure.database import Database
from shop.models import Product, Shelf
from shop.unit_of_work import Shop

def test_default(uow, database):
    assert Database.default() is database
    assert type(uow) is Shop

def test_committed(committed_database, uow_factory, uow):
    assert Database.default() is committed_database
    with uow:
        uow.products.create(Product(sku="pen"))
        with uow_factory(read_only=True) as other:
            assert other.products.count() == 0
        uow.commit()
    with uow_factory(isolation_level="SERIALIZABLE") as strict:
        assert strict.products.count() == 1

def test_committed_again(committed_database, uow):
    with uow:
        assert uow.products.count() == 0

def test_refused(uow_factory):
    with pytest.raises(UnitOfWorkError, match="committed_database"):
        with uow_factory(isolation_level="SERIALIZABLE"):
            pass

def test_clock(uow, clock):
    began = clock.now
    def conflict(fresh):
        raise ConcurrencyConflict("Product", 1)
    with pytest.raises(ConcurrencyConflict):
        uow.run(conflict, timeout=60)
    assert 60 <= (clock.now - began).total_seconds() < 61
    clock.move(days=1)
    assert (clock.now - began).total_seconds() >= 86400

def test_queries(uow, assert_queries):
    with uow:
        for name in "abc":
            shelf = uow.shelves.create(Shelf(name=name))
            uow.products.create(Product(sku=name, shelf_id=shelf.id))
        uow.commit()
        with assert_queries(max=1):
            uow.products.get_all()
        with pytest.raises(AssertionError, match="test_it.py:"), assert_queries(max=1):
            for product in uow.products.get_all():
                uow.shelves.get_by_id(product.shelf_id)

def test_lazy(uow, no_lazy_loads):
    with uow:
        assert uow.products.get_all() == []

def test_dynamic(request):
    with request.getfixturevalue("uow") as uow:
        uow.products.create(Product(sku="pen"))
        uow.commit()

@pytest.fixture(scope="module")
def application(database):
    return lambda: Shop(database)

def test_application(application):
    with application() as shop:
        assert shop.products.count() == 0
"""


@pytest.mark.thorough
@pytest.mark.parametrize("kind", KINDS)
def test_every_fixture_with_several_workers(
    site: Path, tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    url = url_of_kind(kind, request)
    project = write(tmp_path, {**SHOP, "tests/test_it.py": EVERYTHING})
    done = pytest_in(project, site, "--database-url", url, "-n", "2")
    assert (done.count("passed"), done.status) == (9, 0), done.text


def left_behind() -> list[str]:
    engine = create_engine(SERVER)
    with engine.connect() as connection:
        names = connection.scalars(text("SELECT datname FROM pg_database")).all()
    engine.dispose()
    return [name for name in names if name.startswith("test_kit_leftover")]


@pytest.mark.postgresql
def test_databases_of_a_killed_run_are_removed_by_the_next(
    site: Path, tmp_path: Path, postgresql_database: str
) -> None:
    server = create_engine(SERVER, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text("CREATE DATABASE kit_leftover"))
    url = server.url.set(database="kit_leftover").render_as_string(hide_password=False)
    test = "import os\ndef test_it(uow): os._exit(3)"
    project = write(tmp_path, {**SHOP, "tests/test_it.py": test})
    try:
        pytest_in(project, site, "--database-url", url)
        assert len(left_behind()) == 2
        write(project, {"tests/test_it.py": "def test_it(uow): pass"})
        assert pytest_in(project, site, "--database-url", url).count("passed") == 1
        assert left_behind() == []
    finally:
        with server.connect() as connection:
            connection.execute(text("DROP DATABASE kit_leftover WITH (FORCE)"))
        server.dispose()


PLAIN = "def test_it(): import sys; assert not {'sqlalchemy', 'sqlmodel'} & sys.modules.keys()"


def test_it_is_inert_until_it_is_used(site: Path, tmp_path: Path) -> None:
    done = pytest_in(write(tmp_path, {"test_it.py": PLAIN}), site)
    assert done.count("passed") == 1, done.text


def test_wrong_settings_are_said(site: Path, tmp_path: Path) -> None:
    project = write(tmp_path, {**SHOP, "tests/test_it.py": "def test_it(uow): pass"})
    done = pytest_in(project, site, "--override-ini=unit_of_work=shop.unit_of_work:Nothing")
    assert done.status != 0
    assert "'shop.unit_of_work:Nothing' is no unit of work" in done.text
    with pytest.raises(schema.SettingError, match="none of migrations, metadata"):
        schema.schema_named("magic", tmp_path)
    with pytest.raises(ModuleNotFoundError, match="nowhere"):
        schema.unit_of_work_named("nowhere:Shop")
    with pytest.raises(ValidationError, match="mysql is not supported"):
        _templates("mysql://x/y", tmp_path)


@pytest.mark.postgresql
def test_a_server_that_is_not_there_is_said_without_the_password(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailable, match="cannot be connected to") as caught:
        _templates("postgresql://nobody:secret@127.0.0.1:1/x", tmp_path)
    assert "secret" not in str(caught.value)


def _templates(url: str, folder: Path) -> None:
    with templates_for(url, folder, schema.create_tables):
        raise AssertionError("it was made")


def test_of_several_units_of_work_one_must_be_named(site: Path, tmp_path: Path) -> None:
    test = """
from infrastructure.database import BaseUnitOfWork
from shop.unit_of_work import Shop
class Other(BaseUnitOfWork): pass
def test_it(uow): assert type(uow) is Shop
"""
    project = write(tmp_path, {**SHOP, "tests/test_it.py": test})
    assert "several units of work" in pytest_in(project, site).text


def test_storing_outside_a_test_is_refused_and_says_where_to_do_it(
    site: Path, tmp_path: Path
) -> None:
    seed = """
import pytest
from shop.models import Product
from shop.unit_of_work import Shop

@pytest.fixture(scope="session")
def seed(database):
    with Shop(database) as shop:
        shop.products.create(Product(sku="pen"))

def test_it(seed, uow): pass
"""
    project = write(tmp_path, {**SHOP, "tests/test_it.py": seed})
    assert "database_schema" in pytest_in(project, site).text
    right = """
import pytest
from infrastructure.testing.schema import create_tables
from shop.models import Product
from shop.unit_of_work import Shop

@pytest.fixture(scope="session")
def database_schema():
    def make(database):
        create_tables(database)
        with Shop(database) as shop:
            shop.products.create(Product(sku="pen"))
            shop.commit()
    return make

def test_it(uow):
    with uow: assert uow.products.count() == 1
def test_real(committed_database, uow):
    with uow: assert uow.products.count() == 1
"""
    done = pytest_in(write(project, {"tests/test_it.py": right}), site)
    assert done.count("passed") == 2, done.text
