"""Measures contenders that do the same, one after the other in turns."""

from __future__ import annotations

import gc
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.keeper import Keeper
from benchmarks.operations import Operation

THREADS = 8
SECONDS = 0.5
"""How long the threads work."""

LEAST = 3
"""Calls of each, for those that do not take long."""

LONG = 0.9
PATIENCE = {"driver": 5.0, "kit": 5.0}
"""Seconds from which on a call takes long; the two that all depends on are given more."""


@dataclass
class Work:
    """What the threads of a contender did."""

    units: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass
class Case:
    """One operation on one database, and what was measured of it (seconds for one)."""

    operation: Operation
    keeper: Keeper
    contenders: Mapping[str, Any]
    seconds: dict[str, list[float]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    errors: dict[str, Counter[str]] = field(default_factory=dict)

    def measure(self, budget: float) -> None:
        """Call all contenders in turns until the time is spent."""
        end = time.perf_counter() + budget
        names = [name for name, each in self.contenders.items() if self._has(each)]
        if not self.operation.heavy:
            for name in names:  # caches fill, connections open
                self._try(name, thorough=True)
        gc.collect()
        gc.freeze()  # no collection looks at what the libraries of all the others are made of
        try:
            self._take_turns(names, end)
        finally:
            gc.unfreeze()

    def _take_turns(self, names: list[str], end: float) -> None:
        for number in range(1000):
            if number >= LEAST and time.perf_counter() > end:
                break
            gc.collect()
            start = number % len(names)
            for name in names[start:] + names[:start]:
                if self._is_due(name, number, end):
                    took = self._try(name, thorough=self.operation.heavy and not number)
                    if took is not None:
                        self.seconds.setdefault(name, []).append(took)

    def _has(self, contender: Any) -> bool:
        return hasattr(contender, self.operation.method)

    def _is_due(self, name: str, number: int, end: float) -> bool:
        """Whether to call it once more: those who take long are not, unless there is time."""
        last = self.seconds.get(name, [0.0])[-1] * self.operation.per
        fits = time.perf_counter() + last < end
        return fits or number == 0 or (number < LEAST and last < PATIENCE.get(name, LONG))

    def _try(self, name: str, *, thorough: bool) -> float | None:
        if name in self.failed:
            return None
        try:
            return self._call(name, thorough=thorough)
        except Exception as error:  # noqa: BLE001 -- the others go on
            self.seconds.pop(name, None)
            self.failed[name] = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            return None

    def _call(self, name: str, *, thorough: bool) -> float:
        operation = self.operation
        if operation.before:
            operation.before(self.keeper)
        if operation.per == 1:
            gc.collect()  # what the others left
        try:
            took, result = self._timed(name)
            operation.check(result, self.keeper, thorough)
        finally:
            if operation.writes:
                self.keeper.restore(thoroughly=operation.per == 1)
        return took

    def _timed(self, name: str) -> tuple[float, Any]:
        contender, operation = self.contenders[name], self.operation
        way = getattr(contender, operation.method)
        if operation.kind == "threads":
            work, took = in_threads(way, contender.leave_thread)
            self.errors.setdefault(name, Counter()).update(work.errors)
            return took / max(work.units, 1), work.units
        if operation.kind == "opened":
            with way() as call:
                took, result = timed(call)
        else:
            took, result = timed(way, *operation.arguments)
        return took / operation.per, result

    def median(self, name: str) -> float | None:
        """Seconds for one, or None if it was not measured."""
        return statistics.median(self.seconds[name]) if self.seconds.get(name) else None

    def ratios(self) -> dict[str, float]:
        """How many times longer than the driver each took; of rates, what part they reached."""
        driver = self.median("driver")
        medians = {name: self.median(name) for name in self.contenders if name != "driver"}
        if driver is None:
            return {}
        return {
            name: driver / median if self.operation.is_rate else median / driver
            for name, median in medians.items()
            if median is not None
        }


def timed(call: Callable[..., Any], *arguments: Any) -> tuple[float, Any]:
    """How long a call took, and what it returned."""
    start = time.perf_counter()
    result = call(*arguments)
    return time.perf_counter() - start, result


def in_threads(unit: Callable[[int, int], None], leave: Callable[[], None]) -> tuple[Work, float]:
    """Units of work in several threads at once, and how long they took in all."""
    work = Work()
    begin = threading.Barrier(THREADS + 1)

    def run(thread: int) -> None:
        done, errors, number = 0, Counter[str](), 0
        begin.wait()
        end = time.perf_counter() + SECONDS
        while time.perf_counter() < end:
            try:
                unit(thread, number)
                done += 1
            except Exception as error:  # noqa: BLE001 -- they are counted
                errors[f"{type(error).__name__}: {' '.join(str(error).split())[:80]}"] += 1
            number += 1
        leave()
        with work.lock:
            work.units += done
            work.errors.update(errors)

    threads = [threading.Thread(target=run, args=(thread,)) for thread in range(THREADS)]
    for each in threads:
        each.start()
    begin.wait()
    start = time.perf_counter()
    for each in threads:
        each.join()
    return work, time.perf_counter() - start
