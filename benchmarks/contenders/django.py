"""Django's ORM, configured in this process. It has no stubs, so all of it is ``Any``."""

from __future__ import annotations

import importlib
from typing import Any

from sqlalchemy import URL, make_url

from benchmarks import data
from benchmarks.contenders.base import Contender

conf: Any = importlib.import_module("django.conf")
conf.settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.dummy"}}, USE_TZ=True, TIME_ZONE="UTC"
)
importlib.import_module("django").setup()
db: Any = importlib.import_module("django.db")
models: Any = importlib.import_module("django.db.models")
transaction: Any = importlib.import_module("django.db.transaction")


def _model(name: str, table: str) -> Any:
    meta = type("Meta", (), {"app_label": "benchmarks", "db_table": table, "managed": False})
    columns = {
        "id": models.AutoField(primary_key=True),
        "name": models.CharField(max_length=200),
        "email": models.CharField(max_length=320, unique=True),
        "age": models.IntegerField(),
        "score": models.FloatField(),
        "created_at": models.DateTimeField(),
    }
    return type(name, (models.Model,), {"__module__": __name__, "Meta": meta, **columns})


Item = _model("Item", "items")
BigItem = _model("BigItem", "big_items")


def new(values: data.Values) -> Any:
    """An object that is not stored yet."""
    name, email, age, score, created_at = values
    return Item(name=name, email=email, age=age, score=score, created_at=created_at)


def _settings(url: URL) -> dict[str, Any]:
    if url.get_backend_name() == "sqlite":
        options = {"timeout": 30, "transaction_mode": "IMMEDIATE"}
        engine = "django.db.backends.sqlite3"
        return {"ENGINE": engine, "NAME": url.database, "OPTIONS": options}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": url.database,
        "USER": url.username or "",
        "PASSWORD": url.password or "",
        "HOST": url.host or "",
        "PORT": str(url.port or ""),
    }


class Django(Contender):
    """A connection that stays open; reading outside of ``atomic()`` is autocommit."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        handler = db.connections
        handler.settings = handler.configure_settings({"default": _settings(make_url(url))})

    # -- one by one ------------------------------------------------------------------------

    def insert_units(self) -> list[Any]:
        stored = []
        for values in data.new(data.UNITS):
            with transaction.atomic():
                item = new(values)
                item.save(force_insert=True)
                stored.append(item)
        return stored

    def get_each(self) -> list[Any]:
        return [Item.objects.get(pk=id) for id in data.IDS]

    def get_within(self) -> list[Any]:
        with transaction.atomic():
            return [Item.objects.get(pk=id) for id in data.IDS]

    def change_units(self) -> None:
        for id in data.IDS[: data.UNITS]:
            with transaction.atomic():
                item = Item.objects.get(pk=id)
                item.age += 1
                item.save(update_fields=["age"])

    def work(self, thread: int, number: int) -> None:
        with transaction.atomic():
            item = Item.objects.get(pk=data.stripe(thread, number))
            item.age += 1
            item.save(update_fields=["age"])
            new(data.from_thread(thread, number)).save(force_insert=True)

    # -- many ------------------------------------------------------------------------------

    def create_many(self, count: int) -> list[Any]:
        with transaction.atomic():
            stored: list[Any] = Item.objects.bulk_create([new(v) for v in data.new(count)])
            return stored

    def bulk_create(self, count: int) -> None:
        self.create_many(count)  # there is nothing else

    def get_all(self) -> list[Any]:
        return list(Item.objects.all())

    get_all_read_only = get_all

    def page(self) -> tuple[list[Any], int]:
        items, before = BigItem.objects.order_by("id"), (data.PAGE - 1) * data.SIZE
        return list(items[before : before + data.SIZE]), items.count()

    def window(self) -> list[Any]:
        before = (data.WINDOW - 1) * data.SIZE
        found: list[Any] = []
        for _ in range(data.UNITS):
            items = BigItem.objects.filter(id__gt=before).order_by("id")
            found = list(items[: data.SIZE + 1])
        return found[: data.SIZE]

    def stream(self) -> tuple[int, Any]:
        total, item = 0, None
        for item in BigItem.objects.order_by("id").iterator(chunk_size=1000):
            total += item.id
        return total, item

    def bulk_update(self) -> None:
        items = [Item(id=id, age=age, score=score) for id, age, score in data.changes()]
        with transaction.atomic():
            Item.objects.bulk_update(items, ["age", "score"], batch_size=500)

    def delete_where(self) -> None:
        with transaction.atomic():
            Item.objects.filter(id__in=list(data.DOOMED)).delete()

    def bulk_upsert(self) -> None:
        with transaction.atomic():
            Item.objects.bulk_create(
                [new(values) for values in data.upserts()],
                update_conflicts=True,
                unique_fields=["email"],
                update_fields=["name", "age", "score"],
            )

    def leave_thread(self) -> None:
        db.connection.close()

    def close(self) -> None:
        db.connection.close()
        del db.connections["default"]  # the next one is another database


CONTENDER = Django
