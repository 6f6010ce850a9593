"""``anomalies.md`` says which anomalies each database allows at each level; they are played here.

Where it says something else than what happened, and what happened is right, this writes it anew::

    KIT_REWRITE=1 python -m pytest tests/transactions/test_anomalies.py
"""

from __future__ import annotations

import difflib
import inspect
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import Engine, Table, event, text

from infrastructure.database import Database
from tests.conftest import SERVERS
from tests.transactions.anomalies import (
    POSSIBLE,
    SCENARIOS,
    AnomalyDocument,
    AnomalyRow,
    Stage,
)

FILE = Path(__file__).with_name("anomalies.md")
REWRITE = os.environ.get("KIT_REWRITE") == "1"
COMMAND = "KIT_REWRITE=1 python -m pytest tests/transactions/test_anomalies.py"

THE_TEN = ["G0", "G1a", "G1b", "G1c", "OTV", "PMP", "P4", "G-single", "G2-item", "G2"]
REMEDIES = {"P4, for_update", "P4, Versioned"}
DATABASES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
LEVELS = [None, "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"]

Waiting = Callable[[], int]
Cells = dict[tuple[str, str], str]
"""Cells by the names of their row and their column."""


# -- the table -----------------------------------------------------------------------------

TEXT = f"""\
# Anomalies

What becomes of two or three units of work that use the same rows at the same time: the ten
anomalies of Martin Kleppmann's Hermitage, by database and `isolation_level` (default: none is
given). `test_anomalies.py` plays each cell with units of the kit, without a lock or a version
where the row does not name one. Units that only read are read-only units.

- {POSSIBLE}: it happens, and nobody is told.
- prevented: waits. A unit waits until the other one has ended, and goes on with what that left.
- prevented: snapshot. Nobody waits; what a unit reads was committed, and is of one moment: that of
  the statement at READ COMMITTED, that of the unit's first statement elsewhere.
- prevented: an error. A unit is refused, perhaps after it waited, and stores nothing; `run()` runs
  it again.

On SQLite each level is the same: a writing unit is the only one from its first statement on, and
read-only units read what was committed before theirs. On PostgreSQL the default is that of the
server, READ COMMITTED if nobody has changed it.

An entity that a unit holds keeps its values at any level; here, none is held between two reads.
If a cell has changed, and is right, this writes the file anew, in one process:

    {COMMAND}

"""


def column_of(name: str, level: str | None) -> str:
    return f"{DATABASES[name]} {level or 'default'}"


COLUMNS = [column_of(name, level) for name in DATABASES for level in LEVELS]


def rendered(cells: Cells) -> str:
    """The whole file; a cell that is not known is a question mark."""
    lines = [["anomaly", "what it is", *COLUMNS], ["---"] * (2 + len(COLUMNS))]
    for name, scenario in SCENARIOS.items():
        meaning = str(inspect.getdoc(scenario)).rstrip(".")
        lines.append([name, meaning, *(cells.get((name, column), "?") for column in COLUMNS)])
    return TEXT + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def read() -> Cells:
    """The cells of the file."""
    lines = FILE.read_text().splitlines() if FILE.exists() else []
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")]
    return {
        (row[0], column): cell
        for row in rows[2:]
        for column, cell in zip(rows[0][2:], row[2:], strict=True)
    }


def possible(column: str) -> set[str]:
    """What the file says can happen."""
    return {name for (name, at), cell in read().items() if at == column and cell == POSSIBLE}


# -- where it is played --------------------------------------------------------------------


@pytest.fixture(scope="module", params=SERVERS)
def database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    """One for all cells: each fills the tables anew."""
    file = f"sqlite:///{tmp_path_factory.mktemp('anomalies') / 'test.db'}"
    on_server = request.param == "postgresql"
    url = request.getfixturevalue("postgresql_database") if on_server else file
    tables = [cast(Table, cast(Any, model).__table__) for model in (AnomalyRow, AnomalyDocument)]
    with Database(url) as made:
        AnomalyRow.metadata.create_all(made.engine, tables=tables)
        yield made
        AnomalyRow.metadata.drop_all(made.engine, tables=tables)


@pytest.fixture
def waiting(database: Database) -> Iterator[Waiting]:
    """Counts the connections that wait for a lock."""
    if database.engine.dialect.name == "sqlite":
        yield from waiting_on_sqlite(database.engine)
    else:
        yield from waiting_on_postgresql(database.engine)


def waiting_on_postgresql(engine: Engine) -> Iterator[Waiting]:
    """Exact, because the table of locks itself is asked."""
    count = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND backend_type = 'client backend' AND cardinality(pg_blocking_pids(pid)) > 0"
    )
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        yield lambda: connection.scalar(count) or 0


def waiting_on_sqlite(engine: Engine) -> Iterator[Waiting]:
    """SQLite does not tell who waits, so what is sent to it is listened to."""
    asking: set[int] = set()
    holding: set[int] = set()

    def asks(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement == "BEGIN IMMEDIATE":
            asking.add(threading.get_ident())

    def gets(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement == "BEGIN IMMEDIATE":
            asking.discard(threading.get_ident())
            holding.add(threading.get_ident())

    def ends(_connection: Any) -> None:
        holding.discard(threading.get_ident())

    heard = [("before_cursor_execute", asks), ("after_cursor_execute", gets)]
    heard += [("commit", ends), ("rollback", ends)]
    for name, listener in heard:
        event.listen(engine, name, listener)
    yield lambda: len(asking) if holding else 0
    for name, listener in heard:
        event.remove(engine, name, listener)


# -- the tests -----------------------------------------------------------------------------


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", SCENARIOS)
def test_what_happens_is_what_the_table_says(
    name: str, level: str | None, database: Database, waiting: Waiting
) -> None:
    cell = name, column_of(database.engine.dialect.name, level)

    happened = Stage(database, level, waiting).play(SCENARIOS[name])

    if REWRITE:
        FILE.write_text(rendered({**read(), cell: happened}))
    said = read().get(cell)
    assert happened == said, f"{' on '.join(cell)}: if this is right, run\n{COMMAND}"


def test_the_table_is_whole_and_nothing_else_is_in_the_file() -> None:
    wanted = rendered(read())
    differences = difflib.unified_diff(
        FILE.read_text().splitlines(), wanted.splitlines(), FILE.name, "wanted", lineterm=""
    )

    assert FILE.read_text() == wanted, "\n".join([f"run {COMMAND}", *differences])
    assert "| ? |" not in wanted


def test_the_ten_of_hermitage_are_played() -> None:
    assert list(dict.fromkeys(name.split(",")[0] for name in SCENARIOS)) == THE_TEN


@pytest.mark.parametrize(
    ("level", "allowed"),
    [
        (None, {"PMP", "P4", "G-single", "G2-item", "G2"}),
        ("READ COMMITTED", {"PMP", "P4", "G-single", "G2-item", "G2"}),
        ("REPEATABLE READ", {"G2-item", "G2"}),
        ("SERIALIZABLE", set()),
    ],
)
def test_postgresql_allows_what_hermitage_found(level: str | None, allowed: set[str]) -> None:
    found = possible(column_of("postgresql", level))

    assert {name.split(",")[0] for name in found} == allowed
    assert not found & REMEDIES


@pytest.mark.parametrize("level", LEVELS)
def test_sqlite_allows_none(level: str | None) -> None:
    assert possible(column_of("sqlite", level)) == set()


@pytest.mark.parametrize("database", [SERVERS[1]], indirect=True)
@pytest.mark.parametrize("name", ["G0", "G1a", "G1b", "G1c", "OTV"])
def test_without_transactions_those_happen_which_no_level_allows(
    name: str, database: Database, waiting: Waiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: otherwise they might be scenarios in which nothing can happen."""
    bare = database.engine.execution_options(isolation_level="AUTOCOMMIT")
    monkeypatch.setattr(database, "engine", bare)

    assert Stage(database, None, waiting).play(SCENARIOS[name]) == POSSIBLE
