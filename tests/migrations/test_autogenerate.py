"""Models of every kind: autogenerate, upgrade, and nothing is left to generate."""

from __future__ import annotations

import ast
import re
import textwrap
from pathlib import Path

import pytest
from sqlalchemy import inspect

from infrastructure.database import Database
from infrastructure.database.alembic import current
from tests.migrations.projects import Project, rows

MODELS = '''
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, ClassVar
from uuid import UUID, uuid4

from sqlalchemy import (
    CheckConstraint, Column, ForeignKey, Index, JSON, LargeBinary, String, Table, Text,
    TypeDecorator, UniqueConstraint, func, text,
)
from sqlmodel import Field, Relationship

from infrastructure.database import Model, Timestamped, Versioned


class Kind(str, Enum):
    SMALL = "s"
    LARGE = "l"


class Upper(TypeDecorator[str]):
    """A type of the application's own."""

    impl = String
    cache_ok = True


class Everything(Timestamped, Versioned, Model, table=True):
    __tablename__: ClassVar[str] = "everything"
    __table_args__ = (
        CheckConstraint("price >= 0", name="price_not_negative"),
        UniqueConstraint("name", "kind"),
        Index("ix_everything_small", "name", postgresql_where=text("number > 5"),
              sqlite_where=text("number > 5")),
        Index("ix_everything_lower", func.lower(text("name"))),
        Index("uq_everything_code", "code", unique=True),
    )

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(max_length=50)
    code: str
    long: str = Field(sa_type=Text)
    upper: str = Field(sa_type=Upper(20))
    kind: Kind
    other: Kind | None = None
    number: int = Field(default=1, sa_column_kwargs={"server_default": text("1")})
    word: str = Field(default="x", sa_column_kwargs={"server_default": "x y"})
    ratio: float = 0.5
    flag: bool = False
    price: Decimal = Field(max_digits=12, decimal_places=2)
    exact: Decimal
    token: UUID = Field(default_factory=uuid4)
    day: date
    clock: time
    moment: datetime
    span: timedelta
    raw: bytes
    tags: list[str] = []
    data: dict[str, Any] = Field(default_factory=dict)
    plain: Any = Field(default=None, sa_type=JSON)


class Parent(Model, table=True):
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    title: str = Field(unique=True, max_length=40)


class Child(Model, table=True):
    first: int = Field(primary_key=True)
    second: str = Field(primary_key=True, max_length=8)
    parent_id: UUID = Field(foreign_key="parent.id", ondelete="CASCADE", index=True)
    guardian_id: UUID | None = Field(default=None, foreign_key="parent.id", ondelete="SET NULL")


friends = Table(
    "friends",
    Model.metadata,
    Column("one", ForeignKey("parent.id"), primary_key=True),
    Column("two", ForeignKey("parent.id"), primary_key=True),
)
'''

GRANDCHILD = """
class Grandchild(Model, table=True):
    id: int | None = Field(default=None, primary_key=True)


"""

LATER: list[tuple[str, str]] = [
    ("name: str = Field(max_length=50)", "name: str = Field(max_length=80)"),
    ("    code: str\n", "    code: str | None = None\n"),
    ("    ratio: float = 0.5\n", "    added: str | None = Field(default=None, unique=True)\n"),
    (
        "    title: str = Field(unique=True, max_length=40)\n",
        "    title: str = Field(max_length=40)\n",
    ),
    ('"price >= 0", name="price_not_negative"', '"price > 1", name="price_above_one"'),
    ('ondelete="SET NULL"', 'ondelete="CASCADE"'),
    ('Index("uq_everything_code", "code", unique=True)', 'Index("ix_everything_code", "code")'),
    ('server_default": text("1")', 'server_default": text("2")'),
    ("friends = Table(", GRANDCHILD + "others = Table("),
    ("func.lower", "func.upper"),
    ('"ix_everything_lower"', '"ix_everything_upper"'),
    ('    "friends",', '    "others",'),
]


@pytest.fixture
def shop(tmp_path: Path) -> Project:
    return Project(tmp_path / "shop_project", "shop", MODELS)


def generated(shop: Project, name: str) -> str:
    (file,) = shop.versions.glob(f"*_{name}.py")
    return file.read_text("utf-8")


def imports(source: str) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            found.add(str(node.module).split(".")[0])
    return found


def body(source: str, function: str) -> list[str]:
    """What a function of a revision does, without its docstring and comments."""
    tree = ast.parse(source)
    (found,) = (n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == function)
    return [ast.unparse(statement) for statement in found.body]


def names_of_constraints(url: str) -> list[str | None]:
    with Database(url) as database, database.engine.connect() as connection:
        there = inspect(connection)
        return [
            constraint["name"]
            for table in there.get_table_names()  # an index always has a name
            for constraint in [
                there.get_pk_constraint(table),
                *there.get_unique_constraints(table),
                *there.get_foreign_keys(table),
                *there.get_check_constraints(table),
            ]
        ]


@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index")
def test_what_was_generated_and_applied_leaves_nothing_to_generate(
    shop: Project, shared_url: str
) -> None:
    shop.run_all(
        shared_url,
        "revision --autogenerate -m first",
        "upgrade head",
        "check",
        "revision --autogenerate -m nothing",
    )

    first = generated(shop, "first")
    assert imports(first) == {"alembic", "sqlalchemy"}
    assert "shop" not in first
    assert "sqlmodel" not in first
    assert body(generated(shop, "nothing"), "upgrade") == ["pass"]
    assert body(generated(shop, "nothing"), "downgrade") == ["pass"]
    assert None not in names_of_constraints(shared_url)
    assert {"ck_everything_price_not_negative", "uq_everything_name_kind"} <= set(
        names_of_constraints(shared_url)
    )

    source = shop.models.read_text("utf-8")
    for old, new in LATER:
        assert old in source
        source = source.replace(old, new)
    shop.models.write_text(source, "utf-8")
    shop.run_all(shared_url, "upgrade head", "revision --autogenerate -m second")
    second = generated(shop, "second")
    assert imports(second) == {"alembic", "sqlalchemy"}
    assert "ck_everything_price_above_one" in second
    named = second.replace("drops: set[str] = set()", 'drops = {"everything.ratio", "friends"}')
    next(shop.versions.glob("*_second.py")).write_text(named, "utf-8")

    shop.run_all(
        shared_url,
        "upgrade head",
        "check",
        "downgrade base",
        "upgrade head",
        "check",
        "revision --autogenerate -m again",
    )

    assert body(generated(shop, "again"), "upgrade") == ["pass"]
    assert None not in names_of_constraints(shared_url)
    with Database(shared_url) as database:
        assert current(database) == re.search(r'revision: str = [\'"](\w+)', named)[1]  # type: ignore[index]


def test_the_revision_made_on_one_database_is_right_on_the_other(
    shop: Project, sqlite_url: str, postgresql_url: str
) -> None:
    shop.run_all(sqlite_url, "revision --autogenerate -m first")

    shop.run_all(postgresql_url, "upgrade head", "check", "downgrade base", "upgrade head", "check")


def test_what_was_made_on_postgresql_is_right_on_sqlite(
    shop: Project, sqlite_url: str, postgresql_url: str
) -> None:
    shop.run_all(postgresql_url, "revision --autogenerate -m first")

    shop.run_all(sqlite_url, "upgrade head", "check", "downgrade base", "upgrade head", "check")


def test_a_dropped_model_is_a_drop_that_must_be_named(shop: Project, sqlite_url: str) -> None:
    shop.run_all(sqlite_url, "revision --autogenerate -m first", "upgrade head")
    source = shop.models.read_text("utf-8")
    shop.models.write_text(source[: source.index("friends = ")], "utf-8")

    shop.run_all(sqlite_url, "revision --autogenerate -m second")

    assert "op.drop_table('friends')" in generated(shop, "second")
    assert 'drops = {"friends"}' in shop.fails(sqlite_url, "upgrade", "head")


def test_models_may_have_schemas(shop: Project, postgresql_url: str) -> None:
    models = """
    from infrastructure.database import Model
    from sqlmodel import Field

    class Old(Model, table=True):
        __table_args__ = {"schema": "archive"}
        id: int | None = Field(default=None, primary_key=True)
        name: str = Field(index=True)
    """
    shop.models.write_text(textwrap.dedent(models), "utf-8")
    with Database(postgresql_url) as database:
        with database.engine.begin() as connection:
            connection.exec_driver_sql("DROP SCHEMA IF EXISTS archive CASCADE")
            connection.exec_driver_sql("DROP SCHEMA IF EXISTS foreign_one CASCADE")
            connection.exec_driver_sql("CREATE SCHEMA archive")
            connection.exec_driver_sql("CREATE SCHEMA foreign_one")
            connection.exec_driver_sql("CREATE TABLE foreign_one.kept (id INT)")

        shop.run_all(
            postgresql_url,
            "revision --autogenerate -m first",
            "upgrade head",
            "check",
            "downgrade base",
            "upgrade head",
        )

        assert "foreign_one" not in generated(shop, "first")
        assert rows(database, "SELECT count(*) FROM archive.old") == [(0,)]
        with database.engine.begin() as connection:
            connection.exec_driver_sql(
                "DROP SCHEMA archive CASCADE; DROP SCHEMA foreign_one CASCADE"
            )


def test_a_table_of_another_package_is_not_ours(shop: Project, sqlite_url: str) -> None:
    source = shop.models.read_text("utf-8")
    with_people = "from infrastructure.database.models.person import PersonModel\n"
    with_people += "from infrastructure.database.models.team import TeamModel\n"
    shop.models.write_text(with_people + source, "utf-8")

    shop.run_all(sqlite_url, "revision --autogenerate -m first", "upgrade head", "check")

    assert '"people"' not in generated(shop, "first").replace("'", '"').split("drops")[2]


def test_a_package_without_tables_is_refused(shop: Project, sqlite_url: str) -> None:
    shop.models.write_text("", "utf-8")

    assert "shop.models has no tables" in shop.fails(sqlite_url, "upgrade", "head")


def test_models_may_be_a_package(shop: Project, sqlite_url: str) -> None:
    package = shop.models.with_suffix("")
    (package / "deeper").mkdir(parents=True)
    (package / "__init__.py").write_text("", "utf-8")
    (package / "deeper" / "__init__.py").write_text("", "utf-8")
    shop.models.rename(package / "deeper" / "tables.py")

    shop.run_all(sqlite_url, "revision --autogenerate -m first", "upgrade head", "check")

    assert "'friends'" in generated(shop, "first")
