"""What a message costs on its way through the relay: python -m benchmarks.messaging.

Beside bare claims: a loop in the driver that takes as many rows at once by UPDATE …
FOR UPDATE SKIP LOCKED … RETURNING, and marks them as sent. And what one claim costs
when many messages wait.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from benchmarks.contenders.driver import driver
from benchmarks.keeper import PLACES
from domain import Event, Message, new_id
from infrastructure.database import BaseUnitOfWork, Database
from infrastructure.database.models.outbox_message import OutboxMessage
from infrastructure.database.outbox import SqlOutbox
from infrastructure.messaging import InProcessPublisher, OutboxRelay, RelayPolicy

MESSAGES = 10_000
BACKLOG = 100_000
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
BATCH = 50
ROUNDS = 3
CLAIMS = 20
"""Of which the slowest is told, too."""


@dataclass(frozen=True, kw_only=True)
class Ticked(Event):
    """What is published."""

    event_type = "ticked"
    number: int
    text: str


Key = Callable[[int], str | None]

SHAPES: dict[str, Key] = {
    "no keys": lambda _: None,
    "a key each": str,
    "ten keys": lambda number: str(number % 10),
    "one key": lambda _: "one",
}


def rows(count: int, key: Key) -> Iterator[dict[str, Any]]:
    """New messages."""
    for number in range(count):
        yield {
            "id": new_id(), "type": "ticked", "version": 1, "ordering_key": key(number),
            "payload": f'{{"number":{number},"text":"{"x" * 100}"}}',
            "created_at": LONG_AGO,
        }  # fmt: skip


def fill(database: Database, count: int, key: Key) -> None:
    """Have these, and no others."""
    OutboxMessage.metadata.drop_all(database.engine, tables=[OutboxMessage.__table__])  # type: ignore[attr-defined]
    OutboxMessage.metadata.create_all(database.engine, tables=[OutboxMessage.__table__])  # type: ignore[attr-defined]
    with BaseUnitOfWork(database) as uow:
        uow.repository(OutboxMessage).bulk_create(rows(count, key))
        uow.commit()
    with database.engine.connect() as connection:
        connection.exec_driver_sql("ANALYZE outbox_messages")
        connection.commit()


# -- through the relay -----------------------------------------------------------------------


def relayed(database: Database, key: Key) -> float:
    """Messages a second, from the outbox to a handler."""
    fill(database, MESSAGES, key)
    handlers, arrived = InProcessPublisher(), list[int]()

    @handlers.on(Ticked)
    def arrive(event: Ticked, _: Message) -> None:
        arrived.append(event.number)

    relay = OutboxRelay(SqlOutbox(database), handlers, policy=RelayPolicy(batch=BATCH))
    begun = time.perf_counter()
    while relay.run_once().claimed:
        pass
    took = time.perf_counter() - begun
    return len(arrived) / took


_TAKE = """UPDATE outbox_messages SET claim = id
    WHERE position IN (
        SELECT position FROM outbox_messages
        WHERE status = 'pending' AND claim IS NULL ORDER BY position LIMIT {batch} {lock})
    RETURNING position, id, type, version, ordering_key, payload, created_at"""


def bare(database: Database, url: str, key: Key) -> float:
    """Messages a second, claimed and marked by the driver, and published to nobody."""
    fill(database, MESSAGES, key)
    is_sqlite = url.startswith("sqlite")
    take = _TAKE.format(batch=BATCH, lock="" if is_sqlite else "FOR UPDATE SKIP LOCKED")
    count = 0
    with closing(driver(url)) as raw:
        begun = time.perf_counter()
        while found := _changed(raw, take):
            places = ", ".join(str(row[0]) for row in found)
            _changed(
                raw,
                "UPDATE outbox_messages SET status = 'sent', claim = NULL "  # noqa: S608
                f"WHERE position IN ({places}) RETURNING position",
            )
            count += len(found)
        took = time.perf_counter() - begun
    return count / took


def _changed(raw: Any, sql: str) -> list[tuple[Any, ...]]:
    with raw.transaction():
        found: list[tuple[Any, ...]] = raw.connection.execute(sql).fetchall()
        return found


def compare(database: Database, url: str) -> None:
    """In turns."""
    for shape in ("no keys", "a key each", "ten keys"):
        found: dict[str, list[float]] = {"bare": [], "relay": []}
        for _ in range(ROUNDS):
            found["bare"].append(bare(database, url, SHAPES[shape]))
            found["relay"].append(relayed(database, SHAPES[shape]))
        of_bare, of_relay = (statistics.median(each) for each in found.values())
        print(
            f"  {shape:12} {of_relay:7,.0f} messages/s through the relay, "
            f"{of_bare:7,.0f} bare claims/s: {of_relay / of_bare:.2f} ×"
        )


# -- a claim ---------------------------------------------------------------------------------


def waiting(database: Database, how: str) -> None:
    """Half of the backlog is behind one message, and that is the oldest."""
    front: Key = lambda number: "front" if number < BACKLOG // 2 else None  # noqa: E731
    fill(database, BACKLOG, front)
    with database.engine.begin() as connection:
        to = "'parked'" if how == "parked" else "'pending'"
        due = "due_at" if how == "parked" else "'2100-01-01 00:00:00+00:00'"
        connection.exec_driver_sql(
            f"UPDATE outbox_messages SET status = {to}, due_at = {due} WHERE position = 1"  # noqa: S608
        )


def claims(database: Database) -> tuple[list[float], int]:
    """Seconds of each claim, settled in between; and how many gave nothing."""
    outbox, seconds, empty = SqlOutbox(database), list[float](), 0
    for _ in range(CLAIMS):
        begun = time.perf_counter()
        claim = outbox.claim(BATCH, lease=60)
        seconds.append(time.perf_counter() - begun)
        empty += not claim.messages
        outbox.settle(claim, sent=[message.id for message in claim.messages])
    return seconds, empty


def time_claims(database: Database) -> None:
    """With each shape of a backlog."""
    print(f"  a claim of {BATCH}, with {BACKLOG:,} that wait:")
    for shape, key in SHAPES.items():
        fill(database, BACKLOG, key)
        _print_claims(database, shape)
    for how in ("parked", "retrying"):
        waiting(database, how)
        _print_claims(database, f"half of them behind a {how} one")


def _print_claims(database: Database, shape: str) -> None:
    seconds, empty = claims(database)
    middle, most = statistics.median(seconds) * 1e3, max(seconds) * 1e3
    nothing = f", {empty} of {CLAIMS} gave nothing" if empty else ""
    print(f"    {shape:32} {middle:6.1f} ms, at most {most:6.1f} ms{nothing}")


def main() -> None:
    """Measure and print."""
    for title, place in PLACES.values():
        with place() as url:
            if url is None:
                continue
            with Database(url) as database:
                print(title)
                compare(database, url)
                time_claims(database)


if __name__ == "__main__":
    main()
