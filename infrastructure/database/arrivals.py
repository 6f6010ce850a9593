"""Who wants to hear, in this process, that messages were stored."""

from __future__ import annotations

from collections.abc import Callable

Wake = Callable[[], object]


class Arrivals:
    """Calls those who wait for messages of one database."""

    def __init__(self) -> None:
        self._waiting: list[Wake] = []

    def subscribe(self, wake: Wake) -> Callable[[], None]:
        """Call it at each arrival; gives what ends that."""
        waiting = self._waiting
        waiting.append(wake)

        def end() -> None:
            if wake in waiting:
                waiting.remove(wake)

        return end

    def tell(self) -> list[Exception]:
        """Call everybody; what they raise."""
        errors: list[Exception] = []
        for wake in tuple(self._waiting):
            try:
                wake()
            except Exception as error:  # noqa: BLE001 -- the others are to hear of it, too
                errors.append(error)
        return errors
