"""The port TeamDirectory over a server that answers as GitHub does."""

from __future__ import annotations

from typing import Any

import pytest

from domain.errors import BadResponse, Rejected, Throttled, ValidationError
from domain.ports import DirectoryMember, DirectoryTeam
from infrastructure.external_services import Headers, Pause, RequestPolicy
from infrastructure.external_services.github_directory import GitHubDirectory, throttling
from infrastructure.testing import Reply, ScriptedTransport
from tests.external_services.conftest import MakeServer
from tests.external_services.github import GitHub, primary_limit, secondary_limit


@pytest.fixture
def github() -> GitHub:
    found = GitHub(token="token")
    found.add_user(30, "grace", "Grace Hopper", "grace@example.com")
    found.add_user(7, "ada", "Ada Lovelace")
    found.add_user(12, "alan")
    found.add_team(5, "core-team", "Core Team", "grace", "ada", "alan")
    found.add_team(2, "empty", "Empty")
    found.add_team(3, "pair", "Pair", "alan")
    return found


@pytest.fixture
def directory(github: GitHub, serve: MakeServer) -> Any:
    with GitHubDirectory(serve(github).url, token="token") as directory:
        yield directory


def test_members_are_read_from_all_pages_with_name_and_address(directory: GitHubDirectory) -> None:
    assert directory.members("acme") == [
        DirectoryMember("7", "Ada Lovelace", "7+ada@users.noreply.github.com"),
        DirectoryMember("12", "alan", "12+alan@users.noreply.github.com"),
        DirectoryMember("30", "Grace Hopper", "grace@example.com"),
    ]


def test_teams_are_read_with_the_keys_of_their_members(directory: GitHubDirectory) -> None:
    assert directory.teams("acme") == [
        DirectoryTeam("2", "Empty", ()),
        DirectoryTeam("3", "Pair", ("12",)),
        DirectoryTeam("5", "Core Team", ("7", "12", "30")),
    ]


def test_requests_are_those_of_the_documentation(github: GitHub, serve: MakeServer) -> None:
    github.per_page = 100
    server = serve(github)
    with GitHubDirectory(server.url, token="token") as directory:
        directory.members("acme")
    first, *users = server.requests
    assert first.target == "/orgs/acme/members?per_page=100"
    assert first.headers["accept"] == "application/vnd.github+json"
    assert first.headers["x-github-api-version"] == "2022-11-28"
    assert [user.target for user in users] == ["/users/ada", "/users/alan", "/users/grace"]
    assert server.connections == 1


@pytest.mark.parametrize("limit", [secondary_limit(403, 0), secondary_limit(429, 0)])
def test_a_short_limit_is_waited_for(
    limit: Any, github: GitHub, directory: GitHubDirectory
) -> None:
    github.limits = [limit]
    assert len(directory.members("acme")) == 3


@pytest.mark.parametrize(
    ("limit", "seconds"),
    [
        (primary_limit(403, 1800), 1800),
        (primary_limit(429, 1800), 1800),
        (secondary_limit(403, 90), 90),
        (secondary_limit(429, 90), 90),
        (secondary_limit(429, None), 60),
    ],
)
def test_a_long_limit_is_handed_on(
    limit: Any, seconds: float, github: GitHub, directory: GitHubDirectory
) -> None:
    github.limits = [limit]
    with pytest.raises(Throttled) as raised:
        directory.teams("acme")
    assert raised.value.retry_after == pytest.approx(seconds, abs=2)
    assert raised.value.attempts == 1


@pytest.mark.parametrize(
    ("status", "fields", "pause"),
    [
        (200, {"X-RateLimit-Remaining": "0"}, None),
        (403, {}, None),
        (403, {"X-RateLimit-Remaining": "1"}, None),
        (403, {"X-RateLimit-Remaining": "0"}, Pause(60)),
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "soon"}, Pause(60)),
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1"}, Pause(0)),
        (403, {"Retry-After": "3", "X-RateLimit-Remaining": "0"}, Pause(3)),
        (429, {}, Pause(60)),
        (500, {"Retry-After": "3"}, None),
    ],
)
def test_how_a_limit_is_told(status: int, fields: dict[str, str], pause: Pause | None) -> None:
    assert throttling(status, Headers(fields)) == pause


def test_an_organisation_that_is_not_there_or_not_shown(directory: GitHubDirectory) -> None:
    for read in (directory.members, directory.teams):
        with pytest.raises(Rejected) as raised:
            read("nobody")
        assert raised.value.status == 404
        assert raised.value.problem is not None
        assert raised.value.problem.extensions == {"message": "Not Found"}


def test_a_wrong_token(github: GitHub, serve: MakeServer) -> None:
    url = serve(github).url
    with GitHubDirectory(url, token="other") as directory, pytest.raises(Rejected) as raised:
        directory.teams("acme")
    assert raised.value.status == 401


@pytest.mark.parametrize("name", ["", " ", "..", "a/../..", None, 7])
def test_a_name_that_is_none(name: Any) -> None:
    with ScriptedTransport() as service:
        directory = GitHubDirectory(transport=service)
        for read in (directory.members, directory.teams):
            with pytest.raises(ValidationError):
                read(name)


def test_an_answer_of_another_form() -> None:
    with ScriptedTransport(Reply(json={"message": "hello"})) as service:
        directory = GitHubDirectory(transport=service, policy=RequestPolicy(attempts=1))
        with pytest.raises(BadResponse):
            directory.members("acme")
