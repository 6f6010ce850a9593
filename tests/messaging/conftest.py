"""An outbox and a relay whose time the test moves."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from infrastructure.messaging import OutboxRelay, RelayPolicy
from infrastructure.testing import InMemoryOutbox, MovableClock
from tests.messaging.receivers import Receiver

MakeRelay = Callable[..., OutboxRelay]


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def outbox(clock: MovableClock) -> InMemoryOutbox:
    return InMemoryOutbox(clock=clock)


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def relay(outbox: InMemoryOutbox, receiver: Receiver, clock: MovableClock) -> MakeRelay:
    """Makes a relay over them; options are those of its policy."""

    def make(
        *, store: Any = None, publisher: Any = None, observe: Any = None, **policy: Any
    ) -> Any:
        return OutboxRelay(
            store or outbox,
            publisher or receiver,
            policy=RelayPolicy(**policy),
            observe=observe,
            random=Random(7),
            timer=clock.monotonic,
        )

    return make
