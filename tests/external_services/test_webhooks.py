"""Messages are posted to a URL; what the answers mean for them."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from domain.entity import new_id
from domain.errors import ExternalServiceError, PublisherUnavailable
from domain.messages import Accepted, Delivery, Message, Refused, RetryAfter
from infrastructure.external_services import ApiClient, WebhookPublisher
from infrastructure.messaging import OutboxRelay
from infrastructure.testing import InMemoryOutbox
from tests.external_services.conftest import QUICK, MakeServer
from tests.external_services.server import Seen, Server, Talk, unused_port


def message(number: int = 1, key: str | None = None) -> Message:
    return Message(
        id=new_id(),
        type="jar.opened",
        version=2,
        key=key,
        payload=f'{{"jar":{number}}}',
        created_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    )


def answering(*statuses: int, **headers: str) -> Callable[[Seen, Talk], None]:
    """With these, one after the other, and then with the last one."""
    waiting = list(statuses)

    def behave(request: Seen, talk: Talk) -> None:
        status = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        talk.reply(status, b"{}", {name.replace("_", "-"): text for name, text in headers.items()})

    return behave


def published(server: Server, *messages: Message) -> list[Delivery]:
    with ApiClient(server.url, policy=QUICK) as client:
        return list(WebhookPublisher(client, "hooks/jars").publish(messages))


def test_a_message_is_posted_with_its_id_as_the_key(serve: MakeServer) -> None:
    server, sent = serve(answering(204)), message(7, "jar 7")
    assert published(server, sent) == [Accepted()]
    (request,) = server.requests
    assert (request.method, request.target) == ("POST", "/hooks/jars")
    assert request.headers["idempotency-key"] == str(sent.id)
    assert request.headers["content-type"] == "application/json"
    assert request.json() == {
        "id": str(sent.id),
        "type": "jar.opened",
        "version": 2,
        "key": "jar 7",
        "created_at": "2026-01-02T03:04:05+00:00",
        "payload": {"jar": 7},
    }


def test_each_message_is_posted_for_itself(serve: MakeServer) -> None:
    server = serve(answering(200, 422, 200))
    first, second, third = published(server, message(1), message(2), message(3))
    assert (first, third) == (Accepted(), Accepted())
    assert isinstance(second, Refused)
    assert [request.json()["payload"]["jar"] for request in server.requests] == [1, 2, 3]


@pytest.mark.parametrize("status", [400, 406, 413, 415, 422])
def test_what_the_receiver_does_not_want_is_refused(serve: MakeServer, status: int) -> None:
    (delivery,) = published(serve(answering(status)), message())
    assert isinstance(delivery, Refused)
    assert isinstance(delivery.error, ExternalServiceError)
    assert delivery.error.status == status


@pytest.mark.parametrize("status", [408, 409, 423, 425, 500])
def test_what_may_pass_is_tried_again(serve: MakeServer, status: int) -> None:
    (delivery,) = published(serve(answering(status)), message())
    assert isinstance(delivery, RetryAfter)


@pytest.mark.parametrize("status", [401, 403, 404, 405, 410, 502, 503, 504])
def test_what_is_not_about_the_message_stops_all(serve: MakeServer, status: int) -> None:
    server = serve(answering(status))
    with pytest.raises(PublisherUnavailable):
        published(server, message(1), message(2))
    keys = {request.headers["idempotency-key"] for request in server.requests}
    assert len(keys) == 1


def test_a_receiver_that_is_away_is_unavailable() -> None:
    with (
        ApiClient(f"http://127.0.0.1:{unused_port()}", policy=QUICK) as client,
        pytest.raises(PublisherUnavailable),
    ):
        WebhookPublisher(client).publish([message()])


def test_a_receiver_that_has_enough_says_when(serve: MakeServer) -> None:
    with pytest.raises(PublisherUnavailable) as caught:
        published(serve(answering(429, Retry_After="120")), message())
    assert caught.value.retry_after == pytest.approx(120, abs=2)


def test_what_was_accepted_before_an_outage_is_known(serve: MakeServer) -> None:
    server = serve(answering(200, 200, 503))
    with pytest.raises(PublisherUnavailable) as caught:
        published(server, message(1), message(2), message(3), message(4))
    assert list(caught.value.delivered) == [Accepted(), Accepted()]


def test_a_relay_goes_on_where_an_outage_has_stopped_it(serve: MakeServer) -> None:
    outbox, answers = InMemoryOutbox(), [200, 200, 503, 503, 503, 200]
    server = serve(answering(*answers))
    outbox.add([message(number) for number in range(5)])
    with ApiClient(server.url, policy=QUICK) as client:
        relay = OutboxRelay(outbox, WebhookPublisher(client))
        reports = [relay.run_once() for _ in range(5)]
    assert [report.unavailable for report in reports[:2]] == [True, False]
    assert sum(report.sent for report in reports) == 5
    assert outbox.status().sent == 5
    posted = [request.json()["payload"]["jar"] for request in server.requests]
    assert sorted(set(posted)) == [0, 1, 2, 3, 4]
    assert [posted.count(jar) for jar in (0, 1)] == [1, 1]


def test_one_that_is_sent_twice_has_the_same_key(serve: MakeServer) -> None:
    seen: list[str] = []

    def lose_the_first_answer(request: Seen, talk: Talk) -> None:
        seen.append(request.headers["idempotency-key"])
        if len(seen) == 1:
            talk.close()
        else:
            talk.reply(200)

    assert published(serve(lose_the_first_answer), message()) == [Accepted()]
    assert len(seen) == 2
    assert len(set(seen)) == 1


def test_the_payload_arrives_as_it_was(serve: MakeServer) -> None:
    server = serve(answering(200))
    value: dict[str, Any] = {"big": 10**30, "text": "ключ \u0000 🙂", "exact": 0.1}
    sent = Message(
        id=new_id(), type="x", version=1, key=None, payload=json.dumps(value),
        created_at=datetime.now(UTC),
    )  # fmt: skip
    published(server, sent)
    assert server.requests[0].json()["payload"] == value
