"""How claims are made: by an index, whatever waits, and by one relay at a time."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from domain import where
from domain.entity import new_id
from domain.errors import UnitOfWorkError
from domain.messages import Message, Retry
from infrastructure.database import Database
from infrastructure.database.base_unit_of_work import BaseUnitOfWork
from infrastructure.database.claiming import candidates
from infrastructure.database.models.outbox_message import OutboxMessage
from infrastructure.database.outbox import SqlOutbox
from tests.outbox.recording import TABLES, JarOpened, Kitchen


@pytest.fixture
def tables() -> list[Any]:
    return TABLES


Key = Callable[[int], str | None]


def rows(database: Database, count: int, key: Key) -> Iterator[dict[str, Any]]:
    for number in range(count):
        yield {
            "id": new_id(),
            "type": "JarOpened",
            "version": 1,
            "ordering_key": key(number),
            "payload": f'{{"jar":{number}}}',
            "created_at": database.clock(),
        }


def fill(database: Database, count: int, key: Key = lambda _: None) -> None:
    with Kitchen(database) as uow:
        uow.repository(OutboxMessage).bulk_create(rows(database, count, key))
        uow.commit()


SHAPES: dict[str, Key] = {
    "no keys": lambda _: None,
    "a key each": str,
    "ten keys": lambda number: str(number % 10),
    "one key": lambda _: "one",
}


@pytest.fixture
def backlog(soak: bool) -> int:
    return 100_000 if soak else 20_000


@pytest.mark.parametrize("shape", SHAPES)
def test_a_claim_goes_by_the_index(database: Database, backlog: int, shape: str) -> None:
    fill(database, backlog, SHAPES[shape])
    outbox = SqlOutbox(database)
    claim = outbox.claim(100, lease=60)
    assert [int(message.payload[7:-1]) for message in claim.messages] == list(range(100))
    plan = plan_of_a_claim(database)
    assert plan.count("ix_outbox_messages_due") == 2
    assert plan.count("ix_outbox_messages_unsent") == 2
    assert "Seq Scan on" not in plan
    assert "SCAN outbox_messages" not in plan.replace("SCAN outbox_messages USING INDEX", "")
    assert "pk_outbox_messages" not in plan


def plan_of_a_claim(database: Database) -> str:
    server = database.dialect.server_time()
    values = {"most": 100} | ({"now": database.clock()} if server is None else {})
    by_rows = database.dialect.rows_are_bounds
    query = candidates(server, skip_parked=False, by_rows=by_rows).params(**values)
    compiled = query.compile(database.engine, compile_kwargs={"literal_binds": True})
    explain = "EXPLAIN QUERY PLAN" if "sqlite" in database.url else "EXPLAIN"
    with database.engine.connect() as connection:
        found = connection.exec_driver_sql(f"{explain} {compiled}")
        return "\n".join(" ".join(map(str, row)) for row in found)


def test_what_is_behind_a_parked_message_does_not_hold_up_others(
    database: Database, backlog: int
) -> None:
    half = backlog // 20
    fill(database, half, lambda _: "stuck")
    fill(database, half, str)
    outbox = SqlOutbox(database)
    (first,) = outbox.claim(1, lease=60).messages
    claim = outbox.claim(1, lease=60)
    assert [message.key for message in claim.messages] == ["0"]
    outbox.settle(claim, released=[message.id for message in claim.messages])
    stuck = SqlOutbox(database).status()
    assert stuck.claimed == 1
    keys: list[str | None] = []
    began = time.monotonic()
    while (claim := outbox.claim(100, lease=60)).messages:
        keys += [message.key for message in claim.messages]
        outbox.settle(claim, sent=[message.id for message in claim.messages])
    assert keys == [str(number) for number in range(half)]
    assert time.monotonic() - began < 60
    assert first.key == "stuck"


def test_what_waits_behind_another_attempt_is_put_off_with_it(database: Database) -> None:
    fill(database, 3_000, lambda _: "slow")
    outbox = SqlOutbox(database)
    claim = outbox.claim(1, lease=60)
    outbox.settle(claim, retry={claim.messages[0].id: Retry(600, "later")})
    assert not outbox.claim(1_000, lease=60).messages
    with Kitchen(database, read_only=True) as uow:
        assert uow.repository(OutboxMessage).count(where("due_at").is_none()) == 0
    with Kitchen(database) as uow:
        uow.publish(JarOpened(jar=1))
        uow.commit()
    assert [message.payload for message in outbox.claim(1, lease=60).messages] == ['{"jar":1}']


def test_a_claim_inside_a_unit_is_refused(database: Database) -> None:
    outbox = SqlOutbox(database)
    with Kitchen(database) as uow:
        uow.publish(JarOpened(jar=1))
        with pytest.raises(UnitOfWorkError):
            outbox.claim(1, lease=60)
        uow.commit()
    assert [message.payload for message in outbox.claim(1, lease=60).messages] == ['{"jar":1}']


def test_a_suspect_goes_alone(database: Database) -> None:
    fill(database, 4, lambda number: "one" if number < 3 else None)
    outbox = SqlOutbox(database)
    for losses in range(3):
        claim = outbox.claim(2, lease=0.001)
        assert [message.losses for message in claim.messages] == [losses, losses]
        time.sleep(0.01)
    claim = outbox.claim(10, lease=60)
    assert [message.losses for message in claim.messages] == [3]
    outbox.settle(claim, sent=[claim.messages[0].id])
    second = outbox.claim(10, lease=60)
    assert len(second.messages) == 1
    outbox.settle(second, sent=[second.messages[0].id])
    assert len(outbox.claim(10, lease=60).messages) == 2


def test_a_message_survives_the_way_through_the_table(database: Database) -> None:
    with Kitchen(database) as uow:
        uow.publish(JarOpened(jar=7))
        uow.commit()
    (message,) = SqlOutbox(database).claim(1, lease=60).messages
    assert message == Message(
        id=message.id, type="JarOpened", version=1, key=None, payload='{"jar":7}',
        created_at=message.created_at,
    )  # fmt: skip
    assert BaseUnitOfWork.outbox is None
