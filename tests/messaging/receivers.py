"""Those whom messages are for, and an outbox that fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from domain import Message, new_id
from domain.errors import DatabaseUnavailable
from domain.messages import Accepted, Delivery
from domain.ports import Outbox


def message(key: str | None = None, payload: str = "{}") -> Message:
    return Message(
        id=new_id(), type="happened", version=1, key=key, payload=payload,
        created_at=datetime.now(UTC),
    )  # fmt: skip


def messages(*keys: str | None) -> list[Message]:
    """One for each key; their payloads are numbers."""
    return [message(key, str(number)) for number, key in enumerate(keys)]


class Receiver:
    """Remembers each call; ``answer`` says what becomes of a message, or raises."""

    def __init__(self, answer: Callable[[Message], Delivery] = lambda _: Accepted()) -> None:
        self.answer = answer
        self.calls: list[list[int]] = []
        self.meanwhile: Callable[[], object] = lambda: None

    @property
    def arrived(self) -> list[int]:
        """The payloads, in the order of their coming."""
        return [number for call in self.calls for number in call]

    def publish(self, batch: Sequence[Message], /) -> Sequence[Delivery]:
        keys = [one.key for one in batch if one.key is not None]
        assert len(keys) == len(set(keys)), "two of one key at once"
        self.calls.append([int(one.payload) for one in batch])
        self.meanwhile()
        return [self.answer(one) for one in batch]


class Failing:
    """An outbox that fails when it is told to, before or after it has done what it was asked."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self.failures: dict[str, int] = {}
        """How often each method is to fail; ``"claim, but it was done"`` for afterwards."""

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._outbox, name)

        def call(*args: Any, **options: Any) -> Any:
            self._fail(name)
            done = method(*args, **options)
            self._fail(f"{name}, but it was done")
            return done

        return call

    def _fail(self, moment: str) -> None:
        if self.failures.get(moment, 0) > 0:
            self.failures[moment] -= 1
            raise DatabaseUnavailable(f"the storage is away: {moment}")
