"""All that real schemas hold, on both databases."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import create_engine, make_url, text

from tests.codegen import schemas
from tests.codegen.workshop import Workshop
from tests.conftest import SERVER, SERVERS
from tests.support import is_missing

READ = """
import sys
import shop
from infrastructure.database import BaseUnitOfWork, Database
models = [getattr(shop, name) for name in shop.__all__]
with Database(sys.argv[1]) as database:
    for model in models:
        for read_only in (False, True):
            with BaseUnitOfWork(database, read_only=read_only) as uow:
                rows = uow.repository(model)
                assert len(rows.get_all()) == rows.count(), model
                rows.page(size=2), rows.first(), list(rows.stream())
                related = model.__sqlmodel_relationships__
                rows.loading(*related).get_all() if related else None
print(len(models))
"""

WRITE = """
import sys
import shop
from infrastructure.database import BaseUnitOfWork, Database
with Database(sys.argv[1]) as database:
    with BaseUnitOfWork(database) as uow:
        customers = uow.repository(shop.Customer)
        ada = customers.one(shop.Customer.name == "Ada")
        left_out = {"id", "email", "full_name", "length"}
        values = {n: getattr(ada, n) for n in shop.Customer.model_fields if n not in left_out}
        copy = customers.create(shop.Customer(email="copy@x", **values | {"code": "new"}))
        for name, value in values.items():
            if name != "code":
                assert getattr(copy, name) == value, name
                customers.update(copy.id, **{name: value})
        least = customers.create(shop.Customer(name="Bo", email="bo@x"))
        assert least.seen_at is not None and least.full_name == "BO:"
        customers.create_many([shop.Customer(name=n, email=n + "@x") for n in "abc"])
        customers.bulk_create([{"name": "z", "email": "z@x"}])
        order = uow.repository(shop.Orders).create(shop.Orders(customer_id=ada.id, total=5))
        uow.commit()
    with BaseUnitOfWork(database) as uow:
        ada = uow.repository(shop.Customer).loading("orders").require(ada.id)
        assert [one.id for one in ada.orders] == [order.id]
        group = uow.repository(shop.Group).create(shop.Group(name="all"))
        group = uow.repository(shop.Group).loading("customers").require(group.id)
        group.customers.append(ada)
        uow.commit()
    with BaseUnitOfWork(database) as uow:
        ada = uow.repository(shop.Customer).loading("groups").require(ada.id)
        print([one.name for one in ada.groups])
"""

REFUSED = """
import sys
import shop
from domain.errors import ReadOnlyViolation
from infrastructure.database import BaseUnitOfWork, Database
with Database(sys.argv[1]) as database, BaseUnitOfWork(database) as uow:
    try:
        uow.repository(shop.Total).create(shop.Total(customer_id=1))
    except ReadOnlyViolation as error:
        print(error)
    uow.rollback()
"""

CHECK = """
import sys
import warnings
warnings.filterwarnings("ignore", "Did not recognize type")
import shop
from infrastructure.database import Database
from infrastructure.database.alembic import check
from pathlib import Path
Path("alembic").mkdir(exist_ok=True)
Path("pyproject.toml").write_text('[tool.alembic]\\nscript_location = "%(here)s/alembic"\\n')
Path("alembic/env.py").write_text(
    "import shop\\n"
    "from infrastructure.database.alembic import run_migrations\\n"
    "run_migrations(shop)"
)
with Database(sys.argv[1]) as database:
    print(check(database))
"""

ROWS = {
    "sqlite": """
        INSERT INTO customers (name, email, code, data, token, credit, ratio, small, tiny, big, odd,
            born, wakes, made_at, raw, shape, anything, nick)
        VALUES ('Ada', 'a@b', 'abc', '{"a": [1]}', '00112233445566778899aabbccddeeff', 12.34, 1.5,
            2.5, 3, 9999999999, 4, '2024-01-01', '10:00:00', '2024-01-01 10:00:00', x'00ff',
            'POINT', 'x', 'n');
        INSERT INTO log VALUES ('2024-01-01 10:00:00', 'a', '{}');
    """,
    "postgresql": r"""
        INSERT INTO customers (name, email, code, moods, tags, matrix, data, ratio, small, tiny,
            big, born, wakes, wakes_there, made_at, precise, patience, days_only, stay, hours,
            numbers, prices, many, raw, address, network, card, bits, more_bits, words, place,
            pair, amount, page, kind)
        VALUES ('Ada', 'a@b', 'abc', '{ok,"very happy"}', '{x}', '{{1,2},{3,4}}', '{"a": [1]}',
            1.5, 2.5, 3, 9999999999, '2024-01-01', '10:00', '10:00+02', '2024-01-01 10:00',
            '2024-01-01 10:00:00.123+02', '1 day', '2 hours', '[2024-01-01,2024-02-01)',
            '[2024-01-01,2024-02-01)', '[1,5)', '[1.5,2.5]', '{[1,3),[5,7)}', '\x00ff', '10.0.0.1',
            '10.0.0.0/8', '08:00:2b:01:02:03', B'10101', B'101', 'a b', '(1,2)', '(1,x)', 9.5,
            '<a/>', 26);
        INSERT INTO log VALUES (now(), 'a', '{}'), (now(), NULL, NULL);
        INSERT INTO events VALUES (1, '2024-05-05', 'k', 1);
        REFRESH MATERIALIZED VIEW totals;
    """,
}


@pytest.fixture(scope="module", params=SERVERS)
def everything(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """The database with everything, and its models."""
    folder = tmp_path_factory.mktemp("everything")
    if request.param == "sqlite-file":
        (folder / "test.db").touch()
        yield _filled(Workshop(folder, f"sqlite:///{folder / 'test.db'}"), schemas.SQLITE)
        return
    name = f"kit_test_{uuid.uuid4().hex[:12]}"
    try:
        server = create_engine(SERVER, isolation_level="AUTOCOMMIT")
        connection = server.connect()
    except Exception as error:  # noqa: BLE001 -- whatever it is, there is no server to use
        is_missing(f"PostgreSQL at {make_url(SERVER)!r}: {error}")
    connection.execute(text(f"CREATE DATABASE {name}"))
    url = make_url(SERVER).set(database=name).render_as_string(hide_password=False)
    yield _filled(Workshop(folder, url), schemas.POSTGRESQL, schemas=["public", "sales"])
    connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    connection.close()
    server.dispose()


def _filled(workshop: Workshop, schema: str, **options: Any) -> Workshop:
    workshop.execute(schema, ROWS[make_url(workshop.url).get_backend_name()])
    workshop.generate(**options)
    return workshop


def test_each_table_and_view_has_a_model_that_can_be_read(everything: Workshop) -> None:
    on_sqlite = everything.url.startswith("sqlite")
    assert everything.python(READ) == ("33\n" if on_sqlite else "40\n")


def test_rows_can_be_written_and_are_what_they_were(everything: Workshop) -> None:
    assert everything.python(WRITE) == "['all']\n"


def test_views_are_only_read(everything: Workshop) -> None:
    assert everything.python(REFUSED) == "Total is a view; its rows can only be read\n"


def test_alembic_finds_no_difference(everything: Workshop) -> None:
    assert everything.python(CHECK) == "[]\n"


def test_type_checkers_are_content(everything: Workshop) -> None:
    cache = f"--cache-dir={everything.root / '.mypy_cache' / 'generated'}"
    assert everything.tool("mypy", "--strict", cache, "shop") == ""


def test_ruff_has_nothing_to_do(everything: Workshop) -> None:
    assert everything.tool("ruff", "format", "--isolated", "--diff", "shop") == ""
    assert everything.tool("ruff", "check", "--isolated", "shop") == ""
    assert (
        everything.tool("ruff", "format", "--isolated", "--line-length=100", "--diff", "shop") == ""
    )


def test_each_module_alone_configures_the_mappers(everything: Workshop) -> None:
    code = (
        "from shop.{} import *; from sqlalchemy.orm import configure_mappers; configure_mappers()"
    )
    for module in ("task", "order_line"):
        assert everything.python(code.format(module)) == ""


def test_the_same_is_generated_again(everything: Workshop) -> None:
    schemas = [] if everything.url.startswith("sqlite") else ["public", "sales"]
    report = everything.generate(schemas=schemas, check=True)
    assert report.difference == ""


EXPECTED = {
    "sqlite": {
        "customer": [
            "class Customer(Model, table=True):",
            "    id: int | None = Field(default=None, primary_key=True)",
            "    name: str = Field(max_length=100, index=True)",
            "    credit: Decimal = Field(",
            "        unnamed(CheckConstraint(\"name <> ''\")),",
            '        CheckConstraint("credit >= 0", name=conv("credit_not_negative")),',
            "    # declared as GEOMETRY: values are the driver's own",
            '    shape: Any = Field(default=None, nullable=True, sa_type=Unmapped("NUMERIC"))',
            "    made_at: NaiveDatetime | None = None",
            "            sqlite_where=text(\"active AND code <> 'x:y'\"),",
            '        {"sqlite_autoincrement": True},',
        ],
        "address": ['ForeignKey("customers.id", ondelete="CASCADE", onupdate="CASCADE"),'],
        "order_line": ['__table_args__: ClassVar[Any] = {"sqlite_with_rowid": False}'],
        "orders": [
            '    customer_id: int = Field(foreign_key="customers.id", ondelete="CASCADE")',
            '    customer: "Customer" = Relationship(back_populates="orders")',
            '    parent: Optional["Orders"] = Relationship(',
            '    children: list["Orders"] = Relationship(\n        back_populates="parent",\n',
        ],
        "odd_name": [
            "    date: date_type | None = None",
            "    class_: str | None = Field(",
        ],
    },
    "postgresql": {
        "customer": [
            '    """Who buys: "anybody".',
            "    \"\"\"What to call them, as in 'Ada'.\"\"\"",
            "    mood: Mood = Field(",
            "        default=Mood.OK,",
            "    tags: list[str] = Field(",
            "    token: UUID | None = Field(",
            "    seen_at: datetime | None = Field(",
            "    made_at: NaiveDatetime | None = None",
            "    stay: Range[date] | None = Field(default=None, sa_type=DATERANGE)",
            "    # declared as point: values are the driver's own",
            "    matrix: list[list[int]] | None = Field(",
            '        Index("including", "code", postgresql_include=["name"]),',
            '    profile: Optional["Profile"] = Relationship(',
        ],
        "address": [
            "        sa_column_args=[Identity(always=True, start=100, increment=5)],",
            'customer_id: int = Field(foreign_key="customers.id", ondelete="CASCADE", index=True)',
        ],
        "event": ['"postgresql_partition_by": "RANGE (at)"'],
        "events_2024": ['    """A partition of events."""'],
        "line_note": ['            match="FULL",'],
        "orders": ["                deferrable=True,", '                initially="DEFERRED",'],
        "sales_customer": [
            "class SalesCustomer(Model, table=True):",
            '    __table_args__: ClassVar[Any] = (',
            '        {"schema": "sales"},',
        ],
        "total": ["class Total(View, table=True):"],
    },
}  # fmt: skip


def test_it_reads_as_if_a_person_had_written_it(everything: Workshop) -> None:
    expected = EXPECTED[make_url(everything.url).get_backend_name()]
    missing = [
        (module, line)
        for module, lines in expected.items()
        for line in lines
        if line not in everything.text(module)
    ]
    assert missing == []
