"""What a database is addressed by: parsed, refused where it can mean two things, never printed."""

from __future__ import annotations

import re

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.util import immutabledict

from domain.errors import ValidationError
from infrastructure.database.dialects import dialect_named

_SECRET = re.compile("pass|secret", re.IGNORECASE)


class DatabaseUrl(URL):
    """A URL that hides the secrets among its options, too, wherever it is printed.

    Engines print it, and settings and errors.
    """

    __slots__ = ()

    def render_as_string(self, hide_password: bool = True) -> str:
        """The URL for people, or with all its secrets."""
        if not hide_password:
            return super().render_as_string(hide_password=False)
        options = {name: _shown(name, value) for name, value in self.query.items()}
        return URL.render_as_string(self._replace(query=immutabledict(options)))

    def __hash__(self) -> int:
        return hash(URL.render_as_string(self))  # as one of SQLAlchemy's that is equal


def _shown(option: str, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
    return "hidden" if _SECRET.search(option) else value


def parsed(url: str | URL) -> DatabaseUrl:
    """A URL that the kit can use; ``ValidationError``, without printing it, for any other."""
    try:
        found = make_url(url)
    except (ArgumentError, ValueError):
        raise _refused("is no database URL") from None
    if found.drivername in ("postgres", "postgresql"):
        found = found.set(drivername="postgresql+psycopg")
    secret = found.query.get("password")
    if secret is not None:  # so that it is hidden like one in the usual place
        last = secret if isinstance(secret, str) else secret[-1]
        found = found.set(password=last).difference_update_query(["password"])
    if found.drivername not in ("sqlite", "sqlite+pysqlite", "postgresql+psycopg"):
        raise _refused(f"{found.drivername} is not supported; use sqlite or postgresql+psycopg")
    if wrong := dialect_named(found.get_backend_name()).wrong_with(found):
        raise _refused(wrong)
    return DatabaseUrl(*found)


def _refused(message: str) -> ValidationError:
    return ValidationError("Database", {"url": message})
