"""A session that stores messages in the transaction of what they tell of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol, cast

from sqlalchemy import Table

from domain.entity import EVENTS
from domain.errors import MessagingError
from domain.event import Event
from domain.messages import Message
from infrastructure.database.failing import Failing
from infrastructure.database.flushing import Tracker
from infrastructure.database.models.outbox_rows import NAMES, columns_of
from infrastructure.database.noting import noting_by_row
from infrastructure.database.value_reads import ValueReads


class PublishingPolicy(Protocol):
    """What a unit of work says of its messages."""

    @property
    def outbox(self) -> type[Any] | None: ...
    @property
    def payload_limit(self) -> int: ...


class Publishing(Failing, ValueReads):
    """What a session has to do with events."""

    @property
    def tracker(self) -> Tracker:
        """What it remembers of its entities."""
        raise NotImplementedError

    publishing: PublishingPolicy

    def publish(self, event: Event) -> None:
        """COMMIT stores this one, too."""
        self.tracker.outgoing.publish(event)

    def collect(self, entities: Iterable[Any], *, given: bool = False) -> None:
        """What these have recorded is published: they are stored.

        ``given`` are objects of the caller; the others are rows.
        """
        try:
            self.tracker.outgoing.collect(entities, given=given)
        except Exception as error:
            self.fail(error)  # what they tell of is stored, and must not be without them
            raise

    def publish_recorded(self, originals: Sequence[Any], rows: Sequence[Any]) -> None:
        """The same for rows, and what objects have recorded that these were made of."""
        for original, row in zip(originals, rows, strict=True):
            self.tracker.outgoing.move(original, row)
        self.collect(row for row in rows if EVENTS in row.__dict__)

    def store_messages(self) -> None:
        """One INSERT, before COMMIT."""
        try:
            messages = self._messages()
        except MessagingError as error:
            self.fail(error)
            raise
        table = cast(Table, cast(Any, self.publishing.outbox).__table__)
        with noting_by_row(self.written, [table.fullname]):
            self._insert(table, messages)

    def _messages(self) -> Sequence[Message]:
        outgoing = self.tracker.outgoing
        messages = outgoing.messages(self.database.clock(), self.publishing.payload_limit)
        if self.publishing.outbox is None:
            message = "there is no outbox; write outbox = OutboxMessage in the unit of work's class"
            raise MessagingError(messages[0].type, {"outbox": message})
        return messages

    def _insert(self, table: Table, messages: Sequence[Message]) -> None:
        columns = columns_of(messages)
        if len(messages) == 1 and self.database.engine.dialect.insert_returning:
            prepared = self.database.prepared_insert(table, NAMES, table.c.position)
            ((_, *transaction),), _ = self.write(prepared, [column[0] for column in columns])
            self.transaction_id = next(iter(transaction), None)
            return
        write = self.database.dialect.inserting(table, NAMES)
        given: dict[str, list[Any]] = dict(zip(NAMES, columns, strict=True))
        statement, parameters, options = write(self.connection(), given, {})
        self.execute(statement, parameters, execution_options=options)
