"""The database from which models are made: read, and never changed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from domain.errors import KitError, ValidationError
from infrastructure.database.codegen.errors import GenerationError
from infrastructure.database.codegen.reading import dialect_reader
from infrastructure.database.database import Database
from infrastructure.database.urls import DatabaseUrl, parsed

Source = str | URL | Engine | Database


@dataclass(frozen=True)
class Opened:
    """A connection, and the URL by which another process finds the same database."""

    connection: Connection
    url: str


@contextmanager
def opened(source: Source) -> Iterator[Opened]:
    """Connect; ``GenerationError`` without a password if that cannot be done."""
    engine, ours = _engine(source)
    dialect_reader(engine.dialect.name).correct(engine.dialect)
    try:
        with engine.connect() as connection, tempfile.TemporaryDirectory() as scratch:
            url = _url(engine, connection, Path(scratch) / "copy.db")
            connection.exec_driver_sql("SELECT 1 FROM (SELECT 1) AS one")
            yield Opened(connection, url)
    except (SQLAlchemyError, KitError) as error:
        if isinstance(error, GenerationError):
            raise
        raise GenerationError(f"{_shown(engine)}: {_said(error, engine)}") from None
    finally:
        if ours:
            engine.dispose()


def _engine(source: Source) -> tuple[Engine, bool]:
    if isinstance(source, Database):
        return source.engine, False
    if isinstance(source, Engine):
        return source, False
    try:
        url = parsed(source)
    except ValidationError as error:
        raise GenerationError(f"the URL {error.errors['url']}") from None
    file = url.database
    on_disk = url.get_backend_name() == "sqlite" and not _is_memory(url)
    if on_disk and not Path(str(file)).is_file():
        raise GenerationError(f"there is no file {file}")
    options = {} if url.get_backend_name() == "sqlite" else {"connect_timeout": 10}
    return create_engine(url, hide_parameters=True, connect_args=options), True


def _is_memory(url: URL) -> bool:
    file = url.database or ""
    return not file or file == ":memory:" or file.startswith("file:")


def _url(engine: Engine, connection: Connection, copy: Path) -> str:
    """Another process does not see a database in memory: it gets a copy."""
    if engine.dialect.name == "sqlite" and _is_memory(engine.url):
        raw: Any = connection.connection.driver_connection
        raw.execute("VACUUM INTO ?", (str(copy),))
        return f"sqlite:///{copy}"
    return engine.url.render_as_string(hide_password=False)


def _shown(engine: Engine) -> str:
    return DatabaseUrl(*make_url(engine.url)).render_as_string(hide_password=True)


def _said(error: Exception, engine: Engine) -> str:
    """The first line of what the driver says, in which no password stands."""
    cause = getattr(error, "orig", None) or error
    lines = str(cause).strip().splitlines() or [type(cause).__name__]
    password = engine.url.password
    return lines[0].replace(str(password), "***") if password else lines[0]
