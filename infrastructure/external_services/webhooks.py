"""Messages to a URL: one POST each, with the id of the message as its Idempotency-Key."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from domain.errors import (
    CircuitOpen,
    ExternalServiceError,
    PublisherUnavailable,
    Rejected,
    ServiceUnavailable,
    Throttled,
)
from domain.messages import Accepted, Delivery, Message, Refused, RetryAfter
from infrastructure.external_services.api_client import ApiClient

_MISCONFIGURED = {401, 403, 404, 405, 407, 410}  # whatever is posted
_LATER = {408, 409, 423, 425}  # 409: the first request with this key is still under way
_DOWN = {502, 503, 504}  # what stands before the receiver answers


class WebhookPublisher:
    """Posts messages to one URL: ``domain.ports.MessagePublisher``.

    The body is an object with ``id``, ``type``, ``version``, ``key``, ``created_at`` and
    ``payload``. 2xx accepts a message, and other 4xx than those that are the same for all
    messages, or may pass, refuse it. The policy of the client says how long one may take;
    a lease of the relay has to be longer than that, for a whole batch.
    """

    def __init__(self, client: ApiClient, path: str = "") -> None:
        self._client = client
        self._path = path

    def publish(self, messages: Sequence[Message], /) -> Sequence[Delivery]:
        """Post one after the other. Raises ``PublisherUnavailable``."""
        done: list[Delivery] = []
        for message in messages:
            try:
                done.append(self._posted(message))
            except PublisherUnavailable as error:
                error.delivered = tuple(done)
                raise
        return done

    def _posted(self, message: Message) -> Delivery:
        try:
            self._client.post(self._path, json=_body(message), idempotency_key=str(message.id))
        except ExternalServiceError as error:
            return _delivery(error)
        return Accepted()


def _body(message: Message) -> dict[str, Any]:
    return {
        "id": str(message.id),
        "type": message.type,
        "version": message.version,
        "key": message.key,
        "created_at": message.created_at.isoformat(),
        "payload": json.loads(message.payload),
    }


def _delivery(error: ExternalServiceError) -> Delivery:
    """What became of a message that was not taken; raises where it is not about the message."""
    if isinstance(error, CircuitOpen | Throttled):
        raise PublisherUnavailable(str(error), retry_after=error.retry_after)
    if isinstance(error, ServiceUnavailable) and (error.status is None or error.status in _DOWN):
        raise PublisherUnavailable(str(error))
    if isinstance(error, Rejected) and error.status in _MISCONFIGURED:
        raise PublisherUnavailable(str(error))
    if isinstance(error, Rejected) and error.status not in _LATER:
        return Refused(error)
    return RetryAfter(error)
