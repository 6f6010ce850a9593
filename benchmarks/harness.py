"""Measures ways of doing the same, one after the other in turns, and compares them."""

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Row = tuple[Any, ...]
Way = Callable[[], Any]


@dataclass
class Case:
    """One thing to do, and the ways of doing it; the first one is what the others are held to.

    Each call returns rows or objects with the same fields. They are compared
    with ``expected`` outside the time that is measured; where rows are
    written, only their number is, and ``stored`` is asked in the end.
    """

    name: str
    ways: Mapping[str, Way]
    expected: Sequence[Row] | int
    stored: Callable[[], int] | None = None
    calls: int = 0
    seconds: dict[str, list[float]] = field(default_factory=dict)

    def measure(self, budget: float, *, at_most: int = 1000, at_least: int = 3) -> None:
        """Call all ways in turns until the time is spent (seconds)."""
        before = self.stored() if self.stored else 0
        for way in self.ways.values():  # caches fill, connections open
            self._check(way())
            self.calls += 1
        gc.collect()
        end = time.perf_counter() + budget
        names = list(self.ways)
        for number in range(at_most):
            if number >= at_least and time.perf_counter() > end:
                break
            start = number % len(names)
            for name in names[start:] + names[:start]:
                self._time(name)
        if self.stored and isinstance(self.expected, int):
            wanted = before + self.calls * self.expected
            if self.stored() != wanted:
                raise AssertionError(f"{self.name}: {self.stored()} rows stored, not {wanted}")

    def _time(self, name: str) -> None:
        way = self.ways[name]
        start = time.perf_counter()
        result = way()
        took = time.perf_counter() - start
        self.seconds.setdefault(name, []).append(took)
        self.calls += 1
        self._check(result)

    def _check(self, result: Any) -> None:
        rows = [row if isinstance(row, tuple) else fields_of(row) for row in result]
        right = len(rows) if isinstance(self.expected, int) else sorted(rows)
        if right != self.expected:
            raise AssertionError(f"{self.name}: wrong rows: {rows[:3]} …")

    def median(self, name: str) -> float:
        """Seconds of a call."""
        return statistics.median(self.seconds[name])


def fields_of(item: Any) -> Row:
    """An object as the row that it was."""
    return (item.id, item.name, item.price)


def table(cases: Sequence[Case]) -> str:
    """Medians, and how many times longer each took than the first way."""
    names = list(cases[0].ways)
    first = names[0]
    lines = [["", *names, *(f"{name} ÷ {first}" for name in names[1:]), "rounds"]]
    for case in cases:
        medians = [case.median(name) for name in names]
        ratios = [median / medians[0] for median in medians[1:]]
        lines.append(
            [
                case.name,
                *map(duration, medians),
                *(f"{ratio:.1f}" for ratio in ratios),
                str(len(case.seconds[first])),
            ]
        )
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if at else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def duration(seconds: float) -> str:
    return f"{seconds * 1e3:.1f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f} µs"
