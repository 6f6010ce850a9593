"""Something else to do while the server works on the rows of a COPY."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any, cast

from psycopg.copy import LibpqWriter
from psycopg.waiting import Wait


class BusyWriter(LibpqWriter):
    """Tells the server that all rows are sent, and uses the time until it has stored them."""

    def __init__(self, cursor: Any, work: Iterator[None]) -> None:
        super().__init__(cursor)
        self._work = work

    def finish(self, exc: BaseException | None = None) -> None:
        """Send the end of the rows, do the work, and wait for the answer."""
        if exc is None:
            self.connection = cast(Any, _Busy(self.connection, self._work))
        super().finish(exc)


class _Busy:
    """A connection that does some work as soon as it has to wait for an answer."""

    def __init__(self, connection: Any, work: Iterator[None]) -> None:
        self._connection = connection
        self._work = work

    def wait(self, steps: Generator[Any, Any, Any]) -> Any:
        return self._connection.wait(self._working(steps))

    def _working(self, steps: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        ready = None
        try:
            while True:
                wanted = steps.send(ready)
                if wanted == Wait.R:
                    for _ in self._work:
                        pass
                ready = yield wanted
        except StopIteration as end:
            return end.value
