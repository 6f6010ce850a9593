"""Windows: every row once, whatever the data, whichever way, while rows come and go."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, ClassVar
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Index, text
from sqlmodel import Field

from domain import Entity, where
from domain.errors import ValidationError
from domain.specification import Specification
from infrastructure.database import BaseRepository, BaseUnitOfWork, Database, Model


class Colour(Enum):
    RED = 1
    BLUE = 2


@dataclass(eq=False, kw_only=True)
class Note(Entity):
    a: str
    b: int | None = None
    c: Decimal | None = None
    d: datetime | None = None
    e: float = 0.0
    f: Colour | None = None
    id: int | None = None


class NoteModel(Note, Model, table=True):
    __tablename__: ClassVar[str] = "windowed_notes"

    id: int | None = Field(default=None, primary_key=True)


class PairRow(Model, table=True):
    __tablename__: ClassVar[str] = "windowed_pairs"

    left: int = Field(primary_key=True)
    right: UUID = Field(primary_key=True)
    word: str = ""


class Event(Model, table=True):
    __tablename__: ClassVar[str] = "windowed_events"
    __table_args__ = (
        Index("by_moment", "moment", "id"),
        Index("by_rank", "rank", "id"),
    )

    id: int | None = Field(default=None, primary_key=True)
    moment: int
    rank: int | None = None


class NoteRepository(BaseRepository[Note]):
    model = NoteModel


class Units(BaseUnitOfWork):
    notes: NoteRepository


@pytest.fixture
def tables() -> list[Any]:
    return [NoteModel, PairRow, Event]


notes = st.builds(
    Note,
    a=st.sampled_from(["", "_", "a", "B", "Z", "é", "aa", "\U0001f600"]),
    b=st.none() | st.integers(-2, 2),
    c=st.none() | st.sampled_from([Decimal(1), Decimal("1.0"), Decimal("-2.5"), Decimal(10)]),
    d=st.none() | st.sampled_from([datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2)]),
    e=st.sampled_from([0.0, 1e300, -1.5, float("inf")]),
    f=st.none() | st.sampled_from(Colour),
)
fields = st.sampled_from(["a", "b", "c", "d", "e", "f", "id"])
orders = st.lists(
    st.builds(lambda field, minus: minus + field, fields, st.sampled_from(["", "-"])),
    max_size=3,
)


def covered(
    uow: Units, order: Any, size: int, changes: Any, *criteria: Specification
) -> tuple[list[int], set[int], set[int]]:
    """The ids of all windows forwards; those that went, and those that came, on the way."""
    seen: list[int] = []
    gone: set[int] = set()
    came: set[int] = set()
    cursor = None
    for _ in range(200):
        window = uow.notes.window(*criteria, order_by=order, after=cursor, size=size)
        seen += [_id(note) for note in window]
        cursor = window.next
        if cursor is None:
            return seen, gone, came
        for new, victim in changes:
            came.add(_id(uow.notes.create(_copy(new))))
            ids = [_id(note) for note in uow.notes.get_all(order_by="id")]
            gone.add(ids[victim % len(ids)])
            uow.notes.delete(ids[victim % len(ids)])
        changes = changes[1:]
    raise AssertionError("it does not end")


def _id(note: Note) -> int:
    assert note.id is not None
    return note.id


def _copy(note: Note) -> Note:
    return Note(a=note.a, b=note.b, c=note.c, d=note.d, e=note.e, f=note.f)


def test_windows_cover_each_surviving_row_once(database: Database, soak: bool) -> None:
    @settings(
        max_examples=400 if soak else 30,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(
        rows=st.lists(notes, max_size=14),
        order=orders,
        size=st.integers(1, 6),
        changes=st.lists(st.tuples(notes, st.integers(0, 99)), max_size=3),
    )
    def holds(rows: list[Note], order: list[str], size: int, changes: Any) -> None:
        with Units(database) as uow:
            uow.notes.create_many(_copy(row) for row in rows)
            seen, gone, came = covered(uow, order, size, changes)
            alive = {_id(note) for note in uow.notes.get_all()}
            assert len(seen) == len(set(seen))
            assert alive - came <= set(seen)
            assert set(seen) <= alive | gone
            ordered = [_id(note) for note in uow.notes.page(order_by=order, size=100)]
            assert [id for id in seen if id in alive] == [id for id in ordered if id in seen]
            assert covered(uow, order, size, [])[0] == ordered
            assert backwards(uow, order, size) == ordered
            uow.rollback()

    holds()


def backwards(uow: Units, order: Any, size: int) -> list[int]:
    """The ids of all windows, from the last one to the first."""
    window = uow.notes.window(order_by=order, size=size)
    while window.next:
        window = uow.notes.window(order_by=order, size=size, after=window.next)
    found = [_id(note) for note in window]
    while window.previous:
        window = uow.notes.window(order_by=order, size=size, before=window.previous)
        found = [_id(note) for note in window] + found
    return found


def test_a_way_back_from_an_empty_window_begins_with_the_row_of_the_cursor(
    database: Database,
) -> None:
    with Units(database) as uow:
        ids = [_id(note) for note in uow.notes.create_many([Note(a="x") for _ in range(4)])]
        first = uow.notes.window(size=2)
        uow.notes.delete(ids[2])
        uow.notes.delete(ids[3])
        empty = uow.notes.window(size=2, after=first.next)
        assert (list(empty), empty.next) == ([], None)
        back = uow.notes.window(size=2, before=empty.previous)
        assert [_id(note) for note in back] == ids[:2]
        uow.notes.delete(ids[0])
        uow.notes.delete(ids[1])
        nothing = uow.notes.window(size=2, before=empty.previous)
        assert (list(nothing), nothing.previous) == ([], None)
        created = uow.notes.create(Note(a="y", id=ids[3] + 1))
        assert [_id(n) for n in uow.notes.window(size=2, after=nothing.next)] == [created.id]
        uow.rollback()


def test_a_composite_key_breaks_ties(database: Database) -> None:
    with Units(database) as uow:
        pairs = uow.repository(PairRow)
        pairs.bulk_create({"left": n // 4, "right": UUID(int=n % 4)} for n in range(20))
        seen, cursor = [], None
        while True:
            window = pairs.window(order_by="-word", after=cursor, size=3)
            seen += [(pair.left, pair.right.int) for pair in window]
            cursor = window.next
            if cursor is None:
                break
        uow.rollback()
    assert seen == [(n // 4, n % 4) for n in range(20)][::-1]


# -- cursors that do not fit -------------------------------------------------------------------


@pytest.fixture
def cursor(database: Database) -> str:
    with Units(database) as uow:
        uow.notes.create_many(Note(a=str(n), b=n) for n in range(9))
        uow.commit()
        found = uow.notes.window(where("b") >= 1, order_by="a", size=2).next
    assert found is not None
    return found


def test_a_cursor_serves_its_query_with_any_size(database: Database, cursor: str) -> None:
    with Units(database, read_only=True) as uow:
        window = uow.notes.window(where("b") >= 1, order_by=("a",), after=cursor, size=5)
    assert [note.a for note in window] == ["3", "4", "5", "6", "7"]


@pytest.mark.parametrize(
    ("criteria", "order"),
    [
        ((), "a"),
        ((where("b") >= 2,), "a"),
        ((where("b") > 1,), "a"),
        ((where("b") >= 1,), "-a"),
        ((where("b") >= 1,), ("a", "b")),
        ((where("b") >= 1,), "b"),
        ((where("b") >= 1,), ()),
        ((where("b") >= 1, where("a") != "x"), "a"),
    ],
)
def test_a_cursor_of_another_query_is_refused(
    database: Database, cursor: str, criteria: Any, order: Any
) -> None:
    with Units(database) as uow:
        for way in ("after", "before"):
            with pytest.raises(ValidationError, match=f"{way}: is no cursor of this query"):
                uow.notes.window(*criteria, order_by=order, **{way: cursor})


def test_a_cursor_of_another_table_is_refused(database: Database, cursor: str) -> None:
    with Units(database) as uow, pytest.raises(ValidationError, match="no cursor of this query"):
        uow.repository(Event).window(after=cursor)


def test_a_damaged_cursor_is_refused(database: Database, cursor: str) -> None:
    damaged: list[Any] = ["", "x", "é", "=", 3, b"abc", cursor[:-1], cursor + "A", cursor * 2]
    for at, character in enumerate(cursor):
        damaged.append(cursor[:at] + ("B" if character == "A" else "A") + cursor[at + 1 :])
    with Units(database) as uow:
        for one in damaged:
            with pytest.raises(ValidationError, match="after: is no cursor"):
                uow.notes.window(where("b") >= 1, order_by="a", after=one)


def test_what_cannot_be_a_window_is_refused(database: Database, cursor: str) -> None:
    wrong: list[dict[str, Any]] = [
        {"size": 0},
        {"size": -1},
        {"size": True},
        {"size": "2"},
        {"size": None},
        {"after": cursor, "before": cursor},
        {"order_by": "nope"},
        {"order_by": NoteModel.id + 1},  # type: ignore[operator]
    ]
    with Units(database) as uow:
        for arguments in wrong:
            with pytest.raises(ValidationError):
                uow.notes.window(**arguments)


# -- a million rows -----------------------------------------------------------------------------


@pytest.mark.timeout(900)
def test_a_window_in_the_depth_costs_what_the_first_one_does(
    shared_database: Database, soak: bool, record_property: Any
) -> None:
    """Page 10,000 of 1,000,000 rows; by time only in a soak, by the plan always."""
    count, size = (1_000_000, 50) if soak else (5_000, 20)
    with BaseUnitOfWork(shared_database) as uow:
        uow.repository(Event).bulk_create(
            {"moment": n // 3, "rank": None if n % 10 == 0 else n // 3} for n in range(count)
        )
        uow.commit()
        uow.session.connection().execute(text("ANALYZE"))
        uow.commit()
    with BaseUnitOfWork(shared_database, read_only=True) as uow:
        events: Any = uow.repository(Event)
        for order in ("moment", "-moment", ("rank", "id")):
            cursor = events.window(order_by=order, size=count // 2).next
            plan = _plan_of(shared_database, events, order, cursor)
            assert "by_moment" in plan or "by_rank" in plan, plan
            assert "TEMP B-TREE" not in plan
            assert "Sort" not in plan
            if soak:
                first, deep = _best_of_both(
                    lambda order=order: events.window(order_by=order, size=size),
                    lambda order=order, cursor=cursor: events.window(
                        order_by=order, after=cursor, size=size
                    ),
                )
                assert deep <= 1.5 * first, f"{order}: {first * 1e3:.2f} ms, {deep * 1e3:.2f} ms"
                record_property(str(order), f"{first * 1e3:.2f} ms, {deep * 1e3:.2f} ms")


def _best_of_both(first: Any, deep: Any) -> tuple[float, float]:
    """In seconds, side by side."""
    best = [float("inf"), float("inf")]
    for _ in range(60):
        for at, call in enumerate((first, deep)):
            begin = time.perf_counter()
            call()
            best[at] = min(best[at], time.perf_counter() - begin)
    return best[0], best[1]


def _plan_of(database: Database, events: Any, order: Any, cursor: Any) -> str:
    """How the database runs the statement of a window, in its own words."""
    from sqlalchemy import event

    sent: list[Any] = []

    def note(_c: Any, _cur: Any, statement: str, parameters: Any, *_: Any) -> None:
        sent.append((statement, parameters))

    event.listen(database.reader, "before_cursor_execute", note)
    events.window(order_by=order, after=cursor, size=20)
    event.remove(database.reader, "before_cursor_execute", note)
    explain = "EXPLAIN QUERY PLAN " if database.url.startswith("sqlite") else "EXPLAIN "
    with database.engine.connect() as connection:
        rows = connection.exec_driver_sql(explain + sent[0][0], sent[0][1]).all()
    return "\n".join(str(row[-1]) for row in rows)
