"""An application that installed the kit migrates tables of its own, far from the repository."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from infrastructure.database import Database
from infrastructure.database.alembic import current
from tests.migrations.projects import ROOT
from tests.migrations.test_stairs import tables_of

README = (ROOT / "README.md").read_text("utf-8")
ENV = re.compile(r"<!-- env\.py of an application -->\n```python\n(.*?)```", re.DOTALL)

FILES = {
    "shop/__init__.py": "",
    "shop/models/__init__.py": "",
    "shop/domain/__init__.py": "",
    "shop/domain/product.py": """
from dataclasses import dataclass
from domain import Entity

@dataclass(eq=False, kw_only=True)
class Product(Entity):
    sku: str
    price: int
    id: int | None = None
""",
    "shop/models/product.py": """
from infrastructure.database import Model, Versioned
from shop.domain.product import Product
from sqlmodel import Field

class ProductModel(Product, Versioned, Model, table=True):
    id: int | None = Field(default=None, primary_key=True)
    sku: str = Field(max_length=20, unique=True)
""",
    "shop/unit_of_work.py": """
from infrastructure.database import BaseRepository, BaseUnitOfWork
from shop.domain.product import Product
from shop.models.product import ProductModel

class SqlProductRepository(BaseRepository[Product]):
    model = ProductModel

class Shop(BaseUnitOfWork):
    products: SqlProductRepository
""",
    "start.py": """
import infrastructure, sys
from infrastructure.database import Database
from infrastructure.database.alembic import (
    MigrationError, check, current, downgrade, require_migrated, upgrade,
)
from shop.domain.product import Product
from shop.unit_of_work import Shop

print(infrastructure.__file__)
database = Database.default()
require_migrated(database)
downgrade(database, "base")
try:
    require_migrated(database)
except MigrationError as error:
    print(error)
upgrade(database)
assert check(database) == [], check(database)
with Shop(database) as shop:
    shop.products.create(Product(sku="pen", price=2))
    shop.commit()
print(current(database))
""",
}


def test_the_wheel_has_the_two_packages_and_no_revision(site: Path) -> None:
    packages = {path.name for path in site.iterdir() if not path.name.endswith(".dist-info")}

    assert packages - {"bin"} == {"domain", "infrastructure"}
    assert (site / "infrastructure" / "database" / "alembic" / "environment.py").is_file()


def test_the_shop_migrates_its_own_tables(site: Path, shared_url: str, tmp_path: Path) -> None:
    project = tmp_path / "project"
    for name, source in FILES.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(source, "utf-8")
    (env,) = ENV.findall(README)
    assert len([line for line in env.splitlines() if line.strip()]) == 3

    def run(*command: str) -> str:
        done = subprocess.run(
            [sys.executable, *command],
            cwd=project,
            env=os.environ | {"PYTHONPATH": str(site), "DATABASE_URL": shared_url},
            check=False,
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("-m", "alembic", "init", "--template", "pyproject", "alembic")
    (project / "alembic" / "env.py").write_text(env, "utf-8")
    run("-m", "alembic", "revision", "--autogenerate", "-m", "products")
    run("-m", "alembic", "upgrade", "head")
    where, refused, revision = run("-W", "error", "start.py").splitlines()

    assert Path(where).is_relative_to(site)
    assert refused.endswith(f"lacks the revisions {revision}; run: alembic upgrade head")
    (file,) = (project / "alembic" / "versions").glob("*.py")
    assert re.findall(r"^(?:from|import) (\w+)", file.read_text("utf-8"), re.MULTILINE) == [
        "typing",
        "alembic",
        "sqlalchemy",
    ]
    with Database(shared_url) as database:
        assert current(database) == revision
        assert tables_of(database).keys() == {"alembic_version", "productmodel"}
