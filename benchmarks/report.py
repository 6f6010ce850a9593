"""What was measured as tables, as a chart and as JSON."""

from __future__ import annotations

import importlib
import json
import platform
import statistics
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.harness import Case
from benchmarks.operations import Operation

PACKAGES = (
    "sqlalchemy",
    "sqlmodel",
    "pydantic",
    "psycopg",
    "advanced-alchemy",
    "django",
    "peewee",
)

NOTES = """\
Ratios are medians of the contender's times divided by the driver's; of threads, of units a second.
The driver goes by the fastest route that is known: executemany, binary COPY with keys of the
sequence, UNNEST, = ANY, binary results, one open connection, autocommit for single reads. It
takes and hands out tuples; timestamps, which SQLite's driver knows as text, are converted by hand.
- Garbage collections leave out what was there before an operation was measured (gc.freeze): an
  application has one of these libraries in memory, not all.
- "already loaded" is held to a dict, not to the driver, and is the time of 1,000 lookups;
  "within one unit" is the time of 100 reads. "page with total" and "window" read 50 of 1,000,000.
- All share the tables, which the kit makes. SQLite: WAL, synchronous at its default.
- Sessions of SQLAlchemy, SQLModel and advanced-alchemy keep their objects usable after a commit
  (expire_on_commit=False), which is faster than their default.
- advanced-alchemy does not refresh what it has added, counts by a query of its own, and deletes by
  delete_many; its bulk_create is add_many, and Django's is bulk_create: objects in both cases.
- SQLAlchemy, SQLModel and advanced-alchemy begin on SQLite with the first write, as their driver
  does, so what they read before is not protected. Django and peewee begin IMMEDIATE, as the kit
  does; outside of atomic() they read without a transaction on an open connection.
- Only the kit validates; only the kit's read-only units refuse to write.
- Calls that take longer than a second are made once a run, the driver's and the kit's up to three
  times (five seconds), unless there is time for more. Threads work for half a second.
A dash: there is no such operation."""


def versions(databases: Sequence[str]) -> dict[str, str]:
    """Of Python, the packages and the databases."""
    found = {"Python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found | dict(database.split() for database in databases)


class Report:
    """The cases of one database, of one run or of several."""

    def __init__(self, database: str, title: str, labels: Sequence[str]) -> None:
        self.database = database
        self.title = title
        self.labels = [label for label in labels if label != "driver"]
        self.runs: list[list[Case]] = []

    @property
    def operations(self) -> list[Operation]:
        return [case.operation for case in self.runs[0]] if self.runs else []

    def cases(self, at: int) -> list[Case]:
        """Of one operation, those of all runs."""
        return [run[at] for run in self.runs]

    def ratio(self, at: int, label: str) -> float | None:
        """Of an operation, the median of the runs."""
        ratios = [case.ratios().get(label) for case in self.cases(at)]
        found = [ratio for ratio in ratios if ratio is not None]
        return statistics.median(found) if found else None

    def driver(self, at: int) -> float | None:
        """The driver's time for one, the median of the runs."""
        medians = [case.median("driver") for case in self.cases(at)]
        found = [median for median in medians if median is not None]
        return statistics.median(found) if found else None

    # -- the table -------------------------------------------------------------------------

    def table(self) -> str:
        header = ["operation", "driver", *self.labels, "goal", "least", "", "rounds"]
        lines = [header, *(self._line(at) for at in range(len(self.operations)))]
        return "\n".join([f"{self.title}", aligned(lines), *self._remarks()])

    def _line(self, at: int) -> list[str]:
        operation, driver = self.operations[at], self.driver(at)
        goal, least = operation.goals[self.database]
        ratios = [self.ratio(at, label) for label in self.labels]
        return [
            operation.name,
            "–" if driver is None else _time(operation, driver),
            *("–" if ratio is None else _figure(ratio) for ratio in ratios),
            _figure(goal),
            _figure(least),
            _mark(operation, self.ratio(at, "kit"), goal, least),
            self._rounds(at),
        ]

    def _rounds(self, at: int) -> str:
        counts = [len(times) for case in self.cases(at) for times in case.seconds.values()]
        low, high = min(counts, default=0), max(counts, default=0)
        return str(low) if low == high else f"{low}-{high}"

    def _remarks(self) -> list[str]:
        failed = {
            f"  {case.operation.name}: {label} failed: {error}"
            for run in self.runs
            for case in run
            for label, error in case.failed.items()
        }
        errors = {
            f"  {case.operation.name}: {label}: {count} × {error}"
            for run in self.runs
            for case in run
            for label, counts in case.errors.items()
            for error, count in counts.items()
        }
        return [*sorted(failed), *sorted(errors)]

    # -- JSON ------------------------------------------------------------------------------

    def as_json(self) -> dict[str, Any]:
        return {
            "database": self.database,
            "operations": [self._operation(at) for at in range(len(self.operations))],
        }

    def _operation(self, at: int) -> dict[str, Any]:
        operation = self.operations[at]
        goal, least = operation.goals[self.database]
        return {
            "name": operation.name,
            "rate": operation.is_rate,
            "driver_seconds": self.driver(at),
            "ratios": {label: self.ratio(at, label) for label in self.labels},
            "goal": goal,
            "least": least,
            "runs": [
                {"seconds": case.seconds, "failed": case.failed, "errors": case.errors}
                for case in self.cases(at)
            ],
        }


def _mark(operation: Operation, ratio: float | None, goal: float, least: float) -> str:
    if ratio is None:
        return ""
    if operation.is_rate:
        ratio, goal, least = -ratio, -goal, -least
    return "goal" if ratio <= goal else "least" if ratio <= least else "MISSED"


def _figure(ratio: float) -> str:
    return f"{ratio:.0f}" if ratio >= 100 else f"{ratio:.1f}" if ratio >= 10 else f"{ratio:.2f}"


def _time(operation: Operation, seconds: float) -> str:
    return f"{1 / seconds:.0f}/s" if operation.is_rate else duration(seconds * operation.unit)


def duration(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{seconds * 1e3:.2f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.1f} µs"


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Columns, the first one to the left."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if at else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def write_json(path: Path, found: Mapping[str, str], reports: Sequence[Report]) -> None:
    """All figures, each time included."""
    content = {"versions": found, "databases": [report.as_json() for report in reports]}
    path.write_text(json.dumps(content, indent=2) + "\n", "utf-8")


# -- the chart --------------------------------------------------------------------------------

_FAR = 200
"""Where the bars are cut off."""

_COLORS = {
    "SQLAlchemy": "#9aa7b8",
    "SQLModel": "#6f8fb5",
    "advanced-alchemy": "#b58a6f",
    "Django": "#6fa58a",
    "peewee": "#c9b458",
    "kit": "#c0392b",
}


def write_chart(path: Path, reports: Sequence[Report]) -> None:
    """Bars of all ratios, one panel for each database. Needs matplotlib."""
    matplotlib: Any = importlib.import_module("matplotlib")
    matplotlib.use("Agg")
    pyplot: Any = importlib.import_module("matplotlib.pyplot")
    count = max(len(report.operations) for report in reports)
    size = (7 * len(reports) + 3, 0.75 * count + 1.6)
    figure, panels = pyplot.subplots(1, len(reports), figsize=size, sharey=True, squeeze=False)
    for panel, report in zip(panels[0], reports, strict=True):
        _draw(panel, report)
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper center", ncols=len(labels), frameon=False)
    figure.tight_layout(rect=(0, 0, 1, 1 - 0.5 / size[1]))
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _draw(panel: Any, report: Report) -> None:
    names = [each.name for each in report.operations]
    far = 2 * _FAR
    height = 0.84 / len(report.labels)
    for row, label in enumerate(report.labels):
        places = [at - 0.42 + (row + 0.5) * height for at in range(len(names))]
        widths = [_slowness(report, at, label) for at in range(len(names))]
        shown = [min(width, far) for width in widths]
        panel.barh(places, shown, height, left=1, label=label, color=_COLORS[label])
        for place, width in zip(places, widths, strict=True):
            if width > _FAR or (width and label == "kit"):
                _write(panel, place, width + 1)
    panel.set_xscale("log")
    ticks = (0.5, 1, 2, 5, 10, 20, 50, 100, _FAR)
    panel.set_xlim(0.5, _FAR)
    panel.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    panel.minorticks_off()
    panel.set_yticks(range(len(names)), names)
    panel.set_ylim(len(names) - 0.5, -0.5)
    panel.axvline(1, color="black", linewidth=0.8)
    panel.grid(axis="x", alpha=0.3)
    panel.set_axisbelow(True)
    panel.set_title(report.title)
    panel.set_xlabel("times the driver's time (of the threads: times slower); less is better")


def _write(panel: Any, place: float, ratio: float) -> None:
    """The figure of a bar at its end, or at the edge if it reaches beyond."""
    beyond = ratio > _FAR / 1.3
    at, side = (_FAR, "right") if beyond else (max(ratio, 1) * 1.04, "left")
    panel.text(at, place, f" {_figure(ratio)} ", ha=side, va="center", fontsize=8)


def _slowness(report: Report, at: int, label: str) -> float:
    """How far a bar reaches beyond the driver."""
    ratio = report.ratio(at, label)
    if ratio is None:
        return 0.0
    return (1 / ratio if report.operations[at].is_rate else ratio) - 1
