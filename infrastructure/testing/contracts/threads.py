"""Threads that a test waits for, and asks what came of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Self

PATIENCE = 20.0
"""Seconds after which a thread is taken to hang."""


class Worker(threading.Thread):
    """A thread that remembers what its work returned or raised."""

    def __init__(self, work: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self._value: Any = None
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._value = self._work()
        except BaseException as error:  # noqa: BLE001 -- the test asks for it
            self._error = error

    def value(self) -> Any:
        """What it returned; raises what it raised."""
        if self._error is not None:
            raise self._error
        return self._value

    def error(self) -> BaseException:
        """What it raised."""
        assert self._error is not None, "the thread raised nothing"
        return self._error


class Threads:
    """All have ended when the block ends, or the test fails."""

    def __init__(self) -> None:
        self._workers: list[Worker] = []

    def start(self, work: Callable[[], Any]) -> Worker:
        """Do it in a thread of its own."""
        worker = Worker(work)
        self._workers.append(worker)
        worker.start()
        return worker

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for worker in self._workers:
            worker.join(PATIENCE)
        assert not any(worker.is_alive() for worker in self._workers), "a thread hangs"
