"""When the next attempt comes: jitter, and what the service asks for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from domain.errors import ServiceUnavailable, Throttled
from infrastructure.external_services import (
    ApiClient,
    BreakerPolicy,
    Headers,
    RequestPolicy,
    retrying,
)
from infrastructure.testing import NoConnection, Reply, ScriptedTransport

URL = "https://api.example.com"


def failing(attempts: int, **options: float) -> ScriptedTransport:
    """The pauses of a call that always fails."""
    policy = RequestPolicy(attempts=attempts, breaker=None, **options)  # type: ignore[arg-type]
    with ScriptedTransport(*[Reply(503)] * attempts) as service:
        api = ApiClient(URL, policy=policy, transport=service)
        with pytest.raises(ServiceUnavailable) as raised:
            api.get("people")
    assert raised.value.attempts == attempts
    return service


def test_pauses_are_anything_up_to_a_limit_that_doubles() -> None:
    runs = [failing(6, backoff=1, longest_backoff=4, deadline=1000).pauses for _ in range(300)]
    for position, limit in enumerate([1, 2, 4, 4, 4]):
        pauses = [run[position] for run in runs]
        assert 0 <= min(pauses) < 0.1 * limit
        assert 0.9 * limit < max(pauses) <= limit
        assert 0.4 * limit < sum(pauses) / len(pauses) < 0.6 * limit


def test_the_number_of_attempts_may_be_large() -> None:
    assert len(failing(2000, backoff=0.001, longest_backoff=0.001, deadline=100).pauses) == 1999


def test_no_pause_is_begun_that_the_deadline_would_cut() -> None:
    policy = RequestPolicy(attempts=100, deadline=10, backoff=4, longest_backoff=4)
    service = ScriptedTransport(*[NoConnection()] * 100)
    with pytest.raises(ServiceUnavailable) as raised:
        ApiClient(URL, policy=policy, transport=service).get("people")
    assert 1 < raised.value.attempts < 100
    assert raised.value.elapsed < 10
    assert sum(service.pauses) < 10


def test_what_the_service_asks_for_is_waited() -> None:
    with ScriptedTransport(Reply(429, headers={"Retry-After": "7"}), Reply(json=1)) as service:
        api = ApiClient(URL, policy=RequestPolicy(backoff=0.5), transport=service)
        assert api.get("people", into=int) == 1
    assert 7 <= service.pauses[0] <= 7.5


def test_what_the_service_asks_for_is_handed_on_if_there_is_no_time_for_it() -> None:
    with ScriptedTransport(Reply(429, headers={"Retry-After": "31"})) as service:
        api = ApiClient(URL, policy=RequestPolicy(deadline=30), transport=service)
        with pytest.raises(Throttled) as raised:
            api.get("people")
    assert (raised.value.retry_after, raised.value.attempts) == (31, 1)
    assert raised.value.elapsed == 0
    assert service.pauses == []


def test_a_post_is_told_when_to_come_back_and_not_sent_again() -> None:
    reply = Reply(429, headers={"Retry-After": "1"})
    with ScriptedTransport(reply) as service, pytest.raises(Throttled) as raised:
        ApiClient(URL, transport=service).post("people", json={})
    assert (raised.value.retry_after, raised.value.outcome) == (1, "not_executed")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        (" 3 ", 3),
        ("999999999", 999999999),
        ("Fri, 27 Nov 2026 02:00:30 GMT", 30),
        ("Friday, 27-Nov-26 02:00:30 GMT", 30),
        ("Fri, 27 Nov 2026 01:00:00 GMT", 0),
    ],
)
def test_retry_after_in_seconds_or_as_a_date(value: str, seconds: float) -> None:
    headers = Headers({"Retry-After": value, "Date": "Fri, 27 Nov 2026 02:00:00 GMT"})
    assert retrying.retry_after(headers) == seconds


@pytest.mark.parametrize(
    "value",
    ["", "soon", "-1", "1.5", "1e3", "0x10", "²", "٣", "9" * 400, "Fri, 99 Nov 2026 25:00:00 GMT"],
)
def test_a_malformed_retry_after_is_ignored(value: str) -> None:
    assert retrying.retry_after(Headers({"Retry-After": value})) is None
    with ScriptedTransport(Reply(429, headers={"Retry-After": value}), Reply(json=1)) as service:
        api = ApiClient(URL, policy=RequestPolicy(backoff=0.01), transport=service)
        assert api.get("people", into=int) == 1


def test_without_a_date_of_the_answer_the_clock_here_counts() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    found = retrying.retry_after(Headers({"Retry-After": later, "Date": "nonsense"}))
    assert found is not None
    assert 85 < found <= 90


def test_a_circuit_that_opens_between_attempts_does_not_hide_what_went_wrong() -> None:
    policy = RequestPolicy(attempts=5, breaker=BreakerPolicy(failures=2), backoff=0.01)
    replies = Reply(503), Reply(503)
    with ScriptedTransport(*replies) as service, pytest.raises(ServiceUnavailable) as raised:
        ApiClient(URL, policy=policy, transport=service).get("people")
    assert raised.value.attempts == 2
