"""One claim, on its way from the outbox to the publisher."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from random import Random

from domain.errors import PublisherUnavailable
from domain.messages import Accepted, Delivery, Message, Refused, RetryAfter
from domain.ports import MessagePublisher
from infrastructure.messaging.error_text import error_text
from infrastructure.messaging.holding import Holding
from infrastructure.messaging.relay_policy import RelayPolicy, as_seconds
from infrastructure.messaging.waves import Pace, Waves

LONGEST_WAIT = 7 * 86400.0
"""For an attempt, in seconds, whatever a publisher asks for."""

_log = logging.getLogger(__name__)


class Passing:
    """Publishes messages and notes what became of them, as long as they are had."""

    def __init__(
        self,
        publisher: MessagePublisher,
        holding: Holding,
        messages: Sequence[Message],
        *,
        policy: RelayPolicy,
        pace: Pace,
        random: Random,
        timer: Callable[[], float],
        is_stopped: Callable[[], bool],
    ) -> None:
        self._publisher = publisher
        self._holding = holding
        self._waves = Waves(messages)
        self._policy = policy
        self._pace = pace
        self._random = random
        self._timer = timer
        self._is_stopped = is_stopped
        self._alone = 0
        """How many of the next ones are to be published alone."""

    def run(self) -> None:
        """Until there are none, the relay is stopped, or the lease is over.

        Raises ``PublisherUnavailable``, the error of a storage that is away, and what is
        no ``Exception``.
        """
        while self._waves and not self._is_stopped():
            self._keep()
            if self._holding.is_over:
                _log.warning("a lease is over before its messages were published: make it longer")
                return
            self._publish(self._waves.take(1 if self._alone else self._pace.size))

    def give_back(self) -> None:
        """Release what was not tried, and settle. Raises what ``Holding.settle`` raises."""
        self._holding.released(self._waves.take_all())
        self._holding.settle()

    def _keep(self) -> None:
        """Tell what is known in time, and have the rest longer."""
        if self._holding.is_silent(self._policy.settle_every) or self._holding.is_half_over:
            self._holding.settle()
        if self._holding.is_half_over and not self._holding.is_over:
            self._holding.released(self._waves.drop(self._holding.extend()))

    def _publish(self, messages: list[Message]) -> None:
        messages = [message for message in messages if not self._is_poison(message)]
        if not messages:
            return
        self._alone = max(0, self._alone - len(messages))
        try:
            deliveries = self._ask(messages)
        except PublisherUnavailable as error:
            done = min(len(error.delivered), len(messages))
            self._note_all(messages[:done], error.delivered[:done])
            self._waves.put_back(messages[done:])
            raise
        except Exception as error:  # noqa: BLE001 -- a publisher of whatever kind
            if len(messages) > 1:
                self._try_alone(messages, error)
                return
            deliveries = [RetryAfter(error)]
        self._note_all(messages, deliveries)

    def _is_poison(self, message: Message) -> bool:
        """Whether it was lost too often; then it is parked."""
        if message.losses < self._policy.losses:
            return False
        self._park(
            message,
            f"not tried: {message.losses} times a relay claimed it and was not heard of again; "
            "perhaps its handler ends the process, or takes longer than the lease",
        )
        return True

    def _ask(self, messages: Sequence[Message]) -> Sequence[Delivery]:
        begun = self._timer()
        deliveries = self._publisher.publish(messages)
        self._pace.note(len(messages), self._timer() - begun)
        _require_deliveries(deliveries, len(messages))
        return deliveries

    def _try_alone(self, messages: list[Message], error: Exception) -> None:
        """One of them may have spoilt it for all."""
        name = type(error).__name__
        _log.warning("%s while publishing %d messages: each alone", name, len(messages))
        self._waves.put_back(messages)
        self._alone = len(messages)

    # -- outcomes --------------------------------------------------------------------------

    def _note_all(self, messages: Sequence[Message], deliveries: Sequence[Delivery]) -> None:
        for message, delivery in zip(messages, deliveries, strict=True):
            self._note(message, delivery)

    def _note(self, message: Message, delivery: Delivery) -> None:
        match delivery:
            case Accepted():
                self._holding.sent(message)
                self._waves.go_on(message)
            case RetryAfter(error, seconds) if message.attempts + 1 < self._policy.attempts:
                self._retry(message, error, seconds)
            case RetryAfter(error) | Refused(error):
                self._park(message, error_text(error))

    def _retry(self, message: Message, error: BaseException | str, seconds: float | None) -> None:
        wait = self._policy.wait(message.attempts + 1, self._random)
        wait = max(as_seconds(seconds, most=LONGEST_WAIT), wait)
        _log.info("message %s (%s) is tried again in %.1f s", message.id, message.type, wait)
        self._holding.retry(message, wait, error_text(error))
        self._holding.released(self._waves.close(message))

    def _park(self, message: Message, error: str) -> None:
        kind = error.partition(":")[0]
        _log.error("message %s (%s) is parked: %s", message.id, message.type, kind)
        self._holding.parked(message, error)
        if self._policy.parked_head == "skip":
            self._waves.go_on(message)
        else:
            self._holding.released(self._waves.close(message))


def _require_deliveries(given: object, count: int) -> None:
    if not isinstance(given, Sequence) or isinstance(given, str | bytes):
        found = type(given).__name__
        raise TypeError(f"publish() must give a list with what became of each message, not {found}")
    if len(given) != count:
        raise TypeError(f"publish() was given {count} messages, and says of {len(given)}")
    for delivery in given:
        if not isinstance(delivery, Accepted | RetryAfter | Refused):
            found = type(delivery).__name__
            raise TypeError(f"publish() must say Accepted, RetryAfter or Refused, not {found}")
