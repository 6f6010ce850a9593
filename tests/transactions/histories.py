"""Finds what no serial execution could have shown, in a history of lists that were appended to.

A list shows in which order its values came, and so which transaction wrote before
which, saw which, and was overwritten by which. Elle: Inferring Isolation Anomalies
from Experimental Observations, Kingsbury and Alvaro, VLDB 2020.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter, defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple

Values = tuple[int, ...]


class Append(NamedTuple):
    """A value that is appended once in the whole history."""

    key: str
    value: int


class Read(NamedTuple):
    """What a list held; None if nobody was told."""

    key: str
    values: Values | None


class Outcome(StrEnum):
    """What the client knows of its transaction."""

    OK = "ok"
    FAIL = "fail"
    UNKNOWN = "unknown"


@dataclass(frozen=True, eq=False)
class Transaction:
    """A transaction as its client saw it; times are those of one clock for all."""

    id: str
    process: int
    operations: Sequence[Append | Read]
    outcome: Outcome = Outcome.OK
    start: float = 0.0
    end: float = math.inf


class Anomaly(NamedTuple):
    """What no serial execution shows, and the transactions that have a part in it."""

    kind: str
    transactions: tuple[str, ...]
    what: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}"


def anomalies_of(history: Iterable[Transaction], *, real_time: bool = True) -> list[Anomaly]:
    """All anomalies; none means that some serial execution shows the same.

    With ``real_time``, one in which whatever had ended before another began comes
    before it: strict serializability.
    """
    checked = _History(list(history))
    found = [*checked.wrong_reads(), *checked.wrong_orders(), *checked.lost_writes()]
    found += _cycles_in(checked.dependencies(real_time=real_time))
    return list(dict.fromkeys(found))


def report(anomalies: Sequence[Anomaly], most: int = 5) -> str:
    """How many of each kind, and a line for the first of them."""
    kinds = Counter(each.kind for each in anomalies)
    lines = []
    for kind, count in kinds.items():
        lines += [str(each) for each in anomalies if each.kind == kind][:most]
        if count > most:
            lines.append(f"{kind}: {count - most} more")
    return "\n".join([f"{len(anomalies)} anomalies", *lines])


class _History:
    """The transactions that were committed, and the order of each list."""

    def __init__(self, every: list[Transaction]) -> None:
        self.writers = _writers_of(every)
        told = [each for each in every if each.outcome is Outcome.OK]
        seen = {value for each in told for _, values in _reads_of(each) for value in values}
        self.committed = [each for each in every if _was_committed(each, seen)]
        self.orders: defaultdict[str, Values] = defaultdict(tuple)
        for each in self.committed:
            for key, values in _reads_of(each):
                self.orders[key] = max(self.orders[key], values, key=len)
        self.unseen: defaultdict[str, list[int]] = defaultdict(list)
        for each in self.committed:
            for key, value in _appends_of(each):
                if value not in self.orders[key]:
                    self.unseen[key].append(value)

    # -- what a read shows -----------------------------------------------------------------

    def wrong_reads(self) -> Iterator[Anomaly]:
        """What one read is enough to see."""
        for reader in self.committed:
            for key, values, _, fits in _views_of(reader):
                what = f"{reader.id} read {key} = {_shown(values)}"
                if not fits:
                    did = ", ".join(map(_in_short, reader.operations))
                    yield Anomaly("internal", (reader.id,), f"{what}, in all it did: {did}")
                if len(set(values)) < len(values):
                    yield Anomaly("duplicate", (reader.id,), what)
                yield from self._wrong_values(reader, key, values, what)

    def _wrong_values(
        self, reader: Transaction, key: str, values: Values, what: str
    ) -> Iterator[Anomaly]:
        for writer in dict.fromkeys(self.writers.get((key, value)) for value in values):
            if writer is None:
                yield Anomaly("unknown value", (reader.id,), f"{what}, not all was appended")
                continue
            both = (reader.id, writer.id)
            whole = {own for where, own in _appends_of(writer) if where == key}
            if writer.outcome is Outcome.FAIL:
                yield Anomaly("aborted read", both, f"{what}, but {writer.id} had failed")
            elif writer is not reader and not whole <= set(values):
                yield Anomaly("intermediate read", both, f"{what}, only a part of {writer.id}")

    def wrong_orders(self) -> Iterator[Anomaly]:
        """Reads of which none is the beginning of the other."""
        for reader in self.committed:
            for key, values in _reads_of(reader):
                pairs = enumerate(zip(values, self.orders[key], strict=False))
                for place, (value, other) in pairs:
                    if value != other:
                        what = f"{reader.id} read {value} in place {place} of {key}, others {other}"
                        yield Anomaly("incompatible order", (reader.id,), what)
                        break

    def lost_writes(self) -> Iterator[Anomaly]:
        """What was acknowledged, and is missing from the last read that began afterwards."""
        last: dict[str, tuple[Transaction, Values]] = {}
        for reader in sorted(self.committed, key=lambda each: each.start):
            last |= {key: (reader, values) for key, values in _reads_of(reader)}
        for (key, value), writer in self.writers.items():
            reader, values = last.get(key, (writer, ()))
            if writer.outcome is Outcome.OK and writer.end < reader.start and value not in values:
                what = f"{writer.id} appended {value} to {key}, {reader.id} read {_shown(values)}"
                yield Anomaly("lost write", (writer.id, reader.id), what)

    # -- what comes before what ------------------------------------------------------------

    def dependencies(self, *, real_time: bool) -> _Graph:
        """Who comes before whom in each serial execution that shows the same."""
        graph = _Graph()
        for key, order in self.orders.items():
            after_all = [(order[-1], value) for value in self.unseen[key]] if order else []
            for before, after in [*pairwise(order), *after_all]:
                graph.add(self._writer(key, before), "ww", self._writer(key, after))
        for reader in self.committed:
            for key, others in _first_views_of(reader).items():
                self._link_read(graph, reader.id, key, others)
        if real_time:
            _link_times(graph, self.committed)
        return graph

    def _link_read(self, graph: _Graph, reader: str, key: str, seen: Values) -> None:
        order = self.orders[key]
        if seen != order[: len(seen)]:
            return  # an anomaly by itself; what it depends on cannot be said
        if seen:
            graph.add(self._writer(key, seen[-1]), "wr", reader)
        for unread in order[len(seen) : len(seen) + 1] or self.unseen[key]:
            graph.add(reader, "rw", self._writer(key, unread))

    def _writer(self, key: str, value: int) -> str | None:
        writer = self.writers.get((key, value))
        return None if writer is None else writer.id


def _writers_of(every: Iterable[Transaction]) -> dict[tuple[str, int], Transaction]:
    writers: dict[tuple[str, int], Transaction] = {}
    for each in every:
        for append in _appends_of(each):
            if append in writers:
                raise ValueError(f"{append} is in the history twice: nobody can tell them apart")
            writers[append] = each
    return writers


def _was_committed(each: Transaction, seen: Collection[int]) -> bool:
    """Whether it was acknowledged, or somebody saw what it wrote."""
    if each.outcome is Outcome.UNKNOWN:
        return any(value in seen for _, value in _appends_of(each))
    return each.outcome is Outcome.OK


def _appends_of(each: Transaction) -> list[Append]:
    return [operation for operation in each.operations if isinstance(operation, Append)]


def _reads_of(each: Transaction) -> Iterator[tuple[str, Values]]:
    for operation in each.operations:
        if isinstance(operation, Read) and operation.values is not None:
            yield operation.key, operation.values


def _views_of(each: Transaction) -> Iterator[tuple[str, Values, Values, bool]]:
    """Each read: key, values, those before its own, whether it fits what it did before."""
    own: defaultdict[str, Values] = defaultdict(tuple)
    before: dict[str, Values] = {}
    for operation in each.operations:
        if isinstance(operation, Append):
            own[operation.key] += (operation.value,)
        elif (values := operation.values) is not None:
            key, already = operation.key, own[operation.key]
            others = values[: max(0, len(values) - len(already))]
            early = any(append in _appends_of(each) for append in ((key, v) for v in others))
            known = before.setdefault(key, others)
            yield key, values, others, values == known + already and not early


def _first_views_of(each: Transaction) -> dict[str, Values]:
    first: dict[str, Values] = {}
    for key, _, others, fits in _views_of(each):
        if fits:
            first.setdefault(key, others)
    return first


def _in_short(operation: Append | Read) -> str:
    if isinstance(operation, Append):
        return f"append {operation.value} to {operation.key}"
    return f"read {operation.key} = {_shown(operation.values or ())}"


def _shown(values: Values, ends: int = 4) -> str:
    """Both ends of a list."""
    if len(values) <= 2 * ends:
        return str(list(values))
    first, last = str(list(values[:ends])), str(list(values[-ends:]))
    return f"{first[:-1]}, ... {last[1:]}"


# -- cycles --------------------------------------------------------------------------------


class _Moment(NamedTuple):
    """When a transaction ended: all that ended until then come before all that begin later."""

    time: float
    id: str


_Node = str | _Moment
_Kinds = Sequence[str]
_Edges = defaultdict[_Node, dict[_Node, set[str]]]
_Step = tuple[_Node, str]
"""A node, and the kind of the edge by which it is left."""

_WRITES = ("ww",)
_SEEN = ("ww", "wr")
_ALL = ("ww", "wr", "rw")


class _Graph:
    """Who comes before whom, and why: wrote (ww), was seen (wr), or was not seen yet (rw)."""

    def __init__(self) -> None:
        self.after: _Edges = defaultdict(dict)
        self.before: _Edges = defaultdict(dict)

    def add(self, before: _Node | None, kind: str, after: _Node | None) -> None:
        if before is not None and after is not None and before != after:
            self.after[before].setdefault(after, set()).add(kind)
            self.before[after].setdefault(before, set()).add(kind)

    def components(self, kinds: _Kinds, within: Iterable[_Node]) -> list[set[_Node]]:
        """Nodes that all lead to each other, where they are several."""
        left, found = set(within), []
        for edges in (self.after, self.before):
            left = self._trimmed(edges, kinds, left)
        while left:
            node = next(iter(left))
            behind, ahead = (
                _came_from(edges, node, kinds, left).keys() for edges in (self.before, self.after)
            )
            component = (behind & ahead) | {node}
            left -= component
            if len(component) > 1:
                found.append(component)
        return found

    def _trimmed(self, edges: _Edges, kinds: _Kinds, within: set[_Node]) -> set[_Node]:
        """Without what leads nowhere: of a history without cycles, nothing is left."""
        left, waiting = set(within), list(within)
        backwards = self.before if edges is self.after else self.after
        while waiting:
            node = waiting.pop()
            if node in left and not any(True for _ in _next(edges, node, kinds, left)):
                left.remove(node)
                waiting += backwards[node]
        return left

    def path(
        self, start: _Node, goal: _Node, kinds: _Kinds, within: Collection[_Node]
    ) -> list[_Step] | None:
        """The steps of the shortest way; once around where ``start`` is the ``goal``."""
        came = _came_from(self.after, start, kinds, within)
        if goal not in came:
            return None
        steps = [came[goal]]
        while steps[-1][0] != start:
            steps.append(came[steps[-1][0]])
        return steps[::-1]


def _next(
    edges: _Edges, node: _Node, kinds: _Kinds, within: Collection[_Node]
) -> Iterator[tuple[_Node, str]]:
    for other, reasons in edges[node].items():
        kind = next((kind for kind in kinds if kind in reasons), None)
        if kind is not None and other in within:
            yield other, kind


def _came_from(
    edges: _Edges, start: _Node, kinds: _Kinds, within: Collection[_Node]
) -> dict[_Node, _Step]:
    """For each node that can be reached, the last step of a shortest way."""
    came: dict[_Node, _Step] = {}
    waiting = deque([start])
    while waiting:
        node = waiting.popleft()
        for other, kind in _next(edges, node, kinds, within):
            if other not in came:
                came[other] = (node, kind)
                waiting.append(other)
    return came


def _link_times(graph: _Graph, committed: Sequence[Transaction]) -> None:
    """By way of moments: pairs that lie one after the other are too many."""
    ends = sorted(_Moment(each.end, each.id) for each in committed if each.end < math.inf)
    for end in ends:
        graph.add(end.id, "rt", end)
    for end, next_end in pairwise(ends):
        graph.add(end, "rt", next_end)
    for each in committed:
        before = bisect_left(ends, (each.start, ""))
        if before:
            graph.add(ends[before - 1], "rt", each.id)


def _cycles_in(graph: _Graph) -> Iterator[Anomaly]:
    """The worst cycle of each component."""
    for component in graph.components((*_ALL, "rt"), graph.after):
        kind, steps = _worst(graph, component)
        shown = [(node, why) for node, why in steps if not isinstance(node, _Moment)]
        words = "".join(f"{node} -{why}-> " for node, why in shown)
        yield Anomaly(kind, tuple(node for node, _ in shown), words + shown[0][0])


def _worst(graph: _Graph, component: set[_Node]) -> tuple[str, list[_Step]]:
    for suffix, times in (("", ()), ("-realtime", ("rt",))):
        for kind, kinds in (("G0", _WRITES), ("G1c", _SEEN)):
            if steps := _shortest(graph, component, (*kinds, *times)):
                return kind + suffix, steps
        if steps := _with_one_unread(graph, component, (*_SEEN, *times)):
            return "G-single" + suffix, steps
        if steps := _shortest(graph, component, (*_ALL, *times)):
            return "G2" + suffix, steps
    raise AssertionError("a component without a cycle")


def _shortest(graph: _Graph, within: set[_Node], kinds: _Kinds) -> list[_Step] | None:
    components = graph.components(kinds, within)
    if not components:
        return None
    smallest = min(components, key=len)
    ways = (graph.path(node, node, kinds, smallest) for node in sorted(smallest, key=str)[:50])
    return min((way for way in ways if way is not None), key=len)


def _with_one_unread(graph: _Graph, within: set[_Node], kinds: _Kinds) -> list[_Step] | None:
    """A cycle in which one read only came too early; two of them are a weaker anomaly."""
    for reader in within:
        for writer, _ in _next(graph.after, reader, ("rw",), within):
            way = graph.path(writer, reader, kinds, within)
            if way is not None:
                return [(reader, "rw"), *way]
    return None
