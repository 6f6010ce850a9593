"""Checks generated models in a process of their own: they import, map, and fit the database.

Run as a module. It reads what to check from its standard input and prints the errors, both as
JSON; the URL of the database is not seen by other users of the machine there.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import pkgutil
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Constraint, Index, Table, create_engine
from sqlalchemy.exc import SAWarning
from sqlalchemy.orm import configure_mappers

from infrastructure.database.alembic.environment import PLUGINS, comparison_of
from infrastructure.database.codegen.reading import dialect_reader
from infrastructure.database.dialects import dialect_named


def main() -> None:
    """Read, check, print."""
    asked = json.load(sys.stdin)
    errors = list(_errors(asked))
    print(json.dumps(errors))  # noqa: T201 -- is the answer


def _errors(asked: dict[str, Any]) -> Iterator[str]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", SAWarning)
            warnings.simplefilter("error", UserWarning)
            package = _imported(asked)
            configure_mappers()
    except Exception as error:  # noqa: BLE001 -- whatever it is, the code cannot be used
        yield _told(error, asked["folder"])
        return
    engine = create_engine(asked["url"])
    reader = dialect_reader(engine.dialect.name)
    reader.correct(engine.dialect)
    with engine.connect() as connection, reader.understood(connection):
        warnings.simplefilter("ignore")
        yield from _differences(connection, package, {tuple(name) for name in asked["tables"]})
    engine.dispose()


def _imported(asked: dict[str, Any]) -> ModuleType:
    name = asked["package"]
    if asked["inside"]:  # of a package that is there, and has other modules besides
        package = importlib.import_module(name)
        package.__path__.insert(0, asked["folder"])
    else:
        sys.path.append(asked["root"])
        package = _loaded(name, Path(asked["folder"]))
    for found in pkgutil.iter_modules(package.__path__, f"{name}."):
        importlib.import_module(found.name)
    return package


def _loaded(name: str, folder: Path) -> ModuleType:
    """The package of this name from this folder, wherever another one of the name is."""
    spec = importlib.util.spec_from_file_location(
        name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(name)
    package = importlib.util.module_from_spec(spec)
    sys.modules[name] = package
    spec.loader.exec_module(package)
    return package


def _told(error: Exception, folder: str) -> str:
    """Where it happened, and what."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith(folder)]
    where = (
        f"{frames[-1].filename.rpartition('/')[2]}, line {frames[-1].lineno}: " if frames else ""
    )
    message = str(error).strip().splitlines()
    return f"{where}{type(error).__name__}: {message[0] if message else ''}"


def _differences(
    connection: Connection, package: ModuleType, tables: set[tuple[str | None, str]]
) -> Iterator[str]:
    options = comparison_of(package)
    options["include_object"] = _only(tables, options["include_object"])
    plugins = dialect_named(connection.dialect.name).autogenerate_plugins()
    options["autogenerate_plugins"] = [*PLUGINS, *plugins]
    context = MigrationContext.configure(connection, opts=options)
    for difference in compare_metadata(context, options["target_metadata"]):
        yield from _lines(difference)


def _only(tables: set[tuple[str | None, str]], usual: Callable[..., bool]) -> Callable[..., bool]:
    def include(item: Any, name: Any, kind: str, reflected: bool, other: Any) -> bool:
        if kind == "table" and (item.schema, name) not in tables:
            return False
        return usual(item, name, kind, reflected, other)

    return include


def _lines(difference: Any) -> Iterator[str]:
    if isinstance(difference, list):
        for one in difference:
            yield from _lines(one)
        return
    what, *rest = difference
    yield f"{_place(what, rest)}: {str(what).replace('_', ' ')}{_values(what, rest)}"


def _place(what: str, rest: list[Any]) -> str:
    match rest:
        case [Table() as whole, *_]:
            return str(whole.fullname)
        case [(Index() | Constraint()) as part, *_]:
            columns = ", ".join(str(getattr(c, "name", c)) for c in getattr(part, "columns", ()))
            return f"{getattr(part, 'table', None)}({columns}) {part.name}"
        case [schema, table, column, *_] if what.startswith(("modify", "add_col", "remove_col")):
            name = getattr(column, "name", column)
            return ".".join(filter(None, [schema, str(table), str(name)]))
        case _:
            return " ".join(map(str, rest))


def _values(what: str, rest: list[Any]) -> str:
    if not what.startswith("modify") or len(rest) < 2:
        return ""
    return f", the database has {_shown(rest[-2])}, the model {_shown(rest[-1])}"


def _shown(value: Any) -> str:
    text = getattr(getattr(value, "arg", None), "text", None)
    return re.sub(r"\s+", " ", str(text) if text is not None else repr(value))


if __name__ == "__main__":
    main()
