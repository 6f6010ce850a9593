"""Compare the kit with the raw driver and with SQLModel's session: python -m benchmarks.

Times are medians of one process on this machine. Compare the ratios, and those
only roughly: other work on the machine disturbs them.
"""

import argparse
import os
import platform
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version

import psycopg
from sqlalchemy import make_url

from benchmarks.contenders import MANY, READ, WITHIN, BareSession, Driver, Kit, row
from benchmarks.harness import Case, table

SERVER = os.environ.get(
    "KIT_TEST_POSTGRESQL", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"
)


def cases(driver: Driver, bare: BareSession, kit: Kit) -> list[Case]:
    """What is compared; reading comes first, because writing adds rows."""

    def case(name: str, method: str, expected: list[tuple[object, ...]] | int) -> Case:
        contenders = {"driver": driver, "SQLModel": bare, "kit": kit}
        ways = {label: getattr(contender, method) for label, contender in contenders.items()}
        return Case(name, ways, expected, driver.count if isinstance(expected, int) else None)

    everything = [row(id) for id in range(1, READ + 1)]
    return [
        case("get_by_id, a read-only unit each", "get", [row(READ // 2)]),
        case(f"{WITHIN} x get_by_id in one unit", "get_within", everything[:WITHIN]),
        case(f"{WITHIN} x get_by_id, loaded already", "get_again", [row(1)] * WITHIN),
        case(f"get_all, {READ:,} tracked", "get_all", everything),
        case(f"get_all, {READ:,} read-only", "get_all_read_only", everything),
        case("a unit with one insert", "insert", 1),
        case(f"create_many, {MANY:,}", "insert_many", MANY),
    ]


def compare(title: str, url: str, seconds: float) -> None:
    """Measure everything on one empty database, and print the table."""
    driver, bare, kit = Driver(url), BareSession(url), Kit(url)
    try:
        kit.prepare()
        compared = cases(driver, bare, kit)
        for case in compared:
            case.measure(seconds / len(compared))
        print(f"\n{title}\n{table(compared)}", flush=True)
    finally:
        for contender in (driver, bare, kit):
            contender.close()


@contextmanager
def postgresql() -> Iterator[str | None]:
    """A database of our own, dropped afterwards; None where there is no server."""
    server = make_url(SERVER)
    plain = server.set(drivername="postgresql").render_as_string(hide_password=False)
    try:
        opened = psycopg.connect(plain, autocommit=True, connect_timeout=5)
    except psycopg.OperationalError as error:
        print(f"\nPostgreSQL: skipped, no server at {server!r}: {str(error).splitlines()[0]}")
        yield None
        return
    name = f"kit_bench_{uuid.uuid4().hex[:12]}"
    with opened as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
        try:
            yield server.set(database=name).render_as_string(hide_password=False)
        finally:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--seconds", type=float, default=50, help="how long in all (50)")
    seconds = parser.parse_args().seconds / 2

    packages = ", ".join(f"{name} {version(name)}" for name in ("sqlmodel", "sqlalchemy"))
    print(f"Python {platform.python_version()}, {packages}")
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        compare("SQLite, a file", f"sqlite:///{directory}/bench.db", seconds)
    with postgresql() as url:
        if url is not None:
            compare("PostgreSQL", url, seconds)


if __name__ == "__main__":
    main()
