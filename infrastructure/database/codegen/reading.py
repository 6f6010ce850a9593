"""What is in the database: the tables and views that were asked for, and those they refer to."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, MetaData, Table, event, inspect
from sqlalchemy.engine import Inspector

from infrastructure.database.codegen.errors import GenerationError

IS_VIEW = "is_view"
_NOT_OURS = {"alembic_version", "migrate_version", "spatial_ref_sys"}


def dialect_reader(name: str) -> Any:
    """What one database needs to be read completely."""
    return importlib.import_module(f"infrastructure.database.dialects.{name}_reflection")


class Reader:
    """Reads tables and views into one ``MetaData``."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.inspector: Inspector = inspect(connection)
        self.dialect = dialect_reader(connection.dialect.name)
        self.metadata = MetaData()
        event.listen(self.metadata, "column_reflect", self.dialect.column_reflected(connection))
        self._available: dict[str | None, tuple[set[str], set[str]]] = {}

    def read(self, schemas: Sequence[str], tables: Sequence[str]) -> MetaData:
        """The tables of these schemas, or those named; ``GenerationError`` if there are none."""
        asked = [self._schema(name) for name in schemas] or [None]
        with self.dialect.understood(self.connection):
            wanted = self._named(tables, asked) if tables else self._all(asked)
            self._load(wanted)
            self._load_referred()
            for table in list(self.metadata.tables.values()):
                if not table.columns:  # a row of nothing is no entity
                    self.metadata.remove(table)
            self.dialect.complete(self.connection, self.metadata)
        return self.metadata

    def _schema(self, name: str) -> str | None:
        usual = self.dialect.default_schema(self.connection)
        if name == usual:
            return None
        there = [s for s in self.inspector.get_schema_names() if not self.dialect.system_schema(s)]
        if name not in there:
            raise GenerationError(f'there is no schema "{name}"; there are: {", ".join(there)}')
        return name

    def _all(self, schemas: Iterable[str | None]) -> dict[str | None, list[str]]:
        wanted = {}
        for schema in dict.fromkeys(schemas):
            tables, views = self._in(schema)
            if not tables | views:
                name = schema or self.dialect.default_schema(self.connection)
                raise GenerationError(f'the schema "{name}" holds no tables')
            wanted[schema] = sorted(tables | views)
        return wanted

    def _named(
        self, names: Iterable[str], schemas: Sequence[str | None]
    ) -> dict[str | None, list[str]]:
        wanted: dict[str | None, list[str]] = {}
        for name in names:
            found = self._find(name, schemas)
            split = [part.strip() for part in name.split(",") if part.strip()]
            found = found or [one for part in split for one in self._find(part, schemas)]
            if len(found) < 1 or (len(found) < len(split) and not self._find(name, schemas)):
                raise GenerationError(self._unknown(name, split, schemas))
            for schema, table in found:
                wanted.setdefault(schema, []).append(table)
        return wanted

    def _unknown(self, name: str, split: list[str], schemas: Sequence[str | None]) -> str:
        missing = next((part for part in split if not self._find(part, schemas)), name)
        return f'there is no table or view "{missing}"'

    def _find(self, name: str, schemas: Sequence[str | None]) -> list[tuple[str | None, str]]:
        for schema in schemas:
            if name in set.union(*self._in(schema)):
                return [(schema, name)]
        before, dot, table = name.partition(".")
        if dot and before in self.inspector.get_schema_names():
            schema = self._schema(before)
            return [(schema, table)] if table in set.union(*self._in(schema)) else []
        return []

    def _in(self, schema: str | None) -> tuple[set[str], set[str]]:
        """The names of the tables and of the views in a schema."""
        if schema not in self._available:
            left_out = self.dialect.hidden(self.connection, schema) | _NOT_OURS
            views = set(self.inspector.get_view_names(schema))
            views |= set(self.dialect.other_views(self.connection, schema))
            tables = set(self.inspector.get_table_names(schema))
            self._available[schema] = tables - left_out, views - left_out
        return self._available[schema]

    # -- into the metadata -------------------------------------------------------------------

    def _load(self, wanted: dict[str | None, list[str]]) -> None:
        for schema, names in wanted.items():
            tables, views = self._in(schema)
            plain = set(self.inspector.get_view_names(schema)) | tables
            self.metadata.reflect(
                self.connection,
                schema=schema,
                views=True,
                # A list is taken for names of the usual schema, and half of them left out.
                only=lambda name, _, wanted=plain & set(names): name in wanted,
                resolve_fks=False,
            )
            for name in names:
                if name not in plain:
                    self._load_one(schema, name)
                if name in views:
                    self._table(schema, name).info[IS_VIEW] = True

    def _load_one(self, schema: str | None, name: str) -> None:
        options: dict[str, Any] = {"autoload_with": self.connection, "resolve_fks": False}
        Table(name, self.metadata, schema=schema, **options)

    def _table(self, schema: str | None, name: str) -> Table:
        return self.metadata.tables[name if schema is None else f"{schema}.{name}"]

    def _load_referred(self) -> None:
        """What a table refers to is read too: without it, its model could not be used."""
        done: set[tuple[str | None, str]] = set()
        while missing := self._referred() - done:
            done |= missing
            for schema, name in sorted(missing, key=str):
                if name not in self._in(schema)[0]:
                    full = ".".join(filter(None, [schema, name]))
                    raise GenerationError(f'a table refers to "{full}", which is not there')
                self._load({schema: [name]})

    def _referred(self) -> set[tuple[str | None, str]]:
        """The tables that others refer to, and that were not read."""
        there = {(table.schema, str(table.name)) for table in self.metadata.tables.values()}
        tokens = [
            key.target_tokens
            for table in self.metadata.tables.values()
            for key in table.foreign_keys
        ]
        return {(one.schema, str(one.table_name)) for one in tokens} - there
