"""The function and the command: what they take, give and print."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from infrastructure.database import Database
from infrastructure.database.codegen import generate
from tests.codegen.workshop import ROOT, Workshop

SHOP = """
CREATE TABLE customers (id INTEGER PRIMARY KEY NOT NULL, name VARCHAR(20) NOT NULL);
CREATE TABLE orders (
    id INTEGER PRIMARY KEY NOT NULL, customer_id INTEGER NOT NULL REFERENCES customers (id)
);
CREATE TABLE tags (id INTEGER PRIMARY KEY NOT NULL);
CREATE VIEW names AS SELECT name FROM customers;
"""

USE = """
import sys
from infrastructure.database import BaseUnitOfWork, Database
from repositories.customer import SqlCustomerRepository
from repositories.order import SqlOrderRepository
from shop import Customer, Order

class UnitOfWork(BaseUnitOfWork):
    customers: SqlCustomerRepository
    orders: SqlOrderRepository

with Database(sys.argv[1]) as database, UnitOfWork(database) as uow:
    ada = uow.customers.create(Customer(id=1, name="Ada"))
    uow.orders.create(Order(id=1, customer_id=ada.id))
    uow.commit()
    print(uow.orders.loading("customer").require(1).customer.name)
"""


def test_the_command_says_what_it_did(on_sqlite: Workshop) -> None:
    on_sqlite.execute(SHOP)
    done = on_sqlite.command()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "3 tables, 1 view: 5 files written in shop\n"
    assert on_sqlite.command().stdout == "3 tables, 1 view: shop is up to date\n"


def test_the_report_tells_what_changed(workshop: Workshop) -> None:
    workshop.execute(SHOP)
    report = workshop.generate()
    assert (report.tables, report.views) == (3, 1)
    assert report.changed == ("__init__.py", "customer.py", "name.py", "order.py", "tag.py")
    assert "\n+class Customer(Model, table=True):\n" in report.difference


def test_only_the_named_tables_and_what_they_refer_to_are_taken(workshop: Workshop) -> None:
    workshop.execute(SHOP)
    workshop.generate(tables=["orders"])
    assert list(workshop.files()) == ["__init__.py", "customer.py", "order.py"]
    workshop.generate(tables=["tags,names"])
    assert list(workshop.files()) == ["__init__.py", "customer.py", "name.py", "order.py", "tag.py"]
    assert workshop.generate(check=True).changed == ()


def test_repositories_come_with_the_lines_for_the_unit_of_work(on_sqlite: Workshop) -> None:
    on_sqlite.execute(SHOP)
    done = on_sqlite.command("--repositories")
    assert done.returncode == 0, done.stderr
    assert "from repositories.order import SqlOrderRepository\n" in done.stdout
    assert "    orders: SqlOrderRepository\n" in done.stdout
    assert on_sqlite.python(USE) == "Ada\n"
    assert on_sqlite.tool("mypy", "--strict", "repositories", "shop") == ""
    assert on_sqlite.tool("ruff", "check", "--isolated", "repositories") == ""
    assert on_sqlite.tool("ruff", "format", "--isolated", "--check", "repositories") == ""
    own = on_sqlite.folder / "repositories" / "order.py"
    own.write_text(own.read_text() + "\n    # mine\n")
    assert on_sqlite.generate(repositories=True).changed == ()


def test_a_database_in_memory_can_be_read(tmp_path: Path) -> None:
    with Database("sqlite://") as database:
        with database.engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE things (id INTEGER PRIMARY KEY NOT NULL)")
        report = generate(database, out=tmp_path / "shop")
    assert report.changed == ("__init__.py", "thing.py")


def test_the_database_is_not_changed(on_sqlite: Workshop) -> None:
    on_sqlite.execute(SHOP)
    file = Path(on_sqlite.url.removeprefix("sqlite:///"))
    before = file.read_bytes()
    on_sqlite.generate()
    assert file.read_bytes() == before
    assert sorted(path.name for path in on_sqlite.folder.iterdir()) == ["shop", "test.db"]


def test_models_of_a_package_in_a_package_are_imported_as_such(on_sqlite: Workshop) -> None:
    on_sqlite.execute(SHOP)
    (on_sqlite.folder / "app").mkdir()
    (on_sqlite.folder / "app" / "__init__.py").touch()
    (on_sqlite.folder / "app" / "rules.py").write_text("LIMIT = 5\n")
    on_sqlite.models = on_sqlite.folder / "app" / "models"
    report = on_sqlite.generate(repositories=True)
    assert report.unit_of_work[0] == "from app.repositories.customer import SqlCustomerRepository"
    on_sqlite.edit("tag", ("from sqlmodel", "from app.rules import LIMIT as LIMIT\nfrom sqlmodel"))
    assert on_sqlite.generate().changed == ()
    code = "from app.models.tag import LIMIT; import app.repositories.order; print(LIMIT)"
    assert on_sqlite.python(code) == "5\n"


def test_models_are_added_to_those_of_the_kit(sqlite_url: str, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for package in ("domain", "infrastructure"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, tree / package, ignore=ignored)
    workshop = Workshop(tree, sqlite_url, root=tree)
    workshop.models = tree / "infrastructure" / "database" / "models"
    workshop.execute(SHOP, "CREATE TABLE teams (id INTEGER PRIMARY KEY, name VARCHAR(200))")
    before = workshop.files()
    done = workshop.command("--repositories", "--out", "infrastructure/database/models")
    assert (done.returncode, done.stderr) == (0, "")
    after = workshop.files()
    assert sorted(after.keys() - before.keys()) == ["customer.py", "name.py", "order.py", "tag.py"]
    assert {name: text for name, text in after.items() if name in before} == before
    line = "import infrastructure.database.models.customer  # noqa: F401"
    assert line in after["order.py"]
    assert workshop.python(ALONE) == "True\n"


ALONE = """
from infrastructure.database.repositories.order import SqlOrderRepository
from sqlalchemy.orm import configure_mappers
configure_mappers()
print(SqlOrderRepository.model.customer.property.mapper.class_.__name__ == "Customer")
"""


DELETE = """
import sys
from domain.errors import ForeignKeyViolation
from infrastructure.database import BaseUnitOfWork, Database
from shop import Customer, Note, Order

with Database(sys.argv[1]) as database:
    with BaseUnitOfWork(database) as uow:
        uow.repository(Customer).create(Customer(id=1, name="Ada"))
        uow.repository(Order).create(Order(id=1, customer_id=1))
        uow.repository(Note).create(Note(id=1, order_id=1))
        uow.commit()
    with BaseUnitOfWork(database) as uow:
        uow.repository(Order).delete(1)
        uow.commit()
        print(uow.repository(Note).count())
    with BaseUnitOfWork(database) as uow:
        uow.repository(Order).create(Order(id=2, customer_id=1))
        uow.commit()
        try:
            uow.repository(Customer).delete(1)
            uow.commit()
        except ForeignKeyViolation as error:
            print(type(error).__name__)
        uow.rollback()
"""


def test_what_is_deleted_with_a_row_is_for_the_database_to_say(workshop: Workshop) -> None:
    workshop.execute(
        SHOP,
        "CREATE TABLE notes (id INTEGER PRIMARY KEY NOT NULL, "
        "order_id INTEGER NOT NULL REFERENCES orders (id) ON DELETE CASCADE)",
    )
    workshop.generate()
    assert workshop.python(DELETE) == "0\nForeignKeyViolation\n"


@pytest.mark.soak
def test_four_hundred_tables_take_less_than_a_minute(
    workshop: Workshop, soak: bool, record_property: pytest.RecordProperty
) -> None:
    import time

    number = 400 if soak else 20
    workshop.execute(*(_wide_table(at) for at in range(number)))
    start = time.perf_counter()
    report = workshop.generate()
    seconds = time.perf_counter() - start
    record_property("seconds", seconds)
    assert report.tables == number
    assert seconds < 60


def _wide_table(at: int) -> str:
    columns = "".join(f"field_{n} VARCHAR(50) NOT NULL DEFAULT 'x', " for n in range(12))
    references = "".join(
        f"parent_{n}_id INTEGER REFERENCES things_{at // (n + 2)} (id), " for n in range(3) if at
    )
    return (
        f"CREATE TABLE things_{at} (id INTEGER PRIMARY KEY NOT NULL, {columns} {references}"
        "amount NUMERIC(10, 2), at TIMESTAMP, UNIQUE (field_1, field_2));"
        f"CREATE INDEX by_{at} ON things_{at} (field_3)"
    )
