"""What a worker process does to lists that it shares with others, and the log that it keeps.

It may be killed at any moment: what it is about to do is on disk before it begins.
"""

from __future__ import annotations

import json
import os
import random
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol

from sqlalchemy import UniqueConstraint, create_engine
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlmodel import Field, Session, select

from domain import where
from domain.errors import CommitOutcomeUnknown, ConflictError, DatabaseUnavailable, TransientError
from infrastructure.database import BaseRepository, BaseUnitOfWork, Database, Model, Versioned
from tests.transactions.histories import Append, Outcome, Read, Transaction, Values

STOP = "stop"
"""The name of a file beside the logs: once it is there, the workers end."""

_WINDOW = 0.7
_PATIENCE = 5.0


class PlainList(Model, table=True):
    __tablename__: ClassVar[str] = "list_append_plain"

    id: int | None = Field(default=None, primary_key=True)
    key: str = Field(unique=True)
    items: list[int] = Field(default_factory=list)


class VersionedList(Versioned, Model, table=True):
    __tablename__: ClassVar[str] = "list_append_versioned"

    id: int | None = Field(default=None, primary_key=True)
    key: str = Field(unique=True)
    items: list[int] = Field(default_factory=list)


class Element(Model, table=True):
    """One value of a list, in a row of its own."""

    __tablename__: ClassVar[str] = "list_append_elements"
    __table_args__ = (UniqueConstraint("key", "position"),)

    id: int | None = Field(default=None, primary_key=True)
    key: str
    position: int
    value: int


TABLES: list[Any] = [PlainList, VersionedList, Element]


class Lists(BaseUnitOfWork):
    """A unit in which all of them take part."""

    plain: BaseRepository[PlainList]
    versioned: BaseRepository[VersionedList]
    elements: BaseRepository[Element]


# -- the ways to append; each of them tells what was there before --------------------------


def _change(uow: Lists, key: str, value: int) -> Values:
    row, _ = _whole(uow, key).get_or_create({"key": key}, on="key")
    before = tuple(row.items)
    row.items.append(value)
    return before


def _upsert(uow: Lists, key: str, value: int) -> Values:
    before = values_of(uow, key)
    uow.plain.upsert(PlainList(key=key, items=[*before, value]), on="key")
    return before


def _update(uow: Lists, key: str, value: int) -> Values:
    row, _ = uow.plain.get_or_create(PlainList(key=key), on="key")
    before = tuple(row.items)
    uow.plain.update(row.id, items=[*before, value])
    return before


def _update_versioned(uow: Lists, key: str, value: int) -> Values:
    row, _ = uow.versioned.get_or_create(VersionedList(key=key), on="key")
    before = tuple(row.items)
    uow.versioned.update(row.id, version=row.version, items=[*before, value])
    return before


def _create(uow: Lists, key: str, value: int) -> Values:
    before = values_of(uow, key)
    uow.elements.create(Element(key=key, position=len(before), value=value))
    return before


def _create_in_bulk(uow: Lists, key: str, value: int) -> Values:
    before = values_of(uow, key)
    uow.elements.bulk_create([{"key": key, "position": len(before), "value": value}])
    return before


Form = Callable[[Lists, str, int], Values]

FORMS: dict[str, tuple[str, Form]] = {
    "change": ("plain", _change),
    "upsert": ("plain", _upsert),
    "update": ("plain", _update),
    "change a version": ("versioned", _change),
    "update a version": ("versioned", _update_versioned),
    "create": ("elements", _create),
    "create in bulk": ("elements", _create_in_bulk),
}
"""The table whose lists it is for, and how it is done."""


def values_of(uow: Lists, key: str) -> Values:
    """What the list holds now."""
    if key.startswith("elements"):
        found = uow.elements.get_all(where("key") == key, order_by="position")
        return tuple(element.value for element in found)
    row = _whole(uow, key).first(where("key") == key)
    return () if row is None else tuple(row.items)


def _whole(uow: Lists, key: str) -> BaseRepository[Any]:
    """Where lists are stored as a whole."""
    return uow.plain if key.startswith("plain") else uow.versioned


# -- what is to be done --------------------------------------------------------------------


class Step(NamedTuple):
    """Append a value in one of the forms, or read (``form`` is empty)."""

    key: str
    form: str = ""
    value: int = 0

    def intent(self) -> Append | Read:
        return Append(self.key, self.value) if self.form else Read(self.key, None)


class How(NamedTuple):
    """How the workers go about it: what they use, and how often they get in each other's way."""

    client: str = "units"
    isolation: str = "SERIALIZABLE"
    forms: Sequence[str] = tuple(FORMS)
    steps: int = 4
    keys: int = 2
    """At a time, of each table."""
    pause: float = 0.005
    """Seconds before a step of a transaction that writes, at most."""


class _Planner:
    """Thinks of transactions over a few keys; each key is forgotten after a while."""

    def __init__(self, number: int, how: How) -> None:
        self._random = random.Random(number)
        self._how = how
        self._value = number * 1_000_000

    def plan(self) -> list[Step]:
        appends = self._random.choice([0.0, 0.6, 0.6])
        return [self._step(appends) for _ in range(self._random.randint(1, self._how.steps))]

    def _step(self, appends: float) -> Step:
        form = self._random.choice(self._how.forms)
        window = int(time.monotonic() / _WINDOW)
        key = f"{FORMS[form][0]}-{window}-{self._random.randrange(self._how.keys)}"
        if self._random.random() >= appends:
            return Step(key)
        self._value += 1
        return Step(key, form, self._value)


Done = list[Append | Read]


class Client(Protocol):
    """Whoever does what is planned."""

    refusals: tuple[type[Exception], ...]
    """After these, nothing is stored."""

    def run(self, plan: list[Step]) -> Done:
        """All of it in one transaction."""
        ...

    def close(self) -> None:
        """Let go of the database."""
        ...


class UnitClient:
    """Runs units of the kit."""

    refusals = (TransientError, ConflictError)

    def __init__(self, url: str, how: How) -> None:
        self._database = Database(url)
        self._how = how

    def run(self, plan: list[Step]) -> Done:
        writes = any(step.form for step in plan)
        read_only = not writes and random.random() < 0.5
        pause = self._how.pause if writes else 0.0
        unit = Lists(self._database, read_only=read_only, isolation_level=self._how.isolation)
        return unit.run(lambda uow: _carry_out(uow, plan, pause), timeout=_PATIENCE)

    def close(self) -> None:
        self._database.close()


def _carry_out(uow: Lists, plan: list[Step], pause: float) -> Done:
    done: Done = []
    for step in plan:
        time.sleep(random.random() * pause)
        if step.form:
            _, append = FORMS[step.form]
            before = append(uow, step.key, step.value)
            done += [Read(step.key, before), Append(step.key, step.value)]
        else:
            done.append(Read(step.key, values_of(uow, step.key)))
    return done


class BareClient:
    """What one writes without the kit: the engine as it comes."""

    refusals = (DBAPIError,)

    def __init__(self, url: str, how: How) -> None:
        self._engine = create_engine(url, **self.options(how))

    def options(self, how: How) -> dict[str, Any]:
        return {}

    def run(self, plan: list[Step]) -> Done:
        with Session(self._engine) as session:
            done = [each for step in plan for each in _carry_out_bare(session, step)]
            session.commit()
        return done

    def close(self) -> None:
        self._engine.dispose()


class NaiveClient(BareClient):
    """The same, and whatever the driver calls operational is tried again."""

    def options(self, how: How) -> dict[str, Any]:
        return {"isolation_level": how.isolation, "pool_pre_ping": True}

    def run(self, plan: list[Step]) -> Done:
        while True:
            try:
                return super().run(plan)
            except OperationalError:
                time.sleep(random.random() * 0.02)


def _carry_out_bare(session: Session, step: Step) -> Iterator[Append | Read]:
    row = session.exec(select(PlainList).where(PlainList.key == step.key)).first()
    yield Read(step.key, () if row is None else tuple(row.items))
    if step.form:
        row = row or PlainList(key=step.key)
        row.items = [*row.items, step.value]
        session.add(row)
        yield Append(step.key, step.value)


CLIENTS: dict[str, Callable[[str, How], Client]] = {
    "units": UnitClient,
    "bare": BareClient,
    "naive": NaiveClient,
}


# -- the worker ----------------------------------------------------------------------------


class Order(NamedTuple):
    """What a worker shall work on, until it is told to stop."""

    url: str
    log: Path
    number: int
    how: How


def serve(orders: Any) -> None:
    """One order after the other, of those that come through a pipe; gone with the other end."""
    warnings.simplefilter("error")
    with suppress(EOFError, ConnectionResetError):
        while True:
            _obey(orders.recv(), os.getppid())
            orders.send("done")


def _obey(order: Order, parent: int) -> None:
    with order.log.open("a") as file:
        try:
            client = CLIENTS[order.how.client](order.url, order.how)
            planner, stop = _Planner(order.number, order.how), order.log.parent / STOP
            while os.getppid() == parent and not stop.exists():
                _attempt(client, planner.plan(), file)
            client.close()
        except Exception:  # noqa: BLE001 -- whoever reads the log raises it
            _write(file, broken=traceback.format_exc())


def _attempt(client: Client, plan: list[Step], file: Any) -> None:
    _write(file, start=time.monotonic(), operations=[step.intent() for step in plan])
    try:
        done = client.run(plan)
    except CommitOutcomeUnknown:
        _write(file, outcome=Outcome.UNKNOWN, end=None)
    except client.refusals as error:
        _write(file, outcome=Outcome.FAIL, end=time.monotonic())
        if isinstance(error, DatabaseUnavailable):
            time.sleep(0.01)
    else:
        _write(file, outcome=Outcome.OK, end=time.monotonic(), operations=done)


def _write(file: Any, **said: Any) -> None:
    file.write(json.dumps(said) + "\n")
    file.flush()


# -- the log -------------------------------------------------------------------------------


def is_busy(log: Path) -> bool:
    """Whether a worker is in the middle of a transaction."""
    return log.read_text().rpartition('{"')[2].startswith("start")


def history_of(log: Path, process: int) -> list[Transaction]:
    """What a worker did, or began to do; fails if it came upon something that it did not expect."""
    history: list[Transaction] = []
    begun: dict[str, Any] = {}
    for line in log.read_text().splitlines():
        said = _parsed(line)
        assert "broken" not in said, said["broken"]
        if "start" in said:
            begun = said
        elif "outcome" in said:
            history.append(_transaction(log, process, {**begun, **said}, len(history)))
            begun = {}
    if begun:
        history.append(_transaction(log, process, begun, len(history)))
    return history


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:  # the last one, cut off
        return {}


def _transaction(log: Path, process: int, said: dict[str, Any], number: int) -> Transaction:
    end = said.get("end")
    return Transaction(
        f"{log.stem}-{number}",
        process,
        [_operation(*each) for each in said["operations"]],
        Outcome(said.get("outcome", Outcome.UNKNOWN)),
        said["start"],
        float("inf") if end is None else end,
    )


def _operation(key: str, said: Any) -> Append | Read:
    if isinstance(said, int):
        return Append(key, said)
    return Read(key, None if said is None else tuple(said))
