"""The anomalies of Martin Kleppmann's Hermitage, played by units of the kit, step by step.

Each is a function of a ``Stage``, which says whether the anomaly happened. A unit that has to
wait is left waiting while the others go on; what it is told meanwhile it does later, in order.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

from sqlmodel import Field

from domain import ALL, where
from domain.errors import ConcurrencyConflict, TransientError
from infrastructure.database import BaseUnitOfWork, Database, Model, Versioned

POSSIBLE = "**possible**"
PATIENCE = 30.0  # seconds; who is neither done nor waiting for a lock by then has a bug


UNDISTURBED = {"postgresql_with": {"autovacuum_enabled": False}}  # it locks, for a moment


class AnomalyRow(Model, table=True):
    __tablename__: ClassVar[str] = "anomaly_rows"
    __table_args__ = UNDISTURBED

    id: int | None = Field(default=None, primary_key=True)
    value: int


class AnomalyDocument(Versioned, Model, table=True):
    __tablename__: ClassVar[str] = "anomaly_documents"
    __table_args__ = UNDISTURBED

    id: int | None = Field(default=None, primary_key=True)
    value: int


Step = Callable[[BaseUnitOfWork], Any]
Values = dict[int, int]  # of rows, by their ids
Scenario = Callable[["Stage"], bool]


class Player:
    """A unit of work in a thread of its own, which does one step after the other."""

    def __init__(self, unit: BaseUnitOfWork, settle: Callable[[], None]) -> None:
        self._unit = unit
        self._settle = settle
        self._thread = ThreadPoolExecutor(1)
        self.told: list[Future[Any]] = [self._thread.submit(unit.__enter__)]
        self.refused: Exception | None = None
        self.waited = self.committed = self.left = False

    def does(self, step: Step) -> Future[Any]:
        """Done when this returns, unless the unit waits; nothing once the block was left."""
        self.told.append(self._thread.submit(self._do, step))
        self._settle()
        return self.told[-1]

    def _do(self, step: Step) -> Any:
        if self.left:
            return None
        try:
            return step(self._unit)
        except Exception as error:
            self.refused, self.left = error, True
            self._unit.__exit__(type(error), error, error.__traceback__)
            if not isinstance(error, TransientError | ConcurrencyConflict):
                raise

    def reads(self, *criteria: Any) -> Future[Values]:
        return self.does(lambda uow: values_of(uow, *criteria))

    def writes(self, id: int, value: int) -> Future[int]:
        return self.does(
            lambda uow: uow.repository(AnomalyRow).update_where(where("id") == id, value=value)
        )

    def creates(self, **values: int) -> Future[AnomalyRow]:
        return self.does(lambda uow: uow.repository(AnomalyRow).create(values))

    def deletes(self, *criteria: Any) -> Future[int]:
        return self.does(lambda uow: uow.repository(AnomalyRow).delete_where(*criteria))

    def commits(self) -> None:
        self.does(self._commit)

    def _commit(self, uow: BaseUnitOfWork) -> None:
        uow.commit()
        self.committed = True

    def rolls_back(self) -> None:
        self.does(BaseUnitOfWork.rollback)

    def leaves(self) -> None:
        self.does(self._leave)

    def _leave(self, uow: BaseUnitOfWork) -> None:
        self.left = True
        uow.__exit__(None, None, None)

    def end(self) -> None:
        """Whatever happened, so that nobody waits for this one any more."""
        for step in (BaseUnitOfWork.rollback, self._leave):
            self.told.append(self._thread.submit(self._do, step))

    def close(self) -> None:
        """Raises what no scenario expects."""
        for told in self.told:
            told.result(PATIENCE)
        self._thread.shutdown()


@dataclass
class Stage:
    """Two rows, 1 => 10 and 2 => 20, and the units that play with them at one level."""

    database: Database
    level: str | None
    waiting: Callable[[], int]  # how many connections wait for a lock
    players: list[Player] = field(default_factory=list)

    def play(self, scenario: Scenario) -> str:
        """Whether the anomaly happened, or how it was prevented, in the words of the table."""
        self._prepare()
        try:
            happened = scenario(self)
            assert all(player.told[-1].done() for player in self.players)
        finally:
            for player in self.players:
                player.end()
            for player in self.players:
                player.close()
        return POSSIBLE if happened else f"prevented: {self._how_prevented()}"

    def _prepare(self) -> None:
        with BaseUnitOfWork(self.database) as uow:
            for model in (AnomalyRow, AnomalyDocument):
                uow.repository(model).delete_where(ALL)
                uow.repository(model).create_many([{"id": 1, "value": 10}, {"id": 2, "value": 20}])
            uow.commit()

    def unit(self, *, read_only: bool = False) -> Player:
        unit = BaseUnitOfWork(self.database, read_only=read_only, isolation_level=self.level)
        self.players.append(Player(unit, self._settle))
        return self.players[-1]

    def stored(self, model: Any = AnomalyRow) -> Values:
        with BaseUnitOfWork(self.database, read_only=True) as uow:
            return values_of(uow, model=model)

    def _how_prevented(self) -> str:
        """By an error if there was one; else by a wait; else by what was there to be seen."""
        refused = [type(player.refused).__name__ for player in self.players if player.refused]
        waited = any(player.waited for player in self.players)
        return " and ".join(refused) or ("waits" if waited else "snapshot")

    def _settle(self) -> None:
        """Until each unit has done what it was told, or waits for a lock that another has."""
        deadline = time.monotonic() + PATIENCE
        while busy := [player for player in self.players if not player.told[-1].done()]:
            wait([player.told[-1] for player in busy], 0.003, FIRST_COMPLETED)
            if self.waiting() == len(busy):
                for player in busy:
                    player.waited = True
                return
            if time.monotonic() > deadline:
                raise TimeoutError("a unit is neither done nor waiting for a lock")


def values_of(uow: BaseUnitOfWork, *criteria: Any, model: Any = AnomalyRow) -> Values:
    """What is read now. No entity is held: one that is keeps its values at any level."""
    return {row.id: row.value for row in uow.repository(model).get_all(*criteria)}


# -- the anomalies; what they say of themselves stands in the table ------------------------

SCENARIOS: dict[str, Scenario] = {}


def anomaly(name: str) -> Callable[[Scenario], Scenario]:
    return partial(SCENARIOS.setdefault, name)


@anomaly("G0")
def dirty_write(stage: Stage) -> bool:
    """Dirty write: two units write the same two rows, and each keeps one of them."""
    first, second = stage.unit(), stage.unit()
    first.writes(1, 11)
    second.writes(1, 12)
    second.writes(2, 22)
    first.writes(2, 21)
    first.commits()
    second.commits()
    return stage.stored() not in ({1: 11, 2: 21}, {1: 12, 2: 22})


@anomaly("G1a")
def aborted_read(stage: Stage) -> bool:
    """Aborted read: a unit reads what another one wrote and then rolls back."""
    writer, reader = stage.unit(), stage.unit(read_only=True)
    writer.writes(1, 101)
    before = reader.reads()
    writer.rolls_back()
    after = reader.reads()
    return 101 in (before.result()[1], after.result()[1])


@anomaly("G1b")
def intermediate_read(stage: Stage) -> bool:
    """Intermediate read: a unit reads what another one wrote and then writes over."""
    writer, reader = stage.unit(), stage.unit(read_only=True)
    writer.writes(1, 101)
    before = reader.reads()
    writer.writes(1, 11)
    writer.commits()
    after = reader.reads()
    return 101 in (before.result()[1], after.result()[1])


@anomaly("G1c")
def circular_information_flow(stage: Stage) -> bool:
    """Circular information flow: each of two units reads what the other one wrote."""
    first, second = stage.unit(), stage.unit()
    first.writes(1, 11)
    second.writes(2, 22)
    by_first = first.reads(where("id") == 2)
    by_second = second.reads(where("id") == 1)
    first.commits()
    second.commits()
    return by_first.result() == {2: 22} and by_second.result() == {1: 11}


@anomaly("OTV")
def observed_transaction_vanishes(stage: Stage) -> bool:
    """Observed transaction vanishes: what a unit saw of another one is not there any more."""
    first, second, reader = stage.unit(), stage.unit(), stage.unit(read_only=True)
    first.writes(1, 11)
    first.writes(2, 19)
    second.writes(1, 12)
    first.commits()
    seen = [reader.reads(where("id") == id) for id in (1, 2)]
    second.writes(2, 18)
    second.commits()
    seen += [reader.reads(where("id") == id) for id in (2, 1)]
    of_second = [values.result() in ({1: 12}, {2: 18}) for values in seen]
    return of_second != sorted(of_second)  # seen, and then not


@anomaly("PMP")
def predicate_many_preceders(stage: Stage) -> bool:
    """Predicate-many-preceders: a unit finds a row that was not there when it first looked."""
    reader, writer = stage.unit(read_only=True), stage.unit()
    before = reader.reads(where("value") == 30)
    writer.creates(id=3, value=30)
    writer.commits()
    after = reader.reads(where("value") >= 30)
    return (before.result(), after.result()) == ({}, {3: 30})


@anomaly("PMP, writing")
def predicate_many_preceders_by_a_write(stage: Stage) -> bool:
    """The same for a write: rows that satisfy the criteria of a `delete_where` remain."""
    first, second = stage.unit(), stage.unit()
    first.does(add_ten_to_all)
    deleted = second.deletes(where("value") == 20)
    first.commits()
    left = second.reads(where("value") == 20)
    second.commits()
    return deleted.result() == 0 and left.result() == {1: 20}


def add_ten_to_all(uow: BaseUnitOfWork) -> None:
    rows = uow.repository(AnomalyRow)
    for row in rows.get_all():
        row.value += 10
        rows.update(row)


@anomaly("P4")
def lost_update(stage: Stage) -> bool:
    """Lost update: two units load a row and count it up, and one count is missing."""
    return _loses_an_update(stage, AnomalyRow)


@anomaly("P4, for_update")
def lost_update_with_a_lock(stage: Stage) -> bool:
    """The same if both load the row with `require(1, for_update=True)`."""
    return _loses_an_update(stage, AnomalyRow, for_update=True)


@anomaly("P4, Versioned")
def lost_update_with_a_version(stage: Stage) -> bool:
    """The same if the table is `Versioned`."""
    return _loses_an_update(stage, AnomalyDocument)


def _loses_an_update(stage: Stage, model: Any, *, for_update: bool = False) -> bool:
    first, second = stage.unit(), stage.unit()

    def load(uow: BaseUnitOfWork) -> Any:
        return uow.repository(model).require(1, for_update=for_update)

    def count_up(uow: BaseUnitOfWork, loaded: Future[Any]) -> None:
        loaded.result().value += 1
        uow.repository(model).update(loaded.result())

    by_first, by_second = first.does(load), second.does(load)
    first.does(lambda uow: count_up(uow, by_first))
    second.does(lambda uow: count_up(uow, by_second))
    first.commits()
    second.commits()
    return stage.stored(model)[1] < 10 + first.committed + second.committed


@anomaly("G-single")
def read_skew(stage: Stage) -> bool:
    """Read skew: a unit reads one row as it was before another unit, one as it is after it."""
    reader, writer = stage.unit(read_only=True), stage.unit()
    one = reader.reads(where("id") == 1)
    writer.reads()
    writer.writes(1, 12)
    writer.writes(2, 18)
    writer.commits()
    other = reader.reads(where("id") == 2)
    return one.result() | other.result() == {1: 10, 2: 18}


@anomaly("G-single, writing")
def read_skew_by_a_write(stage: Stage) -> bool:
    """The same if the second is no read but the criteria of a `delete_where`."""
    first, second = stage.unit(), stage.unit()
    seen = first.reads(where("id") == 1)
    second.reads()
    second.writes(1, 12)
    second.writes(2, 18)
    second.commits()
    deleted = first.deletes(where("value") == 20)
    first.commits()
    return seen.result() == {1: 10} and deleted.result() == 0


@anomaly("G2-item")
def write_skew(stage: Stage) -> bool:
    """Write skew: two units read the same two rows, and each changes another one."""
    first, second = stage.unit(), stage.unit()
    seen = [first.reads(), second.reads()]
    first.writes(1, 11)
    second.writes(2, 21)
    first.commits()
    second.commits()
    unaware = [values.result() for values in seen] == [{1: 10, 2: 20}] * 2
    return unaware and stage.stored() == {1: 11, 2: 21}


@anomaly("G2")
def anti_dependency_cycle(stage: Stage) -> bool:
    """Anti-dependency cycle: two units find no such row, and each creates one."""
    first, second = stage.unit(), stage.unit()
    wanted = where("value") >= 30
    seen = [first.reads(wanted), second.reads(wanted)]
    first.creates(id=3, value=30)
    second.creates(id=4, value=42)
    first.commits()
    second.commits()
    unaware = [values.result() for values in seen] == [{}, {}]
    return unaware and stage.stored() == {1: 10, 2: 20, 3: 30, 4: 42}


@anomaly("G2, reader")
def anti_dependency_cycle_seen_by_a_reader(stage: Stage) -> bool:
    """The same seen by a reader: no order of two units explains what it read and they stored."""
    return _is_seen_by_a_reader(stage, Player.commits)


@anomaly("G2, reader leaves")
def anti_dependency_cycle_seen_by_a_reader_that_leaves(stage: Stage) -> bool:
    """The same if the reader leaves its block without `commit()`."""
    return _is_seen_by_a_reader(stage, Player.leaves)


def _is_seen_by_a_reader(stage: Stage, end: Callable[[Player], None]) -> bool:
    first, second, reader = stage.unit(), stage.unit(), stage.unit(read_only=True)
    before = first.reads()
    second.creates(id=3, value=30)
    second.commits()
    between = reader.reads()
    end(reader)
    first.writes(1, 0)
    first.commits()
    seen = (before.result(), between.result())
    return first.committed and seen == ({1: 10, 2: 20}, {1: 10, 2: 20, 3: 30})
