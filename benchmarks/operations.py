"""What is measured, what has to come of it, and how close to the driver the kit has to be."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from benchmarks import data
from benchmarks.keeper import Keeper

Check = Callable[[Any, Keeper, bool], None]
"""Of what a call returned, and what it stored; thorough for the first call."""


class WrongResult(AssertionError):
    """A contender did something else than was asked for."""


@dataclass(frozen=True)
class Operation:
    """One thing to do: the contenders have methods of that name."""

    name: str
    method: str
    goals: Mapping[str, tuple[float, float]]
    """By database: the ratio that is aimed at, and the least that counts."""

    check: Check
    arguments: tuple[Any, ...] = ()
    kind: str = "plain"
    """Or ``opened``: the method prepares and gives the call; or ``threads``: units a second."""

    per: int = 1
    """How often a call does it; small operations only, too short to be timed alone."""

    unit: int = 1
    """Of how many the time is told."""

    writes: bool = False
    before: Callable[[Keeper], None] | None = None
    big: bool = False
    """Reads the large table."""

    heavy: bool = False
    """Some take long: nobody is called before it is measured."""

    weight: float = 1.0
    """Its share of the time."""

    is_rate: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "is_rate", self.kind == "threads")


# -- checks -----------------------------------------------------------------------------------


def as_row(found: Any) -> tuple[Any, ...]:
    """A tuple or an object as the row that it is, its time stamp aware."""
    if isinstance(found, tuple):
        *rest, moment = found
    else:
        *rest, moment = (getattr(found, name) for name in ("id", *data.FIELDS))
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    return (*rest, moment.replace(tzinfo=moment.tzinfo or UTC))


def _same(what: str, found: Any, wanted: Any) -> None:
    if found != wanted:
        raise WrongResult(f"{what}: {str(found)[:120]}, not {str(wanted)[:120]}")


def rows(expected: Callable[[], Sequence[data.Row]]) -> Check:
    """These rows are returned, in any order."""

    def check(found: Any, _keeper: Keeper, thorough: bool) -> None:
        wanted = expected()
        _same("rows", len(found), len(wanted))
        if thorough:
            _same("the rows", sorted(map(as_row, found)), sorted(wanted))

    return check


def paged(found: Any, _keeper: Keeper, _thorough: bool) -> None:
    """One page and the total are returned."""
    items, total = found
    _same("total", total, data.BIG)
    first = (data.PAGE - 1) * data.SIZE + 1
    _same("page", [as_row(item) for item in items], data.rows(first, first + data.SIZE - 1))


def windowed(found: Any, _keeper: Keeper, _thorough: bool) -> None:
    """One window is returned."""
    first = (data.WINDOW - 1) * data.SIZE + 1
    _same("window", [as_row(item) for item in found], data.rows(first, first + data.SIZE - 1))


def streamed(found: Any, _keeper: Keeper, _thorough: bool) -> None:
    """All rows came by."""
    total, last = found
    _same("sum of keys", total, data.BIG * (data.BIG + 1) // 2)
    _same("last row", as_row(last), data.row(data.BIG))


def created(count: int, *, returned: bool) -> Check:
    """So many rows are stored, and returned with their keys."""

    def check(found: Any, keeper: Keeper, thorough: bool) -> None:
        _same("stored", keeper.number("SELECT count(*) FROM items"), data.READ + count)
        if returned:
            keys = {as_id(each) for each in found} - {None}
            _same("keys", len(keys), count)
            keys_stored = keeper.number(
                f"SELECT min(id) + max(id) FROM items WHERE id > {data.READ}"  # noqa: S608
            )
            _same("first and last key", min(keys) + max(keys), keys_stored)
        if thorough:
            stored = sorted(as_row(row) for row in keeper.added())
            _same("what is stored", stored, sorted(data.new(count)))

    return check


def as_id(found: Any) -> Any:
    """The key of what was created: the driver gives keys or tuples."""
    if isinstance(found, int):
        return found
    return found[0] if isinstance(found, tuple) else found.id


def stored(condition: str, count: int, total: int = data.READ) -> Check:
    """So many rows fulfil a condition, of so many."""

    def check(_found: Any, keeper: Keeper, _thorough: bool) -> None:
        sql = f"SELECT count(*) FROM items WHERE {condition}"  # noqa: S608
        _same(condition, keeper.number(sql), count)
        _same("stored", keeper.number("SELECT count(*) FROM items"), total)

    return check


def worked(units: Any, keeper: Keeper, _thorough: bool) -> None:
    """Each unit has changed a row and added one."""
    added = keeper.number("SELECT count(*) FROM items") - data.READ
    grown = f"SELECT sum(age - id % 90) FROM items WHERE id <= {data.READ}"  # noqa: S608
    _same("rows added", added, units)
    _same("changes", keeper.number(grown), units)


# -- all of them ------------------------------------------------------------------------------


def _goals(*figures: float) -> dict[str, tuple[float, float]]:
    return {"sqlite": (figures[0], figures[1]), "postgresql": (figures[2], figures[3])}


def _all() -> Sequence[data.Row]:
    return data.rows(1, data.READ)


def _by_id() -> Sequence[data.Row]:
    return [data.row(id) for id in data.IDS]


OPERATIONS = [
    Operation(
        "unit of work: open, insert one, commit, close",
        "insert_units",
        _goals(3.2, 4.8, 1.3, 1.7),
        created(data.UNITS, returned=True),
        per=data.UNITS,
        writes=True,
    ),
    Operation(
        "get_by_id, a read-only unit each",
        "get_each",
        _goals(3.5, 10.5, 1.7, 3.3),
        rows(_by_id),
        per=len(data.IDS),
    ),
    Operation(
        "get_by_id, within one unit",
        "get_within",
        _goals(2.0, 4.5, 1.8, 3.0),
        rows(_by_id),
        per=len(data.IDS),
        unit=len(data.IDS),
    ),
    Operation(
        "get_by_id, already loaded",
        "get_loaded",
        _goals(6, 10, 6, 10),
        rows(lambda: list(_by_id()) * (data.LOOKUPS // len(data.IDS))),
        kind="opened",
        per=data.LOOKUPS,
        unit=data.LOOKUPS,
    ),
    Operation(
        "create_many 1,000, entities back",
        "create_many",
        _goals(3.0, 3.6, 1.5, 1.9),
        created(1000, returned=True),
        (1000,),
        writes=True,
        weight=2,
    ),
    Operation(
        "create_many 100,000, entities back",
        "create_many",
        _goals(4.0, 4.5, 2.2, 2.6),
        created(data.MANY, returned=True),
        (data.MANY,),
        writes=True,
        heavy=True,
        weight=20,
    ),
    Operation(
        "bulk_create 100,000, validated",
        "bulk_create",
        _goals(2.2, 2.5, 1.5, 1.7),
        created(data.MANY, returned=False),
        (data.MANY,),
        writes=True,
        heavy=True,
        weight=10,
    ),
    Operation(
        "get_all 10,000, tracked",
        "get_all",
        _goals(5.2, 6.0, 5.1, 5.5),
        rows(_all),
        weight=2,
    ),
    Operation(
        "get_all 10,000, read-only unit",
        "get_all_read_only",
        _goals(1.7, 2.2, 1.6, 2.2),
        rows(_all),
        weight=2,
    ),
    Operation(
        "stream 1,000,000, read-only unit",
        "stream",
        _goals(1.5, 2.0, 1.5, 2.0),
        streamed,
        big=True,
        heavy=True,
        weight=26,
    ),
    Operation("page with total", "page", _goals(1.1, 1.2, 1.0, 1.15), paged, big=True),
    Operation(
        "window, page 1,000",
        "window",
        _goals(4.0, 6.0, 1.5, 1.6),
        windowed,
        per=data.UNITS,
        big=True,
    ),
    Operation(
        "load, change, commit one",
        "change_units",
        _goals(5.0, 7.0, 1.4, 1.75),
        stored("age = id % 90 + 1", data.UNITS),
        per=data.UNITS,
        writes=True,
    ),
    Operation(
        "bulk_update 10,000 with different values",
        "bulk_update",
        _goals(1.3, 1.5, 1.0, 1.2),
        stored("age = id % 90 + 1 AND score = id / 8.0 + 0.5", data.READ),
        writes=True,
        heavy=True,
        weight=5,
    ),
    Operation(
        "delete_where 10,000 ids",
        "delete_where",
        _goals(1.05, 1.2, 0.95, 1.1),
        stored("age = id % 90", data.READ),
        writes=True,
        before=Keeper.add_doomed,
        weight=2,
    ),
    Operation(
        "bulk_upsert 10,000, half exist",
        "bulk_upsert",
        _goals(1.5, 2.0, 1.1, 1.3),
        stored("name LIKE 'Changed%'", data.READ, total=data.READ + data.READ // 2),
        writes=True,
        heavy=True,
        weight=5,
    ),
    Operation(
        "8 threads, read + update + insert a unit",
        "work",
        _goals(0.25, 0.18, 0.31, 0.26),
        worked,
        kind="threads",
        writes=True,
        heavy=True,
        weight=4,
    ),
]


def operations(part: str) -> list[Operation]:
    """Those whose name has this part."""
    return [each for each in OPERATIONS if part.lower() in each.name.lower()]
