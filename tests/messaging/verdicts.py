"""What is asked of messages, whatever has happened to the relays."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

Told = tuple[str | None, int]
"""What a message tells: its row, and its number in it, from 1."""

WINDOWS = ("while publishing", "before settling", "too late")
"""In which nobody can know whether a message has arrived."""


class Arrival(NamedTuple):
    """One message, once."""

    process: int
    id: str
    told: Told
    came_before: str
    """What its process noted next: where it was killed, that it settled, or was too late."""

    @property
    def is_explained(self) -> bool:
        """Whether it may come again."""
        return self.came_before in WINDOWS


@dataclass
class Verdict:
    """What is wrong, and how often messages came twice for which reason."""

    lost: set[Told] = field(default_factory=set)
    untrue: set[Told] = field(default_factory=set)
    """They arrived, and were never committed."""
    disordered: list[tuple[Told, Told]] = field(default_factory=list)
    renamed: set[Told] = field(default_factory=set)
    """They came again under another id."""
    unexplained: list[Arrival] = field(default_factory=list)
    duplicates: Counter[str] = field(default_factory=Counter)

    @property
    def is_good(self) -> bool:
        faults = (self.lost, self.untrue, self.disordered, self.renamed, self.unexplained)
        return not any(faults)


def judge(path: Path, committed: Iterable[Told]) -> Verdict:
    """Look at what was noted, and at what was to be told."""
    arrivals, verdict = read(path), Verdict()
    wanted = set(committed)
    seen = {arrival.told for arrival in arrivals}
    verdict.lost, verdict.untrue = wanted - seen, seen - wanted
    verdict.disordered = list(_disordered(arrivals))
    by_told = defaultdict[Told, list[Arrival]](list)
    for arrival in arrivals:
        by_told[arrival.told].append(arrival)
    for told, found in by_told.items():
        if len({arrival.id for arrival in found}) > 1:
            verdict.renamed.add(told)
        if len(found) > 1:
            verdict.duplicates.update(one.came_before for one in found if one.is_explained)
            verdict.unexplained += [one for one in found if not one.is_explained][1:]
    return verdict


def read(path: Path) -> list[Arrival]:
    """All arrivals in their order, each with what followed it in its process."""
    found: list[tuple[int, list[str]]] = []
    for line in path.read_text().splitlines():
        process, *what = line.split("\t")
        found.append((int(process), what))
    after: dict[int, str] = {}
    arrivals: list[Arrival] = []
    for process, what in reversed(found):
        if what[0] == "arrived":
            _, id, row, number = what
            told = (None if row == "None" else row, int(number))
            arrivals.append(Arrival(process, id, told, after.get(process, "nothing")))
        else:
            after[process] = what[-1]
    return arrivals[::-1]


def _disordered(arrivals: Iterable[Arrival]) -> Iterable[tuple[Told, Told]]:
    """A message that came before an earlier one of its row had come for the first time."""
    latest: dict[str, Told] = {}
    for arrival in arrivals:
        row, number = arrival.told
        if row is None:
            continue
        before = latest.get(row, (row, 0))
        if number > before[1] + 1:
            yield before, arrival.told
        latest[row] = max(before, arrival.told)
