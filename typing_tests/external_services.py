"""What users of the client infer, and what is rejected. Type checkers read this file."""

from collections.abc import Iterator
from typing import Any, assert_type

from pydantic import BaseModel

from domain.errors import BadResponse, ExternalServiceError, Outcome, Rejected, Throttled
from domain.ports import DirectoryMember, TeamDirectory
from domain.problem import Problem
from infrastructure.external_services import (
    ApiClient,
    ApiKey,
    ApiResponse,
    AttemptEnded,
    Basic,
    Bearer,
    BreakerPolicy,
    Hooks,
    RequestPolicy,
    Transport,
)
from infrastructure.external_services.github_directory import GitHubDirectory
from infrastructure.external_services.transport import RequestsTransport
from infrastructure.testing import NoAnswer, Reply, ScriptedTransport


class PersonOut(BaseModel):
    id: int
    name: str


# -- the adapters fit the ports: stated here, and nowhere else -------------------------------------


def the_adapters_fit(
    github: GitHubDirectory, network: RequestsTransport, script: ScriptedTransport
) -> None:
    directory: TeamDirectory = github
    transports: list[Transport] = [network, script]
    assert_type(directory.members("acme"), list[DirectoryMember])
    del transports


# -- what is inferred ------------------------------------------------------------------------------


def calls(api: ApiClient) -> None:
    assert_type(api.get("people/1"), ApiResponse)
    assert_type(api.get("people/1", into=PersonOut), PersonOut)
    assert_type(api.get("people", into=list[PersonOut], params={"page": 1}), list[PersonOut])
    assert_type(api.get("ages", into=dict[str, int], headers={"X-A": "1"}), dict[str, int])
    assert_type(api.post("people", json=PersonOut(id=1, name="Ada"), into=PersonOut), PersonOut)
    assert_type(api.post("people", json={"a": [1]}, idempotency_key=True), ApiResponse)
    assert_type(api.put("people/1", content=b"x", into=int), int)
    assert_type(api.patch("people/1", json=[1], idempotency_key="key"), ApiResponse)
    assert_type(api.delete("people/1"), ApiResponse)
    assert_type(api.delete("people/1", into=PersonOut).name, str)
    assert_type(api.pages("people", into=list[PersonOut]), Iterator[PersonOut])
    with api as same:
        assert_type(same, ApiClient)


def responses(response: ApiResponse) -> None:
    assert_type(response.status, int)
    assert_type(response.text, str)
    assert_type(response.json(), Any)
    assert_type(response.into(PersonOut), PersonOut)
    assert_type(response.headers["X-A"], str)


def errors(error: ExternalServiceError, throttled: Throttled, bad: BadResponse) -> None:
    assert_type(error.outcome, Outcome)
    assert_type(error.attempts, int)
    assert_type(error.elapsed, float)
    assert_type(throttled.retry_after, float | None)
    assert_type(bad.errors, dict[str, str])
    if isinstance(error, Rejected):
        assert_type(error.problem, Problem | None)


def slow(event: AttemptEnded) -> bool:
    return event.seconds > 1


def clients() -> None:
    ApiClient("https://a.example", auth=Bearer("token"), policy=RequestPolicy(deadline=5))
    ApiClient("https://a.example", auth=Basic("user", "password"), hooks=Hooks(on_attempt=slow))
    ApiClient("https://a.example", auth=lambda: {"X-A": "1"}, pool_size=5)
    ApiClient("https://a.example", auth=ApiKey("X-Key", "key"), trust_environment=True)
    RequestPolicy(breaker=BreakerPolicy(failures=3, cooldown=5), attempts=1)
    RequestPolicy(breaker=None)
    ApiClient("https://a.example", transport=ScriptedTransport(Reply(json=1), NoAnswer()))


# -- what is rejected ------------------------------------------------------------------------------


def wrong_uses(api: ApiClient, response: ApiResponse) -> None:
    api.get()  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    api.get("people", json={})  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    api.get("people", PersonOut)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    api.get("people", headers={"X-A": 1})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
    api.put("people/1", json={}, idempotency_key=True)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    api.pages("people", into=PersonOut)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    number: int = api.get("people/1", into=PersonOut)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    response.status = 1  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    ApiClient("https://a.example", "token")  # type: ignore[call-arg, arg-type]  # pyright: ignore[reportCallIssue]
    ApiClient("https://a.example", verify=False)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    ApiClient("https://a.example", auth=("user", "password"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    RequestPolicy(5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    RequestPolicy(timeout=5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    ScriptedTransport({"status": 200})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    del number
