"""Running it again: nothing changes by itself, and what a person made of it stays."""

from __future__ import annotations

import pytest

from infrastructure.database.codegen import GenerationError
from tests.codegen.workshop import Workshop

SHOP = """
CREATE TABLE customers (
    id INTEGER PRIMARY KEY NOT NULL,
    name VARCHAR(40) NOT NULL,
    mail VARCHAR(80),
    boss_id INTEGER REFERENCES customers (id)
);
CREATE TABLE orders (
    id INTEGER PRIMARY KEY NOT NULL,
    customer_id INTEGER NOT NULL REFERENCES customers (id) ON DELETE CASCADE,
    payer_id INTEGER REFERENCES customers (id),
    note VARCHAR(20)
);
CREATE TABLE tags (id INTEGER PRIMARY KEY NOT NULL);
CREATE TABLE order_tags (
    order_id INTEGER NOT NULL REFERENCES orders (id),
    tag_id INTEGER NOT NULL REFERENCES tags (id),
    PRIMARY KEY (order_id, tag_id)
);
"""
RENAMED = "sa_column_kwargs={'name': 'name'}"


@pytest.fixture
def shop(on_sqlite: Workshop) -> Workshop:
    """A database with four tables, and its models."""
    on_sqlite.execute(SHOP)
    on_sqlite.generate()
    return on_sqlite


def test_nothing_changes_when_the_database_has_not(workshop: Workshop) -> None:
    workshop.execute(SHOP)
    workshop.generate()
    before = workshop.files()
    report = workshop.generate()
    assert (report.changed, report.difference, workshop.files()) == ((), "", before)


def test_names_that_were_changed_are_kept_everywhere(shop: Workshop) -> None:
    shop.edit(
        "customer",
        ("class Customer(", "class Client("),
        ("    name: str = Field(", f"    full_name: str = Field({RENAMED}, "),
        ("    orders: list", "    purchases: list"),
    )
    shop.generate()
    assert 'purchases: list["Order"]' in shop.text("customer")
    assert f"full_name: str = Field({RENAMED}, max_length=40)" in shop.text("customer")
    order = shop.text("order")
    assert "    from .customer import Client\n" in order
    assert 'customer: "Client" = Relationship(\n        back_populates="purchases"' in order
    assert "from .customer import Client" in shop.text("__init__")
    assert shop.generate().changed == ()
    assert "Customer" not in "".join(shop.files().values())


def test_a_module_with_another_name_is_kept(shop: Workshop) -> None:
    (shop.models / "customer.py").rename(shop.models / "client.py")
    shop.generate()
    assert not (shop.models / "customer.py").exists()
    assert "from .client import Customer" in shop.text("order")
    assert shop.generate().changed == ()


def test_what_was_added_is_kept_to_the_letter(shop: Workshop) -> None:
    shop.edit(
        "customer",
        ("class Customer(Model", "# who pays\nclass Customer(Model"),
        ("    mail: str | None", "    # only for letters\n    mail: str | None"),
        ("None, max_length=80)", "None, max_length=80, description='e')"),
        ("from sqlmodel import", "from re import I as CASE\n\nX = CASE\n\nfrom sqlmodel import"),
    )
    path = shop.models / "customer.py"
    path.write_text(
        shop.text("customer") + "\n    def initial(self) -> str:\n        return self.name[0]\n"
    )
    before = shop.text("customer")
    assert shop.generate().changed == ()
    shop.execute("ALTER TABLE customers ADD COLUMN city VARCHAR(30)")
    shop.generate()
    added = "    city: str | None = Field(default=None, max_length=30)\n"
    assert shop.text("customer").replace(added, "") == before
    assert shop.text("customer").index(added) > before.index("boss_id")
    assert shop.python("from shop import Customer; print(Customer(name='Ada').initial())") == "A\n"


def test_only_the_statement_of_a_changed_column_is_written_anew(on_postgresql: Workshop) -> None:
    shop = on_postgresql
    shop.execute(SHOP)
    shop.generate()
    shop.edit(
        "customer",
        ("sa_type=String(80))", "sa_type=String(80), repr=False)"),
        ("    name: str = Field(", "    # of all\n    name: str = Field("),
    )
    shop.execute("ALTER TABLE customers ALTER mail TYPE VARCHAR(90)")
    before = shop.text("customer")
    shop.generate()
    assert shop.text("customer") == before.replace("80", "90")


def test_a_column_that_went_goes_with_its_imports(shop: Workshop) -> None:
    shop.execute("ALTER TABLE orders ADD COLUMN price NUMERIC(8, 2)")
    shop.generate()
    assert "price: Decimal" in shop.text("order")
    shop.execute("ALTER TABLE orders DROP COLUMN price")
    shop.generate()
    assert "Decimal" not in shop.text("order")
    assert shop.tool("ruff", "check", "--isolated", "--quiet", "shop") == ""
    assert shop.tool("ruff", "format", "--isolated", "--check", "--quiet", "shop") == ""


def test_a_new_table_is_added_with_its_relationships(shop: Workshop) -> None:
    shop.execute(
        "CREATE TABLE notes (id INTEGER PRIMARY KEY NOT NULL, "
        "order_id INTEGER REFERENCES orders (id))"
    )
    report = shop.generate()
    assert report.changed == ("__init__.py", "note.py", "order.py")
    assert 'notes: list["Note"] = Relationship(back_populates="order", ' in shop.text("order")
    assert shop.tool("ruff", "check", "--isolated", "--quiet", "shop") == ""
    assert shop.tool("ruff", "format", "--isolated", "--check", "--quiet", "shop") == ""


def test_the_module_of_a_table_that_went_goes(shop: Workshop) -> None:
    shop.execute("DROP TABLE order_tags", "DROP TABLE tags")
    shop.generate()
    assert sorted(shop.files()) == ["__init__.py", "customer.py", "order.py"]
    assert "tag" not in shop.text("order").lower()
    assert shop.generate().changed == ()


def test_a_module_with_code_of_a_person_is_not_deleted(shop: Workshop) -> None:
    shop.edit("tag", ("class Tag(", "X = 1\n\n\nclass Tag("))
    shop.execute("DROP TABLE order_tags", "DROP TABLE tags")
    before = shop.files()
    with pytest.raises(GenerationError, match="tags is not in the database any more"):
        shop.generate()
    assert shop.files() == before


def test_relationships_of_several_references_keep_their_names(shop: Workshop) -> None:
    order, customer = shop.text("order"), shop.text("customer")
    assert 'payer: Optional["Customer"]' in order
    assert 'payer_orders: list["Order"]' in customer
    shop.edit("customer", ("payer_orders", "paid"))
    shop.edit("order", ("payer_orders", "paid"), ("    payer: ", "    who_pays: "))
    shop.edit("customer", ('back_populates="payer"', 'back_populates="who_pays"'))
    before = shop.files()
    assert shop.generate().changed == ()
    assert shop.files() == before


def test_options_of_a_person_are_kept_and_those_of_an_index_go(shop: Workshop) -> None:
    name = '    __tablename__: ClassVar[str] = "tags"\n'
    options = "    __mapper_args__ = {'eager_defaults': True, 'batch': False}  # mine\n"
    shop.edit("tag", (name, name + options))
    assert shop.generate().changed == ()
    shop.execute("CREATE INDEX one ON orders (note)")
    shop.generate()
    assert '__table_args__: ClassVar[Any] = (Index("one", "note"),)' in shop.text("order")
    shop.execute("DROP INDEX one")
    shop.generate()
    assert "__table_args__" not in shop.text("order")
    assert shop.tool("ruff", "check", "--isolated", "--quiet", "shop/order.py") == ""
    assert options in shop.text("tag")


def test_children_in_place_of_a_relationship_are_kept(shop: Workshop) -> None:
    shop.execute(
        "CREATE TABLE lines (id INTEGER PRIMARY KEY NOT NULL, "
        "order_id INTEGER NOT NULL REFERENCES orders (id))"
    )
    shop.generate()
    text = shop.text("order")
    start = text.index("    lines: list")
    statement = text[start : text.index("\n", start)]
    shop.edit("order", (statement, '    lines: list["Line"] = Children("Line")'))
    shop.edit(
        "order", ("from sqlmodel", "from infrastructure.database import Children\nfrom sqlmodel")
    )
    before = shop.text("order")
    assert "order.py" not in shop.generate().changed
    assert shop.text("order") == before


def test_check_says_what_differs_and_writes_nothing(shop: Workshop) -> None:
    before = shop.files()
    fine = shop.command("--check")
    assert (fine.returncode, fine.stderr) == (0, "")
    shop.execute("ALTER TABLE customers ADD COLUMN city VARCHAR(30)")
    done = shop.command("--check")
    assert (done.returncode, done.stderr) == (1, "")
    assert "+++ shop/customer.py" in done.stdout
    assert "\n+    city: str | None = Field(default=None, max_length=30)\n" in done.stdout
    assert shop.files() == before


def test_check_notices_a_model_that_was_changed_by_hand(shop: Workshop) -> None:
    shop.edit("customer", ("max_length=40", "max_length=50"))
    done = shop.command("--check")
    assert done.returncode == 1
    assert (
        "-    name: str = Field(max_length=50)\n+    name: str = Field(max_length=40)"
        in done.stdout
    )
