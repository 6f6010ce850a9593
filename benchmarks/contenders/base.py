"""What all contenders have in common."""

from __future__ import annotations


class Contender:
    """A way of working with a database; its methods are named after the operations.

    An operation that it does not have is a method that it does not have.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def prepare(self) -> None:
        """Get ready, once the tables are filled; this is not measured."""

    def leave_thread(self) -> None:
        """Give back what the current thread holds."""

    def close(self) -> None:
        """Give back all connections."""
