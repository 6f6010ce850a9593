"""Compare the kit with the raw driver and with what else one would use: python -m benchmarks.

All are measured in one process, in turns, on the same tables. Compare the
ratios, and those only roughly: other work on the machine disturbs them.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks import data
from benchmarks.contenders import contender_class, labels_of
from benchmarks.harness import Case
from benchmarks.keeper import PLACES, Keeper
from benchmarks.operations import Operation, operations
from benchmarks.report import NOTES, Report, versions, write_chart, write_json


def installed(labels: Sequence[str]) -> list[str]:
    """Those whose packages are there; the others are named."""
    found = []
    for label in labels:
        try:
            contender_class(label)
            found.append(label)
        except ModuleNotFoundError as error:
            print(f"{label}: skipped, {error.name} is not installed")
    return found


@contextmanager
def opened(url: str, labels: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The contenders, connected to a database."""
    with ExitStack() as stack:
        contenders: dict[str, Any] = {}
        for label in labels:
            try:
                contenders[label] = contender_class(label)(url)
            except Exception as error:  # noqa: BLE001 -- the others go on
                print(f"{label}: skipped: {type(error).__name__}: {error}")
                continue
            stack.callback(contenders[label].close)
        yield contenders


def run(
    keeper: Keeper, labels: Sequence[str], chosen: Sequence[Operation], seconds: float
) -> list[Case]:
    """Measure all operations on one new database."""
    keeper.fill(big=any(each.big for each in chosen))
    left, cases = sum(each.weight for each in chosen), []
    end = time.perf_counter() + seconds
    data.prepare()
    with opened(keeper.url, labels) as contenders:
        for each in contenders.values():
            each.prepare()
        for operation in chosen:
            case = Case(operation, keeper, contenders)
            started = time.perf_counter()
            case.measure(max(end - started, 0) * operation.weight / left)
            left -= operation.weight
            cases.append(case)
            took = time.perf_counter() - started
            print(f"{keeper.title}: {operation.name}: {took:.0f} s", file=sys.stderr)
    return cases


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = parser.add_argument
    add("--seconds", type=float, default=300, help="how long a run takes, roughly (300)")
    add("--only", default="", help="operations with this in their name")
    add("--peers", type=labels_of, default=labels_of(), metavar="NAME,…", help="all by default")
    add("--database", choices=sorted(PLACES), help="only this one")
    add("--runs", type=int, default=1, help="the medians of so many runs are shown (1)")
    add("--chart", type=Path, metavar="FILE.png", help="bars of the ratios, drawn by matplotlib")
    add("--json", type=Path, metavar="FILE", help="all figures")
    return parser.parse_args()


def compare(options: argparse.Namespace) -> tuple[list[Report], list[str]]:
    """Measure everything, on each database as often as asked for; and their versions."""
    chosen, labels = operations(options.only), installed(options.peers)
    places = {name: PLACES[name] for name in PLACES if options.database in (None, name)}
    reports = {name: Report(name, title, labels) for name, (title, _) in places.items()}
    found: dict[str, str] = {}
    for _ in range(options.runs):
        for name, (title, place) in places.items():
            with place() as url:
                if url is None:
                    continue
                keeper = Keeper(title, url)
                try:
                    found[name] = keeper.version()
                    cases = run(keeper, labels, chosen, options.seconds / len(places))
                    reports[name].runs.append(cases)
                finally:
                    keeper.close()
    return [report for report in reports.values() if report.runs], list(found.values())


def main() -> int:
    options = arguments()
    if options.chart and importlib.util.find_spec("matplotlib") is None:
        print("the chart needs matplotlib, which is not installed")
        return 2
    waiting, processors = os.getloadavg()[0], os.cpu_count() or 1
    if waiting > processors / 4:
        print(
            f"other work is going on (load {waiting:.1f}): long calls suffer more than short ones"
        )
    if not operations(options.only):
        print(f"no operation has {options.only!r} in its name")
        return 2
    reports, databases = compare(options)
    found = versions(databases)
    print(", ".join(f"{name} {number}" for name, number in found.items()))
    for report in reports:
        print(f"\n{report.table()}", flush=True)
    print(f"\n{NOTES}")
    if options.json:
        write_json(options.json, found, reports)
    if options.chart:
        write_chart(options.chart, reports)
    wrong = any(case.failed.get("kit") for report in reports for run in report.runs for case in run)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
