"""Databases for tests, as copies of one that has the schema."""

from __future__ import annotations

from abc import ABC, abstractmethod

from sqlalchemy import URL, Engine


class Templates(ABC):
    """One database to make the schema in, and any number of copies of it."""

    original: URL
    """Empty at first. Nobody may be connected when it is copied."""

    @abstractmethod
    def copy(self) -> URL:
        """A new database with what is in the original, for several connections."""

    @abstractmethod
    def for_sandbox(self) -> URL:
        """The same, for a sandbox."""

    def attach(self, engine: Engine) -> None:  # noqa: B027 -- most have nothing to do
        """Called for the engine of a sandbox, before it connects."""

    @abstractmethod
    def drop(self, url: URL) -> None:
        """Remove a copy."""

    @abstractmethod
    def close(self) -> None:
        """Remove the original."""
