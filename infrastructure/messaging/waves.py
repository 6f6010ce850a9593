"""In which order the messages of a claim are published, and how many at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from itertools import takewhile
from uuid import UUID

from domain.messages import Message


class Waves:
    """The messages that are left. Of each key one may be taken, and the next when that is done.

    Those without a key wait for nobody.
    """

    def __init__(self, messages: Iterable[Message]) -> None:
        self._queues: dict[str | UUID, deque[Message]] = {}
        for message in messages:
            self._queues.setdefault(_name(message), deque()).append(message)
        self._ready = deque(self._queues)

    def __bool__(self) -> bool:
        """Whether there is one to be taken."""
        return bool(self._ready)

    def take(self, limit: int) -> list[Message]:
        """Some that may be published at once; ``go_on`` or ``close`` is to be called for each."""
        count = min(limit, len(self._ready))
        return [self._queues[self._ready.popleft()].popleft() for _ in range(count)]

    def put_back(self, messages: Sequence[Message]) -> None:
        """They are the first to be taken again."""
        for message in reversed(messages):
            self._queues[_name(message)].appendleft(message)
            self._ready.appendleft(_name(message))

    def go_on(self, message: Message) -> None:
        """It is done: the next one of its key may follow."""
        if self._queues[_name(message)]:
            self._ready.append(_name(message))

    def close(self, message: Message) -> list[Message]:
        """None may follow it; those that would have."""
        return list(self._queues.pop(_name(message)))

    def drop(self, ids: Collection[UUID]) -> list[Message]:
        """Take these out, and give those behind them, which must not be published either."""
        behind: list[Message] = []
        for name, queue in self._queues.items():
            kept = deque(takewhile(lambda one: one.id not in ids, queue))
            behind += [one for one in list(queue)[len(kept) :] if one.id not in ids]
            self._queues[name] = kept
        self._ready = deque(name for name in self._ready if self._queues[name])
        return behind

    def take_all(self) -> list[Message]:
        """What is left."""
        left = [message for queue in self._queues.values() for message in queue]
        self._queues.clear()
        self._ready.clear()
        return left


class Pace:
    """How many messages a call of the publisher may have, so that it takes about so long.

    While a call runs, no lease can be extended and nothing can be stopped. So it begins
    with one, and a slow publisher gets few at once.
    """

    def __init__(self, seconds: float, most: int) -> None:
        self._seconds = seconds
        self._most = most
        self.size = 1

    def note(self, count: int, took: float) -> None:
        """So many took so long."""
        fits = int(self._seconds * count / took) if took > 0 else self._most
        self.size = max(1, min(fits, 2 * self.size, self._most))


def _name(message: Message) -> str | UUID:
    return message.id if message.key is None else message.key
