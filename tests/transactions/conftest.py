"""Servers and links that a test may break."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import create_engine, make_url

from tests.transactions.link import Link
from tests.transactions.servers import Bouncer, Cluster


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL server that may be killed; it runs when a test begins."""
    made = Cluster()
    yield made
    made.remove()


@pytest.fixture
def link(postgresql_url: str) -> Iterator[tuple[Link, str]]:
    """A link to the PostgreSQL server, and the URL of an empty database through it."""
    url = make_url(postgresql_url)
    made = Link(url.host or "127.0.0.1", url.port or 5432)
    through = url.set(host="127.0.0.1", port=made.port)
    yield made, through.render_as_string(hide_password=False)
    made.close()
    server = create_engine(url, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:  # some do not know yet that their client is gone
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    server.dispose()


@pytest.fixture
def bouncer_url(postgresql_url: str) -> Iterator[str]:
    """The URL of an empty database through PgBouncer in transaction mode."""
    url = make_url(postgresql_url)
    made = Bouncer(url.host or "127.0.0.1", url.port or 5432, user=url.username or "postgres")
    yield made.url(str(url.database), url.username or "postgres")
    made.remove()
