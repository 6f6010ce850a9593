"""Pages that follow each other by their links."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from domain.errors import BadResponse
from infrastructure.external_services import (
    ApiClient,
)
from infrastructure.testing import Reply, ScriptedTransport
from tests.external_services.conftest import MakeClient, MakeServer
from tests.external_services.server import Seen, Talk

URL = "https://api.example.com/v1"


class PersonOut(BaseModel):
    id: int
    name: str


def test_pages_are_read_when_they_are_needed(serve: MakeServer, connect: MakeClient) -> None:
    def behave(request: Seen, talk: Talk) -> None:
        number = int(request.target.rpartition("=")[2])
        following = f'<{server.url}/v2/numbers?per_page=2&page={number + 1}>; rel="next"'
        link = f'<{server.url}>; rel="first", {following}' if number < 3 else ""
        talk.reply_json([number * 2, number * 2 + 1], headers={"Link": link})

    server = serve(behave)
    numbers = connect(server, "/v1").pages("numbers", into=list[int], params={"page": 1})
    assert server.requests == []
    assert [next(numbers), next(numbers)] == [2, 3]
    assert len(server.requests) == 1
    assert list(numbers) == [4, 5, 6, 7]
    assert [request.target for request in server.requests] == [
        "/v1/numbers?page=1",
        "/v2/numbers?per_page=2&page=2",
        "/v2/numbers?per_page=2&page=3",
    ]


@pytest.mark.parametrize(
    ("link", "reason"),
    [
        ("</v1/numbers>; rel=next", "one that was read"),
        ("<>; rel=next", "one that was read"),
        ("<https://evil.example/v1/numbers>; rel=next", "another origin"),
        ("<http://api.example.com/v1/numbers>; rel=next", "another origin"),
        ("<//evil.example/>; rel=next", "another origin"),
        ("<https://api.example.com:8443/>; rel=next", "another origin"),
    ],
)
def test_pages_that_lead_in_a_circle_or_away(link: str, reason: str) -> None:
    with ScriptedTransport(Reply(json=[1], headers={"Link": link})) as service:
        pages = ApiClient(URL, transport=service).pages("numbers", into=list[int])
        assert next(pages) == 1
        with pytest.raises(BadResponse, match=reason):
            next(pages)


def test_a_longer_circle_ends_too() -> None:
    replies = [
        Reply(json=[1], headers={"Link": "<?page=2>; rel=next"}),
        Reply(json=[2], headers={"Link": "<?page=1>; rel=next"}),
        Reply(json=[3], headers={"Link": "<?page=2>; rel=next"}),
    ]
    with ScriptedTransport(*replies) as service:
        pages = ApiClient(URL, transport=service).pages("numbers", into=list[int])
        with pytest.raises(BadResponse, match="one that was read"):
            list(pages)
    assert len(service.requests) == 3


def test_a_page_that_does_not_fit_names_the_item() -> None:
    with ScriptedTransport(Reply(json=[{"id": 1}])) as service:
        pages = ApiClient(URL, transport=service).pages("people", into=list[PersonOut])
        with pytest.raises(BadResponse, match=r"0\.name"):
            next(pages)
