"""Where units that belong together keep what they have committed."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Any

from domain.errors import ValidationError
from domain.messages import Message
from infrastructure.database.clock import Clock, Clocked
from infrastructure.testing.memory.constraints import Token
from infrastructure.testing.memory.kinds import Kind
from infrastructure.testing.memory.outbox import InMemoryOutbox
from infrastructure.testing.memory.state import State


class InMemoryStore(Clocked):
    """What is committed, shared by any number of units. Usable from many threads.

    One unit at a time writes: another waits up to ``busy_timeout`` seconds for it,
    and then raises ``LockTimeout``. Readers wait for nobody, and see what was
    committed when they began. Generated ids are 1, 2, 3…, and none is given
    twice, also after a rollback. What units publish is in ``outbox``.
    """

    exclusive = False
    """Reading beside a writing unit is possible."""

    serves_one = ""

    def __init__(
        self, *, clock: Callable[[], datetime] | None = None, busy_timeout: float = 30.0
    ) -> None:
        if isinstance(busy_timeout, bool) or not 0 < busy_timeout < math.inf:
            raise ValidationError(
                "InMemoryStore", {"busy_timeout": "must be a number of seconds above zero"}
            )
        super().__init__(clock)
        self.busy_timeout = busy_timeout
        self.key = object()
        self.kinds: dict[Token, Kind] = {}
        self.committed = State(self.kinds, {})
        self._writing = threading.Lock()
        self._registering = threading.Lock()
        self._ids: dict[Token, int] = {}
        self.outbox = InMemoryOutbox(clock=_ClockOf(self))
        self._posted: deque[list[Message]] = deque()
        self._delivering = threading.RLock()

    def register(self, kind: Kind) -> Kind:
        """Keep entities of this kind; those of one domain class are kept in one way."""
        with self._registering:
            known = self.of_domain(kind.domain)
            if known is None:
                self.kinds[kind.token] = kind
                return kind
        if known.token != kind.token or known.unique != kind.unique:
            raise TypeError(
                f"{kind.entity} is kept by this store in another way already; give each "
                "repository of it the same model, unique and references"
            )
        return known

    def of_domain(self, domain: type[Any]) -> Kind | None:
        """How entities of this class are kept, if they are."""
        return next((kind for kind in self.kinds.values() if kind.domain is domain), None)

    # -- for units ---------------------------------------------------------------------------

    def lock(self, timeout: float) -> bool:
        """Become the one who writes; False if another one did not end in time."""
        return self._writing.acquire(timeout=timeout)

    def unlock(self) -> None:
        """Let another one write."""
        self._writing.release()

    def post(self, messages: list[Message]) -> None:
        """These belong to what is committed; said by the one who writes, so in that order."""
        self._posted.append(messages)

    def deliver(self) -> None:
        """Put what was posted into the outbox. It wakes others, who may begin to write."""
        with self._delivering:
            while self._posted:
                self.outbox.add(self._posted.popleft())

    def next_id(self, token: Token) -> int:
        """An id that nobody has had."""
        self._ids[token] = self._ids.get(token, 0) + 1
        return self._ids[token]

    def note_id(self, token: Token, id: Any) -> None:
        """Somebody has this one, so that it is not given to another."""
        if isinstance(id, int):
            self._ids[token] = max(self._ids.get(token, 0), id)


class _ClockOf(Clock):
    """The clock of a store, whichever it has at the moment."""

    def __init__(self, store: Clocked) -> None:
        super().__init__()
        self._store = store

    def __call__(self) -> datetime:
        """What time it is: aware, in UTC."""
        return self._store.clock()

    def monotonic(self) -> float:
        """Seconds since some moment; never set back."""
        return self._store.clock.monotonic()
