"""The database that tests share, each of them in a transaction that is rolled back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL

from infrastructure.database.database import Database
from infrastructure.database.dialects import sandbox_named
from infrastructure.database.dialects.sandbox import Sandbox, Sandboxed
from infrastructure.database.dialects.templates import Templates
from infrastructure.database.urls import parsed

Schema = Callable[[Database], object]
"""What makes the tables in an empty database, and whatever else all tests shall find."""

_WAIT = 5.0


class SandboxDatabase(Database):
    """A database that forgets. Units work as in production, one at a time, and nothing stays.

    Usable within ``opened()`` only. ``busy_timeout`` (seconds) is how long one
    thread waits for the unit of another.
    """

    def __init__(self, templates: Templates, *, busy_timeout: float = _WAIT) -> None:
        self._copy = templates.for_sandbox()
        super().__init__(self._copy, busy_timeout=busy_timeout)
        templates.attach(self.engine)
        self._sandbox = Sandbox(self._dialect(), self.engine)

    def _dialect(self) -> Sandboxed:
        return sandbox_named(self.settings.url.get_backend_name())

    @contextmanager
    def opened(self) -> Iterator[None]:
        """What happens in the block is undone at its end.

        Raises ``SandboxError`` if something is still open then, or cannot be undone.
        """
        self._sandbox.open()
        try:
            yield
        finally:
            self.caches.clear()
            self._sandbox.close()

    def close(self) -> None:
        """Nothing: an application that closes its database goes on with the next test."""

    def after_fork(self) -> None:
        """Leave the connection to the parent; a child cannot use it."""
        self._sandbox.leave_to_parent()
        self.engine.dispose(close=False)

    def discard(self, templates: Templates) -> None:
        """Close it for good."""
        super().close()
        templates.drop(self._copy)


@contextmanager
def templates_for(url: str | URL, folder: Path, schema: Schema) -> Iterator[Templates]:
    """Copies of a database that has the schema. ``url`` says of which kind; it is not touched."""
    wanted = parsed(url)
    templates = sandbox_named(wanted.get_backend_name()).templates(wanted, folder)
    try:
        with Database(templates.original) as database:
            schema(database)
        yield templates
    finally:
        templates.close()


@contextmanager
def sandbox_from(templates: Templates) -> Iterator[SandboxDatabase]:
    """A sandbox for many tests."""
    database = SandboxDatabase(templates)
    try:
        yield database
    finally:
        database.discard(templates)


@contextmanager
def copy_from(templates: Templates) -> Iterator[Database]:
    """A database of its own, in which everything is as in production."""
    url = templates.copy()
    database = Database(url)
    try:
        yield database
    finally:
        database.close()
        templates.drop(url)
